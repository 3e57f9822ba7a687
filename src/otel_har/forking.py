"""What a forked child must do anew: locks, queues and threads are not its own.

The rule: a registration with the interpreter is for ever, so it keeps nothing alive.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def call_in_forked_child(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked while its object lives; nothing where there is no fork."""
    if not hasattr(os, "register_at_fork"):
        return
    weak_method = weakref.WeakMethod(method)

    def call() -> None:
        alive = weak_method()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=call)
