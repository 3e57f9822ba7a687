"""`BatchHarProcessor` when more comes than goes: waiting, trying again, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import gzip
import logging
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.budget import ByteBudget
from otel_har.errors import DestinationError
from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.limits import CaptureLimits
from otel_har.processor import HarSpanProcessor
from otel_har.record import HarRecord
from records import PAGE, SPAN, record_of

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20.0
PATIENCE_MS = 20_000
NEVER_MS = 3_600_000


class _Exporter(HarExporter):
    """Waits at a gate, then takes a batch, or says what is wrong with its destination."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.statistics: list[HarStatistics] = []
        self.attempts: list[list[str]] = []
        self.attempted = threading.Semaphore(0)
        self.delivered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.fault: Exception | None = None
        self.shutdowns = 0
        if not held:
            self.gate.set()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Note the attempt; then fail, or note the batch."""
        paths = [entry.request.url.rpartition("/")[2] for entry in batch.entries]
        self.attempts.append(paths)
        self.attempted.release()
        self.gate.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        self.batches.append(paths)
        self.statistics.append(batch.statistics)
        self.delivered.release()
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Note the end."""
        del timeout_millis
        self.shutdowns += 1

    @property
    def paths(self) -> list[str]:
        """Every entry's path, in the order of export."""
        return [path for batch in self.batches for path in batch]


def _processor(exporter: HarExporter, **settings: Any) -> BatchHarProcessor:
    return BatchHarProcessor(exporter, BatchSettings(**({"schedule_delay_millis": NEVER_MS} | settings)))


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def _full_disk() -> DestinationError:
    return DestinationError(errno.ENOSPC, "No space left on device")


def _in_thread(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _wait_for_waiter(processor: BatchHarProcessor) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not processor.waiting._waiters:
        assert time.monotonic() < deadline


def test_waits_for_room_in_the_queue() -> None:
    """A thread that finds the queue full waits until an export has made room; nothing is dropped."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=2, max_export_batch_size=2, block_timeout_millis=PATIENCE_MS)
    for number in range(2):
        processor.on_record(record_of(str(number)))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    waiting = _in_thread(lambda: processor.on_record(record_of("2")))
    _wait_for_waiter(processor)
    exporter.gate.set()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    processor.shutdown()
    assert (["0", "1", "2"], 0) == (exporter.paths, processor.dropped_entries)


def test_drops_after_the_time() -> None:
    """Who waited in vain drops and counts, after the time that was set."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=1, max_export_batch_size=1, block_timeout_millis=30)
    processor.on_record(record_of("0"))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    before = time.monotonic()
    processor.on_record(record_of("1"))
    assert 0.03 <= time.monotonic() - before < PATIENCE_S / 2
    exporter.gate.set()
    processor.shutdown()
    assert (["0"], 1) == (exporter.paths, processor.dropped_entries)


def test_waiter_hurries_the_worker() -> None:
    """Who waits does not wait for the schedule delay: the worker writes what there is."""
    exporter = _Exporter()
    processor = _processor(exporter, max_queue_size=1, block_timeout_millis=PATIENCE_MS)
    for number in range(3):
        processor.on_record(record_of(str(number)))
    processor.shutdown()
    assert (["0", "1", "2"], 0) == (exporter.paths, processor.dropped_entries)


def test_shutdown_wakes_who_waits() -> None:
    """After shutdown nobody waits any more: what did not fit by then is dropped and counted."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=1, max_export_batch_size=1, block_timeout_millis=NEVER_MS)
    processor.on_record(record_of("0"))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    waiting = _in_thread(lambda: processor.on_record(record_of("1")))
    _wait_for_waiter(processor)
    processor.shutdown(timeout_millis=10)
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    assert 1 == processor.dropped_entries
    exporter.gate.set()


def test_worker_does_not_wait_for_itself() -> None:
    """A record that completes in the worker's own thread is dropped at once where the queue is full."""

    class Recording(_Exporter):
        """Completes two records in its first export."""

        def export(self, batch: HarBatch) -> HarExportResult:
            """Complete records, then export."""
            if not self.attempts:
                for number in range(2):
                    processor.on_record(record_of(f"inner{number}"))
            return super().export(batch)

    exporter = Recording()
    processor = _processor(exporter, max_queue_size=2, max_export_batch_size=1, block_timeout_millis=NEVER_MS)
    processor.on_record(record_of("outer"))
    assert exporter.delivered.acquire(timeout=PATIENCE_S)
    processor.shutdown()
    assert (["outer", "inner0"], 1) == (exporter.paths, processor.dropped_entries)


class _Abandoned:
    """Something whose finaliser hands a record on, as an abandoned response does."""

    def __init__(self, limits: CaptureLimits) -> None:
        self.exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=limits)
        self.itself = self

    def __del__(self) -> None:
        self.exchange.finish(2)


