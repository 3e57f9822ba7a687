"""Cases that the tests of other recorders hold, Playwright's and mitmproxy's above all, anew for both clients."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, assert_same_exchange, body_of, pairs
from servers.programs import CompletedRun, run_instrumented_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import InstrumentedRunner

Recorded = tuple[CompletedRun, RecordingServer]
Json = dict[str, Any]

CLIENTS = ("requests", "aiohttp")

SMALL_PROGRAMS = {
    "requests": """
    import time, requests
    from harness import BASE
    with requests.Session() as session:
        session.post(BASE + '/bytes/0', data=b'123456')
        session.post(BASE + '/item/empty', data=b'')
        session.get(BASE + '/item/reused')
        print(time.time_ns()); session.get(BASE + '/item/timed'); print(time.time_ns())
        session.get(BASE + '/item/sent', headers={'Cookie': 'quoted="b c"; eq=a=b; commas=1,2; twice=1; twice=2; no='})
        session.cookies.set('mine', '1', domain='127.0.0.1', path='/item')
        session.cookies.set('elsewhere', '2', domain='other.example')
        session.cookies.set('deeper', '3', domain='127.0.0.1', path='/item/deeper')
        session.get(BASE + '/item/jar')
        response = session.get(BASE + '/json/twice')
        response.content, response.text, response.json(), response.content
        session.get(BASE + '/odd/large-gzip')
        session.get(BASE + '/binary')
    """,
    "aiohttp": """
    import asyncio, time, aiohttp
    from http.cookies import SimpleCookie
    from yarl import URL
    from harness import BASE
    async def read(request):
        async with request as response:
            await response.read()
    async def main():
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            await read(session.post(BASE + '/bytes/0', data=b'123456'))
            await read(session.post(BASE + '/item/empty', data=b''))
            await read(session.get(BASE + '/item/reused'))
            print(time.time_ns()); await read(session.get(BASE + '/item/timed')); print(time.time_ns())
            cookie = 'quoted="b c"; eq=a=b; commas=1,2; twice=1; twice=2; no='
            await read(session.get(BASE + '/item/sent', headers={'Cookie': cookie}))
            jar.update_cookies(SimpleCookie('mine=1; Path=/item'), URL(BASE))
            jar.update_cookies(SimpleCookie('elsewhere=2'), URL('http://other.example/'))
            jar.update_cookies(SimpleCookie('deeper=3; Path=/item/deeper'), URL(BASE))
            await read(session.get(BASE + '/item/jar'))
            async with session.get(BASE + '/json/twice') as response:
                await response.read(), await response.text(), await response.json(), await response.read()
            await read(session.get(BASE + '/odd/large-gzip'))
            await read(session.get(BASE + '/binary'))
    asyncio.run(main())
    """,
}


@pytest.fixture(scope="module", params=CLIENTS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program of each client, that has made one request for each small case."""
    with RecordingServer() as server:
        program = SMALL_PROGRAMS[request.param]
        yield run_instrumented_program(server, tmp_path_factory.mktemp(request.param), program), server


def _entry(recorded: Recorded, path: str) -> Json:
    """The entry of a path, as the server recorded its exchange."""
    run, server = recorded
    [entry], [exchange] = run.of(path), server.of(path)
    assert (0, "") == (run.returncode, run.stderr)
    assert_same_exchange(entry, exchange, server)
    return entry


def test_the_file_says_what_it_is_and_who_made_it(small: Recorded) -> None:
    """Version, creator and browser are there, and the one page of a program without spans of its own."""
    run, _ = small
    assert run.har is not None
    log = run.har["log"]
    assert ("1.2", "otel-har") == (log["version"], log["creator"]["name"])
    assert log["creator"]["version"]
    assert log["browser"]["name"]
    assert ["app.py"] == [page["title"].rpartition("/")[2] for page in log["pages"]]
    assert {log["pages"][0]["id"]} == {entry["pageref"] for entry in log["entries"]}


def test_sizes_of_six_bytes_and_of_none(small: Recorded) -> None:
    """A body of six bytes, an empty one and none at all have the sizes 6, 0 and 0, the heads those of the wire."""
    run, server = small
    for path, size in {"/bytes/0": 6, "/item/empty": 0, "/item/reused": 0}.items():
        entry = _entry(small, path)
        [exchange] = server.of(path)
        assert (len(exchange.request.head), size) == (entry["request"]["headersSize"], entry["request"]["bodySize"])
        assert (size > 0) == ("postData" in entry["request"])
    response, sent = _entry(small, "/bytes/0")["response"], server.of("/bytes/0")[0].response
    assert (0, 0, 0) == (response["bodySize"], response["content"]["size"], response["content"]["compression"])
    assert len(sent.head) == response["headersSize"] == response["_transferSize"]
    response, sent = _entry(small, "/item/reused")["response"], server.of("/item/reused")[0].response
    assert len(sent.head) + len(sent.body) == response["_transferSize"]
    assert run.entries


