"""The account of the bytes that bodies hold."""

from __future__ import annotations

import threading

from otel_har.budget import ByteBudget


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
