"""Bodies that a program with aiohttp reads in every way: sizes, pieces and events against the server's own record."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, assert_same_exchange
from servers.comparison import assert_between
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import AIOHTTP_COUNTS_CODED_BODIES
from servers.routes import CHUNKS
from servers.stream_routes import EVENT_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Recorded = tuple[CompletedRun, RecordingServer, dict[str, Any]]

HEAD = """
    import asyncio, gc, json, time, aiohttp
    from harness import BASE, release
    async def until_end(read):
        while data := await read():
            yield data
    async def pairs(read):
        while True:
            data, end = await read()
            if data: yield data
            if not data and not end: return
    async def once(read):
        yield await read()
    async def firsts(pieces):
        async for data, _ in pieces:
            if data: yield data
    async def at(function, *arguments):
        await asyncio.to_thread(function, *arguments)
"""

WHOLE_PATHS = ("stream", "gzip-chunks", "gzip", "gzip-stream", "br", "dribble", "trailers", "bytes", "http10", "many")
WAYS = {
    "read": "once(response.read)",
    "content.read": "once(response.content.read)",
    "content.read(5)": "until_end(lambda: response.content.read(5))",
    "readline": "until_end(response.content.readline)",
    "readany": "until_end(response.content.readany)",
    "readchunk": "pairs(response.content.readchunk)",
    "readuntil": "until_end(lambda: response.content.readuntil(b'i'))",
    "iter_chunked": "response.content.iter_chunked(7)",
    "iter_any": "response.content.iter_any()",
    "iter_chunks": "firsts(response.content.iter_chunks())",
    "async for": "response.content",
}

WHOLE_PROGRAM = f"""{HEAD}
    async def main():
        got = {{}}
        async with aiohttp.ClientSession() as session:
            for path in {WHOLE_PATHS}:
                argument = {{'bytes': '/30000', 'many': '/300'}}.get(path, '/x')
                for number in range({len(WAYS)}):
                    async with session.get(f'{{BASE}}/{{path}}{{argument}}?{{number}}') as response:
                        {
    "".join(
        f'''
                        if number == {number}: pieces = {way}'''
        for number, way in enumerate(WAYS.values())
    )
}
                        got[f'{{path}} {{number}}'] = [len(piece) async for piece in pieces]
        print(json.dumps(got))
    asyncio.run(main())
"""


def _recorded(directory: Path, source: str) -> Iterator[Recorded]:
    with RecordingServer() as server:
        run = run_instrumented_program(server, directory, source)
        assert (0, "") == (run.returncode, run.stderr)
        yield run, server, json.loads(run.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read bodies to their end in every way."""
    yield from _recorded(tmp_path_factory.mktemp("whole"), WHOLE_PROGRAM)


@pytest.mark.parametrize("path", WHOLE_PATHS)
@pytest.mark.parametrize("way", WAYS)
def test_a_whole_body_has_all_its_sizes(whole: Recorded, path: str, way: str) -> None:
    """However it is read: body, sizes, compression, and the bytes of the wire but for the framing of its chunks."""
    run, server, _ = whole
    index = WHOLE_PATHS.index(path) * len(WAYS) + list(WAYS).index(way)
    entry, exchange = run.entries[index], server.exchanges[index]
    assert_same_exchange(entry, exchange, server, coded_size_is_unknown=not AIOHTTP_COUNTS_CODED_BODIES)
    if entry["response"]["bodySize"] >= 0:
        assert len(exchange.response.head + exchange.response.encoded) == entry["response"]["_transferSize"]


@pytest.mark.parametrize("path", WHOLE_PATHS)
@pytest.mark.parametrize("way", WAYS)
def test_chunks_are_the_pieces_that_the_program_got(whole: Recorded, path: str, way: str) -> None:
    """`_chunks` has the sizes of the pieces, in order; a body that came in one has none."""
    run, _, got = whole
    number = list(WAYS).index(way)
    pieces = got[f"{path} {number}"]
    chunks = [chunk["bytes"] for chunk in run.entries[WHOLE_PATHS.index(path) * len(WAYS) + number].get("_chunks", [])]
    if len(pieces) <= 1_000:
        assert (pieces if len(pieces) > 1 else []) == chunks
    else:  # merged
        assert (sum(pieces), True) == (sum(chunks), 100 < len(chunks) <= 1_000)


