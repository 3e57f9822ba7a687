"""What taps have in common: notes on a response's reading, and request bodies that are noted as they are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from otel_har.capture.streams import RequestBodyNotes, RequestBodyTap, ResponseNotes, error_text
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.message import Body
from servers import RecordingServer
from servers.releases import URLLIB3_SENDS_UTF_8

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


@pytest.fixture
def exchange() -> Exchange:
    """An exchange whose response is about to be read."""
    return Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())


def _tap(wrapped: Any) -> tuple[Any, Body]:
    body = Body(CaptureLimits())
    return RequestBodyTap(wrapped, RequestBodyNotes(body)), body


def test_read_to_the_end(exchange: Exchange) -> None:
    """Bytes, then the end with the size on the wire; what comes after that is not noted."""
    notes = ResponseNotes(exchange)
    notes.chunk(b"ab")
    notes.chunk(b"")
    notes.ended(7)
    notes.chunk(b"more")
    notes.taken_back(1)
    notes.left("closed")
    notes.failed(OSError("late"))
    notes.ended(9)
    body = exchange.response_body
    assert (b"ab", "whole", 7) == (body.kept(), body.state, body.wire_size_bytes)
    assert (True, None, None) == (exchange.finished, exchange.end_reason, exchange.error)


def test_left(exchange: Exchange) -> None:
    """A response that the program leaves says why it ends there; the first reason counts."""
    notes = ResponseNotes(exchange)
    notes.chunk(b"ab")
    notes.left("closed")
    notes.left("dropped")
    assert ("partial", "closed", None) == (exchange.response_body.state, exchange.end_reason, exchange.error)


def test_failed(exchange: Exchange) -> None:
    """A read that raises ends the exchange with the exception's words."""
    ResponseNotes(exchange).failed(ConnectionResetError("gone"))
    assert ("ConnectionResetError: gone", True) == (exchange.error, exchange.finished)


def test_interrupted(exchange: Exchange) -> None:
    """A read that was given up is the error only if the program does not read on to the end."""
    notes = ResponseNotes(exchange)
    notes.interrupted(TimeoutError("slow"))
    assert (False, None) == (exchange.finished, exchange.error)
    notes.left("closed")
    assert "TimeoutError: slow" == exchange.error


def test_interrupted_and_read_on(exchange: Exchange) -> None:
    """A program that reads on after a cancelled read has a whole body and no error."""
    notes = ResponseNotes(exchange)
    notes.interrupted(TimeoutError("slow"))
    notes.chunk(b"x")
    notes.ended()
    assert (None, "whole") == (exchange.error, exchange.response_body.state)


def test_taken_back(exchange: Exchange) -> None:
    """Bytes that the program put back are read once."""
    notes = ResponseNotes(exchange)
    notes.chunk(b"abc")
    notes.taken_back(2)
    notes.chunk(b"bc")
    notes.ended()
    assert b"abc" == exchange.response_body.kept()


class _Unspeakable(Exception):  # noqa: N818 - its name is looked at
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("why"), "ValueError: why"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (_Unspeakable(), "_Unspeakable"),
        (ValueError("x" * 5000), "ValueError: " + "x" * 988),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_error_text(error: BaseException, text: str) -> None:
    """Type and message of any exception, bounded, whatever its own `__str__` does."""
    actual = error_text(error)
    assert text == actual


def _generator() -> Iterator[bytes]:
    yield b"one "
    yield b""
    yield b"two"


def test_generator() -> None:
    """A generator is noted as it is iterated, and ended when it is exhausted."""
    tap, body = _tap(_generator())
    pieces = iter(tap)
    assert b"one " == next(pieces)
    assert (b"one ", "partial") == (body.kept(), body.state)
    assert [b"", b"two"] == list(pieces)
    assert (b"one two", "whole") == (body.kept(), body.state)


def test_generator_by_next() -> None:
    """A client that calls `next` itself sees the same pieces, and the end is noted, too."""
    tap, body = _tap(_generator())
    assert [b"one ", b"", b"two"] == [next(tap) for _ in range(3)]
    with pytest.raises(StopIteration):
        next(tap)
    assert (b"one two", "whole") == (body.kept(), body.state)


def test_generator_that_raises() -> None:
    """What a generator raises reaches the client; what came before it is there."""

    def broken() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("mine")

    tap, body = _tap(broken())
    with pytest.raises(RuntimeError, match="mine"):
        list(tap)
    assert (b"one", "partial", 3) == (body.kept(), body.state, body.wire_size_bytes)


