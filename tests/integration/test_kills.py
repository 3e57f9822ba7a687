"""Processes killed while they record: the file is whole, what was flushed is in it, and the next process goes on."""

from __future__ import annotations

import itertools
import random
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from servers.recorded import targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import InstrumentedRunner, RecordingServer
    from servers.recorded import Nursery, RecordedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits for processes by their descriptors")

KILLS = 200
KILLS_OF_ONE_FILE = 4
SIZES = (100, 150_000, 5_000, 0, 60_000)  # of bodies: a write takes long enough to be killed within
SCHEDULE_DELAY_S = 0.02


def _numbers(har: Path) -> dict[str, list[int]]:
    """The numbers of the exchanges of each process, in the order of the file."""
    found: dict[str, list[int]] = {}
    for target in targets(har):
        name, number = target.partition("?")[2].split("=")
        found.setdefault(name, []).append(int(number))
    return found


def _kill_one(process: RecordedProcess, har: Path, urls: list[str], chance: random.Random) -> int:
    """Have it record, kill it at any instant, and say how many of its exchanges are put by."""
    process.send("begin", str(har), append=True, schedule_delay_millis=1)
    process.send("run_on", urls)
    told = [process.hear() for _ in range(chance.randrange(5))]
    time.sleep(chance.uniform(0, 0.04 if not told else 0.01))  # the instant of the kill
    process.kill()
    told += iter(process.hear, None)
    return max((number for number in told if isinstance(number, int)), default=0)


