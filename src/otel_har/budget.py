"""How many bytes of bodies may be held at one time, by everything that is in flight or queued.

The rule: whoever keeps bytes takes them from the budget first and gives them back when the bytes are let go. A
`Body` does the latter in its finaliser, so the account follows the memory itself.
"""

from __future__ import annotations

import threading

from otel_har.forking import call_in_forked_child


class ByteBudget:
    """An account of bytes that threads and finalisers may use at any time.

    Args:
        limit_bytes: The most bytes that may be taken at one time.
    """

    __slots__ = ("__weakref__", "_lock", "_taken_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._taken_bytes = 0
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        # Reentrant: a finaliser may give bytes back while its own thread is taking some.
        self._lock = threading.RLock()

    @property
    def taken_bytes(self) -> int:
        """The bytes that are taken now."""
        return self._taken_bytes

    def take(self, count: int) -> bool:
        """Take `count` bytes; False, with nothing taken, when they would go over the limit."""
        with self._lock:
            if self._taken_bytes + count > self.limit_bytes:
                return False
            self._taken_bytes += count
            return True

    def give_back(self, count: int) -> None:
        """Give `count` bytes back."""
        with self._lock:
            self._taken_bytes -= count
