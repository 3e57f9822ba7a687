"""The two servers of the receiver, asked by real clients over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import logging
import ssl
import threading
import urllib.request
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import trustme
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otel_har.otlp.json_form import json_from_request
from otel_har.receive.access import Access
from otel_har.receive.answers import Answer, Verdict
from otel_har.receive.certificates import Certificates
from otel_har.receive.grpc_server import GrpcServer
from otel_har.receive.http_server import HttpServer
from otel_har.receive.intake import Intake, Message, Signal
from otel_har.receive.sizes import Sizes
from servers.receiving import PATIENCE_S, entry, request

SIZES = Sizes(message_bytes=100_000, queue_bytes=150_000, ending_s=PATIENCE_S)
PROTOBUF = {"Content-Type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


@dataclass
class Taken:
    """Notes the messages that a deliverer gets, and gives the answer that is wanted; a closed gate holds it up."""

    answer: Answer = field(default_factory=lambda: Answer(Verdict.OK))
    messages: list[Message] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)

    def deliver(self, messages: Sequence[Message]) -> Sequence[Answer]:
        """Deliver them."""
        self.messages += messages
        if messages:
            self.came.set()
            assert self.gate.wait(PATIENCE_S)
        return [self.answer] * len(messages)


@pytest.fixture
def taken() -> Taken:
    """A deliverer that is not held up."""
    made = Taken()
    made.gate.set()
    return made


@contextlib.asynccontextmanager
async def serving(
    taken: Taken, *, token: str | None = None, sizes: Sizes = SIZES, certificates: Certificates | None = None
) -> AsyncIterator[tuple[str, str]]:
    """Both servers: the address of the one for gRPC, and of the one for HTTP."""
    intake = Intake(taken.deliver, sizes.queue_bytes)
    grpc_server = GrpcServer(intake, Access(token), sizes, certificates.for_grpc() if certificates else None)
    http_server = HttpServer(intake, Access(token), sizes, certificates.for_http() if certificates else None)
    grpc_port, http_port = await grpc_server.start("127.0.0.1", 0), await http_server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{grpc_port}", f"127.0.0.1:{http_port}"
    finally:
        taken.gate.set()
        await asyncio.gather(grpc_server.stop(), http_server.stop())
        assert await asyncio.to_thread(intake.close, PATIENCE_S)


async def post(
    address: str, body: bytes, headers: dict[str, str] | None = None, path: str = "/v1/logs"
) -> tuple[int, bytes, dict[str, str]]:
    """A request over HTTP: status, body and header fields of the answer."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(f"http://{address}{path}", data=body, headers={**PROTOBUF, **(headers or {})}) as answer,
    ):
        return answer.status, await answer.read(), dict(answer.headers)


async def call(
    address: str, body: bytes, metadata: tuple[tuple[str, str], ...] = (), compression: grpc.Compression | None = None
) -> bytes:
    """A request over gRPC: the answer."""
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        export: Any = channel.unary_unary(EXPORT)  # bytes to bytes
        made: bytes = await export(body, metadata=metadata, compression=compression)
        return made


@pytest.mark.parametrize("signal", list(Signal))
async def test_http_paths(taken: Taken, signal: Signal) -> None:
    """Each path is one of the three signals, and is answered with an empty response; metrics are told of."""
    async with serving(taken) as (_, http):
        status, body, headers = await post(http, b"abc", path=f"/v1/{signal.value}")
    assert (200, "application/x-protobuf") == (status, headers["Content-Type"])
    assert [Message(signal, b"abc")] == taken.messages
    assert (b"no metrics" in body) == (signal is Signal.METRICS)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", gzip.compress(b"abc")), ("deflate", zlib.compress(b"abc")), ("GZIP", gzip.compress(b"abc"))],
)
async def test_http_codings(taken: Taken, coding: str, packed: bytes) -> None:
    """A compressed body goes on as it came: it is inflated where its size is watched."""
    async with serving(taken) as (_, http):
        status, _, _ = await post(http, packed, {"Content-Encoding": coding})
    assert (200, [Message(Signal.LOGS, packed, coding.lower())]) == (status, taken.messages)


