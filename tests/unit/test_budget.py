"""The account of the bytes that bodies hold."""

from __future__ import annotations

import threading

from otel_har.budget import LEAST_ENTRY_BYTES, ByteBudget, Charge
from otel_har.waiting import WaitingRoom


def test_up_to_the_limit() -> None:
    """The limit itself can be taken, one byte more cannot."""
    budget = ByteBudget(10)
    assert [True, False, True, False] == [budget.take(count) for count in (8, 3, 2, 1)]
    assert 10 == budget.taken_bytes


def test_given_back() -> None:
    """What is given back can be taken again."""
    budget = ByteBudget(10)
    assert budget.take(10)
    budget.give_back(4)
    assert [False, True] == [budget.take(5), budget.take(4)]


def test_nothing_always_fits() -> None:
    """No bytes are no bytes, in a full account too."""
    assert ByteBudget(0).take(0)


def test_threads_never_take_more_than_there_is() -> None:
    """Many threads take and give back, and the account is even at the end."""
    budget = ByteBudget(50)
    over: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(timeout=20)
        for count in range(1, 500):
            if budget.take(count % 20):
                if budget.taken_bytes > budget.limit_bytes:
                    over.append(budget.taken_bytes)
                budget.give_back(count % 20)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert [] == over
    assert 0 == budget.taken_bytes


def test_an_eighth_is_for_entries() -> None:
    """Bodies leave an eighth to what entries need to be entries, which may take everything."""
    budget = ByteBudget(8_000 * 1024)
    assert [True, False] == [budget.take(7_000 * 1024), budget.take(1)]
    assert [True, False] == [budget.take_for_entry(1_000 * 1024 - 1), budget.take_for_entry(2)]
    budget.give_back(budget.taken_bytes)
    assert budget.take_for_entry(8_000 * 1024)
    assert 8_000 * 1024 == budget.most_taken_bytes


def test_entries_without_bodies_have_a_megabyte() -> None:
    """Where no byte is for bodies, entries are recorded all the same."""
    budget = ByteBudget(0)
    assert [False, True, False] == [budget.take(1), budget.take_for_entry(LEAST_ENTRY_BYTES), budget.take_for_entry(1)]


def test_charge() -> None:
    """A charge takes what is missing, nothing where there is no room, and gives everything back when it is let go."""
    budget = ByteBudget(2 * LEAST_ENTRY_BYTES)
    charge = Charge(budget)
    assert [True, True, True] == [charge.raise_to(size) for size in (10, 30, 20)]
    assert 30 == budget.taken_bytes
    assert charge.raise_to(3 * LEAST_ENTRY_BYTES) is False
    assert 30 == budget.taken_bytes
    del charge
    assert 0 == budget.taken_bytes


class _Maker:
    """Makes room whenever it is asked."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.asked = 0

    def may_help(self) -> bool:
        """Give back what is taken."""
        self.asked += 1
        self._budget.give_back(self._budget.taken_bytes)
        return True


def test_waiting_for_bytes() -> None:
    """Who may wait gets the bytes that are given back; who may not, and who asks for more than there is, does not."""
    budget = ByteBudget(10)
    maker = _Maker(budget)
    budget.waiting = WaitingRoom(20_000, maker.may_help)
    assert budget.take(10)
    assert [False, False, True] == [budget.take(5, may_wait=False), budget.take(11), budget.take(5)]
    assert (1, 5) == (maker.asked, budget.taken_bytes)
