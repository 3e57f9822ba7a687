"""`SimpleHarProcessor`: each record is exported on the thread that completes it.

The rule: a record that completes while its own thread is exporting (a finaliser ran) is exported by that outer call.
Nothing waits here but what the destination did not take for now. There is no thread that would try it again: the next
record does, before its own turn, and so does a flush; shutdown does until its time is over.

A thread does not wait without end for another one that exports: that one may wait for what this one holds, such as
the lock of a logging handler that sends HTTP requests itself. What it brought is exported by the other one then, which
looks for that before it goes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection

from opentelemetry.metrics import MeterProvider

from otel_har.export.accounted import AccountedProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.building import losses_of, records_of
from otel_har.export.delivery import INTERRUPTED, OTHER, Delivery, Outcome
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarExporter, QueueItem
from otel_har.export.metrics import Measured, observe
from otel_har.filters import EVERYTHING, HarFilter
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.policy import DEFAULT_POLICY, RedactionPolicy
from otel_har.redaction.redactor import Redactor

_MAX_WAITING = 2_048
DEFAULT_TURN_MILLIS = 5_000
_MAX_BATCH = BatchSettings().max_export_batch_size
_FIRST_LAST_RETRY_DELAY_S = 0.05
_MAX_LAST_RETRY_DELAY_S = 1.0


class SimpleHarProcessor(AccountedProcessor):
    """Exports each record at once: for tests and short scripts.

    The program waits for the destination, as long as that takes; only `force_flush` and `shutdown` have a time. What an
    exporter does not take for now (`DestinationError`) waits, and is tried again in its order with the next record, at
    `force_flush`, and at `shutdown` until its time is over. At most 2,048 records do; beyond that they are dropped, and
    counted. What an export did not deliver otherwise, or is not taken by then, has failed.

    One thread exports at a time. Another one waits for its turn, and leaves its record to the first one where that
    takes long.

    Args:
        exporter: Where the entries go.
        options: The form of the entries.
        redaction: What is taken out of them before the exporter sees them.
        filter: Which exchanges become entries, and what of their bodies is recorded.
        meter_provider: Where the counts are told as metrics; the global one by default.
        export_timeout_millis: How long `shutdown` takes at most, milliseconds.
        max_turn_millis: How long a thread waits for its turn at most, milliseconds; not at all where the exporter
            `takes_locks_of_program`.
    """

    def __init__(  # noqa: PLR0913 - what a program may choose
        self,
        exporter: HarExporter,
        *,
        options: MappingOptions = DEFAULT_OPTIONS,
        redaction: RedactionPolicy = DEFAULT_POLICY,
        filter: HarFilter = EVERYTHING,  # noqa: A002 - what the program calls it
        meter_provider: MeterProvider | None = None,
        export_timeout_millis: float = DEFAULT_TIMEOUT_MILLIS,
        max_turn_millis: float = DEFAULT_TURN_MILLIS,
    ) -> None:
        self._exporter = exporter
        self._max_turn_s = 0 if exporter.takes_locks_of_program else max_turn_millis / 1000
        self.export_timeout_millis = export_timeout_millis
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
        self._takes_nothing = False  # for now: what waits is left for the next record
        self._has_given_up = False  # what waits after the end is tried no more
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
        """Export what waits, and flush the exporter.

        Returns:
            False when the exporter could not or was busy for longer than `timeout_millis`, an export failed since the
            last flush, something still waits, or the processor was shut down.
        """
        if self._shut_down or not self._lock.acquire(timeout=timeout_millis / 1000):
            return False
        try:
            self._export_waiting()
            failed, self._failed_until_flush = self.failed_entries - self._failed_until_flush, self.failed_entries
            return self._delivery.flush_exporter(timeout_millis) and not failed and not self._items
        finally:
            self._lock.release()
            self._take_what_came()

    def shutdown(self, timeout_millis: float | None = None) -> None:
        """Export what waits, shut the exporter down; not if it is busy for longer than that. Idempotent.

        Args:
            timeout_millis: Milliseconds; `export_timeout_millis` by default. A destination that takes nothing for now
                is tried again until shortly before.
        """
        if self._shut_down:
            return
        self._shut_down = True
        timeout_millis = self.export_timeout_millis if timeout_millis is None else timeout_millis
        end = time.monotonic() + timeout_millis / 1000
        self._export_rest(end)
        self._has_given_up = True
        if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            return
        try:
            self._give_up_after_end()
            self._tell_rest()
            self._delivery.shut_exporter_down(int(max(0.0, end - time.monotonic()) * 1000))
        finally:
            self._lock.release()
            self._take_what_came()
            self._delivery.say_what_was_lost()

    def _export_rest(self, end: float) -> None:
        """Try what waits until shortly before an instant; threads that wait for their turn come in between."""
        delay_s = _FIRST_LAST_RETRY_DELAY_S
        give_up = end - min(1.0, (end - time.monotonic()) / 4)  # the rest is for what has to be done after that
        while self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            try:
                self._export_waiting()
                if not self._items or self._is_exporting:  # what this thread does further up is not waited for
                    return
            finally:
                self._lock.release()
            if time.monotonic() + delay_s > give_up:
                return
            threading.Event().wait(delay_s)
            delay_s = min(2 * delay_s, _MAX_LAST_RETRY_DELAY_S)

    def _take(self, item: QueueItem) -> None:
        if self._shut_down:
            return
        if len(self._items) < _MAX_WAITING:
            self._items.append(item)
        elif isinstance(item, HarRecord):
            self._delivery.account.drop(item.exchange.lost_attempts if item.exchange is not None else 0)
        if self._take_turn():
            self._take_what_came()

    def _take_turn(self) -> bool:
        """Export what waits; False when others did for too long: they export it."""
        if not self._lock.acquire(timeout=self._max_turn_s):
            return False
        try:
            self._export_waiting()
            self._give_up_after_end()  # the exporter may have shut this down
        finally:
            self._lock.release()
        return True

    def _take_what_came(self) -> None:
        """After a turn: export what others brought meanwhile that did not get theirs."""
        while self._items and not self._is_exporting and not self._takes_nothing and self._take_turn():
            pass

    def _export_waiting(self) -> None:
        """Export what is there, until the destination takes nothing for now."""
        if self._is_exporting:  # this thread is, further up
            return
        self._is_exporting = True
        self._takes_nothing = False
        try:
            while self._items and not self._has_given_up and not self._takes_nothing:
                self._takes_nothing = self._export_some() is Outcome.INTERRUPTED
        finally:
            self._is_exporting = False

    def _export_some(self) -> Outcome:
        """Export one batch of what is there; what did not become part of it, or was not taken, goes back."""
        size = 1 if self._delivery.failed_attempts else _MAX_BATCH  # building the others would cost the program as much
        items = [self._items.popleft() for _ in range(min(len(self._items), size))]
        outcome, left = None, deque(items)
        try:
            outcome = self._delivery.deliver(left, waiting=records_of(items) + records_of(self._items))
        finally:
            rest = items if outcome is Outcome.INTERRUPTED else list(left)
            if outcome is None:  # what passes every guard is the program's: a signal handler's, Ctrl-C
                self._fail(items[: len(items) - len(rest)], OTHER)
            self._items.extendleft(reversed(rest))
        return outcome

    def _give_up_after_end(self) -> None:
        if self._has_given_up and not self._is_exporting:
            self._fail(self._items, INTERRUPTED)
            self._items.clear()
            self._takes_nothing = False

    def _fail(self, items: Collection[QueueItem], fault: str) -> None:
        self._delivery.account.fail(records_of(items), fault)
        self._delivery.account.add(losses_of(items))

    @guarded("exporting counts")
    def _tell_rest(self) -> None:
        if self._delivery.account.untold and not self._is_exporting:
            self._delivery.deliver(deque())
