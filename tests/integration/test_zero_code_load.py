"""Many exchanges at once: each recorded once, each with its own bodies."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from servers import assert_same_exchange

if TYPE_CHECKING:
    from servers import CompletedRun, InstrumentedRunner, RecordingServer


def _assert_each_once(run: CompletedRun, server: RecordingServer, expected_count: int) -> None:
    assert (0, "") == (run.returncode, run.stderr)
    assert expected_count == len(server.exchanges) == len(run.entries)
    assert {1} == set(Counter(entry["request"]["url"] for entry in run.entries).values())
    by_url = {entry["request"]["url"]: entry for entry in run.entries}
    connections: dict[int, set[str]] = {}
    for exchange in server.exchanges:
        entry = by_url[server.url(exchange.request.target)]
        assert_same_exchange(entry, exchange, server)
        connections.setdefault(exchange.connection, set()).add(entry["_connectionId"])
    assert {1} == {len(names) for names in connections.values()}
    assert len(connections) == len(set.union(*connections.values()))


def test_threads_do_not_mix_their_exchanges(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """40 requests of 8 threads over one session, each with a body of its own."""
    run = run_instrumented("""
        import requests
        from concurrent.futures import ThreadPoolExecutor
        from harness import BASE
        with requests.Session() as session, ThreadPoolExecutor(8) as threads:
            def ask(number):
                return session.post(f'{BASE}/item/{number}', data=f'body {number}'.encode()).text
            assert [f'item /item/{number}' for number in range(40)] == list(threads.map(ask, range(40)))
    """)
    _assert_each_once(run, server, 40)


def test_tasks_do_not_mix_their_exchanges(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """200 concurrent requests of aiohttp, each with a body of its own."""
    run = run_instrumented("""
        import asyncio, aiohttp
        from harness import BASE
        async def main():
            async with aiohttp.ClientSession() as session:
                async def ask(number):
                    async with session.post(f'{BASE}/item/{number}', data=f'body {number}') as response:
                        return await response.text()
                answers = await asyncio.gather(*map(ask, range(200)))
                assert [f'item /item/{number}' for number in range(200)] == answers
        asyncio.run(main())
    """)
    _assert_each_once(run, server, 200)


def test_both_clients_at_once(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Threads with requests beside aiohttp in a loop, streamed bodies interleaved."""
    run = run_instrumented("""
        import asyncio, aiohttp, requests
        from harness import BASE
        def blocking(number):
            with requests.get(f'{BASE}/stream/blocking-{number}', stream=True) as response:
                return b''.join(response.iter_content(3))
        async def main():
            async with aiohttp.ClientSession() as session:
                async def ask(number):
                    async with session.get(f'{BASE}/stream/async-{number}') as response:
                        return b''.join([piece async for piece in response.content.iter_chunked(3)])
                jobs = [job for n in range(20) for job in (ask(n), asyncio.to_thread(blocking, n))]
                assert 1 == len(set(await asyncio.gather(*jobs)))
        asyncio.run(main())
    """)
    _assert_each_once(run, server, 40)
