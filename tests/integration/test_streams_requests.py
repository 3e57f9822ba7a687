"""Bodies that a program with requests reads in every way: sizes, pieces and events against the server's own record."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, assert_same_exchange, pairs
from servers.comparison import assert_between
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import URLLIB3_LOOKS_BEFORE_IT_READS, URLLIB3_MISSES_BYTES, URLLIB3_READS_ON
from servers.routes import CHUNKS
from servers.stream_routes import EVENT_STREAMS, TRAILERS

if TYPE_CHECKING:
    from collections.abc import Iterator

Recorded = tuple[CompletedRun, RecordingServer, dict[str, Any]]

WHOLE_PATHS = ("stream", "gzip-chunks", "gzip", "gzip-stream", "br", "dribble", "trailers", "bytes", "http10", "many")
PIECEWISE = {
    "iter_content(7)": "response.iter_content(7)",
    "iter_content(None)": "response.iter_content(None)",
    "iter_content(1)": "response.iter_content(1)",
    "raw.read(5)": "iter(lambda: response.raw.read(5), b'')",
    "raw.read(5, True)": "iter(lambda: response.raw.read(5, True), b'')",
    "raw.stream(4)": "response.raw.stream(4)",
    "raw.stream(4, True)": "response.raw.stream(4, decode_content=True)",
    "readinto": "filled(response.raw)",
    "content": "[response.content]",
    "raw.read": "[response.raw.read()]",
    "raw.read(True)": "[response.raw.read(decode_content=True)]",
    "raw.data": "[response.raw.data]",
}
if not URLLIB3_READS_ON:
    del PIECEWISE["raw.read(5, True)"]
IN_OTHER_PIECES = {
    "iter_lines": "list(response.iter_lines())",
    "text": "response.text",
    "copyfileobj": "shutil.copyfileobj(response.raw, io.BytesIO())",
    "readlines": "response.raw.readlines()",
    "lines": "list(response.raw)",
    "partial": "copied_decoded(response.raw)",
    "refused": "read_after_refusals(response.raw)",
    "again": "[response.content, response.raw.read(), list(response.raw.stream(4))]",
}

if not URLLIB3_READS_ON:
    del IN_OTHER_PIECES["partial"]  # it would stop at the first piece of which the decoder makes nothing yet
REFUSALS = [
    *(["lambda: raw.read('x')"] if URLLIB3_LOOKS_BEFORE_IT_READS else []),
    "lambda: raw.readline('x')",
    "lambda: raw.chunked or list(raw.read_chunked())",
]

WHOLE_PROGRAM = f"""
    import functools, io, json, shutil, requests
    from harness import BASE
    def copied_decoded(raw):
        raw.read = functools.partial(raw.read, decode_content=True)
        shutil.copyfileobj(raw, io.BytesIO(), 5)
    def read_after_refusals(raw):
        for call in ({", ".join(REFUSALS)}):
            try:
                call()
            except Exception:
                continue
        raw.read()
    def filled(raw):
        buffer = bytearray(6)
        while count := raw.readinto(buffer):
            yield bytes(buffer[:count])
    got = {{}}
    with requests.Session() as session:
        for path in {WHOLE_PATHS}:
            argument = {{'bytes': '/30000', 'many': '/300'}}.get(path, '/x')
            for number in range({len(PIECEWISE) + len(IN_OTHER_PIECES)}):
                with session.get(f'{{BASE}}/{{path}}{{argument}}?{{number}}', stream=True) as response:
                    pieces = None
                    {
    "".join(
        f'''
                    if number == {number}: pieces = {way}'''
        for number, way in enumerate(PIECEWISE.values())
    )
}
                    {
    "".join(
        f'''
                    if number == {number}: {way}'''
        for number, way in enumerate(IN_OTHER_PIECES.values(), len(PIECEWISE))
    )
}
                    if pieces is not None:
                        got[f'{{path}} {{number}}'] = [len(piece) for piece in pieces]
    print(json.dumps(got))
"""


def _recorded(directory: Any, source: str) -> Iterator[Recorded]:
    with RecordingServer() as server:
        run = run_instrumented_program(server, directory, source)
        assert (0, "") == (run.returncode, run.stderr)
        yield run, server, json.loads(run.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read bodies to their end in every way."""
    yield from _recorded(tmp_path_factory.mktemp("whole"), WHOLE_PROGRAM)


