"""The tap around aiohttp's `response.content`: what a program reads is noted, in whatever way it reads."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from otel_har.capture.content_tap import ContentTap
from otel_har.capture.streams import ResponseNotes
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from servers import RecordingServer
from servers.routes import CHUNKS, TEXT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

PATHS = ["/stream", "/bytes/5000", "/gzip", "/gzip-stream", "/br", "/http10", "/bytes/0", "/json", "/split"]
PATIENCE_S = 20


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


class _Client:
    """A real aiohttp session, whose responses are tapped."""

    def __init__(self, server: RecordingServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self.exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())

    async def get(self, path: str, *, tapped: bool = True) -> aiohttp.ClientResponse:
        """Ask for a path; the response is not read yet."""
        response = await self._session.get(self._server.url(path))
        if tapped:
            tap: Any = ContentTap(response.content, ResponseNotes(self.exchange))
            response.content = tap
        return response


@pytest.fixture
async def client(server: RecordingServer) -> AsyncIterator[_Client]:
    """A client of the server."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield _Client(server, session)


async def _read_blocks(content: Any) -> bytes:
    data = b""
    while block := await content.read(7):
        data += block
    return data


async def _read_any(content: Any) -> bytes:
    data = b""
    while block := await content.readany():
        data += block
    return data


async def _read_lines(content: Any) -> bytes:
    data = b""
    while line := await content.readline():
        data += line
    return data


async def _read_chunks(content: Any) -> bytes:
    data = b""
    while not content.at_eof():
        data += (await content.readchunk())[0]
    return data


async def _read_exactly(content: Any) -> bytes:
    data = b""
    while True:
        try:
            data += await content.readexactly(10)
        except asyncio.IncompleteReadError as end:
            return data + end.partial


async def _read_until(content: Any) -> bytes:
    data = b""
    while line := await content.readuntil(b"\n"):
        data += line
    return data


async def _read_nowait(content: Any) -> bytes:
    data = b""
    while not content.at_eof():
        data += await content.read(1)
        data += content.read_nowait()
    return data


async def _iterate_chunks(content: Any) -> bytes:
    return b"".join([chunk async for chunk, _ in content.iter_chunks()])


async def _joined(pieces: Any) -> bytes:
    return b"".join([piece async for piece in pieces])


WAYS: dict[str, Callable[[Any], Awaitable[bytes]]] = {
    "read": lambda content: content.read(),
    "read(7)": _read_blocks,
    "readany": _read_any,
    "readline": _read_lines,
    "readchunk": _read_chunks,
    "readexactly": _read_exactly,
    "readuntil": _read_until,
    "read_nowait": _read_nowait,
    "iter_chunked": lambda content: _joined(content.iter_chunked(7)),
    "iter_any": lambda content: _joined(content.iter_any()),
    "iter_chunks": _iterate_chunks,
    "async for": _joined,
}


@pytest.mark.parametrize(
    ("way", "path"),
    [
        (way, path)
        for way in WAYS
        for path in PATHS
        if (way, path) not in {("readchunk", "/bytes/0"), ("read_nowait", "/bytes/0")}  # these never ask
    ],
)
async def test_program_and_notes_have_the_same(client: _Client, server: RecordingServer, path: str, way: str) -> None:
    """However a program reads, it gets what it gets without the tap, and that is what is noted."""
    async with await client.get(path, tapped=False) as plain:
        expected = await WAYS[way](plain.content)
    async with await client.get(path) as tapped:
        actual = await WAYS[way](tapped.content)
    body = client.exchange.response_body
    sent = server.exchanges[-1].response
    assert expected == actual == body.kept() == sent.body
    assert ("whole", None, None) == (body.state, client.exchange.error, client.exchange.end_reason)
    assert body.wire_size_bytes in (None, len(sent.encoded))


@pytest.mark.parametrize("path", PATHS)
async def test_response_reads_through_the_tap(client: _Client, server: RecordingServer, path: str) -> None:
    """`response.read()` reads the content, and is noted once however often it is asked."""
    async with await client.get(path) as response:
        assert await response.read() == await response.read()
    assert (server.exchanges[-1].response.body, "whole") == (
        client.exchange.response_body.kept(),
        client.exchange.response_body.state,
    )