def test_an_entry_starts_when_its_request_does(small: Recorded) -> None:
    """The start lies between the moments before and behind the call, and so does the end."""
    run, _ = small
    before_ns, after_ns = map(int, run.stdout.split())
    entry = _entry(small, "/item/timed")
    started = datetime.fromisoformat(entry["startedDateTime"].replace("Z", "+00:00")).timestamp() * 1e9
    rounding_ns = 2_000
    assert before_ns - rounding_ns <= started
    assert started + entry["time"] * 1e6 <= after_ns + rounding_ns


def test_cookies_are_those_that_were_sent(small: Recorded) -> None:
    """Quotes, equals signs, commas, duplicates and empty values are as they were sent, and nothing else of the jar."""
    _entry(small, "/item/sent")  # as the server saw them
    assert [("mine", "1")] == pairs(_entry(small, "/item/jar")["request"]["cookies"])


def test_a_reused_connection_has_no_phases_of_connecting(small: Recorded) -> None:
    """On a connection that is open already nothing is looked up, connected or encrypted; plain text is never ssl."""
    run, _ = small
    timings = _entry(small, "/item/reused")["timings"]
    assert (-1, -1, -1) == (timings["dns"], timings["connect"], timings["ssl"])
    assert {-1} == {entry["timings"]["ssl"] for entry in run.entries}
    assert 1 == len({entry["_connectionId"] for entry in run.entries})


def test_a_body_that_is_read_twice_is_recorded_once(small: Recorded) -> None:
    """Bytes, text and JSON of one response are one body."""
    run, server = small
    [entry], [exchange] = run.of("/json/twice"), server.of("/json/twice")
    content = entry["response"]["content"]
    assert (len(exchange.response.body), exchange.response.body.decode()) == (content["size"], content["text"])


def test_a_large_compressed_body_says_what_was_saved(small: Recorded) -> None:
    """The compression is the size of the text less the size on the wire."""
    response = _entry(small, "/odd/large-gzip")["response"]
    assert 4000 < response["content"]["compression"] == response["content"]["size"] - response["bodySize"]
    assert ("base64", 0) == (
        _entry(small, "/binary")["response"]["content"]["encoding"],
        _entry(small, "/binary")["response"]["content"]["compression"],
    )


