"""Programs that use aiohttp, recorded from outside: each entry against what the server saw and sent."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from servers import RecordingServer, assert_same_exchange, body_of, pairs
from servers.comparison import assert_same_request, assert_same_response
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import AIOHTTP_COUNTS_CODED_BODIES
from servers.routes import CHUNKS, EVENTS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import InstrumentedRunner

Recorded = tuple[CompletedRun, RecordingServer]

ANSWERS = (
    "/json", "/bytes/1000", "/bytes/0", "/bytes/300000", "/gzip", "/deflate", "/br", "/latin1", "/potato", "/binary",
    "/no-type", "/no-reason", "/empty", "/status/304", "/status/404", "/status/500", "/duplicate-headers",
    "/set-cookies", "/split", "/stream", "/gzip-stream", "/sse", "/close", "/http10",
    "/item/q?a=1&a=2&b=&c=%C3%A4+x%26&d", "/item/ä%20b;c=d?e=ü", "/item/f?g=h#fragment",
)  # fmt: skip

ANSWERS_PROGRAM = """
    import asyncio, sys, aiohttp
    from harness import BASE
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in sys.argv[1:]:
                async with session.get(BASE + path) as response:
                    print(len(await response.read()))
    asyncio.run(main())
"""

BODIES = {
    "bytes": "data=bytes(range(256))",
    "text": "data='plain text'",
    "non-ascii": "data='Größe'",
    "latin-1": "data='Größe'.encode('latin-1'), headers={'Content-Type': 'text/plain; charset=iso-8859-1'}",
    "form": "data={'a': '1', 'b': 'ü &='}",
    "form-duplicates": "data=aiohttp.FormData([('a', '1'), ('a', '2')])",
    "json": "json={'ü': [1, None]}",
    "multipart": "data=form('a.txt', b'text of a file', 'text/plain')",
    "multipart-binary": "data=form('a.bin', bytes(range(256)), None)",
    "writer": "data=writer()",
    "generator": "data=generator()",
    "file": "data=open(__file__, 'rb')",
    "bytes-io": "data=io.BytesIO(b'from memory')",
    "string-io": "data=io.StringIO('from memory')",
    "chunked": "data=b'in one chunk', chunked=True",
    "expect": "data=b'may I?', expect100=True",
    "empty": "data=b''",
    "nothing": "",
    "cookies": "cookies={'a': '1', 'b': 'x=y'}",
    "headers": "headers=[('X-One', '1'), ('x-two', '2'), ('X-One', '3'), ('User-Agent', 'mine')]",
    "skipped": "skip_auto_headers=['User-Agent', 'Accept']",
    "basic": "headers={'Authorization': 'Basic dXNlcjpzZWNyZXQ='}",
    "params": "params=[('a', '1'), ('a', '2'), ('ü', '&')]",
}

_POSTS = "\n            ".join(f"await post('{name}', {arguments})" for name, arguments in BODIES.items())

BODIES_PROGRAM = f"""
    import asyncio, io, aiohttp
    from harness import BASE
    def form(name, content, kind):
        data = aiohttp.FormData()
        data.add_field('field', 'value')
        data.add_field('file', io.BytesIO(content), filename=name, content_type=kind)
        return data
    def writer():
        mixed = aiohttp.MultipartWriter('mixed')
        mixed.append('text part')
        mixed.append_json({{'a': 1}})
        return mixed
    async def generator():
        for piece in (b'one ', b'two ', b'three'):
            yield piece
    async def main():
        async with aiohttp.ClientSession() as session:
            async def post(name, **arguments):
                async with session.post(BASE + '/echo/' + name, **arguments) as response:
                    await response.read()
            {_POSTS}
            await post('compressed', data=b'squeeze me ' * 50, compress='deflate')
            for method in ('PUT', 'PATCH', 'DELETE', 'REPORT'):
                async with session.request(method, BASE + '/echo/' + method, data=b'body') as response:
                    await response.read()
            async with session.head(BASE + '/json') as response:
                await response.read()
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program that has asked for every answer in turn."""
    with RecordingServer() as server:
        directory = tmp_path_factory.mktemp("answers")
        yield run_instrumented_program(server, directory, ANSWERS_PROGRAM, args=ANSWERS), server


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program that has sent every kind of body in turn."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("bodies"), BODIES_PROGRAM), server


def test_every_answer_is_one_entry_in_order(answers: Recorded) -> None:
    """As many entries as exchanges, in the order in which they were made, and nothing on stderr."""
    run, server = answers
    assert (0, "") == (run.returncode, run.stderr)
    assert [server.url(exchange.request.target) for exchange in server.exchanges] == [
        entry["request"]["url"] for entry in run.entries
    ]


@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_is_recorded_byte_for_byte(answers: Recorded, path: str) -> None:
    """The entry of each answer says what the server saw and sent."""
    run, server = answers
    index = ANSWERS.index(path)
    # aiohttp has let go of a connection that the server closed before it tells of the whole answer.
    closed = path in {"/close", "/http10"}
    assert_same_request(run.entries[index], server.exchanges[index], server, peer_may_be_unknown=closed)
    assert_same_response(
        run.entries[index], server.exchanges[index], coded_size_is_unknown=not AIOHTTP_COUNTS_CODED_BODIES
    )


@pytest.mark.parametrize("name", BODIES)
def test_a_request_body_is_recorded_byte_for_byte(bodies: Recorded, name: str) -> None:
    """The entry of each request body says what the server saw and sent."""
    run, server = bodies
    assert (0, "") == (run.returncode, run.stderr)
    [entry], [exchange] = run.of(f"/echo/{name}"), server.of(f"/echo/{name}")
    assert_same_exchange(entry, exchange, server)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "REPORT"])
def test_every_method_is_recorded(bodies: Recorded, method: str) -> None:
    """Methods are recorded as they are sent, unknown ones too."""
    run, server = bodies
    [entry], [exchange] = run.of(f"/echo/{method}"), server.of(f"/echo/{method}")
    assert method == entry["request"]["method"]
    assert_same_exchange(entry, exchange, server)


def test_a_compressed_request_body_is_recorded_as_the_program_gave_it(bodies: Recorded) -> None:
    """The body stands there readable; its size on the wire is the true one, or said to be unknown."""
    run, server = bodies
    [entry], [exchange] = run.of("/echo/compressed"), server.of("/echo/compressed")
    assert b"squeeze me " * 50 == zlib.decompress(exchange.request.body)
    assert b"squeeze me " * 50 == _as_bytes(body_of(entry["request"]["postData"]))
    assert entry["request"]["bodySize"] in {-1, len(exchange.request.body)}


def _as_bytes(body: bytes | str) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


def test_head_has_no_body(bodies: Recorded) -> None:
    """The answer to HEAD is recorded with its headers and without a body, although it has a length."""
    run, server = bodies
    [entry], [exchange] = run.of("/json"), server.of("/json")
    assert_same_exchange(entry, exchange, server)
    assert 0 == entry["response"]["bodySize"]


def test_compressed_bodies_are_decoded(answers: Recorded) -> None:
    """Decoded text and size; the size on the wire, where it is known, is that of the encoded body."""
    run, server = answers
    for path in ("/gzip", "/deflate", "/br"):
        [entry], [exchange] = run.of(path), server.of(path)
        content = entry["response"]["content"]
        assert (TEXT, len(TEXT.encode())) == (content["text"], content["size"])
        assert len(exchange.response.encoded) == entry["response"]["bodySize"]
        assert len(TEXT.encode()) - len(exchange.response.encoded) == content["compression"]


def test_set_cookies_are_recorded(answers: Recorded) -> None:
    """Each Set-Cookie is its own cookie with its attributes."""
    run, _ = answers
    [entry] = run.of("/set-cookies")
    assert ["plain", "session", "dated", "quoted"] == [cookie["name"] for cookie in entry["response"]["cookies"]]


def test_connections_have_identities(answers: Recorded) -> None:
    """Entries share a connection identity exactly when the server saw them on one connection."""
    run, server = answers
    by_server = [exchange.connection for exchange in server.exchanges]
    by_entry = [entry["_connectionId"] for entry in run.entries]
    assert len(set(by_server)) > 1
    assert [by_server.index(number) for number in by_server] == [by_entry.index(name) for name in by_entry]


def test_spans_are_named(answers: Recorded) -> None:
    """The ids under `_otel` are those of the traceparent which the server received."""
    run, server = answers
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        _, trace_id, span_id, _ = exchange.request.first("traceparent").split("-")
        assert (trace_id, span_id) == (entry["_otel"]["traceId"], entry["_otel"]["spanId"])


def test_redirects_are_entries_of_their_own(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Each hop is an entry, in order, with the absolute target, whether it is followed or not."""
    run = run_instrumented("""
        import asyncio, aiohttp
        from harness import BASE
        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(BASE + '/redirect/3', headers={'X-A': 'b'}) as response:
                    print(await response.text())
                async with session.post(BASE + '/redirect-307/2', data=b'again') as response:
                    print(await response.text())
                async with session.get(BASE + '/redirect/1', allow_redirects=False) as response:
                    print(await response.text())
        asyncio.run(main())
    """)
    assert (0, "arrived\ngot again\n1 to go\n", "") == (run.returncode, run.stdout, run.stderr)
    targets = [
        "/redirect/2",
        "/redirect/1",
        "/redirect/0",
        None,
        "/redirect-307/1",
        "/redirect-307/0",
        None,
        "/redirect/0",
    ]
    assert [server.url(target) if target else "" for target in targets] == [
        entry["response"]["redirectURL"] for entry in run.entries
    ]
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_request(entry, exchange, server)
        assert exchange.response.status == entry["response"]["status"]
        assert [(n.decode(), v.decode()) for n, v in exchange.response.headers] == pairs(entry["response"]["headers"])
    starts = [entry["startedDateTime"] for entry in run.entries]
    assert sorted(starts) == starts
    assert ["arrived", "got again", "1 to go"] == [
        run.entries[index]["response"]["content"]["text"] for index in (3, 6, 7)
    ]


