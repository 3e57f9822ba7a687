"""`ExecutorHarExporter` with executors that are busy, broken, shut down."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from children import batch, names
from journal import JournalExporter, lines, make_nothing
from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.executor import ExecutorHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExportResult, HarStatistics
from otel_har.export.memory import InMemoryHarExporter

_SPAWN = multiprocessing.get_context("spawn")


class _Held(InMemoryHarExporter):
    """Waits at a gate; notes where it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.threads: list[threading.Thread] = []
        self.instrumented: list[bool] = []
        self.fault: Exception | None = None

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep the batch when the gate is open."""
        self.threads.append(threading.current_thread())
        self.instrumented.append(is_instrumentation_enabled())
        self.entered.set()
        fault = self.fault
        self.gate.wait(20)
        if fault is not None:
            raise fault
        return super().export(batch)


def test_in_the_executors_threads() -> None:
    """The work is done in a thread of the executor's, with instrumentation suppressed; the executor stays open."""
    inner = _Held()
    inner.gate.set()
    with ThreadPoolExecutor(3) as executor:
        exporter = ExecutorHarExporter(inner, executor)
        exporter.export(batch("1"))
        exporter.shutdown()
        assert 5 == executor.submit(int, "5").result(20)
    assert threading.current_thread() not in inner.threads
    assert [False] == inner.instrumented


def test_busy_executor() -> None:
    """A call that could not begin is taken back: it may be made again."""
    gate, inner = threading.Event(), InMemoryHarExporter()
    with ThreadPoolExecutor(1) as executor:
        exporter = ExecutorHarExporter(inner, executor, timeout_seconds=0.05)
        executor.submit(gate.wait, 20)
        with pytest.raises(DestinationError, match="no time"):
            exporter.export(batch("1"))
        gate.set()
        executor.submit(int).result(20)
        assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert 1 == len(inner.entries)


def test_slow_exporter() -> None:
    """A call that takes too long is left to end, nothing is begun meanwhile, and it is not made twice."""
    inner = _Held()
    with ThreadPoolExecutor(2) as executor:
        exporter = ExecutorHarExporter(inner, executor, timeout_seconds=0.05)
        assert HarExportResult.SUCCESS is exporter.export(batch("1"))
        with pytest.raises(DestinationError, match="under way"):
            exporter.export(batch("2"))
        assert 1 == len(inner.threads)
        inner.gate.set()
        assert HarExportResult.SUCCESS is _patiently(exporter)
    assert ["1", "2"] == [entry.request.url[-1] for entry in inner.entries]


def test_slow_exporter_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What a call that took too long has lost is logged, and told in the statistics of the next one."""
    inner = _Held()
    with ThreadPoolExecutor(1) as executor:
        exporter = ExecutorHarExporter(inner, executor, timeout_seconds=0.05)
        inner.fault = RuntimeError("late bug")
        assert HarExportResult.SUCCESS is exporter.export(batch("1"))
        inner.gate.set()
        executor.submit(int).result(20)
        inner.fault = None
        assert HarExportResult.SUCCESS is _patiently(exporter)
    assert HarStatistics(failed_entries=1, failed_exports=1) == inner.statistics
    assert "late bug" in caplog.text


def _patiently(exporter: ExecutorHarExporter) -> HarExportResult:
    while True:
        try:
            return exporter.export(batch("2"))
        except DestinationError:
            continue


def test_executor_that_was_shut_down(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost: the work goes on without the executor, and that is told."""
    inner = InMemoryHarExporter()
    executor = ThreadPoolExecutor(1)
    exporter = ExecutorHarExporter(inner, executor)
    executor.shutdown()
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert HarExportResult.SUCCESS is exporter.export(batch("2"))
    assert 1 == caplog.text.count("exporting without the executor")
    exporter.shutdown()
    assert 2 == len(inner.entries)