PARTS_PROGRAM = f"""{HEAD}
    async def failing(session, path, **arguments):
        try:
            async with session.get(BASE + path, **arguments) as response:
                await response.content.readany()
                await response.content.read()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return
        raise SystemExit(path + ' did not fail')
    async def main():
        times = {{}}
        async with aiohttp.ClientSession() as session:
            async with session.get(BASE + '/stream/unread?gate=never'):
                pass
            async with session.get(BASE + '/dribble/partial?gate=never') as response:
                await response.content.readexactly(5)
            async with session.get(BASE + '/redirect/1') as response:
                await response.read()
            async with session.get(BASE + '/gzip/partial') as response:
                await response.content.readexactly(8)
            response = await session.get(BASE + '/stream/closed?gate=never')
            await response.content.readline()
            response.close()
            response = await session.get(BASE + '/stream/released?gate=never')
            await response.content.read(3)
            response.release()
            response = await session.get(BASE + '/stream/dropped?gate=never')
            await response.content.read(4)
            del response  # aiohttp itself holds it until the connection is gone
            async with session.get(BASE + '/stream/lost?gate=l') as response:
                try:
                    await asyncio.wait_for(response.content.readexactly(1000), 0.3)
                except asyncio.TimeoutError:
                    pass
                await at(release, 'l')
                await at(release, 'l')
                await response.content.read()
            await failing(session, '/truncated/x')
            await failing(session, '/truncated-chunks/x')
            await failing(session, '/bad-gzip/x')
            await failing(session, '/hang/x', timeout=aiohttp.ClientTimeout(total=0.3))
            async with session.get(BASE + '/stream/timed?gate=t') as response:
                seen, before = [], time.time()
                while piece := await response.content.readany():
                    seen.append([before, time.time(), len(piece)])
                    await at(release, 't')
                    before = time.time()
            times['/stream/timed'] = seen
            kept = await session.get(BASE + '/stream/kept?gate=never')
            await kept.content.read(6)
            print(json.dumps(times))
            return kept
    kept = asyncio.run(main())
    gc.collect()
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read bodies in part, or had them break."""
    yield from _recorded(tmp_path_factory.mktemp("parts"), PARTS_PROGRAM)


@pytest.mark.parametrize(
    ("path", "state", "content_size", "body_size"),
    [
        ("/stream/unread", "unread", 0, 11),
        ("/dribble/partial", "partial", 5, 11),
        ("/stream/closed", "partial", 11, 11),
        ("/stream/released", "partial", 3, 11),
        ("/stream/dropped", "partial", 4, 11),
        ("/stream/kept", "partial", 6, 11),
        ("/stream/lost", "partial", sum(map(len, CHUNKS[1:])), sum(map(len, CHUNKS))),
        ("/truncated/x", "partial", 14, 14),
        ("/truncated-chunks/x", "partial", 11, 11),
        ("/hang/x", "partial", 10, 10),
        ("/bad-gzip/x", "unread", 0, 16 if AIOHTTP_COUNTS_CODED_BODIES else -1),
    ],
)
def test_a_part_says_how_much_came(parts: Recorded, path: str, state: str, content_size: int, body_size: int) -> None:
    """What the program got, and what aiohttp had received by then, which it does ahead of the program."""
    run, server, _ = parts
    [entry], [exchange] = run.of(path), server.of(path)
    response = entry["response"]
    assert (state, content_size, body_size, len(exchange.response.head) + max(body_size, 0)) == (
        response["content"]["_bodyState"],
        response["content"]["size"],
        response["bodySize"],
        response["_transferSize"],
    )
    assert "compression" not in response["content"]


