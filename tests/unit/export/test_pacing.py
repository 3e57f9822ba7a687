"""The worker's pace: when it lets the program run, and when it does not."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_har.budget import ByteBudget
from otel_har.export import pacing
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.export.pacing import Pace
from otel_har.limits import CaptureLimits
from otel_har.waiting import WaitingRoom
from records import record_of

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

PATIENCE_S = 20.0
PATIENCE_MS = 20_000
NEVER_MS = 3_600_000


class _Queue:
    """So many items, and how often somebody asked."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.asked = 0

    def __len__(self) -> int:
        self.asked += 1
        return self._count


class _Nobody:
    """Who makes no room for anybody."""

    def may_help(self) -> bool:
        """Never."""
        return False


_NOBODY = _Nobody()
_EMPTY = WaitingRoom(0, _NOBODY.may_help)


def _pace(items: Sized = (), most_items: int = 1_000, batch_size: int = 1_000, waiting: WaitingRoom = _EMPTY) -> Pace:
    return Pace(items, most_items, batch_size, waiting)


def _budget(taken: int) -> ByteBudget:
    """A budget of a million bytes of which some are taken."""
    budget = ByteBudget(1_000_000)
    assert budget.take(taken)
    return budget


def _work_for_two_milliseconds() -> None:
    end = time.thread_time() + 0.002
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize(
    ("count", "taken", "expected_ms"),
    [
        pytest.param(0, 0, 1.0, id="nothing"),
        pytest.param(250, 0, 0.5, id="a quarter of the entries"),
        pytest.param(500, 0, 0.0, id="half of the entries"),
        pytest.param(1_000, 0, 0.0, id="all entries"),
        pytest.param(0, 250_000, 0.5, id="a quarter of the bytes"),
        pytest.param(250, 400_000, 0.2, id="more bytes than entries"),
        pytest.param(0, 500_000, 0.0, id="half of the bytes"),
    ],
)
def test_less_the_more_waits(count: int, taken: int, expected_ms: float) -> None:
    """A pause is shorter the more waits, in entries or in bytes."""
    pace = _pace(_Queue(count))
    pace.budget = _budget(taken)

    assert expected_ms / 1000 == pytest.approx(pace.pause_s)


def test_none_for_who_is_waited_for() -> None:
    """Nobody who waits for the worker waits for its pauses."""
    pace = _pace()
    pace.hurry(None)

    assert 0.0 == pace.pause_s


@pytest.mark.parametrize(
    ("count", "taken", "expected_ms"),
    [
        pytest.param(50, 0, 0.5, id="half a batch"),
        pytest.param(100, 0, 0.0, id="a batch"),
        pytest.param(0, 8 * 1024 * 1024, 0.5, id="the bytes of one batch"),
        pytest.param(0, 16 * 1024 * 1024, 0.0, id="the bytes of two batches"),
    ],
)
def test_none_for_who_is_behind(count: int, taken: int, expected_ms: float) -> None:
    """A worker that has the next batch waiting does not pause, however much room there is: an end would come later."""
    pace = _pace(_Queue(count), 10_000, 100)
    pace.budget = ByteBudget(64 * 1024 * 1024)
    assert pace.budget.take(taken)

    assert expected_ms / 1000 == pytest.approx(pace.pause_s, abs=0.00003)


def test_what_is_under_way_takes_room() -> None:
    """What the worker has taken counts like what waits: there is no room for others in its place."""
    pace = _pace(_Queue(100))
    pace.in_flight = 150

    assert 0.0005 == pytest.approx(pace.pause_s)


@pytest.mark.parametrize("place", ["queue", "bytes"])
def test_none_for_who_waits_for_room(place: str) -> None:
    """While a thread waits for room, in the queue or for bytes, the worker does not pause."""
    began, may_end = threading.Event(), threading.Event()

    class _Room:
        def may_help(self) -> bool:
            began.set()
            return not may_end.is_set()

    owner = _Room()
    room = WaitingRoom(PATIENCE_MS, owner.may_help)
    pace = _pace(waiting=room if place == "queue" else _EMPTY)
    pace.budget = ByteBudget(1_000_000)
    pace.budget.waiting = room if place == "bytes" else None
    program = threading.Thread(target=room.wait_until, args=(may_end.is_set,))

    pauses = [pace.pause_s]
    program.start()
    assert began.wait(PATIENCE_S)
    pauses.append(pace.pause_s)
    may_end.set()
    room.wake()
    program.join(PATIENCE_S)
    pauses.append(pace.pause_s)

    assert [0.001, 0.0, 0.001] == pauses


