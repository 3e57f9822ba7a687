"""Programs that are kept waiting in every phase: each phase is where its time was spent, and the sum is what passed.

Lower bounds are half of what the server, or the program itself, is known to have taken, since neither begins to count
when the other does; the program's own clock is the upper bound of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer
from servers.programs import run_instrumented_program

if TYPE_CHECKING:
    from pathlib import Path

DELAY_MS = 200
LEAST_MS = DELAY_MS / 2
NAMES = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")

REQUESTS_PROGRAM = f"""
    import os, sys, time, requests
    from harness import BASE, UNUSED
    localhost = BASE.replace("127.0.0.1", "localhost")
    def pieces():
        for piece in (b"one", b"two"):
            time.sleep({DELAY_MS / 1000})
            yield piece
    def timed(what, call):
        started = time.perf_counter()
        try:
            call()
        except requests.RequestException:
            pass
        print(what, (time.perf_counter() - started) * 1000)
    with requests.Session() as session:
        timed("new", lambda: session.get(BASE + "/json?new"))
        timed("reused", lambda: session.get(BASE + "/json?reused"))
        timed("named", lambda: requests.get(localhost + "/json?named"))
        timed("wait", lambda: session.get(BASE + "/delay/{DELAY_MS}?wait"))
        timed("receive", lambda: session.get(BASE + "/trickle/{DELAY_MS}?receive"))
        timed("send", lambda: session.post(BASE + "/echo?send", data=pieces()))
        timed("hops", lambda: session.get(localhost + "/redirect/2?hops"))
        timed("refused", lambda: session.get(UNUSED + "/?refused"))
        timed("unknown", lambda: session.get("http://name.invalid/?unknown"))
        timed("silent", lambda: session.get(BASE + "/silence?silent", timeout={DELAY_MS / 1000}))
"""

AIOHTTP_PROGRAM = f"""
    import asyncio, time, aiohttp
    from harness import BASE, UNUSED
    localhost = BASE.replace("127.0.0.1", "localhost")
    async def pieces():
        for piece in (b"one", b"two"):
            await asyncio.sleep({DELAY_MS / 1000})
            yield piece
    async def timed(what, session, url, method="GET", **options):
        started = time.perf_counter()
        try:
            async with session.request(method, url + "?" + what, **options) as response:
                await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            pass
        print(what, (time.perf_counter() - started) * 1000)
    class SlowResolver(aiohttp.ThreadedResolver):
        async def resolve(self, *args, **kwargs):
            await asyncio.sleep({DELAY_MS / 1000})
            return await super().resolve(*args, **kwargs)
    async def main():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            await timed("new", session, BASE + "/json")
            await timed("reused", session, BASE + "/json")
            await timed("wait", session, BASE + "/delay/{DELAY_MS}")
            await timed("receive", session, BASE + "/trickle/{DELAY_MS}")
            await timed("send", session, BASE + "/echo", "POST", data=pieces())
            await timed("refused", session, UNUSED + "/")
            await timed("silent", session, BASE + "/silence", timeout=aiohttp.ClientTimeout({DELAY_MS / 1000}))
            await asyncio.gather(*(timed(f"pool{{i}}", session, BASE + "/delay/{DELAY_MS}") for i in range(2)))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=SlowResolver())) as session:
            await timed("named", session, localhost + "/json")
            await timed("unknown", session, "http://name.invalid/")
        async with aiohttp.ClientSession() as session:
            await timed("hops", session, localhost + "/redirect/2")
    asyncio.run(main())
"""

TLS_PROGRAMS = {
    "requests": """
        import requests
        from harness import BASE, CA
        with requests.Session() as session:
            session.get(BASE + "/json", verify=CA)
            session.get(BASE + "/json", verify=CA)
    """,
    "aiohttp": """
        import asyncio, ssl, aiohttp
        from harness import BASE, CA
        async def main():
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=CA))
            async with aiohttp.ClientSession(connector=connector) as session:
                for _ in range(2):
                    async with session.get(BASE + "/json") as response:
                        await response.read()
        asyncio.run(main())
    """,
}


class Timed:
    """A run: the entries by the word in their query, and what the program's own clock said."""

    def __init__(self, directory: Path, program: str) -> None:
        with RecordingServer() as server:
            run = run_instrumented_program(server, directory, program)
        assert (0, "") == (run.returncode, run.stderr)
        self.entries = run.entries
        self.elapsed_ms = {what: float(ms) for what, ms in (line.split() for line in run.stdout.splitlines())}

    def of(self, what: str) -> list[dict[str, Any]]:
        """The entries whose query is that word."""
        return [entry for entry in self.entries if entry["request"]["url"].endswith("?" + what)]

    def timings(self, what: str) -> dict[str, float]:
        """The timings of the one entry whose query is that word."""
        [entry] = self.of(what)
        timings: dict[str, float] = entry["timings"]
        return timings