async def test_http_json(taken: Taken) -> None:
    """JSON is answered in JSON, with what was rejected."""
    taken.answer = Answer(Verdict.OK, "one was broken", rejected=1)
    sent = json_from_request(request(entry(1)))
    async with serving(taken) as (_, http):
        status, body, _ = await post(http, sent, {"Content-Type": "application/json"})
    assert (200, [Message(Signal.LOGS, sent, is_json=True)]) == (status, taken.messages)
    assert {"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "one was broken"}} == json.loads(body)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"Content-Type": "text/plain"}, 415), ({"Content-Encoding": "br"}, 415), ({"Content-Encoding": "zstd"}, 415)],
)
async def test_http_unknown_forms(taken: Taken, headers: dict[str, str], expected: int) -> None:
    """A form that is not OTLP's is refused."""
    async with serving(taken) as (_, http):
        status, body, _ = await post(http, b"abc", headers)
    assert (expected, []) == (status, taken.messages)
    assert "application/x-protobuf" in Status.FromString(body).message


@pytest.mark.parametrize(
    ("verdict", "expected", "retry_after"),
    [
        (Verdict.BUSY, 429, "7"),
        (Verdict.MALFORMED, 400, None),
        (Verdict.TOO_LARGE, 413, None),
        (Verdict.FAILED, 500, None),
    ],
)
async def test_http_failures(taken: Taken, verdict: Verdict, expected: int, retry_after: str | None) -> None:
    """What is not taken has OTLP's status; only what may come again says when."""
    taken.answer = Answer(verdict, "so it is", retry_after_s=7)
    async with serving(taken) as (_, http):
        status, body, headers = await post(http, b"abc")
    assert (expected, retry_after) == (status, headers.get("Retry-After"))
    assert "so it is" == Status.FromString(body).message


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.BUSY, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Verdict.MALFORMED, grpc.StatusCode.INVALID_ARGUMENT),
        (Verdict.TOO_LARGE, grpc.StatusCode.INVALID_ARGUMENT),
        (Verdict.FAILED, grpc.StatusCode.INTERNAL),
    ],
)
async def test_grpc_failures(taken: Taken, verdict: Verdict, expected: grpc.StatusCode) -> None:
    """What is not taken has gRPC's status; only what may come again has RetryInfo."""
    taken.answer = Answer(verdict, "so it is", retry_after_s=7)
    async with serving(taken) as (address, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(address, b"abc")
    assert (expected, "so it is") == (caught.value.code(), caught.value.details())
    details = dict(tuple(caught.value.trailing_metadata() or ()))["grpc-status-details-bin"]
    delays = []
    for detail in Status.FromString(bytes(details)).details:
        info = RetryInfo()
        assert detail.Unpack(info)
        delays.append(info.retry_delay.seconds)
    assert ([7] if verdict is Verdict.BUSY else []) == delays


async def test_grpc_taken(taken: Taken) -> None:
    """A request over gRPC is taken as it came, compressed or not, and answered with what was rejected."""
    taken.answer = Answer(Verdict.OK, "one was broken", rejected=1)
    async with serving(taken) as (address, _):
        answer = await call(address, b"abc")
        await call(address, b"def" * 1000, compression=grpc.Compression.Gzip)
    assert [Message(Signal.LOGS, b"abc"), Message(Signal.LOGS, b"def" * 1000)] == taken.messages
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert (1, "one was broken") == (partial.rejected_log_records, partial.error_message)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
async def test_grpc_too_large(taken: Taken, compression: grpc.Compression | None) -> None:
    """A message that is too large is refused by gRPC, also one that is small as it comes."""
    async with serving(taken) as (address, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(address, bytes(10_000_000), compression=compression)
    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, []) == (caught.value.code(), taken.messages)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_http_too_large(taken: Taken, *, is_chunked: bool) -> None:
    """A body that is too large is not read, announced or not."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield bytes(10_000)

    body = pieces() if is_chunked else bytes(100_001)
    async with (
        serving(taken) as (_, http),
        aiohttp.ClientSession() as session,
        session.post(f"http://{http}/v1/logs", data=body, headers=PROTOBUF) as answer,
    ):
        assert (413, []) == (answer.status, taken.messages)


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [(None, 401), ("Bearer wrong", 401), ("Basic secret", 401), ("Bearer secrets", 401), ("bearer secret", 200)],
)
async def test_token(taken: Taken, authorization: str | None, expected: int) -> None:
    """With a token only who has it may send, over both."""
    headers = {"Authorization": authorization} if authorization else {}
    metadata = (("authorization", authorization),) if authorization else ()
    async with serving(taken, token="secret") as (address, http):  # noqa: S106 - a test's
        status, _, answered = await post(http, b"abc", headers)
        try:
            await call(address, b"abc", metadata)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as fault:
            code = fault.code()
    assert (expected, "Bearer" if expected == 401 else None) == (status, answered.get("WWW-Authenticate"))
    assert (grpc.StatusCode.OK if expected == 200 else grpc.StatusCode.UNAUTHENTICATED) == code
    assert (2 if expected == 200 else 0) == len(taken.messages)


async def test_queue_full() -> None:
    """As long as too much waits, more is refused with the time to come again; then it is taken."""
    taken = Taken()
    body = bytes(90_000)
    async with serving(taken) as (address, http):
        first = asyncio.create_task(post(http, body))
        await asyncio.to_thread(taken.came.wait, PATIENCE_S)
        status, _, headers = await post(http, body)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(address, body)
        taken.gate.set()
        assert 200 == (await first)[0]
        assert 200 == (await post(http, body))[0]
    assert (429, "1", grpc.StatusCode.RESOURCE_EXHAUSTED) == (status, headers["Retry-After"], caught.value.code())
    assert 2 == len(taken.messages)


async def _taken_in_the_end(http: str) -> None:
    while (await post(http, bytes(90_000)))[0] != 200:
        pass


async def test_room_is_given_back(taken: Taken) -> None:
    """Senders who go away in the middle of a body leave nothing behind of what they took."""
    async with serving(taken) as (_, http):
        host, _, port = http.partition(":")
        for _ in range(3):
            reader, writer = await asyncio.open_connection(host, int(port))
            head = "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            writer.write(f"{head}Content-Length: 90000\r\nExpect: 100-continue\r\n\r\n".encode())
            assert b"HTTP/1.1 100 Continue\r\n" == await reader.readline()
            writer.close()
            await writer.wait_closed()
        await asyncio.wait_for(_taken_in_the_end(http), PATIENCE_S)
    assert 1 == len(taken.messages)


async def _silent_post(http: str, more: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that announces a body of 90,000 bytes, and sends a part of it."""
    host, _, port = http.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    writer.write(f"{head}Content-Length: 90000\r\nExpect: 100-continue\r\n\r\n".encode())
    assert b"HTTP/1.1 100 Continue\r\n" == await reader.readline()
    assert b"\r\n" == await reader.readline()
    writer.write(more)
    await writer.drain()
    return reader, writer


async def test_announced_only(taken: Taken) -> None:
    """Who announces a body and does not send it takes no room from others."""
    async with serving(taken) as (_, http), contextlib.AsyncExitStack() as opened:
        for _ in range(5):
            _, writer = await _silent_post(http)
            opened.callback(writer.close)
        assert 200 == (await post(http, bytes(90_000)))[0]


async def test_sent_in_part(taken: Taken) -> None:
    """Who sends a part of a body has the room for that part, and only for so long."""
    sizes = replace(SIZES, reading_s=0.5)
    async with serving(taken, sizes=sizes) as (_, http):
        readers = [await _silent_post(http, bytes(60_000)) for _ in range(2)]
        for reader, writer in readers:
            assert b"HTTP/1.1 503 Service Unavailable\r\n" == await reader.readline()
            writer.close()
        assert 200 == (await post(http, bytes(90_000)))[0]


async def test_calls_without_message(taken: Taken) -> None:
    """A call whose message does not come holds its place for so long only; one without a message is refused."""
    sizes = replace(SIZES, requests=2, reading_s=0.5)
    async with serving(taken, sizes=sizes) as (address, _), grpc.aio.insecure_channel(address) as channel:
        export: Any = channel.stream_unary(EXPORT)
        codes = await asyncio.gather(*(_code(export()) for _ in range(2)))
        assert [grpc.StatusCode.DEADLINE_EXCEEDED] * 2 == codes
        assert grpc.StatusCode.INVALID_ARGUMENT == await _code(export(iter(())))
        await call(address, b"abc")
    assert [Message(Signal.LOGS, b"abc")] == taken.messages


async def test_end_among_the_silent() -> None:
    """The end does not wait for connections without a whole request; what is being delivered is answered."""
    taken = Taken()
    intake = Intake(taken.deliver, SIZES.queue_bytes)
    servers = GrpcServer(intake, Access(None), SIZES), HttpServer(intake, Access(None), SIZES)
    ports = [await server.start("127.0.0.1", 0) for server in servers]
    address, http = (f"127.0.0.1:{port}" for port in ports)
    async with grpc.aio.insecure_channel(address) as channel:
        export: Any = channel.stream_unary(EXPORT)
        silent = asyncio.ensure_future(_code(export()))
        streams = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
        streams[1][1].write(b"POST /v1/logs HT")
        streams.append(await _silent_post(http, bytes(10)))
        busy = [asyncio.ensure_future(post(http, b"abc")), asyncio.ensure_future(call(address, b"def"))]
        while intake.has_room(SIZES.queue_bytes - 15):  # noqa: ASYNC110 - nothing tells when both are there
            await asyncio.sleep(0)
        stops = [asyncio.ensure_future(server.stop()) for server in servers]
        assert b"" == await asyncio.wait_for(streams[2][0].read(), PATIENCE_S / 2)
        # Whichever it is tells when the end comes before the call is seen; both mean to come again.
        retryable = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        assert await asyncio.wait_for(silent, PATIENCE_S / 2) in retryable
        assert [False, False] == [stop.done() for stop in stops]
        taken.gate.set()
        answers: list[Any] = await asyncio.gather(*busy)
        assert (200, b"") == (answers[0][0], answers[1])
        await asyncio.wait_for(asyncio.gather(*stops), PATIENCE_S / 2)
    for _, writer in streams:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert await asyncio.to_thread(intake.close, PATIENCE_S)


async def _code(calling: Any) -> grpc.StatusCode:
    try:
        await calling
    except grpc.aio.AioRpcError as fault:
        return fault.code()
    return grpc.StatusCode.OK


async def test_who_leaves(taken: Taken, caplog: pytest.LogCaptureFixture) -> None:
    """A sender that goes away in the middle of its message is a line for those who debug, and no more."""
    caplog.set_level(logging.DEBUG, "otel_har")
    async with serving(taken) as (address, http):
        _, writer = await _silent_post(http, bytes(10))
        writer.transport.abort()
        async with grpc.aio.insecure_channel(address) as channel:
            export: Any = channel.stream_unary(EXPORT)
            leaving = export()
            await channel.channel_ready()
            leaving.cancel()
        assert 200 == (await post(http, b"abc"))[0]
        await call(address, b"abc")
    told = [record for record in caplog.records if record.levelno > logging.INFO or record.name == "otel_har"]
    assert [(logging.DEBUG, "otel-har: a request did not come to its end")] == [
        (record.levelno, record.getMessage().rpartition(":")[0]) for record in told
    ]


def _status(url: str, context: ssl.SSLContext | None = None) -> int:
    """The status of a request; 0 without an answer."""
    asked = urllib.request.Request(url, b"def", PROTOBUF)  # noqa: S310 - the test's
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_S, context=context) as answer:  # noqa: S310 - the test's
            return int(answer.status)
    except (OSError, http.client.HTTPException):
        return 0