def test_finaliser_gives_room_to_who_waits() -> None:
    """Bytes that the collector finds in the middle of somebody's wait end that wait."""
    exporter = _Exporter()
    processor = _processor(exporter, block_timeout_millis=PATIENCE_MS)
    limits = CaptureLimits(budget=ByteBudget(1_000))
    HarSpanProcessor(processor, limits=limits)
    held = [_Abandoned(limits)]
    held[0].exchange.response_body.note(b"x" * 1_000)
    exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=limits)
    noting = _in_thread(lambda: exchange.response_body.note(b"y" * 500))
    _wait_for_waiter(processor)
    held.clear()
    gc.collect()
    noting.join(PATIENCE_S)
    assert (500, False) == (exchange.response_body.kept_bytes, exchange.response_body.is_over_budget)
    processor.shutdown()


def test_waits_for_bytes() -> None:
    """A body for which there is no room waits until the worker has written others."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_export_batch_size=1, block_timeout_millis=PATIENCE_MS)
    limits = CaptureLimits(budget=ByteBudget(1_000))
    HarSpanProcessor(processor, limits=limits)
    processor.on_record(record_of("0", body=b"x" * 1_000, limits=limits))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=limits)
    noting = _in_thread(lambda: exchange.response_body.note(b"y" * 1_000))
    _wait_for_waiter(processor)
    exporter.gate.set()
    noting.join(PATIENCE_S)
    assert (1_000, False) == (exchange.response_body.kept_bytes, exchange.response_body.is_over_budget)
    processor.shutdown()


def test_event_loop_waits_for_the_worker_only() -> None:
    """In an event loop, whose other tasks stand still, nobody waits for bytes that no export would free."""
    exporter = _Exporter()
    processor = _processor(exporter, block_timeout_millis=PATIENCE_MS)
    limits = CaptureLimits(budget=ByteBudget(1_000))
    HarSpanProcessor(processor, limits=limits)
    under_way = record_of("under way", body=b"x" * 1_000, limits=limits)

    async def note() -> int:
        exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=limits)
        exchange.response_body.note(b"y")
        return exchange.response_body.kept_bytes

    before = time.monotonic()
    assert 0 == asyncio.run(note())
    assert time.monotonic() - before < PATIENCE_S / 2
    processor.on_record(under_way)
    del under_way
    assert 1 == asyncio.run(note())
    processor.shutdown()


def test_destination_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """What a destination does not take waits in its order, is delivered once, and two lines tell of it."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, schedule_delay_millis=1, max_export_batch_size=2)
    for number in range(3):
        processor.on_record(record_of(str(number)))
    for _ in range(4):
        assert exporter.attempted.acquire(timeout=PATIENCE_S)
    processor.on_record(record_of("3"))
    exporter.fault = None
    assert exporter.delivered.acquire(timeout=PATIENCE_S)
    assert processor.force_flush(PATIENCE_MS) is True
    assert ["0", "1", "2", "3"] == exporter.paths
    failed_exports = len(exporter.attempts) - len(exporter.batches)
    told = sum(exporter.statistics, HarStatistics())
    assert HarStatistics(failed_exports=failed_exports) == told
    processor.shutdown()
    first, last = _said(caplog)
    assert "wait to be tried again: [Errno 28] No space left on device" in first
    assert last.startswith("otel-har: exporting goes on after")


