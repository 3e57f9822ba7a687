"""A process that works for the measured one, as a proxy does: its CPU time and memory count."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


class Beside:
    """Watches such a process, and ends it.

    Args:
        process: The process; none: there is nothing to watch.
    """

    def __init__(self, process: subprocess.Popen[str] | None = None) -> None:
        self._process = process
        self._cpu_before_s = 0.0
        self._kib_before = 0
        self.grown_kib = 0
        self.cpu_s = 0.0

    def begin(self) -> None:
        """The loop begins."""
        if self._process is not None:
            self._cpu_before_s = _cpu_s(self._process.pid)
            self._kib_before = _resident_kib(self._process.pid)

    def loop_ended(self) -> None:
        """The loop is over; what the process puts off until its end is still to come."""
        if self._process is not None:
            self.grown_kib = _resident_kib(self._process.pid) - self._kib_before

    def end(self) -> None:
        """Interrupt it, and wait for it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_s = usage.ru_utime + usage.ru_stime - self._cpu_before_s


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # proc(5): utime and stime, fields 14 and 15
    return ticks / os.sysconf("SC_CLK_TCK")


def _resident_kib(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
