"""Filters in programs as they are, with requests and aiohttp: the file has what was asked for, and nothing is hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers import RecordingServer, assert_same_exchange
from servers.programs import run_instrumented_program, run_plain_program

if TYPE_CHECKING:
    from servers import CompletedRun, InstrumentedRunner

PROGRAM = """
    import asyncio, hashlib
    import aiohttp, requests
    from harness import BASE, UNUSED

    def said(*what):
        print(*what)

    def with_requests():
        for path in ('/json', '/bytes/300', '/status/404', '/status/503', '/redirect/2', '/gzip'):
            response = requests.get(BASE + path, params={'by': 'requests'})
            said(path, response.status_code, hashlib.sha1(response.content).hexdigest())
        said(requests.post(BASE + '/echo/requests', data={'a': 'b c'}).json()['body'])
        said(requests.put(BASE + '/echo/pieces', data=iter([b'one', b'two'])).json()['body'])
        try:
            requests.get(UNUSED)
        except requests.ConnectionError:
            said('refused')

    async def with_aiohttp():
        async with aiohttp.ClientSession() as session:
            for path in ('/json', '/bytes/300', '/status/404', '/status/503', '/redirect/2', '/gzip'):
                async with session.get(BASE + path, params={'by': 'aiohttp'}) as response:
                    said(path, response.status, hashlib.sha1(await response.read()).hexdigest())
            async with session.post(BASE + '/echo/aiohttp', data={'a': 'b c'}) as response:
                said((await response.json())['body'])
            async with session.ws_connect(BASE + '/websocket/echo/0') as socket:
                await socket.send_str('hello')
                said(await socket.receive_str())
                await socket.send_bytes(bytes(3))
                said(await socket.receive_bytes())
            try:
                await session.get(UNUSED)
            except aiohttp.ClientConnectionError:
                said('refused')

    with_requests()
    asyncio.run(with_aiohttp())
"""

PREDICATE = """
    def wants(entry):
        return entry.response.content.size == 300

    def fails(entry):
        raise ArithmeticError(entry.request.url)
