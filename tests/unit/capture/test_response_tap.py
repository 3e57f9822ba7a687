"""The tap around urllib3's responses: what a program reads is noted, in whatever way it reads."""

from __future__ import annotations

import gc
import io
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from otel_har.capture.response_tap import ResponseTap
from otel_har.capture.streams import ResponseNotes
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from servers import RecordingServer
from servers.releases import URLLIB3_MISSES_BYTES, URLLIB3_READS_ON
from servers.routes import CHUNKS, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATHS = ["/stream", "/bytes/5000", "/gzip", "/gzip-stream", "/br", "/http10", "/bytes/0", "/json"]
CODED = ["/gzip", "/gzip-stream", "/br"]


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


class _Client:
    """A real urllib3, whose responses are tapped."""

    def __init__(self, server: RecordingServer) -> None:
        self._server = server
        self._pool = urllib3.PoolManager(headers={"Accept-Encoding": "gzip, br"})
        self._responses: list[urllib3.BaseHTTPResponse] = []
        self.exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())

    def get(self, path: str, *, tapped: bool = True, decode_content: bool = True) -> Any:
        """Ask for a path; the response is not read yet."""
        response = self._pool.request(
            "GET",
            self._server.url(path),
            preload_content=False,
            timeout=20,
            retries=False,
            decode_content=decode_content,
        )
        self._responses.append(response)
        return ResponseTap(response, ResponseNotes(self.exchange)) if tapped else response

    def close(self) -> None:
        """Let everything go."""
        for response in self._responses:
            response.close()
        self._responses.clear()
        self._pool.clear()


@pytest.fixture
def client(server: RecordingServer) -> Iterator[_Client]:
    """A client of the server."""
    made = _Client(server)
    yield made
    made.close()


def _blocks(response: Any) -> bytes:
    data = b""
    while block := response.read(7):
        data += block
    return data


def _into(response: Any) -> bytes:
    data, buffer = b"", bytearray(11)
    while count := response.readinto(buffer):
        data += bytes(buffer[:count])
    return data


def _copied(response: Any) -> bytes:
    target = io.BytesIO()
    shutil.copyfileobj(response, target)
    return target.getvalue()


WAYS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda response: bytes(response.read(decode_content=True)),
    "read(7)": _blocks,
    "stream": lambda response: b"".join(response.stream(7)),
    "stream decoded": lambda response: b"".join(response.stream(7, decode_content=True)),
    "iteration": b"".join,
    "data": lambda response: bytes(response.data),
    "readinto": _into,
    "copyfileobj": _copied,
    "raw": lambda response: bytes(response.read(decode_content=False)),
    "raw stream": lambda response: b"".join(response.stream(7, decode_content=False)),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("way", WAYS)
def test_program_and_notes_have_the_same(client: _Client, server: RecordingServer, path: str, way: str) -> None:
    """However a program reads, it gets what it gets without the tap, and that is noted; sizes are the wire's."""
    expected = WAYS[way](client.get(path, tapped=False))
    actual = WAYS[way](client.get(path))
    body = client.exchange.response_body
    sent = server.exchanges[-1].response
    assert expected == actual == body.kept()
    if not URLLIB3_READS_ON and way in {"read(7)", "readinto"} and path in CODED:
        assert "whole" != body.state
        return
    assert ("whole", True) == (body.state, client.exchange.finished)
    assert (None, None) == (client.exchange.error, client.exchange.end_reason)
    assert body.wire_size_bytes in (None, len(sent.encoded))
    assert actual == (sent.encoded if body.encoded else sent.body)