FAILURES_PROGRAM = """
    import asyncio, aiohttp
    from harness import BASE, UNUSED, wait
    brief = aiohttp.ClientTimeout(total=0.5)
    async def attempt(session, url, **arguments):
        try:
            async with session.post(url, data=b'body', headers={'X-A': 'b'}, **arguments) as response:
                await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, asyncio.CancelledError) as error:
            print(url.rpartition('/')[2], type(error).__name__)
    async def cancelled(session, path):
        task = asyncio.create_task(attempt(session, BASE + path))
        await asyncio.to_thread(wait, 'arrived ' + path)
        task.cancel()
        await task
    async def main():
        async with aiohttp.ClientSession() as session:
            await attempt(session, UNUSED + '/refused')
            await attempt(session, 'http://nowhere.invalid/dns')
            for path in ('/reset', '/hang-up', '/garbage', '/reset-mid-body', '/truncated', '/truncated-chunks',
                         '/bad-gzip'):
                await attempt(session, BASE + path)
            await attempt(session, BASE + '/silence/timeout', timeout=brief)
            await attempt(session, BASE + '/hang/timeout', timeout=brief)
            await attempt(session, BASE + '/status/500', raise_for_status=True)
            await cancelled(session, '/silence/cancelled')
            await first_then_cancelled(session)
    async def first_then_cancelled(session):
        first = asyncio.Event()
        async def read():
            try:
                async with session.post(BASE + '/hang/cancelled', data=b'body', headers={'X-A': 'b'}) as response:
                    print(await response.content.readany())
                    first.set()
                    await response.content.readany()
            except asyncio.CancelledError:
                print('cancelled CancelledError')
        task = asyncio.create_task(read())
        await first.wait()
        task.cancel()
        await task
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program whose requests have all failed."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("failures"), FAILURES_PROGRAM), server


def test_each_failure_is_one_entry(failures: Recorded) -> None:
    """Every failed request is an entry; aiohttp tries no POST twice."""
    run, server = failures
    assert (0, "") == (run.returncode, run.stderr)
    urls = [server.url(exchange.request.target) for exchange in server.exchanges]
    assert urls == [entry["request"]["url"] for entry in run.entries][2:]
    assert ["refused", "dns"] == [entry["request"]["url"].rpartition("/")[2] for entry in run.entries[:2]]


@pytest.mark.parametrize(
    "path", ["/refused", "/dns", "/reset", "/hang-up", "/garbage", "/silence/timeout", "/silence/cancelled"]
)
def test_a_failure_without_a_response_has_status_0(failures: Recorded, path: str) -> None:
    """Status 0, empty fields, and what happened; the request is there."""
    run, _ = failures
    [entry] = run.of(path)
    response = entry["response"]
    assert (0, "", [], [], "") == tuple(
        response[field] for field in ("status", "statusText", "headers", "cookies", "redirectURL")
    )
    assert {"size": 0, "mimeType": "x-unknown"} == response["content"]
    assert response["_error"]
    assert "POST" == entry["request"]["method"]
    assert ("X-A", "b") in pairs(entry["request"]["headers"])


@pytest.mark.parametrize("path", ["/reset", "/hang-up", "/garbage", "/silence/timeout", "/silence/cancelled"])
def test_a_request_that_got_no_answer_is_recorded_whole(failures: Recorded, path: str) -> None:
    """The request which the server saw is the request of the entry."""
    run, server = failures
    [entry], [exchange] = run.of(path), server.of(path)
    assert_same_request(entry, exchange, server, peer_may_be_unknown=True)


@pytest.mark.parametrize(
    "path",
    ["/reset-mid-body", "/truncated", "/truncated-chunks", "/bad-gzip", "/hang/timeout", "/hang/cancelled"],
)
def test_a_broken_body_keeps_the_response(failures: Recorded, path: str) -> None:
    """Status and headers that came are there, the body as far as the program got it, and what happened."""
    run, server = failures
    [entry], [exchange] = run.of(path), server.of(path)
    assert_same_request(entry, exchange, server, peer_may_be_unknown=True)
    response = entry["response"]
    assert 200 == response["status"]
    assert [(n.decode(), v.decode()) for n, v in exchange.response.headers] == pairs(response["headers"])
    assert response["_error"]
    assert response["content"]["_bodyState"] in {"partial", "unread"}
    assert exchange.response.body.startswith(_as_bytes(body_of(response["content"])))


def test_an_unwanted_status_is_a_whole_entry(failures: Recorded) -> None:
    """With raise_for_status the program sees an exception, the entry has the status."""
    run, server = failures
    [entry], [exchange] = run.of("/status/500"), server.of("/status/500")
    assert_same_request(entry, exchange, server, peer_may_be_unknown=True)  # the exception does not tell it
    assert (500, "Internal Server Error") == (entry["response"]["status"], entry["response"]["statusText"])


STREAMS_PROGRAM = """
    import asyncio, aiohttp
    from harness import BASE, release
    async def consume(pieces):
        return [piece async for piece in pieces]
    async def twice(read):
        return [await read(), await read()]
    async def until_end(read):
        while await read(): pass
    async def gated(response):
        print(await response.content.readany())
        await asyncio.to_thread(release, 'g')
        print(await response.content.readany())
        await asyncio.to_thread(release, 'g')
        await response.content.read()
    async def pieces(response):
        await response.content.readexactly(5)
        await response.content.readuntil(b'e')
        await response.content.read()
    async def events(response):
        await response.content.readuntil(b'\\n\\n')
        await asyncio.to_thread(release, 's')
        await response.content.readuntil(b'\\n\\n')
        await response.content.read()
    ways = {
        'unread': None,
        'partial': lambda response: response.content.readexactly(11),
        'read': lambda response: response.read(),
        'text-twice': lambda response: twice(response.text),
        'content-read': lambda response: response.content.read(),
        'content-read-5': lambda response: until_end(lambda: response.content.read(5)),
        'readany': lambda response: until_end(response.content.readany),
        'readline': lambda response: until_end(response.content.readline),
        'readchunk': lambda response: until_readchunk(response),
        'pieces': pieces,
        'iter-chunked': lambda response: consume(response.content.iter_chunked(7)),
        'iter-any': lambda response: consume(response.content.iter_any()),
        'iter-chunks': lambda response: consume(response.content.iter_chunks()),
        'async-for': lambda response: consume(response.content),
        'gated?gate=g': gated,
    }
    async def until_readchunk(response):
        while True:
            data, end = await response.content.readchunk()
            if not data and not end: return
    async def main():
        async with aiohttp.ClientSession() as session:
            for name, way in ways.items():
                async with session.get(BASE + '/stream/' + name) as response:
                    if way: await way(response)
            response = await session.get(BASE + '/stream/released')
            response.release()
            response = await session.get(BASE + '/stream/closed')
            await response.content.readline()
            response.close()
            async with session.get(BASE + '/sse?gate=s') as response:
                await events(response)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.get(BASE + '/gzip/encoded') as response:
                await response.read()
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program that has read, or not read, bodies in every way."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("streams"), STREAMS_PROGRAM), server
        assert [] == server.gates.expired


