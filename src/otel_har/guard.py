"""The one place where any exception is caught: nothing of ours breaks the program that is being recorded.

The rule: whatever OpenTelemetry, a client library or the interpreter calls of ours goes through `guarded`, or gives
what it catches to `caught`, and does nothing else with it. A fault is logged once for each kind, with its traceback,
and counted after that. Kinds are known by name: a program that makes classes of exceptions as it goes has none of them
kept.

What a signal handler of the program raises (a time limit by `SIGALRM`) is no fault: Python calls handlers between any
two bytecodes, ours among them. It goes on to the program, as it would have from anywhere else.

A function that the program lends to us is held tighter: what it raises to end the program or a task, `SystemExit` for
example, is a fault like others. Only what comes from outside goes on: a signal handler's, Ctrl-C, and what another
greenlet throws into this one to end it or its time.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, TypeVar

from otel_har.errors import OtelHarError

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("otel_har")
_MAX_KINDS = 1_000
_GREENLET_LIBRARIES = frozenset({"greenlet", "gevent", "eventlet"})
Faults = Counter[tuple[str, str]]
"""How often each kind of fault happened."""

_faults: Faults = Counter()
_told: Faults = Counter()
if hasattr(os, "register_at_fork"):  # a child counts its own
    os.register_at_fork(after_in_child=_faults.clear)
    os.register_at_fork(after_in_child=_told.clear)


def guarded(task: str, faults: type[BaseException] = Exception) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a callable that returns None where the decorated one raises an `Exception`.

    Args:
        task: What is being done, in words, for the log: "noting a response".
        faults: What else is a fault: `BaseException` where the decorated one does nothing but call a function that the
            program lends to us.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def guarded_function(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except faults as fault:  # the one broad except: see the rule above
                caught(task, fault)
                return None

        return guarded_function

    return decorate


def caught(task: str, fault: BaseException) -> None:
    """What `guarded` does with a fault: report it, or raise it where it is the program's own.

    The few functions that every exchange goes through catch faults themselves and give them here, at once and as the
    only thing: `guarded` costs a call, and arguments packed and unpacked, each time.
    """
    try:
        passing = _settle(task, fault)
    except Exception:  # noqa: BLE001 - no room on the stack
        passing = None
    if passing is None:
        return
    try:
        raise passing
    finally:
        del passing, fault  # else it and this frame would keep each other


def attempted(function: Callable[[], R]) -> R | BaseException:
    """What a callable gives, or whatever it raises: for who has to tell the fault to somebody.

    What comes from outside goes on to the program.
    """
    try:
        return function()
    except BaseException as fault:
        if _is_from_outside(fault):
            raise
        return fault


def _settle(task: str, fault: BaseException) -> BaseException | None:
    """Report a fault; what is the program's own, and has to be raised."""
    try:
        if _is_from_outside(fault):
            return fault
        report(task, fault)
    except BaseException as later:  # noqa: BLE001 - in the program's logging, or a signal meanwhile
        return later if _is_from_outside(later) else None
    return None


def _is_from_outside(fault: BaseException) -> bool:
    return is_of_signal_handler(fault) or _is_interrupt(fault) or _is_thrown(fault)


def is_of_signal_handler(fault: BaseException) -> bool:
    """Whether a signal handler raised this: a function that got a signal's number and the frame it was called in.

    So Python calls handlers (https://docs.python.org/3/library/signal.html#signal.signal), and nobody else. The present
    handlers tell less: many put the previous one back before they raise.
    """
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next  # not the first, which caught it: looking at its variables would keep the fault in them
        if _is_handler(trace.tb_frame):
            return True
    return False


def _is_interrupt(fault: BaseException) -> bool:
    """Whether this is Ctrl-C, which Python's own handler raises, in the main thread only; it leaves no frame."""
    return isinstance(fault, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _is_thrown(fault: BaseException) -> bool:
    """Whether this is what greenlets throw into each other: `GreenletExit`, the `Timeout` of gevent and eventlet."""
    if isinstance(fault, Exception):
        return False
    return any(kind.__module__.partition(".")[0] in _GREENLET_LIBRARIES for kind in type(fault).__mro__)


def _is_handler(frame: FrameType) -> bool:
    code = frame.f_code
    names = list(code.co_varnames[: code.co_argcount])
    if code.co_flags & inspect.CO_VARARGS:
        names.append(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
    elif len(names) < 2:  # noqa: PLR2004 - number and frame
        return False
    given: list[object] = []
    for name in names:
        value = frame.f_locals.get(name)
        given += value if isinstance(value, tuple) else [value]
    interrupted = frame.f_back
    return interrupted is not None and any(
        second is interrupted and isinstance(first, int) for first, second in itertools.pairwise(given)
    )


def report(task: str, fault: BaseException) -> None:
    """Log the first fault of a kind, count the others; beyond so many kinds, all of one task are one.

    May raise itself: handlers of the program's own log, and there may be no room left on the stack.
    """
    kind = (task, type(fault).__qualname__)
    if kind not in _faults and len(_faults) >= _MAX_KINDS:
        kind = (task, Exception.__qualname__)
    _faults[kind] += 1
    if _faults[kind] == 1:
        _logger.error(
            "otel-har: %s failed (%s); the program goes on, later faults of this kind are only counted",
            task,
            fault if isinstance(fault, OtelHarError) else type(fault).__qualname__,
            exc_info=None if isinstance(fault, OtelHarError) else fault,  # ours say it in one line
        )


@functools.cache
def warn_once(message: str) -> None:
    """Log what a user should know, once in a process."""
    _logger.warning("otel-har: %s", message)


def fault_counts() -> dict[str, int]:
    """How often each kind of fault happened, by task and exception type."""
    return _by_name(_faults)


def faults_so_far() -> Faults:
    """A mark for `take_fault_counts`."""
    return Counter(_faults)


def take_fault_counts(since: Faults) -> dict[str, int]:
    """The faults since a mark that nobody has taken yet, by task and exception type: who takes them tells the user."""
    untold = _faults - (since | _told)
    _told.update(_faults - _told)
    return _by_name(untold)


def _by_name(faults: Faults) -> dict[str, int]:
    return {f"{task}: {kind}": count for (task, kind), count in faults.items()}
