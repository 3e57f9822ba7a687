"""What a forked child must do anew: locks, queues and threads are not its own.

The rule: a registration with the interpreter is for ever, so there is one of it, however many objects are made, and it
keeps none of them alive.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing.util
import os
import sys
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

T = TypeVar("T")

_LAST = -1  # of multiprocessing's finalizers: after the program's own, which may still make requests

_numbers = itertools.count()
_Methods = dict[int, tuple[weakref.ref[Any], Callable[[Any], None]]]
_methods: _Methods = {}
_before: _Methods = {}
_after: _Methods = {}

LOOKS_FOR_THREADS_LATE = sys.version_info >= (3, 13)
"""Whether Python looks for threads, to warn of them, when the hooks behind a fork have run: none should start there."""


def call_in_forked_child(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked while its object lives; nothing where there is no fork."""
    _register(_methods, method)


def call_around_fork(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call two bound methods in a process that forks, while their object lives: before it, and after it."""
    _register(_before, before)
    _register(_after, after)


def _register(methods: _Methods, method: Callable[[], None]) -> None:
    number, bound = next(_numbers), cast("MethodType", method)

    def forget(_: object) -> None:
        methods.pop(number, None)

    # No lock, which another thread might hold at the fork: each of these is one step of the dictionary. And no
    # `weakref.WeakMethod`: at the interpreter's end its callback may find it gone, and Python reports that.
    methods[number] = (weakref.ref(bound.__self__, forget), bound.__func__)


def _call(methods: _Methods) -> None:
    """All of them, in the order of their coming, whatever one of them raises: Python reports that, and goes on."""
    with contextlib.ExitStack() as calls:
        for owner, function in reversed(list(methods.values())):
            alive = owner()
            if alive is not None:
                calls.callback(function, alive)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=functools.partial(_call, _before),
        after_in_parent=functools.partial(_call, _after),
        after_in_child=functools.partial(_call, _methods),
    )


def call_at_exit_of_multiprocessing_children(owner: T, function: Callable[[T], None]) -> None:
    """Call `function` with `owner`, while that lives, at the end of every forked child of multiprocessing.

    Those end without Python's own exit. Spawned children exit as programs do, and need nothing.
    """

    def call_last(alive: T) -> None:
        multiprocessing.util.Finalize(None, function, args=(alive,), exitpriority=_LAST)

    multiprocessing.util.register_after_fork(owner, call_last)


def thread_has_gone(thread: threading.Thread) -> bool:
    """Whether a thread has ended for the operating system, too, which is a moment after Python says so."""
    return not thread.is_alive() and not (
        thread.native_id is not None and os.path.exists(f"/proc/self/task/{thread.native_id}")  # noqa: PTH110 - cheap
    )
