"""Programs that make requests in odd places, or with other schedulers than threads: they see no difference."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers.transparency import both_runs

if TYPE_CHECKING:
    from pathlib import Path

    from servers import InstrumentedRunner

HEAD = """
    import asyncio, atexit, gc, os, sys, threading
    import aiohttp, requests
    from harness import BASE, release, wait
    def get(name):
        return requests.get(BASE + '/item/' + name).text
"""

PROGRAMS = {
    "finalizers": """
    class Finalized:
        def __init__(self, name):
            self.name = name
        def __del__(self):
            print(get(self.name))
    Finalized('1')
    cycle = [Finalized('2')]
    cycle.append(cycle)
    del cycle
    gc.collect()
    class Nested(Finalized):
        def __del__(self):
            with requests.get(BASE + '/stream', stream=True) as response:
                print(next(response.iter_content(5)), get(self.name))
    requests.get(BASE + '/item/3', hooks={'response': lambda response, **_: print(response.text)})
    Nested('4')
    class Surviving(Finalized):
        def __del__(self, get=get, base=BASE, requests=requests, print=print):
            try:
                print(requests.get(base + '/item/5').text)
            except Exception as error:
                print(type(error))
    sys.survivor = Surviving('5')
    print('end')
    """,
    "exit": """
    @atexit.register
    def last():
        print(get('last'))
        thread = threading.Thread(target=lambda: print('a thread'))
        try:
            thread.start()
            thread.join()
        except RuntimeError as error:
            print(error)
    def outer():
        ended.wait()
        print(get('outer'))
    ended = threading.Event()
    thread = threading.Thread(target=outer)
    thread.start()
    streamed = requests.get(BASE + '/item/streamed', stream=True)
    print(get('main'))
    ended.set()
    """,
    "import": """
    import importlib, pathlib
    source = 'import requests, harness\\nTEXT = requests.get(harness.BASE + "/item/1").text'
    pathlib.Path('fetching.py').write_text(source)
    import fetching
    print(fetching.TEXT, importlib.reload(fetching).TEXT)
    thread = threading.Thread(target=lambda: print(importlib.reload(fetching).TEXT))
    thread.start()
    thread.join()
    """,
    "loops": """
    import anyio, uvloop
    async def fetch(name):
        async with aiohttp.ClientSession() as session:
            async with session.get(BASE + '/item/' + name) as response:
                return await response.text()
    async def anyio_main():
        async with anyio.create_task_group() as group:
            async def shown(name):
                with anyio.fail_after(20):
                    text = await fetch(name)
                print(text, await anyio.to_thread.run_sync(get, 'thread' + name))
            group.start_soon(shown, 'a')
    for number in range(3):
        print(asyncio.run(fetch(str(number))))
    print(anyio.run(anyio_main))
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(asyncio.run(fetch('uvloop')))
    loop = asyncio.new_event_loop()
    task = loop.create_task(fetch('loop'))
    print(loop.run_until_complete(task))
    loop.close()
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_places(tmp_path: Path, name: str) -> None:
    """The program says the same, and every request has its entry."""
    with both_runs(tmp_path, dedent(HEAD) + dedent(PROGRAMS[name]), python_options=["-W", "ignore"]) as runs:
        runs.assert_no_difference()
        recorded = Counter(urlsplit(entry["request"]["url"]).path for entry in runs.run.entries)
        seen = Counter(exchange.request.path for exchange in runs.server.exchanges)
        assert {} == seen - recorded


_EVENTLET = """
    import eventlet
    eventlet.monkey_patch()
    import requests
    from harness import BASE, release
    pool = eventlet.GreenPool()
    def fetch(number):
        return requests.get(f'{BASE}/stream?gate={number}&of={number}').text
    jobs = [pool.spawn(fetch, number) for number in range(3)]
    def open_gates():
        for number in (2, 1, 0):
            release(str(number))
            release(str(number))
    pool.spawn(open_gates)
    print([len(job.wait()) for job in jobs])
"""


def test_eventlet(run_instrumented: InstrumentedRunner) -> None:
    """Green threads of eventlet wait for none of ours; it complains itself of what was imported before it."""
    run = run_instrumented(_EVENTLET, python_options=["-W", "ignore"])
    assert (0, "[34, 34, 34]\n") == (run.returncode, run.stdout), run.stderr
    assert ["/stream"] * 3 == [urlsplit(entry["request"]["url"]).path for entry in run.entries]
    assert "otel-har" not in run.stderr


_DEPTHS = """
    import asyncio, sys, requests
    from harness import BASE
    def depth():
        frame, frames = sys._getframe(1), 0
        while frame:
            frame, frames = frame.f_back, frames + 1
        return frames
    def descend(frames, function):
        return descend(frames - 1, function) if frames else function()
    def works(headroom, function):
        try:
            return descend(sys.getrecursionlimit() - depth() - headroom, function)
        except RecursionError:
            return False
    def read():
        return requests.get(BASE + '/json').text
    def stream():
        with requests.get(BASE + '/stream', stream=True) as response:
            return b''.join(response.iter_content(4))
    for function in (read, stream):
        function()
        print(next(headroom for headroom in range(10, 400) if works(headroom, function)))
"""


def test_near_the_limit_of_recursion(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """A request works as near to the limit as with OpenTelemetry alone; the end tells what was lost."""
    recorded = run_instrumented(_DEPTHS)
    instrumented = run_instrumented(_DEPTHS, env={"OTEL_PYTHON_HAR": ""}, har_path=tmp_path / "none.har")
    [told] = recorded.stderr.splitlines()
    assert told.startswith("otel-har: not everything was recorded: faults: ")
    assert (0, instrumented.stdout) == (recorded.returncode, recorded.stdout)
    assert recorded.entries
    assert None is instrumented.har
