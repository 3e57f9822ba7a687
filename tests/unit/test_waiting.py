"""Waiting for room: until there is some, for a time, and never where nobody could make it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

from otel_har.waiting import Finalising, WaitingRoom, is_in_event_loop

PATIENCE_S = 20.0
PATIENCE_MS = 20_000


class _Maker:
    """Who makes the room: counts how often it was hurried, and says whether that helps."""

    def __init__(self, *, helps: bool = True) -> None:
        self.helps = helps
        self.hurried = threading.Semaphore(0)

    def may_help(self) -> bool:
        """Count."""
        self.hurried.release()
        return self.helps


def test_waits_until_there_is_room() -> None:
    """Who waits is woken as soon as there is room, and told so."""
    maker = _Maker()
    room = WaitingRoom(PATIENCE_MS, maker.may_help)
    free = threading.Event()
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(room.wait_until(free.is_set))) for _ in range(3)]
    before = time.monotonic()
    for thread in threads:
        thread.start()
    for _ in threads:
        assert maker.hurried.acquire(timeout=PATIENCE_S)
    free.set()
    room.wake()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [True] * 3 == answers
    assert time.monotonic() - before < PATIENCE_S / 2


def test_wait_ends_with_its_time() -> None:
    """Without room the answer is no, after the time, and nobody is left in the room."""
    maker = _Maker()
    room = WaitingRoom(20, maker.may_help)
    before = time.monotonic()
    assert room.wait_until(lambda: False) is False
    assert 0.02 <= time.monotonic() - before < PATIENCE_S / 2
    room.wake()
    assert {} == room._waiters


def test_room_that_is_made_before_the_wait_is_seen() -> None:
    """Room that is made between the first look and the wait is not missed."""
    room: list[WaitingRoom] = []
    free: list[bool] = []

    class Maker:
        """Makes room while it is asked."""

        def may_help(self) -> bool:
            """Make room."""
            free.append(True)
            room[0].wake()
            return True

    maker = Maker()
    room.append(WaitingRoom(PATIENCE_MS, maker.may_help))
    assert room[0].wait_until(lambda: bool(free)) is True


def test_nobody_waits_in_vain() -> None:
    """Without a time, without hope, without anybody who makes room, and in a finaliser the answer is no at once."""
    hopeless, maker = _Maker(helps=False), _Maker()
    rooms = [WaitingRoom(0, maker.may_help), WaitingRoom(PATIENCE_MS, hopeless.may_help)]
    answers = [room.wait_until(lambda: False) for room in rooms]
    with Finalising():
        answers.append(WaitingRoom(PATIENCE_MS, maker.may_help).wait_until(lambda: False))
    room = WaitingRoom(PATIENCE_MS, _Maker().may_help)
    gc.collect()
    answers.append(room.wait_until(lambda: False))
    assert [False] * 4 == answers


def test_finaliser_may_make_room_at_any_time() -> None:
    """What a finaliser gives back in the middle of a wait wakes the waiter, whichever thread it runs in."""
    maker = _Maker()
    room = WaitingRoom(PATIENCE_MS, maker.may_help)
    attempts = 0

    class Held:
        """Makes room when it is let go."""

        def __del__(self) -> None:
            room.wake()

    def attempt() -> bool:
        nonlocal attempts
        attempts += 1
        Held()
        return attempts == 3

    assert room.wait_until(attempt) is True


def test_event_loop_is_seen() -> None:
    """Only the thread that runs a loop is in it."""

    async def inside() -> tuple[bool, bool]:
        return is_in_event_loop(), await asyncio.to_thread(is_in_event_loop)

    assert (False, (True, False)) == (is_in_event_loop(), asyncio.run(inside()))
