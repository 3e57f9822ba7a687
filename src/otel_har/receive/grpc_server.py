"""OTLP over gRPC.

The rule: messages are taken as bytes, and read by the thread that delivers. gRPC itself refuses what is too large, as
it comes or decompressed, and more requests at a time than may be. A call whose message does not come is ended, so that
it does not hold the place of another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from otel_har.receive import rpc
from otel_har.receive.access import Access
from otel_har.receive.answers import ENDING, Answer, Verdict
from otel_har.receive.intake import Intake, Message, Signal
from otel_har.receive.sizes import Sizes

_PACKAGE = "opentelemetry.proto.collector"
_METHODS = {
    f"/{_PACKAGE}.logs.v1.LogsService/Export": Signal.LOGS,
    f"/{_PACKAGE}.trace.v1.TraceService/Export": Signal.TRACES,
    f"/{_PACKAGE}.metrics.v1.MetricsService/Export": Signal.METRICS,
}
_STATUS_DETAILS = "grpc-status-details-bin"
_METRICS_TEXT = "this receiver keeps no metrics"
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

Handle = Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]


class GrpcServer(grpc.GenericRpcHandler):
    """Takes export requests of logs, traces and metrics.

    Args:
        intake: Where they go.
        access: Who may send.
        sizes: How large they may be.
        tls: The server's credentials, for TLS.
    """

    def __init__(self, intake: Intake, access: Access, sizes: Sizes, tls: grpc.ServerCredentials | None = None) -> None:
        self._intake = intake
        self._access = access
        self._sizes = sizes
        self._tls = tls
        self._server: Any = None
        self._reading: set[asyncio.Future[bytes | None]] = set()
        self._calls = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which the system chooses where 0 is asked for.

        Raises:
            OSError: The address cannot be had.
        """
        options = [
            ("grpc.max_receive_message_length", self._sizes.message_bytes),
            ("grpc.so_reuseport", 0),  # two receivers on one port would each get a part
        ]
        server = self._server = grpc.aio.server(
            handlers=(self,), options=options, maximum_concurrent_rpcs=self._sizes.requests
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is None:
                taken: int = server.add_insecure_port(address)
            else:
                taken = server.add_secure_port(address, self._tls)
        except RuntimeError as fault:  # grpcio's word for it
            raise OSError(str(fault)) from None
        await server.start()
        return taken

    async def stop(self) -> None:
        """Listen no more, and let those who wait for an answer have it. Who has not sent all is not waited for."""
        if self._server is None:
            return
        stopping = asyncio.ensure_future(self._server.stop(self._sizes.ending_s))
        for reading in self._reading:
            reading.cancel()
        answered = asyncio.ensure_future(self._is_idle.wait())
        await asyncio.wait({stopping, answered}, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        await self._server.stop(None)  # else it would wait for connections on which nothing was asked for
        await stopping

    def service(self, handler_call_details: Any) -> Any:
        """grpcio's: what takes a request."""
        signal = _METHODS.get(handler_call_details.method)
        if signal is None:
            return None
        metadata = dict(handler_call_details.invocation_metadata or ())
        is_admitted = self._access.admits(metadata.get("authorization"))
        handle: Handle = partial(self._take, signal) if is_admitted else _refuse
        # On the wire a call with one message is the same; so it is we who wait for the message.
        return grpc.stream_unary_rpc_method_handler(handle)

    async def _message(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        """The message of a call."""
        reading = asyncio.ensure_future(_next(messages))
        self._reading.add(reading)
        try:
            done, _ = await asyncio.wait({reading}, timeout=self._sizes.reading_s)
        finally:
            self._reading.discard(reading)
            reading.cancel()
        if reading.cancelled():
            await _abort(context, rpc.status_of(ENDING))
        if not done:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the message did not come")
        message = reading.result()
        if message is None:  # gRPC refused it, or there is none
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "there is no message")
            raise AssertionError  # `abort` raises
        return message

    async def _take(self, signal: Signal, messages: AsyncIterator[bytes], context: Any) -> bytes:
        self._calls += 1
        self._is_idle.clear()
        context.add_done_callback(self._call_ended)
        data = await self._message(messages, context)
        if not self._intake.reserve(len(data)):
            answer = self._intake.refusal
        else:
            try:
                answer = await asyncio.wrap_future(self._intake.submit(Message(signal, data)))
            finally:
                self._intake.release(len(data))
        if answer.verdict is not Verdict.OK:
            await _abort(context, rpc.status_of(answer))
        told = Answer(Verdict.OK, _METRICS_TEXT) if signal is Signal.METRICS else answer
        made: bytes = rpc.response(signal, told).SerializeToString()
        return made

    def _call_ended(self, context: Any) -> None:  # noqa: ARG002 - a callback of grpcio's
        self._calls -= 1
        if not self._calls:
            self._is_idle.set()


async def _next(messages: AsyncIterator[bytes]) -> bytes | None:
    async for message in messages:
        return message
    return None


async def _refuse(messages: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: ARG001 - a handler of grpcio's
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")
    raise AssertionError  # `abort` raises


async def _abort(context: Any, status: Any) -> None:
    details = ((_STATUS_DETAILS, status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
