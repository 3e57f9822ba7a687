"""The pace of a worker: after each millisecond of work it lets the program run.

The rule: a thread that works gives the interpreter up every 5 ms only (`sys.getswitchinterval`), and the program's own
thread asks for it again after each call of the system: an event loop that has twenty answers to read would wait twenty
times. So the worker pauses of itself, about as long as it worked. It pauses less the more waits, and not at all where
somebody waits for the worker: nothing is lost for it, and no end comes later.
"""

from __future__ import annotations

import time
from collections.abc import Sized
from contextvars import ContextVar

from otel_har.budget import ByteBudget

_WORK_S = 0.001  # a shorter one lets the caches of both threads go cold more often
_LONGEST_PAUSE_S = 0.001


class Pace:
    """How long a worker pauses, and when.

    Args:
        items: What waits.
        most_items: How much may.

    Attributes:
        budget: What the waiting entries hold their bytes of; None where none of them holds any.
        is_hurried: True while somebody waits for the worker.
    """

    __slots__ = ("_items", "_most_items", "_pauses_at", "budget", "is_hurried")

    def __init__(self, items: Sized, most_items: int) -> None:
        self._items = items
        self._most_items = max(1, most_items)
        self._pauses_at = 0.0
        self.budget: ByteBudget | None = None
        self.is_hurried = False

    def keep(self) -> None:
        """Keep it in this thread, from now on."""
        _pace.set(self)
        self._pauses_at = time.thread_time() + _WORK_S

    def pause(self) -> None:
        """Pause, when this thread has worked for long enough since it did last."""
        if time.thread_time() < self._pauses_at:
            return
        pause_s = self.pause_s
        if pause_s > 0:
            time.sleep(pause_s)
        self._pauses_at = time.thread_time() + _WORK_S

    @property
    def pause_s(self) -> float:
        """How long a pause is now, seconds: none once half of what may wait does, in entries or in bytes."""
        if self.is_hurried:
            return 0.0
        waiting = len(self._items) / self._most_items
        if self.budget is not None:
            waiting = max(waiting, self.budget.taken_bytes / max(1, self.budget.limit_bytes))
        return _LONGEST_PAUSE_S * max(0.0, 1 - 2 * waiting)


_pace: ContextVar[Pace | None] = ContextVar("otel_har_pace", default=None)


def current() -> Pace | None:
    """The pace that this thread keeps; None in every thread but that of a worker."""
    return _pace.get()


def pause() -> None:
    """Let the program run, if this thread keeps a pace and it is time.

    Whoever works on many entries, one after the other, calls it between them.
    """
    pace = _pace.get()
    if pace is not None:
        pace.pause()
