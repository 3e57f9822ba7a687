"""Rounds: every recorder once in each, with every case, each time in fresh processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from benchmarks.compare.beside import Beside
from benchmarks.compare.environments import EnvironmentUnavailableError
from benchmarks.compare.program import Measures, Task
from benchmarks.compare.recorded import Verification, verified
from benchmarks.compare.recorders import Recorder, Setting, environment
from benchmarks.server import server

_PROGRAM = Path(__file__).with_name("program.py")
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Case:
    """A way of sending requests.

    Attributes:
        client: See `Task`.
        size: Bytes of each answer's body.
        count: The exchanges that are measured.
        warm_up: The exchanges before them.
        concurrency: Threads or tasks; 0: as the client's name says.
    """

    client: str
    size: int
    count: int
    warm_up: int
    concurrency: int = 0

    @property
    def name(self) -> str:
        """As it is shown."""
        amount = f"{self.size // 1000:,} KB" if self.size >= 1000 or not self.size else f"{self.size} B"  # noqa: PLR2004 - a kilobyte
        return f"{self.client} {amount}{f', {self.concurrency}' if self.concurrency else ''}"

    def at_most(self, most: int | None) -> Case:
        """The same with fewer exchanges."""
        return self if most is None or most >= self.count else replace(self, count=most)


@dataclass(frozen=True)
class Sample:
    """What one run took, for each exchange.

    Attributes:
        cpu_us: CPU time of all threads, and of a process that works beside it; what was put off until the end of the
            recording is in it.
        thread_us: CPU time of the threads that made the requests, while they made them.
        wall_us: Time of the loop.
        p50_ms: Median latency.
        p99_ms: The latency that one in a hundred exceeds.
        memory_kib: Growth of resident memory from before the loop until it was over.
        peak_mib: Most resident memory of all; not for each exchange.
        end_ms: Time from the loop's end until everything was recorded; not for each exchange.
        exit_cpu_ms: CPU time of the process after that; not for each exchange.
        verification: What is wrong with the recording; None where there is none.
    """

    cpu_us: float
    thread_us: float
    wall_us: float
    p50_ms: float
    p99_ms: float
    memory_kib: float
    peak_mib: float
    end_ms: float
    exit_cpu_ms: float
    verification: Verification | None


class RunFailedError(RuntimeError):
    """The measured program, or its recorder, failed."""


def run(recorder: Recorder, case: Case, url: str, python: str) -> Sample:
    """One run of the measured program.

    Args:
        recorder: The recorder.
        case: What is sent.
        url: The server's base URL.
        python: The interpreter of the environment that the recorder needs.

    Raises:
        RunFailedError: It failed.
    """
    case = case.at_most(recorder.most)
    with tempfile.TemporaryDirectory() as directory:
        with recorder.around(Path(directory), python) as setting:
            task = Task(
                client=case.client,
                url=f"{url}/{case.size}",
                size=case.size,
                count=case.count,
                warm_up=case.warm_up,
                recorder=setting.in_program,
                output=setting.output,
                proxy=setting.proxy,
                concurrency=case.concurrency,
            )
            measures, exit_cpu_s = observed(task, setting)
        verification = None
        if setting.read is not None:
            numbers = range(case.warm_up + case.count)
            verification = verified(setting.read(), numbers, case.size)
    return _sample(case, measures, exit_cpu_s, setting.beside, verification)


def observed(
    task: Task, setting: Setting, *, under: Sequence[str] = (), at_gate: Callable[[int], None] = lambda _: None
) -> tuple[Measures, float]:
    """Run the measured program.

    Args:
        task: What it is to do.
        setting: What is around it.
        under: A command that runs it, in its own process.
        at_gate: Is called with the number of the process when it is warm, before its loop.

    Returns:
        What it measured, and the seconds of CPU time that it took after that.

    Raises:
        RunFailedError: It failed.
    """
    command = [*under, *setting.command, str(_PROGRAM), json.dumps(asdict(task))]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(setting.variables),
        )
        with process, _killed_after(process, _TIMEOUT_S):
            assert process.stdin is not None  # noqa: S101 - for the type
            assert process.stdout is not None  # noqa: S101 - the same
            if process.stdout.readline() == "ready\n":
                setting.beside.begin()
                at_gate(process.pid)
                process.stdin.write("\n")
                process.stdin.flush()
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            setting.beside.loop_ended()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            raise RunFailedError(next((line for line in reversed(lines) if line), f"status {process.returncode}"))
    measures = Measures(**json.loads(output))
    if measures.wrong:
        raise RunFailedError(f"{measures.wrong} answers were not what was asked for")
    return measures, usage.ru_utime + usage.ru_stime - measures.cpu_in_all_s


def _sample(
    case: Case, measures: Measures, exit_cpu_s: float, beside: Beside, verification: Verification | None
) -> Sample:
    before, after, _ = measures.resident_kib
    cpu_s = (measures.loop_cpu_s + beside.cpu_s) / case.count + measures.end_cpu_s / measures.end_exchanges
    return Sample(
        cpu_us=cpu_s * 1e6,
        thread_us=measures.thread_cpu_s / case.count * 1e6,
        wall_us=measures.loop_wall_s / case.count * 1e6,
        p50_ms=measures.p50_s * 1e3,
        p99_ms=measures.p99_s * 1e3,
        memory_kib=(after - before + beside.grown_kib) / case.count,
        peak_mib=measures.peak_kib / 1024,
        end_ms=measures.end_wall_s * 1e3,
        exit_cpu_ms=exit_cpu_s * 1e3,
        verification=verification,
    )


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


Outcome: TypeAlias = "Sample | str"
"""What a run took, or why there is nothing."""
Results: TypeAlias = "dict[tuple[str, str], list[Outcome]]"
"""By the names of case and recorder: the outcome of each round."""


def measured(
    cases: Sequence[Case],
    recorders: Sequence[Recorder],
    *,
    rounds: int,
    pythons: Mapping[str, str | EnvironmentUnavailableError],
    tell: Callable[[str], None] = lambda _: None,
) -> Results:
    """All rounds.

    Args:
        cases: What is sent.
        recorders: What records it.
        rounds: How often.
        pythons: The interpreters of the environments, or why there is none.
        tell: Is told how far it is.
    """
    results: Results = {(case.name, recorder.name): [] for case in cases for recorder in recorders}
    with server() as url:
        for number in range(rounds):
            for case in cases:
                for recorder in recorders:
                    tell(f"round {number + 1} of {rounds}: {case.name}, {recorder.title}")
                    results[case.name, recorder.name].append(_outcome(recorder, case, url, pythons))
    return results


def _outcome(
    recorder: Recorder, case: Case, url: str, pythons: Mapping[str, str | EnvironmentUnavailableError]
) -> Outcome:
    refusal = recorder.refusal(case.client)
    if refusal is not None:
        return refusal
    python = pythons[recorder.needs]
    if isinstance(python, EnvironmentUnavailableError):
        return "not installed"
    try:
        return run(recorder, case, url, python)
    except (RunFailedError, OSError, ValueError, KeyError) as fault:
        return f"failed: {fault}"
