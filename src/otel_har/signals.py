"""What a signal that ends the process leaves in the recording: everything, where the default action would kill at once.

The rule: a handler stands only where the signal's default action stood, and does what that does, a moment later: the
recording is shut down, then the process dies of the same signal. A handler of the program's own is never replaced, and
an ignored signal stays ignored.

Python calls the handler between two bytecodes of the main thread, which may hold any lock then. Those of ours that are
taken on the way are reentrant or waited for with a limit; for those of others a thread of its own ends the process when
the time is over.
"""

from __future__ import annotations

import _thread
import contextlib
import multiprocessing.util
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType

from otel_har.processor import HarSpanProcessor
from otel_har.signal_watch import SignalWatch

DEFAULT_SIGNAL_TIMEOUT_MILLIS = 5_000

_INIT_PROCESS_ID = 1
_RETRY_S = 0.01
_A_MOMENT_S = 1e-6
_OVERLOOKED_S = 0.05  # after which a handler that was not called is taken for overlooked
_MAX_OVERLOOKED_S = 1.0
_SPAWNED = "--multiprocessing-fork"  # an argument of the interpreters that multiprocessing starts for a child each
_FRAMES = 100  # of this thread's stack, at most, that shutting down takes
# Python's own, before gevent or eventlet put theirs there; and without the locks of `threading`.
_start_thread = _thread.start_new_thread
_sleep = time.sleep


def shut_down_on_signals(
    processor: HarSpanProcessor, timeout_millis: float = DEFAULT_SIGNAL_TIMEOUT_MILLIS
) -> frozenset[signal.Signals]:
    """Write everything when SIGTERM or SIGHUP ends the process, instead of losing what was not written yet.

    Handlers are installed for those of the two that have their default action now. They shut the processor down and
    then let the process die of the same signal; a second signal meanwhile kills it at once. Forked children inherit
    them, each for its own recording. The processor is not kept alive.

    Args:
        processor: Whose recording is shut down.
        timeout_millis: Milliseconds that this may take; the process dies then, whatever was written.

    Returns:
        The signals that have such a handler now. None on Windows, and where this is not the main thread of the main
        interpreter: Python installs handlers only there.
    """
    if sys.platform == "win32":
        return frozenset()
    installed = set()
    for number in (signal.SIGTERM, signal.SIGHUP):
        present = signal.getsignal(number)
        if isinstance(present, DelayedDefault):
            present.add(processor, timeout_millis)
        elif present is not signal.SIG_DFL or not _install(number, processor, timeout_millis):
            continue
        installed.add(number)
    return frozenset(installed)


def _install(number: signal.Signals, processor: HarSpanProcessor, timeout_millis: float) -> bool:
    handler = DelayedDefault()
    handler.add(processor, timeout_millis)
    try:
        signal.signal(number, handler)
    except ValueError:  # another thread, or another interpreter
        return False
    multiprocessing.util.register_after_fork(handler, DelayedDefault.watch)
    if _SPAWNED in sys.orig_argv:
        handler.watch()
    return True


