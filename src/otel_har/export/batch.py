"""`BatchHarProcessor`: a queue and one worker thread between the program and the exporter.

The rule: the program's thread appends to a queue and returns. Everything else, building entries included, happens in
the worker. The queue is bounded: in entries here, in bytes by the budget that exchanges take from. What does not fit is
dropped and counted, unless the program chose to wait for room; what a destination does not take for now waits in the
queue, in its order.

`collections.deque` and `queue.SimpleQueue` are used because both may be entered again from a finaliser or a signal
handler in the middle of a call: an abandoned response hands its record on from there.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import MeterProvider

from otel_har.export.accounted import AccountedProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.building import MAX_BATCH_BYTES, losses_of, records_of
from otel_har.export.delivery import INTERRUPTED, OTHER, Delivery, Outcome
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarExporter, QueueItem
from otel_har.export.metrics import Measured, observe
from otel_har.export.orders import PARK, Flush, Order, Park
from otel_har.export.pacing import Pace
from otel_har.filters import EVERYTHING, HarFilter
from otel_har.forking import LOOKS_FOR_THREADS_LATE, call_around_fork, call_in_forked_child, thread_has_gone
from otel_har.guard import guarded
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.policy import DEFAULT_POLICY, RedactionPolicy
from otel_har.redaction.redactor import Redactor
from otel_har.waiting import WaitingRoom, is_in_event_loop

_MAX_LAST_RETRY_DELAY_S = 1.0
_FIRST_LAST_RETRY_DELAY_S = 0.05
_MAX_FORK_HOLD_S = 0.1
_START_AGAIN_S = 1.0


class BatchHarProcessor(AccountedProcessor):
    """Exports records in batches from a thread of its own.

    The thread starts with the first record, and anew in a forked child: what waited in the parent is exported by the
    parent only. It ends before a fork and starts again after it, unless it is in the middle of an export.

    Args:
        exporter: Where the entries go.
        settings: Queue, delay and batch sizes.
        options: The form of the entries.
        redaction: What is taken out of them before the exporter sees them.
        filter: Which exchanges become entries, and what of their bodies is recorded.
        meter_provider: Where the counts are told as metrics; the global one by default.
    """

    def __init__(  # noqa: PLR0913 - what a program may choose
        self,
        exporter: HarExporter,
        settings: BatchSettings | None = None,
        *,
        options: MappingOptions = DEFAULT_OPTIONS,
        redaction: RedactionPolicy = DEFAULT_POLICY,
        filter: HarFilter = EVERYTHING,  # noqa: A002 - what the program calls it
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._exporter = exporter
        self._settings = settings if settings is not None else BatchSettings()
        self.export_timeout_millis = self._settings.export_timeout_millis
        self._form = options, Redactor(redaction), filter
        self.waiting: WaitingRoom = WaitingRoom(self._settings.block_timeout_millis, self._may_make_room)
        self._shut_down = False
        self._start_afresh()
        call_in_forked_child(self._start_afresh)
        call_around_fork(self._before_fork, self._after_fork)
        observe("batch_har_processor", self, meter_provider)

    def _start_afresh(self) -> None:
        """The state of a process without records: at the beginning, and in a child after a fork."""
        self._items: deque[QueueItem] = deque()
        self._in_flight = 0  # taken from the queue by an export that is under way
        self._wake: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._wake_pending = False
        self._worker: threading.Thread | None = None
        self._start_again_at = 0.0  # where the last attempt failed
        self._worker_lock = threading.RLock()
        self._export_lock = threading.Lock()  # of whoever calls the exporter: the worker, or a flush without one
        self._is_forking = False
        self._pages_waiting: set[str] = set()
        self._bytes_since_wake = 0
        self._is_behind = False  # the last batch was cut by its bytes: more waits
        self._delivery = Delivery(self._exporter, *self._form)
        self._account = self._delivery.account
        self._batch_size = self._delivery.most_items(self._settings.batch_size)
        self._pace = Pace(self._items, self._settings.max_queue_size, self._batch_size, self.waiting)
        self._retry_at: float | None = None  # when to try a destination again that takes nothing for now
        self._failed_until_flush = 0
        self.waiting.forget()

    def measured(self) -> Measured:
        """What the metrics tell."""
        return Measured(self._account, len(self._items), self._settings.max_queue_size, self._in_flight)

    def on_record(self, record: HarRecord) -> None:
        """Queue the record. Where there is no room wait, if the settings say so, then drop and count it."""
        if self._shut_down:
            return
        has_room = not record.is_unaffordable and (self._has_room() or self.waiting.wait_until(self._has_room))
        if not has_room or self._shut_down:
            self._account.drop(record.lost_attempts)
            return
        if record.exchange is not None:
            self._bytes_since_wake += record.exchange.held_bytes
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
            False when that took longer than `timeout_millis`, an export failed since the last flush, the destination
            takes nothing for now, or the processor was shut down.
        """
        return not self._shut_down and self._flush(timeout_millis, last=False) is True

    def shutdown(self, timeout_millis: float | None = None) -> None:
        """Stop taking in, export what waits, shut the exporter down. Idempotent.

        Args:
            timeout_millis: Milliseconds; the settings' export timeout by default. A destination that takes nothing for
                now is tried again until then. What is not exported by then stays unexported, and the exporter is shut
                down by the worker when it gets there.
        """
        with self._worker_lock:  # else a worker that another thread starts meanwhile would never end
            if self._shut_down:
                return
            self._shut_down = True
        self._pace.hurry(None)  # whoever waits, it is the end
        self.waiting.wake()
        timeout_millis = self._settings.export_timeout_millis if timeout_millis is None else timeout_millis
        is_done = self._flush(timeout_millis, last=True) is not None
        waiting = records_of(self._items) + losses_of(self._items).dropped_entries
        unexported = 0 if is_done else self._in_flight + waiting
        self._delivery.say_what_was_lost(unexported=unexported, timeout_millis=timeout_millis)

    def _has_room(self) -> bool:
        return len(self._items) + self._in_flight < self._settings.max_queue_size

    def _may_make_room(self) -> bool:
        """Whether the worker may make room for whoever waits; it is hurried.

        In an event loop nothing else can: what is under way there stands still meanwhile.
        """
        if self._shut_down:
            return False
        if self._worker is None and time.monotonic() >= self._start_again_at:
            self._start_worker()
        worker = self._worker
        if worker is None or worker is threading.current_thread() or not worker.is_alive():
            return False
        if not self._wake_pending:
            self._wake_pending = True
            self._wake.put(None)
        return bool(self._items) or self._in_flight > 0 or not is_in_event_loop()

    def _queue(self, item: QueueItem) -> None:
        self._items.append(item)
        if self._worker is None and time.monotonic() >= self._start_again_at:
            self._start_worker()
        is_full = len(self._items) >= self._batch_size
        if (is_full or self._bytes_since_wake >= MAX_BATCH_BYTES) and not self._wake_pending:
            self._wake_pending = True
            self._bytes_since_wake = 0
            self._wake.put(None)

    @guarded("starting the worker")
    def _start_worker(self) -> None:
        with self._worker_lock:
            if self._worker is None and not self._shut_down and not self._is_forking:
                self._start_new_worker()

    def _start_new_worker(self) -> None:
        # The queue is made with the thread, for the kind of thread there is now: gevent puts greenlets and queues that
        # yield in their places, and may do so after this processor was made.
        self._wake = queue.SimpleQueue()
        self._wake_pending = False
        worker = threading.Thread(target=self._work, name="otel-har", daemon=True)
        self._worker = worker  # before it starts: a finaliser may come here meanwhile
        try:
            worker.start()
        except RuntimeError:  # too many threads, for now; or, from Python 3.12 on, the interpreter shuts down
            self._worker = None  # a flush does its work meanwhile
            self._start_again_at = time.monotonic() + _START_AGAIN_S
        if self._shut_down:  # by a signal handler, since the lock is this thread's
            self._wake.put(Flush(self._settings.export_timeout_millis, last=True))

    @guarded("stopping the worker before a fork")
    def _before_fork(self) -> None:
        """End the worker: a process with threads should not fork, and Python 3.12 warns of it.

        It ends at once where it is idle. One that is in the middle of an export is left alone, and so is a greenlet.
        """
        with self._worker_lock:
            self._is_forking = True
            worker, wake = self._worker, self._wake
        is_thread = type(wake).__module__ == "_queue"
        if worker is None or worker is threading.current_thread() or not worker.is_alive() or not is_thread:
            return
        deadline = time.monotonic() + _MAX_FORK_HOLD_S
        self._pace.hurry(PARK)
        wake.put(PARK)
        worker.join(_MAX_FORK_HOLD_S)
        while not thread_has_gone(worker) and time.monotonic() < deadline:
            time.sleep(0)

    @guarded("starting the worker after a fork")
    def _after_fork(self) -> None:
        with self._worker_lock:
            self._is_forking = False
        self._pace.let_go(PARK)
        if self._worker is None and self._items:
            self._start_worker()

    def _parked(self) -> bool:
        """Whether the worker may end: the fork has not taken place yet, and nobody asked for anything meanwhile."""
        with self._worker_lock:
            if not self._is_forking or not self._wake.empty():
                return False
            self._worker = None
            return True

    def _flush(self, timeout_millis: float, *, last: bool) -> bool | None:
        """Whether everything was exported; None when that is not known after the time."""
        flush = Flush(timeout_millis, last=last)
        if self._worker is threading.current_thread():
            return False
        with self._pace.hurried_by(flush):
            return self._flushed(flush, timeout_millis / 1000)

    def _flushed(self, flush: Flush, timeout_s: float) -> bool | None:
        if self._worker is None:
            self._start_worker()
        with self._worker_lock:  # a worker that ends before a fork looks for orders under this lock
            is_ordered = self._worker is not None and self._worker.is_alive()
            if is_ordered:
                self._wake.put(flush)
        if is_ordered:
            return flush.succeeded if flush.done.wait(timeout_s) else None
        # The interpreter lets no thread start any more: work here, where nothing bounds what the exporter does.
        if not self._export_lock.acquire(timeout=timeout_s):
            return None
        try:
            self._carry_out(flush)
        finally:
            self._export_lock.release()
        return flush.succeeded

    def _work(self) -> None:
        """The worker's life: it ends with the last flush, or before a fork; otherwise another one takes its place."""
        has_ended = False
        try:
            self._pace.keep()
            with suppress_instrumentation():
                while not has_ended:
                    has_ended = self._obey(self._next_order()) is True
        finally:
            if not has_ended:  # by a `SystemExit` of the exporter's, or a greenlet that is killed
                self._worker = None

    @guarded("working")
    def _obey(self, order: Order) -> bool:
        """Do what is asked for; whether the worker is to end then."""
        if isinstance(order, Park):
            if LOOKS_FOR_THREADS_LATE and self._retry_at is None:
                with self._export_lock:
                    self._export_all()
            return self._parked()
        if order is None:
            with self._export_lock:
                self._export_one()
            return False
        try:
            with self._export_lock:
                self._carry_out(order)
        finally:
            order.done.set()
        return order.last

    def _next_order(self) -> Order:
        """Wait until a batch is full, the delay is over, or a flush is asked for; between retries, for their time."""
        while True:
            try:
                order = self._wake.get(timeout=self._pause_s())
            except queue.Empty:
                return None
            if order is not None:
                return order
            if self._retry_at is None:  # else nobody need wake the worker again before its time
                self._wake_pending = False
                return None

    def _pause_s(self) -> float:
        if self._retry_at is not None:
            return max(0.0, self._retry_at - time.monotonic())
        is_full = self._is_behind or len(self._items) >= self._batch_size
        return 0 if is_full else self._settings.schedule_delay_millis / 1000

    def _carry_out(self, flush: Flush) -> None:
        self._export_all()
        if flush.last:
            self._export_rest(flush)
        is_flushed = self._delivery.flush_exporter(int(flush.left_s * 1000))
        if flush.last:
            self._delivery.shut_exporter_down(int(flush.left_s * 1000))
        failed_entries = self._account.statistics.failed_entries
        flush.succeeded = is_flushed and self._retry_at is None and failed_entries == self._failed_until_flush
        self._failed_until_flush = failed_entries

    def _export_all(self) -> None:
        """Export what waits now; what comes in meanwhile is left for the next time."""
        remaining = len(self._items)
        while remaining > 0:
            remaining -= max(1, self._export_one(remaining))
            if self._retry_at is not None:
                return

    def _export_rest(self, flush: Flush) -> None:
        """Try a destination that takes nothing for now until shortly before the end of the time; then give up."""
        delay_s = _FIRST_LAST_RETRY_DELAY_S
        spare_s = min(1.0, flush.left_s / 4)  # for what has to be done after that
        while self._retry_at is not None and flush.left_s > spare_s + delay_s:
            flush.done.wait(delay_s)
            delay_s = min(2 * delay_s, _MAX_LAST_RETRY_DELAY_S)
            self._export_all()
        if self._retry_at is not None:
            self._account.fail(records_of(self._items), INTERRUPTED)
            self._account.add(losses_of(self._items))
            self._items.clear()
        elif self._account.untold:
            self._delivery.deliver(deque())

    def _export_one(self, most: int | None = None) -> int:
        """Export one batch; how many items left the queue with it."""
        size = self._batch_size if most is None else min(most, self._batch_size)
        items = self._taken(size)
        self._pages_waiting.difference_update([item.id for item in items if isinstance(item, PageFacts)])
        return self._deliver(items) if items else self._delivery.rest()

    def _taken(self, size: int) -> list[QueueItem]:
        """Take at most so many items from the queue, and about as many bytes as a batch may have."""
        items: list[QueueItem] = []
        held_bytes = 0
        while len(items) < size and held_bytes < MAX_BATCH_BYTES:
            try:
                item = self._items.popleft()
            except IndexError:
                break
            items.append(item)
            if isinstance(item, HarRecord):
                self._in_flight += 1
                if item.exchange is not None:
                    held_bytes += item.exchange.held_bytes
                    self._pace.budget = item.exchange.request_body.budget
        self._is_behind, self._pace.in_flight = held_bytes >= MAX_BATCH_BYTES, self._in_flight
        return items

    def _deliver(self, items: list[QueueItem]) -> int:
        """Deliver a batch of the first items and let go of them; the others, or all, go back to the queue's front."""
        outcome, left = None, deque(items)
        try:
            outcome = self._delivery.deliver(left, waiting=records_of(self._items) + self._in_flight)
        finally:
            rest = items[:] if outcome is Outcome.INTERRUPTED else list(left)
            count = len(items) - len(rest)
            if outcome is None:  # something passed that no guard holds
                self._account.fail(records_of(items[:count]), OTHER)
            self._pages_waiting.update([item.id for item in rest if isinstance(item, PageFacts)])
            self._items.extendleft(reversed(rest))
            items.clear()  # its bytes are given back before anybody is told that nothing is under way
            self._in_flight = 0
        if outcome is Outcome.INTERRUPTED:
            self._is_behind = False
            delay_s = self._settings.schedule_delay_millis / 1000
            self._retry_at = time.monotonic() + self._delivery.retry_delay_s(delay_s)
            return count
        self._is_behind = self._is_behind or bool(rest)
        if self._retry_at is not None:
            self._retry_at = None
            self._wake_pending = False
        self.waiting.wake()
        return count