"""


def _paths(run: CompletedRun) -> list[str]:
    """Method and path of each entry; that of the refused request is `/`."""
    return [f"{entry['request']['method']} {urlsplit(entry['request']['url']).path or '/'}" for entry in run.entries]


BOTH = ["GET /json", "GET /bytes/300", "GET /status/404", "GET /status/503"]
HOPS = ["GET /redirect/2", "GET /redirect/1", "GET /redirect/0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> CompletedRun:
    """The program recorded without a filter."""
    with RecordingServer() as server:
        run = run_instrumented_program(server, tmp_path_factory.mktemp("whole"), PROGRAM, "--har_params", "always")
    assert (0, "") == (run.returncode, run.stderr)
    return run


@pytest.fixture(scope="module")
def said(whole: CompletedRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the program says where nothing is recorded, and where everything is."""
    with RecordingServer() as server:
        run = run_plain_program(server, tmp_path_factory.mktemp("plain"), PROGRAM)
    assert (whole.stdout, 0, "") == (run.stdout, run.returncode, run.stderr)
    return run.stdout


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        (("--har_include_urls", "*/json?by=*,*/bytes/*"), 2 * ["GET /json", "GET /bytes/300"]),
        (("--har_include_urls", "re:/redirect/[02]"), 2 * [HOPS[0], HOPS[2]]),
        (
            ("--har_exclude_urls", "*?by=*,*/websocket/*,re:/redirect/[0-1]{1,1}$"),
            ["POST /echo/requests", "PUT /echo/pieces", "GET /", "POST /echo/aiohttp", "GET /"],
        ),
        (("--har_methods", "post,PUT"), ["POST /echo/requests", "PUT /echo/pieces", "POST /echo/aiohttp"]),
        (("--har_statuses", "4xx,503,error"), 2 * ["GET /status/404", "GET /status/503", "GET /"]),
        (("--har_errors_only", "true"), 2 * ["GET /status/404", "GET /status/503", "GET /"]),
        (("--har_content_types", "application/octet-stream"), 2 * ["GET /bytes/300"]),
        (("--har_min_duration_millis", "3600000"), []),
        (("--har_filter", "app_filters:wants"), 2 * ["GET /bytes/300"]),
        (("--har_methods", "GET", "--har_statuses", "404", "--har_exclude_urls", "*by=requests"), ["GET /status/404"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_is_recorded(
    run_instrumented: InstrumentedRunner, server: RecordingServer, said: str, options: tuple[str, ...], paths: list[str]
) -> None:
    """The file has the exchanges that the rules let in, each of them whole; the program runs as without."""
    run = run_instrumented(_with_module(PROGRAM), *options)
    assert (0, said, "") == (run.returncode, run.stdout, run.stderr)
    assert paths == _paths(run)
    assert {entry["pageref"] for entry in run.entries} == {page["id"] for page in run.pages}
    seen = {
        _key(one.request.method, one.request.target, one.request.first("traceparent")): one for one in server.exchanges
    }
    for entry in run.entries:
        if entry["response"]["status"] not in {0, 302}:  # aiohttp lets go of a redirect's body
            url = urlsplit(entry["request"]["url"])
            [parent] = [one["value"] for one in entry["request"]["headers"] if one["name"] == "traceparent"]
            key = _key(entry["request"]["method"], f"{url.path}?{url.query}" if url.query else url.path, parent)
            assert_same_exchange(entry, seen[key], server)


def _key(method: str, target: str, parent: str) -> tuple[str, str, str]:
    """What a request is known by: its hops have one parent."""
    return method, target, parent


def _with_module(program: str) -> str:
    """The program with a module of its own beside it, `app_filters`, which the filter is imported from."""
    return f"""
    import pathlib
    pathlib.Path(__file__).with_name('app_filters.py').write_text({PREDICATE.replace("    def", "def")!r})
    {program}"""


@pytest.mark.parametrize("bodies", ["none", "text", "application/json=none,*=text"])
def test_what_is_recorded_of_bodies(
    run_instrumented: InstrumentedRunner, whole: CompletedRun, said: str, bodies: str
) -> None:
    """Bodies are left out by their type, with their sizes as they were; messages of WebSockets follow."""
    run = run_instrumented(PROGRAM, "--har_params", "always", "--har_bodies", bodies)
    assert (0, said, "") == (run.returncode, run.stdout, run.stderr)
    assert _paths(whole) == _paths(run)
    for expected, entry in zip(whole.entries, run.entries, strict=True):
        request, response = entry["request"], entry["response"]
        assert [expected["request"]["bodySize"], expected["response"]["bodySize"]] == [
            request["bodySize"],
            response["bodySize"],
        ]
        if not urlsplit(request["url"]).path.startswith("/echo/"):  # where the port's number is a part of it
            assert expected["response"]["content"]["size"] == response["content"]["size"]
        _assert_follows(bodies, expected["response"]["content"], response["content"])
        if "postData" in expected["request"]:
            _assert_follows(bodies, expected["request"]["postData"], request["postData"])
    [talk] = run.of("/websocket/echo/0")
    messages = [(one["opcode"], one["data"]) for one in talk.get("_webSocketMessages", []) if one["opcode"] < 8]
    assert ([] if bodies == "none" else [(1, "hello")] * 2 + [(2, "")] * 2) == messages


def _assert_follows(bodies: str, expected: dict[str, object], actual: dict[str, object]) -> None:
    """A body is as it would be without the rule, or is left out by it."""
    is_json = str(expected["mimeType"]).startswith("application/json")
    is_out = bodies == "none" or "encoding" in expected or (is_json and bodies != "text")
    if not is_out or not expected.get("text"):
        assert _beginning(expected) == _beginning(actual)
        return
    assert ("excluded", "", False, False) == (
        actual["_bodyState"],
        actual.get("text", ""),
        "encoding" in actual,
        "params" in actual,
    )


def _beginning(body: dict[str, object]) -> dict[str, object]:
    """A body without what an echo says of the run: its server's port, its trace."""
    return {**body, "text": str(body.get("text"))[:40], "size": 0}


def test_a_predicate_that_fails(run_instrumented: InstrumentedRunner, said: str) -> None:
    """Everything is recorded, and the fault is told once, and counted at the end."""
    run = run_instrumented(_with_module(PROGRAM), "--har_filter", "app_filters:fails")
    assert (0, said) == (run.returncode, run.stdout)
    assert 1 == run.stderr.count("the program's filter failed (ArithmeticError)")
    assert f"the program's filter: ArithmeticError ({len(run.entries)})" in run.stderr
    assert 2 * [*BOTH, *HOPS] == [path for path in _paths(run) if path in {*BOTH, *HOPS}]


def test_rules_that_cannot_be_understood(run_instrumented: InstrumentedRunner, whole: CompletedRun, said: str) -> None:
    """Each is told in one line; one that may hide something makes the redaction strict, others are as if unset."""
    run = run_instrumented(PROGRAM, "--har_exclude_urls", "re:(", "--har_statuses", "fine")
    assert (0, said) == (run.returncode, run.stdout)
    first, second = sorted(run.stderr.splitlines())
    assert "OTEL_PYTHON_HAR_EXCLUDE_URLS='re:(' is taken for OTEL_PYTHON_HAR_REDACT=strict" in first
    assert "OTEL_PYTHON_HAR_STATUSES='fine' is ignored" in second
    assert {"GET /json", "GET /status/404"} <= set(_paths(run))
    assert ["Jürgen" in text for text in (str(whole.har), str(run.har))] == [True, False]
