"""The one place where any exception is caught: nothing of ours breaks the program that is being recorded.

The rule: whatever OpenTelemetry, a client library or the interpreter calls of ours goes through `guarded`. A fault
is logged once for each kind, with its traceback, and counted after that. Kinds are known by name: a program that makes
classes of exceptions as it goes has none of them kept.
"""

from __future__ import annotations

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from otel_har.errors import OtelHarError

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("otel_har")
_MAX_KINDS = 1_000
Faults = Counter[tuple[str, str]]
"""How often each kind of fault happened."""

_faults: Faults = Counter()
_told: Faults = Counter()
if hasattr(os, "register_at_fork"):  # a child counts its own
    os.register_at_fork(after_in_child=_faults.clear)
    os.register_at_fork(after_in_child=_told.clear)


def guarded(task: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a callable that returns None where the decorated one raises an `Exception`.

    Args:
        task: What is being done, in words, for the log: "noting a response".
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def guarded_function(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as fault:  # noqa: BLE001 - the one broad except: see the rule above
                try:  # noqa: SIM105 - that takes room on the stack, too
                    report(task, fault)
                except Exception:  # noqa: BLE001, S110 - no room on the stack, or in the program's logging
                    pass
                return None

        return guarded_function

    return decorate


def report(task: str, fault: Exception) -> None:
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
