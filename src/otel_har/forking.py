"""What a forked child must do anew: locks, queues and threads are not its own.

The rule: a registration with the interpreter is for ever, so there is one of it, however many objects are made, and it
keeps none of them alive.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing.util
import os
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

T = TypeVar("T")

_LAST = -1  # of multiprocessing's finalizers: after the program's own, which may still make requests

_numbers = itertools.count()
_methods: dict[int, tuple[weakref.ref[Any], Callable[[Any], None]]] = {}


def call_in_forked_child(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked while its object lives; nothing where there is no fork."""
    number, methods, bound = next(_numbers), _methods, cast("MethodType", method)

    def forget(_: object) -> None:
        methods.pop(number, None)

    # No lock, which another thread might hold at the fork: each of these is one step of the dictionary. And no
    # `weakref.WeakMethod`: at the interpreter's end its callback may find it gone, and Python reports that.
    methods[number] = (weakref.ref(bound.__self__, forget), bound.__func__)


def _call_methods() -> None:
    """All of them, in the order of their coming, whatever one of them raises: Python reports that, and goes on."""
    with contextlib.ExitStack() as calls:
        for owner, function in reversed(list(_methods.values())):
            alive = owner()
            if alive is not None:
                calls.callback(function, alive)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_call_methods)


def call_around_fork(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call two bound methods in a process that forks, while their object lives: before it, and after it."""
    if not hasattr(os, "register_at_fork"):
        return
    weak_before, weak_after = weakref.WeakMethod(before), weakref.WeakMethod(after)

    def call(weak_method: weakref.WeakMethod[Callable[[], None]]) -> None:
        alive = weak_method()
        if alive is not None:
            alive()

    os.register_at_fork(before=lambda: call(weak_before), after_in_parent=lambda: call(weak_after))


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