async def test_tls(taken: Taken, tmp_path: Path) -> None:
    """With a certificate both speak TLS; with an authority for senders, only those with a certificate of it."""
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("sender@shop.test")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    server.private_key_pem.write_to_path(paths["key"])
    paths["cert"].write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    certificates = Certificates(paths["cert"], paths["key"], paths["ca"])
    chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
    known = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), client.private_key_pem.bytes(), chain)
    unknown = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    codes, statuses = [], []
    async with serving(taken, certificates=certificates) as (address, http):
        for credentials in (known, unknown):
            async with grpc.aio.secure_channel(address, credentials) as channel:
                try:
                    export: Any = channel.unary_unary(EXPORT)  # bytes to bytes
                    await export(b"abc", timeout=PATIENCE_S)
                    codes.append(grpc.StatusCode.OK)
                except grpc.aio.AioRpcError as fault:
                    codes.append(fault.code())
        for is_known in (True, False):
            context = ssl.create_default_context(cafile=paths["ca"])
            if is_known:
                client.configure_cert(context)
            statuses.append(await asyncio.to_thread(_status, f"https://{http}/v1/logs", context))
        statuses.append(await asyncio.to_thread(_status, f"http://{http}/v1/logs"))
    assert ([grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE], [200, 0, 0]) == (codes, statuses)
    assert [Message(Signal.LOGS, b"abc"), Message(Signal.LOGS, b"def")] == taken.messages
