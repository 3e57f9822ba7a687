"""What every `HarProcessor` has to keep. A new processor is one more case of `CASES`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_har.budget import ByteBudget
from otel_har.errors import DestinationError
from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarProcessor, HarStatistics
from otel_har.export.simple import SimpleHarProcessor
from otel_har.har.checker import check
from otel_har.limits import CaptureLimits
from otel_har.message import Body
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.testing import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Make: TypeAlias = Callable[[HarExporter], HarProcessor]

PATIENCE_S = 20.0
PATIENCE_MS = 20_000
SPAN = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)

CASES: dict[str, Callable[[HarExporter], HarProcessor]] = {
    "simple": SimpleHarProcessor,
    "batch": lambda exporter: BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=3_600_000)),
    "batch of one": lambda exporter: BatchHarProcessor(
        exporter, BatchSettings(schedule_delay_millis=3_600_000, max_export_batch_size=1)
    ),
}


@pytest.fixture(params=CASES)
def make(request: pytest.FixtureRequest) -> Make:
    """Each processor's constructor in turn."""
    return CASES[request.param]


def _page(name: str = "run") -> PageFacts:
    return PageFacts(name, name, 1)


def _record(path: str, page: PageFacts) -> HarRecord:
    exchange = Exchange("GET", f"http://h.test/{path}", started_unix_ns=1, started=1, limits=CaptureLimits())
    return HarRecord(exchange, SPAN, page)


class _Exporter(HarExporter):
    """Notes every call, and whether two came at one time; may be held at a gate, and may fail."""

    def __init__(self, *, held: bool = False) -> None:
        self.calls: list[str] = []
        self.paths: list[str] = []
        self.pages: list[tuple[str, float]] = []
        self.instrumented: dict[str, bool] = {}
        self.overlaps: list[str] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.result: Any = HarExportResult.SUCCESS
        self.fault: Exception | None = None
        self._inside = threading.Lock()
        if not held:
            self.gate.set()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Wait at the gate, then note the batch or fail."""
        self._enter("export")
        try:
            self.entered.set()
            self.gate.wait(PATIENCE_S)
            if self.fault is not None:
                raise self.fault
            self.paths.extend(entry.request.url.rpartition("/")[2] for entry in batch.entries)
            self.pages.extend((page.id, float(page.page_timings.on_load)) for page in batch.pages)
            result: HarExportResult = self.result
            return result
        finally:
            self._leave()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Note the call."""
        del timeout_millis
        self._enter("force_flush")
        self._leave()
        return True

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Note the call."""
        del timeout_millis
        self._enter("shutdown")
        self._leave()

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        self.instrumented[call] = is_instrumentation_enabled()
        if not self._inside.acquire(blocking=False):
            self.overlaps.append(call)
            self._inside.acquire(timeout=PATIENCE_S)

    def _leave(self) -> None:
        self._inside.release()


def test_every_record_once_in_order(make: Make) -> None:
    """What was taken before a flush is exported by it, once, in order."""
    exporter, page = _Exporter(), _page()
    processor = make(exporter)
    for number in range(5):
        processor.on_record(_record(str(number), page))
    assert processor.force_flush(PATIENCE_MS) is True
    assert processor.force_flush(PATIENCE_MS) is True
    assert [str(number) for number in range(5)] == exporter.paths
    processor.shutdown()


def test_page_update(make: Make) -> None:
    """A page that changed is delivered in its new state."""
    exporter, page = _Exporter(), _page()
    processor = make(exporter)
    processor.on_record(_record("1", page))
    assert processor.force_flush(PATIENCE_MS)
    page.on_load_ms = 5
    processor.on_page(page)
    assert processor.force_flush(PATIENCE_MS)
    assert [("run", -1), ("run", 5)] == exporter.pages
    processor.shutdown()


def test_shutdown_delivers_then_ends(make: Make) -> None:
    """Shutdown exports what was taken and shuts the exporter down, once however often it is called."""
    exporter = _Exporter()
    processor = make(exporter)
    processor.on_record(_record("1", _page()))
    processor.shutdown()
    processor.shutdown()
    assert ["1"] == exporter.paths
    assert ("shutdown", 1) == (exporter.calls[-1], exporter.calls.count("shutdown"))


def test_nothing_is_taken_after_shutdown(make: Make) -> None:
    """After shutdown records and pages are nobody's."""
    exporter = _Exporter()
    processor = make(exporter)
    processor.shutdown()
    processor.on_record(_record("1", _page()))
    processor.on_page(_page())
    assert [] == exporter.paths