@pytest.mark.parametrize("path", WHOLE_PATHS)
@pytest.mark.parametrize("way", [*PIECEWISE, *IN_OTHER_PIECES])
def test_a_whole_body_has_all_its_sizes(whole: Recorded, path: str, way: str) -> None:
    """However it is read: body, sizes, compression, and every byte of the wire with the framing of its chunks."""
    run, server, _ = whole
    number = [*PIECEWISE, *IN_OTHER_PIECES].index(way)
    index = WHOLE_PATHS.index(path) * (len(PIECEWISE) + len(IN_OTHER_PIECES)) + number
    entry, exchange = run.entries[index], server.exchanges[index]
    assert_same_exchange(entry, exchange, server)
    assert len(exchange.response.head + exchange.response.wire) == entry["response"]["_transferSize"]
    expected = TRAILERS if path == "trailers" else []
    assert expected == pairs(entry["response"].get("_trailers", []))


@pytest.mark.parametrize("path", WHOLE_PATHS)
@pytest.mark.parametrize("way", PIECEWISE)
def test_chunks_are_the_pieces_that_the_program_got(whole: Recorded, path: str, way: str) -> None:
    """`_chunks` has the sizes of the pieces, in order; a body that came in one has none."""
    run, _, got = whole
    number = list(PIECEWISE).index(way)
    entry = run.entries[WHOLE_PATHS.index(path) * (len(PIECEWISE) + len(IN_OTHER_PIECES)) + number]
    pieces = got[f"{path} {number}"]
    chunks = [chunk["bytes"] for chunk in entry.get("_chunks", [])]
    if way == "content":  # requests reads 10240 bytes at a time, or chunk by chunk
        assert sum(chunks) in (0, *pieces)
        assert bool(chunks) is (path in {"stream", "gzip-chunks", "gzip-stream", "trailers", "bytes", "many"})
    elif len(pieces) <= 1_000:
        assert (pieces if len(pieces) > 1 else []) == chunks
    else:  # merged
        assert (sum(pieces), True) == (sum(chunks), 100 < len(chunks) <= 1_000)


MAY_PASS = [] if URLLIB3_MISSES_BYTES else ["truncated/pieces"]
PARTS_PROGRAM = f"""
    may_pass = {MAY_PASS}
    import gc, json, time, requests
    from harness import BASE, release, wait
    times = {{}}
    session = requests.Session()
    def failing(name, function, **arguments):
        try:
            with session.get(BASE + '/' + name, stream=True, **arguments) as response:
                function(response)
        except requests.RequestException:
            return
        except Exception as error:
            if 'urllib3' in type(error).__module__:
                return
            raise
        if name not in may_pass:
            raise SystemExit(name + ' did not fail')
    session.get(BASE + '/stream/unread?gate=never', stream=True).close()
    session.get(BASE + '/bytes/5000', stream=True).close()
    with session.get(BASE + '/stream/partial?gate=never', stream=True) as response:
        next(response.iter_content(5))
    with session.get(BASE + '/bytes/5001', stream=True) as response:
        response.raw.read(1000)
    with session.get(BASE + '/gzip/partial', stream=True) as response:
        next(response.iter_content(8))
    response = session.get(BASE + '/stream/dropped?gate=never', stream=True)
    next(response.iter_content(4))
    del response
    gc.collect()
    with session.get(BASE + '/trailers/drained', stream=True) as response:
        response.raw.read(11)
        response.raw.drain_conn()
    failing('truncated/pieces', lambda response: list(response.iter_content(10)))
    failing('truncated/read', lambda response: response.raw.read())
    failing('truncated-chunks/x', lambda response: response.content)
    failing('bad-chunks/x', lambda response: response.content)
    failing('bad-gzip/x', lambda response: response.content)
    failing('hang/x', lambda response: response.content, timeout=0.2)
    with session.get(BASE + '/stream/beneath', stream=True) as response:
        response.raw._original_response.read()
    with session.get(BASE + '/bytes/5002', stream=True) as response:
        response.raw._original_response.readinto(bytearray(9))
    with session.get(BASE + '/stream/timed?gate=t', stream=True) as response:
        seen, before = [], time.time()
        for piece in response.iter_content(None):
            seen.append([before, time.time(), len(piece)])
            release('t')
            before = time.time()
    times['/stream/timed'] = seen
    kept = session.get(BASE + '/stream/kept?gate=never', stream=True)
    kept.raw.read(6)
    print(json.dumps(times))
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read bodies in part, or had them break."""
    yield from _recorded(tmp_path_factory.mktemp("parts"), PARTS_PROGRAM)


