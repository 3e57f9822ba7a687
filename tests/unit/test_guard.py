"""The guard: nothing of ours breaks the program, and each kind of fault is logged once."""

from __future__ import annotations

import gc
import logging
import sys
from collections import Counter

import pytest

from otel_har import guard
from otel_har.guard import fault_counts, guarded


def test_result_passes() -> None:
    """Without a fault the call is what it was."""

    @guarded("adding")
    def add(one: int, other: int = 1) -> int:
        """Add."""
        return one + other

    assert (3, "add", "Add.") == (add(1, other=2), add.__name__, add.__doc__)


def test_fault_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A fault gives None, is logged with its traceback the first time and counted each time."""

    @guarded("a task of test_fault_is_logged_once")
    def fail(fault: Exception) -> None:
        raise fault

    with caplog.at_level(logging.ERROR, "otel_har"):
        assert [None, None, None] == [fail(ValueError()), fail(ValueError()), fail(KeyError())]
    assert ["ValueError", "KeyError"] == [
        record.exc_info[0].__name__ for record in caplog.records if record.exc_info and record.exc_info[0]
    ]
    assert "a task of test_fault_is_logged_once failed (ValueError)" in caplog.records[0].getMessage()
    counts = {task: count for task, count in fault_counts().items() if "test_fault_is_logged_once" in task}
    assert {
        "a task of test_fault_is_logged_once: ValueError": 2,
        "a task of test_fault_is_logged_once: KeyError": 1,
    } == counts


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_stops_a_program_passes(stop: type[BaseException]) -> None:
    """Only an `Exception` is a fault: what ends the program is the program's."""

    @guarded("stopping")
    def fail() -> None:
        raise stop

    with pytest.raises(stop):
        fail()


def test_kinds_are_bounded_and_keep_no_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of exceptions that a program makes as it goes are counted, and let go."""

    @guarded("a task of test_kinds_are_bounded")
    def fail(number: int) -> None:
        raise type(f"Fault{number}", (Exception,), {})

    monkeypatch.setattr(guard, "_faults", Counter())  # the kinds that other tests count stay theirs
    logging.getLogger("otel_har").disabled = True  # a record would keep its exception
    for number in range(2_000):
        fail(number)
    logging.getLogger("otel_har").disabled = False
    counts = {task: count for task, count in fault_counts().items() if "test_kinds_are_bounded" in task}
    gc.collect()
    assert 2_000 == sum(counts.values())
    assert len(fault_counts()) <= 1_001
    assert [] == [one for one in Exception.__subclasses__() if one.__name__.startswith("Fault")]


class _Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise LookupError(record.getMessage())


def test_a_logging_handler_that_raises() -> None:
    """What the program's own logging raises does not come out of ours."""

    @guarded("a task of test_a_logging_handler_that_raises")
    def fail() -> None:
        raise ValueError

    logger, handler = logging.getLogger("otel_har"), _Raising()
    logger.addHandler(handler)
    try:
        assert None is fail()
    finally:
        logger.removeHandler(handler)
    assert 1 == fault_counts()["a task of test_a_logging_handler_that_raises: ValueError"]


def test_a_full_stack() -> None:
    """A fault with no room left on the stack to tell of it is no fault of the program's either."""

    @guarded("a task of test_a_full_stack")
    def fail() -> int:
        return fail_at_the_limit()

    def fail_at_the_limit() -> int:
        return fail_at_the_limit() + 1

    def descend(frames: int) -> int | None:
        return descend(frames - 1) if frames else fail()

    frame, frames = sys._getframe(), 0
    while frame.f_back is not None:
        frame, frames = frame.f_back, frames + 1
    assert [None] * 20 == [descend(sys.getrecursionlimit() - frames - room) for room in range(10, 30)]
