"""The hidden directory beside a file that is recorded: its copies, and the locks of those who record.

The rule: locks are on files that never change their inode while anyone holds them, and whoever got a lock makes sure
that the locked files still have their names. What the room's makers did not put there is left there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.growing import TakenError

COPIES = ("0", "1")
_TURN, _PRESENCE, _NEW, _NEXT = "turn", "presence", "new", "next"
_ROOM_MODE = 0o700
_LEAVE_SECONDS = 1.0
_MOST_TRIES = 1000  # to enter a room that others clear away, or that a filesystem shows as another one each time
_TOKEN_BYTES = 16
_GONE = frozenset({errno.ENOENT, errno.ESTALE})

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

# What opening the room answers when something else has its name, or somebody else made it.
_STRANGE = frozenset({errno.EACCES, errno.ELOOP, errno.ENOTDIR})


class RoomError(ExportError):
    """Beside this file there can be no room."""


def room_path(path: Path) -> Path:
    """Where the room of a file is."""
    return path.with_name(f".{path.name}.otel-har")


def is_recorded(path: Path) -> bool:
    """Whether any process records to a file by way of its room, or has its turn there."""
    with contextlib.ExitStack() as stack:
        opened = []
        for name in (_TURN, _PRESENCE):
            try:
                opened.append(stack.enter_context(access.closing(access.opened(room_path(path) / name, os.O_RDWR))))
            except OSError:
                return False
        # The turn first, as they do: one that begins would take this process for another that records.
        return not all(access.locked(one) for one in opened)


class Room:
    """The room of one file, as one process has it open.

    Args:
        path: The file, symbolic links resolved.

    Attributes:
        is_present: Whether this process records to the file, for all the others to see.
        is_undisturbed: In a turn: whether no other process had one since this one's last.

    Raises:
        RoomError: When the filesystem has no place for a room here.
        TakenError: When the room is somebody else's.
        ExportError: When there is no directory for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = room_path(path)
        self._directory: access.Held | None = None
        self._turn: access.Held | None = None
        self._presence: access.Held | None = None
        self._token = b""
        self.is_present = self.is_undisturbed = False
        try:
            self._enter()
        except OSError as fault:
            self.forget()
            raise self._refused(fault) from fault

    @property
    def descriptor(self) -> int:
        """The directory's; -1 outside of a turn when there is none."""
        return _number(self._directory)

    @contextlib.contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for this process's turn, and have it.

        When the room was made anew since the last turn, this process is no longer present in it.

        Raises:
            DestinationError: When the turn did not come within the time.
            OSError: When there can be no room now.
        """
        self._wait_for_turn(seconds)
        try:
            self._note_turn()
            yield
        finally:
            if not self.is_present:
                access.unlocked(_number(self._presence))
            access.unlocked(_number(self._turn))

    def is_alone(self) -> bool:
        """Whether nobody else records to the file; then nobody begins to before the end of this turn.

        This process is not present after that: it leaves, or joins.
        """
        self.is_present = False
        return access.locked(_number(self._presence))

    def join(self) -> None:
        """Record to the file from now on."""
        self.is_present = access.locked(_number(self._presence), shared=True)

    def leave(self, seconds: float = _LEAVE_SECONDS) -> None:
        """Record no longer; the last one clears the room away, if it has its turn within the time."""
        with contextlib.suppress(OSError):
            if self._is_open() and access.locked_within(_number(self._turn), seconds):
                self._clear_away()
        self.forget()

    def forget(self) -> None:
        """Close all descriptors, and with the last one of each its lock."""
        held = (self._turn, self._presence, self._directory)
        self._directory = self._turn = self._presence = None
        self.is_present = False
        for one in held:
            if one is not None:
                one.close()

    def clear(self) -> None:
        """Remove the copies. The published one keeps the name that it was published under."""
        for name in (*COPIES, _NEW, _NEXT):
            self._unlink(name)

    def discard(self, name: str) -> None:
        """Take the name from a copy that is not published. Who has it open reads on."""
        self._unlink(name)

    def adopt(self) -> None:
        """Make the file the first copy."""
        with self._as_impossible():
            os.link(self._path, COPIES[0], dst_dir_fd=self.descriptor, follow_symlinks=False)

    def name_of(self, status: os.stat_result) -> str | None:
        """Which of the copies a file is; None for a stranger."""
        if self._is(_NEW, status):  # a process was killed before it had renamed it
            self._settle()
        return next((name for name in COPIES if self._is(name, status)), None)

    @contextlib.contextmanager
    def fresh(self, like: os.stat_result | None) -> Iterator[int]:
        """A new file, with the mode and the owner of another one."""
        self._unlink(_NEW)
        with access.closing(access.opened(_NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL, self.descriptor)) as descriptor:
            if like is not None:
                access.given_mode_of(descriptor, like)
            yield descriptor

    def publish_fresh(self) -> None:
        """Publish the new file, which becomes the first copy and the only one."""
        self.publish(_NEW)
        self._settle()

    def publish(self, name: str) -> None:
        """Give one of the copies the file's name, in one step."""
        self._unlink(_NEXT)
        with self._as_impossible():
            os.link(name, _NEXT, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.rename(_NEXT, self._path, src_dir_fd=self.descriptor)

    def _settle(self) -> None:
        for name in COPIES:
            self._unlink(name)
        os.rename(_NEW, COPIES[0], src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def _wait_for_turn(self, seconds: float) -> None:
        for _ in range(_MOST_TRIES):
            if not self._is_open():
                self.forget()
                self._enter()
            if not access.locked_within(_number(self._turn), seconds):
                raise DestinationError(f"another process has been writing {self._path} for more than {seconds:g} s")
            if self._is_current():
                return
            # The last of the others cleared the room away meanwhile, or somebody removed it.
            access.unlocked(_number(self._turn))
            self.forget()
        raise self._never_the_same()

    def _note_turn(self) -> None:
        """Leave a sign in the room, for others to know that they are not the last who had a turn."""
        turn = _number(self._turn)
        self.is_undisturbed = os.pread(turn, _TOKEN_BYTES, 0) == self._token
        if not self.is_undisturbed:
            os.pwrite(turn, self._token, 0)

    def _enter(self) -> None:
        """Open the room, and make it where there is none."""
        with self._as_impossible():
            for _ in range(_MOST_TRIES):
                try:
                    self._open()
                except OSError as fault:
                    self.forget()
                    if fault.errno not in _GONE or not self._path.parent.is_dir():
                        raise
                    # The last of the others cleared it away, just so.
                else:
                    self._token = os.urandom(_TOKEN_BYTES)
                    return
        raise self._never_the_same()

    def _open(self) -> None:
        self._make()
        try:
            self._directory = access.Held(access.opened_directory(self._place))
        except OSError as fault:
            if fault.errno in _STRANGE:
                raise TakenError(f"{self._place} is somebody else's") from fault
            raise
        status = os.fstat(self.descriptor)
        # Its owner can put in it what he likes. Root goes on where only he could have made it.
        if status.st_uid != os.geteuid() and (os.geteuid() or access.is_shared(self._place.parent)):
            raise TakenError(f"{self._place} belongs to user {status.st_uid}")
        # In the opposite order of their removal: who has the new turn has the new presence.
        self._turn = access.Held(access.opened(_TURN, directory=self.descriptor))
        self._presence = access.Held(access.opened(_PRESENCE, directory=self.descriptor))
        own = [os.fstat(one.number) for one in (self._turn, self._presence)]
        if any(one.st_nlink > 1 or one.st_uid not in {os.geteuid(), status.st_uid} for one in own):
            raise TakenError(f"what is in {self._place} is somebody else's")
        if not access.has_locks(self._turn.number):
            raise OSError(errno.ENOTSUP, "no locks")

    def _make(self) -> None:
        """Make the room, where there is none that can be entered."""
        with contextlib.suppress(FileExistsError):
            self._place.mkdir(_ROOM_MODE)
            if self._is_closed_to_us():  # by a umask that takes the maker's own rights, those to what is inside, too
                self._place.rmdir()
                raise RoomError(f"no room beside {self._path}: it cannot be entered")
        if self._is_closed_to_us():  # one such that was left behind
            try:
                self._place.rmdir()
            except OSError:
                self._place.chmod(_ROOM_MODE)
            else:
                self._make()

    def _is_closed_to_us(self) -> bool:
        status = self._place.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        return is_ours and status.st_mode & _ROOM_MODE != _ROOM_MODE and os.geteuid() != 0

    def _clear_away(self) -> None:
        if self._is_current() and self.is_alone():
            self.clear()
            for name in (_PRESENCE, _TURN):
                self._unlink(name)
            self._place.rmdir()

    def _is_open(self) -> bool:
        """Whether the descriptors are those of the room: the program may have closed them."""
        held = (self._turn, self._presence, self._directory)
        return all(one is not None and one.is_intact() for one in held)

    def _is_current(self) -> bool:
        """Whether the room that this process has open is the one that is there."""
        try:
            place = os.lstat(self._place)
        except FileNotFoundError:
            return False
        return os.path.samestat(place, os.fstat(self.descriptor)) and all(
            one is not None and self._is(name, os.fstat(one.number))
            for name, one in ((_TURN, self._turn), (_PRESENCE, self._presence))
        )

    def _is(self, name: str, status: os.stat_result) -> bool:
        try:
            there = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, status)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def _never_the_same(self) -> RoomError:
        return RoomError(f"no room beside {self._path}: it is another one each time")

    @contextlib.contextmanager
    def _as_impossible(self) -> Iterator[None]:
        """Tell what the filesystem cannot do from what it cannot do now."""
        try:
            yield
        except ExportError:
            raise
        except OSError as fault:
            if fault.errno in _IMPOSSIBLE:
                raise RoomError(f"no room beside {self._path}: {fault.strerror}") from fault
            raise

    def _refused(self, fault: OSError) -> ExportError:
        return fault if isinstance(fault, ExportError) else access.cannot_write(self._path, fault)


def _number(held: access.Held | None) -> int:
    return held.number if held is not None else -1
