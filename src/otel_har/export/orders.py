"""What a batch processor's worker is told to do."""

from __future__ import annotations

import threading
import time


class Flush:
    """To export everything that waits; answered through `done`.

    Args:
        timeout_millis: How long whoever asked waits for the answer, milliseconds.
        last: Whether to end after it.
    """

    __slots__ = ("deadline", "done", "last", "succeeded")

    def __init__(self, timeout_millis: float, *, last: bool) -> None:
        self.last = last
        self.deadline = time.monotonic() + timeout_millis / 1000
        self.done = threading.Event()
        self.succeeded = False

    @property
    def left_s(self) -> float:
        """The seconds until whoever asked goes on without an answer."""
        return max(0.0, self.deadline - time.monotonic())


class Park:
    """To end, because the process is about to fork."""

    __slots__ = ()


PARK = Park()
Order = Flush | Park | None
"""None is to export what there is."""
