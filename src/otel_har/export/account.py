"""What a processor has to account for: what became of every record that it was given.

The rule: counted where it happens, by whichever thread and also in finalisers; told with the next batch that is
delivered, and not again.
"""

from __future__ import annotations

import threading
from collections import Counter

from otel_har.export.interfaces import HarStatistics


class Account:
    """The counts of one processor.

    Attributes:
        exported_entries: Entries that were delivered.
        filtered_entries: Exchanges that a filter left out: they are not lost.
        failures: Entries that failed, by the name of the fault, as `error.type` of OpenTelemetry's conventions has it.
    """

    __slots__ = (
        "_dropped_bodies",
        "_dropped_entries",
        "_failed_entries",
        "_failed_exports",
        "_lock",
        "_told",
        "exported_entries",
        "failures",
        "filtered_entries",
    )

    def __init__(self) -> None:
        self._lock = threading.RLock()  # reentrant: a finaliser may count while its own thread does
        self._dropped_entries = 0
        self._dropped_bodies = 0
        self._failed_entries = 0
        self._failed_exports = 0
        self._told = HarStatistics()
        self.exported_entries = 0
        self.filtered_entries = 0
        self.failures: Counter[str] = Counter()

    def drop(self, lost_attempts: int = 0) -> None:
        """One record was dropped, and with it what it knew to be lost already."""
        with self._lock:
            self._dropped_entries += 1 + lost_attempts

    def leave_out(self, count: int) -> None:
        """A filter left so many exchanges out."""
        if count:
            with self._lock:
                self.filtered_entries += count

    def add(self, found: HarStatistics) -> None:
        """Count all this."""
        with self._lock:
            self._dropped_entries += found.dropped_entries
            self._dropped_bodies += found.dropped_bodies
            self._failed_entries += found.failed_entries
            self._failed_exports += found.failed_exports

    def fail(self, entries: int, fault: str) -> None:
        """So many entries failed for a reason."""
        if entries:
            self.add(HarStatistics(failed_entries=entries))
            self.failures[fault] += entries

    @property
    def statistics(self) -> HarStatistics:
        """Everything that was lost or went wrong so far."""
        return HarStatistics(self._dropped_entries, self._dropped_bodies, self._failed_entries, self._failed_exports)

    @property
    def untold(self) -> HarStatistics:
        """What no delivered batch has told."""
        return self.statistics - self._told

    def tell(self, told: HarStatistics) -> None:
        """A batch with these statistics was delivered."""
        self._told += told