def test_chunks_are_noted_as_they_come(client: _Client, server: RecordingServer) -> None:
    """Nothing is read ahead: the first chunk is noted while the server still holds the second."""
    response = client.get("/stream?gate=a")
    chunks = response.stream()
    assert CHUNKS[0] == next(chunks)
    assert (CHUNKS[0], "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)
    for chunk in CHUNKS[1:]:
        server.gates.release("a")
        assert chunk == next(chunks)
    assert [] == list(chunks)
    assert "whole" == client.exchange.response_body.state


@pytest.mark.skipif(not hasattr(urllib3.HTTPResponse, "read1"), reason="new in a later urllib3")
def test_read1_is_not_the_end(client: _Client, server: RecordingServer) -> None:
    """`read1` without a size gives what is there: the body goes on."""
    response = client.get("/stream?gate=a")
    assert CHUNKS[0] == response.read1()
    assert not client.exchange.finished
    for _ in CHUNKS[1:]:
        server.gates.release("a")
    data = CHUNKS[0]
    while piece := response.read1():
        data += piece
    assert b"".join(CHUNKS) == data == client.exchange.response_body.kept()
    assert "whole" == client.exchange.response_body.state


def test_read_chunked(client: _Client) -> None:
    """urllib3's own reading of chunks is noted by chunks."""
    assert list(CHUNKS) == list(client.get("/stream").read_chunked())
    assert (b"".join(CHUNKS), "whole") == (
        client.exchange.response_body.kept(),
        client.exchange.response_body.state,
    )


def test_lines(client: _Client) -> None:
    """A text wrapper around the response reads through the tap."""
    response = client.get("/json")
    response.auto_close = False  # else urllib3 closes itself below the wrapper
    lines = list(io.TextIOWrapper(response, "utf-8"))
    assert ['{"name": "Jürgen", "ok": true}'] == lines
    assert "".join(lines).encode() == client.exchange.response_body.kept()


@pytest.mark.skipif(not hasattr(urllib3.HTTPResponse, "json"), reason="new in a later urllib3")
def test_json(client: _Client) -> None:
    """`json()` of urllib3 reads the body once."""
    assert {"name": "Jürgen", "ok": True} == client.get("/json").json()
    assert "whole" == client.exchange.response_body.state


def test_nothing_of_nothing(client: _Client) -> None:
    """A read of no bytes says nothing of the end."""
    response = client.get("/bytes/10")
    assert b"" == response.read(0)
    assert not client.exchange.finished
    assert 10 == len(response.read())
    assert 10 == client.exchange.response_body.size_bytes


def test_end_at_the_last_byte(client: _Client) -> None:
    """A body of known length ends with its last byte, without the read that finds nothing."""
    response = client.get("/bytes/10")
    assert 10 == len(response.read(10))
    assert ("whole", True) == (client.exchange.response_body.state, client.exchange.finished)


@pytest.mark.parametrize("leave", ["close", "release_conn", "drain_conn"])
def test_left(client: _Client, leave: str) -> None:
    """A program that leaves a body has read what it has read, and no more is noted."""
    response = client.get("/bytes/5000")
    first = response.read(10)
    getattr(response, leave)()
    assert (first, "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)
    assert "closed before its end" == client.exchange.end_reason


def test_left_with_bytes_in_the_decoder(client: _Client) -> None:
    """A program that leaves a decoded body in the middle has read a part, though the connection gave everything."""
    response = client.get("/gzip")
    first = response.read(7, decode_content=True)
    response.close()
    state = "partial" if URLLIB3_READS_ON else "unread"
    assert (first, state) == (client.exchange.response_body.kept(), client.exchange.response_body.state)


def test_decoded_length_that_equals_the_wire_size(client: _Client, server: RecordingServer) -> None:
    """A decoded body does not end where it happens to be as long as it was on the wire."""
    response = client.get("/gzip")
    wire_bytes = int(response.headers["Content-Length"])
    data = response.read(wire_bytes, decode_content=True)
    assert not client.exchange.finished
    data += response.read(decode_content=True)
    assert data == client.exchange.response_body.kept()
    assert server.exchanges[-1].response.body.startswith(data)  # urllib3 2.0 forgets what its decoder still holds


def test_unread(client: _Client) -> None:
    """A body that nobody reads is not fetched."""
    client.get("/bytes/5000").close()
    assert ("unread", "closed before its end") == (client.exchange.response_body.state, client.exchange.end_reason)


def test_with_statement(client: _Client) -> None:
    """Leaving a `with` block closes the response, with an exception, too, and gives the tap to the block."""
    with pytest.raises(RuntimeError, match="mine"), client.get("/bytes/5000") as response:  # noqa: PT012 - what raises is the block
        assert isinstance(response, ResponseTap)
        response.read(10)
        raise RuntimeError("mine")
    assert ("partial", "closed before its end") == (client.exchange.response_body.state, client.exchange.end_reason)


def test_dropped(client: _Client) -> None:
    """A response that the program lets go of is over."""
    client.get("/bytes/5000").read(10)
    gc.collect()
    assert "the response was dropped before its end" == client.exchange.end_reason
    assert client.exchange.finished


def test_abandoned_iteration(client: _Client) -> None:
    """A loop that is left is no end of the body, until the response is left, too."""
    response = client.get("/bytes/5000")
    for _ in response.stream(10):
        break
    gc.collect()
    assert not client.exchange.finished
    response.close()
    assert ("partial", 10) == (client.exchange.response_body.state, client.exchange.response_body.size_bytes)


@pytest.mark.parametrize(
    ("way", "path"),
    [
        *((way, path) for way in ("read", "stream") for path in ("/truncated-chunks", "/bad-gzip")),
        ("read", "/truncated"),
        *([("stream", "/truncated")] if URLLIB3_MISSES_BYTES else []),
    ],
)
def test_broken_body(client: _Client, path: str, way: str) -> None:
    """What urllib3 raises reaches the program, and is the exchange's error."""
    with pytest.raises(urllib3.exceptions.HTTPError) as raised:
        WAYS[way](client.get(path))
    assert (client.exchange.error or "").startswith(type(raised.value).__qualname__)
    assert client.exchange.finished
    assert "whole" != client.exchange.response_body.state


def test_limits_do_not_touch_the_program(client: _Client) -> None:
    """A body over the limit reaches the program whole."""
    client.exchange = Exchange("GET", "x", started_unix_ns=1, started=1, limits=CaptureLimits(100))
    assert TEXT.encode() == client.get("/gzip").read(decode_content=True)
    body = client.exchange.response_body
    assert (100, len(TEXT.encode()), "truncated") == (body.kept_bytes, body.size_bytes, body.state)


def test_tap_is_a_response(client: _Client) -> None:
    """Attributes are the response's own, those it lacks too; type checks and writing through hold."""
    response = client.get("/gzip")
    wrapped = response.__wrapped__
    assert not hasattr(response, "no_such_attribute")
    response.decode_content = False
    assert wrapped.decode_content is False
    raw = response.read()
    assert isinstance(response, urllib3.HTTPResponse)
    assert (200, "gzip") == (response.status, response.headers["Content-Encoding"])
    assert raw.startswith(b"\x1f\x8b")
    assert client.exchange.response_body.encoded