async def test_chunks_are_noted_as_they_come(client: _Client, server: RecordingServer) -> None:
    """Nothing is read ahead: the first chunk is noted while the server still holds the second."""
    async with await client.get("/stream?gate=a") as response:
        chunks = response.content.iter_any()
        assert CHUNKS[0] == await anext(chunks)
        assert (CHUNKS[0], "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)
        for chunk in CHUNKS[1:]:
            server.gates.release("a")
            assert chunk == await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
    assert "whole" == client.exchange.response_body.state


async def test_put_back(client: _Client) -> None:
    """Bytes that the program puts back and reads again are noted once, and it is the program that aiohttp warns."""
    async with await client.get("/bytes/100") as response:
        first = await response.content.read(10)
        with pytest.warns(DeprecationWarning, match="unread_data") as warned:
            response.content.unread_data(first[5:])
        assert [__file__] == [warning.filename for warning in warned]
        again = await response.content.read(2)
        assert 7 == client.exchange.response_body.size_bytes
        rest = again + await response.content.read()
    assert first[:5] + rest == client.exchange.response_body.kept()
    assert "whole" == client.exchange.response_body.state


async def test_cancelled_read(client: _Client, server: RecordingServer) -> None:
    """A read that was cancelled is no end: a program that reads on has the whole body and no error."""
    async with await client.get("/stream?gate=a") as response:
        data = await response.content.readany()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.01)
        assert not client.exchange.finished
        for _ in CHUNKS[1:]:
            server.gates.release("a")
        data += await response.content.read()
    assert b"".join(CHUNKS) == data == client.exchange.response_body.kept()
    assert ("whole", None) == (client.exchange.response_body.state, client.exchange.error)


@pytest.mark.parametrize("path", ["/stream", "/gzip-stream"])
async def test_a_read_that_loses_bytes(client: _Client, server: RecordingServer, path: str) -> None:
    """A cancelled `readexactly` takes along what it had: what the program reads then is a part, though it ends."""
    async with await client.get(f"{path}?gate=a") as response:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(response.content.readexactly(10_000), 0.1)
        for _ in CHUNKS[1:]:
            server.gates.release("a")
        data = await response.content.read()
    body = client.exchange.response_body
    assert 0 < len(data) < len(server.exchanges[-1].response.body)
    assert (data, "partial", True) == (body.kept(), body.state, body.has_gaps)
    assert ("CancelledError", "a read that was given up took the others along") == (
        client.exchange.error,
        client.exchange.end_reason,
    )


async def test_put_back_and_left(client: _Client) -> None:
    """Bytes that the program puts back and does not read again are not noted."""
    async with await client.get("/hang") as response:
        first = await response.content.readany()
        with pytest.warns(DeprecationWarning, match="unread_data"):
            response.content.unread_data(first[2:])
        response.close()
    assert (first[:2], "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)


async def test_cancelled_and_left(client: _Client) -> None:
    """A program that leaves after a cancelled read ends the exchange with that."""
    response = await client.get("/hang")
    await response.content.readany()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(response.content.readany(), 0.01)
    response.close()
    assert "CancelledError" == client.exchange.error
    assert ("partial", "closed before its end") == (client.exchange.response_body.state, client.exchange.end_reason)


@pytest.mark.parametrize("path", ["/truncated", "/truncated-chunks", "/bad-gzip"])
@pytest.mark.parametrize("way", ["read", "iter_any"])
async def test_broken_body(client: _Client, path: str, way: str) -> None:
    """What aiohttp raises reaches the program, and is the exchange's error."""
    response = await client.get(path)
    with pytest.raises(aiohttp.ClientError) as raised:
        await WAYS[way](response.content)
    response.close()
    assert (client.exchange.error or "").startswith(type(raised.value).__qualname__)
    assert client.exchange.finished
    assert "whole" != client.exchange.response_body.state


async def test_closed(client: _Client) -> None:
    """A response that is closed in the middle ends there."""
    response = await client.get("/hang")
    first = await response.content.readany()
    response.close()
    assert (first, "partial") == (client.exchange.response_body.kept(), client.exchange.response_body.state)
    assert "closed before its end" == client.exchange.end_reason


async def test_unread(client: _Client, server: RecordingServer) -> None:
    """A body that nobody reads is not fetched, and says so."""
    async with await client.get("/stream?gate=a"):
        pass
    assert ("unread", True) == (client.exchange.response_body.state, client.exchange.finished)
    for _ in CHUNKS[1:]:
        server.gates.release("a")


async def test_dropped(client: _Client) -> None:
    """A response that the program lets go of is over."""
    response = await client.get("/bytes/100")
    await response.content.read(10)
    response.release()
    del response
    gc.collect()
    assert client.exchange.finished
    assert client.exchange.end_reason is not None


async def test_limits_do_not_touch_the_program(client: _Client) -> None:
    """A body over the limit reaches the program whole."""
    client.exchange = Exchange("GET", "x", started_unix_ns=1, started=1, limits=CaptureLimits(100))
    async with await client.get("/gzip") as response:
        assert TEXT == await response.text()
    body = client.exchange.response_body
    assert (100, len(TEXT.encode()), "truncated") == (body.kept_bytes, body.size_bytes, body.state)


async def test_tap_is_a_stream(client: _Client) -> None:
    """Attributes are the stream's own, those it lacks too; type checks hold."""
    async with await client.get("/json") as response:
        assert isinstance(response.content, aiohttp.StreamReader)
        assert not hasattr(response.content, "no_such_attribute")
        assert {"name": "Jürgen", "ok": True} == await response.json()
        assert response.content.at_eof()