@pytest.fixture(scope="module")
def with_requests(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    """One program that uses requests."""
    return Timed(tmp_path_factory.mktemp("requests"), REQUESTS_PROGRAM)


@pytest.fixture(scope="module")
def with_aiohttp(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    """One program that uses aiohttp."""
    return Timed(tmp_path_factory.mktemp("aiohttp"), AIOHTTP_PROGRAM)


@pytest.fixture(params=["requests", "aiohttp"])
def timed(request: pytest.FixtureRequest) -> Timed:
    """The runs of both clients."""
    run: Timed = request.getfixturevalue(f"with_{request.param}")
    return run


def _longest(timings: dict[str, float]) -> str:
    return max(NAMES, key=lambda name: timings[name])


def test_a_new_connection_has_connect_and_no_look_up(timed: Timed) -> None:
    """An address needs no look-up; plain HTTP has no ssl."""
    timings = timed.timings("new")
    assert (-1, -1) == (timings["dns"], timings["ssl"])
    assert timings["connect"] > 0


def test_a_reused_connection_has_neither(timed: Timed) -> None:
    """HAR 1.2: -1 where a phase does not apply."""
    timings = timed.timings("reused")
    assert (-1, -1, -1) == (timings["dns"], timings["connect"], timings["ssl"])


def test_a_name_is_looked_up(timed: Timed) -> None:
    """A host name has a dns phase, before and apart from connect."""
    timings = timed.timings("named")
    assert timings["dns"] > 0
    assert timings["connect"] > 0


def test_a_slow_look_up_is_dns(with_aiohttp: Timed) -> None:
    """The resolver's time is in dns, and in nothing else."""
    timings = with_aiohttp.timings("named")
    assert timings["dns"] >= LEAST_MS
    assert "dns" == _longest(timings)


@pytest.mark.parametrize("phase", ["wait", "receive", "send"])
def test_the_phase_that_takes_long(timed: Timed, phase: str) -> None:
    """A server that thinks is wait, one that trickles is receive, a body that comes slowly is send."""
    timings = timed.timings(phase)
    assert timings[phase] >= LEAST_MS
    assert phase == _longest(timings)


def test_the_whole_is_what_passed(timed: Timed) -> None:
    """The time of an exchange, or of all its hops, is not more than the program waited for it, and most of that."""
    for what, elapsed_ms in timed.elapsed_ms.items():
        total_ms = sum(entry["time"] for entry in timed.of(what))
        if total_ms:
            assert total_ms <= elapsed_ms + 1, what


def test_hops_have_phases_of_their_own(timed: Timed) -> None:
    """Only the first hop looks up and connects; the others begin after it, on its connection."""
    hops = [entry for entry in timed.entries if "/redirect/" in entry["request"]["url"]]
    assert 3 == len(hops)
    assert hops[0]["timings"]["connect"] > 0
    assert [(-1, -1)] * 2 == [(hop["timings"]["dns"], hop["timings"]["connect"]) for hop in hops[1:]]
    assert 1 == len({hop["_connectionId"] for hop in hops})


def test_a_refused_connection_is_connect(timed: Timed) -> None:
    """What failed in connecting has connect, and never came to sending; it says where it went."""
    [entry] = timed.of("refused")
    timings = entry["timings"]
    assert timings["connect"] > 0
    assert (0, 0, 0) == (timings["send"], timings["wait"], timings["receive"])
    assert "127.0.0.1" == entry["serverIPAddress"]


def test_an_unknown_host_is_dns(timed: Timed) -> None:
    """What failed in the look-up has dns, and no connect."""
    [entry] = timed.of("unknown")
    assert entry["timings"]["dns"] > 0
    assert "serverIPAddress" not in entry


def test_a_server_that_says_nothing_is_wait(timed: Timed) -> None:
    """A request that was sent and never answered waits until the client gives up."""
    timings = timed.timings("silent")
    assert timings["wait"] >= LEAST_MS
    assert "wait" == _longest(timings)


def test_waiting_for_the_pool_is_blocked(with_aiohttp: Timed) -> None:
    """A request that waits for another's connection is blocked while it does."""
    blocked = sorted(with_aiohttp.timings(f"pool{number}")["blocked"] for number in range(2))
    assert blocked[0] < LEAST_MS
    assert blocked[1] >= LEAST_MS


@pytest.mark.parametrize("client", TLS_PROGRAMS)
def test_a_slow_handshake(tmp_path: Path, client: str) -> None:
    """The handshake is a part of connect; where the client lets it be known, it is ssl."""
    with RecordingServer(tls=True, handshake_delay_s=DELAY_MS / 1000) as server:
        run = run_instrumented_program(server, tmp_path, TLS_PROGRAMS[client])
    assert (0, "") == (run.returncode, run.stderr)
    first, second = (entry["timings"] for entry in run.entries)
    assert first["connect"] >= LEAST_MS
    if client == "requests":
        assert first["connect"] >= first["ssl"] >= LEAST_MS
    else:
        assert -1 == first["ssl"]
    assert (-1, -1) == (second["connect"], second["ssl"])


def test_without_audit_events(tmp_path: Path) -> None:
    """Then requests tells neither look-up nor connecting, and everything else is as before."""
    with RecordingServer() as server:
        run = run_instrumented_program(server, tmp_path, REQUESTS_PROGRAM, "--har_audit_events", "false")
    assert (0, "") == (run.returncode, run.stderr)
    by_query = {entry["request"]["url"].partition("?")[2]: entry for entry in run.entries}
    new = by_query["new"]["timings"]
    assert (-1, -1, -1) == (new["dns"], new["connect"], new["ssl"])
    assert by_query["wait"]["timings"]["wait"] >= LEAST_MS
    assert by_query["silent"]["timings"]["blocked"] >= LEAST_MS
