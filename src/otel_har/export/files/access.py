"""Opening a file that holds secrets, in directories that may not be ours alone, and locks on it.

The rule: nothing that somebody else may have put there is written through or written to. That is what Linux does with
`fs.protected_symlinks` and `fs.protected_regular` set, here for every directory that others may write to and on every
system (CWE-59, CWE-377).

Locks are `flock`, from the standard library: they are needed shared and exclusive, by a process whose required
dependencies are few, and end with the process however that ends.

A descriptor is a number, and the program may close it (daemons close all that they do not know) and get the same
number for a file of its own. So what is kept open knows which file it is, and another one is never written to, locked
or closed. In a forked child all of them are closed at once: their locks are the parent's.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import random
import signal
import stat
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.forking import call_in_forked_child

if sys.platform != "win32":  # Windows has no advisory locks of this kind
    import fcntl

FILE_MODE = 0o600
_SECONDS_BETWEEN_TRIES = (0.0005, 0.005)  # at random, or two processes could keep missing the same moments
_MAX_LINKS = 40  # as Linux has it
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH  # an access control list shows as the group's rights
_STANDARD = 2  # the last of the descriptors that a program takes for its own input, output and errors
_FIRST_BYTES = 4096
_COPY_BYTES = 1024 * 1024
_NO_LOCKS = frozenset({errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_SAFELY = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe that nobody reads would be waited for
    | getattr(os, "O_BINARY", 0)  # Windows changes line ends otherwise
    | getattr(os, "O_NOINHERIT", 0)
)


def with_home(path: str | os.PathLike[str]) -> Path:
    """A path whose `~` stands for a home, where there is one; elsewhere it is left as it is, as by a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of `Path` raises


def resolved(path: Path) -> Path:
    """The file itself, where symbolic links on the way to it may be followed.

    Raises:
        ExportError: When somebody else's link, in a directory that others may write to, would be followed, or the
            file is somebody else's there, or the path is not one that a file can have.
    """
    if sys.platform == "win32":
        return Path(os.path.realpath(path))
    try:
        real = path
        for _ in range(_MAX_LINKS):
            link = _first_link(real)
            if link is None:
                return Path(os.path.normpath(real))
            real = link.parent / link.readlink() / real.relative_to(link)
    except (OSError, ValueError) as fault:  # ValueError: a path that no file can have
        raise cannot_write(path, fault) from fault
    raise cannot_write(path, OSError(errno.ELOOP, os.strerror(errno.ELOOP)))


def _first_link(path: Path) -> Path | None:
    """The first symbolic link on the way to a file, or the file itself."""
    for place in (*reversed(path.parents), path):
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(status.st_mode):
            must_be_ours(place, status)
            return place
    must_be_ours(path, status)
    return None


def is_shared(directory: Path) -> bool:
    """Whether others than its owner may put something into a directory: everybody, or a group.

    Raises:
        OSError: When it cannot be looked at.
    """
    return sys.platform != "win32" and bool(directory.stat().st_mode & _BY_OTHERS)


def must_be_ours(path: Path, status: os.stat_result) -> None:
    """Refuse what belongs to somebody else in a directory that others may write to.

    The directory's owner and root are no strangers: they could replace the directory, or this program.

    Raises:
        PermissionError: When it does.
    """
    if sys.platform == "win32" or status.st_uid == os.geteuid():
        return
    if is_shared(path.parent) and status.st_uid not in {0, path.parent.stat().st_uid}:
        raise PermissionError(
            errno.EACCES, f"it belongs to user {status.st_uid}, in a directory that others may write to"
        )


def must_be_ours_alone(path: Path, status: os.stat_result) -> None:
    """Refuse, too, what somebody else may have given this name: a link to a file of ours.

    Raises:
        PermissionError: When the file is somebody else's or has further names, in a directory that others may write to.
    """
    must_be_ours(path, status)
    if sys.platform != "win32" and status.st_nlink > 1 and is_shared(path.parent):
        raise PermissionError(errno.EACCES, "it has further names, in a directory that others may write to")


def looked_over(path: Path, beginnings: tuple[bytes, ...]) -> int:
    """See, from its first bytes alone, that a file may be a HAR; its size in bytes, 0 of none.

    Args:
        path: The file.
        beginnings: How it may begin, blanks apart.

    Raises:
        ExportError: When it is not one, or not one that this process may record to.
    """
    real = resolved(path)
    try:
        with closing(opened(real, os.O_RDONLY)) as there:
            size = os.fstat(there).st_size
            start = os.read(there, _FIRST_BYTES).removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")
    except FileNotFoundError:
        return 0
    except OSError as fault:
        raise cannot_write(path, fault) from fault
    if start and not start.startswith(beginnings):
        raise cannot_write(path, OSError(errno.EINVAL, "it is no HAR file to append to"))
    return size


def cannot_write(path: Path, fault: OSError | ValueError) -> ExportError:
    """The error of a file that cannot be recorded to."""
    error = ExportError(f"cannot write the HAR file {path}: {getattr(fault, 'strerror', None) or fault}")
    error.errno = getattr(fault, "errno", None)
    return error


