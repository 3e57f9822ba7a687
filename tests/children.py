"""Forked children of a test, and the batches they write: many processes without starting many Pythons."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

from otel_har.errors import DestinationError
from otel_har.export.interfaces import HarBatch, HarExporter
from otel_har.har.models import Entry, Page, Request, Response
from servers.programs import read_checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60
_STARTED = "2030-01-01T00:00:00Z"
PAGE = Page(started_date_time=_STARTED, id="run", title="title")


def batch(*names: str, body: str = "") -> HarBatch:
    """A batch of one entry for each name."""
    request = {name: Request(method="GET", url=f"http://h.test/{name}", http_version="HTTP/1.1") for name in names}
    return HarBatch(
        (PAGE,),
        tuple(
            Entry(
                pageref="run",
                started_date_time=_STARTED,
                request=request[name],
                response=Response(transfer_size=0, error="none" + body),
            )
            for name in names
        ),
    )


def deliver(exporter: HarExporter, batch: HarBatch) -> None:
    """As a processor does it: what the destination does not take now is given again."""
    while True:
        try:
            exporter.export(batch)
        except DestinationError:
            continue
        return


def names_in(log: dict[str, Any]) -> list[str]:
    """The names of the entries."""
    return [entry["request"]["url"].rpartition("/")[2] for entry in log["entries"]]


def names(path: Path) -> list[str]:
    """The names of the entries of a file that the checker has no complaint about."""
    return names_in(read_checked(path)["log"])


def doubled(written: list[str]) -> list[str]:
    """The names that are there more than once."""
    return [name for name, count in Counter(written).items() if count > 1]


class Child:
    """A forked child, which is done with `work` and nothing else.

    Args:
        work: Is called in the child, with this object.

    Attributes:
        pid: Of the child.
    """

    def __init__(self, work: Callable[[Child], None]) -> None:
        self._reads, self._writes = os.pipe()
        self._gate_reads, self._gate_writes = os.pipe()
        self._told = b""
        self._ended = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
            self.pid = os.fork()
        if not self.pid:
            self._run(work)
        os.close(self._writes)
        os.close(self._gate_reads)

    def tell(self, line: str) -> None:
        """In the child: tell the test."""
        os.write(self._writes, line.encode() + b"\n")

    def pause(self) -> None:
        """In the child: wait until the test lets it go on."""
        os.read(self._gate_reads, 1)

    def go_on(self) -> None:
        """Let the child go on."""
        os.write(self._gate_writes, b".")

    def told(self) -> list[str]:
        """What it told until now."""
        while not self._ended and select.select([self._reads], [], [], 0)[0]:
            self._read()
        return self._lines()

    def next(self) -> str:
        """The last line that it told, after one more."""
        before = len(self._lines())
        while len(self._lines()) == before and not self._ended:
            self._read()
        return self._lines()[-1]

    def kill(self) -> None:
        """End it, whatever it is at."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> tuple[int, list[str]]:
        """Wait for its end: the exit code, negative for a signal, and all that it told."""
        while not self._ended:
            self._read()
        os.close(self._reads)
        os.close(self._gate_writes)
        status = os.waitpid(self.pid, 0)[1]
        return os.waitstatus_to_exitcode(status), self._lines()

    def _read(self) -> None:
        if not select.select([self._reads], [], [], PATIENCE_S)[0]:
            self.kill()
            raise TimeoutError(f"child {self.pid} hangs")
        data = os.read(self._reads, 65536)
        self._told += data
        self._ended = not data

    def _lines(self) -> list[str]:
        return self._told.decode().splitlines()

    def _run(self, work: Callable[[Child], None]) -> None:
        code = 1
        try:
            sys.settrace(None)
            os.close(self._reads)
            os.close(self._gate_writes)
            work(self)
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as a second test run
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)


def completed(work: Callable[[Child], None]) -> list[str]:
    """Do the work in a child: what it told. It must come to its end."""
    code, told = Child(work).end()
    assert 0 == code
    return told


def as_user(uid: int, gid: int) -> None:
    """In a child of root's: become another user, for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether something comes to be so that nobody tells of."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            return False
        os.sched_yield()
    return True
