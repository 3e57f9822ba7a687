"""Programs that use requests, recorded from outside: each entry against what the server saw and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers import Exchange, RecordingServer, assert_same_exchange, body_of, pairs
from servers.comparison import assert_same_request
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import URLLIB3_MISSES_BYTES
from servers.routes import CHUNKS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import InstrumentedRunner

Recorded = tuple[CompletedRun, RecordingServer]

ANSWERS = (
    "/json", "/bytes/1000", "/bytes/0", "/bytes/300000", "/gzip", "/deflate", "/br", "/latin1", "/potato", "/binary",
    "/no-type", "/no-reason", "/empty", "/status/304", "/status/404", "/status/500", "/duplicate-headers",
    "/set-cookies", "/split", "/stream", "/gzip-stream", "/sse", "/close", "/http10", "/digest", "/basic",
    "/item/q?a=1&a=2&b=&c=%C3%A4+x%26&d", "/item/ä%20b;c=d?e=ü", "/item/f?g=h#fragment",
)  # fmt: skip

ANSWERS_PROGRAM = """
    import sys, requests
    from harness import BASE
    with requests.Session() as session:
        for path in sys.argv[1:]:
            print(len(session.get(BASE + path).content))
"""

BODIES = {
    "bytes": "data=bytes(range(256))",
    "text": "data='plain text', headers={'Content-Type': 'text/plain'}",
    "non-ascii": "data='Größe'.encode(), headers={'Content-Type': 'text/plain; charset=utf-8'}",
    "latin-1": "data='Größe'.encode('latin-1'), headers={'Content-Type': 'text/plain; charset=iso-8859-1'}",
    "untyped-text": "data='no type'",
    "form": "data={'a': ['1', '2'], 'b': 'ü &='}",
    "json": "json={'ü': [1, None]}",
    "multipart": "data={'field': 'value'}, files={'file': ('a.txt', b'text of a file', 'text/plain')}",
    "multipart-binary": "files={'file': ('a.bin', bytes(range(256)))}",
    "generator": "data=(piece for piece in [b'one ', b'two ', b'three'])",
    "file": "data=open(__file__, 'rb')",
    "file-from-middle": "data=middle()",
    "bytes-io": "data=io.BytesIO(b'from memory')",
    "memoryview": "data=memoryview(b'a view')",
    "array": "data=array.array('B', b'an array')",
    "no-user-agent": "data=b'x', headers={'User-Agent': None}",
    "empty": "data=b''",
    "nothing": "",
    "cookies": "cookies={'a': '1', 'b': 'x=y'}",
    "headers": "headers={'X-One': '1', 'x-two': '2', 'User-Agent': 'mine', 'Accept': None}",
    "basic": "auth=('user', 'secret')",
    "params": "params={'a': ['1', '2'], 'ü': '&'}",
}

_POSTS = "\n        ".join(f"session.post(BASE + '/echo/{name}', {arguments})" for name, arguments in BODIES.items())

BODIES_PROGRAM = f"""
    import array, io, requests
    from harness import BASE
    def middle():
        file = open(__file__, 'rb')
        file.seek(10)
        return file
    with requests.Session() as session:
        {_POSTS}
        for method in ('PUT', 'PATCH', 'DELETE', 'REPORT'):
            session.request(method, BASE + '/echo/' + method, data=b'body')
        session.head(BASE + '/json')
        session.options(BASE + '/echo/options')
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
    assert_same_exchange(run.entries[index], server.exchanges[index], server)


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


def test_head_has_no_body(bodies: Recorded) -> None:
    """The answer to HEAD is recorded with its headers and without a body, although it has a length."""
    run, server = bodies
    [entry], [exchange] = run.of("/json"), server.of("/json")
    assert_same_exchange(entry, exchange, server)
    assert 0 == entry["response"]["bodySize"]


