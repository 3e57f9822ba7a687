"""Any program of reads from any answer gets recorded what it gets plain, and what it got is the body of the entry."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import aiohttp
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider

from otel_har import HarInstrumentor, HarProcessor, HarSpanProcessor
from otel_har.record import HarRecord, PageFacts
from servers.server import Listener

in_bounds = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends: a body in pieces, coded, framed, and whole or cut."""

    pieces: list[bytes]
    coding: str
    framing: str
    cut: int

    def wire(self) -> bytes:
        """The whole answer, without its last `cut` bytes as far as they are of the body."""
        pieces = [piece for piece in self._coded() if piece]
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if self.coding:
            head += f"Content-Encoding: {self.coding}\r\n"
        body = b"".join(pieces)
        if self.framing == "length":
            head += f"Content-Length: {len(body)}\r\n"
        elif self.framing == "chunked":
            head += "Transfer-Encoding: chunked\r\n"
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return (head + "Connection: close\r\n\r\n").encode() + body[: max(0, len(body) - self.cut)]

    def _coded(self) -> list[bytes]:
        whole = b"".join(self.pieces)
        coded = whole
        if self.coding == "gzip":
            coded = gzip.compress(whole, mtime=0)  # else it has the time of the answer
        elif self.coding == "deflate":
            coded = zlib.compress(whole)
        edges = [0, *itertools.accumulate(map(len, self.pieces)), len(coded)]
        return [coded[start:end] for start, end in itertools.pairwise(sorted(edges))]


answers = st.builds(
    Answer,
    st.lists(st.binary(max_size=40) | st.sampled_from([b"line\n", b"\n", b"a" * 5000]), max_size=5),
    st.sampled_from(["", "", "gzip", "deflate", "x-unknown"]),
    st.sampled_from(["length", "chunked", "end"]),
    st.sampled_from([0, 0, 0, 1, 5, 30]),
)
sizes = st.integers(1, 60) | st.sampled_from([5000, 100_000])
steps = st.tuples(
    st.sampled_from(["read", "iterate", "line", "rest", "close", "raise"]),
    sizes,
)


class Records(HarProcessor):
    """Keeps what is complete."""

    def __init__(self) -> None:
        self.records: list[HarRecord] = []

    def on_record(self, record: HarRecord) -> None:
        """Keep it."""
        self.records.append(record)

    def on_page(self, page: PageFacts) -> None:
        """Nothing."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - nothing waits
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Bench:
    """A server for one answer at a time, and clients whose exchanges are kept."""

    records: Records
    answer: Answer | None = None
    url: str = ""

    def serve(self, connection: socket.socket) -> None:
        """Answer one request, and end the connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        if self.answer is not None:
            connection.sendall(self.answer.wire())


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The clients are instrumented; what must be plain suppresses that."""
    bench = Bench(Records())
    listener = Listener("answers", bench.serve, socket.create_server(("127.0.0.1", 0)))
    bench.url = f"http://127.0.0.1:{listener.address[1]}/"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(HarSpanProcessor(bench.records))
    HarInstrumentor().instrument(tracer_provider=provider)
    yield bench
    HarInstrumentor().uninstrument()
    provider.shutdown()
    listener.close()


class OwnError(Exception):
    """Of the program."""


def _told(error: Exception) -> str:
    return f"{type(error).__qualname__}: {error} {type(error.__cause__)}"


def _read(bench: Bench, program: list[tuple[str, int]], *, raw: bool, decoded: bool) -> tuple[list[str], bytes]:
    """Carry a program out; what it says, and the bytes that it got."""
    said: list[str] = []
    got: list[bytes] = []

    def carry_out(response: requests.Response, step: str, size: int) -> None:
        if step == "close":
            response.close()
        elif step == "raise":
            raise OwnError
        elif raw:
            read: Callable[[], bytes] = {
                "read": lambda: response.raw.read(size, decode_content=decoded),
                "iterate": lambda: next(response.raw.stream(size, decode_content=decoded), b""),
                "line": lambda: response.raw.read(1, decode_content=decoded),
                "rest": lambda: response.raw.read(decode_content=decoded),
            }[step]
            got.append(read())
        elif step == "rest":
            got.extend(response.iter_content(size))
        else:
            got.append(next(response.iter_content(size), b""))
        said.append(f"{step} {len(got)} {got[-1:]!r} {response.raw.closed} {response.raw.tell()}")

    try:
        with requests.get(bench.url, stream=True, timeout=20) as response:
            for step, size in program:
                carry_out(response, step, size)
                if step == "close":  # what urllib3 has decoded by then it gives out, and is in no entry
                    break
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        said.append(_told(error))
    return said, b"".join(got)


@in_bounds
@given(answers, st.lists(steps, max_size=6), st.booleans(), st.booleans())
def test_any_reading_with_requests(
    bench: Bench, answer: Answer, program: list[tuple[str, int]], raw: bool, decoded: bool
) -> None:
    """The program sees no difference, and the body that was noted is what it got."""
    bench.answer = answer
    with suppress_instrumentation():
        plain = _read(bench, program, raw=raw, decoded=decoded)
    bench.records.records.clear()
    recorded = _read(bench, program, raw=raw, decoded=decoded)
    assert plain == recorded
    [record] = bench.records.records
    assert record.exchange is not None
    assert recorded[1] == record.exchange.response_body.kept()


async def _take(content: aiohttp.StreamReader, step: str, size: int, got: list[bytes]) -> None:
    if step == "line":
        got.append(await content.readline())
    elif step == "read":
        got.append(await content.readexactly(size))
    else:
        async for piece in content.iter_chunked(size):
            got.append(piece)
            if step == "iterate":
                break


async def _fetch(bench: Bench, program: list[tuple[str, int]], *, decompress: bool) -> tuple[list[str], bytes]:
    said: list[str] = []
    got: list[bytes] = []
    is_framed = bench.answer is not None and bench.answer.framing != "end"
    try:
        async with (
            aiohttp.ClientSession(auto_decompress=decompress) as session,
            session.get(bench.url) as response,
        ):
            for step, size in program:
                if step == "raise":
                    raise OwnError  # noqa: TRY301 - what the program raises goes through the response's context
                if step == "close":
                    response.close()
                    continue
                try:
                    await _take(response.content, step, size, got)
                except (asyncio.IncompleteReadError, aiohttp.ClientError, ValueError) as error:
                    got.append(getattr(error, "partial", b""))
                    said.append(_told(error))
                is_at_end = is_framed and response.content.at_eof()  # else it is chance when the end comes
                said.append(f"{step} {len(got)} {got[-1:]!r} {is_at_end}")
    except (OwnError, aiohttp.ClientError) as error:
        said.append(_told(error))
    return said, b"".join(got)


@in_bounds
@given(answers.filter(lambda answer: not answer.cut), st.lists(steps, max_size=6), st.booleans())
def test_any_reading_with_aiohttp(
    bench: Bench, answer: Answer, program: list[tuple[str, int]], decompress: bool
) -> None:
    """The program sees no difference, and the body that was noted is what it got."""
    bench.answer = answer
    with suppress_instrumentation():
        plain = asyncio.run(_fetch(bench, program, decompress=decompress))
    bench.records.records.clear()
    recorded = asyncio.run(_fetch(bench, program, decompress=decompress))
    assert plain == recorded
    [record] = bench.records.records
    assert record.exchange is not None
    assert recorded[1] == record.exchange.response_body.kept()
