"""`CompositeHarExporter`: what one destination does is nothing to the others."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from children import batch
from otel_har.errors import DestinationError, SettingError
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.interfaces import HarBatch, HarExportResult, HarStatistics
from otel_har.export.memory import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Place(InMemoryHarExporter):
    """Takes entries, or not, as it is told; notes every call."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.calls: list[str] = []
        self.times: list[int] = []
        self.flushed = True
        self.hold_s = 0.0
        self.asked: list[int] = []
        self.refusal_s = 0.0

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep the batch or raise."""
        self.calls.append("export")
        self.asked.append(len(batch.entries))
        if self.fault is not None:
            threading.Event().wait(self.refusal_s)
            raise self.fault
        return super().export(batch)

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Take so long."""
        self.times.append(timeout_millis)
        threading.Event().wait(min(self.hold_s, timeout_millis / 1000))
        return self.flushed

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Take so long."""
        self.calls.append("shutdown")
        self.times.append(timeout_millis)
        threading.Event().wait(min(self.hold_s, timeout_millis / 1000))
        super().shutdown()

    @property
    def names(self) -> Sequence[str]:
        """What it has."""
        return [entry.request.url.rpartition("/")[2] for entry in self.entries]


def _full() -> DestinationError:
    return DestinationError(errno.ENOSPC, "full")


def test_what_one_does_not_take_waits_for_it_alone() -> None:
    """The other goes on; then the first gets everything in order, once, with pages and what it was not told."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = _full()
    given = batch("2", "3")
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert HarExportResult.SUCCESS is exporter.export(HarBatch((), given.entries, HarStatistics(2)))
    assert ([], ["1", "2", "3"]) == (first.names, second.names)
    first.fault = None
    assert HarExportResult.SUCCESS is exporter.export(batch("4"))
    assert (["1", "2", "3", "4"], ["1", "2", "3", "4"]) == (first.names, second.names)
    assert (["run"], HarStatistics(2, failed_exports=2)) == ([page.id for page in first.pages], first.statistics)
    assert HarStatistics(2) == second.statistics


def test_asked_with_one_entry() -> None:
    """What takes nothing is asked with one of the entries that wait: to make requests of all of them takes long."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = _full()
    for place in range(3):
        exporter.export(batch(*(f"{place}{number}" for number in range(4))))
    first.fault = None
    assert exporter.force_flush() is True
    assert ([4, 1, 1, 1, 11], 12) == (first.asked, len(first.names))
    assert first.names == second.names


def test_slow_to_refuse() -> None:
    """What takes its time to refuse is left alone for a while, and so does not hold up the other; a flush asks it."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault, first.refusal_s = _full(), 1.0
    for name in ("1", "2", "3"):
        exporter.export(batch(name))
    assert ([1], ["1", "2", "3"]) == (first.asked, second.names)
    first.fault = None
    assert exporter.force_flush() is True
    assert ([1, 1, 2], ["1", "2", "3"]) == (first.asked, first.names)


def test_flush_gives_what_waits() -> None:
    """A flush delivers it, and is False as long as something waits."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = _full()
    exporter.export(batch("1"))
    assert exporter.force_flush(1_000) is False
    first.fault = None
    assert exporter.force_flush(1_000) is True
    assert ["1"] == first.names
    second.flushed = False
    assert exporter.force_flush(1_000) is False


def test_shutdown_gives_what_waits() -> None:
    """Shutdown delivers it, as soon as the destination takes it within the time."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = _full()
    exporter.export(batch("1"))
    count = len(first.calls)

    def make_room() -> None:
        while len(first.calls) < count + 2:
            time.sleep(0)
        first.fault = None

    thread = threading.Thread(target=make_room)
    thread.start()
    exporter.shutdown(20_000)
    exporter.shutdown(20_000)
    thread.join()
    assert ["1"] == first.names
    assert (1, 1) == (first.calls.count("shutdown"), second.calls.count("shutdown"))