def test_compressed_bodies_have_both_sizes(answers: Recorded) -> None:
    """Decoded text, decoded size, size on the wire and the compression between them."""
    run, server = answers
    for path in ("/gzip", "/deflate", "/br"):
        [entry], [exchange] = run.of(path), server.of(path)
        content = entry["response"]["content"]
        assert TEXT == content["text"]
        assert len(exchange.response.encoded) == entry["response"]["bodySize"]
        assert len(TEXT.encode()) - len(exchange.response.encoded) == content["compression"]


def test_binary_is_base64_and_text_is_not(answers: Recorded) -> None:
    """What is not text is base64, text of another charset is transcoded."""
    run, _ = answers
    for path in ("/binary", "/bytes/1000", "/potato"):
        assert ["base64"] == [entry["response"]["content"].get("encoding") for entry in run.of(path)]
    for path in ("/json", "/gzip", "/latin1"):
        assert [None] == [entry["response"]["content"].get("encoding") for entry in run.of(path)]


def test_set_cookies_are_recorded(answers: Recorded) -> None:
    """Each Set-Cookie is its own cookie with its attributes."""
    run, _ = answers
    [entry] = run.of("/set-cookies")
    cookies = {cookie["name"]: cookie for cookie in entry["response"]["cookies"]}
    assert ["plain", "session", "dated", "quoted"] == list(cookies)
    assert "a=b=c" == cookies["session"]["value"]
    assert (True, True) == (cookies["session"]["httpOnly"], cookies["session"]["secure"])
    assert cookies["dated"]["expires"].startswith("2038-01-01T00:00:00")
    assert {"/"} == {cookie["path"] for cookie in cookies.values()}


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


def _assert_redirects(run: CompletedRun, exchanges: list[Exchange], server: RecordingServer) -> None:
    for entry, exchange in zip(run.entries, exchanges, strict=True):
        assert_same_request(entry, exchange, server)
    targets = [server.url(exchange.request.target) for exchange in exchanges]
    assert [*targets[1:], ""] == [entry["response"]["redirectURL"] for entry in run.entries]
    starts = [entry["startedDateTime"] for entry in run.entries]
    assert sorted(starts) == starts


def test_redirects_are_entries_of_their_own(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Each hop is an entry, in order, with its own body and the absolute target."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        print(requests.get(BASE + '/redirect/3', headers={'X-A': 'b'}, cookies={'c': 'd'}).text)
    """)
    assert (0, "arrived\n", "") == (run.returncode, run.stdout, run.stderr)
    _assert_redirects(run, server.exchanges, server)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, server)
    assert 1 == len({entry["_otel"]["traceId"] for entry in run.entries})


def test_a_redirected_post_repeats_its_body(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Every hop of a 307 has the same method and body."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        print(requests.post(BASE + '/redirect-307/2', data=b'again and again').text)
    """)
    assert (0, "got again and again\n", "") == (run.returncode, run.stdout, run.stderr)
    _assert_redirects(run, server.exchanges, server)
    assert ["POST"] * 3 == [entry["request"]["method"] for entry in run.entries]
    assert [b"again and again"] * 3 == [exchange.request.body for exchange in server.exchanges]


def test_a_redirect_not_followed_keeps_its_target(
    run_instrumented: InstrumentedRunner, server: RecordingServer
) -> None:
    """One entry, with the target nobody asked for."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        requests.get(BASE + '/redirect/3', allow_redirects=False)
    """)
    [entry] = run.entries
    assert server.url("/redirect/2") == entry["response"]["redirectURL"]
    assert_same_exchange(entry, server.exchanges[0], server)


