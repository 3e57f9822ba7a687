"""How many instructions an exchange takes, where the machine's noise hides differences of time.

Run it from the project's directory as `python -m benchmarks.instructions [--json PATH] [--docs PAGE]`. It needs
callgrind (valgrind), which also tells the threads apart, or `perf stat` with a processor that counts. A count is the
difference of two runs of different lengths, so that starting and ending are in none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.compare.program import Task
from benchmarks.compare.recorders import RECORDERS, Recorder
from benchmarks.compare.rounds import observed
from benchmarks.compare.table import aligned, number
from benchmarks.publishing import publish
from benchmarks.server import server

_SIZE = 2_000
_WARM_UP = 20
_NAMES = ("nothing", "otel", "otel-har")
_PROGRAM, _OTHERS = "program", "others"

Counts = dict[str, int]
"""Instructions of the program's own thread, and of all others; without telling them apart all are the program's."""
Count = Callable[[Recorder, Task], Counts]


def with_callgrind(recorder: Recorder, task: Task) -> Counts:
    """What one run takes from its loop on, by threads; what is before it runs uncounted, and so much faster."""

    def begin(process: int) -> None:
        subprocess.run(  # noqa: S603 - valgrind's own
            [_found("callgrind_control"), "--instr=on", str(process)], check=True, capture_output=True
        )

    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "callgrind")
        under = [_found("valgrind"), "--tool=callgrind", "--separate-threads=yes", "--instr-atstart=no", "--quiet"]
        under += ["--trace-children=yes", f"--callgrind-out-file={out}"]
        _run(recorder, task, under, begin)
        totals = {path.name: _total(path) for path in out.parent.glob("callgrind-*")}
    program = totals.pop("callgrind-01")
    return {_PROGRAM: program, _OTHERS: sum(totals.values())}


def _total(path: Path) -> int:
    lines = path.read_text(errors="replace").splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("totals:"))


def with_perf(recorder: Recorder, task: Task) -> Counts:
    """What one run takes in all."""
    with tempfile.NamedTemporaryFile("r") as out:
        _run(
            recorder,
            task,
            [_found("perf"), "stat", "-e", "instructions:u", "-x,", "-o", out.name, "--"],
            lambda _: None,
        )
        return {_PROGRAM: _of_perf(out.read())}


def _of_perf(text: str) -> int:
    fields = [line.split(",") for line in text.splitlines() if ",instructions" in line]
    return int(fields[0][0])


def _found(command: str) -> str:
    return shutil.which(command) or command


def _run(recorder: Recorder, task: Task, under: Sequence[str], at_gate: Callable[[int], None]) -> None:
    with tempfile.TemporaryDirectory() as directory, recorder.around(Path(directory), sys.executable) as setting:
        variables = {**setting.variables, "PYTHONHASHSEED": "0"}
        task = replace(task, recorder=setting.in_program, output=setting.output)
        observed(task, replace(setting, variables=variables), under=under, at_gate=at_gate)


def counter() -> Count:
    """What counts on this machine.

    Raises:
        SystemExit: Nothing does.
    """
    if shutil.which("valgrind") and shutil.which("callgrind_control"):
        return with_callgrind
    if shutil.which("perf"):
        command = [_found("perf"), "stat", "-e", "instructions:u", "-x,", "true"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - perf's own
        if tried.stderr.partition(",")[0].isdecimal():
            return with_perf
        sys.exit("valgrind is missing, and perf counts no instructions on this machine")
    sys.exit("valgrind is missing, and so is perf")


def for_each(count: Count, recorder: Recorder, task: Task) -> dict[str, float]:
    """Instructions of one exchange."""
    few, many = task.count // 5, task.count
    less, more = (count(recorder, replace(task, count=length)) for length in (few, many))
    return {where: (more[where] - less[where]) / (many - few) for where in more}


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print, and write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--clients", nargs="+", choices=("requests", "aiohttp"), default=["requests", "aiohttp"])
    parser.add_argument("--count", type=int, default=250, help="exchanges of the longer run")
    parser.add_argument("--docs", type=Path, metavar="PAGE")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    count = counter()
    recorders = [recorder for recorder in RECORDERS if recorder.name in _NAMES]
    found: dict[str, dict[str, dict[str, float]]] = {}
    with server() as url:
        for client in options.clients:
            task = Task(client, f"{url}/{_SIZE}", _SIZE, options.count, _WARM_UP, "")
            found[client] = {recorder.name: for_each(count, recorder, task) for recorder in recorders}
            table = _table(found[client])
            print(f"**{client}, 2 KB: thousands of instructions of an exchange**\n\n{table}\n", flush=True)
            if options.docs is not None:
                publish(options.docs, f"instructions, {client}", table)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


def _table(found: dict[str, dict[str, float]]) -> str:
    head = ["", "program's thread", "more than OpenTelemetry alone", "x OTel", "other threads"]
    otel = found["otel"][_PROGRAM]
    rows = [
        [
            name,
            number(counts[_PROGRAM] / 1000, ",.0f"),
            number((counts[_PROGRAM] - otel) / 1000, "+,.0f"),
            number(counts[_PROGRAM] / otel, ".2f"),
            number(counts[_OTHERS] / 1000 if _OTHERS in counts else None, ",.0f"),
        ]
        for name, counts in found.items()
    ]
    return aligned([head, *rows])


if __name__ == "__main__":
    main()