def opened(path: str | Path, flags: int = os.O_RDWR | os.O_CREAT, directory: int | None = None) -> int:
    """A descriptor of a regular file, which is created for its owner only.

    Raises:
        OSError: When it cannot be opened, or is not a regular file, or is a symbolic link.
    """
    descriptor = _not_standard(os.open(path, flags | _SAFELY, FILE_MODE, dir_fd=directory))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def opened_directory(path: Path) -> int:
    """A descriptor of a directory.

    Raises:
        OSError: When it cannot be opened, is something else, or is a symbolic link.
    """
    return _not_standard(os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFELY))


def _not_standard(descriptor: int) -> int:
    """The same file under a number that nobody prints to: a program may run with its standard streams closed."""
    if descriptor > _STANDARD or sys.platform == "win32":
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STANDARD + 1)
    finally:
        os.close(descriptor)


class Held:
    """A descriptor that is kept open.

    Args:
        descriptor: The number; this object closes it.

    Attributes:
        number: The same; -1 once it is closed.
    """

    __slots__ = ("__weakref__", "_file", "number")

    def __init__(self, descriptor: int) -> None:
        self.number = descriptor
        self._file = _file_of(descriptor)
        _all_held.add(self)

    def is_intact(self) -> bool:
        """Whether the number still is that of the file."""
        return self.number >= 0 and _file_of(self.number) == self._file

    def close(self) -> None:
        """Close the file. Idempotent."""
        number, self.number = self.number, -1  # at once: another thread may fork
        if number >= 0 and _file_of(number) == self._file:
            with contextlib.suppress(OSError):
                os.close(number)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    """Device and inode; None of what is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _AllHeld:
    """What this process holds."""

    def __init__(self) -> None:
        self._held: weakref.WeakSet[Held] = weakref.WeakSet()
        call_in_forked_child(self.close)

    def add(self, held: Held) -> None:
        self._held.add(held)

    def close(self) -> None:
        for held in list(self._held):
            held.close()


_all_held = _AllHeld()


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close the descriptor at the end."""
    held = Held(descriptor)
    try:
        yield descriptor
    finally:
        held.close()


def locked(descriptor: int, *, shared: bool = False) -> bool:
    """Whether the lock was to be had at once; True where there are no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as fault:
        if fault.errno not in _NO_LOCKS:
            raise
    return True


def has_locks(descriptor: int) -> bool:
    """Whether the filesystem has locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def locked_within(descriptor: int, seconds: float) -> bool:
    """Whether the exclusive lock was to be had within the time."""
    end = time.monotonic() + seconds
    while not locked(descriptor):
        if time.monotonic() >= end:
            return False
        time.sleep(random.uniform(*_SECONDS_BETWEEN_TRIES))  # noqa: S311 - no secret
    return True


def unlocked(descriptor: int) -> None:
    """Let a lock go, also where a forked child has a duplicate of the descriptor."""
    if sys.platform != "win32" and descriptor >= 0:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_open_elsewhere(descriptor: int) -> bool | None:
    """Whether the file is open a second time, in whatever process; None where that cannot be known.

    Linux gives a write lease on a file to who is the only one to have it open (fcntl(2), F_SETLEASE). It is given back
    at once. Should somebody open the file just then, the signal of that is one that is ignored by default.
    """
    if sys.platform != "linux":
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as fault:
        return True if fault.errno == errno.EAGAIN else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def written(descriptor: int, data: bytes, position: int) -> None:
    """Write all of it, from `position` on."""
    os.lseek(descriptor, position, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def copied(source: int, target: int, start: int, end: int, to: int | None = None) -> None:
    """Copy a range of one file to another, by the system itself where it can.

    Args:
        source: The descriptor to read from.
        target: The one to write to.
        start: The first byte of the range.
        end: The byte after it.
        to: Where it goes; the same place by default.

    Raises:
        DestinationError: When the source is shorter.
    """
    by_system = hasattr(os, "copy_file_range")
    shift = 0 if to is None else to - start
    while start < end:
        count = 0
        if by_system:
            try:
                count = os.copy_file_range(source, target, end - start, start, start + shift)
            except OSError as fault:
                if fault.errno in _FULL:
                    raise
            if not count:  # it cannot, or says that the file ends here, as some filesystems do of every file
                by_system = False
                continue
        else:
            os.lseek(source, start, os.SEEK_SET)
            chunk = os.read(source, min(end - start, _COPY_BYTES))
            written(target, chunk, start + shift)
            count = len(chunk)
        if not count:
            raise DestinationError(f"the file ends at {start}, before its {end} bytes")
        start += count


def given_mode_of(descriptor: int, status: os.stat_result) -> None:
    """Give a file the mode of another one, and its owner and group where this process may."""
    if sys.platform == "win32":
        return
    own = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    if own.st_uid != status.st_uid:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, status.st_uid, -1)
    if own.st_gid != status.st_gid:
        try:
            os.fchown(descriptor, -1, status.st_gid)
        except OSError:  # what the one group may, the other one need not
            mode &= ~stat.S_IRWXG
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)


def read(descriptor: int, start: int, end: int) -> bytes:
    """The bytes of a range; fewer where the file ends before it."""
    os.lseek(descriptor, start, os.SEEK_SET)
    parts = []
    while start < end:
        part = os.read(descriptor, end - start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)
