"""A child process, and what is said to it and by it through pipes, each within a time.

The rule: the pipes are this object's alone. A forked child lets go of them, or the process behind them would not see
its parent end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import otel_har.version as package
from otel_har.errors import ExportError
from otel_har.export.background.messages import HEADER, members_of, message
from otel_har.export.remote import Answer
from otel_har.guard import attempted

_PIECE_BYTES = 64 * 1024
_LAST_S = 1.0  # for a process that was killed to be gone
_INSTRUMENTATION = os.path.join("opentelemetry", "instrumentation", "auto_instrumentation")  # noqa: PTH118 - as in a path
_OURS = ("OTEL_", "_OTEL_")


class EndedError(Exception):
    """The process has ended, or did not answer in time."""


class LateError(EndedError):
    """The process did not answer in time. It may do so later."""


class ChildProcess:
    """A process that runs `child`.

    Attributes:
        pid: Its number.
        is_cut_off: Whether it has got a part of an order, and is of no further use.

    Raises:
        ExportError: When it cannot be started.
    """

    def __init__(self) -> None:
        if not sys.executable:
            raise ExportError("there is no Python to start: sys.executable is not set")
        home = Path(package.__file__).parents[1]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "otel_har.export.background.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
                cwd=home if home.is_dir() else None,  # where `-m` looks first: a program's directory may hold anything
                bufsize=0,
                start_new_session=True,  # what a terminal sends to the program is not for it
            )
        except OSError as fault:
            raise ExportError(f"cannot start a process: {fault}") from fault
        self.pid = self._process.pid
        self.is_cut_off = False
        self._number = 0
        self._got = bytearray()
        if sys.platform != "win32":
            for descriptor in self._descriptors():
                os.set_blocking(descriptor, False)

    def ask(self, do: str, end: float, **members: object) -> Answer:
        """Send an order and wait for its answer.

        Args:
            do: What is to be done.
            end: When to give up, of `time.monotonic`.
            members: What the order says and brings.

        Raises:
            EndedError: When the process has ended.
            LateError: When the time is over.
        """
        self._number += 1
        self.is_cut_off = True  # until all of it is sent: a signal handler of the program may raise in the middle
        millis = int(max(0.0, end - time.monotonic()) * 1000)
        return self._asked(message({"number": self._number, "do": do, "timeout_millis": millis, **members}), end)

    def end(self, end: float) -> None:
        """Have it end by the end of its input; kill it when the time is over."""
        self._close()
        try:
            self._process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_S)

    def forget(self) -> None:
        """In a forked child of this process: let go of what is the parent's."""
        self._close()
        self._process.returncode = 0  # else it would be taken for a child of this process

    def _descriptors(self) -> tuple[int, int]:
        writes, reads = self._process.stdin, self._process.stdout
        if writes is None or reads is None or writes.closed or reads.closed:
            raise EndedError("the background process has ended")
        return writes.fileno(), reads.fileno()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _asked(self, order: bytes, end: float) -> Answer:
        writes, reads = self._descriptors()
        if sys.platform == "win32":  # which does not wait for pipes
            return self._in_thread(lambda: self._exchanged(writes, reads, order), end)
        left = memoryview(order)
        with selectors.DefaultSelector() as selector:
            selector.register(writes, selectors.EVENT_WRITE)
            selector.register(reads, selectors.EVENT_READ)
            while (said := self._answer()) is None:
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    self.is_cut_off = 0 < len(left) < len(order)
                    raise LateError(f"the background process {self.pid} did not answer in time")
                for key, _ in ready:
                    if key.fd == reads:
                        self._read(reads)
                        continue
                    left = self._written(writes, left)
                    if not left:
                        self.is_cut_off = False
                        selector.unregister(writes)
        return said

    def _exchanged(self, writes: int, reads: int, order: bytes) -> Answer:
        left = memoryview(order)
        while left:
            left = self._written(writes, left)
        self.is_cut_off = False
        while (said := self._answer()) is None:
            self._read(reads)
        return said

    def _in_thread(self, exchange: Callable[[], Answer], end: float) -> Answer:
        outcome: list[Answer | BaseException] = []
        thread = threading.Thread(target=lambda: outcome.append(attempted(exchange)), daemon=True)
        thread.start()
        thread.join(max(0.0, end - time.monotonic()))
        if not outcome:
            self.is_cut_off = True  # the thread has the pipes
            raise LateError(f"the background process {self.pid} did not answer in time")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _written(self, descriptor: int, left: memoryview) -> memoryview:
        try:
            return left[os.write(descriptor, left[:_PIECE_BYTES]) :]
        except BlockingIOError:
            return left
        except OSError as fault:
            raise self._ended() from fault

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError as fault:
            raise self._ended() from fault
        if not data:
            raise self._ended()
        self._got += data

    def _answer(self) -> Answer | None:
        """The answer to the last order, if all of it has come; those to orders that were given up are passed over."""
        while len(self._got) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._got)
            if len(self._got) < HEADER.size + length:
                return None
            said = members_of(bytes(self._got[HEADER.size : HEADER.size + length]))
            del self._got[: HEADER.size + length]
            if said["number"] == self._number:
                answer: Answer = said["answer"]
                return answer
        return None

    def _ended(self) -> EndedError:
        try:
            code: int | None = self._process.wait(_LAST_S)
        except subprocess.TimeoutExpired:
            code = None
        how = "" if code is None else f" by signal {-code}" if code < 0 else f" with exit code {code}"
        return EndedError(f"the background process {self.pid} has ended{how}")


def _environment() -> dict[str, str]:
    """The program's, without what would instrument and record the child, and with the places that Python looks in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    places = [path or os.getcwd() for path in sys.path if not path.endswith(_INSTRUMENTATION)]  # noqa: PTH109 - as a string
    return {**kept, "PYTHONPATH": os.pathsep.join(places), "PYTHONSAFEPATH": "1"}
