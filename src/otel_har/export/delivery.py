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
from collections.abc import Iterable
from dataclasses import replace

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.errors import DestinationError
from otel_har.export.account import Account
from otel_har.export.building import QueueItem, build
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.filters import HarFilter
from otel_har.guard import faults_so_far, guarded, take_fault_counts
from otel_har.mapping.options import MappingOptions
from otel_har.redaction.redactor import Redactor

_QUIET_S = 60.0  # between two reports of one kind of fault
_MAX_RETRY_DELAY_S = 4.0  # recording goes on within that after a fault has ended

# Values of `error.type`; `_OTHER` is the conventions' own for what has no name.
BUILD_FAILED = "build_failed"
INTERRUPTED = "interrupted"
OTHER = "_OTHER"

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
        filter: As given.
        account: What became of the items.
        failed_attempts: How often in a row the destination took nothing.
    """

    def __init__(
        self, exporter: HarExporter, options: MappingOptions, redactor: Redactor, har_filter: HarFilter
    ) -> None:
        self._exporter = exporter
        self._options = options
        self._redactor = redactor
        self.filter = har_filter
        self.account = Account()
        self._faults_before = faults_so_far()
        self.failed_attempts = 0
        self._reported_at: dict[int | None, float] = {}
        self._is_reported = False

    def deliver(self, items: Iterable[QueueItem], *, waiting: int = 0) -> Outcome:
        """Build a batch and hand it in.

        Args:
            items: What it is built from; none where there is nothing to deliver but counts. An iterator is left where
                the batch was large enough.
            waiting: How many entries wait, these among them, for the log.
        """
        with suppress_instrumentation():  # what the program's redactor requests is no traffic of the program
            built = build(items, self._options, self._redactor, self.filter)
        batch, found = built.batch, built.batch.statistics
        told = self.account.untold + found
        if built.filtered_entries and not (batch.pages or batch.entries or told):
            self.account.leave_out(built.filtered_entries)
            return Outcome.DELIVERED  # of nothing
        result = self._exported(replace(batch, statistics=told))
        if isinstance(result, DestinationError):
            self.account.add(HarStatistics(failed_exports=1))
            self._interrupted(result, waiting)
            return Outcome.INTERRUPTED
        self.account.add(found)
        self.account.leave_out(built.filtered_entries)
        if found.failed_entries:
            self.account.failures[BUILD_FAILED] += found.failed_entries
        if result is HarExportResult.SUCCESS:
            self.account.exported_entries += len(batch.entries)
            self.account.tell(told)
            self._goes_on(waiting)
            return Outcome.DELIVERED
        self.account.add(HarStatistics(failed_exports=1))
        self.account.fail(len(batch.entries), OTHER)
        return Outcome.FAILED

    def rest(self) -> int:
        """Nothing waits: let the exporter do what time brings. How much was delivered: nothing."""
        self._keep_up()
        return 0

    @guarded("exporting", BaseException)
    def _keep_up(self) -> None:
        with suppress_instrumentation(), contextlib.suppress(DestinationError):
            self._exporter.upkeep()

    @guarded("exporting", BaseException)
    def _exported(self, batch: HarBatch) -> HarExportResult | DestinationError:
        """What the exporter returned, or said of its destination."""
        try:
            with suppress_instrumentation():
                return self._exporter.export(batch)
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


@guarded("logging", BaseException)
def _say(level: int, text: str) -> None:
    """Log a line; what a handler of the program's own raises ends nothing."""
    _logger.log(level, "otel-har: %s", text)
