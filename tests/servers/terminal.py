"""A terminal: a program that runs on one, and somebody who types and reads."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_PATIENCE_S = 30.0
_ON_THE_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)


class Terminal:
    """A pseudo-terminal with a program on it, which is the leader of its session.

    Args:
        command: The program and its arguments.
        env: Its environment.
        cwd: Its directory.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self._screen, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _ON_THE_TERMINAL, *command],
            env={**env, "TERM": "xterm"},
            cwd=cwd,
            stdin=other,
            stdout=other,
            stderr=other,
        )
        os.close(other)
        self.output = ""
        """Everything that was shown, line ends as in a file."""
        self._is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._screen)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def type(self, text: str) -> None:
        """Press keys; the character 3 is Ctrl-C, 26 is Ctrl-Z."""
        os.write(self._screen, text.encode())

    def read_until(self, text: str, times: int = 1) -> None:
        """Read until something was shown so often.

        Raises:
            AssertionError: When it does not come.
        """
        limit = time.monotonic() + _PATIENCE_S
        while self.output.count(text) < times:
            left = limit - time.monotonic()
            if self._is_ended or left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not shown {times} times, but:\n{self.output}")

    def end(self) -> int:
        """Read to the end; the program's exit status, or less than 0 for a signal."""
        limit = time.monotonic() + _PATIENCE_S
        while not self._is_ended and time.monotonic() < limit:
            self._read(limit - time.monotonic())
        return self.process.wait(timeout=_PATIENCE_S)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._screen], [], [], seconds)[0]:
            return False
        try:
            shown = os.read(self._screen, 65536)
        except OSError:  # how Linux tells that nobody has the terminal any more
            shown = b""
        self._is_ended = not shown
        self.output += shown.decode().replace("\r\n", "\n")
        return bool(shown)