def test_limits_hold_while_a_destination_is_away() -> None:
    """The oldest entries are kept; what comes beyond the queue is dropped, counted, and told with the next batch."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, max_queue_size=3, max_export_batch_size=2)
    for number in range(5):
        processor.on_record(record_of(str(number)))
        assert processor.force_flush(PATIENCE_MS) is False
    exporter.fault = None
    assert processor.force_flush(PATIENCE_MS) is True
    assert [["0", "1"], ["2"]] == exporter.batches
    assert HarStatistics(dropped_entries=2, failed_exports=5) == exporter.statistics[0]
    assert not exporter.statistics[1]
    processor.shutdown()


def test_full_queue_does_not_try_sooner() -> None:
    """While a destination is away, records that come do not make the worker try it before its time."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, max_export_batch_size=1)
    processor.on_record(record_of("0"))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    for number in range(1, 50):
        processor.on_record(record_of(str(number)))
    assert processor.force_flush(PATIENCE_MS) is False
    assert [["0"], ["0"]] == exporter.attempts
    exporter.fault = None
    processor.shutdown()
    assert [str(number) for number in range(50)] == exporter.paths


def test_shutdown_tries_until_its_time(caplog: pytest.LogCaptureFixture) -> None:
    """At the end a destination is tried again until the time is over; what it did not take then has failed."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, export_timeout_millis=400)
    processor.on_record(record_of("0"))
    processor.shutdown()
    assert len(exporter.attempts) > 1
    assert (1, 1) == (processor.failed_entries, exporter.shutdowns)
    expected = f"1 entries failed ({len(exporter.attempts)} exports did)"
    assert f"otel-har: not everything was recorded: {expected}" == _said(caplog)[-1]


def test_shutdown_ends_when_the_destination_is_back() -> None:
    """A destination that comes back during shutdown gets everything."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, export_timeout_millis=PATIENCE_MS)
    processor.on_record(record_of("0"))
    ending = _in_thread(processor.shutdown)
    for _ in range(2):
        assert exporter.attempted.acquire(timeout=PATIENCE_S)
    exporter.fault = None
    ending.join(PATIENCE_S)
    assert (["0"], 0, 1) == (exporter.paths, processor.failed_entries, exporter.shutdowns)


def test_fault_that_comes_back_is_not_said_again(caplog: pytest.LogCaptureFixture) -> None:
    """A destination that comes and goes is told of once; another kind of fault is told of at once."""
    exporter = _Exporter()
    processor = _processor(exporter)
    for fault in (_full_disk(), _full_disk(), DestinationError(errno.EROFS, "Read-only file system")):
        exporter.fault = fault
        processor.on_record(record_of())
        processor.force_flush(PATIENCE_MS)
        exporter.fault = None
        processor.force_flush(PATIENCE_MS)
    processor.shutdown()
    said = [line.partition(" after ")[0].rpartition(": ")[2] for line in _said(caplog)]
    expected = ["[Errno 28] No space left on device", "exporting goes on"]
    assert [*expected, "[Errno 30] Read-only file system", "exporting goes on"] == said