@pytest.mark.parametrize("part", range(2))
def test_processes_killed_at_any_instant(nursery: Nursery, server: RecordingServer, tmp_path: Path, part: int) -> None:
    """Each of 200 kills leaves a whole file with all that was flushed, in order and once, and the next process adds."""
    chance = random.Random(part)  # noqa: S311 - the instants of the kills
    for chain in range(KILLS // 2 // KILLS_OF_ONE_FILE):
        har = tmp_path / f"{chain}.har"
        held: dict[str, list[int]] = {}
        for number in range(KILLS_OF_ONE_FILE):
            name = f"process{number}"
            urls = [server.url(f"/bytes/{size}?{name}=") for size in SIZES]
            with nursery.fork(server) as process:
                put_by = _kill_one(process, har, urls, chance)
            if not har.exists():  # killed before it began
                assert 0 == put_by
                continue
            here = _numbers(har)
            mine = here.get(name, [])
            assert held == {other: numbers for other, numbers in here.items() if other != name}
            assert list(range(1, max(put_by, len(mine)) + 1)) == mine
            held = here
        with nursery.fork(server) as process:
            process.record(har, append=True)
            process.get("/item/after")
            process.shutdown()
        assert ["/item/after"] == targets(har)[-1:]
        assert [har] == sorted(tmp_path.glob(f"*{chain}.har*"))


def test_a_process_killed_at_each_step(nursery: Nursery, server: RecordingServer, tmp_path: Path) -> None:
    """Killed before a call of the system, early and late in its life, each after the other of one file."""
    har = tmp_path / "out.har"
    expected: list[str] = []
    for step in itertools.count(1, 5):
        with nursery.fork(server) as process:
            process.order("die_at_call", step)
            told = _record_two(process, har, step)
        present = targets(har) if har.exists() else []
        mine = [f"/item/{step}.1", f"/item/{step}.2"]
        assert expected == present[: len(expected)]
        added = present[len(expected) :]
        assert mine[: max(told, len(added))] == added
        expected = present
        if told == 3:  # shut down, too
            break
    assert step > 60  # or nothing was killed
    assert [har] == list(tmp_path.iterdir())


def _record_two(process: RecordedProcess, har: Path, step: int) -> int:
    """How many steps of the recording came to their end before the process was killed."""
    orders: list[tuple[str, tuple[str, ...], dict[str, object]]] = [
        ("begin", (str(har),), {"append": True, "schedule_delay_millis": 60_000}),
        ("get", (process.url(f"/item/{step}.1"),), {}),
        ("flush", (), {}),
        ("get", (process.url(f"/item/{step}.2"),), {}),
        ("flush", (), {}),
        ("shutdown", (), {}),
    ]
    for order, args, settings in orders:
        process.send(order, *args, **settings)
    done = list(itertools.takewhile(lambda answer: answer is not None, (process.hear() for _ in orders)))
    assert [] == [answer["fault"] for answer in done if "fault" in answer]
    return {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 3}[len(done)]


def test_what_is_older_than_the_schedule_delay_is_in_the_file(
    new_process: Callable[[], RecordedProcess], tmp_path: Path
) -> None:
    """Without any flush, what a process did is in the file after the schedule delay, and a kill cannot take it."""
    har = tmp_path / "out.har"
    process = new_process().record(har, schedule_delay_millis=SCHEDULE_DELAY_S * 1000)
    process.get("/item/1", "/item/2", "/bytes/300000")
    deadline = time.monotonic() + SCHEDULE_DELAY_S + 5  # of a machine that is busy
    while len(targets(har)) < 3 and time.monotonic() < deadline:
        time.sleep(SCHEDULE_DELAY_S)
    process.kill()
    assert ["/item/1", "/item/2", "/bytes/300000"] == targets(har)


@pytest.mark.parametrize("limit", [1, 700, 4_096, 100_001, 131_072, 200_000])
def test_a_process_killed_within_a_write(
    new_process: Callable[[], RecordedProcess], tmp_path: Path, limit: int
) -> None:
    """Killed with a write to the file done up to one byte, it leaves the file whole; the next process goes on."""
    har = tmp_path / "out.har"
    first = new_process().record(har, append=True)
    first.get("/item/1")
    assert first.flush()
    before = har.read_bytes()
    first.do("signal:signal", signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    first.do("resource:setrlimit", resource.RLIMIT_CORE, [0, 0])
    first.do("resource:setrlimit", resource.RLIMIT_FSIZE, [limit, limit])
    first.send("get", first.url("/bytes/150000"))
    first.wait()
    assert before == har.read_bytes()
    second = new_process().record(har, append=True)
    second.get("/item/2")
    second.shutdown()
    assert ["/item/1", "/item/2"] == targets(har)
    assert [har] == list(tmp_path.iterdir())


PROGRAM = """
    import os, random, requests, signal, sys, threading, time
    from harness import BASE
    from opentelemetry import trace

    def kill():
        time.sleep(random.uniform(0, 0.1))
        os.kill(os.getpid(), signal.SIGKILL)

    for number in range(10):
        requests.get(BASE + '/bytes/50000?before=%d' % number)
    trace.get_tracer_provider().force_flush()
    threading.Thread(target=kill).start()
    while True:
        requests.get(BASE + '/bytes/200000?more')
"""


@pytest.mark.parametrize("delay_millis", [1, 20, 1000])
def test_a_program_that_is_killed(run_instrumented: InstrumentedRunner, delay_millis: int) -> None:
    """A program under opentelemetry-instrument, killed as it records, leaves a whole file; the next one appends."""
    options = ("--har_append", "true", "--har_bsp_schedule_delay", str(delay_millis))
    first = run_instrumented(PROGRAM, *options)
    assert (-9, "") == (first.returncode, first.stderr)
    before = [f"/bytes/50000?before={number}" for number in range(10)]
    left = targets(first.har_path)
    assert before == left[:10]
    assert {"/bytes/200000?more"} >= set(left[10:])
    second = run_instrumented("import requests, harness; requests.get(harness.BASE + '/item/next')", *options)
    assert (0, "") == (second.returncode, second.stderr)
    assert [*left, "/item/next"] == targets(second.har_path)
    assert [] == list(second.har_path.parent.glob(".*.otel-har"))
