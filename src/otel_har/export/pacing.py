"""The pace of a worker: after each millisecond of work it lets the program run.

The rule: a thread that works gives the interpreter up every 5 ms only (`sys.getswitchinterval`), and the program's own
thread asks for it again after each call of the system: an event loop that has twenty answers to read would wait twenty
times. So the worker pauses of itself, about as long as it worked. It pauses less the more waits, and not at all where
somebody waits for the worker: for its end, or for room. What it works on counts, too: it takes room until it is done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sized
from contextvars import ContextVar

from otel_har.budget import ByteBudget
from otel_har.waiting import WaitingRoom

_WORK_S = 0.001  # a shorter one lets the caches of both threads go cold more often
_LONGEST_PAUSE_S = 0.001
_BACKLOG_BYTES = 16 * 1024 * 1024  # about what a batch under way and the next one hold


class Pace:
    """How long a worker pauses, and when.

    Args:
        items: What waits.
        most_items: How much may, with what the worker has taken.
        batch_size: How many items a batch has; once another one waits, the worker is behind.
        waiting: Where the program waits for room in that.

    Attributes:
        budget: What the waiting entries hold their bytes of; None where none of them holds any.
        in_flight: How many items the worker has taken and not let go of.
    """

    __slots__ = (
        "_batch_size",
        "_hurried_by",
        "_items",
        "_most_items",
        "_never",
        "_pauses_at",
        "_thread",
        "_waiting",
        "budget",
        "in_flight",
    )

    def __init__(self, items: Sized, most_items: int, batch_size: int, waiting: WaitingRoom) -> None:
        self._items = items
        self._most_items = max(1, most_items)
        self._batch_size = max(1, batch_size)
        self._waiting = waiting
        self._pauses_at = 0.0
        self._hurried_by: set[object] = set()
        self.budget: ByteBudget | None = None
        self.in_flight = 0

    def keep(self) -> None:
        """Keep it in this thread, from now on."""
        self._thread = threading.get_ident()
        # Not `time.sleep`, which tests of programs replace, to count its calls or to raise. Made here, for the kind of
        # thread there is now: gevent may have put greenlets in their place.
        self._never = threading.Lock()
        self._never.acquire()
        self._pauses_at = time.thread_time() + _WORK_S
        _pace.set(self)

    @property
    def is_of_this_thread(self) -> bool:
        """Whether it is kept here: what a worker calls back may run elsewhere in a copy of its context."""
        return self._thread == threading.get_ident()

    def pause(self) -> None:
        """Pause, when this thread has worked for as long as its last pause was, and a millisecond."""
        if time.thread_time() < self._pauses_at:
            return
        pause_s, work_s = self.pause_s, _WORK_S
        if pause_s > 0:
            began = time.perf_counter()
            self._never.acquire(timeout=pause_s)
            # Where threads of the program calculate, the interpreter comes back after all of them.
            work_s = max(work_s, time.perf_counter() - began)
        self._pauses_at = time.thread_time() + work_s

    def hurry(self, who: object) -> None:
        """Do not pause while this one waits for the worker."""
        self._hurried_by.add(who)

    def let_go(self, who: object) -> None:
        """This one does not wait any more; others may."""
        self._hurried_by.discard(who)

    @contextlib.contextmanager
    def hurried_by(self, who: object) -> Iterator[None]:
        """This one waits for the worker meanwhile."""
        self.hurry(who)
        try:
            yield
        finally:
            self.let_go(who)

    @property
    def is_hurried(self) -> bool:
        """Whether somebody waits for the worker."""
        for_bytes = self.budget.waiting if self.budget is not None else None
        return bool(self._hurried_by) or self._waiting.is_taken or (for_bytes is not None and for_bytes.is_taken)

    @property
    def pause_s(self) -> float:
        """How long a pause is now, seconds.

        None once the next batch waits, or half of what may wait does, in entries or in bytes.
        """
        if self.is_hurried:
            return 0.0
        count = len(self._items)
        waiting = max(count / self._batch_size, 2 * (count + self.in_flight) / self._most_items)
        if self.budget is not None:
            enough_bytes = min(self.budget.limit_bytes / 2, _BACKLOG_BYTES)
            waiting = max(waiting, self.budget.taken_bytes / max(1, enough_bytes))
        return _LONGEST_PAUSE_S * max(0.0, 1 - waiting)


_pace: ContextVar[Pace | None] = ContextVar("otel_har_pace", default=None)


def current() -> Pace | None:
    """The pace that this thread keeps; None in every thread but that of a worker."""
    pace = _pace.get()
    return pace if pace is not None and pace.is_of_this_thread else None


def pause() -> None:
    """Let the program run, if this thread keeps a pace and it is time.

    Whoever works on many entries, one after the other, calls it between them.
    """
    pace = current()
    if pace is not None:
        pace.pause()
