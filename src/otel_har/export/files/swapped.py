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
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.document import Growth, HarDocument, Standing, read_standing
from otel_har.export.files.growing import LOCK_SECONDS, Claim, Compose, GrowingFile, TakenError, not_now
from otel_har.export.files.published import Published, state_of
from otel_har.export.files.room import COPIES

_MOST_COPIED_BYTES = 4 * 1024 * 1024  # with each addition, where nobody can tell whether a copy is read


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
        self._can_see_readers = True
        self._published = Published(path, document, claim)
        self._room = self._published.room
        try:
            self._published.begin(patience_s)
        except OSError as fault:
            self._room.leave(seconds=0)
            raise fault if isinstance(fault, ExportError) else access.cannot_write(path, fault) from fault
        self._published.leave_alone()

    def add(self, compose: Compose) -> Standing:
        """Write the addition to the other copy, and publish that."""
        try:
            with self._room.turn(LOCK_SECONDS):
                if not self._room.is_undisturbed:
                    self._published.seen = {}
                if not self._room.is_present:
                    self._published.take_part()
                name, standing = self._published.published()
                growth = compose(standing)
                other = COPIES[1 - COPIES.index(name)]
                with self._published.open(name, os.O_RDONLY) as source, self._open_other(other, source) as target:
                    self._bring_up_to_date(source, target, standing)
                    self._write(target, standing, growth)
                    self._publish(other, target, standing)
                    self._published.seen = {state_of(target): growth.standing, state_of(source): standing}
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

    def _bring_up_to_date(self, source: int, target: int, standing: Standing) -> None:
        """Copy the entries that the published copy has and the other one has not."""
        state = state_of(target)
        known = self._published.seen.get(state) or (
            None if self._published.was_changed(state) else read_standing(target)
        )
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
            # So much of it is good; nothing is cut, a name may be there already.
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


def _may_change(descriptor: int, published: int, *, can_see_readers: bool = True) -> bool:
    """Whether nobody can be reading a copy that was published, has given it a name of his own, or put it there."""
    status = os.fstat(descriptor)
    if status.st_uid not in {os.geteuid(), os.fstat(published).st_uid}:
        return False
    is_read = access.is_open_elsewhere(descriptor) if can_see_readers else None
    return status.st_nlink == 1 and (status.st_size > _MOST_COPIED_BYTES if is_read is None else not is_read)
