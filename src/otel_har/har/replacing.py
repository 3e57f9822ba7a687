"""Rewrites a file in its place: there is always a whole one, the old until the new is complete, then the new."""

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from otel_har.errors import HarFormatError
from otel_har.har.attaching import ZIP
from otel_har.har.faults import DOCUMENT, Fault
from otel_har.har.packing import GZIP, begins_as, inflated, is_named_gzip, packing
from otel_har.har.repair import Mending, RepairReport

if sys.platform != "win32":  # Windows has neither advisory locks of this kind nor owners
    import fcntl

__all__ = ["mend", "repair_file", "repair_stream", "rewrite_file", "rewrite_stream"]

_Report = TypeVar("_Report")
Rewriting = Callable[[BinaryIO, BinaryIO], _Report]
"""Reads a source, writes a target, and reports."""


def repair_file(path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> RepairReport:
    """Mend a HAR file.

    The mended copy is written beside its destination and takes its name when it is complete and on the disk. It has
    the mode, the owner and the group of the file whose place it takes, as far as the system allows that; a new one has
    the mode of the file that was mended, as far as the umask lets. A file that is whole stays as it is. A file of gzip
    stays one, and a copy is one where its name ends in `.gz`.

    Args:
        path: The file. Of a symbolic link, what it leads to.
        output: Where the mended copy goes, or the copy of a file that is whole; None for the place of the file.

    Raises:
        OSError: The file cannot be read, or the copy not be written; or, where it is mended in its place, it is being
            recorded to or was changed meanwhile. Everything is as it was before.
        HarFormatError: It is no HAR, and not the beginning of one. Everything is as it was before.
    """
    with _opened(path, output) as place, _mending(place.source) as mending:
        if place.is_own and mending.found.is_whole:
            return RepairReport(mending.found)
        return _write(place.packed(mending.write), place.target_path, place.before, place.make_ready)


def repair_stream(source: BinaryIO, output: str | os.PathLike[str]) -> RepairReport:
    """Mend what a stream has, that can be sought in, into a file, as `repair_file` does; a new one is its owner's only.

    Raises:
        OSError: The stream cannot be read, or the file not be written. It is as it was before.
        HarFormatError: It is no HAR, and not the beginning of one. The file is as it was before.
    """
    with _mending(source) as mending:
        return _write(_packed_by_name(output, mending.write), _resolved(output), None, lambda: None)


def mend(source: BinaryIO, target: BinaryIO) -> RepairReport:
    """Write the mended copy of what a stream has, packed or not, as `repair` does; it is not packed.

    Raises:
        OSError: The one cannot be read, or the other not be written.
        HarFormatError: It is no HAR, and not the beginning of one. Nothing was written.
    """
    with _mending(source) as mending:
        return mending.write(target)


def rewrite_file(
    path: str | os.PathLike[str], output: str | os.PathLike[str] | None, rewrite: Rewriting[_Report]
) -> _Report:
    """Write another file from a file, or in its place, as `repair_file` does.

    Args:
        path: The file. Of a symbolic link, what it leads to.
        output: Where it goes; None for the place of the file.
        rewrite: Does so. When it raises, everything is as it was before.

    Raises:
        OSError: As `repair_file`.
    """
    with _opened(path, output) as place:
        write = place.packed(lambda target: rewrite(place.source, target))
        return _write(write, place.target_path, place.before, place.make_ready)


def rewrite_stream(source: BinaryIO, output: str | os.PathLike[str], rewrite: Rewriting[_Report]) -> _Report:
    """Write a file from a stream; a new one is its owner's only.

    Raises:
        OSError: The stream cannot be read, or the file not be written. It is as it was before.
    """
    write = _packed_by_name(output, lambda target: rewrite(source, target))
    return _write(write, _resolved(output), None, lambda: None)


@dataclass(frozen=True, slots=True)
class _Place:
    """A source that is open, and the place that its copy takes."""

    source: BinaryIO
    source_path: Path
    target_path: Path
    is_own: bool
    before: os.stat_result
    is_packed: bool

    def packed(self, write: Callable[[BinaryIO], _Report]) -> Callable[[BinaryIO], _Report]:
        """Writes as the place has it: in its own place as it is, elsewhere as the name says."""
        return packing(write) if self.is_packed else write

    def make_ready(self) -> None:
        """Make sure that the place may be taken."""
        if self.is_own and _state(self.before) != _state(self.source_path.stat()):
            raise OSError(errno.EBUSY, "it was changed meanwhile")
        if sys.platform == "win32":
            self.source.close()  # the place of an open file cannot be taken there


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], output: str | os.PathLike[str] | None) -> Iterator[_Place]:
    source_path = _resolved(path)
    target_path = source_path if output is None else _resolved(output)
    is_own = output is None or (target_path.exists() and target_path.samefile(source_path))
    if is_own and source_path.exists() and not (source_path.is_file() or source_path.is_dir()):
        raise OSError(
            errno.EINVAL, "it is no file: nothing can take its place"
        )  # opening a pipe would wait for a writer
    with source_path.open("rb") as source:
        if is_own:
            _lock(source)
        is_packed = begins_as(source, GZIP) if is_own else is_named_gzip(target_path)
        yield _Place(source, source_path, target_path, is_own, os.fstat(source.fileno()), is_packed)


