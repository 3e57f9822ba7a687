"""The tap around http.client's file: content, framing and trailers of chunked bodies, however they are taken apart."""

from __future__ import annotations

import http.client
import io
import itertools
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from otel_har.capture.wire_tap import ChunkedWire, WireTap, tap_wire
from otel_har.limits import CaptureLimits
from otel_har.message import Body
from servers import RecordingServer
from servers.releases import URLLIB3_READS_ON
from servers.stream_routes import TRAILERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIRE = b"5\r\nhello\r\n00A;a=b\r\n0123456789\r\n0\r\nX-A: b\r\nx-a:  c d \r\n\r\n"
CONTENT_BYTES = 15
CRLF = b"\r\n"


def _body() -> Body:
    return Body(CaptureLimits())


def _counted(body: Body) -> tuple[int | None, int, list[tuple[Any, Any]]]:
    return body.wire_size_bytes, body.framing_bytes, list(body.trailers)


COUNTED = (CONTENT_BYTES, len(WIRE) - CONTENT_BYTES, [(b"X-A", b"b"), (b"x-a", b"c d")])


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_any_steps(cuts: list[int]) -> None:
    """In whatever pieces the bytes pass, the count is the same."""
    body = _body()
    wire = ChunkedWire(body)
    edges = [0, *sorted(cuts), len(WIRE)]
    for begin, end in itertools.pairwise(edges):
        wire.passed(WIRE[begin:end])
    assert COUNTED == _counted(body)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.binary(max_size=20), max_size=3))
def test_any_chunks(chunks: list[bytes], extensions: list[bytes]) -> None:
    """Whatever the chunks hold, their content is told from what is around them."""
    body, wire = _body(), b""
    for number, chunk in enumerate(chunks):
        extension = b"".join(extensions[number : number + 1]).replace(b"\n", b"")
        wire += b"%x;%b\r\n%b\r\n" % (len(chunk), extension, chunk)
    ChunkedWire(body).passed(wire + b"0\r\n\r\n")
    content = sum(len(chunk) for chunk in chunks)
    assert (content, len(wire) + 5 - content, []) == _counted(body)


def test_a_body_under_way() -> None:
    """What has passed is counted, before there is an end to it."""
    body = _body()
    wire = ChunkedWire(body)
    assert (0, 0, []) == _counted(body)
    wire.passed(WIRE[:6])
    assert (3, 3, []) == _counted(body)


@pytest.mark.parametrize("line", [b"\r\n", b"x\r\n", b"-1\r\n", b";\r\n", b"5" * 70_000])
def test_what_is_no_chunk_ends_the_count(line: bytes) -> None:
    """After a size that clients refuse there is no more content."""
    body = _body()
    wire = ChunkedWire(body)
    wire.passed(b"1\r\na\r\n")
    wire.passed(line)
    wire.passed(b"1\r\na\r\n")
    assert (1, 5 + len(line) + 6, []) == _counted(body)


def test_lines_that_end_in_a_line_feed() -> None:
    """Clients take them, so they are counted."""
    body = _body()
    ChunkedWire(body).passed(b"3\nabc\r\n0\nA: b\n\n")
    assert (3, 12, [(b"A", b"b")]) == _counted(body)


def test_trailers_are_bounded() -> None:
    """More trailer fields than anybody sends are counted, and not kept."""
    body = _body()
    wire = ChunkedWire(body)
    wire.passed(b"0\r\n")
    for number in range(10_000):
        wire.passed(b"name-%d: value\r\n" % number)
    assert sum(len(name) + len(value) for name, value in body.trailers) < 16_384
    assert body.framing_bytes > 100_000


