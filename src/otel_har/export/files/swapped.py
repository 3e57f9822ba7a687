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
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.blanks import blanked
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import LOCK_SECONDS, Claim, Compose, GrowingFile, TakenError, not_now
from otel_har.export.files.mending import Salvage
from otel_har.export.files.published import Published, state_of
from otel_har.export.files.repacking import PackedUpkeep
from otel_har.export.files.room import COPIES, room_path
from otel_har.export.files.standing import Growth, Standing, together
from otel_har.export.files.upkeep import ENDLESS, Life, Upkeep

_FILL = 0.75
_logger = logging.getLogger("otel_har")
_MOST_COPIED_BYTES = 4 * 1024 * 1024  # with each addition, where nobody can tell whether a copy is read


class SwappedFile(GrowingFile):
    """A document whose file is replaced with each addition.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        claim: What this process wants of it.
        life: How long entries stay in it, and it in its place.
        patience_s: How long the first turn is waited for, seconds.

    Raises:
        TakenError: When another recording is at work with the file.
        DestinationError: When the turn did not come within the time: whose the file is was not to be seen.
        RoomError: When the filesystem has no room, links or renaming for this.
        ExportError: When the file cannot be written, or cannot be appended to.
    """

    def __init__(
        self,
        path: Path,
        document: HarDocument,
        claim: Claim,
        *,
        life: Life = ENDLESS,
        patience_s: float = LOCK_SECONDS,
    ) -> None:
        self.path = path
        self._document = document
        self._packed = PackedUpkeep(path, document, life, _FILL) if document.is_packed else None
        self._upkeep = self._packed or Upkeep(path, document, life, _FILL)
        self._can_see_readers = True
        self._has_warned = False
        self._published = Published(path, document, claim, self._upkeep)
        self._room = self._published.room
        self._directory = room_path(path)  # for what is unpacked meanwhile
        try:
            self._published.begin(patience_s)
        except OSError as fault:
            self._room.leave(seconds=0)
            raise fault if isinstance(fault, ExportError) else access.cannot_write(path, fault) from fault
        self._published.leave_alone()

    def add(self, compose: Compose) -> Standing:
        """Write the addition to the other copy, and publish that."""
        with self._turn():
            if not self._room.is_present:
                self._published.take_part()
            name, standing = self._standing()
            growth = compose(standing)
            if self._upkeep.is_full(standing, growth):
                name, standing = self._put_aside(name, standing)
                growth = compose(standing)
            return self._grown(name, standing, growth)

    @property
    def due(self) -> float:
        """See `GrowingFile.due`."""
        return self._upkeep.due

    def tend(self) -> None:
        """Do what time brings, if this process has added anything."""
        with self._turn():
            if not self._room.is_present:
                return
            name, standing = self._standing()
            if self._upkeep.is_full(standing):
                name, standing = self._put_aside(name, standing)
            if self._has_to_drop(name, standing):
                self._grown(name, standing, Growth(b"", self._document.ended(standing), standing))

    def _has_to_drop(self, name: str, standing: Standing) -> bool:
        with self._published.open(name, os.O_RDONLY) as source:
            if self._packed is not None:
                has_excess = self._packed.has_excess(source, standing, self._directory)
                self._packed.note_due(standing)
                return has_excess
            return self._upkeep.settled(source, standing)[0].retired != standing.retired

    def close(self) -> None:
        """Stop taking part; the last one that does so clears the room away."""
        self._room.leave()

    def forget(self) -> None:
        """In a forked child: the locks are the parent's."""
        self._room.forget()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            with self._room.turn(LOCK_SECONDS):
                if not self._room.is_undisturbed:
                    self._published.seen = {}
                yield
        except (DestinationError, TakenError):
            raise
        except OSError as fault:
            raise not_now(self.path, fault) from fault

    def _standing(self) -> tuple[str, Standing]:
        name, standing = self._published.published()
        return name, self._upkeep.marked(standing)

    def _grown(self, name: str, standing: Standing, growth: Growth) -> Standing:
        """Publish the other copy, with the addition and without what goes."""
        other = COPIES[1 - COPIES.index(name)]
        with self._published.open(name, os.O_RDONLY) as source, self._open_other(other, source) as target:
            self._bring_up_to_date(source, target, standing)
            if self._upkeep.retains and self._packed is None:
                self._write(target, standing, growth.entries, standing.entries_end)
                after, is_sparse = self._upkeep.settled(target, growth.standing)
                if is_sparse:
                    return self._moved_together(target, standing, after)
                self._write(target, standing, self._document.ended(after), after.entries_end)
                blanked(target, growth.standing.entries_start or after.list_start, after.entries_start)
            else:
                after = growth.standing
                self._write(target, standing, growth.entries + growth.tail, standing.entries_end)
                packed_anew = self._packed_anew(target, standing, after)
                if packed_anew is not None:
                    return packed_anew
                self._upkeep.note_due(after)
            self._publish(other, target, standing, after)
            self._published.seen = {state_of(target): after, state_of(source): standing}
        return after

    def _moved_together(self, target: int, before: Standing, after: Standing) -> Standing:
        """Publish a new copy that has no blanks before its entries."""
        head, moved = access.read(target, 0, after.list_start), together(after)
        try:
            salvage = Salvage(target, after.entries_start, after.entries_end, head, moved)
            return self._published.begin_with(salvage)[1]
        except OSError:
            self._take_back(target, before)
            raise

    def _packed_anew(self, target: int, before: Standing, after: Standing) -> Standing | None:
        """Publish a new copy without what goes of a packed document; None when nothing has to."""
        packed = self._packed
        try:
            if packed is None or not packed.has_excess(target, after, self._directory):
                return None
            with packed.left(target, after, self._directory) as left:
                return None if left is None else self._published.begin_with(left)[1]
        except OSError:
            self._take_back(target, before)
            raise

    def _put_aside(self, name: str, standing: Standing) -> tuple[str, Standing]:
        """Give the file its next name, and begin a new one; where that cannot be, it goes on growing."""
        with self._published.open(name, os.O_RDONLY) as there:
            told = self._document.read_standing(there)
        if told is None or told.series != standing.series:  # of an earlier recording: first it has to say so
            self._grown(name, standing, Growth(b"", self._document.ended(standing), standing))
            name, standing = self._standing()
        try:
            self._published.put_aside(name, standing)
        except OSError as fault:
            if self._published.is_halfway():
                raise
            self._warn(fault)
        return self._standing()

    def _warn(self, fault: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            _logger.warning("otel-har: %s cannot be rotated and goes on growing: %s", self.path, fault)

    def _bring_up_to_date(self, source: int, target: int, standing: Standing) -> None:
        """Copy the entries that the published copy has and the other one has not."""
        state = state_of(target)
        known = self._published.seen.get(state) or (
            None if self._published.was_changed(state) else self._document.read_standing(target)
        )
        good, blank_from = 0, standing.entries_start
        # A copy that was being written when its process was killed has no whole end, or one that was whole before.
        if known is not None and _leads_to(known, standing):
            good, blank_from = known.entries_end, known.entries_start
        try:
            blanked(target, blank_from, standing.entries_start)  # before the end is changed: it tells of that
            access.copied(source, target, good, standing.entries_end)
        except OSError:
            self._take_back(target, replace(standing, entries_end=good, entries_start=blank_from))
            raise

    def _write(self, target: int, good: Standing, data: bytes, position: int) -> None:
        try:
            access.written(target, data, position)
            os.ftruncate(target, position + len(data))
        except OSError:
            self._take_back(target, good)
            raise

    def _publish(self, name: str, target: int, standing: Standing, after: Standing) -> None:
        try:
            self._room.publish(name)
        except OSError:
            # So much of it is good; nothing is cut, a name may be there already.
            if after.entries_start == standing.entries_start:
                self._published.seen[state_of(target)] = standing
            raise

    def _take_back(self, target: int, good: Standing) -> None:
        """Give the space of a failed addition back: what is full is so for others, too."""
        with contextlib.suppress(OSError):
            os.ftruncate(target, good.entries_end)
            self._published.seen[state_of(target)] = good  # the next try need not copy it all again

    @contextlib.contextmanager
    def _open_other(self, name: str, like: int) -> Iterator[int]:
        """The copy that is not published; it is made with the first addition, and when the one there is still read."""
        with self._published.open(name, os.O_RDWR | os.O_CREAT) as descriptor:
            if _may_change(descriptor, like, can_see_readers=self._can_see_readers):
                access.given_mode_of(descriptor, os.fstat(like))
                yield descriptor
                return
        self._room.discard(name)
        with self._published.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
            if access.is_open_elsewhere(descriptor):  # just made, it is not: this filesystem (NFSv4) says so of each
                self._can_see_readers = False
            access.given_mode_of(descriptor, os.fstat(like))
            yield descriptor


def _leads_to(known: Standing, standing: Standing) -> bool:
    """Whether a copy has the beginning of what a document holds, but for entries that were dropped since."""
    return (
        known.recording == standing.recording
        and known.list_start == standing.list_start
        and known.entries_start <= standing.entries_start
        and known.entries_end <= standing.entries_end
    )


def _may_change(descriptor: int, published: int, *, can_see_readers: bool = True) -> bool:
    """Whether nobody can be reading a copy that was published, has given it a name of his own, or put it there."""
    status = os.fstat(descriptor)
    if status.st_uid not in {os.geteuid(), os.fstat(published).st_uid}:
        return False
    is_read = access.is_open_elsewhere(descriptor) if can_see_readers else None
    return status.st_nlink == 1 and (status.st_size > _MOST_COPIED_BYTES if is_read is None else not is_read)
