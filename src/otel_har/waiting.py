"""Waiting for room, where the program chose to wait rather than lose.

The rule: what waits never holds up what it waits for. So nobody waits in the thread that makes the room, in a
finaliser, after the end, or in an event loop whose thread alone could go on. Whoever makes room wakes everybody, and
may do so from a finaliser in the middle of a wait: a waiter is a plain lock, which is let go once.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType


class WaitingRoom:
    """Where threads wait until there is room.

    Args:
        timeout_millis: The longest wait, milliseconds; 0 for none.
        may_help: A bound method that says whether waiting may help now, and hurries whoever makes room. It is asked
            before each wait, and whenever a waiter is woken; its object is not kept alive.
    """

    __slots__ = ("_may_help", "_timeout_s", "_waiters")

    def __init__(self, timeout_millis: float, may_help: Callable[[], bool]) -> None:
        self._timeout_s = timeout_millis / 1000
        self._may_help = weakref.WeakMethod(may_help)
        self._waiters: dict[int, threading.Lock] = {}

    def wait_until(self, attempt: Callable[[], bool]) -> bool:
        """Make an attempt again whenever there may be room; whether it succeeded within the time."""
        if self._timeout_s <= 0 or _thread.finalising:
            return False
        deadline = time.monotonic() + self._timeout_s
        while True:
            waiter = threading.Lock()
            waiter.acquire()
            self._waiters[id(waiter)] = waiter  # before the attempt: room that is made after it is told
            try:
                if attempt():
                    return True
                left_s = deadline - time.monotonic()
                may_help = self._may_help()
                if left_s <= 0 or may_help is None or not may_help():
                    return False
                waiter.acquire(timeout=left_s)
            finally:
                self._waiters.pop(id(waiter), None)

    @property
    def is_taken(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiters)

    def wake(self) -> None:
        """There may be room now, or no more sense in waiting."""
        for _ in range(len(self._waiters)):
            try:
                _, waiter = self._waiters.popitem()
            except KeyError:  # another thread was quicker
                return
            waiter.release()

    def forget(self) -> None:
        """In a forked child: those who wait are the parent's threads."""
        self._waiters = {}


class _Thread(threading.local):
    finalising = 0


_thread = _Thread()


class Finalising:
    """While a finaliser hands something on, its thread does not wait: it may hold any lock there is."""

    __slots__ = ()

    def __enter__(self) -> None:
        _thread.finalising += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _thread.finalising -= 1


def is_in_event_loop() -> bool:
    """Whether this thread runs an event loop, all of which a wait would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