def test_authentication_rounds_are_entries(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Both requests of a digest authentication are recorded, each with what it sent."""
    run = run_instrumented("""
        import requests
        from requests.auth import HTTPDigestAuth
        from harness import BASE
        print(requests.get(BASE + '/digest', auth=HTTPDigestAuth('user', 'secret')).text)
    """)
    assert (0, "welcome\n", "") == (run.returncode, run.stdout, run.stderr)
    assert [401, 200] == [entry["response"]["status"] for entry in run.entries]
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, server)


FAILURES_PROGRAM = """
    import requests
    from harness import BASE, UNUSED
    urls = [UNUSED + '/refused', 'http://nowhere.invalid/dns', BASE + '/silence', BASE + '/reset', BASE + '/hang-up',
            BASE + '/garbage', BASE + '/reset-mid-body', BASE + '/truncated', BASE + '/truncated-chunks',
            BASE + '/bad-gzip', BASE + '/hang']
    for url in urls:
        timeout = 0.5 if url.endswith(('/silence', '/hang')) else 20
        try:
            requests.post(url, data=b'body', headers={'X-A': 'b'}, timeout=timeout)
        except requests.RequestException as error:
            print(url.rpartition('/')[2], type(error).__name__)
"""


MISSED, UNNOTICED = (["truncated"], []) if URLLIB3_MISSES_BYTES else ([], ["truncated"])


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program whose requests have all failed."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("failures"), FAILURES_PROGRAM), server


def test_each_failure_is_one_entry(failures: Recorded) -> None:
    """Every failed request is an entry, in order."""
    run, _ = failures
    assert (0, "") == (run.returncode, run.stderr)
    names = [line.split()[0] for line in run.stdout.splitlines()]
    recorded = [entry["request"]["url"].rpartition("/")[2] for entry in run.entries]
    assert 11 == len(recorded)
    assert names == [name for name in recorded if name not in UNNOTICED]


@pytest.mark.parametrize("name", ["refused", "dns", "silence", "reset", "hang-up", "garbage"])
def test_a_failure_without_a_response_has_status_0(failures: Recorded, name: str) -> None:
    """Status 0, empty fields, and what happened; the request is there."""
    run, _ = failures
    [entry] = run.of(f"/{name}")
    response = entry["response"]
    assert (0, "", [], [], "") == tuple(
        response[field] for field in ("status", "statusText", "headers", "cookies", "redirectURL")
    )
    assert {"size": 0, "mimeType": "x-unknown"} == response["content"]
    assert response["_error"]
    assert "POST" == entry["request"]["method"]
    assert ("X-A", "b") in pairs(entry["request"]["headers"])
    assert "body" == entry["request"]["postData"]["text"]


@pytest.mark.parametrize("name", ["silence", "reset", "hang-up", "garbage"])
def test_a_request_that_got_no_answer_is_recorded_whole(failures: Recorded, name: str) -> None:
    """The request which the server saw is the request of the entry."""
    run, server = failures
    [entry], [exchange] = run.of(f"/{name}"), server.of(f"/{name}")
    assert_same_request(entry, exchange, server, peer_may_be_unknown=True)


@pytest.mark.parametrize("name", ["reset-mid-body", *MISSED, "truncated-chunks", "bad-gzip", "hang"])
def test_a_broken_body_keeps_the_response(failures: Recorded, name: str) -> None:
    """Status and headers that came are there, the body as far as the program got it, and what happened."""
    run, server = failures
    [entry], [exchange] = run.of(f"/{name}"), server.of(f"/{name}")
    assert_same_request(entry, exchange, server, peer_may_be_unknown=True)
    response = entry["response"]
    assert 200 == response["status"]
    assert [(n.decode(), v.decode()) for n, v in exchange.response.headers] == pairs(response["headers"])
    assert response["_error"]
    assert response["content"]["_bodyState"] in {"partial", "unread"}
    body = body_of(response["content"])
    assert exchange.response.body.startswith(body if isinstance(body, bytes) else body.encode())


STREAMS_PROGRAM = """
    import io, shutil, requests
    from harness import BASE, release
    session = requests.Session()
    session.get(BASE + '/stream/unread', stream=True).close()
    with session.get(BASE + '/stream/partial', stream=True) as response:
        next(response.iter_content(11))
    never = session.get(BASE + '/stream/never', stream=True)
    with session.get(BASE + '/stream/iterated', stream=True) as response:
        list(response.iter_content(7))
    with session.get(BASE + '/stream/lines', stream=True) as response:
        list(response.iter_lines())
    with session.get(BASE + '/stream/raw', stream=True) as response:
        response.raw.read()
    with session.get(BASE + '/stream/raw-pieces', stream=True) as response:
        while response.raw.read(5): pass
    with session.get(BASE + '/stream/copied', stream=True) as response:
        shutil.copyfileobj(response.raw, io.BytesIO())
    with session.get(BASE + '/stream/raw-stream', stream=True) as response:
        list(response.raw.stream(4))
    with session.get(BASE + '/stream/content', stream=True) as response:
        response.content, response.text, response.content
    with session.get(BASE + '/gzip/encoded', stream=True) as response:
        response.raw.read()
    with session.get(BASE + '/gzip/decoded', stream=True) as response:
        response.raw.read(decode_content=True)
    with session.get(BASE + '/gzip-stream/partial', stream=True) as response:
        next(response.iter_content(5))
    with session.get(BASE + '/stream/gated?gate=g', stream=True) as response:
        pieces = response.iter_content(None)
        print(next(pieces)); release('g'); print(next(pieces)); release('g'); print(list(pieces))
"""


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program that has read, or not read, streamed bodies in every way."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("streams"), STREAMS_PROGRAM), server
        assert [] == server.gates.expired


@pytest.mark.parametrize("name", ["unread", "never"])
def test_an_unread_body_is_recorded_as_unread(streams: Recorded, name: str) -> None:
    """A body nobody read has no text, and says why."""
    run, _ = streams
    assert (0, "") == (run.returncode, run.stderr)
    [entry] = run.of(f"/stream/{name}")
    content = entry["response"]["content"]
    assert ("unread", "") == (content["_bodyState"], content.get("text", ""))
    assert 200 == entry["response"]["status"]


def test_a_body_read_in_part_is_recorded_in_part(streams: Recorded) -> None:
    """What the program read is there, and that it is not all."""
    run, _ = streams
    [entry] = run.of("/stream/partial")
    content = entry["response"]["content"]
    assert ("partial", CHUNKS[0].decode()) == (content["_bodyState"], content["text"])


def test_a_compressed_body_read_in_part_is_decoded(streams: Recorded) -> None:
    """What came of a compressed body before the program stopped is recorded as text."""
    run, _ = streams
    [entry] = run.of("/gzip-stream/partial")
    content = entry["response"]["content"]
    assert "partial" == content["_bodyState"]
    assert content["text"]
    assert b"".join(CHUNKS).decode().startswith(content["text"])


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"/stream/{way}"
            for way in ("iterated", "lines", "raw", "raw-pieces", "copied", "raw-stream", "content", "gated")
        ),
        "/gzip/encoded",
        "/gzip/decoded",
    ],
)
def test_a_streamed_body_is_recorded_as_the_program_read_it(streams: Recorded, path: str) -> None:
    """However a program reads a body to its end, the entry has it whole and decoded."""
    run, server = streams
    [entry], [exchange] = run.of(path), server.of(path)
    assert_same_exchange(entry, exchange, server)


def test_tls_is_recorded(run_instrumented: InstrumentedRunner, tls_server: RecordingServer) -> None:
    """HTTPS exchanges are recorded like others; a refused certificate is a failure."""
    run = run_instrumented(
        """
        import requests
        from harness import BASE, CA
        with requests.Session() as session:
            for _ in range(2):
                print(session.post(BASE + '/echo', data=b'x', verify=CA).status_code)
        try:
            requests.get(BASE + '/refused-certificate')
        except requests.exceptions.SSLError as error:
            print('refused')
        """,
        server=tls_server,
    )
    assert (0, "200\n200\nrefused\n", "") == (run.returncode, run.stdout, run.stderr)
    first, second, refused = run.entries
    for entry, exchange in zip([first, second], tls_server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, tls_server)
    assert first["_connectionId"] == second["_connectionId"]
    assert (-1, -1) == (second["timings"]["connect"], second["timings"]["ssl"])
    assert 0 == refused["response"]["status"]
    assert "certificate" in refused["response"]["_error"].lower()
