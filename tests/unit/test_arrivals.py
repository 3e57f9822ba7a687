"""The arrival of a body's pieces: exact while they are few, and never more than a fixed number."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.arrivals import MOST_PIECES, Arrivals
from otel_har.budget import ByteBudget


def _arrivals(*pieces: tuple[int, int]) -> Arrivals:
    arrivals = Arrivals()
    for instant, offset in pieces:
        arrivals.note(instant, offset)
    return arrivals


def test_nothing_came() -> None:
    """A body that was not read has no pieces."""
    assert (0, []) == (len(Arrivals()), list(Arrivals()))


def test_pieces_are_kept_as_they_came() -> None:
    """Instant and offset of each, in order."""
    pieces = [(100, 3), (100, 4), (250, 10)]
    assert pieces == list(_arrivals(*pieces))
    assert 3 == len(_arrivals(*pieces))


@pytest.mark.parametrize(
    ("offset", "left"),
    [
        (10, [(1, 4), (2, 6), (3, 10)]),
        (8, [(1, 4), (2, 6), (3, 8)]),
        (6, [(1, 4), (2, 6)]),
        (5, [(1, 4), (2, 5)]),
        (1, [(1, 1)]),
        (0, []),
    ],
)
def test_bytes_that_were_given_back(offset: int, left: list[tuple[int, int]]) -> None:
    """The last pieces go, one of them in part."""
    arrivals = _arrivals((1, 4), (2, 6), (3, 10))
    arrivals.retract(offset)
    assert left == list(arrivals)


def test_nothing_to_give_back() -> None:
    """A body without pieces stays so."""
    arrivals = Arrivals()
    arrivals.retract(0)
    arrivals.clear()
    assert [] == list(arrivals)


def test_bursts_are_merged_first() -> None:
    """Of ten bursts of a thousand bytes each, read byte by byte, ten pieces stay, with the time of their last bytes."""
    arrivals = Arrivals()
    for burst in range(10):
        for byte in range(1_000):
            arrivals.note(burst * 1_000_000_000 + byte, burst * 1_000 + byte + 1)
    bursts = [(burst * 1_000_000_000 + 999, (burst + 1) * 1_000) for burst in range(10)]
    assert bursts == list(arrivals.merged(20))


@pytest.mark.parametrize("gap", [0, 1, 1_000_000])
def test_pieces_are_bounded(gap: int) -> None:
    """A body in many pieces has as many as are allowed, no byte is lost, and no instant is late by much."""
    arrivals = Arrivals()
    for number in range(100_000):
        arrivals.note(number * gap, number + 1)
    pieces = list(arrivals)
    assert len(pieces) <= MOST_PIECES
    assert 100_000 == pieces[-1][1]
    assert [(offset - 1) * gap for _, offset in pieces] == [instant for instant, _ in pieces]
    begins = [0, *(offset for _, offset in pieces)]
    late = [instant - begin * gap for (instant, _), begin in zip(pieces, begins, strict=False)]
    assert max(late) <= 100_000 * gap / (MOST_PIECES // 2 - 1) * 2


def test_memory_is_bounded() -> None:
    """Two machine words a piece."""
    arrivals = Arrivals()
    for number in range(50_000):
        arrivals.note(number, number)
    assert sys.getsizeof(arrivals._table) < 3 * 8 * MOST_PIECES


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(1, 100)), max_size=60), st.integers(2, 20))
def test_merging_keeps_the_whole(steps: list[tuple[int, int]], most: int) -> None:
    """Whatever the clock says, merged pieces are as few as asked for, in order, and end where the body ends."""
    arrivals, offset = Arrivals(), 0
    for instant, size in steps:
        offset += size
        arrivals.note(instant, offset)
    merged = list(arrivals.merged(most))
    assert len(merged) <= most
    offsets = [end for _, end in merged]
    assert sorted(set(offsets)) == offsets
    assert [offset] * bool(steps) == offsets[-1:]
    assert set(merged) <= set(arrivals)


def test_room_for_many_pieces_is_taken_and_given_back() -> None:
    """A few pieces cost nothing; the room for more is taken from the budget, and given back with the body."""
    budget = ByteBudget(1_000_000)
    arrivals = Arrivals(budget)
    taken = []
    for number in range(5_000):
        arrivals.note(number, number + 1)
        if number in {30, 40, 4_000}:
            taken.append(budget.taken_bytes)
    assert [0, 32 * 16, (MOST_PIECES - 32) * 16] == taken
    del arrivals
    assert 0 == budget.taken_bytes


def test_fewer_pieces_where_there_is_no_room() -> None:
    """Without room for many pieces those that came close together are one; the last one keeps its instant."""
    arrivals = Arrivals(ByteBudget(0))
    for number in range(1_000):
        arrivals.note(number, number + 1)
    noted = list(arrivals)
    assert len(noted) <= 32
    assert (999, 1_000) == noted[-1]