@contextlib.contextmanager
def _mending(source: BinaryIO) -> Iterator[Mending]:
    """The repair of a file, of its text where it is packed."""
    if begins_as(source, ZIP):
        raise HarFormatError("it is a zip archive: unpack it, and mend the HAR that is in it")
    if not begins_as(source, GZIP):
        yield Mending(source)
        return
    with tempfile.TemporaryFile() as text:
        faults: tuple[Fault, ...] = ()
        try:
            for piece in inflated(source):
                text.write(piece)
        except HarFormatError as error:
            faults = (Fault(DOCUMENT, error.message, "cut"),)
        mending = Mending(text)
        mending.found = replace(mending.found, faults=(*faults, *mending.found.faults))
        yield mending


def _packed_by_name(
    output: str | os.PathLike[str], write: Callable[[BinaryIO], _Report]
) -> Callable[[BinaryIO], _Report]:
    return packing(write) if is_named_gzip(output) else write


def _resolved(path: str | os.PathLike[str]) -> Path:
    """Where a file is that has to be replaced; of a pipe, which the system may call so but not open, its given name."""
    given = Path(path)
    return given if given.exists() and not given.is_file() else Path(os.path.realpath(given))


def _write(
    write: Callable[[BinaryIO], _Report],
    target_path: Path,
    source: os.stat_result | None,
    may_replace: Callable[[], None],
) -> _Report:
    if target_path.exists() and not target_path.is_file():
        with target_path.open("wb") as target:  # a device or a pipe, whose place nothing can take
            return write(target)
    if not target_path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such directory", str(target_path.parent))
    with _beside(target_path) as beside:
        with beside.open("wb") as target:
            report = write(target)
            _make_like(target, target_path, source)
            target.flush()
            os.fsync(target.fileno())
        may_replace()
        beside.replace(target_path)
    _sync_directory(target_path.parent)
    return report


def _lock(source: BinaryIO) -> None:
    """A recorder holds the lock of its file, which must not be taken away under it."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(source.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "a process records to it") from None
    except OSError:  # a filesystem without locks
        return


def _state(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A new file in the directory of another, its owner's only; gone at the end if it has not taken another name."""
    descriptor, name = tempfile.mkstemp(prefix=".otel-har-", suffix=".tmp", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def _make_like(file: BinaryIO, target: Path, source: os.stat_result | None) -> None:
    """Give a new file the mode and the owner of the one whose place it takes, or else the mode of its source.

    A group that is not the same must not get what the other one might: recordings hold secrets.
    """
    like = target.stat() if target.exists() else source
    if sys.platform == "win32" or like is None:
        return
    descriptor = file.fileno()
    for owner in (like.st_uid, -1) if target.exists() else ():  # what only root may, then what the owner may
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, like.st_gid)
            break
    mode = stat.S_IMODE(like.st_mode)
    if not target.exists():
        mode &= ~_umask()
    if os.fstat(descriptor).st_gid != like.st_gid:
        mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be read by setting it; a file of another thread is its owner's then
    os.umask(mask)
    return mask


def _sync_directory(directory: Path) -> None:
    """Make the new name outlast a crash, where directories can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