def test_shuts_the_executor_down() -> None:
    """If it was asked for, the executor ends with the exporter."""
    executor = ThreadPoolExecutor(1)
    exporter = ExecutorHarExporter(InMemoryHarExporter(), executor, shut_executor_down=True)
    exporter.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


def test_broken_pool(tmp_path: Path) -> None:
    """A pool whose process was killed gives a clear error, each time and at once; the program goes on."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        exporter = ExecutorHarExporter(functools.partial(JournalExporter, tmp_path), pool)
        exporter.export(batch("1"))
        (tmp_path / "always killed").touch()
        for _ in range(2):
            with pytest.raises(ExportError, match="executor is broken"):
                exporter.export(batch("2"))
        with pytest.raises(ExportError, match="executor is broken"):
            exporter.shutdown()
    assert 1 == len([line for line in lines(tmp_path) if "entries" in line])


def test_processes_share_one_file(tmp_path: Path) -> None:
    """Several processes of a pool write one recording, without being told its name; each ends in order."""
    path = tmp_path / "out.har"
    barrier = _SPAWN.Barrier(2)
    with ProcessPoolExecutor(2, mp_context=_SPAWN, initializer=_keep, initargs=(barrier,)) as pool:
        exporter = ExecutorHarExporter(functools.partial(FileHarExporter, path), pool)
        for number in range(20):
            exporter.export(batch(str(number)))
            if number == 9:  # the one of them that exports is held, so that the other one has to
                held = [pool.submit(_hold) for _ in range(2)]
                assert 2 == len({future.result(20) for future in held})
        exporter.shutdown()
    assert [str(number) for number in range(20)] == names(path)


def _keep(barrier: object) -> None:
    globals()["_barrier"] = barrier


def _hold() -> int:
    globals()["_barrier"].wait(20)
    return os.getpid()


def test_worker_shuts_its_exporter_down(tmp_path: Path) -> None:
    """At the end of a pool's process its exporter is shut down, also when the shutdown went to none."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        exporter = ExecutorHarExporter(functools.partial(JournalExporter, tmp_path), pool)
        exporter.export(batch("1"))
    assert {"shut_down": True} == lines(tmp_path)[-1]


def test_exporter_that_cannot_be_made() -> None:
    """What making the exporter raises is a clear error."""
    with ThreadPoolExecutor(1) as executor:
        exporter = ExecutorHarExporter(make_nothing, executor)
        with pytest.raises(ExportError, match="ValueError: no luck"):
            exporter.export(batch("1"))


def test_pool_needs_what_makes_an_exporter() -> None:
    """What another process cannot use is refused at once; so is what cannot be pickled."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        with pytest.raises(SettingError, match="what makes an exporter"):
            ExecutorHarExporter(InMemoryHarExporter(), pool)
        with pytest.raises(SettingError, match="cannot be given"):
            ExecutorHarExporter(lambda: InMemoryHarExporter(), pool)  # noqa: PLW0108 - it is to be a lambda


def test_interpreters_end(tmp_path: Path) -> None:
    """At the program's end, when executors take nothing any more, the last entries are exported all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        "import atexit, functools\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from children import batch\n"
        "from otel_har import ExecutorHarExporter, FileHarExporter\n"
        "exporter = ExecutorHarExporter(FileHarExporter('out.har'), ThreadPoolExecutor(1))\n"
        "exporter.export(batch('1'))\n"
        "atexit.register(exporter.shutdown)\n"
        "atexit.register(lambda: exporter.export(batch('2')))\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ("", ["1", "2"]) == (done.stderr, names(tmp_path / "out.har"))


def test_pickled_file_exporter(tmp_path: Path) -> None:
    """A copy in another process goes on with the same recording, and with the file beside that it had to take."""
    path = tmp_path / "out.har"
    first = FileHarExporter(path, 2)
    first.export(batch("1"))
    second = pickle.loads(pickle.dumps(first))  # noqa: S301 - just pickled
    second.export(batch("2"))
    first.export(batch("3"))
    second.shutdown()
    first.shutdown()
    assert ["1", "2", "3"] == names(path)
