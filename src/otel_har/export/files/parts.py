"""The directory of an archive that is being recorded: the HAR, and each body as a file of its own.

The rule: what is in the directory is complete at every instant. A body is written before the entry that names it, and
gets its name when it is whole. The archive is made of the directory, and takes its own name when it is complete.

    out.har.zip             the archive
    out.har.zip.parts/      for the owner only; as long as anyone records, and after a kill
        har.har             a HAR file like every other
        <sha1>.<extension>  the bodies
    .out.har.zip.otel-har/  the locks of those who record

The last process that records makes the archive and removes the directory; the room of the archive's name tells it that
it is the last.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from otel_har.errors import DestinationError, ExportError, HarFormatError
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import LOCK_SECONDS, Claim, TakenError, not_now
from otel_har.export.files.room import Room
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.har.attaching import HAR_NAME, Attachments, add_file, is_body_name

PARTS = ".parts"
"""What the directory's name has behind that of the archive."""
_DIRECTORY_MODE = 0o700
_PACKING = ".packing"
_COMING = ".coming"
_SAYS = "otel-har recording "
_COPY_BYTES = 1 << 20
_logger = logging.getLogger("otel_har")


class Parts:
    """An archive that is being recorded, as one process takes part in it.

    Args:
        path: The archive, symbolic links resolved.
        claim: What this process wants of it.
        make: Makes what writes the HAR in the directory, given its path and the name of its recording.
        patience_s: How long the first turn is waited for, seconds.

    Raises:
        TakenError: When another recording is at work with it, or wrote it and it is not to be replaced.
        DestinationError: When the turn did not come within the time.
        ExportError: When it cannot be written, or cannot be appended to.
    """

    def __init__(self, path: Path, claim: Claim, make: Callable[[Path], HarExporter], patience_s: float) -> None:
        self.path = path
        self.directory = path.with_name(f"{path.name}{PARTS}")
        self._claim = claim
        self._make = make
        self._har: HarExporter | None = None
        self._packed: tuple[int, ...] = ()
        if sys.platform == "win32":
            raise access.cannot_write(path, OSError(errno.ENOTSUP, "archives need file locks that Windows has not"))
        self._room = Room(path)
        try:
            with self._room.turn(patience_s):
                self._take_part(may_wait=True)
        except OSError as fault:
            self._room.leave(seconds=0)
            raise fault if isinstance(fault, ExportError) else access.cannot_write(path, fault) from fault
        self._claim = replace(claim, may_replace=False)

    def add(self, batch: HarBatch, bodies: dict[str, bytes]) -> HarExportResult:
        """Write the bodies, then the entries that name them.

        Raises:
            DestinationError: When the directory does not take it now. No entry was written.
            TakenError: When the archive is another's by now.
        """
        try:
            har = self._joined()
            for name, body in bodies.items():
                self._write(name, body)
        except (DestinationError, TakenError):
            raise
        except OSError as fault:
            raise not_now(self.directory, fault) from fault
        return har.export(batch)

    def pack(self, seconds: float) -> bool:
        """Make the archive of what is in the directory; False when that was not possible."""
        if self._har is None:  # it never took part
            return True
        end = time.monotonic() + seconds
        try:
            with self._room.turn(min(seconds, LOCK_SECONDS)):
                self._pack(end)
        except OSError as fault:
            _logger.warning("otel-har: %s was not packed: %s", self.path, fault.strerror or fault)
            return False
        return True

    def close(self, seconds: float) -> None:
        """Take part no longer; the last one makes the archive and removes the directory."""
        if self._har is not None:
            end = time.monotonic() + seconds
            self._har.shutdown()
            try:
                with self._room.turn(min(seconds, LOCK_SECONDS)):
                    was_present = self._room.is_present
                    if was_present and self._room.is_alone():
                        self._pack(end)
                        _cleared(self.directory)
            except OSError as fault:
                said = fault.strerror or fault
                _logger.warning("otel-har: %s was not packed: %s; all is in %s", self.path, said, self.directory)
        self._har = None
        self._room.leave()

    def forget(self) -> None:
        """In a forked child: the locks are the parent's."""
        self._room.forget()

    def _joined(self) -> HarExporter:
        """What writes the HAR, this process taking part for all the others to see."""
        if not self._room.is_present or self._har is None or not self.directory.is_dir():
            with self._room.turn(LOCK_SECONDS):
                if not self._room.is_present or not self.directory.is_dir():
                    self._take_part()
                if self._har is None:
                    self._har = self._make(self.directory / HAR_NAME)
        return self._har

    def _take_part(self, *, may_wait: bool = False) -> None:
        """Join those who record, or begin; who may wait does not join others before it has something to add."""
        if self._room.is_alone():
            if self._har is not None:  # the directory is gone
                self._har.shutdown()
            self._begin()
            self._har = self._make(self.directory / HAR_NAME)
            self._room.join()
            return
        if self.directory.is_dir():
            recording = _recording_in(self.directory)
            if recording is not None and not self._is_ours(recording):
                raise TakenError(f"another recording writes {self.path}")
        else:
            _made(self.directory)
        if not may_wait:
            self._room.join()

    def _begin(self) -> None:
        """Nobody is at work: go on with what is there, or put it aside."""
        status = _status(self.path)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        shutil.rmtree(self.directory.with_name(self.directory.name + _COMING), ignore_errors=True)
        there = _status(self.directory)
        if there is not None:
            if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
                raise TakenError(f"{self.directory} is somebody else's")
            if _status(self.directory / HAR_NAME) is None:  # a process was killed that began it, or had packed it
                _cleared(self.directory)
            elif self._is_ours(_recording_in(self.directory)):
                return
            elif not self._claim.may_replace:
                raise TakenError(f"another recording wrote {self.directory}")
            else:
                self._put_aside()
        if status is not None and status.st_size and (self._claim.append or self._is_ours(_recording_of(self.path))):
            self._unpack()
            return
        if status is not None and status.st_size and not self._claim.may_replace:
            raise TakenError(f"another recording wrote {self.path}")
        _made(self.directory)

    def _is_ours(self, recording: str | None) -> bool:
        return self._claim.append or recording == self._claim.recording

    def _put_aside(self) -> None:
        """Keep what a recording left that was killed; of several such, the last."""
        aside = self.directory.with_name(f"{self.directory.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        self.directory.rename(aside)
        _logger.warning("otel-har: an earlier recording of %s was not packed, it is in %s", self.path, aside)

    def _write(self, name: str, body: bytes) -> None:
        path = self.directory / name
        if path.exists():  # asked each time: somebody may have removed the directory, and another process made it anew
            return
        coming = self.directory / f"{_COMING}{os.getpid()}.{id(self):x}"
        coming.unlink(missing_ok=True)
        try:
            with access.closing(access.opened(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL)) as target:
                access.written(target, body, 0)
            coming.rename(path)
        except OSError:
            coming.unlink(missing_ok=True)  # what is full is so for others, too
            raise

    def _pack(self, end: float) -> None:
        """Make the archive, in this process's turn, unless that takes too long."""
        with access.closing(access.opened(self.directory / HAR_NAME, os.O_RDONLY)) as har:
            status = os.fstat(har)
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            if state == self._packed and self.path.exists():
                return
            packing = self.directory / _PACKING
            packing.unlink(missing_ok=True)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
                with access.closing(access.opened(packing, flags)) as descriptor:
                    self._fill(descriptor, har, end)
                    os.fsync(descriptor)
                packing.rename(self.path)
            except OSError:
                packing.unlink(missing_ok=True)
                raise
        self._packed = state

    def _fill(self, descriptor: int, har: int, end: float) -> None:
        # The HAR is open: what it names by now is in the directory by now.
        names = sorted(entry.name for entry in os.scandir(self.directory) if is_body_name(entry.name))
        with (
            os.fdopen(os.dup(descriptor), "w+b") as target,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            recording = HarDocument().read_standing(har)
            archive.comment = f"{_SAYS}{recording.recording if recording else ''}".encode()[:1000]
            with os.fdopen(os.dup(har), "rb") as source:
                source.seek(0)
                add_file(archive, HAR_NAME, _within(source, end))
            for name in names:
                with (self.directory / name).open("rb") as source:
                    add_file(archive, name, _within(source, end))

    def _unpack(self) -> None:
        """Make the directory of the archive that is there."""
        coming = self.directory.with_name(self.directory.name + _COMING)
        _made(coming)
        try:
            with self.path.open("rb") as stream:
                archive = Attachments(stream)
                _filled(coming / HAR_NAME, iter(lambda: archive.read(_COPY_BYTES), b""))
                for name, pieces in archive.bodies():
                    _filled(coming / name, pieces)
            coming.rename(self.directory)
        except HarFormatError as error:
            raise OSError(errno.EINVAL, f"it cannot be appended to: {error}") from error
        finally:
            shutil.rmtree(coming, ignore_errors=True)


def _within(source: BinaryIO, end: float) -> Iterator[bytes]:
    """What a file has, until an instant of the monotonic clock."""
    while piece := source.read(_COPY_BYTES):
        if time.monotonic() > end:
            raise DestinationError("there was no time left for it")
        yield piece


def _filled(path: Path, pieces: Iterator[bytes]) -> None:
    with access.closing(access.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)) as target:
        written = 0
        for piece in pieces:
            access.written(target, piece, written)
            written += len(piece)


def _made(directory: Path) -> None:
    directory.mkdir(_DIRECTORY_MODE)


def _cleared(directory: Path) -> None:
    """Remove what recorders put there, and the directory when nothing else is in it."""
    (directory / HAR_NAME).unlink(missing_ok=True)  # first: without it, it is no recording any more
    for entry in list(os.scandir(directory)):
        if entry.name.startswith((_COMING, _PACKING)) or is_body_name(entry.name):
            Path(entry.path).unlink()
        elif entry.name == f".{HAR_NAME}.otel-har":  # of a process that was killed
            shutil.rmtree(entry.path)
    directory.rmdir()


def _recording_in(directory: Path) -> str | None:
    try:
        with access.closing(access.opened(directory / HAR_NAME, os.O_RDONLY)) as har:
            standing = HarDocument().read_standing(har)
    except FileNotFoundError:
        return None
    return None if standing is None else standing.recording


def _recording_of(archive: Path) -> str | None:
    try:
        with archive.open("rb") as stream:
            said = Attachments(stream).recording
    except HarFormatError:
        return None
    return said.removeprefix(_SAYS) if said.startswith(_SAYS) else None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
