"""What time brings to an exporter reaches it through those that hand on to it, and seldom."""

from __future__ import annotations

import functools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lives import Clock, SharedClock, batch, entry, read
from otel_har.errors import DestinationError
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.executor import ExecutorHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.process import BackgroundProcessHarExporter

if TYPE_CHECKING:
    from pathlib import Path

_AGE = Retention(max_age_seconds=10)


class _Counting(HarExporter):
    """Counts its upkeeps, and does what it is given to do in them."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.count = 0
        self._fault = fault

    def export(self, batch: HarBatch) -> HarExportResult:  # noqa: ARG002 - nothing is done with it
        return HarExportResult.SUCCESS

    def upkeep(self) -> None:
        self.count += 1
        if self._fault is not None:
            raise self._fault

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Nothing to do."""


def test_who_needs_it(tmp_path: Path) -> None:
    """Exporters say whether there is any use in it: a file with a limit of time, a class with one of its own."""

    def file(**arguments: Retention | Rotation) -> bool:
        exporter = FileHarExporter(tmp_path / "out.har", **arguments)  # type: ignore[arg-type]
        exporter.shutdown()
        return exporter.needs_upkeep

    assert [False, False, True] == [
        file(),
        file(retention=Retention(max_entries=1), rotation=Rotation(max_bytes=1)),
        file(retention=_AGE),
    ]
    assert file(rotation=Rotation(max_seconds=1))
    in_memory, counting = InMemoryHarExporter(), _Counting()
    assert [False, True] == [in_memory.needs_upkeep, counting.needs_upkeep]
    assert CompositeHarExporter(in_memory, counting).needs_upkeep
    assert not CompositeHarExporter(in_memory).needs_upkeep


def test_composite() -> None:
    """Each gets it, whatever the one before did."""
    exporters = [_Counting(), _Counting(DestinationError("full")), _Counting(KeyError("bug")), _Counting()]
    composite = CompositeHarExporter(*exporters)
    composite.upkeep()
    composite.upkeep()
    assert [2, 2, 2, 2] == [exporter.count for exporter in exporters]


def test_executor(tmp_path: Path) -> None:
    """A thread of the executor does it, once it is known that there is any, and at most once a second."""
    clock = Clock()
    path = tmp_path / "out.har"
    with ThreadPoolExecutor(1) as executor:
        exporter = ExecutorHarExporter(
            lambda: FileHarExporter(path, retention=_AGE, rotation=None, clock=clock), executor
        )
        exporter.upkeep()
        needs = [exporter.needs_upkeep]
        exporter.export(batch(entry("a", 0), entry("b", 5)))
        needs.append(exporter.needs_upkeep)
        assert [False, True] == needs
        clock.now = 12
        exporter.upkeep()
        assert ["b"] == read(path)[0]
        exporter.shutdown()

        counting = _Counting()
        exporter = ExecutorHarExporter(counting, executor)
        for _ in range(3):
            exporter.upkeep()
        exporter.shutdown()
        exporter.upkeep()
        assert 1 == counting.count


def test_executor_tells_of_faults() -> None:
    """What the exporter raises reaches the processor, and the exports go on."""
    with ThreadPoolExecutor(1) as executor:
        exporter = ExecutorHarExporter(_Counting(DestinationError("full")), executor)
        with pytest.raises(DestinationError, match="full"):
            exporter.upkeep()
        assert HarExportResult.SUCCESS is exporter.export(batch(entry("a")))
        exporter.shutdown()


def test_background_process(tmp_path: Path) -> None:
    """The process does it, when it is asked; a file without a limit of time is not asked for it."""
    path, clock = tmp_path / "out.har.gz", SharedClock(tmp_path / "clock")
    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path, retention=_AGE, clock=clock))
    assert exporter.needs_upkeep
    exporter.export(batch(entry("a", 0), entry("b", 5)))
    clock.set(12)
    exporter.upkeep()
    assert ["b"] == read(path)[0]
    clock.set(16)
    exporter.upkeep()  # within the same second
    assert ["b"] == read(path)[0]
    exporter.shutdown()
    assert [] == read(path)[0]

    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path))
    assert not exporter.needs_upkeep
    exporter.upkeep()
    exporter.shutdown()


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_background_process_that_ended(tmp_path: Path) -> None:
    """That it is gone is no fault of the upkeep; the next batch has another one."""
    path = tmp_path / "out.har"
    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path, retention=Retention(3_600)))
    first = exporter._child
    assert first is not None
    first._process.kill()
    first._process.wait()
    exporter.upkeep()
    assert exporter.pid is None
    assert HarExportResult.SUCCESS is exporter.export(batch(entry("a")))
    exporter.shutdown()


def test_pickled(tmp_path: Path) -> None:
    """An exporter that goes on in another process keeps its limits, and goes by the same clock."""
    clock = SharedClock(tmp_path / "clock")
    path = tmp_path / "out.har"
    first = FileHarExporter(path, retention=_AGE, rotation=Rotation(max_seconds=50), clock=clock)
    first.export(batch(entry("a", 0), entry("b", 5)))
    second = pickle.loads(pickle.dumps(first))  # noqa: S301 - just pickled
    clock.set(12)
    second.export(batch(entry("c", 12)))
    assert ["b", "c"] == read(path)[0]
    clock.set(50)
    second.upkeep()
    assert [[], ["b", "c"]] == [read(path)[0], read(tmp_path / "out.1.har")[0]]
    first.shutdown()
    second.shutdown()
