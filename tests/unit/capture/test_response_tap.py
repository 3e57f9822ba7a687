"""The tap around urllib3's responses: what a program reads is noted, in whatever way it reads."""

from __future__ import annotations

import functools
import gc
import io
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from otel_har.capture.response_tap import ResponseTap
from otel_har.capture.streams import ResponseNotes
from otel_har.capture.wire_tap import tap_wire
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from servers import RecordingServer
from servers.releases import (
    URLLIB3_DELEGATES,
    URLLIB3_LOOKS_BEFORE_IT_READS,
    URLLIB3_MISSES_BYTES,
    URLLIB3_READS_ON,
)
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


@pytest.mark.parametrize("leave", ["close", "drain_conn"])
def test_left(client: _Client, leave: str) -> None:
    """A program that leaves a body has read what it has read, and no more is noted."""
    response = client.get("/bytes/5000")
    first = response.read(10)
    getattr(response, leave)()
    assert (first, "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)
    assert "closed before its end" == client.exchange.end_reason


def test_a_program_that_gives_the_connection_back_reads_on(client: _Client) -> None:
    """`release_conn` closes nothing: what is read behind it is noted."""
    response = client.get("/bytes/5000")
    first = response.read(10)
    response.release_conn()
    assert first + response.read() == client.exchange.response_body.kept()
    assert "whole" == client.exchange.response_body.state


@pytest.mark.parametrize("length", ["5000", None])
def test_a_body_that_was_read_and_put_back_is_counted_once(client: _Client, length: str | None) -> None:
    """A cache in an adapter reads a body to keep it, and puts it back as a body that is still to be read."""
    response = client.get("/bytes/5000", tapped=False)
    data = response.read(decode_content=False)
    response._fp, response.length_remaining = io.BytesIO(data), len(data)  # as CacheControl does
    response.headers.pop("Content-Length")
    if length is not None:
        response.headers["Content-Length"] = length
    tapped = ResponseTap(response, ResponseNotes(client.exchange))
    assert [data[:4000], data[4000:]] == [tapped.read(4000), tapped.read()]
    body = client.exchange.response_body
    assert ("whole", 5000, 5000) == (body.state, body.size_bytes, body.wire_size_bytes)


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


def _refused(call: Callable[[], object], kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        call()


REFUSALS: dict[str, Callable[[Any], None]] = {
    "unchunked": lambda response: _refused(
        lambda: list(response.read_chunked()), urllib3.exceptions.ResponseNotChunked
    ),
    "argument": lambda response: _refused(lambda: response.read("x"), TypeError),
    "not allowed": lambda response: _refused(lambda: response.readline("x"), TypeError),
}
if not URLLIB3_LOOKS_BEFORE_IT_READS:
    del REFUSALS["argument"]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_read_is_no_end(client: _Client, refusal: str) -> None:
    """A program that reads on after a read that was refused has the whole body and no error."""
    response = client.get("/bytes/50")
    REFUSALS[refusal](response)
    assert not client.exchange.finished
    data = response.read()
    assert (50, data) == (len(data), client.exchange.response_body.kept())
    assert ("whole", None) == (client.exchange.response_body.state, client.exchange.error)


def test_a_refused_read_is_the_reason_of_a_program_that_leaves(client: _Client) -> None:
    """A program that does not read on ends the exchange with what it was refused."""
    response = client.get("/bytes/50")
    REFUSALS["unchunked"](response)
    response.close()
    assert (client.exchange.error or "").startswith("ResponseNotChunked: ")
    assert ("unread", "closed before its end") == (client.exchange.response_body.state, client.exchange.end_reason)


def test_an_error_that_closes_the_stream_breaks_it(client: _Client) -> None:
    """Where an error of any kind made urllib3 close the response, nobody can read on."""
    response = client.get("/bytes/50")

    def failing(*_: object) -> bytes:
        raise LookupError("mine")

    response._fp.read = failing
    _refused(lambda: response.read(5), LookupError)
    assert (True, "LookupError: mine") == (client.exchange.finished, client.exchange.error)


@pytest.mark.parametrize(
    ("path", "state", "end_reason"), [("/bytes/50", "whole", None), ("/stream", "partial", "closed before its end")]
)
def test_what_a_program_throws_is_no_failure(client: _Client, path: str, state: str, end_reason: str | None) -> None:
    """An exception of the program's in an iteration is none of the stream; of a chunked body urllib3 ends it there."""
    response, plain = client.get(path), client.get(path, tapped=False)
    is_taken_for_the_networks = state == "partial" and URLLIB3_DELEGATES
    kind = urllib3.exceptions.ProtocolError if is_taken_for_the_networks else OSError
    pieces, plain_pieces = response.stream(5), plain.stream(5)
    first = next(pieces)
    assert next(plain_pieces) == first
    _refused(lambda: pieces.throw(OSError("mine")), kind)
    _refused(lambda: plain_pieces.throw(OSError("mine")), kind)
    assert (plain.isclosed(), plain.read()) == (response.isclosed(), rest := response.read())
    body = client.exchange.response_body
    assert (first + rest, state) == (body.kept(), body.state)
    assert (None, end_reason) == (client.exchange.error, client.exchange.end_reason)


def test_what_an_iterator_makes_of_an_exception_is_noted(client: _Client) -> None:
    """A generator that answers a thrown exception with a piece goes on; one without `throw` cannot be told."""

    def stubborn() -> Iterator[bytes]:
        try:
            yield b"a"
        except ValueError:
            yield b"b"

    response = client.get("/bytes/50")
    response.stream = lambda: stubborn()  # noqa: PLW0108 - to be called anew
    pieces = response.stream()
    assert (b"a", b"b", []) == (next(pieces), pieces.throw(ValueError), list(pieces))
    assert b"ab" == client.exchange.response_body.kept()
    response.stream = lambda: iter([b"c"])
    pieces = response.stream()
    assert b"c" == next(pieces)
    _refused(lambda: pieces.throw(ValueError("mine")), ValueError)


def _with_partial(response: Any) -> Any:
    response.read = functools.partial(response.read, decode_content=True)
    return response


NESTED: dict[str, Callable[[Any], bytes]] = {
    "copyfileobj": lambda response: _copied(_with_partial(response)),
    "read": lambda response: bytes(_with_partial(response).read()),
    "stream": lambda response: b"".join(_with_partial(response).stream(7, decode_content=True)),
    "data": lambda response: bytes(_with_partial(response).data),
}


@pytest.mark.parametrize("path", ["/gzip", "/stream", "/bytes/500"])
@pytest.mark.parametrize("way", NESTED)
def test_a_method_that_the_program_wraps_is_noted_once(
    client: _Client, server: RecordingServer, path: str, way: str
) -> None:
    """`raw.read = partial(raw.read, decode_content=True)`: each byte is noted once, and as decoded."""
    data = NESTED[way](client.get(path))
    body = client.exchange.response_body
    assert server.exchanges[-1].response.body == data == body.kept()
    assert (len(data), "whole", False) == (body.size_bytes, body.state, body.encoded)


@pytest.mark.parametrize("again", [lambda response: response.read(), lambda response: list(response.stream(10))])
def test_what_is_asked_of_a_finished_body_changes_nothing(client: _Client, again: Callable[[Any], object]) -> None:
    """A read behind the end, in another coding, leaves the body as it was noted."""
    response = client.get("/gzip")
    data = response.read(decode_content=True)
    again(response)
    body = client.exchange.response_body
    assert (data, False) == (body.kept(), body.encoded)


BENEATH: dict[str, Callable[[Any], int]] = {
    "read": lambda original: len(original.read()),
    "read1": lambda original: len(original.read1(5)),
    "readinto": lambda original: original.readinto(bytearray(5)),
    "readline": lambda original: len(original.readline()),
}


@pytest.mark.parametrize("path", ["/stream", "/bytes/50"])
@pytest.mark.parametrize("way", BENEATH)
def test_what_is_read_beneath_the_stream_is_told(client: _Client, path: str, way: str) -> None:
    """Bytes taken from `_original_response` are counted, and not said to be unread."""
    response = client.get(path)
    tap_wire(response.__wrapped__, client.exchange.response_body)
    count = BENEATH[way](response._original_response)
    response.close()
    body = client.exchange.response_body
    assert ("unread", True, count) == (body.state, body.has_gaps, body.wire_size_bytes)
    assert "bytes came that no read of the response's stream returned" == client.exchange.end_reason


def test_what_is_missing_in_the_middle_is_told(client: _Client, server: RecordingServer) -> None:
    """A body of which the program read some beneath the stream is not whole at its end, and its sizes differ."""
    response = client.get("/stream")
    tap_wire(response.__wrapped__, client.exchange.response_body)
    data = response.read(3)
    response._original_response.read(4)
    data += response.read()
    body = client.exchange.response_body
    assert (data, "partial", True) == (body.kept(), body.state, body.has_gaps)
    assert len(data) + 4 == len(server.exchanges[-1].response.body) == body.wire_size_bytes


@pytest.mark.skipif(not URLLIB3_MISSES_BYTES, reason="new in a later urllib3")
def test_what_urllib3_misses_is_counted(client: _Client) -> None:
    """Of a body of known length urllib3 finds that bytes are missing; all that came are in the size."""
    response = client.get("/bytes/50")
    response.read(3)
    response._original_response.read(4)
    _refused(lambda: response.read(1000), urllib3.exceptions.ProtocolError)
    body = client.exchange.response_body
    assert (3, "partial", True, 50) == (body.size_bytes, body.state, body.has_gaps, body.wire_size_bytes)


def test_what_urllib3_drains_is_not_read_beneath(client: _Client) -> None:
    """`drain_conn` reads a body that the program did not read."""
    response = client.get("/stream")
    tap_wire(response.__wrapped__, client.exchange.response_body)
    response.drain_conn()
    body = client.exchange.response_body
    assert ("unread", False, "closed before its end") == (body.state, body.has_gaps, client.exchange.end_reason)


def test_a_failed_read_that_loses_bytes(client: _Client) -> None:
    """A `readinto` that cannot write what it has read takes it along: the body ends, and is not whole."""
    response = client.get("/bytes/50")
    _refused(lambda: response.readinto("x"), TypeError)
    data = response.read()
    body = client.exchange.response_body
    assert (49, data, "partial", True) == (len(data), body.kept(), body.state, body.has_gaps)
    assert (50, "bytes came that no read of the response's stream returned") == (
        body.wire_size_bytes,
        client.exchange.end_reason,
    )
