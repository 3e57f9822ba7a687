"""`SimpleHarProcessor`: each record is exported on the thread that completes it.

The rule: a record that completes while its own thread is exporting (a finaliser ran) is exported by that outer call.
Nothing waits here, so nothing is tried again: what the destination does not take at once has failed.
"""

from __future__ import annotations

import threading
from collections import deque

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import MeterProvider

from otel_har.export.accounted import AccountedProcessor
from otel_har.export.building import QueueItem, losses_of
from otel_har.export.delivery import INTERRUPTED, OTHER, Delivery, Outcome
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarExporter
from otel_har.export.metrics import Measured, observe
from otel_har.filters import EVERYTHING, HarFilter
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.policy import DEFAULT_POLICY, RedactionPolicy
from otel_har.redaction.redactor import Redactor


class SimpleHarProcessor(AccountedProcessor):
    """Exports each record at once: for tests and short scripts.

    The program waits for the destination, as long as that takes; only `force_flush` and `shutdown` have a time. What an
    export did not deliver has failed.

    Args:
        exporter: Where the entries go.
        options: The form of the entries.
        redaction: What is taken out of them before the exporter sees them.
        filter: Which exchanges become entries, and what of their bodies is recorded.
        meter_provider: Where the counts are told as metrics; the global one by default.
    """

    def __init__(
        self,
        exporter: HarExporter,
        *,
        options: MappingOptions = DEFAULT_OPTIONS,
        redaction: RedactionPolicy = DEFAULT_POLICY,
        filter: HarFilter = EVERYTHING,  # noqa: A002 - what the program calls it
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._exporter = exporter
        self._form = options, Redactor(redaction), filter
        observe("simple_har_processor", self, meter_provider)
        self._shut_down = False
        self._start_afresh()
        call_in_forked_child(self._start_afresh)

    def _start_afresh(self) -> None:
        """The state of a process without records: at the beginning, and in a child after a fork."""
        self._items: deque[QueueItem] = deque()
        self._lock = threading.RLock()  # of whoever calls the exporter; a finaliser of its own thread comes through
        self._is_exporting = False
        self._delivery = Delivery(self._exporter, *self._form)
        self._failed_until_flush = 0

    def measured(self) -> Measured:
        """What the metrics tell."""
        return Measured(self._delivery.account)

    def on_record(self, record: HarRecord) -> None:
        """Export the record's entry."""
        if not record.is_unaffordable:
            self._take(record)
        elif not self._shut_down:
            self._delivery.account.drop(record.lost_attempts)

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
            self._tell_rest()
            with suppress_instrumentation():
                self._exporter.shutdown(timeout_millis)
        finally:
            self._lock.release()
            self._delivery.say_what_was_lost()

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
        outcome = None
        try:
            outcome = self._delivery.deliver([item], waiting=1)
        finally:  # what passes every guard is the program's: a signal handler's, Ctrl-C
            if outcome in {None, Outcome.INTERRUPTED} and isinstance(item, HarRecord):
                self._delivery.account.fail(1, OTHER if outcome is None else INTERRUPTED)
                self._delivery.account.add(losses_of([item]))

    @guarded("exporting counts")
    def _tell_rest(self) -> None:
        if self._delivery.account.untold and not self._is_exporting:
            self._delivery.deliver([])
