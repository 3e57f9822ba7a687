"""More comes than can be written or held: the recording stays within its limits, and the program goes on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from servers.flood import FloodServer
from servers.programs import read_checked

if TYPE_CHECKING:
    from servers import InstrumentedRunner, RecordingServer

_MIB = 1024 * 1024
LIMIT_BYTES = 32 * _MIB
CLIENTS = 500
BODY_BYTES = 10 * _MIB
READ_BYTES = _MIB // 2  # of each, by the program: eight times the limit altogether, while all are under way
BUILDING_BYTES = 96 * _MIB  # of batches of 8 MiB, which take a multiple to be written; and what clients' buffers differ

_FLOOD = """
    import asyncio, contextlib, json, os, sys, threading
    import aiohttp, requests
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation
    from otel_har import zero_code

    kind, url, clients, read_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

    def with_requests():
        together = threading.Barrier(clients)
        def ask():
            with recorded(), requests.get(url, stream=True) as response:
                pieces = response.iter_content(262_144)
                got = len(next(pieces))
                together.wait(50)  # every body is under way now
                while got < read_bytes:
                    got += len(next(pieces))
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    def with_aiohttp():
        async def main():
            arrived, together = [], asyncio.Event()
            async def ask(session):
                with recorded():
                    response = await session.get(url)
                async with response:
                    got = len(await response.content.readany())
                    arrived.append(got)
                    if len(arrived) == clients:
                        together.set()
                    await asyncio.wait_for(together.wait(), 50)
                    while got < read_bytes:
                        got += len(await response.content.readany())
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                await asyncio.gather(*(ask(session) for _ in range(clients)))
        asyncio.run(main())

    work = {'requests': with_requests, 'aiohttp': with_aiohttp}[kind]

    def peak_bytes():
        lines = dict(line.split(':', 1) for line in open('/proc/self/status'))
        return int(lines['VmHWM'].split()[0]) * 1024

    threading.stack_size(256 * 1024)
    for is_recorded in (False, True):
        pid = os.fork()
        if pid == 0:
            before = peak_bytes()
            if is_recorded:
                recorded = contextlib.nullcontext
                work()
                budget = zero_code._recording._limits.budget
                zero_code._recording.shutdown()
                told = zero_code._recording._processor._account.statistics
                facts = [budget.most_taken_bytes, budget.taken_bytes, told.dropped_entries, told.dropped_bodies]
            else:
                recorded = suppress_http_instrumentation
                work()
                facts = []
            print(json.dumps([peak_bytes() - before, *facts]), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells the peak of a process's memory")
@pytest.mark.parametrize("client", ["aiohttp", "requests"])
def test_many_large_bodies_at_once(run_instrumented: InstrumentedRunner, client: str) -> None:
    """500 bodies of 10 MB at one time stay within the limit: by the account, and by the memory of the process."""
    with FloodServer(BODY_BYTES) as flood:
        run = run_instrumented(
            _FLOOD,
            "--har_bsp_max_queue_bytes",
            str(LIMIT_BYTES),
            args=[client, flood.url, str(CLIENTS), str(READ_BYTES)],
        )
    assert 0 == run.returncode, run.stderr
    [[plain_bytes], [recorded_bytes, most_taken, taken, dropped_entries, dropped_bodies]] = [
        json.loads(line) for line in run.stdout.splitlines()
    ]
    assert 0.8 * LIMIT_BYTES < most_taken <= LIMIT_BYTES
    assert recorded_bytes - plain_bytes < LIMIT_BYTES + BUILDING_BYTES
    assert (0, 0) == (taken, dropped_entries)
    assert dropped_bodies > CLIENTS / 2
    entries = [entry for path in run.har_path.parent.glob("*.har") for entry in read_checked(path)["log"]["entries"]]
    assert CLIENTS == len(entries)
    left_out = [entry for entry in entries if "were waiting" in entry["response"]["content"].get("comment", "")]
    assert dropped_bodies == len(left_out)
    assert f"otel-har: not everything was recorded: {dropped_bodies} bodies were left out or cut" in run.stderr


@pytest.mark.parametrize("queue_limit", [("--har_bsp_max_queue_size", "2"), ("--har_bsp_max_queue_bytes", "100000")])
def test_program_that_waits_loses_nothing(
    run_instrumented: InstrumentedRunner, server: RecordingServer, queue_limit: tuple[str, str]
) -> None:
    """Threads and an event loop, each faster than a tiny queue: with a time to wait every body is recorded whole."""
    run = run_instrumented(
        """
        import asyncio, aiohttp, requests
        from concurrent.futures import ThreadPoolExecutor
        from harness import BASE
        def ask(number):
            return requests.get(f'{BASE}/bytes/20000?thread={number}').content
        async def main():
            async with aiohttp.ClientSession() as session:
                for number in range(60):
                    async with session.get(f'{BASE}/bytes/20000?task={number}') as response:
                        await response.read()
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(ask, range(60)))
        asyncio.run(main())
        """,
        *queue_limit,
        "--har_bsp_block_timeout",
        "20000",
    )
    assert (0, "", 120) == (run.returncode, run.stderr, len(server.exchanges))
    assert 120 == len(run.entries)
    assert {20_000} == {entry["response"]["content"]["size"] for entry in run.entries}
    assert [] == [entry for entry in run.entries if "_bodyState" in entry["response"]["content"]]


def test_header_without_room_costs_its_entry(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """A header larger than the limit is not kept: its exchange is dropped and counted, the next one is recorded."""
    run = run_instrumented(
        """
        import requests
        from harness import BASE
        requests.get(BASE + '/item/large', headers={'Large': 'x' * 3_000_000})
        requests.get(BASE + '/item/small')
        """,
        "--har_bsp_max_queue_bytes",
        "2000000",
    )
    assert ["/item/small"] == [entry["request"]["url"].removeprefix(server.url("")) for entry in run.entries]
    assert (
        "otel-har: not everything was recorded: 1 entries were dropped (too many, or too large, waited)\n" == run.stderr
    )


def test_fork_is_not_warned_of(run_instrumented: InstrumentedRunner) -> None:
    """A program that shows all warnings forks as it likes: nothing is said of the recording's thread."""
    run = run_instrumented(
        """
        import os, requests
        from harness import BASE
        for number in range(5):
            requests.get(f'{BASE}/item/{number}')
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        """,
        python_options=["-W", "always:This process:DeprecationWarning"],
    )
    assert (0, "", 5) == (run.returncode, run.stderr, len(run.entries))
