"""When the pieces of a body came to the program, and where each ended.

The rule: an instant and an offset for each piece, in one array, and never more than `MOST_PIECES` of them. Beyond
that, pieces are merged that came close to one another: bursts go first, and no instant is off by more than a fixed
part of the whole time. The room for more than the first few is taken from the budget; without it fewer pieces are told
apart.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from otel_har.budget import ByteBudget

MOST_PIECES = 4096
_FIRST_PIECES = 32  # as many as every body may have
_PIECE_BYTES = 16


class Arrivals:
    """The arrival of one body's pieces.

    Instants are nanoseconds of the exchange's monotonic clock; an offset counts the bytes from the body's start to
    the end of a piece. Merged pieces have the instant of their last byte.

    Args:
        budget: What the room for many pieces is taken from; None for room without an account.
    """

    __slots__ = ("_budget", "_most", "_table")

    def __init__(self, budget: ByteBudget | None = None) -> None:
        self._budget = budget
        self._most = _FIRST_PIECES
        self._table: array[int] | None = None

    def note(self, instant: int, offset: int) -> None:
        """A piece has come, and ends at this offset."""
        table = self._table
        if table is None:
            self._table = array("q", (instant, offset))
            return
        table.append(instant)
        table.append(offset)
        if len(table) >= 2 * self._most and not self._grows():
            self._table = _merged(table, self._most // 2)

    def _grows(self) -> bool:
        """Whether there is room for twice as many pieces; nobody waits for it."""
        if self._most >= MOST_PIECES:
            return False
        if self._budget is not None and not self._budget.take(self._most * _PIECE_BYTES, may_wait=False):
            return False
        self._most *= 2
        return True

    def retract(self, offset: int) -> None:
        """The body ends at this offset again: the program gave back what came behind it."""
        table = self._table
        instant = None
        while table and table[-1] > offset:
            instant = table[-2]
            del table[-2:]
        if table is not None and instant is not None and offset > (table[-1] if table else 0):
            table.extend((instant, offset))  # what is left of a piece

    def clear(self) -> None:
        """Forget everything."""
        self._table = None

    def __len__(self) -> int:
        return len(self._table) // 2 if self._table is not None else 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self.merged(MOST_PIECES)

    def __del__(self) -> None:
        # A signal handler of the program may have raised in `__init__`.
        if getattr(self, "_most", 0) > _FIRST_PIECES and self._budget is not None:
            self._budget.give_back((self._most - _FIRST_PIECES) * _PIECE_BYTES)

    def merged(self, most: int) -> Iterator[tuple[int, int]]:
        """Instant and offset of each piece, merged to at most so many, 2 at least."""
        table = self._table
        if table is None:
            return iter(())
        if len(table) > 2 * most:
            table = _merged(table, most)
        return zip(table[0::2], table[1::2], strict=False)  # the program may be adding to it


def _merged(table: array[int], most: int) -> array[int]:
    """At most `most` pieces, 2 at least: what came in one cell of time is one.

    Cells are a power of two long, and lie on one grid. So merging again joins whole cells, and no instant is ever
    late by more than a cell: less than two parts in `most` of the whole time.
    """
    span = max(table[0::2]) - table[0]
    bits = (span // (most - 1)).bit_length()
    cell = table[0] >> bits
    merged = array("q")
    last_instant, last_offset = table[0], table[1]
    for instant, offset in zip(table[0::2], table[1::2], strict=False):
        if instant >> bits > cell:
            cell = instant >> bits
            merged.extend((last_instant, last_offset))
        last_instant, last_offset = instant, offset
    merged.extend((last_instant, last_offset))
    return merged
