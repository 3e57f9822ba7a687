"""A program run as a child, and as if there were no parent.

The rule: the child has what the parent was given: input, output, terminal, process group, signals that are ignored.
What is sent to the parent reaches the child once. A terminal, and `kill` of a job, send to all of a process group, and
then the child has the signal already: a witness, a process that does nothing else, tells whether the group got it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NotStartedError", "die_as", "killed_by", "run_child"]

_LEFT_ALONE = frozenset({"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"})
_AT_ONCE = ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")  # nothing more is written then
_OF_A_SIGNAL = 128  # what a shell adds to the number of the signal that ended a program
_EXIT_NOT_STARTED = 126
_GROUP_SECONDS = 0.01  # in which a signal has come to all of a group
_SAME_SECONDS = 0.5  # in which two of a number are taken for one
_ANSWER_SECONDS = 1.0
_ASKED, _ANSWERED = b"?", b"\0"
_MAX_BYTES = 4096


class NotStartedError(Exception):
    """The child did not become the program; why is its message."""


def run_child(become: Callable[[], object]) -> int:
    """Run a program in a child and wait for its end.

    Args:
        become: Called in the child: becomes the program (`exec`), and does not return.

    Returns:
        How it ended, as `os.waitpid` tells it.

    Raises:
        NotStartedError: When `become` raised an OSError.
    """
    _flush_standard_streams()
    with _Noted() as noted, _Witness(noted) as witness:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        broken, broke = os.pipe()
        child = os.fork()
        if not child:
            noted.restore()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _become(become, broke)
        os.close(broke)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = _Watch(child, noted, witness).wait()
        with os.fdopen(broken, "rb") as messages:
            message = messages.read().decode()
    if message:
        raise NotStartedError(message)
    return status


def _become(become: Callable[[], object], broke: int) -> None:
    """Never returns: what the parent has on its stack is not the child's."""
    # Python ignores these two, and what is executed inherits that: a shell's `yes | head` would complain.
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        become()
    except OSError as fault:
        os.write(broke, (fault.strerror or str(fault)).encode())
    finally:
        if sys.exc_info()[1] is not None:
            sys.excepthook(*sys.exc_info())
        os._exit(_EXIT_NOT_STARTED)


class _Noted:
    """Signals are noted, and do nothing else; ignored ones stay ignored."""

    def __init__(self) -> None:
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._writer.settimeout(0)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signal.valid_signals():
            present = signal.getsignal(number)
            name = getattr(number, "name", "")
            if name in _LEFT_ALONE or present is None:
                continue
            if present is not signal.SIG_IGN or number == signal.SIGCHLD:
                self._before[number] = signal.signal(number, _note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what `signal` gave
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def restore(self) -> None:
        """In a child: as the program is to find it."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if handler is signal.SIG_IGN else signal.SIG_DFL)

    def read(self) -> list[int]:
        """Wait for signals; their numbers in the order of their coming."""
        return list(self._reader.recv(_MAX_BYTES))


def _note(_number: int, _frame: FrameType | None) -> None:
    """What Python calls: the number was written to the wakeup descriptor before that."""


class _Witness:
    """A process of the same group, which tells the signals that came to it.

    Args:
        noted: Which handles the signals in it, too.
    """

    def __init__(self, noted: _Noted) -> None:
        self._noted = noted
        self._seen: dict[int, float] = {}

    def __enter__(self) -> Self:
        self._socket, other = socket.socketpair()
        self._process = os.fork()
        if not self._process:
            self._socket.close()
            _witness(other)
        other.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()  # which ends it
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, 0)

    def seen(self) -> set[int]:
        """The signals that came to the whole group, of those that just came here."""
        time.sleep(_GROUP_SECONDS)
        with contextlib.suppress(OSError):
            self._socket.send(_ASKED)
            while select.select([self._socket], [], [], _ANSWER_SECONDS)[0]:
                told = self._socket.recv(_MAX_BYTES)
                self._seen |= dict.fromkeys(told, time.monotonic())
                if not told or _ANSWERED[0] in told:
                    break
        now = time.monotonic()
        return {number for number, when in self._seen.items() if now - when < _SAME_SECONDS}


def _witness(parent: socket.socket) -> None:
    """Note signals until the parent is gone. A signal that is there is noted before the answer to a later question."""
    try:
        parent.settimeout(0)
        signal.set_wakeup_fd(parent.fileno(), warn_on_full_buffer=False)
        for standard in range(3):  # or whoever reads the program's output would wait for this process, too
            with contextlib.suppress(OSError):
                os.close(standard)
        while True:
            select.select([parent], [], [])
            if not parent.recv(1):
                break
            parent.send(_ANSWERED)
    finally:
        os._exit(0)


class _Watch:
    """Passes signals on to a child until it ends.

    Args:
        child: Its process number.
        noted: The signals that come here.
        witness: Tells which of them the child has already.
    """

    def __init__(self, child: int, noted: _Noted, witness: _Witness) -> None:
        self._child = child
        self._noted = noted
        self._witness = witness

    def wait(self) -> int:
        """Wait for its end."""
        while True:
            came = self._noted.read()
            self._pass_on([number for number in came if number != signal.SIGCHLD])
            process, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if process and os.WIFSTOPPED(status):
                self._stop_too(os.WSTOPSIG(status))
            elif process:
                return status

    def _pass_on(self, numbers: list[int]) -> None:
        """All that came together are asked for once: a flood of signals is not answered long after it."""
        seen = self._witness.seen() if numbers else set()
        for number in numbers:
            if number not in seen:
                os.kill(self._child, number)  # which is there until it is waited for

    def _stop_too(self, number: int) -> None:
        """So that a shell that waits for this process sees that its job has stopped; it makes both go on."""
        if number in {signal.SIGTTIN, signal.SIGTTOU} or _is_in_foreground():
            before = signal.signal(number, signal.SIG_DFL) if number != signal.SIGSTOP else None
            os.kill(os.getpid(), number)
            if before is not None:
                signal.signal(number, before)


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def killed_by(status: int) -> str | None:
    """The signal that ended a child at once, or one that the child waited for, as a shell tells it; None for others."""
    code = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status) - _OF_A_SIGNAL
    return next((name for name in _AT_ONCE if getattr(signal, name, None) == code), None)


def die_as(status: int) -> int:
    """End as a child did: of the same signal, if it was one.

    Returns:
        The exit status, where it was none, or where that signal does not end this process.
    """
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    with contextlib.suppress(OSError, ValueError):  # SIGKILL's cannot be set, and need not
        signal.signal(number, signal.SIG_DFL)
    _leave_no_core()
    _flush_standard_streams()
    os.kill(os.getpid(), number)
    return _OF_A_SIGNAL + number


def _leave_no_core() -> None:
    """The program's own was written already, and would be overwritten."""
    import resource  # noqa: PLC0415 - Windows has none

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _flush_standard_streams() -> None:
    """Write what is buffered; services and scripts may close either stream."""
    streams: tuple[TextIO | None, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