class DelayedDefault:
    """The default action of a signal that ends the process, once the recordings are written.

    It equals `signal.SIG_DFL` and looks like it: a program that asks whether a signal is still to be handled finds that
    it is. Called by another handler, it writes and returns: what becomes of the process is that handler's decision.
    """

    def __init__(self) -> None:
        self._recordings: list[tuple[weakref.ref[HarSpanProcessor], float]] = []
        self._is_sent_again = False
        self._was_called = False
        self._sending = _thread.allocate_lock()

    def add(self, processor: HarSpanProcessor, timeout_millis: float) -> None:
        """One more recording that is shut down."""
        alive = [(known, timeout) for known, timeout in self._recordings if known() not in {None, processor}]
        self._recordings = [*alive, (weakref.ref(processor), timeout_millis)]

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """What Python calls when the signal has come."""
        self._was_called = True
        try:
            _need_room(_FRAMES)
            self._act(number)
        except RecursionError:  # once more, when the program has come back from there
            if not self._is_sent_again:
                self._is_sent_again = True
                _start_thread(self._send_again, (number,))

    def _send_again(self, number: int) -> None:
        """Until it is taken: before 3.13 Python may overlook a signal while another thread runs, as this one does."""
        while self._is_sent_again:
            _sleep(_RETRY_S)
            with self._sending:
                self._is_sent_again = signal.getsignal(number) is self
                if self._is_sent_again:
                    os.kill(os.getpid(), number)

    def watch(self) -> None:
        """In a child of multiprocessing: have it sent again when Python overlooks it."""
        _watch.start()

    def send_again_if_overlooked(self, number: int) -> None:
        """Until it is called. It may be late for a good reason: the main thread is in a function that is not Python."""
        wait_s = _OVERLOOKED_S
        while True:
            _sleep(wait_s)
            wait_s = min(2 * wait_s, _MAX_OVERLOOKED_S)
            with self._sending:
                if self._was_called or signal.getsignal(number) is not self:
                    return
                os.kill(os.getpid(), number)

    def _act(self, number: int) -> None:
        recordings = [(alive, timeout) for known, timeout in self._recordings if (alive := known()) is not None]
        timeout_millis = max((timeout for _, timeout in recordings), default=0)
        processors = [processor for processor, _ in recordings]
        is_chained = signal.getsignal(number) is not self
        if is_chained or os.getpid() == _INIT_PROCESS_ID:  # the kernel leaves the default actions of that one out
            for processor in processors:
                processor.force_flush(int(timeout_millis))
            return
        is_held = self._sending.acquire(timeout=_RETRY_S)  # for our own would be a second one
        signal.signal(number, signal.SIG_DFL)  # which kills at once
        if is_held:
            self._sending.release()
        _end(number, processors, timeout_millis / 1000)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DelayedDefault) or other == signal.SIG_DFL

    def __hash__(self) -> int:
        """Not that of what it equals: `signal` would then hand programs that, and they would put that back."""
        return id(self)

    def __bool__(self) -> bool:
        return bool(signal.SIG_DFL)

    def __repr__(self) -> str:
        return repr(signal.SIG_DFL)

    def __str__(self) -> str:
        return str(signal.SIG_DFL)


def _send_again_if_overlooked(number: int) -> None:
    handler = signal.getsignal(number)
    if isinstance(handler, DelayedDefault):
        handler.send_again_if_overlooked(number)


_watch = SignalWatch(_send_again_if_overlooked)


def _end(number: int, processors: list[HarSpanProcessor], timeout_s: float) -> None:
    """Shut the recordings down and die of the signal, in any case when the time is over.

    What waits is written before anybody looks at what is in flight: that may get stuck, for the main thread may hold a
    lock of a span.
    """
    with contextlib.suppress(RuntimeError):  # no thread starts any more: nothing of the program runs then
        _start_thread(_send_later, (timeout_s, number))
    if not _may_wait():
        _thread.start_new_thread(_shut_down_and_die, (number, processors, timeout_s))
        return
    interrupted = [processor for processor in processors if processor.is_shutting_down]
    if interrupted:
        # This thread may be in the midst of that: it has to return there, for it to come to its end.
        _call_when_all_are_shut_down(interrupted, lambda: os.kill(os.getpid(), number))
        return
    _shut_down_and_die(number, processors, timeout_s)


def _may_wait() -> bool:
    """Whether this may be waited in: in the midst of an event loop of gevent or eventlet it may not.

    Then what waits is a greenlet, which their `start_new_thread` starts.
    """
    try:
        threading.Event().wait(_A_MOMENT_S)
    except (AssertionError, RuntimeError):
        return False
    return True


def _shut_down_and_die(number: int, processors: list[HarSpanProcessor], timeout_s: float) -> None:
    try:
        for processor in processors:
            processor.force_flush(int(timeout_s * 1000))
        for processor in processors:
            processor.shutdown()
    finally:  # also when another handler of the program raises
        os.kill(os.getpid(), number)


def _need_room(frames: int) -> None:
    if frames:
        _need_room(frames - 1)


def _send_later(seconds: float, number: int) -> None:
    _sleep(seconds)
    os.kill(os.getpid(), number)


def _call_when_all_are_shut_down(processors: list[HarSpanProcessor], call: Callable[[], object]) -> None:
    if processors:
        first, *rest = processors
        first.when_shut_down(lambda: _call_when_all_are_shut_down(rest, call))
    else:
        call()