class _Trickle(io.RawIOBase):
    """A raw file that gives a few bytes at a time, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        """As every raw file that is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill at most 4 bytes."""
        return self._data.readinto(memoryview(buffer)[:4])


def _filled(file: Any, method: str) -> bytes:
    buffer, data = bytearray(7), b""
    while count := getattr(file, method)(buffer):
        data += buffer[:count]
    return data


READINGS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda file: file.read(),
    "read(-1)": lambda file: file.read(-1),
    "read(3)": lambda file: b"".join(iter(lambda: file.read(3), b"")),
    "read1": lambda file: b"".join(iter(lambda: file.read1(3), b"")),
    "read1()": lambda file: b"".join(iter(file.read1, b"")),
    "readline": lambda file: b"".join(iter(file.readline, b"")),
    "readline(4)": lambda file: b"".join(iter(lambda: file.readline(4), b"")),
    "readlines": lambda file: b"".join(file.readlines()),
    "for": b"".join,
    "next": lambda file: next(file) + file.read(),
    "readinto": lambda file: _filled(file, "readinto"),
    "readinto1": lambda file: _filled(file, "readinto1"),
    "peek": lambda file: b"".join(iter(lambda: file.read(len(file.peek()[:2])), b"")),
}


@pytest.mark.parametrize("reading", READINGS)
def test_any_reading(reading: str) -> None:
    """Each method of the file gives what the file gives, and is counted once."""
    body = _body()
    file = WireTap(io.BufferedReader(_Trickle(WIRE), 5), ChunkedWire(body))
    assert WIRE == READINGS[reading](file)
    assert COUNTED == _counted(body)


def test_the_tap_is_taken_for_the_file() -> None:
    """Everything else is the file's own."""
    raw = _Trickle(WIRE)
    file = io.BufferedReader(raw)
    tap: Any = WireTap(file, ChunkedWire(_body()))
    assert (True, io.BufferedReader, raw, True) == (
        isinstance(tap, io.BufferedReader),
        tap.__class__,
        tap.raw,
        bool(tap),
    )
    assert (repr(file), iter(tap)) == (repr(tap), tap)
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(tap)
    tap.close()
    assert file.closed


READ1 = ["read1"] if hasattr(urllib3.HTTPResponse, "read1") else []  # new in a later urllib3


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


@pytest.mark.parametrize("path", ["/stream", "/trailers", "/gzip-chunks", "/many/50"])
@pytest.mark.parametrize("reading", ["read", "stream", "read(5)", *READ1, "original"])
def test_a_response(server: RecordingServer, path: str, reading: str) -> None:
    """Whoever of urllib3 and http.client takes the body apart, all of the wire is counted, and trailers are found."""
    body = _body()
    pool = urllib3.PoolManager()
    response: Any = pool.request("GET", server.url(path), preload_content=False, retries=False, timeout=20)
    tap_wire(response, body)
    ways: dict[str, Callable[[], object]] = {
        "read": response.read,
        "stream": lambda: list(response.stream(7)),
        "read(5)": lambda: list(iter(lambda: response.read(5, decode_content=URLLIB3_READS_ON), b"")),
        "read1": lambda: list(iter(lambda: response.read1(5), b"")),
        "original": lambda: list(response._original_response),
    }
    ways[reading]()
    [exchange] = server.exchanges
    expected = [(name.encode(), value.encode()) for name, value in TRAILERS] if path == "/trailers" else []
    sent = exchange.response
    assert (len(sent.encoded), len(sent.wire) - len(sent.encoded), expected) == _counted(body)
    assert b"" == response.read()
    pool.clear()


@pytest.mark.parametrize("path", ["/json", "/http10", "/gzip"])
def test_other_responses_are_left_alone(server: RecordingServer, path: str) -> None:
    """urllib3 counts a body that is not chunked."""
    pool = urllib3.PoolManager()
    response: Any = pool.request("GET", server.url(path), preload_content=False, retries=False, timeout=20)
    file = response._original_response.fp
    tap_wire(response, _body())
    assert file is response._original_response.fp
    response.read()
    pool.clear()


@pytest.mark.parametrize("raw", [None, io.BytesIO(b"x"), http.client.HTTPResponse])
def test_foreign_responses_are_left_alone(raw: object) -> None:
    """What is not urllib3's is not touched, and not counted."""
    body = _body()
    tap_wire(raw, body)
    assert body.wire_size_bytes is None
