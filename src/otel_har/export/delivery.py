"""One batch to the exporter: built, handed in, and what became of it.

The rule: a destination that takes nothing for now (`DestinationError`) costs no entry, so nothing of such a batch
counts yet. Every other fault costs the batch. Faults are logged when they come and when they have gone, and each kind
once a minute at most.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.errors import DestinationError
from otel_har.export.account import Account
from otel_har.export.building import MAX_BATCH_BYTES, build, losses_of, made_of, records_of, taken_from
from otel_har.export.elsewhere import ITEMS_AT_ONCE, EntryForm, RecordExporter
from otel_har.export.interfaces import HarExporter, HarExportResult, HarStatistics, QueueItem
from otel_har.export.remote import Answer, Made
from otel_har.filters import HarFilter
from otel_har.guard import faults_so_far, guarded, take_fault_counts
from otel_har.mapping.options import MappingOptions
from otel_har.record import HarRecord
from otel_har.redaction.redactor import Redactor

_QUIET_S = 60.0  # between two reports of one kind of fault
_MAX_RETRY_DELAY_S = 4.0  # recording goes on within that after a fault has ended

# Values of `error.type`; `_OTHER` is the conventions' own for what has no name.
BUILD_FAILED = "build_failed"
INTERRUPTED = "interrupted"
OTHER = "_OTHER"

_Result = HarExportResult | DestinationError | None
_logger = logging.getLogger("otel_har")


class Outcome(enum.Enum):
    """What became of a batch."""

    DELIVERED = enum.auto()
    INTERRUPTED = enum.auto()
    """Not taken for now: the same items may be delivered later."""
    FAILED = enum.auto()


class Delivery:
    """Delivers batches to one exporter, one at a time.

    Args:
        exporter: Where they go.
        options: The form of the entries.
        redactor: Takes the secrets out of them.
        har_filter: What is let in.

    Attributes:
        form: How records become entries.
        account: What became of the items.
        failed_attempts: How often in a row the destination took nothing.
    """

    def __init__(
        self, exporter: HarExporter, options: MappingOptions, redactor: Redactor, har_filter: HarFilter
    ) -> None:
        self._exporter = exporter
        self._redactor = redactor
        self.form = EntryForm(options, redactor.policy, har_filter)
        self._elsewhere = exporter if isinstance(exporter, RecordExporter) and self.form.is_of_values else None
        self.account = Account()
        self._faults_before = faults_so_far()
        self.failed_attempts = 0
        self._reported_at: dict[int | None, float] = {}
        self._is_reported = False

    def deliver(self, left: deque[QueueItem], *, waiting: int = 0) -> Outcome:
        """Make a batch and hand it in.

        Args:
            left: What it is made of; none where there is nothing to deliver but counts. What did not become part of the
                batch, because it was large enough, is left in it.
            waiting: How many entries wait, these among them, for the log.
        """
        untold = self.account.untold
        made, result = self._delivered_elsewhere(left, untold) or self._delivered_here(left, untold)
        if isinstance(result, DestinationError):
            self.account.add(HarStatistics(failed_exports=1))
            self._interrupted(result, waiting)
            return Outcome.INTERRUPTED
        self.account.add(made.found)
        self.account.leave_out(made.filtered_entries)
        if made.is_empty:
            return Outcome.DELIVERED  # of nothing
        if made.found.failed_entries:
            self.account.failures[BUILD_FAILED] += made.found.failed_entries
        if result is HarExportResult.SUCCESS:
            self.account.exported_entries += made.entries
            self.account.tell(untold + made.found)
            self._goes_on(waiting)
            return Outcome.DELIVERED
        self.account.add(HarStatistics(failed_exports=1))
        self.account.fail(made.entries, OTHER)
        return Outcome.FAILED

    def _delivered_here(self, left: deque[QueueItem], untold: HarStatistics) -> tuple[Made, _Result]:
        count = len(left)
        with suppress_instrumentation():  # what the program's redactor requests is no traffic of the program
            built = build(taken_from(left), self.form.options, self._redactor, self.form.filter)
        batch = replace(built.batch, statistics=untold + built.batch.statistics)
        made = made_of(built, count - len(left), batch.statistics)
        return made, HarExportResult.SUCCESS if made.is_empty else self._exported(lambda: self._exporter.export(batch))

    def _delivered_elsewhere(self, left: deque[QueueItem], untold: HarStatistics) -> tuple[Made, _Result] | None:
        """The same by the exporter itself; None where it cannot, and nothing was done."""
        exporter, form = self._elsewhere, self.form
        if exporter is None or not left:
            return None
        items = _at_once(left)
        answers: list[Answer | None] = []

        def export() -> HarExportResult:
            answer = exporter.export_records(items, form, untold)
            answers.append(answer)
            return HarExportResult.SUCCESS if answer is None else answer.result()

        result = self._exported(export)
        if answers == [None]:
            left.extendleft(reversed(items))
            return None
        made = answers[0].made if answers and answers[0] is not None else None
        if made is None:  # nobody knows: they are lost, or come again
            made = Made(len(items), records_of(items), 0, losses_of(items), is_empty=False)
        left.extendleft(reversed(items[made.taken :]))
        return made, result

    def most_items(self, limit: int) -> int:
        """The most items of one batch.

        Args:
            limit: The most that the settings allow.
        """
        return min(limit, ITEMS_AT_ONCE) if self._elsewhere is not None else limit

    def rest(self) -> int:
        """Nothing waits: let the exporter do what time brings. How much was delivered: nothing."""
        self._keep_up()
        return 0

    @guarded("exporting", BaseException)
    def _keep_up(self) -> None:
        with suppress_instrumentation(), contextlib.suppress(DestinationError):
            self._exporter.upkeep()

    def flush_exporter(self, timeout_millis: int) -> bool:
        """Let the exporter finish what it has; whether it did within the time, milliseconds."""
        return self._flushed(timeout_millis) is True

    @guarded("flushing the exporter", BaseException)
    def _flushed(self, timeout_millis: int) -> bool:
        with suppress_instrumentation():
            return self._exporter.force_flush(timeout_millis)

    @guarded("shutting down the exporter", BaseException)
    def shut_exporter_down(self, timeout_millis: int) -> None:
        """End the exporter, within so many milliseconds."""
        with suppress_instrumentation():
            self._exporter.shutdown(timeout_millis)

    @guarded("exporting", BaseException)
    def _exported(self, export: Callable[[], HarExportResult]) -> HarExportResult | DestinationError:
        """What the exporter returned, or said of its destination."""
        try:
            with suppress_instrumentation():
                return export()
        except DestinationError as fault:
            return fault

    def _interrupted(self, fault: DestinationError, waiting: int) -> None:
        self.failed_attempts += 1
        now = time.monotonic()
        last = self._reported_at.get(fault.errno)
        if last is None or now - last >= _QUIET_S:
            self._reported_at[fault.errno] = now
            self._is_reported = True
            _say(logging.ERROR, f"exporting is interrupted, {waiting} entries wait to be tried again: {fault}")

    def _goes_on(self, waited: int) -> None:
        attempts, self.failed_attempts = self.failed_attempts, 0
        if self._is_reported:
            self._is_reported = False
            _say(logging.WARNING, f"exporting goes on after {attempts} failed attempts, {waited} entries waited")

    def retry_delay_s(self, delay_s: float) -> float:
        """When to try again: the delay, doubled with every failed attempt up to a limit; a longer one stays."""
        return max(delay_s, min(delay_s * (1 << min(self.failed_attempts - 1, 10)), _MAX_RETRY_DELAY_S))

    def say_what_was_lost(self, *, unexported: int = 0, timeout_millis: float = 0) -> None:
        """One line at the end, if anything was lost.

        Args:
            unexported: Entries that are still not exported.
            timeout_millis: The time that they had, milliseconds.
        """
        lost = self.account.statistics
        parts = [
            (lost.dropped_entries, f"{lost.dropped_entries} entries were dropped (too many, or too large, waited)"),
            (lost.dropped_bodies, f"{lost.dropped_bodies} bodies were left out or cut (too many bytes were held)"),
            (lost.failed_entries, f"{lost.failed_entries} entries failed ({lost.failed_exports} exports did)"),
            (unexported, f"{unexported} entries were not exported within {timeout_millis:g} ms"),
        ]
        said = [text for count, text in parts if count]
        faults = ", ".join(f"{fault} ({count})" for fault, count in take_fault_counts(self._faults_before).items())
        said += [f"faults: {faults}"] if faults else []
        if said:
            _say(logging.WARNING, f"not everything was recorded: {'; '.join(said)}")


def _at_once(left: deque[QueueItem]) -> list[QueueItem]:
    """The first items, as many as are given away at once; the others stay."""
    items: list[QueueItem] = []
    held_bytes = 0
    while left and len(items) < ITEMS_AT_ONCE and held_bytes < MAX_BATCH_BYTES:
        item = left.popleft()
        items.append(item)
        if isinstance(item, HarRecord) and item.exchange is not None:
            held_bytes += item.exchange.held_bytes
    return items


@guarded("logging", BaseException)
def _say(level: int, text: str) -> None:
    """Log a line; what a handler of the program's own raises ends nothing."""
    _logger.log(level, "otel-har: %s", text)