def test_every_stream_is_one_entry(streams: Recorded) -> None:
    """However a body is read, its exchange is one entry."""
    run, server = streams
    assert (0, "") == (run.returncode, run.stderr)
    assert len(server.exchanges) == len(run.entries)


@pytest.mark.parametrize("name", ["unread", "released"])
def test_an_unread_body_is_recorded_as_unread(streams: Recorded, name: str) -> None:
    """A body nobody read has no text, and says why."""
    run, _ = streams
    [entry] = run.of(f"/stream/{name}")
    content = entry["response"]["content"]
    assert ("unread", "") == (content["_bodyState"], content.get("text", ""))
    assert 200 == entry["response"]["status"]


@pytest.mark.parametrize("name", ["partial", "closed"])
def test_a_body_read_in_part_is_recorded_in_part(streams: Recorded, name: str) -> None:
    """What the program read is there, and that it is not all."""
    run, _ = streams
    [entry] = run.of(f"/stream/{name}")
    content = entry["response"]["content"]
    assert ("partial", CHUNKS[0].decode()) == (content["_bodyState"], content["text"])


@pytest.mark.parametrize(
    "name",
    [
        "read", "text-twice", "content-read", "content-read-5", "readany", "readline", "readchunk", "pieces",
        "iter-chunked", "iter-any", "iter-chunks", "async-for", "gated",
    ],
)  # fmt: skip
def test_a_body_is_recorded_as_the_program_read_it(streams: Recorded, name: str) -> None:
    """However a program reads a body to its end, the entry has it whole."""
    run, server = streams
    [entry], [exchange] = run.of(f"/stream/{name}"), server.of(f"/stream/{name}")
    assert_same_exchange(entry, exchange, server)


