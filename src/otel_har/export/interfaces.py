"""The ports of the export pipeline, in OpenTelemetry's shapes, and what they oblige an implementation to.

`HarSpanProcessor` calls a `HarProcessor`, on the program's threads. A `HarProcessor` builds the entries and calls a
`HarExporter`, one call at a time.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from otel_har.export.written import WrittenEntries, WrittenEntry, written_of
from otel_har.har.models import Entry, Page
from otel_har.limits import Interest
from otel_har.record import HarRecord, PageFacts
from otel_har.waiting import WaitingRoom

QueueItem = HarRecord | PageFacts
"""What waits for the worker."""
DEFAULT_TIMEOUT_MILLIS = 30_000


class HarExportResult(enum.Enum):
    """What became of a batch."""

    SUCCESS = 0
    FAILURE = 1


@dataclass(frozen=True, slots=True)
class HarStatistics:
    """What a recording lost, in counts that add up: over batches, and over processes that write one file.

    Attributes:
        dropped_entries: Exchanges without an entry, because too many entries waited, or held too many bytes.
        dropped_bodies: Entries without a body that was there, or with a part of it, because too many bytes were held,
            or too many exchanges were under way.
        failed_entries: Exchanges whose entry could not be built or not be delivered.
        failed_exports: Attempts to deliver that the destination did not take, be they made good later or not.
    """

    dropped_entries: int = 0
    dropped_bodies: int = 0
    failed_entries: int = 0
    failed_exports: int = 0

    def __add__(self, other: HarStatistics) -> HarStatistics:
        """The sum of two accounts."""
        return HarStatistics(
            self.dropped_entries + other.dropped_entries,
            self.dropped_bodies + other.dropped_bodies,
            self.failed_entries + other.failed_entries,
            self.failed_exports + other.failed_exports,
        )

    def __sub__(self, other: HarStatistics) -> HarStatistics:
        """What this account has beyond another one."""
        return HarStatistics(
            self.dropped_entries - other.dropped_entries,
            self.dropped_bodies - other.dropped_bodies,
            self.failed_entries - other.failed_entries,
            self.failed_exports - other.failed_exports,
        )

    def __bool__(self) -> bool:
        """Whether anything was lost or went wrong."""
        return self != HarStatistics()


@dataclass(frozen=True, slots=True)
class HarBatch:
    """What one export call delivers.

    Attributes:
        pages: The pages of the entries, and pages that changed since they were last delivered. A page replaces the
            one of the same id that was delivered before. One that has no entry, because its entries were dropped, is
            not part of the recording.
        entries: In order of their start. The page of each was delivered with it or before. Those of a processor are
            models only when they are looked at; who wants no more than their text asks for `written`.
        statistics: What was lost since the last batch that was delivered. A batch may have nothing else.
        redaction: The policy by which all of it was redacted, `default` or `strict`; None where it was not.
    """

    pages: Sequence[Page]
    entries: Sequence[Entry]
    statistics: HarStatistics = field(default_factory=HarStatistics)
    redaction: str | None = None

    def written(self, indent: int | None = None) -> Iterator[WrittenEntry]:
        """The entries as they are written: `pageref` and `text`, UTF-8 JSON.

        Args:
            indent: Spaces for each level; None for one line.
        """
        if isinstance(self.entries, WrittenEntries):
            return self.entries.written(indent)
        return (written_of(entry, indent) for entry in self.entries)


class HarExporter(ABC):
    """Brings entries to a destination.

    A processor never calls two methods at one time, calls them from any thread, with instrumentation suppressed, and
    calls nothing but `shutdown` after `shutdown`. In a forked child the exporter is used again, by the child alone:
    what it shares with its parent it must not disturb.
    """

    @abstractmethod
    def export(self, batch: HarBatch) -> HarExportResult:
        """Deliver a batch.

        An entry is delivered once; what failed is not handed in again, but for one fault, see below. The statistics
        count as told when the batch is delivered, those of a failed batch come again with the next one. May raise: that
        counts as a failure. Must return in bounded time: meanwhile entries wait, up to the limits of the processor.

        Raises:
            DestinationError: When nothing of the batch was delivered and the destination may take it later. A processor
                with a queue hands the same entries in again, built anew, alone or with others; its `errno` tells faults
                apart in the log.
        """

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:  # noqa: ARG002 - nothing is held back here
        """Deliver what `export` accepted and still holds, within the time.

        Returns:
            False when not everything was delivered.
        """
        return True

    @property
    def takes_locks_of_program(self) -> bool:
        """Whether `export` takes locks that a program may hold as it makes a request, such as logging handlers' own.

        A thread that holds one must not wait for another that is in `export`: its record is left to that one.
        """
        return False

    @property
    def needs_upkeep(self) -> bool:
        """Whether `upkeep` may ever have something to do: so it is where a class has one of its own."""
        return type(self).upkeep is not HarExporter.upkeep

    def upkeep(self) -> None:  # noqa: B027 - most destinations need none
        """Do what time brings, such as dropping what is too old; cheap, since it is called often.

        A processor with a worker calls it whenever the worker wakes and nothing waits. May raise.
        """

    @abstractmethod
    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Deliver what is held, then close what this exporter opened, within the time. Idempotent."""


class HarProcessor(ABC):
    """Takes complete records, builds entries and has them exported.

    `on_record` and `on_page` are called on the program's threads and from finalisers: they must be cheap, must not
    block unless the user chose so, must be reentrant and must not raise. After `shutdown` they do nothing.

    Attributes:
        waiting: Where the program's threads wait for room, if it chose to; None for a processor that makes none.
        export_timeout_millis: How long exporting what there is may take at an end, milliseconds.
    """

    waiting: WaitingRoom | None = None
    export_timeout_millis: float = DEFAULT_TIMEOUT_MILLIS

    @property
    def takes_everything(self) -> bool:
        """Whether every exchange is of use, always: then `interest` is not asked."""
        return type(self).interest is HarProcessor.interest

    def interest(self, method: str, url: str) -> Interest:  # noqa: ARG002 - for those that choose
        """How much of an exchange will be of use, asked for before it is sent: what is not, is not even noted.

        Args:
            method: The request method.
            url: The absolute URL as the client built it.
        """
        return Interest.ALL

    def on_unwanted(self, count: int) -> None:  # noqa: B027 - nothing to do for those that do not choose
        """So many exchanges ended that were of no use; they do not come as records."""

    @abstractmethod
    def on_record(self, record: HarRecord) -> None:
        """Take a complete record."""

    @abstractmethod
    def on_page(self, page: PageFacts) -> None:
        """A page that was handed on with a record has changed."""

    @abstractmethod
    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Export everything that was taken before this call.

        Returns:
            False when that did not end within the time, or an export failed.
        """

    @abstractmethod
    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Stop taking in, export what was taken, shut the exporter down. Returns within the time. Idempotent."""
