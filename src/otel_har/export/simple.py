"""`SimpleHarProcessor`: each record is exported on the thread that completes it.

The rule: a record that completes while its own thread is exporting (a finaliser ran) is exported by that outer call.
"""

from __future__ import annotations

import threading
from collections import deque

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.export.building import QueueItem, build_batch
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarProcessor
from otel_har.guard import guarded
from otel_har.record import HarRecord, PageFacts


class SimpleHarProcessor(HarProcessor):
    """Exports each record at once: for tests and short scripts, the program waits for the destination.

    Args:
        exporter: Where the entries go.
    """

    def __init__(self, exporter: HarExporter) -> None:
        self._exporter = exporter
        self._items: deque[QueueItem] = deque()
        self._lock = threading.Lock()
        self._exporting_thread: int | None = None
        self._shut_down = False
        self.failed_entries = 0
        self._failed_since_flush = False

    def on_record(self, record: HarRecord) -> None:
        """Export the record's entry."""
        self._take(record)

    def on_page(self, page: PageFacts) -> None:
        """Export the page's new state."""
        self._take(page)

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Flush the exporter; nothing waits here.

        Returns:
            False when the exporter could not, an export failed since the last flush, or the processor was shut down.
        """
        if self._shut_down:
            return False
        failed, self._failed_since_flush = self._failed_since_flush, False
        with suppress_instrumentation():
            return self._exporter.force_flush(timeout_millis) and not failed

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Shut the exporter down. Idempotent."""
        if not self._shut_down:
            self._shut_down = True
            with suppress_instrumentation():
                self._exporter.shutdown(timeout_millis)

    def _take(self, item: QueueItem) -> None:
        if self._shut_down:
            return
        self._items.append(item)
        if self._exporting_thread == threading.get_ident():
            return
        with self._lock:
            self._exporting_thread = threading.get_ident()
            try:
                self._drain()
            finally:
                self._exporting_thread = None

    def _drain(self) -> None:
        while self._items:
            batch = build_batch([self._items.popleft()])
            if self._export(batch) is not HarExportResult.SUCCESS:
                self.failed_entries += len(batch.entries)
                self._failed_since_flush = True

    @guarded("exporting")
    def _export(self, batch: HarBatch) -> HarExportResult:
        with suppress_instrumentation():
            return self._exporter.export(batch)
