"""One recorded program that makes very many exchanges: what they cost early and late, and the memory between.

It is measured by `python -m benchmarks.scaling growth`; run with a URL, this file is the recorded program.

The machine's speed changes in the minutes that this takes. So the program counts beside each window of exchanges how
long a piece of plain Python takes, and a window's cost is in units of that.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.program import peak_kib
from benchmarks.compare.recorded import entries_in
from benchmarks.compare.recorders import environment, instrumented, variables
from benchmarks.server import server

_ROOT = Path(__file__).parents[1]
_SIZE = 2_000
_CONCURRENCY = 20
_WINDOW = 500
_WINDOWS = 7  # of which a mark is the median
_MARKS = (1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Mark:
    """What the program cost about a moment.

    Attributes:
        entries: How many exchanges there were by then.
        cost: CPU time of an exchange in units of the yardstick.
        resident_mib: Resident memory.
    """

    entries: int
    cost: float
    resident_mib: float


@dataclass(frozen=True)
class Growth:
    """What such a program took.

    Attributes:
        marks: In their order.
        entries: The entries of the file at the end.
        peak_mib: The most resident memory.
        stderr: What it said.
    """

    marks: Sequence[Mark]
    entries: int
    peak_mib: float
    stderr: str

    def ratio(self, mark: Mark) -> float:
        """What an exchange cost at a mark, beside the first."""
        return mark.cost / self.marks[0].cost


def grown(exchanges: int, options: Sequence[str] = ()) -> Growth:
    """Run the program under `opentelemetry-instrument --har`.

    Args:
        exchanges: How many it makes, at least 5,000.
        options: Further options of `opentelemetry-instrument`.
    """
    with server() as url, tempfile.TemporaryDirectory() as directory:
        har = Path(directory, "out.har")
        program = [str(Path(__file__)), f"{url}/{_SIZE}", str(exchanges)]
        command = [*instrumented("--har", str(har), *options), *program]
        around = environment({**variables(), "PYTHONPATH": str(_ROOT)})
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=around)  # noqa: S603 - ours
        told = json.loads(done.stdout)
        marks = [_mark(told["windows"], entries) for entries in _MARKS if entries <= exchanges]
        return Growth(marks, entries_in(har), told["peak_mib"], done.stderr)


def _mark(windows: Sequence[tuple[float, float]], entries: int) -> Mark:
    """What was measured from so many exchanges on, or last."""
    first = min(entries // _WINDOW, len(windows) - _WINDOWS)
    around = windows[first : first + _WINDOWS]
    return Mark(entries, statistics.median(cost for cost, _ in around), around[-1][1])


async def _program(url: str, count: int) -> None:
    """The recorded program: what each window of exchanges cost, and the memory at its end."""
    import aiohttp  # noqa: PLC0415 - only the recorded program needs it

    windows: list[tuple[float, float]] = []
    numbers = iter(range(count))

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            if number % _WINDOW == 0 and number:
                instants.append((time.process_time(), _yardstick_s(), _resident_mib()))
                starts.append(time.process_time())
            async with session.get(f"{url}?n={number}") as response:
                await response.read()

    instants: list[tuple[float, float, float]] = []
    starts = [time.process_time()]
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(work(session) for _ in range(_CONCURRENCY)))
    instants.append((time.process_time(), _yardstick_s(), _resident_mib()))
    units = [unit for _, unit, _ in instants]
    for number, (started, (ended, _, resident)) in enumerate(zip(starts, instants, strict=True)):
        unit = statistics.mean(units[max(0, number - 1) : number + 1])
        windows.append(((ended - started) / _WINDOW / unit, resident))
    peak_mib = peak_kib() / 1024
    print(json.dumps({"windows": windows, "peak_mib": peak_mib}))


def _yardstick_s() -> float:
    """CPU time of this thread for a piece of work that never changes."""
    started = time.thread_time()
    for _ in range(20):
        json.loads(json.dumps({f"{number}": [number, str(number)] for number in range(100)}))
    return time.thread_time() - started


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    asyncio.run(_program(sys.argv[1], int(sys.argv[2])))
