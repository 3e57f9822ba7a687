"""`CompositeHarExporter`: several destinations at once.

The rule: each has its own account. What one of them does not take for now waits for it alone, within bounds, and
neither holds up the others nor reaches them twice. So a destination that takes nothing is asked with one entry, not
with all that waits, and where it takes long to refuse it is left alone for a multiple of that.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from otel_har.errors import DestinationError, SettingError
from otel_har.export.files.standing import weakest
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.weight import text_length
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.har.models import Entry, Page

_MAX_ENTRIES = 10_000
_MAX_BYTES = 32 * 1024 * 1024  # about: characters of bodies that wait for one destination
_MAX_BATCH = 512
_RETRY_S = 0.05
_PROMPT_S = 0.05  # a refusal that takes no longer holds up nobody
_REST_FACTOR, _MAX_REST_S = 4, 30.0  # of one that does: so the others have four fifths of the time or so
_logger = logging.getLogger("otel_har")


class CompositeHarExporter(HarExporter):
    """Gives every batch to each of several exporters, in their order.

    What an exporter does not take for now (`DestinationError`) is given to it again with the next export, flush or
    shutdown. Beyond the bound, and beyond 32 MiB of bodies, it is dropped: that is logged, and counted in the
    statistics that this exporter is told. When none of them takes anything, nothing is kept here: the processor does.

    Args:
        exporters: At least one. They are shut down with this one.
        max_waiting_entries: The most entries that wait for one exporter.

    Raises:
        SettingError: When there is no exporter.
    """

    def __init__(self, *exporters: HarExporter, max_waiting_entries: int = _MAX_ENTRIES) -> None:
        if not exporters:
            raise SettingError("a composite of no exporters records nothing")
        self._branches = [_Branch(exporter, max_waiting_entries) for exporter in exporters]
        self._shut_down = False
        call_in_forked_child(self._forget)

    def export(self, batch: HarBatch) -> HarExportResult:
        """Give the batch to each.

        Returns:
            FAILURE when it is lost for all of them.

        Raises:
            DestinationError: When none takes anything for now.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        results = [branch.give(batch) for branch in self._branches]
        refusals = [result for result in results if isinstance(result, DestinationError)]
        if len(refusals) == len(results):
            raise refusals[0]
        for branch, result in zip(self._branches, results, strict=True):
            if isinstance(result, DestinationError):
                branch.keep(batch, result)
        is_taken = refusals or HarExportResult.SUCCESS in results
        return HarExportResult.SUCCESS if is_taken else HarExportResult.FAILURE

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Give what waits, then flush each; the time is shared."""
        return all([branch.flush(millis) is True for branch, millis in self._shares(timeout_millis)])  # noqa: C419 - all of them

    @property
    def takes_locks_of_program(self) -> bool:
        """Whether one of them does."""
        return any(branch.takes_locks_of_program for branch in self._branches)

    @property
    def needs_upkeep(self) -> bool:
        """Whether one of them does."""
        return any(branch.needs_upkeep for branch in self._branches)

    def upkeep(self) -> None:
        """The upkeep of each."""
        for branch in self._branches:
            branch.upkeep()

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Give what waits, as often as the time allows, and shut each down; the time is shared. Idempotent."""
        if not self._shut_down:
            self._shut_down = True
            for branch, millis in self._shares(timeout_millis):
                branch.shutdown(millis)

    def _shares(self, timeout_millis: int) -> Iterator[tuple[_Branch, int]]:
        """Each with its part of the time that is left."""
        end = time.monotonic() + timeout_millis / 1000
        for number, branch in enumerate(self._branches):
            left_ms = max(0.0, end - time.monotonic()) * 1000
            yield branch, int(left_ms / (len(self._branches) - number))

    def _forget(self) -> None:
        """In a forked child: what waits is the parent's."""
        for branch in self._branches:
            branch.forget()


