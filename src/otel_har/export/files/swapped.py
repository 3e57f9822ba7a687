"""A HAR file that is whole at every instant, for every reader, and that several processes write.

The rule: what stands under the file's name is never written to. Two copies of the document take turns: the one that is
not published is brought up to date, gets the addition and takes the name by `rename`, which is atomic (POSIX). The
other then is what was published before, complete up to where its entries ended, so the next turn copies no more than
the last addition: each byte is written twice, whatever the size of the file. Who opened that one while it was
published may be reading it still. Then it is left to him, and the next turn makes another copy, of the whole. Where the
system cannot tell (it can on Linux), small files are copied each time, and of large ones a reader that takes longer
than from one write to the next may find the end changed.

No write in place can do that. A process may be killed between two pages of a `write`, and a reader may come in the
middle of one.

The copies live in a hidden directory beside the file, the room, which is there as long as anyone records:

    out.har                 a link to one of the two copies
    .out.har.otel-har/      for the owner only
        0, 1                the copies
        turn                locked by the process whose turn it is
        presence            locked by every process that records, together
        new, next           a moment's names, on the way to `0` and to `out.har`

A file that is none of the two copies is somebody else's and is left alone. One that is gone starts anew.

A process that finds others at work on its recording's file takes part from its first addition on. Until then nobody
waits for it: helpers such as multiprocessing's resource tracker, which record nothing, may live on for a while.
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

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.document import Growth, HarDocument, Standing
from otel_har.export.files.growing import LOCK_SECONDS, Claim, Compose, GrowingFile, TakenError, not_now
from otel_har.export.files.mending import Salvage, salvaged, whole
from otel_har.export.files.room import COPIES, Room, RoomError, room_path

_MOST_COPIED_BYTES = 4 * 1024 * 1024  # with each addition, where nobody can tell whether a copy is read
_State = tuple[int, int, int]  # of a file: inode, size, time of the last change
_logger = logging.getLogger("otel_har")


class SwappedFile(GrowingFile):
    """A document whose file is replaced with each addition.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        claim: What this process wants of it.
        patience_s: How long the first turn is waited for, seconds.

    Raises:
        TakenError: When another recording is at work with the file.
        DestinationError: When the turn did not come within the time: whose the file is was not to be seen.
        RoomError: When the filesystem has no room, links or renaming for this.
        ExportError: When the file cannot be written, or cannot be appended to.
    """

    def __init__(self, path: Path, document: HarDocument, claim: Claim, *, patience_s: float = LOCK_SECONDS) -> None:
        self.path = path
        self._document = document
        self._claim = claim
        self._seen: dict[_State, Standing] = {}
        self._can_see_readers = True
        self._room = Room(path)
        try:
            self._begin(patience_s)
        except OSError as fault:
            self._room.leave(seconds=0)
            raise fault if isinstance(fault, ExportError) else access.cannot_write(path, fault) from fault
        self._claim = replace(claim, may_replace=False)  # what another recording began since is never replaced

    def add(self, compose: Compose) -> Standing:
        """Write the addition to the other copy, and publish that."""
        try:
            with self._room.turn(LOCK_SECONDS):
                if not self._room.is_undisturbed:
                    self._seen = {}
                if not self._room.is_present:
                    self._take_part()
                name, standing = self._published()
                growth = compose(standing)
                other = COPIES[1 - COPIES.index(name)]
                with self._open(name, os.O_RDONLY) as source, self._open_other(other, source) as target:
                    self._bring_up_to_date(source, target, standing)
                    self._write(target, standing, growth)
                    self._publish(other, target, standing)
                    self._seen = {_state(target): growth.standing, _state(source): standing}
                return growth.standing
        except (DestinationError, TakenError):
            raise
        except OSError as fault:
            raise not_now(self.path, fault) from fault

    def close(self) -> None:
        """Stop taking part; the last one that does so clears the room away."""
        self._room.leave()

    def forget(self) -> None:
        """In a forked child: the locks are the parent's."""
        self._room.forget()

    def _begin(self, patience_s: float) -> None:
        """See that the file can be recorded to, and begin it where nobody else did."""
        status = self._status()
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise access.cannot_write(self.path, OSError(errno.EINVAL, "it is not a regular file"))
        with self._room.turn(patience_s):
            if self._room.is_alone():
                self._take_alone()
                self._room.join()
            else:
                self._must_be_shared()

    def _take_part(self) -> None:
        """Join those who record to the file, if that is still this recording's."""
        if self._room.is_alone():
            self._take_alone()
        else:
            self._must_be_shared()
        self._room.join()

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
            self._begin_anew()
            return
        if os.geteuid() not in {0, status.st_uid}:
            raise RoomError(f"{self.path} would not be user {status.st_uid}'s any more")
        with self._open_published() as there:
            if not access.locked(there, shared=True):
                raise TakenError(f"another process writes {self.path} in place")
            standing = self._document.read_standing(there)
        left_as = self._room.name_of(status)
        there_is_some = status.st_size > 0 or left_as is not None
        if (standing is not None and self._claim.continues(standing)) or (self._claim.append and there_is_some):
            self._go_on(left_as)
        elif self._claim.may_replace:
            self._begin_anew()
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
                    self._begin_with(found)
                else:
                    raise access.cannot_write(self.path, OSError(errno.EINVAL, "it is no HAR file to append to"))

    def _adopt_or_copy(self, there: int, standing: Standing) -> None:
        self._room.clear()
        status = os.fstat(there)
        access.must_be_ours(self.path, status)
        if status.st_nlink > 1:  # it has a second name, whose owner does not expect it to change
            self._begin_with(whole(there, standing))
            return
        self._room.adopt()
        if self._room.name_of(status) is None:
            self._room.clear()
            raise TakenError(f"{self.path} was replaced by another file")

    def _published(self) -> tuple[str, Standing]:
        """The name of the copy that the file is, and what that holds."""
        status = self._status()
        if status is None:
            _logger.warning("otel-har: %s is gone, it starts anew", self.path)
            return self._begin_anew()
        name = self._room.name_of(status) or self._recognised(status)
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        standing = self._seen.get(state)
        if standing is None and not self._was_changed(state):
            with self._open(name, os.O_RDONLY) as there:
                standing = self._document.read_standing(there)
        if standing is not None and not self._claim.continues(standing):
            raise TakenError(f"another recording writes {self.path}")
        if standing is not None:
            return name, standing
        if not status.st_size:
            _logger.warning("otel-har: %s was emptied, it starts anew", self.path)
            return self._begin_anew()
        return self._restored(name)

    def _recognised(self, status: os.stat_result) -> str:
        """The name of the copy that a file becomes which is none: of this recording, when somebody removed its copy."""
        recordings = {self._claim.recording, *(standing.recording for standing in self._seen.values())}
        if stat.S_ISREG(status.st_mode):
            with contextlib.suppress(PermissionError), self._open_published() as there:
                standing = self._document.read_standing(there)
                if standing is not None and standing.recording in recordings:
                    self._adopt_or_copy(there, standing)
                    return COPIES[0]
        raise TakenError(f"{self.path} was replaced by another file")

    def _was_changed(self, state: _State) -> bool:
        """Whether a copy is not as this process left it, and no other one that records had a turn since."""
        return any(state[0] == seen[0] and state != seen for seen in self._seen)

    def _restored(self, name: str) -> tuple[str, Standing]:
        """After somebody changed the file in place: go on with what is whole of it, or with the other copy."""
        with contextlib.ExitStack() as stack:
            there = stack.enter_context(self._open(name, os.O_RDONLY))
            found = [stack.enter_context(self._salvaged(there))]
            standing = self._document.read_standing(there)
            if found[0] is not None and found[0].is_whole and standing is not None:  # `touch` changes nothing
                self._seen = {}
                return name, standing
            with contextlib.suppress(FileNotFoundError):
                other = stack.enter_context(self._open(COPIES[1 - COPIES.index(name)], os.O_RDONLY))
                standing = self._document.read_standing(other)
                found += [] if standing is None else [whole(other, standing)]
            best = max((one for one in found if one is not None), key=lambda one: one.standing.entries, default=None)
            if best is None:
                _logger.warning("otel-har: %s has nothing that is whole, it starts anew", self.path)
                return self._begin_anew()
            kept = best.standing.entries
            _logger.warning("otel-har: %s is not as it was left, %d entries are kept", self.path, kept)
            return self._begin_with(best)

    def _salvaged(self, there: int) -> contextlib.AbstractContextManager[Salvage | None]:
        return salvaged(there, self._document, self._claim.recording, room_path(self.path))

    def _begin_anew(self) -> tuple[str, Standing]:
        growth = self._document.new(self._claim.recording)
        with self._room.fresh(self._like()) as target:
            access.written(target, growth.entries + growth.tail, 0)
            self._seen = {_state(target): growth.standing}
        self._room.publish_fresh()
        return COPIES[0], growth.standing

    def _begin_with(self, salvage: Salvage) -> tuple[str, Standing]:
        """Publish a new file with the entries of another one."""
        with self._room.fresh(self._like()) as target:
            standing = salvage.copy(target, self._document)
            self._seen = {_state(target): standing}
        self._room.publish_fresh()
        return COPIES[0], standing

    def _bring_up_to_date(self, source: int, target: int, standing: Standing) -> None:
        """Copy the entries that the published copy has and the other one has not."""
        state = _state(target)
        known = self._seen.get(state) or (None if self._was_changed(state) else self._document.read_standing(target))
        good = 0
        # A copy that was being written when its process was killed has no whole end, or one that was whole before.
        if known is not None and known.recording == standing.recording and known.entries_end <= standing.entries_end:
            good = known.entries_end
        try:
            access.copied(source, target, good, standing.entries_end)
        except OSError:
            self._take_back(target, replace(standing, entries_end=good))
            raise

    def _write(self, target: int, standing: Standing, growth: Growth) -> None:
        data = growth.entries + growth.tail
        try:
            access.written(target, data, standing.entries_end)
            os.ftruncate(target, standing.entries_end + len(data))
        except OSError:
            self._take_back(target, standing)
            raise

    def _publish(self, name: str, target: int, standing: Standing) -> None:
        try:
            self._room.publish(name)
        except OSError:
            self._seen[_state(target)] = standing  # so much of it is good; nothing is cut, a name may be there already
            raise

    def _take_back(self, target: int, good: Standing) -> None:
        """Give the space of a failed addition back: what is full is so for others, too."""
        with contextlib.suppress(OSError):
            os.ftruncate(target, good.entries_end)
            self._seen[_state(target)] = good  # the next try need not copy it all again

    @contextlib.contextmanager
    def _open(self, name: str, flags: int) -> Iterator[int]:
        with access.closing(access.opened(name, flags, self._room.descriptor)) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def _open_published(self) -> Iterator[int]:
        with access.closing(access.opened(self.path, os.O_RDONLY)) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def _open_other(self, name: str, like: int) -> Iterator[int]:
        """The copy that is not published; it is made with the first addition, and when the one there is still read."""
        with self._open(name, os.O_RDWR | os.O_CREAT) as descriptor:
            if _may_change(descriptor, like, can_see_readers=self._can_see_readers):
                access.given_mode_of(descriptor, os.fstat(like))
                yield descriptor
                return
        self._room.discard(name)
        with self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
            if access.is_open_elsewhere(descriptor):  # just made, it is not: this filesystem (NFSv4) says so of each
                self._can_see_readers = False
            access.given_mode_of(descriptor, os.fstat(like))
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


def _state(descriptor: int) -> _State:
    status = os.fstat(descriptor)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _may_change(descriptor: int, published: int, *, can_see_readers: bool = True) -> bool:
    """Whether nobody can be reading a copy that was published, has given it a name of his own, or put it there."""
    status = os.fstat(descriptor)
    if status.st_uid not in {os.geteuid(), os.fstat(published).st_uid}:
        return False
    is_read = access.is_open_elsewhere(descriptor) if can_see_readers else None
    return status.st_nlink == 1 and (status.st_size > _MOST_COPIED_BYTES if is_read is None else not is_read)
