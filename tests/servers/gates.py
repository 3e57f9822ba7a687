"""Named gates and marks: how a test, a program in a child process and the server wait for each other."""

from __future__ import annotations

import threading
from collections import Counter

PATIENCE_S = 20.0
"""How long anyone waits; nothing that works comes near it."""


class Gates:
    """Permits that let the server go on (`release`, `enter`) and marks of what it has done (`mark`, `wait`)."""

    def __init__(self) -> None:
        self.expired: list[str] = []
        self._permits: Counter[str] = Counter()
        self._marks: Counter[str] = Counter()
        self._closed = False
        self._changed = threading.Condition()

    def release(self, name: str) -> None:
        """Let one waiter, now or later, through the gate."""
        with self._changed:
            self._permits[name] += 1
            self._changed.notify_all()

    def enter(self, name: str) -> bool:
        """Wait for a permit and use it up; False when none came in time or everything is being closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._permits[name] > 0, PATIENCE_S)
            if self._permits[name] <= 0:
                if not self._closed:
                    self.expired.append(name)
                return False
            self._permits[name] -= 1
            return True

    def mark(self, name: str) -> None:
        """Note that something happened once more."""
        with self._changed:
            self._marks[name] += 1
            self._changed.notify_all()

    def wait(self, name: str, times: int = 1) -> bool:
        """Wait until something has happened so many times; False when it did not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._marks[name] >= times, PATIENCE_S)

    def close(self) -> None:
        """Send everyone home who waits at a gate."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