def test_exporter_is_left_alone_after_shutdown(make: Make) -> None:
    """A processor calls nothing but `shutdown` after `shutdown`, whoever flushes it still."""
    exporter = _Exporter()
    processor = make(exporter)
    processor.on_record(_record("1", _page()))
    processor.shutdown()
    processor.force_flush(PATIENCE_MS)
    assert {"shutdown"} == set(exporter.calls[exporter.calls.index("shutdown") :])


def test_exporter_is_called_with_instrumentation_suppressed(make: Make) -> None:
    """What an exporter sends is no traffic of the program's, whichever of its methods sends it."""
    exporter = _Exporter()
    processor = make(exporter)
    processor.on_record(_record("1", _page()))
    processor.force_flush(PATIENCE_MS)
    processor.shutdown()
    assert {"export": False, "force_flush": False, "shutdown": False} == exporter.instrumented
    assert is_instrumentation_enabled()


@pytest.mark.parametrize("fault", [None, OSError("disk"), RuntimeError("bug")])
def test_failing_exporter(make: Make, fault: Exception | None) -> None:
    """An export that fails or raises never reaches the caller, makes the flush False, and the next one works."""
    exporter = _Exporter()
    exporter.result, exporter.fault = HarExportResult.FAILURE, fault
    processor = make(exporter)
    processor.on_record(_record("1", _page()))
    assert processor.force_flush(PATIENCE_MS) is False
    exporter.result, exporter.fault = HarExportResult.SUCCESS, None
    processor.on_record(_record("2", _page()))
    assert processor.force_flush(PATIENCE_MS) is True
    assert "2" == exporter.paths[-1]
    processor.shutdown()


class _Counting(InMemoryHarExporter):
    """Keeps the statistics that it is told; takes nothing while there is a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.told = HarStatistics()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Raise the fault, or keep the batch."""
        if self.fault is not None:
            raise self.fault
        self.told += batch.statistics
        return super().export(batch)


def test_what_was_lost_is_told(make: Make) -> None:
    """Bodies left out, entries dropped and exports failed are told with the batches, all of them by the end."""
    exporter = _Counting(OSError("disk"))
    processor = make(exporter)
    full = CaptureLimits(budget=ByteBudget(1))
    for path in ("failed", "kept"):
        record = _record(path, _page())
        assert record.exchange is not None
        record.exchange.response_body = Body(full)
        record.exchange.response_body.note(b"xyz")
        processor.on_record(record)
        processor.force_flush(PATIENCE_MS)
        exporter.fault = None
    processor.on_record(HarRecord(None, SPAN, _page(), is_over_budget=True))
    processor.shutdown()
    assert HarStatistics(dropped_entries=1, dropped_bodies=2, failed_entries=1, failed_exports=1) == exporter.told


def test_destination_that_takes_nothing_for_now(make: Make) -> None:
    """Every entry is delivered once, in order, when the destination takes entries again."""
    exporter = _Counting(DestinationError(28, "No space left on device"))
    processor = make(exporter)
    for path in ("1", "2"):
        processor.on_record(_record(path, _page()))
        assert processor.force_flush(PATIENCE_MS) is False
    exporter.fault = None
    processor.on_record(_record("3", _page()))
    assert processor.force_flush(PATIENCE_MS) is True
    paths = [entry.request.url.rpartition("/")[2] for entry in exporter.entries]
    assert ["1", "2", "3"] == paths
    assert 0 == exporter.told.failed_entries
    processor.shutdown()


class _FailingOnce(InMemoryHarExporter):
    """Fails its first export."""

    fault: Exception | None = OSError("disk")

    def export(self, batch: HarBatch) -> HarExportResult:
        """Fail once."""
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return super().export(batch)


def test_page_of_a_record_that_was_not_delivered(make: Make) -> None:
    """A page whose only record failed is not delivered by itself: readers fail at a page without entries."""
    exporter, page = _FailingOnce(), _page("lonely")
    processor = make(exporter)
    processor.on_record(_record("1", page))
    processor.force_flush(PATIENCE_MS)
    page.on_load_ms = 5
    processor.on_page(page)
    processor.force_flush(PATIENCE_MS)
    assert [] == exporter.pages
    processor.shutdown()


def test_never_two_calls_at_one_time(make: Make) -> None:
    """While an export is under way nothing else is called, whoever flushes or shuts down."""
    exporter = _Exporter(held=True)
    processor = make(exporter)
    processor_calls = [
        lambda: processor.on_record(_record("1", _page())),
        lambda: processor.force_flush(PATIENCE_MS),
        processor.shutdown,
    ]
    started = threading.Barrier(len(processor_calls))

    def work(call: Callable[[], object], *, first: bool) -> None:
        started.wait(PATIENCE_S)
        if not first:
            exporter.entered.wait(0.5)
        call()

    threads = [
        threading.Thread(target=work, args=(call,), kwargs={"first": call is processor_calls[0]}, daemon=True)
        for call in processor_calls
    ]
    for thread in threads:
        thread.start()
    exporter.entered.wait(PATIENCE_S)
    for thread in threads[1:]:
        thread.join(0.05)  # not a wait for anything: a chance to break the rule
    exporter.gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [] == exporter.overlaps


