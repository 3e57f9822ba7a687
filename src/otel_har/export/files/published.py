"""The file of a swapped document as one process finds it: whose it is, in what state, and which of the copies it is.

The rule: what others did to the file since is found out in a turn, before anything is written.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from otel_har.export.files import access
from otel_har.export.files.aside import Aside
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import Claim, TakenError
from otel_har.export.files.mending import Salvage, salvaged, whole
from otel_har.export.files.room import COPIES, Room, RoomError, room_path
from otel_har.export.files.standing import Standing
from otel_har.export.files.upkeep import Upkeep

State = tuple[int, int, int]  # of a file: inode, size, time of the last change
_logger = logging.getLogger("otel_har")


class Published:
    """The file, and the room of its copies.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        claim: What this process wants of it.
        upkeep: What time and growth do to it.

    Attributes:
        path: The file.
        room: Where its copies are.
        seen: What the copies hold, as this process left them.

    Raises:
        RoomError: When the filesystem has no room, links or renaming for this.
        TakenError: When the room is somebody else's.
        ExportError: When there is no directory for it.
    """

    def __init__(self, path: Path, document: HarDocument, claim: Claim, upkeep: Upkeep) -> None:
        self.path = path
        self._document = document
        self._claim = claim
        self._upkeep = upkeep
        self._aside = None if upkeep.rotation is None else Aside(path, document, upkeep.rotation.files)
        self.seen: dict[State, Standing] = {}
        self.room = Room(path)

    def leave_alone(self) -> None:
        """Never replace what another recording began since."""
        self._claim = replace(self._claim, may_replace=False)

    def begin(self, patience_s: float) -> None:
        """See that the file can be recorded to, and begin it where nobody else did."""
        status = self._status()
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise access.cannot_write(self.path, OSError(errno.EINVAL, "it is not a regular file"))
        with self.room.turn(patience_s):
            if self.room.is_alone():
                self._take_alone()
                self.room.join()
            else:
                self._must_be_shared()

    def take_part(self) -> None:
        """Join those who record to the file, if that is still this recording's."""
        if self.room.is_alone():
            self._take_alone()
        else:
            self._must_be_shared()
        self.room.join()

    def _must_be_shared(self) -> None:
        """Others are at work: it must be on the same recording. A file that is gone nobody has to be asked for."""
        if self._status() is None:
            return
        with self._open_published() as there:
            standing = self._document.read_standing(there)
        if standing is None or not self._claim.continues(standing):
            raise TakenError(f"another recording writes {self.path}")

    def _take_alone(self) -> None:
        """Nobody is at work: go on with the file, or begin it."""
        status = self._status()
        if status is None:
            self.begin_anew()
            return
        if os.geteuid() not in {0, status.st_uid}:
            raise RoomError(f"{self.path} would not be user {status.st_uid}'s any more")
        with self._open_published() as there:
            if not access.locked(there, shared=True):
                raise TakenError(f"another process writes {self.path} in place")
            standing = self._document.read_standing(there)
        left_as = self.room.name_of(status)
        there_is_some = status.st_size > 0 or left_as is not None
        if (standing is not None and self._claim.continues(standing)) or (self._claim.append and there_is_some):
            if self._is_put_aside(status, standing):
                self.begin_anew(standing)
            else:
                self._go_on(left_as)
        elif self._claim.may_replace:
            self.begin_anew()
        else:
            raise TakenError(f"another recording wrote {self.path}")

    def _go_on(self, left_as: str | None) -> None:
        """Go on with the file that is there, whoever left it and in whatever state.

        Args:
            left_as: The name of the copy that it is, where the room is left of a recording that was not ended.
        """
        with self._open_published() as there:
            standing = self._document.read_standing(there)
            # Another recording's file may have been through a crash of the machine since: all of it is looked at.
            if standing is not None and standing.recording == self._claim.recording:
                self._adopt_or_copy(there, standing)
                return
            with self._salvaged(there) as found:
                if standing is not None and found is not None and found.is_whole:
                    self._adopt_or_copy(there, standing)
                elif left_as is not None:
                    self._restored(left_as)  # the machine crashed: the other copy may have more
                elif found is not None:
                    self.begin_with(found)
                else:
                    raise access.cannot_write(self.path, OSError(errno.EINVAL, "it is no HAR file to append to"))

    def _adopt_or_copy(self, there: int, standing: Standing) -> None:
        self.room.clear()
        status = os.fstat(there)
        access.must_be_ours(self.path, status)
        if status.st_nlink > 1:  # it has a second name, whose owner does not expect it to change
            self.begin_with(whole(there, standing))
            return
        self.room.adopt()
        if self.room.name_of(status) is None:
            self.room.clear()
            raise TakenError(f"{self.path} was replaced by another file")

    def published(self) -> tuple[str, Standing]:
        """The name of the copy that the file is, and what that holds."""
        status = self._status()
        if status is None:
            _logger.warning("otel-har: %s is gone, it starts anew", self.path)
            return self.begin_anew()
        name = self.room.name_of(status) or self._recognised(status)
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        standing = self.seen.get(state)
        if standing is None and not self.was_changed(state):
            with self.open(name, os.O_RDONLY) as there:
                standing = self._document.read_standing(there)
        if standing is not None and not self._claim.continues(standing):
            raise TakenError(f"another recording writes {self.path}")
        if self._is_put_aside(status, standing):
            return self.begin_anew(standing)
        if standing is not None:
            return name, standing
        if not status.st_size:
            _logger.warning("otel-har: %s was emptied, it starts anew", self.path)
            return self.begin_anew()
        return self._restored(name)

    def _recognised(self, status: os.stat_result) -> str:
        """The name of the copy that a file becomes which is none: of this recording, when somebody removed its copy."""
        recordings = {self._claim.recording, *(standing.recording for standing in self.seen.values())}
        if stat.S_ISREG(status.st_mode):
            with contextlib.suppress(PermissionError), self._open_published() as there:
                standing = self._document.read_standing(there)
                if standing is not None and standing.recording in recordings:
                    self._adopt_or_copy(there, standing)
                    return COPIES[0]
        raise TakenError(f"{self.path} was replaced by another file")

    def was_changed(self, state: State) -> bool:
        """Whether a copy is not as this process left it, and no other one that records had a turn since."""
        return any(state[0] == seen[0] and state != seen for seen in self.seen)

    def _restored(self, name: str) -> tuple[str, Standing]:
        """After somebody changed the file in place: go on with what is whole of it, or with the other copy."""
        with contextlib.ExitStack() as stack:
            there = stack.enter_context(self.open(name, os.O_RDONLY))
            found = [stack.enter_context(self._salvaged(there))]
            standing = self._document.read_standing(there)
            if found[0] is not None and found[0].is_whole and standing is not None:  # `touch` changes nothing
                self.seen = {}
                return name, standing
            with contextlib.suppress(FileNotFoundError):
                other = stack.enter_context(self.open(COPIES[1 - COPIES.index(name)], os.O_RDONLY))
                standing = self._document.read_standing(other)
                found += [] if standing is None else [whole(other, standing)]
            best = max((one for one in found if one is not None), key=lambda one: one.standing.entries, default=None)
            if best is None:
                _logger.warning("otel-har: %s has nothing that is whole, it starts anew", self.path)
                return self.begin_anew()
            kept = best.standing.entries
            _logger.warning("otel-har: %s is not as it was left, %d entries are kept", self.path, kept)
            return self.begin_with(best)

    def _salvaged(self, there: int) -> contextlib.AbstractContextManager[Salvage | None]:
        return salvaged(there, self._document, self._claim.recording, room_path(self.path))

    def begin_anew(self, before: Standing | None = None) -> tuple[str, Standing]:
        """Publish a new file without entries; the name of the copy that it is, and what it holds.

        Args:
            before: What the one held that was put aside for it.
        """
        growth = self._document.new(self._claim.recording, self._upkeep.series(before))
        with self.room.fresh(self._like()) as target:
            access.written(target, growth.entries + growth.tail, 0)
            self.seen = {state_of(target): growth.standing}
        self.room.publish_fresh()
        return COPIES[0], growth.standing

    def begin_with(self, salvage: Salvage) -> tuple[str, Standing]:
        """Publish a new file with the entries of another one."""
        with self.room.fresh(self._like()) as target:
            standing = salvage.copy(target, self._document)
            self.seen = {state_of(target): standing}
        self.room.publish_fresh()
        return COPIES[0], standing

    def _is_put_aside(self, status: os.stat_result, standing: Standing | None) -> bool:
        """Whether a process was killed when the file had its next name already, and another one had not its own yet."""
        return self._aside is not None and standing is not None and self._aside.has(status)

    def put_aside(self, name: str, standing: Standing) -> None:
        """Give the published copy the name that follows, and begin a new one.

        Args:
            name: The copy.
            standing: What it holds.

        Raises:
            OSError: When that cannot be. The file is as it was, unless it `is_halfway`.
        """
        if self._aside is None:
            return
        place = self._aside.made_room()
        os.link(name, place, src_dir_fd=self.room.descriptor, follow_symlinks=False)
        try:
            self.begin_anew(standing)
        except OSError:
            if self._aside.has(os.lstat(self.path)):
                place.unlink()
            raise

    def is_halfway(self) -> bool:
        """Whether the file has its next name, too: nothing may be added to it then."""
        status = self._status()
        return status is not None and self._aside is not None and self._aside.has(status)

    @contextlib.contextmanager
    def open(self, name: str, flags: int) -> Iterator[int]:
        """A copy."""
        with access.closing(access.opened(name, flags, self.room.descriptor)) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def _open_published(self) -> Iterator[int]:
        with access.closing(access.opened(self.path, os.O_RDONLY)) as descriptor:
            yield descriptor

    def _like(self) -> os.stat_result | None:
        """Whose the new file is to be, and with which mode: as the one before, unless somebody else put that there."""
        try:
            status = os.lstat(self.path)
            access.must_be_ours_alone(self.path, status)
        except (FileNotFoundError, PermissionError):
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _status(self) -> os.stat_result | None:
        try:
            return os.lstat(self.path)
        except FileNotFoundError:
            return None


def state_of(descriptor: int) -> State:
    """What tells whether a file is as it was."""
    status = os.fstat(descriptor)
    return status.st_ino, status.st_size, status.st_mtime_ns
