"""Signals that Python overlooks in children of multiprocessing: they are sent again.

Python calls a signal's handler between two bytecodes. A signal that comes as the main thread is about to wait, for a
semaphore say, is noted by the interpreter, and the thread waits nevertheless: the handler is called when something else
ends the waiting. `multiprocessing.Pool.terminate`, which every `with Pool()` ends in, sends SIGTERM once, just as the
workers go to wait for their next task, and then waits for their end. The default action ends them at once; a handler
that is never called would leave both processes waiting for ever.

The rule: only where a handler of ours stands, and only in such children. Programs of other kinds may want the wakeup
descriptor for themselves, and who sends a signal to those looks whether it was of use.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from otel_har.forking import call_around_fork, call_in_forked_child
from otel_har.guard import guarded

_STOP = b"\0"  # no signal has this number
_NUMBERS = 64  # that are read at one time
_NONE = -1  # what `set_wakeup_fd` takes and gives for none
_MAX_FORK_HOLD_S = 0.1
# Python's own, before gevent or eventlet put theirs there: what blocks a greenlet would block them all.
_start_thread = _thread.start_new_thread
_read = os.read


class SignalWatch:
    """Tells of each signal with a handler in Python, from a thread of its own that no waiting of others holds up.

    Args:
        tell: Called in that thread with the number of a signal that has come, some microseconds before. Its handler
            may be called meanwhile, or later, or not at all.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._pipe: tuple[int, int] | None = None
        self._thread_number: int | None = None  # of the operating system
        self._is_parked = False
        call_in_forked_child(self._forget)
        call_around_fork(self._before_fork, self._after_fork)

    @guarded("watching signals")
    def start(self) -> None:
        """From now on; in the main thread. Nothing where another wakeup descriptor is set: its owner sees them."""
        if self._pipe is not None:
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)  # `set_wakeup_fd` asks for it
        present = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if present != _NONE:
            signal.set_wakeup_fd(present)
            os.close(reader)
            os.close(writer)
            return
        self._pipe = reader, writer
        _start_thread(self._watch, (reader,))

    def _watch(self, reader: int) -> None:
        self._thread_number = _thread.get_native_id()
        with contextlib.suppress(OSError):  # the program has closed everything that is open
            while (numbers := _read(reader, _NUMBERS)) and _STOP not in numbers:
                for number in set(numbers):
                    self._tell(number)

    @guarded("ending the watch of signals before a fork")
    def _before_fork(self) -> None:
        """End the thread: a process with threads should not fork, and Python 3.12 warns of it."""
        if self._pipe is None or self._thread_number is None:
            return
        os.write(self._pipe[1], _STOP)
        thread = Path(f"/proc/self/task/{self._thread_number}")
        deadline = time.monotonic() + _MAX_FORK_HOLD_S
        while thread.exists() and time.monotonic() < deadline:
            time.sleep(0)
        self._is_parked = True

    @guarded("watching signals after a fork")
    def _after_fork(self) -> None:
        """Watch again. What came meanwhile is the child's perhaps, and not told."""
        if self._is_parked and self._pipe is not None:
            self._is_parked = False
            self._thread_number = None
            os.set_blocking(self._pipe[0], False)
            with contextlib.suppress(BlockingIOError):
                while _read(self._pipe[0], _NUMBERS):
                    pass
            os.set_blocking(self._pipe[0], True)
            _start_thread(self._watch, (self._pipe[0],))

    @guarded("leaving the parent's watch of signals")
    def _forget(self) -> None:
        """In a forked child: the pipe is its parent's, which would be told of signals that are not its own."""
        pipe, self._pipe, self._thread_number, self._is_parked = self._pipe, None, None, False
        if pipe is None:
            return
        present = signal.set_wakeup_fd(_NONE)
        if present not in {_NONE, pipe[1]}:
            signal.set_wakeup_fd(present)
        os.close(pipe[0])
        os.close(pipe[1])