def test_hurried_until_the_last_has_gone() -> None:
    """One who waits for the worker no more leaves it hurried for the others."""
    pace = _pace()
    pace.hurry("flush")
    pauses: list[float] = []

    with pace.hurried_by("fork"):
        pauses.append(pace.pause_s)
    pauses.append(pace.pause_s)
    pace.let_go("flush")
    pauses.append(pace.pause_s)

    assert [0.0, 0.0, 0.001] == pauses


@pytest.mark.parametrize("limit", [0, 1])
def test_queue_and_budget_that_take_nothing(limit: int) -> None:
    """Limits of nothing are limits."""
    pace = _pace([None], limit)
    pace.budget = ByteBudget(0)

    assert 0.0 == pace.pause_s


def _in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE_S)


def test_after_work_only() -> None:
    """A pause is thought of after each millisecond of work, and not without."""
    queue = _Queue(1_000)  # none is made, so that none takes longer than asked for
    asked: list[int] = []

    def work() -> None:
        _pace(queue).keep()
        for _ in range(3):
            pacing.pause()
            asked.append(queue.asked)
            _work_for_two_milliseconds()

    _in_thread(work)

    assert [0, 1, 2] == asked


def test_works_for_as_long_as_it_paused() -> None:
    """Where a pause takes long, because the program calculates, the next one is as long in coming."""
    queue, asked = _Queue(0), []
    ended = threading.Event()

    def calculate() -> None:
        while not ended.is_set():
            pass

    def work() -> None:
        _pace(queue).keep()
        _work_for_two_milliseconds()
        pacing.pause()  # until the other thread has had its interval
        asked.append(queue.asked)
        _work_for_two_milliseconds()
        pacing.pause()
        asked.append(queue.asked)

    calculating = threading.Thread(target=calculate)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.05)
    try:
        calculating.start()
        _in_thread(work)
    finally:
        sys.setswitchinterval(interval_s)
        ended.set()
        calculating.join(PATIENCE_S)

    assert [1, 1] == asked


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts how often a thread gave its processor away")
def test_gives_the_processor_away() -> None:
    """A pause is one: the thread waits meanwhile."""
    waits: list[int] = []

    def work() -> None:
        _pace().keep()
        _work_for_two_milliseconds()
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        pacing.pause()
        waits.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)

    _in_thread(work)

    assert [True] == [count >= 1 for count in waits]


def test_program_that_replaces_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's tests may replace `time.sleep`: they see no call of ours, and what theirs raises costs nothing."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    def work() -> None:
        _pace().keep()
        _work_for_two_milliseconds()
        pacing.pause()

    _in_thread(work)

    assert [] == slept


def test_copies_of_the_context_keep_no_pace() -> None:
    """What an exporter hands to an event loop of the program runs there in a copy of the worker's context."""
    contexts: list[contextvars.Context] = []
    found: list[bool] = []

    def work() -> None:
        _pace().keep()
        found.append(pacing.current() is not None)
        contexts.append(contextvars.copy_context())

    _in_thread(work)
    found.append(contexts[0].run(pacing.current) is not None)

    assert [True, False] == found


def test_no_pace_but_in_a_worker() -> None:
    """A thread of the program keeps no pace: what it calls of ours does not pause."""
    found: list[Pace | None] = []

    _in_thread(lambda: found.append(pacing.current()))

    assert [None, None] == [pacing.current(), *found]


