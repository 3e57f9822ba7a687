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
from pathlib import Path

from otel_har.export import access
from otel_har.export.document import Growth, HarDocument, Standing, read_standing
from otel_har.export.growing import Claim, Compose, GrowingFile, TakenError, not_now
from otel_har.export.mending import mended


class InPlaceFile(GrowingFile):
    """A document whose file is one process's alone.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        claim: What this process wants of it.

    Raises:
        TakenError: When another process records to the file.
        ExportError: When the file cannot be written, or cannot be appended to.
    """

    def __init__(self, path: Path, document: HarDocument, claim: Claim) -> None:
        self.path = path
        self._document = document
        self._recording = claim.recording
        self._length = 0
        try:
            self._descriptor = access.opened(path)
        except OSError as fault:
            raise access.cannot_write(path, fault) from fault
        try:
            self._standing = self._claim(claim)
        except OSError as fault:
            os.close(self._descriptor)
            raise fault if isinstance(fault, TakenError) else access.cannot_write(path, fault) from fault

    def add(self, compose: Compose) -> Standing:
        """Write the addition and the document's end, in one call."""
        try:
            self._must_be_there()
            growth = compose(self._standing)
            self._write(growth)
        except TakenError:
            raise
        except OSError as fault:
            raise not_now(self.path, fault) from fault
        self._standing = growth.standing
        return growth.standing

    def close(self) -> None:
        """Cut the blanks after the document off, and let the file go."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._standing.entries_end + len(self._document.ended(self._standing)))
        self.forget()

    def forget(self) -> None:
        """Close the file; the lock goes with its last descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _claim(self, claim: Claim) -> Standing:
        has_locks = access.has_locks(self._descriptor)
        if has_locks and not access.locked(self._descriptor):
            raise TakenError(f"another process writes {self.path}")
        standing = read_standing(self._descriptor)
        if standing is not None and claim.continues(standing):
            if not has_locks and not claim.append:  # whether the process that began it is at work cannot be known
                raise TakenError(f"another process writes {self.path}")
            self._length = os.fstat(self._descriptor).st_size
            return standing
        if claim.append and os.fstat(self._descriptor).st_size:
            return self._mended()
        return self._begin_anew()

    def _mended(self) -> Standing:
        standing = mended(self._descriptor, self.path, self._recording)
        if standing is None:
            raise OSError(errno.EINVAL, "it is no HAR file to append to")
        self._length = os.fstat(self._descriptor).st_size
        self._end(standing)
        return standing

    def _begin_anew(self) -> Standing:
        growth = self._document.new(self._recording)
        os.ftruncate(self._descriptor, 0)
        access.written(self._descriptor, growth.entries + growth.tail, 0)
        self._length = len(growth.entries + growth.tail)
        return growth.standing

    def _must_be_there(self) -> None:
        """Find out what others did to the file."""
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            self._open_anew()
            return
        own = os.fstat(self._descriptor)
        if not stat.S_ISREG(there.st_mode) or not os.path.samestat(there, own):
            raise TakenError(f"{self.path} was replaced by another file")
        if own.st_size < self._length:
            standing = mended(self._descriptor, self.path, self._recording) if own.st_size else None
            if standing is None:
                self._standing = self._begin_anew()
            else:
                self._end(standing)
                self._standing = standing

    def _open_anew(self) -> None:
        """The file is gone: begin another one."""
        descriptor = access.opened(self.path)
        self.forget()
        self._descriptor = descriptor
        access.locked(descriptor)
        self._standing = self._begin_anew()

    def _write(self, growth: Growth) -> None:
        start = self._standing.entries_end
        end = growth.standing.entries_end + len(growth.tail)
        blanks = b" " * max(0, self._length - end)
        try:
            access.written(self._descriptor, growth.entries + growth.tail + blanks, start)
        except OSError:
            with contextlib.suppress(OSError):
                self._end(self._standing)
            raise
        self._length = end + len(blanks)

    def _end(self, standing: Standing) -> None:
        """Close the document where its entries end."""
        tail = self._document.ended(standing)
        access.written(self._descriptor, tail, standing.entries_end)
        self._length = standing.entries_end + len(tail)
        os.ftruncate(self._descriptor, self._length)