def test_a_part_of_a_compressed_body_has_both_sizes(parts: Recorded) -> None:
    """The text that the program got, and the encoded bytes that came."""
    run, server, _ = parts
    [entry], [exchange] = run.of("/gzip/partial"), server.of("/gzip/partial")
    content = entry["response"]["content"]
    assert ("partial", 8) == (content["_bodyState"], content["size"])
    expected = len(exchange.response.encoded) if AIOHTTP_COUNTS_CODED_BODIES else -1
    assert expected == entry["response"]["bodySize"]


def test_a_redirect_that_was_followed_has_the_size_of_its_body(parts: Recorded) -> None:
    """What the client let go of unread came all the same."""
    run, server, _ = parts
    [entry], [exchange] = run.of("/redirect/1"), server.of("/redirect/1")
    response = entry["response"]
    assert ("unread", 0, len(exchange.response.body)) == (
        response["content"]["_bodyState"],
        response["content"]["size"],
        response["bodySize"],
    )


def test_chunks_have_the_time_at_which_the_program_got_them(parts: Recorded) -> None:
    """Milliseconds since the page's start; the server sent each piece after the program had the one before."""
    run, _, got = parts
    [entry] = run.of("/stream/timed")
    page_start = datetime.fromisoformat(run.pages[0]["startedDateTime"].replace("Z", "+00:00")).timestamp()
    assert [size for _, _, size in got["/stream/timed"]] == [chunk["bytes"] for chunk in entry["_chunks"]]
    assert_between(got["/stream/timed"], [page_start + chunk["ts"] / 1000 for chunk in entry["_chunks"]])


EVENTS_PROGRAM = f"""{HEAD}
    async def main():
        times = {{}}
        async with aiohttp.ClientSession() as session:
            for path in ('events/plain', 'events/crlf', 'events/cr', 'events/comments', 'events/unfinished',
                         'events/silent', 'gzip-events/plain'):
                async with session.get(f'{{BASE}}/{{path}}?gate={{path}}') as response:
                    seen, before = [], time.time()
                    async for piece in response.content.iter_any():
                        seen.append([before, time.time()])
                        await at(release, path)
                        before = time.time()
                    times['/' + path] = seen
            async with session.get(f'{{BASE}}/events/plain/lines?gate=l') as response:
                seen, before = [], time.time()
                async for line in response.content:
                    if line == b'\\n':
                        seen.append([before, time.time()])
                        await at(release, 'l')
                    before = time.time()
                times['/events/plain/lines'] = seen
            async with session.get(BASE + '/events/plain/left?gate=never') as response:
                await response.content.readuntil(b'\\n\\n')
        print(json.dumps(times))
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read event streams."""
    yield from _recorded(tmp_path_factory.mktemp("events"), EVENTS_PROGRAM)


def _messages(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["eventName"], one["eventId"], one["data"]) for one in entry.get("_eventSourceMessages", [])]


@pytest.mark.parametrize("path", [*(f"/events/{name}" for name in EVENT_STREAMS), "/gzip-events/plain"])
def test_events_are_recorded(events: Recorded, path: str) -> None:
    """An event stream has its own type everywhere, and the events that an EventSource would have dispatched."""
    run, server, _ = events
    [entry], [exchange] = run.of(path), server.of(path)
    assert_same_exchange(entry, exchange, server, coded_size_is_unknown=not AIOHTTP_COUNTS_CODED_BODIES)
    assert ("eventsource", "text/event-stream") == (entry["_resourceType"], entry["response"]["content"]["mimeType"])
    assert EVENT_STREAMS[path.rpartition("/")[2]][2] == _messages(entry)


@pytest.mark.parametrize("path", ["/events/plain", "/gzip-events/plain", "/events/plain/lines"])
def test_events_have_the_time_of_their_arrival(events: Recorded, path: str) -> None:
    """The server sent each event after the program had the one before, compressed or not."""
    run, _, got = events
    [entry] = run.of(path)
    assert_between(got[path][:3], [message["time"] for message in entry["_eventSourceMessages"]])


def test_events_of_a_part(events: Recorded) -> None:
    """A stream that the program left has the events that were complete."""
    run, _, _ = events
    [entry] = run.of("/events/plain/left")
    assert [("greeting", "", "hello")] == _messages(entry)