class _Exporter(HarExporter):
    """Notes how long a pause would be, at first and once somebody waits for the worker."""

    def __init__(self) -> None:
        self.pauses_ms: list[float] = []
        self.began = threading.Event()
        self.may_end = threading.Event()

    def export(self, batch: HarBatch) -> HarExportResult:  # noqa: ARG002 - the entries are not looked at
        """Note it."""
        pace = pacing.current()
        assert pace is not None
        self.pauses_ms.append(round(pace.pause_s * 1000, 1))
        self.began.set()
        self.may_end.wait(PATIENCE_S)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Nothing is to be done."""


def _exporting(exporter: _Exporter, batch_size: int, queue_size: int = 1_000) -> BatchHarProcessor:
    """Exports as soon as a batch is full, and when it is asked to."""
    settings = BatchSettings(
        schedule_delay_millis=NEVER_MS, max_queue_size=queue_size, max_export_batch_size=batch_size
    )
    return BatchHarProcessor(exporter, settings)


def test_flush_does_not_wait_for_pauses() -> None:
    """The worker keeps a pace until a flush is asked for, and again after it."""
    exporter = _Exporter()
    exporter.may_end.set()
    processor = _exporting(exporter, 2)

    for _ in range(2):
        processor.on_record(record_of())
    assert exporter.began.wait(PATIENCE_S)
    processor.on_record(record_of())
    assert processor.force_flush(PATIENCE_MS)
    exporter.began.clear()
    for _ in range(2):
        processor.on_record(record_of())
    assert exporter.began.wait(PATIENCE_S)
    processor.shutdown()

    assert [1.0, 0.0, 1.0] == exporter.pauses_ms


def test_flush_hurries_what_is_under_way() -> None:
    """A batch that is under way when a flush is asked for goes on without pauses."""
    hurried: list[bool] = []

    class _UntilHurried(_Exporter):
        def export(self, batch: HarBatch) -> HarExportResult:
            result = super().export(batch)
            pace, end = pacing.current(), time.monotonic() + PATIENCE_S
            while pace is not None and pace.pause_s and time.monotonic() < end:
                threading.Event().wait(0.001)  # nothing tells that a flush was asked for but the pace
            hurried.append(pace is not None and not pace.pause_s)
            return result

    exporter = _UntilHurried()
    processor = _exporting(exporter, 1)
    processor.on_record(record_of())
    assert exporter.began.wait(PATIENCE_S)
    exporter.may_end.set()

    assert processor.force_flush(PATIENCE_MS)
    processor.shutdown()
    assert [True] == hurried


def test_one_flush_does_not_slow_another() -> None:
    """Who waits for a later flush waits without pauses, too, when an earlier one is done."""
    exporter = _Exporter()
    processor = _exporting(exporter, 2)
    processor.on_record(record_of())
    flushes = [threading.Thread(target=processor.force_flush, args=(PATIENCE_MS,)) for _ in range(2)]

    flushes[0].start()
    assert exporter.began.wait(PATIENCE_S)
    for _ in range(2):
        processor.on_record(record_of())  # the worker is to export them before it sees the second flush
    flushes[1].start()
    end = time.monotonic() + PATIENCE_S
    while processor._wake.qsize() < 2 and time.monotonic() < end:
        threading.Event().wait(0.001)
    exporter.may_end.set()
    for flush in flushes:
        flush.join(PATIENCE_S)
    processor.shutdown()

    assert [0.0, 0.0] == exporter.pauses_ms


def test_batch_under_way_counts() -> None:
    """The worker does not pause where its batch takes half of the room: what comes meanwhile would be dropped."""
    exporter = _Exporter()
    exporter.may_end.set()
    processor = _exporting(exporter, 4, 8)

    for _ in range(4):
        processor.on_record(record_of())
    assert exporter.began.wait(PATIENCE_S)
    processor.shutdown()

    assert [0.0] == exporter.pauses_ms


def test_bytes_that_wait() -> None:
    """The worker does not pause while the bodies that wait take half of the room for them."""
    limits = CaptureLimits(budget=ByteBudget(1_000_000))
    exporter = _Exporter()
    processor = _exporting(exporter, 1)

    processor.on_record(record_of(limits=limits, body=b"x" * 600_000))
    assert exporter.began.wait(PATIENCE_S)
    exporter.may_end.set()
    processor.shutdown()

    assert [0.0] == exporter.pauses_ms