MISSED = [("/truncated/pieces", "partial", (10, 14), 14)] if URLLIB3_MISSES_BYTES else []
FIRST_CHUNK_WIRE = len(b"b\r\n" + CHUNKS[0] + b"\r\n")


@pytest.mark.parametrize(
    ("path", "state", "sizes", "wire_size"),
    [
        ("/stream/unread", "unread", (0, 0), 0),
        ("/bytes/5000", "unread", (0, 0), 0),
        ("/stream/partial", "partial", (5, 5), len(b"b\r\n") + 5),
        ("/bytes/5001", "partial", (1000, 1000), 1000),
        ("/stream/dropped", "partial", (4, 4), len(b"b\r\n") + 4),
        ("/stream/kept", "partial", (6, 6), len(b"b\r\n") + 6),
        ("/trailers/drained", "partial", (11, 34), None),
        ("/stream/beneath", "unread", (0, sum(map(len, CHUNKS))), None),
        ("/bytes/5002", "unread", (0, 9), 9),
        *MISSED,
        ("/truncated/read", "unread", (0, 14), 14),
        ("/truncated-chunks/x", "partial", (11, 11), FIRST_CHUNK_WIRE),
        ("/bad-chunks/x", "partial", (11, 11), None),
        ("/bad-gzip/x", "unread", (0, 16), 16),
        ("/hang/x", "unread", (0, -1), 0),
    ],
)
def test_a_part_says_how_much_came(
    parts: Recorded, path: str, state: str, sizes: tuple[int, int], wire_size: int | None
) -> None:
    """What the program got, what the client took from the connection, and with the framing; -1 after a time-out."""
    run, server, _ = parts
    [entry], [exchange] = run.of(path), server.of(path)
    response = entry["response"]
    wire = len(exchange.response.wire) if wire_size is None else wire_size
    assert (state, *sizes, len(exchange.response.head) + wire) == (
        response["content"]["_bodyState"],
        response["content"]["size"],
        response["bodySize"],
        response["_transferSize"],
    )
    assert "compression" not in response["content"]


def test_what_was_read_beneath_the_stream_is_not_called_unread(parts: Recorded) -> None:
    """The entry says that bytes came in a way that is not recorded."""
    run, _, _ = parts
    said = "not read in a way that is recorded: bytes came that no read of the response's stream returned"
    for path in ("/stream/beneath", "/bytes/5002"):
        [entry] = run.of(path)
        assert said == entry["response"]["content"]["comment"]


def test_a_part_of_a_compressed_body_has_both_sizes(parts: Recorded) -> None:
    """The text that the program got, and the encoded bytes that the client took for it."""
    run, server, _ = parts
    [entry], [exchange] = run.of("/gzip/partial"), server.of("/gzip/partial")
    content = entry["response"]["content"]
    size = 8 if URLLIB3_READS_ON else content["size"]
    assert ("partial", size, size) == (content["_bodyState"], content["size"], len(content["text"].encode()))
    assert 0 < size <= 8
    assert 0 < entry["response"]["bodySize"] <= len(exchange.response.encoded)


def test_trailers_of_a_drained_body_are_recorded(parts: Recorded) -> None:
    """They came, although the program did not read as far."""
    run, _, _ = parts
    [entry] = run.of("/trailers/drained")
    assert TRAILERS == pairs(entry["response"]["_trailers"])


