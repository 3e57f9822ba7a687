"""How many bytes may be held at one time, by everything that is in flight or queued.

The rule: whoever keeps bytes takes them from the budget first and gives them back when the bytes are let go. Finalisers
do the latter, so the account follows the memory itself. An eighth is kept for the entries themselves (heads, URLs,
attributes of spans): bodies go before entries do.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from otel_har.forking import call_in_forked_child
from otel_har.waiting import WaitingRoom

# Entries without bodies are recorded under the smallest limit, too.
LEAST_ENTRY_BYTES = 1024 * 1024


class ByteBudget:
    """An account of bytes that threads and finalisers may use at any time.

    Args:
        limit_bytes: The most bytes that may be taken at one time.

    Attributes:
        limit_bytes: As given.
        most_taken_bytes: The most bytes that were taken at one time.
        waiting: Where to wait for room; None to take no for an answer.
    """

    __slots__ = (
        "__weakref__",
        "_body_limit_bytes",
        "_entry_limit_bytes",
        "_lock",
        "_taken_bytes",
        "limit_bytes",
        "most_taken_bytes",
        "waiting",
    )

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._body_limit_bytes = limit_bytes - (limit_bytes // 8 & ~1023)  # in whole KiB: tiny limits need no reserve
        self._entry_limit_bytes = max(limit_bytes, LEAST_ENTRY_BYTES)
        self._taken_bytes = 0
        self.most_taken_bytes = 0
        self.waiting: WaitingRoom | None = None
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def __reduce__(self) -> tuple[Callable[[int], ByteBudget], tuple[int]]:
        """In another process it is another account, with the same limit."""
        return _budget_elsewhere, (self.limit_bytes,)

    def _renew_lock(self) -> None:
        # Reentrant: a finaliser may give bytes back while its own thread is taking some.
        self._lock = threading.RLock()

    @property
    def taken_bytes(self) -> int:
        """The bytes that are taken now."""
        return self._taken_bytes

    def take(self, count: int, *, may_wait: bool = True) -> bool:
        """Take `count` bytes for a body; False, with nothing taken, when they would go over the limit for bodies."""
        limit_bytes = self._body_limit_bytes
        return self._take_now(count, limit_bytes) or (may_wait and self._take_later(count, limit_bytes))

    def take_for_entry(self, count: int) -> bool:
        """Take `count` bytes for what an entry needs to be one; False when they would go over the whole limit."""
        limit_bytes = self._entry_limit_bytes
        return self._take_now(count, limit_bytes) or self._take_later(count, limit_bytes)

    def give_back(self, count: int) -> None:
        """Give `count` bytes back."""
        with self._lock:
            self._taken_bytes -= count
        if self.waiting is not None:
            self.waiting.wake()

    def _take_later(self, count: int, limit_bytes: int) -> bool:
        if self.waiting is None or count > limit_bytes:
            return False
        return self.waiting.wait_until(lambda: self._take_now(count, limit_bytes))

    def _take_now(self, count: int, limit_bytes: int) -> bool:
        with self._lock:
            taken_bytes = self._taken_bytes + count
            if count and taken_bytes > limit_bytes:
                return False
            self._taken_bytes = taken_bytes
            if taken_bytes > self.most_taken_bytes:  # noqa: PLR1730 - `max` is a call, and this is for each exchange
                self.most_taken_bytes = taken_bytes
            return True


def _budget_elsewhere(limit_bytes: int) -> ByteBudget:
    return _budget(limit_bytes)


_budget = functools.cache(ByteBudget)


class Charge:
    """What one holder has taken of a budget for an entry; given back when the charge is let go with its holder.

    Args:
        budget: The account.

    Attributes:
        taken_bytes: What is taken.
    """

    __slots__ = ("_budget", "taken_bytes")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.taken_bytes = 0

    def raise_to(self, total_bytes: int) -> bool:
        """Take what is missing to so many bytes; False, with nothing taken, when they would go over the limit."""
        missing_bytes = total_bytes - self.taken_bytes
        if missing_bytes <= 0:
            return True
        if not self._budget.take_for_entry(missing_bytes):
            return False
        self.taken_bytes = total_bytes
        return True

    def raise_by(self, count: int) -> bool:
        """Take so many bytes more; False, with nothing taken, when they would go over the limit."""
        if not self._budget.take_for_entry(count):
            return False
        self.taken_bytes += count
        return True

    def __del__(self) -> None:
        if getattr(self, "taken_bytes", 0):  # a signal handler of the program may have raised in `__init__`
            self._budget.give_back(self.taken_bytes)