class _Branch:
    """One exporter, and what waits for it."""

    def __init__(self, exporter: HarExporter, max_entries: int) -> None:
        self._exporter = exporter
        self._name = type(exporter).__name__
        self._max_entries = max_entries
        self._guarded_export = guarded(f"exporting to {self._name}", BaseException)(self._export)
        self.flush = guarded(f"flushing {self._name}", BaseException)(self._flush)
        self.shutdown = guarded(f"shutting down {self._name}", BaseException)(self._shutdown)
        self.upkeep = guarded(f"upkeep of {self._name}", BaseException)(self._upkeep)
        self.forget()

    def forget(self) -> None:
        """As at the beginning."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._pages: dict[str, Page] = {}
        self._untold = HarStatistics()
        self._redaction: str | None = None  # of what waits, all of it
        self._is_interrupted = False
        self._is_full = False
        self._refusal = DestinationError()
        self._rests_until = 0.0

    def give(self, batch: HarBatch) -> HarExportResult | DestinationError:
        """Deliver what waits, then the batch, with what this exporter alone has to be told."""
        if time.monotonic() < self._rests_until:
            return self._refusal
        refusal = self._deliver_waiting()
        if refusal is not None:
            return refusal
        pages = {**self._pages, **{page.id: page for page in batch.pages}}
        redaction = weakest(batch.redaction, self._redaction) if self._pages else batch.redaction
        told = batch.statistics + self._untold
        result = self._deliver(HarBatch(tuple(pages.values()), batch.entries, told, redaction))
        if result is HarExportResult.FAILURE:
            self._untold += batch.statistics
        return result

    def keep(self, batch: HarBatch, refusal: DestinationError) -> None:
        """Let the batch wait, as far as there is room."""
        if not self._is_interrupted:
            self._is_interrupted = True
            _say(f"{self._name} takes nothing for now, its entries wait: {refusal}")
        is_first = not self._entries and not self._pages
        self._redaction = batch.redaction if is_first else weakest(batch.redaction, self._redaction)
        self._pages.update({page.id: page for page in batch.pages})
        dropped = 0
        for entry in batch.entries:
            if len(self._entries) < self._max_entries and self._bytes < _MAX_BYTES:
                self._entries.append(entry)
                self._bytes += text_length(entry)
            else:
                dropped += 1
        self._untold += batch.statistics + HarStatistics(dropped_entries=dropped, failed_exports=1)
        if dropped and not self._is_full:
            self._is_full = True
            _say(f"{self._name} still takes nothing, and too much waits: further entries are dropped for it")

    def _deliver_waiting(self) -> DestinationError | None:
        while self._entries:
            most = 1 if self._is_interrupted else _MAX_BATCH
            entries = [self._entries[place] for place in range(min(len(self._entries), most))]
            result = self._deliver(self._of_waiting(entries))
            if isinstance(result, DestinationError):
                return result
            for entry in entries:
                self._entries.popleft()
                self._bytes -= text_length(entry)
        return None

    def _of_waiting(self, entries: Sequence[Entry]) -> HarBatch:
        return HarBatch(tuple(self._pages.values()), tuple(entries), self._untold, self._redaction)

    def _deliver(self, batch: HarBatch) -> HarExportResult | DestinationError:
        begun = time.monotonic()
        result = self._guarded_export(batch) or HarExportResult.FAILURE
        if isinstance(result, DestinationError):
            # Its frames have the batch.
            self._refusal, taken_s = result.with_traceback(None), time.monotonic() - begun
            if taken_s > _PROMPT_S:
                self._rests_until = begun + taken_s + min(_REST_FACTOR * taken_s, _MAX_REST_S)
            return result
        if result is HarExportResult.SUCCESS:
            self._untold = HarStatistics()
            if self._is_interrupted:
                _say(f"{self._name} takes entries again")
            self._is_interrupted = self._is_full = False
        else:
            self._untold += HarStatistics(failed_entries=len(batch.entries), failed_exports=1)
        self._pages = {}
        return result

    def _export(self, batch: HarBatch) -> HarExportResult | DestinationError:
        try:
            return self._exporter.export(batch)
        except DestinationError as refusal:
            return refusal

    @property
    def takes_locks_of_program(self) -> bool:
        """Whether the exporter does."""
        return self._exporter.takes_locks_of_program

    @property
    def needs_upkeep(self) -> bool:
        """Whether the exporter does."""
        return self._exporter.needs_upkeep

    def _upkeep(self) -> None:
        with contextlib.suppress(DestinationError):
            self._exporter.upkeep()

    def _flush(self, timeout_millis: int) -> bool:
        end = time.monotonic() + timeout_millis / 1000
        is_given = self._deliver_waiting() is None
        return self._exporter.force_flush(_left(end)) and is_given

    def _shutdown(self, timeout_millis: int) -> None:
        end = time.monotonic() + timeout_millis / 1000
        spare_s = timeout_millis / 4000  # for the exporter's own shutdown
        try:
            while self._deliver_waiting() is not None and time.monotonic() + _RETRY_S + spare_s < end:
                threading.Event().wait(_RETRY_S)
            if self._entries:
                _say(f"{len(self._entries)} entries were not taken by {self._name}")
            elif self._untold or self._pages:
                self._deliver(self._of_waiting(()))
        finally:
            self._exporter.shutdown(_left(end))


def _left(end: float) -> int:
    return int(max(0.0, end - time.monotonic()) * 1000)


@guarded("logging", BaseException)
def _say(text: str) -> None:
    _logger.warning("otel-har: %s", text)