def test_chunks_have_the_time_at_which_the_program_got_them(parts: Recorded) -> None:
    """Milliseconds since the page's start; the server sent each piece after the program had the one before."""
    run, _, got = parts
    [entry] = run.of("/stream/timed")
    page_start = datetime.fromisoformat(run.pages[0]["startedDateTime"].replace("Z", "+00:00")).timestamp()
    seen = got["/stream/timed"]
    assert [size for _, _, size in seen] == [chunk["bytes"] for chunk in entry["_chunks"]]
    assert_between(seen, [page_start + chunk["ts"] / 1000 for chunk in entry["_chunks"]])


EVENTS_PROGRAM = """
    import json, sys, time, requests
    from harness import BASE, release
    times = {}
    with requests.Session() as session:
        for path in ('events/plain', 'events/crlf', 'events/cr', 'events/comments', 'events/unfinished',
                     'events/silent', 'gzip-events/plain'):
            with session.get(f'{BASE}/{path}?gate=e', stream=True) as response:
                seen, before = [], time.time()
                for piece in response.iter_content(None):
                    seen.append([before, time.time()])
                    release('e')
                    before = time.time()
                times['/' + path] = seen
        with session.get(f'{BASE}/events/plain/lines?gate=l', stream=True) as response:
            seen, before = [], time.time()
            for line in response.iter_lines(chunk_size=1):
                if not line:
                    seen.append([before, time.time()])
                    release('l')
                before = time.time()
            times['/events/plain/lines'] = seen
        with session.get(BASE + '/gzip-events/plain/encoded', stream=True) as response:
            response.raw.read(decode_content=False)
        with session.get(BASE + '/events/plain/left?gate=never', stream=True) as response:
            response.raw.read(29)
        session.get(BASE + '/events/plain/unread?gate=never', stream=True).close()
        print(json.dumps(times))
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A program that has read event streams."""
    with RecordingServer() as server:
        run = run_instrumented_program(server, tmp_path_factory.mktemp("events"), EVENTS_PROGRAM)
        assert (0, "") == (run.returncode, run.stderr)
        yield run, server, json.loads(run.stdout)


def _messages(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["eventName"], one["eventId"], one["data"]) for one in entry.get("_eventSourceMessages", [])]


@pytest.mark.parametrize("path", [*(f"/events/{name}" for name in EVENT_STREAMS), "/gzip-events/plain"])
def test_events_are_recorded(events: Recorded, path: str) -> None:
    """An event stream has its own type everywhere, and the events that an EventSource would have dispatched."""
    run, server, _ = events
    [entry], [exchange] = run.of(path), server.of(path)
    assert_same_exchange(entry, exchange, server)
    assert ("eventsource", "text/event-stream") == (entry["_resourceType"], entry["response"]["content"]["mimeType"])
    assert EVENT_STREAMS[path.rpartition("/")[2]][2] == _messages(entry)


@pytest.mark.parametrize("path", ["/events/plain", "/gzip-events/plain"])
def test_events_have_the_time_of_their_arrival(events: Recorded, path: str) -> None:
    """The server sent each event after the program had the one before, compressed or not."""
    run, _, got = events
    [entry] = run.of(path)
    assert_between(got[path][:3], [message["time"] for message in entry["_eventSourceMessages"]])


def test_events_read_byte_by_byte_have_the_time_of_their_last_byte(events: Recorded) -> None:
    """However small the pieces are, an event came with the byte that completed it."""
    run, _, got = events
    [entry] = run.of("/events/plain/lines")
    assert_between(got["/events/plain/lines"], [message["time"] for message in entry["_eventSourceMessages"]])


def test_events_of_a_part(events: Recorded) -> None:
    """A stream that the program left has the events that were complete, one that it did not read has none."""
    run, _, _ = events
    [left], [unread] = run.of("/events/plain/left"), run.of("/events/plain/unread")
    assert [("greeting", "", "hello")] == _messages(left)
    assert ("eventsource", []) == (unread["_resourceType"], _messages(unread))


def test_events_that_the_program_decodes_itself(events: Recorded) -> None:
    """The body is decoded for the entry, and so are its events; all have come with the last piece."""
    run, _, _ = events
    [entry] = run.of("/gzip-events/plain/encoded")
    assert EVENT_STREAMS["plain"][2] == _messages(entry)
    assert 1 == len({message["time"] for message in entry["_eventSourceMessages"]})