def test_counts_of_a_failed_batch_come_with_the_next() -> None:
    """A batch carries what was lost since the last one that was delivered."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=1)
    processor.on_record(record_of("0"))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    processor.on_record(record_of("dropped"))
    exporter.fault = OSError("gone")
    exporter.gate.set()
    assert processor.force_flush(PATIENCE_MS) is False
    exporter.fault = None
    processor.on_record(record_of("1"))
    assert processor.force_flush(PATIENCE_MS) is True
    assert [HarStatistics(dropped_entries=1, failed_entries=1, failed_exports=1)] == exporter.statistics
    processor.shutdown()
    assert 1 == len(exporter.batches)


def test_counts_alone_are_exported_at_the_end() -> None:
    """What was lost after the last batch is told by a batch without entries."""
    exporter = _Exporter(held=True)
    processor = _processor(exporter, max_queue_size=1, max_export_batch_size=1)
    processor.on_record(record_of("0"))
    assert exporter.attempted.acquire(timeout=PATIENCE_S)
    processor.on_record(record_of("dropped"))
    exporter.gate.set()
    processor.shutdown()
    assert [["0"], []] == exporter.batches
    assert [HarStatistics(), HarStatistics(dropped_entries=1)] == exporter.statistics


def test_bodies_without_room_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """An entry whose body was left out for want of room is counted, one whose body is over its own limit is not."""
    exporter = _Exporter()
    processor = _processor(exporter)
    processor.on_record(record_of("0", body=b"xyz", limits=CaptureLimits(budget=ByteBudget(1))))
    processor.on_record(record_of("1", body=b"xyz", limits=CaptureLimits(max_body_bytes=1)))
    processor.shutdown()
    assert [HarStatistics(dropped_bodies=1)] == exporter.statistics
    expected = "otel-har: not everything was recorded: 1 bodies were left out or cut (too many bytes were held)"
    assert [expected] == _said(caplog)


def test_record_that_cannot_be_built_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A record without an entry is a failed one, once, however often its batch is tried."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter)
    nowhere: Any = None  # no facts give this: there is no other way to make mapping fail
    broken = HarRecord(None, SPAN, nowhere)
    processor.on_record(broken)
    processor.on_record(record_of("1"))
    assert processor.force_flush(PATIENCE_MS) is False
    exporter.fault = None
    assert processor.force_flush(PATIENCE_MS) is False
    assert (["1"], HarStatistics(failed_entries=1, failed_exports=1)) == (exporter.paths, exporter.statistics[0])
    processor.shutdown()
    [line] = [line for line in _said(caplog) if "not everything" in line]
    assert "1 entries failed (1 exports did); faults: building an entry: AttributeError (" in line


def test_record_without_room_for_its_head_is_dropped() -> None:
    """An entry that would have no head is dropped and counted."""
    exporter = _Exporter()
    processor = _processor(exporter)
    record = record_of()
    assert record.exchange is not None
    record.exchange.is_over_budget = True
    processor.on_record(record)
    processor.on_record(HarRecord(None, SPAN, PAGE, is_over_budget=True))
    processor.shutdown()
    assert (2, []) == (processor.dropped_entries, exporter.paths)


def test_flush_and_shutdown_without_a_worker_are_bounded() -> None:
    """An exporter that hangs in its own flush holds nobody longer than asked for, though nothing was ever recorded."""
    gate = threading.Event()

    class Hanging(_Exporter):
        """Hangs."""

        def force_flush(self, timeout_millis: int = 0) -> bool:
            """Wait for the end of the test."""
            del timeout_millis
            return gate.wait(PATIENCE_S)

    processor = _processor(Hanging())
    before = time.monotonic()
    assert processor.force_flush(20) is False
    processor.shutdown(timeout_millis=20)
    assert time.monotonic() - before < PATIENCE_S / 2
    gate.set()


def test_nothing_keeps_a_processor_alive() -> None:
    """Neither hooks at forks, nor metrics, nor the bytes that are still held keep a processor after its end."""
    limits = CaptureLimits()
    exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=limits)
    exporter = _Exporter()
    processor = _processor(exporter)
    HarSpanProcessor(processor, limits=limits)
    processor.on_record(record_of())
    processor.shutdown()
    gone = threading.Event()
    worker = processor._worker
    assert worker is not None
    worker.join(PATIENCE_S)
    weakref.finalize(processor, gone.set)
    del processor
    gc.collect()
    assert gone.is_set()
    exchange.response_body.note(b"x")
    assert 1 == exchange.response_body.kept_bytes


class _Strict(logging.Handler):
    """A handler of the program's own, which raises."""

    def emit(self, record: logging.LogRecord) -> None:
        """Refuse every record."""
        raise LookupError(record.getMessage())