class _Broken(io.RawIOBase):
    """An iterator and a file that gives one piece and then raises."""

    def __init__(self) -> None:
        super().__init__()
        self._left = [b"one"]

    def read(self, size: int = -1) -> bytes:
        """Return the piece, or raise."""
        del size
        if not self._left:
            raise RuntimeError("mine")
        return self._left.pop()

    def readline(self, size: int | None = -1) -> bytes:
        """Return the piece, or raise."""
        del size
        return self.read()

    def __next__(self) -> bytes:
        return self.read()


@pytest.mark.parametrize(("name", "size"), [("read", (100,)), ("readline", ()), ("__next__", ())])
def test_file_that_raises(name: str, size: tuple[int, ...]) -> None:
    """What reading raises reaches the client; so much went out as was read, until the body is sent again."""
    tap, body = _tap(_Broken())
    assert b"one" == getattr(tap, name)(*size)
    with pytest.raises(RuntimeError, match="mine"):
        getattr(tap, name)(*size)
    assert (b"one", "partial", 3) == (body.kept(), body.state, body.wire_size_bytes)


def test_file_that_raised_is_sent_again() -> None:
    """The size of a first attempt is not that of the second."""
    body = Body(CaptureLimits())
    notes = RequestBodyNotes(body)
    notes.chunk(b"one")
    notes.failed()
    notes.rewound()
    assert (0, None, "unread") == (body.size_bytes, body.wire_size_bytes, body.state)


@pytest.mark.parametrize("size", [(), (-1,), (None,), (100,), (2,)])
def test_file(size: tuple[Any, ...]) -> None:
    """A file is noted as it is read, whole or in blocks."""
    tap, body = _tap(io.BytesIO(b"abcde"))
    read = b""
    while data := tap.read(*size):
        read += data
    assert (b"abcde", b"abcde", "whole") == (read, body.kept(), body.state)


def test_file_read_by_name() -> None:
    """A size given by name is a size: the end is where the file ends."""

    class Named(io.RawIOBase):
        """A reader whose parameter has a name."""

        def __init__(self) -> None:
            super().__init__()
            self._left = [b"", b"de", b"abc"]

        def read(self, size: int = -1) -> bytes:
            """Return a piece."""
            del size
            return self._left.pop()

    tap, body = _tap(Named())
    assert b"abc" == tap.read(size=3)
    assert "partial" == body.state
    assert [b"de", b""] == [tap.read(size=3), tap.read(size=3)]
    assert (b"abcde", "whole") == (body.kept(), body.state)


def test_file_read_by_lines() -> None:
    """A line is not the whole file."""
    tap, body = _tap(io.BytesIO(b"a\nb\n"))
    assert b"a\n" == tap.readline()
    assert "partial" == body.state
    assert [b"b\n", b""] == [tap.readline(), tap.readline()]
    assert (b"a\nb\n", "whole") == (body.kept(), body.state)


def test_text_file() -> None:
    """Text is noted in the charset in which the client sends it."""
    tap, body = _tap(io.StringIO("ä"))
    assert "ä" == tap.read()
    assert "ä".encode("utf-8" if URLLIB3_SENDS_UTF_8 else "latin-1") == body.kept()


def test_file_sent_again() -> None:
    """A file that is rewound is sent anew, and noted once."""
    tap, body = _tap(io.BytesIO(b"abc"))
    assert b"abc" == tap.read()
    assert 0 == tap.seek(0)
    assert "unread" == body.state
    assert b"abc" == tap.read()
    assert (b"abc", 3) == (body.kept(), body.size_bytes)


def test_tap_is_what_it_wraps() -> None:
    """It has what the wrapped object has and lacks what it lacks; type checks hold."""
    file_tap, _ = _tap(io.BytesIO(b"abc"))
    generator_tap, _ = _tap(_generator())
    assert (True, False) == (hasattr(file_tap, "read"), hasattr(generator_tap, "read"))
    assert isinstance(file_tap, io.BytesIO)
    assert 0 == file_tap.tell()


@pytest.mark.parametrize("chunked", [False, True])
def test_sent_by_a_real_client(server: RecordingServer, *, chunked: bool) -> None:
    """What urllib3 sends of a tapped file or generator is what the server got, and what was noted."""
    data = b"0123456789" * 5_000
    tap, body = _tap((data[at : at + 999] for at in range(0, len(data), 999)) if chunked else io.BytesIO(data))
    with urllib3.PoolManager() as pool:
        headers = {} if chunked else {"Content-Length": str(len(data))}
        assert 200 == pool.request("POST", server.url("/item/1"), body=tap, headers=headers, timeout=20).status
    assert (data, data) == (server.exchanges[0].request.body, body.kept())
    assert "whole" == body.state
