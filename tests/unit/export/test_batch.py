"""`BatchHarProcessor`: a bounded queue and one worker; no sleeps, exporters wait for events."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.limits import CaptureLimits
from otel_har.record import HarRecord, PageFacts
from records import PAGE, SPAN, record_of

PATIENCE_S = 20.0
PATIENCE_MS = 20_000
NEVER_MS = 3_600_000


class _Exporter(HarExporter):
    """Notes batches; may be held at a gate, and may fail."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.pages: list[list[tuple[str, float]]] = []
        self.instrumented: set[bool] = set()
        self.entered = threading.Semaphore(0)
        self.exported = threading.Semaphore(0)
        self.gate = threading.Event()
        self.fault: Exception | None = None
        self.result: Any = HarExportResult.SUCCESS
        self.flushed: list[int] = []
        self.flush_result = True
        self.shutdowns: list[int] = []
        self.was_shut_down = threading.Event()
        if not held:
            self.gate.set()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Wait at the gate, then note the batch or fail."""
        self.instrumented.add(is_instrumentation_enabled())
        self.entered.release()
        self.gate.wait(PATIENCE_S)
        try:
            if self.fault is not None:
                raise self.fault
            self.batches.append([entry.request.url.rpartition("/")[2] for entry in batch.entries])
            self.pages.append([(page.id, float(page.page_timings.on_load)) for page in batch.pages])
            result: HarExportResult = self.result
            return result
        finally:
            self.exported.release()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Note the flush."""
        self.instrumented.add(is_instrumentation_enabled())
        self.flushed.append(timeout_millis)
        return self.flush_result

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Note the end."""
        self.instrumented.add(is_instrumentation_enabled())
        self.shutdowns.append(timeout_millis)
        self.was_shut_down.set()

    @property
    def paths(self) -> list[str]:
        """Every entry's path, in the order of export."""
        return [path for batch in self.batches for path in batch]


def _processor(exporter: HarExporter, **settings: Any) -> BatchHarProcessor:
    return BatchHarProcessor(exporter, BatchSettings(**({"schedule_delay_millis": NEVER_MS} | settings)))


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_flush_exports_in_order() -> None:
    """A flush exports everything that was taken before it, once, in batches of the size set."""
    exporter = _Exporter()
    processor = _processor(exporter, max_export_batch_size=100)
    for number in range(7):
        processor.on_record(record_of(str(number)))
    assert processor.force_flush(PATIENCE_MS) is True
    assert processor.force_flush(PATIENCE_MS) is True
    assert [[str(number) for number in range(7)]] == exporter.batches
    assert 2 == len(exporter.flushed)
    processor.shutdown()


def test_wakes_at_batch_size() -> None:
    """As soon as a batch is full the worker exports it, long before the delay is over."""
    exporter = _Exporter()
    processor = _processor(exporter, max_export_batch_size=3)
    processor.on_record(record_of("1"))
    processor.on_record(record_of("2"))
    assert not exporter.entered.acquire(blocking=False)
    processor.on_record(record_of("3"))
    assert exporter.exported.acquire(timeout=PATIENCE_S)
    assert [["1", "2", "3"]] == exporter.batches
    processor.shutdown()


