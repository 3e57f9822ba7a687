"""Programs that make requests from here and there: each entry names the lines of the program that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from servers import InstrumentedRunner
    from servers.programs import CompletedRun

_REQUESTS = """
    import functools, threading, requests
    from harness import BASE, UNUSED
    class Shop:
        def items(self):
            return requests.get(BASE + "/json?direct")
    def within(session, url):
        return session.get(url)
    Shop().items()
    with requests.Session() as session:
        within(session, BASE + "/redirect/1?hop")
        thread = threading.Thread(target=within, args=(session, BASE + "/json?thread"))
        thread.start()
        thread.join()
        functools.partial(within, session)(BASE + "/json?partial")
        try:
            within(session, UNUSED + "/?failed")
        except requests.ConnectionError:
            pass
        def deep(levels):
            return deep(levels - 1) if levels else session.get(BASE + "/json?deep")
        deep(30)
"""
_AIOHTTP = """
    import asyncio, aiohttp
    from harness import BASE, UNUSED
    async def within(session, url):
        async with session.get(url) as response:
            return await response.read()
    async def outer(session):
        return await within(session, BASE + "/json?nested")
    async def main():
        async with aiohttp.ClientSession() as session:
            await within(session, BASE + "/json?direct")
            await outer(session)
            await within(session, BASE + "/redirect/1?hop")
            await asyncio.gather(outer(session), asyncio.wait_for(within(session, BASE + "/json?task"), 30))
            try:
                await within(session, UNUSED + "/?failed")
            except aiohttp.ClientError:
                pass
    asyncio.run(main())
"""


def _frames(entry: dict[str, Any]) -> list[tuple[str, int]]:
    """Functions and lines, counted from 1 as editors do; every frame is the program's."""
    call_frames = entry["_initiator"]["stack"]["callFrames"]
    assert {"app.py"} == {frame["url"].rpartition("/")[2] for frame in call_frames}
    return [(frame["functionName"].rpartition(".")[2], frame["lineNumber"] + 1) for frame in call_frames]


def _of(run: CompletedRun, word: str) -> list[dict[str, Any]]:
    return [entry for entry in run.entries if entry["request"]["url"].endswith("?" + word)]


def _lines(program: str, *texts: str) -> list[int]:
    """The numbers of the lines that have each text, as the program's file has them."""
    lines = program.splitlines()
    return [next(number for number, line in enumerate(lines, 1) if text in line) for text in texts]


def test_requests(run_instrumented: InstrumentedRunner) -> None:
    """Direct calls, sessions, redirects, threads, failures: the innermost frame is the line that asked."""
    run = run_instrumented(_REQUESTS)
    assert (0, "") == (run.returncode, run.stderr)
    inner, items, get = _lines(_REQUESTS, "Shop().items()", "requests.get(", "return session.get(url)")
    hop, partial, failed = _lines(_REQUESTS, "?hop", "?partial", "?failed")
    [direct] = _of(run, "direct")
    assert [("items", items), ("<module>", inner)] == _frames(direct)
    assert [[("within", get), ("<module>", hop)]] * 2 == [
        _frames(entry) for entry in run.entries if "/redirect/" in entry["request"]["url"]
    ]
    assert [[("within", get)]] == [_frames(entry) for entry in _of(run, "thread")]
    assert [[("within", get), ("<module>", partial)]] == [_frames(entry) for entry in _of(run, "partial")]
    assert [[("within", get), ("<module>", failed)]] == [_frames(entry) for entry in _of(run, "failed")]


def test_aiohttp(run_instrumented: InstrumentedRunner) -> None:
    """Coroutines that await one another are the stack; a task begins with its own coroutine."""
    run = run_instrumented(_AIOHTTP)
    assert (0, "") == (run.returncode, run.stderr)
    get, nested, direct, hop, failed = _lines(_AIOHTTP, "session.get(url)", "?nested", "?direct", "?hop", "?failed")
    assert [[("within", get), ("main", direct)]] == [_frames(entry) for entry in _of(run, "direct")]
    assert [("within", get), ("outer", nested), ("main", nested_call(_AIOHTTP))] in [
        _frames(entry) for entry in _of(run, "nested")
    ]
    assert [[("within", get), ("main", hop)]] * 2 == [
        _frames(entry) for entry in run.entries if "/redirect/" in entry["request"]["url"]
    ]
    assert [[("within", get)]] == [_frames(entry) for entry in _of(run, "task")]
    assert [[("within", get), ("main", failed)]] == [_frames(entry) for entry in _of(run, "failed")]


def nested_call(program: str) -> int:
    """The line of the first call of `outer`."""
    return _lines(program, "await outer(session)")[0]


@pytest.mark.parametrize(("frames", "expected"), [("3", 3), ("10", 10), ("25", 25)])
def test_depth(run_instrumented: InstrumentedRunner, frames: str, expected: int) -> None:
    """The setting is the most frames of an entry."""
    run = run_instrumented(_REQUESTS, "--har_initiator_frames", frames)
    [entry] = _of(run, "deep")
    assert expected == len(_frames(entry))


def test_none(run_instrumented: InstrumentedRunner) -> None:
    """Without frames there is no initiator."""
    run = run_instrumented(_REQUESTS, "--har_initiator_frames", "0")
    assert (0, "") == (run.returncode, run.stderr)
    assert run.entries
    assert [] == [entry for entry in run.entries if "_initiator" in entry]
