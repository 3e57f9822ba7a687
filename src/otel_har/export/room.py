"""The hidden directory beside a file that is recorded: its copies, and the locks of those who record.

The rule: locks are on files that never change their inode while anyone holds them, and whoever got a lock makes sure
that the locked file still has its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export import access

_TURN, _PRESENCE, _NEW, _NEXT = "turn", "presence", "new", "next"
_ROOM_MODE = 0o700
_LEAVE_SECONDS = 1.0

# What a filesystem answers that has no links, no renaming over a file, or a directory that nothing can be added to.
_IMPOSSIBLE = frozenset(
    {
        errno.EACCES,
        errno.EBUSY,
        errno.EMLINK,
        errno.ENAMETOOLONG,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.EPERM,
        errno.EROFS,
        errno.EXDEV,
    }
)


class RoomError(ExportError):
    """Beside this file there can be no room."""


def room_path(path: Path) -> Path:
    """Where the room of a file is."""
    return path.with_name(f".{path.name}.otel-har")


class Room:
    """The room of one file, as one process has it open.

    Args:
        path: The file, symbolic links resolved.

    Attributes:
        descriptor: Of the directory.

    Raises:
        RoomError: When the filesystem has no place for a room here.
        ExportError: When there is something else in its place, or no directory for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = room_path(path)
        self._is_present = False
        self.descriptor = self._turn = self._presence = -1
        try:
            self._enter()
        except OSError as fault:
            self.forget()
            raise self._refused(fault) from fault

    @contextlib.contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for this process's turn, and have it.

        Raises:
            DestinationError: When the turn did not come within the time.
        """
        while True:
            if self.descriptor < 0:
                self._enter()
            if not access.locked_within(self._turn, seconds):
                raise DestinationError(f"another process has been writing {self._path} for more than {seconds:g} s")
            if self._is_current():
                break
            # The last of the others cleared the room away meanwhile, or somebody removed it.
            access.unlocked(self._turn)
            self._close()
        if self._is_present:
            self.join()
        try:
            yield
        finally:
            access.unlocked(self._turn)

    def is_alone(self) -> bool:
        """Whether nobody else records to the file; then nobody begins to before the end of this turn."""
        return access.locked(self._presence)

    def join(self) -> None:
        """Record to the file from now on."""
        access.locked(self._presence, shared=True)
        self._is_present = True

    def leave(self) -> None:
        """Record no longer; the last one clears the room away."""
        if self.descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if access.locked_within(self._turn, _LEAVE_SECONDS) and self._is_current() and self.is_alone():
                self.clear()
                for name in (_PRESENCE, _TURN):
                    self._unlink(name)
                self._place.rmdir()
        self.forget()

    def forget(self) -> None:
        """Close all descriptors, and with the last one of each its lock."""
        self._close()
        self._is_present = False

    def _close(self) -> None:
        for descriptor in (self._turn, self._presence, self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor = self._turn = self._presence = -1

    def clear(self) -> None:
        """Remove the copies. The published one keeps the name that it was published under."""
        for name in os.listdir(self.descriptor):  # noqa: PTH208 - of a descriptor, which stays this room's
            if name not in {_TURN, _PRESENCE}:
                self._unlink(name)

    def adopt(self, path: Path, name: str) -> None:
        """Make a file one of the copies."""
        with self._as_impossible():
            os.link(path, name, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def name_of(self, status: os.stat_result, copies: Sequence[str]) -> str | None:
        """Which of the copies a file is; None for a stranger."""
        if self._is(_NEW, status):  # a process was killed before it had renamed it
            self._settle(copies)
        return next((name for name in copies if self._is(name, status)), None)

    @contextlib.contextmanager
    def fresh(self, like: os.stat_result | None) -> Iterator[int]:
        """A new file, with the mode and the owner of another one."""
        self._unlink(_NEW)
        descriptor = access.opened(_NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL, self.descriptor)
        with access.closing(descriptor):
            if like is not None:
                access.given_mode_of(descriptor, like)
            yield descriptor

    def publish_fresh(self, copies: Sequence[str]) -> None:
        """Publish the new file, which becomes the first copy and the only one."""
        self.publish(_NEW)
        self._settle(copies)

    def publish(self, name: str) -> None:
        """Give one of the copies the file's name, in one step."""
        self._unlink(_NEXT)
        with self._as_impossible():
            os.link(name, _NEXT, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.rename(_NEXT, self._path, src_dir_fd=self.descriptor)

    def _settle(self, copies: Sequence[str]) -> None:
        for name in copies:
            self._unlink(name)
        os.rename(_NEW, copies[0], src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def _enter(self) -> None:
        with self._as_impossible():
            with contextlib.suppress(FileExistsError):
                self._place.mkdir(_ROOM_MODE)
            self.descriptor = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        status = os.fstat(self.descriptor)
        if status.st_uid != os.geteuid() and self._place.parent.stat().st_mode & stat.S_IWOTH:
            raise PermissionError(errno.EEXIST, f"{self._place} belongs to user {status.st_uid}")
        with self._as_impossible():
            self._turn = access.opened(_TURN, directory=self.descriptor)
            self._presence = access.opened(_PRESENCE, directory=self.descriptor)
            if not access.has_locks(self._turn):
                raise OSError(errno.ENOTSUP, "no locks")

    def _is_current(self) -> bool:
        """Whether the room that this process has open is the one that is there."""
        try:
            there = os.stat(_TURN, dir_fd=self.descriptor, follow_symlinks=False)
            place = os.lstat(self._place)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._turn)) and os.path.samestat(place, os.fstat(self.descriptor))

    def _is(self, name: str, status: os.stat_result) -> bool:
        try:
            there = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, status)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    @contextlib.contextmanager
    def _as_impossible(self) -> Iterator[None]:
        """Tell what the filesystem cannot do from what it cannot do now."""
        try:
            yield
        except OSError as fault:
            if fault.errno in _IMPOSSIBLE:
                raise RoomError(f"no room beside {self._path}: {fault.strerror}") from fault
            raise

    def _refused(self, fault: OSError) -> ExportError:
        return fault if isinstance(fault, ExportError) else access.cannot_write(self._path, fault)