def test_shutdown_gives_up(caplog: pytest.LogCaptureFixture) -> None:
    """What is not taken within the time is told of, and each exporter is shut down."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = _full()
    exporter.export(batch("1", "2"))
    exporter.shutdown(200)
    assert "2 entries were not taken by _Place" in caplog.text
    assert ("shutdown", "shutdown") == (first.calls[-1], second.calls[-1])


def test_bound(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound entries are dropped for this one: logged once, and told to it when it takes entries again."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second, max_waiting_entries=3)
    first.fault = _full()
    for number in range(4):
        exporter.export(batch(f"{number}a", f"{number}b"))
    assert 1 == caplog.text.count("too much waits")
    first.fault = None
    exporter.export(batch("last"))
    assert ["0a", "0b", "1a", "last"] == first.names
    assert HarStatistics(dropped_entries=5, failed_exports=4) == first.statistics
    assert "takes entries again" in caplog.text


def test_none_takes_anything() -> None:
    """The processor keeps what nobody takes: nothing is kept here, so nothing is doubled."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = second.fault = _full()
    for _ in range(2):
        with pytest.raises(DestinationError, match="full"):
            exporter.export(batch("1"))
    first.fault = second.fault = None
    exporter.export(batch("1"))
    assert (["1"], ["1"], HarStatistics()) == (first.names, second.names, first.statistics)


def test_bug_of_one() -> None:
    """An exporter that raises loses its own batch, and is told so; it fails only when it is the last one."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault = RuntimeError("bug")
    assert HarExportResult.SUCCESS is exporter.export(replace(batch("1"), statistics=HarStatistics(7)))
    second.fault = RuntimeError("bug")
    assert HarExportResult.FAILURE is exporter.export(batch("2"))
    first.fault = second.fault = None
    assert HarExportResult.SUCCESS is exporter.export(batch("3"))
    assert (["3"], ["1", "3"]) == (first.names, second.names)
    assert HarStatistics(7, failed_entries=2, failed_exports=2) == first.statistics


def test_bug_of_one_while_the_other_takes_nothing() -> None:
    """What one has lost and the other has not taken is not asked for again: it waits."""
    first, second = _Place(), _Place()
    exporter = CompositeHarExporter(first, second)
    first.fault, second.fault = RuntimeError("bug"), _full()
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    second.fault = None
    assert exporter.force_flush(1_000)
    assert ["1"] == second.names


def test_time_is_shared() -> None:
    """One that takes all its time leaves the others theirs, at a flush and at shutdown."""
    first, second, third = _Place(), _Place(), _Place()
    exporter = CompositeHarExporter(first, second, third)
    first.hold_s = 10
    started = time.monotonic()
    exporter.force_flush(300)
    exporter.shutdown(300)
    assert time.monotonic() - started < 2
    assert all(100 >= first_time for first_time in first.times)
    assert all(60 <= time_ms for place in (second, third) for time_ms in place.times)


def test_of_nothing() -> None:
    """A composite of no exporters is refused."""
    with pytest.raises(SettingError, match="no exporters"):
        CompositeHarExporter()


@pytest.mark.parametrize("stop", [SystemExit, GeneratorExit])
def test_one_that_exits_costs_the_others_nothing(stop: type[BaseException]) -> None:
    """What would end a program ends one destination's turn: the other gets its batches, is flushed and shut down."""

    class Exiting(_Place):
        def export(self, batch: HarBatch) -> HarExportResult:
            raise stop(batch)

        def force_flush(self, timeout_millis: int = 0) -> bool:
            raise stop(timeout_millis)

        def shutdown(self, timeout_millis: int = 0) -> None:
            raise stop(timeout_millis)

        def upkeep(self) -> None:
            raise stop

    other = _Place()
    exporter = CompositeHarExporter(Exiting(), other)
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert not exporter.force_flush()
    exporter.upkeep()
    exporter.shutdown()
    assert (["1"], ["export", "shutdown"]) == (other.names, other.calls)
