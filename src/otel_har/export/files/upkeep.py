"""What time and growth do to a document: which of its first entries go, and when it is put aside.

The rule: here it is decided, from the document itself, whichever process wrote it; nothing is remembered that another
process would have to know. What goes is read once, when it goes, so the cost of an addition is that of what it adds and
drops, whatever the file holds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from otel_har.export.files.document import HarDocument
from otel_har.export.files.mending import list_start
from otel_har.export.files.oldest import Front, last_entries
from otel_har.export.files.standing import Growth, Series, Standing, Totals, retired
from otel_har.export.keeping import Retention, Rotation

_LEAST_BLANKS = 64 * 1024  # bytes that are worth a new copy of the others


@dataclass(frozen=True)
class Life:
    """How long entries stay in a file, and it in its place.

    Attributes:
        retention: Which entries stay.
        rotation: When the file is put aside.
        clock: The time, seconds since 1970.
    """

    retention: Retention | None = None
    rotation: Rotation | None = None
    clock: Callable[[], float] = time.time

    @property
    def goes_by_time(self) -> bool:
        """Whether time alone may bring something to do."""
        ages = self.retention is not None and self.retention.max_age_seconds is not None
        return ages or (self.rotation is not None and self.rotation.max_seconds is not None)


ENDLESS = Life()
"""Nothing goes."""


class Upkeep:
    """Decides on one file.

    Args:
        path: The file.
        document: Its form.
        life: What holds for it.
        fill: What part of `max_bytes` the file has left after the oldest entries went for being too many bytes.

    Attributes:
        due: When time alone will have something to do, seconds since 1970.
        retains: Whether entries are dropped at all.
    """

    def __init__(self, path: Path, document: HarDocument, life: Life, fill: float) -> None:
        self._path = path
        self._document = document
        self._life = life
        self._fill = fill
        self.retains = bool(life.retention)
        self.due = math.inf
        self._oldest: tuple[tuple[str, int, int], float] | None = None

    @property
    def rotation(self) -> Rotation | None:
        """When the file is put aside."""
        return self._life.rotation

    def series(self, before: Standing | None = None) -> Series | None:
        """What a file that begins now tells of itself.

        Args:
            before: What the one held that was put aside for it.
        """
        if self.rotation is None:
            return None
        return Series(self._path.name, self._life.clock(), before.total if before is not None else Totals())

    def marked(self, standing: Standing) -> Standing:
        """What the document holds, as a file that is rotated under this name."""
        own = self.series()
        if own is None or (standing.series is not None and standing.series.name == own.name):
            return standing
        return replace(standing, series=own)

    def is_full(self, standing: Standing, growth: Growth | None = None) -> bool:
        """Whether the file is to be put aside before an addition."""
        rotation = self.rotation
        if rotation is None or standing.series is None or not standing.entries:
            return False
        if rotation.max_seconds is not None and self._life.clock() - standing.series.begun >= rotation.max_seconds:
            return True
        if rotation.max_bytes is None or growth is None:
            return False
        return growth.standing.entries_end + len(growth.tail) > rotation.max_bytes

    def settled(self, descriptor: int, standing: Standing) -> tuple[Standing, bool]:
        """What stays of a document.

        Args:
            descriptor: A file with its entries.
            standing: What it holds.

        Returns:
            What it holds then, and whether the rest is to be moved together.
        """
        is_sparse = False
        if self._life.retention:
            standing, is_sparse = self._retained(descriptor, self._complete(descriptor, standing), self._life.retention)
        self.note_due(standing)
        return standing, is_sparse

    def _retained(self, descriptor: int, standing: Standing, retention: Retention) -> tuple[Standing, bool]:
        front = Front(descriptor, standing)
        self._drop_excess(front, standing, retention)
        self._drop_old(front, standing, retention)
        after = without(descriptor, standing, front)
        return self._drop_bytes(descriptor, front, standing, after, retention)

    def _complete(self, descriptor: int, standing: Standing) -> Standing:
        """With the places that a document does not tell which this version did not write."""
        if standing.list_start:
            return standing
        start = list_start(descriptor, standing.entries_end)
        return standing if start is None else replace(standing, list_start=start, entries_start=start)

    def _drop_excess(self, front: Front, standing: Standing, retention: Retention) -> None:
        if retention.max_entries is not None:
            while standing.entries - front.count > retention.max_entries and front.drop():
                pass

    def _drop_old(self, front: Front, standing: Standing, retention: Retention, part: float = 1) -> None:
        if retention.max_age_seconds is None:
            return
        limit = self._life.clock() - retention.max_age_seconds * part
        known = self._oldest
        if known is not None and known[0] == key_of(standing, front) and known[1] >= limit:
            return
        first = front.first()
        while first is not None and first.started < limit:
            front.drop()
            first = front.first()
        self._oldest = None if first is None else (key_of(standing, front), first.started)

    def _drop_bytes(
        self, descriptor: int, front: Front, standing: Standing, after: Standing, retention: Retention
    ) -> tuple[Standing, bool]:
        """What stays within the bytes, and whether what stays is to be moved together."""
        tail_bytes = len(self._document.ended(after))
        if retention.max_bytes is not None and after.entries_end + tail_bytes > retention.max_bytes:
            most = retention.max_bytes * self._fill - after.list_start - tail_bytes
            while standing.entries - front.count > 1 and after.entries_end - front.start > most and front.drop():
                pass
            after = without(descriptor, standing, front)
            return after, after.entries_start > after.list_start
        blanks = after.entries_start - after.list_start
        living = after.entries_end + tail_bytes - blanks
        return after, blanks > max(living, _LEAST_BLANKS)

    def note_due(self, standing: Standing) -> None:
        """Find out when time alone will have something to do."""
        due = math.inf
        retention, rotation = self._life.retention, self.rotation
        if retention and retention.max_age_seconds is not None and self._oldest is not None and standing.entries:
            due = self._oldest[1] + retention.max_age_seconds
        if rotation is not None and rotation.max_seconds is not None and standing.series is not None:
            due = min(due, standing.series.begun + rotation.max_seconds) if standing.entries else due
        self.due = due


def without(descriptor: int, standing: Standing, front: Front) -> Standing:
    """What a document holds without what was dropped from its front."""
    if not front.count:
        return standing
    if not standing.pages.keys() <= standing.last_entries.keys():
        standing = replace(standing, last_entries=last_entries(descriptor, standing))
    return retired(standing, front.count, front.start)


def key_of(standing: Standing, front: Front) -> tuple[str, int, int]:
    """What tells a first entry from others."""
    return standing.recording, standing.retired + front.count, front.start