def test_timeout_of_flush(make: Make) -> None:
    """A flush that finds another thread's export hanging returns False within its time."""
    exporter = _Exporter(held=True)
    processor = make(exporter)
    recording = threading.Thread(target=processor.on_record, args=(_record("1", _page()),), daemon=True)
    recording.start()
    results: list[bool] = []
    if not exporter.entered.wait(0.5):  # this one exports when it is asked to
        recording.join(PATIENCE_S)
    flushing = threading.Thread(target=lambda: results.append(processor.force_flush(50)), daemon=True)
    flushing.start()
    flushing.join(PATIENCE_S / 2)
    assert [False] == results
    exporter.gate.set()
    recording.join(PATIENCE_S)
    processor.shutdown()


def test_record_of_a_finaliser(make: Make) -> None:
    """A record that completes within an export, on its thread, is exported once that is done."""
    holder: list[HarProcessor] = []

    class Reentering(_Exporter):
        """Completes a record in the middle of its first export."""

        def export(self, batch: HarBatch) -> HarExportResult:
            """Complete a record, then export."""
            if not self.calls:
                holder[0].on_record(_record("inner", _page()))
            return super().export(batch)

    exporter = Reentering()
    processor = make(exporter)
    holder.append(processor)
    processor.on_record(_record("outer", _page()))
    processor.force_flush(PATIENCE_MS)
    processor.force_flush(PATIENCE_MS)
    assert ["outer", "inner"] == exporter.paths
    processor.shutdown()


_FORK = """
import os
import sys
import threading

from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.file import FileHarExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.record import HarRecord, PageFacts, SpanFacts

SPAN = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)
PAGE = PageFacts("run", "run", 1)


def record(path):
    exchange = Exchange("GET", f"http://h.test/{path}", started_unix_ns=1, started=1, limits=CaptureLimits())
    return HarRecord(exchange, SPAN, PAGE)


def make(exporter):
    if sys.argv[2] == "simple":
        return SimpleHarProcessor(exporter)
    size = 1 if sys.argv[2] == "batch of one" else 512
    return BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=3_600_000, max_export_batch_size=size))

"""


def _run(source: str, path: Path, name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK + dedent(source), str(path), name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def _paths(path: Path) -> list[str]:
    assert [] == [str(fault) for fault in check(path)]
    from otel_har.har.reader import load  # noqa: PLC0415 - only these tests read files

    return [entry.request.url.rpartition("/")[2] for entry in load(path).log.entries]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", CASES)
def test_forked_child(name: str, tmp_path: Path) -> None:
    """What waited in the parent is written by the parent only; what the child records by the child, in one file."""
    source = """
        processor = make(FileHarExporter(sys.argv[1]))
        processor.on_record(record("before"))
        pid = os.fork()
        for number in range(3):
            processor.on_record(record(f"{'parent' if pid else 'child'}{number}"))
        flushed = processor.force_flush(20_000)
        processor.shutdown()
        if pid == 0:
            os._exit(0 if flushed else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert flushed
    """
    path = tmp_path / "out.har"
    _run(source, path, name)
    paths = _paths(path)
    assert ["before", "parent0", "parent1", "parent2"] == [name for name in paths if not name.startswith("child")]
    assert ["child0", "child1", "child2"] == [name for name in paths if name.startswith("child")]
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", CASES)
def test_forked_in_the_middle_of_an_export(name: str, tmp_path: Path) -> None:
    """A child that is forked while another thread exports can record all the same: no lock stays behind."""
    source = """
        import signal
        entered, gate = threading.Event(), threading.Event()

        class Held(FileHarExporter):
            def export(self, batch):
                if os.getpid() == parent:
                    entered.set()
                    gate.wait(30)
                return super().export(batch)

        parent = os.getpid()
        processor = make(Held(sys.argv[1]))
        threading.Thread(
            target=lambda: (processor.on_record(record("parent")), processor.force_flush(30_000)), daemon=True
        ).start()
        assert entered.wait(30)
        pid = os.fork()
        if pid == 0:
            signal.alarm(5)  # a child that hangs is ended by this
            processor.on_record(record("child"))
            flushed = processor.force_flush(20_000)
            os._exit(0 if flushed else 1)
        status = os.waitpid(pid, 0)[1]
        gate.set()
        processor.shutdown()
        print(status)
    """
    path = tmp_path / "out.har"
    assert "0\n" == _run(source, path, name)
    assert ["child", "parent"] == _paths(path)