def test_full_batches_follow_each_other() -> None:
    """What piled up during an export is exported after it without waiting for the delay."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_export_batch_size=2)
    for number in range(2):
        processor.on_record(record_of(str(number)))
    assert exporter.entered.acquire(timeout=PATIENCE_S)
    for number in range(2, 6):
        processor.on_record(record_of(str(number)))
    exporter.gate.set()
    for _ in range(3):
        assert exporter.exported.acquire(timeout=PATIENCE_S)
    assert [["0", "1"], ["2", "3"], ["4", "5"]] == exporter.batches
    processor.shutdown()


def test_schedule_delay() -> None:
    """A record that waits alone is exported after the delay, without anyone asking."""
    exporter = _Exporter()
    processor = _processor(exporter, schedule_delay_millis=1)
    processor.on_record(record_of("1"))
    assert exporter.exported.acquire(timeout=PATIENCE_S)
    processor.on_record(record_of("2"))
    assert exporter.exported.acquire(timeout=PATIENCE_S)
    assert [["1"], ["2"]] == exporter.batches
    processor.shutdown()


def test_large_bodies_make_small_batches() -> None:
    """A batch is bounded in bytes, too; the worker may begin before all are there."""
    exporter = _Exporter()
    processor = _processor(exporter)
    for number in range(4):
        processor.on_record(record_of(str(number), body=b"x" * 5 * 1024 * 1024))
    assert processor.force_flush(PATIENCE_MS)
    assert ["0", "1", "2", "3"] == exporter.paths
    assert [] == [batch for batch in exporter.batches if len(batch) > 2]
    processor.shutdown()


def test_full_queue(caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is dropped, counted, and said once, at shutdown; what is being exported takes room, too."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=2, max_export_batch_size=1)
    processor.on_record(record_of("0"))
    assert exporter.entered.acquire(timeout=PATIENCE_S)
    for number in range(1, 6):
        processor.on_record(record_of(str(number)))
    assert 4 == processor.dropped_entries
    assert [] == _warnings(caplog)
    exporter.gate.set()
    processor.shutdown()
    processor.shutdown()
    assert ["0", "1"] == exporter.paths
    expected = "otel-har: not everything was recorded: 4 entries were dropped (too many, or too large, waited)"
    assert [expected] == _warnings(caplog)


def test_nothing_is_said_when_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """A recording that kept everything is quiet."""
    processor = _processor(_Exporter())
    processor.on_record(record_of())
    processor.shutdown()
    assert [] == caplog.records


def test_queue_takes_again_once_it_is_drained() -> None:
    """A queue that was full drops nothing more when there is room."""
    exporter = _Exporter()
    processor = _processor(exporter, max_queue_size=1)
    for number in range(3):
        processor.on_record(record_of(str(number)))
        assert processor.force_flush(PATIENCE_MS)
    assert (["0", "1", "2"], 0) == (exporter.paths, processor.dropped_entries)
    processor.shutdown()


@pytest.mark.parametrize("fault", [None, OSError("disk"), RuntimeError("bug")])
def test_failed_export(fault: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    """An export that fails or raises is counted, makes the flush False, and the next one works."""
    exporter = _Exporter()
    exporter.fault, exporter.result = fault, HarExportResult.FAILURE
    processor = _processor(exporter)
    processor.on_record(record_of("1"))
    processor.on_record(record_of("2"))
    assert processor.force_flush(PATIENCE_MS) is False
    assert 2 == processor.failed_entries
    exporter.fault, exporter.result = None, HarExportResult.SUCCESS
    processor.on_record(record_of("3"))
    assert processor.force_flush(PATIENCE_MS) is True
    processor.shutdown()
    assert "3" == exporter.paths[-1]
    [said] = _warnings(caplog)
    assert said.startswith("otel-har: not everything was recorded: 2 entries failed (1 exports did)")


def test_flush_that_the_exporter_does_not_do() -> None:
    """An exporter that says it could not flush makes the flush False."""
    exporter = _Exporter()
    exporter.flush_result = False
    processor = _processor(exporter)
    processor.on_record(record_of())
    assert processor.force_flush(PATIENCE_MS) is False
    processor.shutdown()


def test_flush_that_meets_a_failing_export() -> None:
    """A record whose export was under way when the flush was asked for was taken before it: its failure counts."""
    exporter = _Exporter(held=True)
    exporter.result = HarExportResult.FAILURE
    processor = _processor(exporter, max_export_batch_size=1)
    processor.on_record(record_of())
    assert exporter.entered.acquire(timeout=PATIENCE_S)
    results: list[bool] = []
    flushing = threading.Thread(target=lambda: results.append(processor.force_flush(PATIENCE_MS)))
    flushing.start()
    while processor._wake.qsize() == 0:
        assert flushing.is_alive()
    exporter.gate.set()
    flushing.join(PATIENCE_S)
    assert [False] == results
    processor.shutdown()


def test_flush_without_a_worker_that_fails() -> None:
    """Where no thread can be started the flush works by itself, and a failed export is told as everywhere."""
    exporter = _Exporter()
    exporter.result = HarExportResult.FAILURE
    processor = _processor(exporter)
    size = threading.stack_size(1 << 46)  # more than any address space has: no thread can start
    try:
        processor.on_record(record_of("1"))
    finally:
        threading.stack_size(size)
    assert processor.force_flush(PATIENCE_MS) is False
    assert [["1"]] == exporter.batches
    processor.shutdown()


def test_timeout_of_flush_holds() -> None:
    """An exporter that hangs holds nobody longer than asked for."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter)
    processor.on_record(record_of())
    before = time.monotonic()
    assert processor.force_flush(50) is False
    assert time.monotonic() - before < PATIENCE_S / 2
    exporter.gate.set()
    assert processor.force_flush(PATIENCE_MS) is True
    processor.shutdown()


