"""A HAR file that is written in place, by one process: for filesystems where a file cannot be replaced.

That is a file that is a mount of its own, as containers have them, a directory that nothing can be added to, a
filesystem without hard links or locks, and Windows.

The rule: an addition is one write at the place where the entries end, and what is written never gets shorter while
the file is recorded (blanks after the document make up for a shorter tail). Only a process that is killed in the
middle of a write leaves a document that must be repaired.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from otel_har.errors import SettingError
from otel_har.export.files import access
from otel_har.export.files.blanks import blank_again, blanked
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import Claim, Compose, GrowingFile, TakenError, not_now
from otel_har.export.files.mending import salvaged
from otel_har.export.files.moving import AsideInPlace, fits, moved_together
from otel_har.export.files.standing import Growth, Standing, together
from otel_har.export.files.upkeep import ENDLESS, Life, Upkeep

_FILL = 0.375  # what stays must fit where the blanks are, to be moved there


class InPlaceFile(GrowingFile):
    """A document whose file is one process's alone.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        claim: What this process wants of it.
        life: How long entries stay in it, and it in its place.

    Raises:
        TakenError: When another process records to the file.
        ExportError: When the file cannot be written, or cannot be appended to.
        SettingError: When entries are to be dropped from it, and it is packed.
    """

    def __init__(self, path: Path, document: HarDocument, claim: Claim, *, life: Life = ENDLESS) -> None:
        if document.is_packed and life.retention:
            raise SettingError(f"entries cannot be dropped from {path}: it is packed, and can only be written in place")
        self.path = path
        self._document = document
        self._upkeep = Upkeep(path, document, life, _FILL)
        self._aside = None if life.rotation is None else AsideInPlace(path, document, life.rotation.files)
        self._length = 0
        self._claim = claim
        self._held: access.Held | None = None
        try:
            self._held = access.Held(access.opened(path))
            access.must_be_ours_alone(path, os.fstat(self._descriptor))
            self._standing = self._take()
        except OSError as fault:
            self.forget()
            raise fault if isinstance(fault, TakenError) else access.cannot_write(path, fault) from fault
        self._claim = replace(claim, may_replace=False)

    @property
    def _descriptor(self) -> int:
        return self._held.number if self._held is not None else -1

    def add(self, compose: Compose) -> Standing:
        """Write the addition and the document's end, in one call; then what goes is blanked."""
        with self._as_not_now():
            self._must_be_there()
            growth = compose(self._upkeep.marked(self._standing))
            if self._upkeep.is_full(self._upkeep.marked(self._standing), growth):
                self._put_aside()
                growth = compose(self._upkeep.marked(self._standing))
            self._write(growth)
            self._standing = growth.standing
            self._retire()
        return self._standing

    @property
    def due(self) -> float:
        """See `GrowingFile.due`."""
        return self._upkeep.due

    def tend(self) -> None:
        """Do what time brings."""
        with self._as_not_now():
            self._must_be_there()
            if self._upkeep.is_full(self._standing):
                self._put_aside()
            self._retire()

    @contextlib.contextmanager
    def _as_not_now(self) -> Iterator[None]:
        try:
            yield
        except TakenError:
            raise
        except OSError as fault:
            raise not_now(self.path, fault) from fault

    def _retire(self) -> None:
        """Blank the entries that go, each time leaving a whole document, and move the others where the blanks are."""
        before = self._standing
        after, is_sparse = self._upkeep.settled(self._descriptor, before)
        if after.entries_start > before.entries_start:
            self._write(Growth(b"", self._document.ended(after), after))
            self._standing = after
            blanked(self._descriptor, before.entries_start or after.list_start, after.entries_start)
        if is_sparse and fits(after):
            self._length = moved_together(self._descriptor, self._document, after)
            self._standing = together(after)

    def _put_aside(self) -> None:
        """Copy the file to its next name, and begin anew; where that cannot be, it goes on growing."""
        if self._aside is None:
            return
        standing = self._upkeep.marked(self._standing)
        try:
            self._aside.take(self._descriptor, standing, self._document.ended(standing))
        except OSError as fault:
            self._aside.warn(fault)
            return
        self._standing = self._begin_anew(standing)

    def close(self) -> None:
        """Cut the blanks after the document off, and let the file go."""
        if self._held is not None and self._held.is_intact():
            with contextlib.suppress(OSError):
                self._end(self._standing)
        self.forget()

    def forget(self) -> None:
        """Close the file; the lock goes with its last descriptor."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _take(self) -> Standing:
        """Find out whose the file is."""
        claim = self._claim
        has_locks = access.has_locks(self._descriptor)
        if has_locks and not access.locked(self._descriptor):
            raise TakenError(f"another process writes {self.path}")
        size = os.fstat(self._descriptor).st_size
        standing = self._document.read_standing(self._descriptor)
        if standing is not None and claim.continues(standing):
            if not has_locks and not claim.append:  # whether the process that began it is at work cannot be known
                raise TakenError(f"another process writes {self.path}")
            self._length = size
            if self._aside is not None and self._aside.has_content(self._descriptor, standing):
                return self._begin_anew(standing)
            blank_again(self._descriptor, standing)
            return standing
        if size and not claim.may_replace and not claim.append:
            raise TakenError(f"another recording wrote {self.path}")
        if claim.append and size:
            return self._mended()
        return self._begin_anew()

    def _mended(self) -> Standing:
        standing = self._salvaged()
        if standing is None:
            raise OSError(errno.EINVAL, "it is no HAR file to append to in place")
        self._end(standing)
        return standing

    def _salvaged(self) -> Standing | None:
        """What is whole, of a file of ours: what would have to be moved to go on with it is not touched in place."""
        with salvaged(self._descriptor, self._document, self._claim.recording) as found:
            return found.standing if found is not None and found.is_in_place else None

    def _begin_anew(self, before: Standing | None = None) -> Standing:
        growth = self._document.new(self._claim.recording, self._upkeep.series(before))
        os.ftruncate(self._descriptor, 0)
        access.written(self._descriptor, growth.entries + growth.tail, 0)
        self._length = len(growth.entries + growth.tail)
        return growth.standing

    def _must_be_there(self) -> None:
        """Find out what others did to the file, and the program to its descriptor."""
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            self._open(os.O_EXCL)
            self._standing = self._begin_anew()
            return
        if self._held is None or not self._held.is_intact():
            self._open()
            self._take_again()
        own = os.fstat(self._descriptor)
        if not stat.S_ISREG(there.st_mode) or not os.path.samestat(there, own):
            raise TakenError(f"{self.path} was replaced by another file")
        if own.st_size < self._length:
            standing = self._salvaged() if own.st_size else None
            if standing is None and own.st_size and self._document.is_packed:
                raise TakenError(f"{self.path} was changed, which is not mended in place")
            if standing is None:
                self._standing = self._begin_anew()
            else:
                self._end(standing)
                self._standing = standing

    def _open(self, flags: int = 0) -> None:
        """Open the file again, or another one after it is gone."""
        held = access.Held(access.opened(self.path, os.O_RDWR | os.O_CREAT | flags))
        try:
            access.must_be_ours_alone(self.path, os.fstat(held.number))
        except OSError:
            held.close()
            raise
        self.forget()
        self._held = held
        access.locked(held.number)

    def _take_again(self) -> None:
        try:
            self._standing = self._take()
        except OSError:
            self.forget()  # it may be another one's by now, and is not to be cut
            raise

    def _write(self, growth: Growth) -> None:
        start = self._standing.entries_end
        data = self._document.filled(growth, self._length - start)
        try:
            access.written(self._descriptor, data, start)
        except OSError:
            with contextlib.suppress(OSError):
                self._end(self._standing)
            raise
        self._length = start + len(data)

    def _end(self, standing: Standing) -> None:
        """Close the document where its entries end."""
        tail = self._document.ended(standing)
        access.written(self._descriptor, tail, standing.entries_end)
        self._length = standing.entries_end + len(tail)
        os.ftruncate(self._descriptor, self._length)
