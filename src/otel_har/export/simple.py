"""`SimpleHarProcessor`: each record is exported on the thread that completes it.

The rule: a record that completes while its own thread is exporting (a finaliser ran) is exported by that outer call.
"""

from __future__ import annotations

import threading
from collections import deque

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.export.building import QueueItem, build_batch
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarExporter, HarExportResult, HarProcessor
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts


class SimpleHarProcessor(HarProcessor):
    """Exports each record at once: for tests and short scripts, the program waits for the destination.

    Args:
        exporter: Where the entries go.
        options: The form of the entries.

    Attributes:
        failed_entries: Entries whose export failed.
    """

    def __init__(self, exporter: HarExporter, *, options: MappingOptions = DEFAULT_OPTIONS) -> None:
        self._exporter = exporter
        self._options = options
        self._shut_down = False
        self._start_afresh()
        call_in_forked_child(self._start_afresh)

    def _start_afresh(self) -> None:
        """The state of a process without records: at the beginning, and in a child after a fork."""
        self._items: deque[QueueItem] = deque()
        self._lock = threading.RLock()  # of whoever calls the exporter; a finaliser of its own thread comes through
        self._is_exporting = False
        self.failed_entries = 0
        self._failed_until_flush = 0

    def on_record(self, record: HarRecord) -> None:
        """Export the record's entry."""
        self._take(record)

    def on_page(self, page: PageFacts) -> None:
        """Export the page's new state."""
        self._take(page)

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Flush the exporter; nothing waits here.

        Returns:
            False when the exporter could not or was busy for longer than `timeout_millis`, an export failed since the
            last flush, or the processor was shut down.
        """
        if self._shut_down or not self._lock.acquire(timeout=timeout_millis / 1000):
            return False
        try:
            failed, self._failed_until_flush = self.failed_entries - self._failed_until_flush, self.failed_entries
            with suppress_instrumentation():
                return self._exporter.force_flush(timeout_millis) and not failed
        finally:
            self._lock.release()

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Shut the exporter down, unless it is busy for longer than `timeout_millis`. Idempotent."""
        if self._shut_down:
            return
        self._shut_down = True
        if not self._lock.acquire(timeout=timeout_millis / 1000):
            return
        try:
            with suppress_instrumentation():
                self._exporter.shutdown(timeout_millis)
        finally:
            self._lock.release()

    def _take(self, item: QueueItem) -> None:
        if self._shut_down:
            return
        self._items.append(item)
        with self._lock:
            if self._is_exporting:  # this thread is, further up
                return
            self._is_exporting = True
            try:
                while self._items and not self._shut_down:
                    self._export_next()
            finally:
                self._is_exporting = False

    def _export_next(self) -> None:
        item = self._items.popleft()
        if self._export(item) is not HarExportResult.SUCCESS and isinstance(item, HarRecord):
            self.failed_entries += 1

    @guarded("exporting")
    def _export(self, item: QueueItem) -> HarExportResult:
        batch = build_batch([item], self._options)
        if isinstance(item, HarRecord) and not batch.entries:
            return HarExportResult.FAILURE
        with suppress_instrumentation():
            return self._exporter.export(batch)
