"""The guard: nothing of ours breaks the program, and each kind of fault is logged once."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import logging
import signal
import sys
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from otel_har import guard
from otel_har.guard import attempted, fault_counts, guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


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
    assert [None] * 35 == [descend(sys.getrecursionlimit() - frames - room) for room in range(25, 60)]


class _TimeLimitError(Exception):
    """Of the program."""


def _handle(_number: int, _frame: FrameType | None) -> None:
    raise _TimeLimitError


class _Handler:
    def handle(self, _prefix: str, *_signal: object, **_more: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        _fail_deeper()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        _fail_deeper()


def _fail_deeper() -> None:
    raise _TimeLimitError


HANDLERS: dict[str, Callable[[int, FrameType | None], None]] = {
    "function": _handle,
    "method that puts the default back": functools.partial(_Handler().handle, "prefix"),
    "object": _Handler(),
}


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
@pytest.mark.parametrize("name", HANDLERS)
def test_what_a_signal_handler_raises_passes(name: str) -> None:
    """A time limit that comes in the midst of ours is the program's: it passes all guards, and is not counted."""

    @guarded("a task of test_what_a_signal_handler_raises_passes")
    def outer() -> None:
        inner()

    @guarded("a task of test_what_a_signal_handler_raises_passes")
    def inner() -> None:
        signal.raise_signal(signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, HANDLERS[name])
    gc.disable()
    try:
        with pytest.raises(_TimeLimitError) as raised:
            outer()
        fault = weakref.ref(raised.value)
        del raised
        assert fault() is None
    finally:
        gc.enable()
        signal.signal(signal.SIGUSR1, previous)
    assert [] == [kind for kind in fault_counts() if "test_what_a_signal_handler_raises_passes" in kind]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_a_signal_while_a_fault_is_logged() -> None:
    """A time limit that comes in the program's logging of our fault is the program's, too."""

    class Signalling(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGUSR1)

    @guarded("a task of test_a_signal_while_a_fault_is_logged")
    def fail() -> None:
        raise ValueError

    logger, handler = logging.getLogger("otel_har"), Signalling()
    logger.addHandler(handler)
    previous = signal.signal(signal.SIGUSR1, _handle)
    try:
        with pytest.raises(_TimeLimitError):
            fail()
    finally:
        signal.signal(signal.SIGUSR1, previous)
        logger.removeHandler(handler)


def test_a_fault_beside_a_frame_is_none_of_a_handler() -> None:
    """Functions that get a frame for another reason raise as any other, and nothing keeps the fault."""

    @guarded("a task of test_a_fault_beside_a_frame")
    def fail() -> None:
        look(sys._getframe(), 1)

    def look(frame: FrameType, number: int) -> None:
        faults.append(weakref.ref(fault := _TimeLimitError(frame.f_lineno, number)))
        raise fault

    faults: list[weakref.ref[_TimeLimitError]] = []
    logger = logging.getLogger("otel_har")
    logger.disabled = True  # a record would keep its exception
    try:
        assert None is fail()
    finally:
        logger.disabled = False
    assert 1 == fault_counts()["a task of test_a_fault_beside_a_frame: _TimeLimitError"]
    gc.collect()
    assert [None] == [fault() for fault in faults]


@pytest.mark.parametrize("stop", [KeyError, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_whatever_lent_code_raises(stop: type[BaseException]) -> None:
    """A function that the program lends to us ends nothing, whatever it raises; who asks for the fault gets it."""

    def fail() -> None:
        raise stop

    assert None is guarded("a task of test_whatever_lent_code_raises", BaseException)(fail)()
    assert stop is type(attempted(fail))


greenlet: Any = importlib.import_module("greenlet")  # has no types
_Timeout = type("Timeout", (BaseException,), {"__module__": "gevent.timeout"})  # as gevent's is, without loading it


@pytest.mark.parametrize("stop", [greenlet.GreenletExit, _Timeout])
def test_what_greenlets_throw_passes(stop: type[BaseException]) -> None:
    """A greenlet that is killed, or whose time is over, is the program's, while lent code works, too."""

    def wait() -> None:
        parent.switch()

    calls: list[Callable[[], object]] = [
        guarded("a task of test_what_greenlets_throw_passes", BaseException)(wait),
        lambda: attempted(wait),
    ]
    parent = greenlet.getcurrent()
    found = []
    for call in calls:
        ended: list[type[BaseException]] = []

        def work(call: Callable[[], object] = call, ended: list[type[BaseException]] = ended) -> None:
            try:
                call()
            except BaseException as fault:  # noqa: BLE001 - whatever came
                ended.append(type(fault))

        child = greenlet.greenlet(work)
        child.switch()
        child.throw(stop())
        found.append(ended)
    assert [[stop], [stop]] == found


class _Exiting(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise SystemExit(record.getMessage())


def test_a_logging_handler_that_exits() -> None:
    """A handler that our fault ends in does not end the program's call either."""

    @guarded("a task of test_a_logging_handler_that_exits")
    def fail() -> None:
        raise ValueError

    logger, handler = logging.getLogger("otel_har"), _Exiting()
    logger.addHandler(handler)
    try:
        assert None is fail()
    finally:
        logger.removeHandler(handler)
