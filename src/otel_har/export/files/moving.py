"""A document in place: its entries moved to where dropped ones were, and its content copied to another name.

The rule: between two calls of the system the file is a whole document. One that was killed within has entries twice at
most for as long as nobody goes on with it: what the document says of itself comes last.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from otel_har.export.files import access
from otel_har.export.files.aside import Aside
from otel_har.export.files.blanks import blanked
from otel_har.export.files.document import HarDocument
from otel_har.export.files.oldest import entries_in
from otel_har.export.files.standing import Standing, together

_MOVED_AT_ONCE = 1024 * 1024  # bytes, or one entry
_logger = logging.getLogger("otel_har")


def fits(standing: Standing) -> bool:
    """Whether the entries of a document have room, with a comma, where there are blanks before them."""
    return standing.entries_end - standing.entries_start < standing.entries_start - standing.list_start


def moved_together(descriptor: int, document: HarDocument, standing: Standing) -> int:
    """Move the entries of a document to the beginning of its list, over blanks; the file's length then, in bytes.

    Args:
        descriptor: The file.
        document: Its form.
        standing: What it holds; its entries `fits`.
    """
    to, begin = standing.list_start, standing.entries_start
    for entry in entries_in(descriptor, begin, standing.entries_end):
        if entry.end - begin >= _MOVED_AT_ONCE or entry.end == standing.entries_end:
            group = access.read(descriptor, begin, entry.end)
            # The comma behind the last group stands before those that are not moved yet.
            access.written(descriptor, group if group.endswith(b",") else group + b",", to)
            begin, to = entry.end, to + len(group)
    moved = together(standing)
    tail = document.ended(moved)
    blanked(descriptor, moved.entries_end, os.fstat(descriptor).st_size, tail)
    length = moved.entries_end + len(tail)
    os.ftruncate(descriptor, length)
    return length


class AsideInPlace(Aside):
    """The numbered files beside one that cannot be given another name."""

    _has_warned = False

    @property
    def _draft(self) -> Path:
        return self._path.with_name(f".{self._path.name}.new")

    def has_content(self, descriptor: int, standing: Standing) -> bool:
        """Whether a process was killed after the file was copied, and before it was begun anew."""
        latest = self.latest()
        if latest is None or not standing.entries:
            return False
        try:
            with access.closing(access.opened(latest, os.O_RDONLY)) as there:
                held = self._document.read_standing(there)
                is_alike = held is not None and _identity(held) == _identity(standing)
                return is_alike and _are_equal(descriptor, there, standing.entries_end)
        except FileNotFoundError:
            return False

    def take(self, descriptor: int, standing: Standing, tail: bytes) -> None:
        """Copy a document to the first name.

        Raises:
            OSError: When that cannot be.
        """
        with contextlib.suppress(FileNotFoundError):
            access.must_be_ours(self._draft, os.lstat(self._draft))
            self._draft.unlink()
        try:
            with access.closing(access.opened(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)) as target:
                access.copied(descriptor, target, 0, standing.entries_end)
                access.written(target, tail, standing.entries_end)
                access.given_mode_of(target, os.fstat(descriptor))
            self._draft.rename(self.made_room())
        except OSError:
            with contextlib.suppress(OSError):
                self._draft.unlink()
            raise

    def warn(self, fault: OSError) -> None:
        """Say once that there is no rotation."""
        if not self._has_warned:
            self._has_warned = True
            _logger.warning("otel-har: %s cannot be rotated and goes on growing: %s", self._path, fault)


def _are_equal(one: int, other: int, end: int) -> bool:
    places = range(0, end, _MOVED_AT_ONCE)
    ranges = ((start, min(end, start + _MOVED_AT_ONCE)) for start in places)
    return all(access.read(one, *each) == access.read(other, *each) for each in ranges)


def _identity(standing: Standing) -> object:
    return standing.recording, standing.retired, standing.entries, standing.entries_end
