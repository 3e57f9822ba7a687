"""Opening a file that holds secrets, in directories that may not be ours alone, and locks on it.

The rule: nothing that somebody else may have put there is written through or written to. That is what Linux does with
`fs.protected_symlinks` and `fs.protected_regular` set, here for every directory that others may write to and on every
system (CWE-59, CWE-377).

Locks are `flock`, from the standard library: they are needed shared and exclusive, by a process whose required
dependencies are few, and end with the process however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from otel_har.errors import DestinationError, ExportError

if sys.platform != "win32":  # Windows has no advisory locks of this kind
    import fcntl

FILE_MODE = 0o600
_SECONDS_BETWEEN_TRIES = 0.005
_COPY_BYTES = 1024 * 1024
_NO_LOCKS = frozenset({errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def resolved(path: Path) -> Path:
    """The file itself, where `path` is a symbolic link to it that may be followed.

    Raises:
        ExportError: When somebody else's link, in a directory that others may write to, would be followed, or the
            path is not one that a file can have.
    """
    try:
        link = os.lstat(path)
        if stat.S_ISLNK(link.st_mode):
            _must_be_ours(path, link)
        real = Path(os.path.realpath(path))
        if real != path:
            with contextlib.suppress(FileNotFoundError):
                _must_be_ours(real, os.lstat(real))
        else:
            _must_be_ours(path, link)
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as fault:  # ValueError: a path that no file can have
        raise cannot_write(path, fault) from fault
    return real


def _must_be_ours(path: Path, status: os.stat_result) -> None:
    """Refuse what belongs to somebody else in a directory that others may write to."""
    if sys.platform == "win32" or status.st_uid == os.geteuid():
        return
    directory = path.parent.stat()
    if directory.st_mode & stat.S_IWOTH and status.st_uid != directory.st_uid:
        raise PermissionError(
            errno.EACCES, f"it belongs to user {status.st_uid}, in a directory that others may write to"
        )


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
    # O_NONBLOCK: a named pipe that nobody reads would be waited for.
    flags |= _CLOEXEC | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, FILE_MODE, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close the descriptor at the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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
        time.sleep(_SECONDS_BETWEEN_TRIES)
    return True


def unlocked(descriptor: int) -> None:
    """Let a lock go, also where a forked child has a duplicate of the descriptor."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


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
    """Give a new file the mode of another one, and its owner where this process may."""
    if sys.platform == "win32":
        return
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
