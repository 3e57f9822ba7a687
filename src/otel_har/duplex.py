"""What passes over a connection that was upgraded: bytes both ways, with their instants.

The rule is that of `exchange`: noting is cheap, and nothing is interpreted here.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

from otel_har.limits import CaptureLimits
from otel_har.message import Body

_MAX_PIECES = 100_000
_MARK_BYTES = 16  # of a piece's end and instant


class Passage:
    """What passes one way over an upgraded connection: the bytes, and when each piece of them came.

    A piece beyond the limits (of bytes, of pieces) and everything behind it is counted, not kept.

    Attributes:
        body: The bytes.
    """

    __slots__ = ("_ends", "_instants", "_limits", "body")

    def __init__(self, limits: CaptureLimits) -> None:
        self._limits = limits
        self._ends = array("q")
        self._instants = array("q")
        self.body = Body(limits)

    def note(self, piece: bytes | bytearray | memoryview, at: int) -> None:
        """Note a piece, and the instant of its passing in nanoseconds of the exchange's clock."""
        if self.body.rule == "none" or self.is_cut or len(self._ends) >= _MAX_PIECES or not self._has_room():
            self.body.size_bytes += piece.nbytes if isinstance(piece, memoryview) else len(piece)
            return
        before = self.body.kept_bytes
        self.body.note(piece)
        if self.body.kept_bytes > before:
            self._instants.append(at)
            self._ends.append(self.body.kept_bytes)
        else:
            self._limits.budget.give_back(_MARK_BYTES)

    def _has_room(self) -> bool:
        self.body.is_over_budget = not self._limits.budget.take(_MARK_BYTES)
        return not self.body.is_over_budget

    def passed_at(self, size_bytes: int) -> int:
        """When so many bytes, of those that are kept, had passed."""
        return self._instants[min(bisect_left(self._ends, size_bytes), len(self._instants) - 1)]

    @property
    def held_bytes(self) -> int:
        """How many bytes are held: those that are kept, and the marks of their pieces."""
        return self.body.kept_bytes + len(self._ends) * _MARK_BYTES

    @property
    def is_cut(self) -> bool:
        """Whether more passed than is kept."""
        return self.body.kept_bytes < self.body.size_bytes

    @property
    def last_at(self) -> int | None:
        """The instant of the last piece that was kept; None without one."""
        return self._instants[-1] if self._instants else None

    def __del__(self) -> None:
        if self._ends:
            self._limits.budget.give_back(len(self._ends) * _MARK_BYTES)


class Duplex:
    """What passes both ways over a connection that was upgraded to a WebSocket (RFC 9110, 7.8).

    Attributes:
        sent: What the program's client gave to the connection.
        received: What the connection gave to it.
        unrecorded: Why nothing is noted, in words; None where it is.
    """

    __slots__ = ("received", "sent", "unrecorded")

    def __init__(self, limits: CaptureLimits, unrecorded: str | None = None) -> None:
        self.sent = Passage(limits)
        self.received = Passage(limits)
        self.unrecorded = unrecorded
