"""OTLP over HTTP, with aiohttp's server: protobuf and JSON, gzip and deflate.

The rule: a body is read as long as there is room for it, and no further than a message may be long. It has room as it
comes: who announces much and sends nothing takes nothing from others. aiohttp would inflate it before it could be
counted, so it is told not to.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import partial

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message as ProtobufMessage
from google.rpc.code_pb2 import INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE

from otel_har.receive import rpc
from otel_har.receive.access import Access
from otel_har.receive.answers import ENDING, Answer, Verdict
from otel_har.receive.inflating import CODINGS
from otel_har.receive.intake import Intake, Message, Signal
from otel_har.receive.sizes import Sizes

_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_PIECE_BYTES = 1 << 18
_LINGERING_S = 2.0  # so long the rest of one is read that was refused, so that the sender reads the answer
_STATUSES = {
    Verdict.MALFORMED: 400,
    Verdict.TOO_LARGE: 413,
    Verdict.BUSY: 429,
    Verdict.FAILED: 500,
}
_METRICS_TEXT = "this receiver keeps no metrics"
_logger = logging.getLogger("otel_har")


class HttpServer:
    """Takes export requests at `/v1/logs`, `/v1/traces` and `/v1/metrics`.

    Args:
        intake: Where they go.
        access: Who may send.
        sizes: How large they may be.
        tls: For HTTPS.
    """

    def __init__(self, intake: Intake, access: Access, sizes: Sizes, tls: ssl.SSLContext | None = None) -> None:
        self._intake = intake
        self._access = access
        self._sizes = sizes
        self._tls = tls
        self._reading: set[asyncio.Transport] = set()
        self._is_ending = False
        app = web.Application()
        for signal in Signal:
            app.router.add_post(f"/v1/{signal.value}", partial(self._take, signal))
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            lingering_time=_LINGERING_S,
            shutdown_timeout=sizes.ending_s,
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which the system chooses where 0 is asked for.

        Raises:
            OSError: The address cannot be had.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._tls)
        await site.start()
        taken: int = self._runner.addresses[-1][1]
        return taken

    async def stop(self) -> None:
        """Listen no more, and let those who wait for an answer have it. Who has not sent all is not waited for."""
        self._is_ending = True
        for transport in self._reading:
            transport.close()
        await self._runner.cleanup()

    async def _take(self, signal: Signal, request: web.Request) -> web.Response:
        is_json = request.content_type == _JSON
        say = partial(_response, is_json=is_json)
        if not self._access.admits(request.headers.get("Authorization")):
            refused = say(401, rpc.status(UNAUTHENTICATED, "a bearer token is needed"))
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        coding = request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
        if coding not in CODINGS or (not is_json and request.content_type != _PROTOBUF):
            text = f"{_PROTOBUF} or {_JSON}, as it is or in {' or '.join(CODINGS[1:])}"
            return say(415, rpc.status(INVALID_ARGUMENT, f"a request must be {text}"))
        room = _RoomForBody(self._intake)
        try:
            body = await asyncio.wait_for(self._body(request, room), self._sizes.reading_s)
            if isinstance(body, Answer):
                answer = body
            else:
                answer = await asyncio.wrap_future(self._intake.submit(Message(signal, body, coding, is_json)))
        except asyncio.TimeoutError:
            return say(503, rpc.status(UNAVAILABLE, "the body did not come in time"))
        except (ConnectionError, web.RequestPayloadError) as fault:
            _logger.debug("otel-har: a request did not come to its end: %s", type(fault).__name__)
            return say(400, rpc.status(INVALID_ARGUMENT, "the body did not come to its end"))
        finally:
            room.leave()
        return _answered(signal, answer, is_json=is_json)

    async def _body(self, request: web.Request, room: _RoomForBody) -> bytes | Answer:
        """The body, or why it is not taken."""
        announced = request.content_length or 0
        if announced > self._sizes.message_bytes:
            return self._sizes.refusal()
        if self._is_ending or not self._intake.has_room(announced):
            return ENDING if self._is_ending else self._intake.refusal
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._reading.add(transport)
        try:
            return await self._pieces(request, room)
        finally:
            self._reading.discard(transport)

    async def _pieces(self, request: web.Request, room: _RoomForBody) -> bytes | Answer:
        pieces: list[bytes] = []
        size_bytes = 0
        async for piece in request.content.iter_chunked(_PIECE_BYTES):
            size_bytes += len(piece)
            if size_bytes > self._sizes.message_bytes:
                return self._sizes.refusal()
            if not room.take(size_bytes):
                return self._intake.refusal
            pieces.append(piece)
        return b"".join(pieces)


class _RoomForBody:
    """The room that one body has of the queue."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = 0

    def take(self, size_bytes: int) -> bool:
        """Have room for so many bytes in all; whether there is."""
        is_free = self._intake.reserve(size_bytes - self._bytes, self._bytes)
        if is_free:
            self._bytes = size_bytes
        return is_free

    def leave(self) -> None:
        """Give it back."""
        self._intake.release(self._bytes)
        self._bytes = 0


def _answered(signal: Signal, answer: Answer, *, is_json: bool) -> web.Response:
    if answer.verdict is Verdict.OK:
        told = Answer(Verdict.OK, _METRICS_TEXT) if signal is Signal.METRICS else answer
        return _response(200, rpc.response(signal, told), is_json=is_json)
    made = _response(_STATUSES[answer.verdict], rpc.status_of(answer), is_json=is_json)
    if answer.verdict is Verdict.BUSY:
        made.headers["Retry-After"] = str(answer.retry_after_s)
    return made


def _response(code: int, message: ProtobufMessage, *, is_json: bool) -> web.Response:
    """OTLP 1.5, "OTLP/HTTP Response": in the form of the request."""
    if is_json:
        return web.Response(status=code, text=json_format.MessageToJson(message, indent=None), content_type=_JSON)
    return web.Response(status=code, body=message.SerializeToString(), content_type=_PROTOBUF)