def test_events_are_recorded(streams: Recorded) -> None:
    """A stream of server-sent events is text of its own type."""
    run, server = streams
    [entry], [exchange] = run.of("/sse"), server.of("/sse")
    assert_same_exchange(entry, exchange, server)
    assert "text/event-stream" == entry["response"]["content"]["mimeType"]
    assert b"".join(EVENTS).decode() == entry["response"]["content"]["text"]


def test_a_body_read_undecoded_is_recorded_decoded(streams: Recorded) -> None:
    """A session that leaves the coding to the program has the text in its entry all the same."""
    run, server = streams
    [entry], [exchange] = run.of("/gzip/encoded"), server.of("/gzip/encoded")
    assert_same_exchange(entry, exchange, server)


def test_tls_is_recorded(run_instrumented: InstrumentedRunner, tls_server: RecordingServer) -> None:
    """HTTPS exchanges are recorded like others; a refused certificate is a failure."""
    run = run_instrumented(
        """
        import asyncio, ssl, aiohttp
        from harness import BASE, CA
        async def main():
            async with aiohttp.ClientSession() as session:
                for _ in range(2):
                    async with session.post(BASE + '/echo', data=b'x', ssl=context) as response:
                        print((await response.json())['body'])
                try:
                    await session.get(BASE + '/refused-certificate')
                except aiohttp.ClientConnectorCertificateError:
                    print('refused')
        context = ssl.create_default_context(cafile=CA)
        asyncio.run(main())
        """,
        server=tls_server,
    )
    assert (0, "x\nx\nrefused\n", "") == (run.returncode, run.stdout, run.stderr)
    first, second, refused = run.entries
    for entry, exchange in zip([first, second], tls_server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, tls_server)
    assert first["_connectionId"] == second["_connectionId"]
    assert (-1, -1) == (second["timings"]["connect"], second["timings"]["ssl"])
    assert 0 == refused["response"]["status"]
    assert "certificate" in refused["response"]["_error"].lower()