OPEN_PROGRAMS = {
    "requests": """
    import json, os, requests
    from opentelemetry import trace
    from harness import BASE
    session = requests.Session()
    slow = session.get(BASE + '/hang', stream=True)
    print(next(slow.iter_content(10)))
    print(session.get(BASE + '/item/meanwhile').text)
    print(trace.get_tracer_provider().force_flush())
    with open(os.environ['OTEL_PYTHON_HAR'], encoding='utf-8') as file:
        print([entry['request']['url'].rpartition('/')[2] for entry in json.load(file)['log']['entries']])
    """,
    "aiohttp": """
    import asyncio, json, os, aiohttp
    from opentelemetry import trace
    from harness import BASE
    async def main():
        async with aiohttp.ClientSession() as session:
            slow = await session.get(BASE + '/hang')
            print(await slow.content.read(10))
            async with session.get(BASE + '/item/meanwhile') as response:
                print(await response.text())
            print(trace.get_tracer_provider().force_flush())
            with open(os.environ['OTEL_PYTHON_HAR'], encoding='utf-8') as file:
                print([entry['request']['url'].rpartition('/')[2] for entry in json.load(file)['log']['entries']])
    asyncio.run(main())
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_without_an_end_hangs_nothing(run_instrumented: InstrumentedRunner, client: str) -> None:
    """While a body is under way others are written; the program ends, and the entry has what there was of it."""
    run = run_instrumented(OPEN_PROGRAMS[client])
    assert (0, "") == (run.returncode, run.stderr)
    assert ["b'ten bytes.'", "item /item/meanwhile", "True", "['meanwhile']"] == run.stdout.splitlines()
    [entry] = run.of("/hang")
    content = entry["response"]["content"]
    assert (200, "partial", "ten bytes.") == (entry["response"]["status"], content["_bodyState"], content["text"])


SPANS_PROGRAMS = {
    "requests": """
    import requests
    from opentelemetry import trace
    from harness import BASE
    tracer = trace.get_tracer('app')
    session = requests.Session()
    readers = {}
    for name in ('first', 'second'):
        with tracer.start_as_current_span(name) as span:
            print(name, format(span.get_span_context().span_id, '016x'))
            readers[name] = session.get(BASE + '/stream/' + name, stream=True).iter_content(5)
    with tracer.start_as_current_span('third'):
        while any([next(reader, None) for reader in readers.values()]):
            session.get(BASE + '/item/between')
    """,
    "aiohttp": """
    import asyncio, aiohttp
    from opentelemetry import trace
    from harness import BASE
    tracer = trace.get_tracer('app')
    async def main():
        async with aiohttp.ClientSession() as session:
            responses = []
            for name in ('first', 'second'):
                with tracer.start_as_current_span(name) as span:
                    print(name, format(span.get_span_context().span_id, '016x'))
                    responses.append(await session.get(BASE + '/stream/' + name))
            with tracer.start_as_current_span('third'):
                while any([await response.content.read(5) for response in responses]):
                    async with session.get(BASE + '/item/between') as between:
                        await between.read()
    asyncio.run(main())
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_body_belongs_to_the_span_of_its_request(
    run_instrumented: InstrumentedRunner, server: RecordingServer, client: str
) -> None:
    """Bodies that are read in turns, in another span and with other requests between, are in their own entries."""
    run = run_instrumented(SPANS_PROGRAMS[client])
    assert (0, "") == (run.returncode, run.stderr)
    for line in run.stdout.splitlines():
        name, span_id = line.split()
        [entry], [exchange] = run.of(f"/stream/{name}"), server.of(f"/stream/{name}")
        assert_same_exchange(entry, exchange, server)
        assert span_id == entry["_otel"]["parentSpanId"]
        assert exchange.request.first("traceparent").split("-")[2] == entry["_otel"]["spanId"]
        assert [name] == [page["title"] for page in run.pages if page["id"] == entry["pageref"]]


def test_twenty_threads_on_one_session(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """400 of 400 requests of 20 threads that share a session come through, and each is recorded once."""
    run = run_instrumented("""
        import requests
        from concurrent.futures import ThreadPoolExecutor
        from harness import BASE
        with requests.Session() as session, ThreadPoolExecutor(20) as threads:
            def ask(number):
                return session.get(f'{BASE}/item/{number}').text == f'item /item/{number}'
            print(sum(threads.map(ask, range(400))))
    """)
    assert (0, "400\n", "") == (run.returncode, run.stdout, run.stderr)
    expected = {server.url(f"/item/{number}"): f"item /item/{number}" for number in range(400)}
    assert 400 == len(run.entries)
    assert expected == {entry["request"]["url"]: entry["response"]["content"]["text"] for entry in run.entries}


ERRORS_PROGRAMS = {
    "requests": """
    import requests
    from harness import BASE, UNUSED
    refused = 0
    for number in range(1200):
        try:
            requests.get(f'{UNUSED}/{number}')
        except requests.ConnectionError:
            refused += 1
    print(refused, requests.get(BASE + '/item/last').status_code)
    """,
    "aiohttp": """
    import asyncio, aiohttp
    from harness import BASE, UNUSED
    async def main():
        refused = 0
        bases = aiohttp.ClientResponse.__mro__
        async with aiohttp.ClientSession() as session:
            for number in range(1200):
                try:
                    await session.get(f'{UNUSED}/{number}')
                except aiohttp.ClientConnectionError:
                    refused += 1
            async with session.get(BASE + '/item/last') as response:
                await response.read()
                print(refused, response.status)
                assert type(response).__mro__ == bases
    asyncio.run(main())
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_after_many_failures_comes_an_answer(run_instrumented: InstrumentedRunner, client: str) -> None:
    """1,200 refused connections are 1,200 entries in order, and the answer after them is the last one."""
    run = run_instrumented(ERRORS_PROGRAMS[client])
    assert (0, "1200 200\n", "") == (run.returncode, run.stdout, run.stderr)
    names = [entry["request"]["url"].rpartition("/")[2] for entry in run.entries]
    assert [*map(str, range(1200)), "last"] == names
    assert [0] * 1200 + [200] == [entry["response"]["status"] for entry in run.entries]
    assert all(entry["response"]["_error"] for entry in run.entries[:-1])


def test_a_unix_socket_is_recorded(run_instrumented: InstrumentedRunner) -> None:
    """A request through aiohttp's UnixConnector is an entry without an address, which a socket file has not."""
    run = run_instrumented("""
        import asyncio, tempfile, aiohttp
        from aiohttp import web
        async def handler(request):
            return web.Response(text='over a file')
        async def main():
            application = web.Application()
            application.router.add_get('/path', handler)
            runner = web.AppRunner(application)
            await runner.setup()
            with tempfile.TemporaryDirectory() as directory:
                await web.UnixSite(runner, directory + '/s').start()
                async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(directory + '/s')) as session:
                    async with session.get('http://somewhere/path') as response:
                        print(await response.text())
                await runner.cleanup()
        asyncio.run(main())
    """)
    assert (0, "over a file\n", "") == (run.returncode, run.stdout, run.stderr)
    [entry] = run.entries
    assert ("http://somewhere/path", "over a file") == (
        entry["request"]["url"],
        body_of(entry["response"]["content"]),
    )
    assert not {"serverIPAddress", "connection", "_serverPort"} & set(entry)
