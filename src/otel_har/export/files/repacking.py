"""Entries that are dropped from a packed file: what stays is packed anew.

The rule: a limit is never passed, and what has to be packed anew is never more than a few times what was added. So when
something must go more goes: of what a limit allows three quarters stay, and no entry is packed more than about five
times, whatever the file holds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from otel_har.export.files import access
from otel_har.export.files.mending import Salvage, list_start, whole
from otel_har.export.files.oldest import Front
from otel_har.export.files.standing import Standing, together
from otel_har.export.files.upkeep import Upkeep, without
from otel_har.export.keeping import Retention

_KEPT = 0.75  # of what a limit allows, when something goes
_FIRST_BYTES = 256 * 1024  # of text, in which the first entry mostly ends


class PackedUpkeep(Upkeep):
    """Decides on one packed file. Of its text, places are those of the text."""

    def has_excess(self, descriptor: int, standing: Standing, directory: Path | None) -> bool:
        """Whether entries must go.

        Args:
            descriptor: The file, complete.
            standing: What it holds.
            directory: Where its text may stand meanwhile.
        """
        retention = self._life.retention
        if not retention or not standing.entries:
            return False
        is_old = self._has_old(descriptor, standing, retention, directory)
        return is_old or _has_too_many(standing, retention) or self._is_too_large(standing, retention)

    @contextmanager
    def left(self, descriptor: int, standing: Standing, directory: Path | None) -> Iterator[Salvage | None]:
        """The file without what goes; None where its entries cannot be read.

        Args:
            descriptor: The file, complete.
            standing: What it holds.
            directory: Where its text may stand meanwhile, and what stays of it.

        Raises:
            OSError: When there is no room for that.
        """
        retention = self._life.retention or Retention()
        with (
            self._document.unpacked(descriptor, directory) as text,
            tempfile.TemporaryFile(dir=directory) as packed,
        ):
            before = _in_text(text.descriptor, standing)
            front = Front(text.descriptor, before)
            if _has_too_many(standing, retention):
                most = max(1, int((retention.max_entries or 0) * _KEPT))
                while standing.entries - front.count > most and front.drop():
                    pass
            self._drop_old(front, before, retention, part=_KEPT)
            if self._is_too_large(standing, retention):
                _drop_quarter(front, before)
            after = self._packed(text.descriptor, packed.fileno(), front, before)
            while self._is_still_too_large(standing, after, retention) and _drop_quarter(front, before):
                after = self._packed(text.descriptor, packed.fileno(), front, before)
            first = front.first() if retention.max_age_seconds is not None else None
            self._oldest = None if first is None else (_key(after), first.started)
            self.note_due(after)
            yield whole(packed.fileno(), after) if front.count else None

    def _packed(self, text: int, target: int, front: Front, before: Standing) -> Standing:
        """Write what stays to a file, packed; what the document holds then."""
        after = without(text, before, front)
        head = access.read(text, 0, before.list_start)
        os.ftruncate(target, 0)
        return self._document.begun(target, head, text, (after.entries_start, after.entries_end), together(after))

    def _has_old(self, descriptor: int, standing: Standing, retention: Retention, directory: Path | None) -> bool:
        """Whether the first entry is too old. It is looked for only where this process has not seen it."""
        if retention.max_age_seconds is None:
            return False
        limit = self._life.clock() - retention.max_age_seconds
        if self._oldest is None or self._oldest[0] != _key(standing):
            self._oldest = None
            for most in (_FIRST_BYTES, None):
                with self._document.unpacked(descriptor, directory, most) as text:
                    first = Front(text.descriptor, _in_text(text.descriptor, standing)).first()
                if first is not None:
                    self._oldest = (_key(standing), first.started)
                    break
        return self._oldest is not None and self._oldest[1] < limit

    def _is_too_large(self, standing: Standing, retention: Retention, part: float = 1) -> bool:
        if retention.max_bytes is None or standing.entries <= 1:
            return False
        return standing.entries_end + len(self._document.ended(standing)) > retention.max_bytes * part

    def _is_still_too_large(self, before: Standing, after: Standing, retention: Retention) -> bool:
        part = _KEPT if self._is_too_large(before, retention) else 1
        return self._is_too_large(after, retention, part)


def _key(standing: Standing) -> tuple[str, int, int]:
    """What tells a first entry from others."""
    return standing.recording, standing.retired, standing.list_start


def _has_too_many(standing: Standing, retention: Retention) -> bool:
    return retention.max_entries is not None and standing.entries > retention.max_entries


def _drop_quarter(front: Front, before: Standing) -> bool:
    """Drop entries until three quarters of the text that was left stay, but for the last one; whether any went."""
    count = front.count
    most = (before.entries_end - front.start) * _KEPT
    while before.entries - front.count > 1 and before.entries_end - front.start > most and front.drop():
        pass
    return front.count > count


def _in_text(text: int, standing: Standing) -> Standing:
    """What the document holds, with its places in the text."""
    end = standing.text.length if standing.text is not None else standing.entries_end
    start = standing.list_start or list_start(text, end) or 0
    return replace(standing, list_start=start, entries_start=start, entries_end=end)