def test_timeout_of_shutdown_holds(caplog: pytest.LogCaptureFixture) -> None:
    """Shutdown says that not everything was exported, and the worker shuts the exporter down when it gets there."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, export_timeout_millis=50)
    processor.on_record(record_of("late"))
    before = time.monotonic()
    processor.shutdown()
    assert time.monotonic() - before < PATIENCE_S / 2
    expected = "otel-har: not everything was recorded: 1 entries were not exported within 50 ms"
    assert [expected] == _warnings(caplog)
    assert [] == exporter.shutdowns
    exporter.gate.set()
    assert exporter.was_shut_down.wait(PATIENCE_S)
    assert ["late"] == exporter.paths


def test_shutdown_takes_its_own_timeout() -> None:
    """A timeout given to shutdown counts instead of the settings'."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, export_timeout_millis=NEVER_MS)
    processor.on_record(record_of())
    processor.shutdown(timeout_millis=50)
    exporter.gate.set()
    assert exporter.was_shut_down.wait(PATIENCE_S)


def test_shutdown_exports_what_waits() -> None:
    """What waits is exported, then the exporter is shut down, then nothing more is taken."""
    exporter = _Exporter()
    processor = _processor(exporter)
    processor.on_record(record_of("1"))
    processor.shutdown()
    processor.on_record(record_of("2"))
    processor.on_page(PAGE)
    processor.shutdown()
    assert [["1"]] == exporter.batches
    assert 1 == len(exporter.shutdowns)


class _EndsRecording(Exchange):
    """Shuts the processor down between its taking a record and its starting a worker, as another thread may."""

    processor: BatchHarProcessor

    @property
    def held_bytes(self) -> int:
        """Of its bodies and texts."""
        self.processor.shutdown()
        return super().held_bytes