def test_logging_that_raises_ends_nothing() -> None:
    """The worker, and the program's end, go on when a handler raises at what they have to say."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter)
    logger, handler = logging.getLogger("otel_har"), _Strict()
    logger.addHandler(handler)
    try:
        processor.on_record(record_of("0"))
        assert processor.force_flush(PATIENCE_MS) is False
        exporter.fault = None
        assert processor.force_flush(PATIENCE_MS) is True
        processor.on_record(HarRecord(None, SPAN, PAGE, is_over_budget=True))
        processor.shutdown()
    finally:
        logger.removeHandler(handler)
    assert (["0"], 1) == (exporter.paths, exporter.shutdowns)


def test_a_queue_that_is_smaller_than_a_batch() -> None:
    """A full queue is exported at once, though a batch might have more."""
    exporter = _Exporter()
    settings = BatchSettings(max_queue_size=3, max_export_batch_size=4, schedule_delay_millis=NEVER_MS)
    processor = BatchHarProcessor(exporter, settings)
    for path in ("0", "1", "2"):
        processor.on_record(record_of(path))
    assert exporter.delivered.acquire(timeout=PATIENCE_S)
    assert [["0", "1", "2"]] == exporter.batches
    processor.shutdown()


def test_an_exporter_that_would_end_the_worker() -> None:
    """A batch at which the exporter would end its thread is counted as failed; the worker delivers what comes then."""

    class Ending(_Exporter):
        """Would end the thread of its first export."""

        def export(self, batch: HarBatch) -> HarExportResult:
            """Would end the thread, once."""
            if not self.attempts:
                self.attempts.append([])
                raise SystemExit
            return super().export(batch)

    exporter = Ending()
    processor = _processor(exporter)
    processor.on_record(record_of("0"))
    assert processor.force_flush(PATIENCE_MS) is False
    processor.on_record(record_of("1"))
    assert processor.force_flush(PATIENCE_MS) is True
    assert (["1"], 1, 0) == (exporter.paths, processor.failed_entries, processor.measured().inflight)
    processor.shutdown()


def _compressed_record(path: str, decoded_bytes: int) -> HarRecord:
    record = record_of(path)
    assert record.exchange is not None
    record.exchange.response_headers = [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")]
    record.exchange.response_body.encoded = record.exchange.response_body.ended = True
    record.exchange.response_body.note(gzip.compress(b"a" * decoded_bytes))
    return record


def test_a_batch_is_bounded_by_what_is_built() -> None:
    """Small compressed bodies that hold large ones are decoded a batch's worth at a time, in their order, once."""
    exporter = _Exporter()
    processor = _processor(exporter)
    paths = [str(number) for number in range(6)]
    for path in paths:
        processor.on_record(_compressed_record(path, 5 * 1024 * 1024))
    assert processor.force_flush(PATIENCE_MS) is True
    assert [paths[:2], paths[2:4], paths[4:]] == exporter.batches
    processor.shutdown()


def test_a_batch_that_was_cut_is_tried_again() -> None:
    """Items beyond a batch that the destination did not take wait behind it, with their page."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter)
    for path in "012":
        processor.on_record(_compressed_record(path, 8 * 1024 * 1024))
        processor.on_page(PAGE)
    assert processor.force_flush(PATIENCE_MS) is False
    assert ([["0"]], 4, {PAGE.id}) == (exporter.attempts, processor.measured().queue_size, processor._pages_waiting)
    exporter.fault = None
    processor.shutdown()
    assert [["0"], ["1"], ["2"]] == exporter.batches


@contextlib.contextmanager
def _no_room_for_threads() -> Iterator[None]:
    """The machine refuses to start threads: their stacks are larger than the process may become."""
    present_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    stack_bytes = threading.stack_size(1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (present_bytes + (1 << 29), limits[1]))
    try:
        with pytest.raises(RuntimeError):
            threading.Thread(target=int).start()
        yield
    finally:
        threading.stack_size(stack_bytes)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_thread_that_does_not_start() -> None:
    """Where no thread could be started a flush delivers all the same; a second later a record starts it."""
    exporter = _Exporter()
    processor = _processor(exporter, max_export_batch_size=1)
    with _no_room_for_threads():
        processor.on_record(record_of("0"))
        assert processor.force_flush(PATIENCE_MS) is True
        assert exporter.delivered.acquire(blocking=False)
        processor.on_record(record_of("1"))
    deadline = time.monotonic() + PATIENCE_S
    while processor._worker is None:
        assert time.monotonic() < deadline
        processor.on_record(record_of("2"))
        exporter.delivered.acquire(timeout=0.05)
    for _ in "12":
        assert exporter.delivered.acquire(timeout=PATIENCE_S)
    processor.shutdown()
    assert (["0", "1", "2"], 0) == (exporter.paths[:3], processor.failed_entries)


def test_lost_attempts_are_counted_with_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Attempts that a record knew to be lost, and bodies, count when it is dropped or given up, too."""
    exporter = _Exporter()
    exporter.fault = _full_disk()
    processor = _processor(exporter, max_queue_size=1, export_timeout_millis=50)
    for path in "01":
        record = record_of(path, body=b"xyz", limits=CaptureLimits(budget=ByteBudget(1)))
        assert record.exchange is not None
        record.exchange.lost_attempts = 3
        processor.on_record(record)
    assert 4 == processor.dropped_entries
    processor.shutdown()
    assert (7, 1) == (processor.dropped_entries, processor.failed_entries)
    assert "7 entries were dropped" in _said(caplog)[-1]
    assert "1 bodies were left out" in _said(caplog)[-1]
