"""`BatchHarProcessor`: a queue and one worker thread between the program and the exporter.

The rule: the program's thread appends to a queue and returns. Everything else, building entries included, happens in
the worker. The queue is bounded: in entries here, in bytes by the budget that the bodies take from. What does not
fit is dropped, counted, and said once at the end.

`collections.deque` and `queue.SimpleQueue` are used because both may be entered again from a finaliser or a signal
handler in the middle of a call: an abandoned response hands its record on from there.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import deque
from dataclasses import dataclass

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.export.building import QueueItem, build_batch
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarExporter, HarExportResult, HarProcessor
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts

# Beyond so many bytes of bodies a batch is exported as it is: building and writing it takes a multiple of them.
_MAX_BATCH_BYTES = 8 * 1024 * 1024

_logger = logging.getLogger("otel_har")


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """The settings of OpenTelemetry's batch span processor, for HAR records.

    Attributes:
        max_queue_size: The most records that wait; further ones are dropped and counted.
        schedule_delay_millis: The longest time between two exports, milliseconds.
        max_export_batch_size: The most records of one export; as soon as so many wait, the worker starts.
        export_timeout_millis: How long a flush at shutdown may take, milliseconds.
    """

    max_queue_size: int = 10_000
    schedule_delay_millis: float = 1_000
    max_export_batch_size: int = 512
    export_timeout_millis: float = DEFAULT_TIMEOUT_MILLIS


class _Flush:
    """A request to the worker to export everything that waits; answered through `done`."""

    __slots__ = ("done", "last", "succeeded")

    def __init__(self, *, last: bool) -> None:
        self.last = last
        self.done = threading.Event()
        self.succeeded = False


class BatchHarProcessor(HarProcessor):
    """Exports records in batches from a thread of its own.

    The thread starts with the first record, and anew in a forked child: what waited in the parent is exported by the
    parent only.

    Args:
        exporter: Where the entries go.
        settings: Queue, delay and batch sizes.
        options: The form of the entries.

    Attributes:
        dropped_entries: Records that did not fit into the queue.
        failed_entries: Entries whose export failed.
    """

    def __init__(
        self,
        exporter: HarExporter,
        settings: BatchSettings | None = None,
        *,
        options: MappingOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._exporter = exporter
        self._settings = settings if settings is not None else BatchSettings()
        self._options = options
        self._shut_down = False
        self._start_afresh()
        call_in_forked_child(self._start_afresh)

    def _start_afresh(self) -> None:
        """The state of a process without records: at the beginning, and in a child after a fork."""
        self._items: deque[QueueItem] = deque()
        self._wake: queue.SimpleQueue[_Flush | None] = queue.SimpleQueue()
        self._wake_pending = False
        self._worker: threading.Thread | None = None
        self._worker_lock = threading.RLock()
        self._export_lock = threading.Lock()  # of whoever calls the exporter: the worker, or a flush without one
        self._pages_waiting: set[str] = set()
        self._bytes_since_wake = 0
        self._is_behind = False  # the last batch was cut by its bytes: more waits
        self.dropped_entries = 0
        self.failed_entries = 0
        self._failed_until_flush = 0

    def on_record(self, record: HarRecord) -> None:
        """Queue the record, or drop and count it where the queue is full."""
        if self._shut_down:
            return
        if len(self._items) >= self._settings.max_queue_size:
            self.dropped_entries += 1
            return
        if record.exchange is not None:
            self._bytes_since_wake += record.exchange.kept_bytes
        self._queue(record)

    def on_page(self, page: PageFacts) -> None:
        """Queue the page's new state, once however often it changes before it is exported."""
        if self._shut_down or page.id in self._pages_waiting:
            return
        self._pages_waiting.add(page.id)
        self._queue(page)

    def force_flush(self, timeout_millis: float = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Export everything that was taken before this call, and flush the exporter.

        Returns:
            False when that took longer than `timeout_millis`, an export failed since the last flush, or the processor
            was shut down.
        """
        return not self._shut_down and self._flush(timeout_millis, last=False) is True

    def shutdown(self, timeout_millis: float | None = None) -> None:
        """Stop taking in, export what waits, shut the exporter down. Idempotent.

        Args:
            timeout_millis: Milliseconds; the settings' export timeout by default. What is not exported by then stays
                unexported, and the exporter is shut down by the worker when it gets there.
        """
        with self._worker_lock:  # else a worker that another thread starts meanwhile would never end
            if self._shut_down:
                return
            self._shut_down = True
        timeout_millis = self._settings.export_timeout_millis if timeout_millis is None else timeout_millis
        if self._flush(timeout_millis, last=True) is None or self._items:
            _logger.warning(
                "otel-har: not everything was exported within %d ms, %d entries still wait",
                timeout_millis,
                len(self._items),
            )
        if self.dropped_entries or self.failed_entries:
            _logger.warning(
                "otel-har: %d entries were dropped (queue of %d full), the export of %d failed",
                self.dropped_entries,
                self._settings.max_queue_size,
                self.failed_entries,
            )

    def _queue(self, item: QueueItem) -> None:
        self._items.append(item)
        if self._worker is None:
            self._start_worker()
        is_full = len(self._items) >= self._settings.max_export_batch_size
        if (is_full or self._bytes_since_wake >= _MAX_BATCH_BYTES) and not self._wake_pending:
            self._wake_pending = True
            self._bytes_since_wake = 0
            self._wake.put(None)

    @guarded("starting the worker")
    def _start_worker(self) -> None:
        with self._worker_lock:
            if self._worker is None and not self._shut_down:
                self._start_new_worker()

    def _start_new_worker(self) -> None:
        # The queue is made with the thread, for the kind of thread there is now: gevent puts greenlets and queues that
        # yield in their places, and may do so after this processor was made.
        self._wake = queue.SimpleQueue()
        worker = threading.Thread(target=self._work, name="otel-har", daemon=True)
        self._worker = worker  # before it starts: a finaliser may come here meanwhile
        # From Python 3.12 on no thread starts while the interpreter shuts down: the last flush does its work.
        with contextlib.suppress(RuntimeError):
            worker.start()
        if self._shut_down:  # by a signal handler, since the lock is this thread's
            self._wake.put(_Flush(last=True))

    def _flush(self, timeout_millis: float, *, last: bool) -> bool | None:
        """Whether everything was exported; None when that is not known after the time."""
        flush = _Flush(last=last)
        worker = self._worker
        if worker is threading.current_thread():
            return False
        if worker is not None and worker.is_alive():
            self._wake.put(flush)
            return flush.succeeded if flush.done.wait(timeout_millis / 1000) else None
        # Nothing was ever taken, or the interpreter lets no thread start any more: work here.
        if not self._export_lock.acquire(timeout=timeout_millis / 1000):
            return None
        try:
            self._carry_out(flush)
        finally:
            self._export_lock.release()
        return flush.succeeded

    def _work(self) -> None:
        """The worker's life: it ends with the last flush."""
        with suppress_instrumentation():
            while True:
                flush = self._next_flush()
                with self._export_lock:
                    if flush is None:
                        self._export_one()
                        continue
                    self._carry_out(flush)
                flush.done.set()
                if flush.last:
                    return

    def _next_flush(self) -> _Flush | None:
        """Wait until a batch is full, the delay is over, or a flush is asked for."""
        is_full = self._is_behind or len(self._items) >= self._settings.max_export_batch_size
        try:
            flush = self._wake.get(timeout=0 if is_full else self._settings.schedule_delay_millis / 1000)
        except queue.Empty:
            return None
        self._wake_pending = False
        return flush

    def _carry_out(self, flush: _Flush) -> None:
        self._export_all()
        finished = self._finish(flush)
        flush.succeeded = finished is True and self.failed_entries == self._failed_until_flush
        self._failed_until_flush = self.failed_entries

    def _export_all(self) -> None:
        """Export what waits now; what comes in meanwhile is left for the next time."""
        remaining = len(self._items)
        while remaining > 0:
            remaining -= max(1, self._export_one(remaining))

    def _export_one(self, most: int | None = None) -> int:
        """Export one batch; how many items it took from the queue."""
        size = self._settings.max_export_batch_size if most is None else min(most, self._settings.max_export_batch_size)
        items: list[QueueItem] = []
        body_bytes = 0
        while len(items) < size and body_bytes < _MAX_BATCH_BYTES:
            try:
                item = self._items.popleft()
            except IndexError:
                break
            items.append(item)
            if isinstance(item, HarRecord) and item.exchange is not None:
                body_bytes += item.exchange.kept_bytes
        self._is_behind = body_bytes >= _MAX_BATCH_BYTES
        if items:
            self._pages_waiting.difference_update([item.id for item in items if isinstance(item, PageFacts)])
            records = sum(isinstance(item, HarRecord) for item in items)
            self.failed_entries += records - (self._export(items) or 0)
        return len(items)

    @guarded("exporting")
    def _export(self, items: list[QueueItem]) -> int:
        """Build and export a batch; how many entries that delivered."""
        batch = build_batch(items, self._options)
        with suppress_instrumentation():
            result = self._exporter.export(batch)
        return len(batch.entries) if result is HarExportResult.SUCCESS else 0

    @guarded("flushing the exporter")
    def _finish(self, flush: _Flush) -> bool:
        timeout_millis = int(self._settings.export_timeout_millis)
        with suppress_instrumentation():
            flushed = self._exporter.force_flush(timeout_millis)
            if flush.last:
                self._exporter.shutdown(timeout_millis)
        return flushed