def test_shutdown_while_a_record_comes_in() -> None:
    """No worker is started that nobody would end."""
    before = set(threading.enumerate())
    exporter = _Exporter()
    exchange = _EndsRecording("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())
    exchange.processor = _processor(exporter)
    exchange.processor.on_record(HarRecord(exchange, SPAN, PAGE))
    assert before == set(threading.enumerate())
    assert exporter.was_shut_down.is_set()


def test_shutdown_without_a_record() -> None:
    """A processor that never had a record has no thread, and shuts its exporter down all the same."""
    exporter = _Exporter()
    processor = _processor(exporter)
    assert processor.force_flush(PATIENCE_MS) is True
    processor.shutdown()
    assert 1 == len(exporter.shutdowns)
    assert [] == exporter.batches


def test_instrumentation_is_suppressed() -> None:
    """Whatever the exporter does, with a worker and without, is no traffic of the program's."""
    with_worker, without = _Exporter(), _Exporter()
    processor = _processor(with_worker)
    processor.on_record(record_of())
    processor.force_flush(PATIENCE_MS)
    processor.shutdown()
    assert {False} == with_worker.instrumented
    processor = _processor(without)
    processor.force_flush(PATIENCE_MS)
    processor.shutdown()
    assert {False} == without.instrumented
    assert is_instrumentation_enabled()


def test_page_update_is_queued_once() -> None:
    """However often a page changes before it is exported, it is exported once, as it is then."""
    exporter = _Exporter()
    processor = _processor(exporter)
    page = PageFacts("trace", "trace", 1)
    processor.on_record(record_of("1", page=page))
    assert processor.force_flush(PATIENCE_MS)
    for duration in (1.0, 2.0, 3.0):
        page.on_load_ms = duration
        processor.on_page(page)
    assert 1 == len(processor._items)
    assert processor.force_flush(PATIENCE_MS)
    assert [[("trace", -1)], [("trace", 3)]] == exporter.pages
    page.on_load_ms = 4
    processor.on_page(page)
    assert processor.force_flush(PATIENCE_MS)
    assert [("trace", 4)] == exporter.pages[-1]
    processor.shutdown()


def test_page_that_cannot_be_built_does_not_end_the_worker() -> None:
    """Whatever a span gives a page for its start, later records are exported."""
    exporter = _Exporter()
    processor = _processor(exporter)
    failures: list[object] = []
    hook = threading.excepthook
    threading.excepthook = failures.append
    try:
        processor.on_record(record_of("1", page=PageFacts("bad", "bad", 10**30)))
        processor.force_flush(2_000)
        processor.on_record(record_of("2"))
        processor.force_flush(2_000)
    finally:
        threading.excepthook = hook
    assert "2" in exporter.paths
    assert [] == failures
    processor.shutdown()


class _Abandoned:
    """Something whose finaliser hands a record on."""

    def __init__(self, processor: BatchHarProcessor, path: str) -> None:
        self._processor = processor
        self._path = path
        self.itself = self

    def __del__(self) -> None:
        self._processor.on_record(record_of(self._path))


def test_record_from_a_finaliser_while_exporting() -> None:
    """An abandoned response that the collector finds in the middle of an export is exported later."""
    inner = _Exporter()

    class Collecting(_Exporter):
        """Runs the collector within an export."""

        def export(self, batch: HarBatch) -> HarExportResult:
            """Collect, then export."""
            gc.collect()
            return inner.export(batch)

    processor = _processor(Collecting())
    _Abandoned(processor, "abandoned")
    processor.on_record(record_of("1"))
    assert processor.force_flush(PATIENCE_MS)
    assert processor.force_flush(PATIENCE_MS)
    assert ["1", "abandoned"] == sorted(inner.paths)
    processor.shutdown()


def test_flush_from_the_worker_does_not_wait_for_itself() -> None:
    """An exporter, or a finaliser that runs in the worker, that flushes gets an answer at once."""
    answers: list[bool] = []

    class Flushing(_Exporter):
        """Flushes its own processor."""

        def export(self, batch: HarBatch) -> HarExportResult:
            """Flush, then export."""
            answers.append(processor.force_flush(NEVER_MS))
            return super().export(batch)

    processor = _processor(Flushing())
    processor.on_record(record_of())
    assert processor.force_flush(PATIENCE_MS) is True
    assert [False] == answers
    processor.shutdown()


def test_records_of_many_threads() -> None:
    """Each record is exported once, in the order of its own thread."""
    exporter = _Exporter()
    processor = _processor(exporter, max_export_batch_size=7)
    start = threading.Barrier(6)

    def work(number: int) -> None:
        start.wait(timeout=PATIENCE_S)
        for count in range(50):
            processor.on_record(record_of(f"{number}.{count}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
    processor.shutdown()
    for number in range(6):
        expected = [f"{number}.{count}" for count in range(50)]
        assert expected == [path for path in exporter.paths if path.startswith(f"{number}.")]
    assert 300 == len(exporter.paths)


def test_worker_holds_no_processor_alive_after_shutdown() -> None:
    """After shutdown the worker has ended."""
    processor = _processor(_Exporter())
    processor.on_record(record_of())
    worker = processor._worker
    processor.shutdown()
    assert worker is not None
    worker.join(PATIENCE_S)
    assert not worker.is_alive()
