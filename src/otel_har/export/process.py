"""`BackgroundProcessHarExporter`: another exporter, in a process of its own.

The rule: nothing is waited for longer than the time that was set, and what making entries of so many bytes may take;
a process that ends, hangs or cannot start costs no more than that. What it has not answered is sent again to the next
one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.background.messages import packed
from otel_har.export.background.pipes import ChildProcess, EndedError, LateError
from otel_har.export.elsewhere import EntryForm, RecordExporter
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExportResult, HarStatistics, QueueItem
from otel_har.export.remote import UPKEEP_SECONDS, Answer, MakeExporter, RemoteHarExporter, UpkeepTimes, pickled_maker
from otel_har.export.written import WrittenEntries
from otel_har.forking import call_in_forked_child
from otel_har.guard import attempted

_MOST_ENDS = 6  # in a row, without an answer to a batch between them
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
_MAKING_S_PER_BYTE = 5e-6  # several times what the redaction of the worst text takes
_logger = logging.getLogger("otel_har")


class BackgroundProcessHarExporter(RemoteHarExporter, RecordExporter):
    """Has a child process of its own run the exporter that `make` gives.

    The child is a new Python that imports neither the program nor its instrumentation. It ends with the program,
    however that ends, and what it has by then it exports. One that ends before, or does not answer in time and is
    killed, is followed by another one, which gets what was not answered: what the first had exported without saying so
    is there twice. After six ends in a row without an answer nothing more is exported.

    A forked child of the program has a process of its own. All of them go on with one recording if the exporter's
    class says how, by `__reduce__`, as `FileHarExporter` does.

    Args:
        make: Makes the exporter, in the child: a function or class of a module, or a `functools.partial` of one. It
            cannot be of the program's own main module.
        timeout_seconds: How long one export may take, seconds, a start included; twice as long after a process ended.

    Raises:
        SettingError: When `make` cannot be given to another process.
        ExportError: When the process does not start, or the exporter cannot be made.
    """

    def __init__(self, make: MakeExporter, *, timeout_seconds: float = 10.0) -> None:
        if timeout_seconds <= 0:
            raise SettingError(f"timeout_seconds must be more than 0, not {timeout_seconds}")
        if getattr(make, "__module__", None) == "__main__":
            raise SettingError(
                f"{make!r} is of the program itself, which another process does not import: give one of a module, "
                "or functools.partial(FileHarExporter, path)"
            )
        self._source = pickled_maker(make)
        self._timeout_s = timeout_seconds
        self._upkeep_times = UpkeepTimes()
        self._shut_down = False
        self._child: ChildProcess | None = None
        self._path: str | None = None
        self._form: EntryForm | None = None
        self._packed_form: bytes | BaseException = b""
        self._was_late = False  # with records
        self._ends = 0
        self._not_before = 0.0
        call_in_forked_child(self._forget)
        self._start(time.monotonic() + timeout_seconds)

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return self._child.pid if self._child is not None else None

    @property
    def path(self) -> Path | None:
        """The file that the exporter writes, at its last answer; None where it writes none."""
        return Path(self._path) if self._path is not None else None

    def export(self, batch: HarBatch) -> HarExportResult:
        """Have the batch exported.

        Raises:
            DestinationError: When the exporter says so, or the process did not answer and is to be tried again.
            ExportError: When the exporter raises something else, when two processes ended over this batch, or when too
                many have ended.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        return self._delivered("export", self._timeout_s, batch=_in_text(batch)).result()

    def export_records(self, items: Sequence[QueueItem], form: EntryForm, untold: HarStatistics) -> Answer | None:
        """Have the entries made there, and exported.

        Those that it does not make in time are given back once: how long a compressed body takes nobody knows before,
        and a slow one would end one process after the other.

        Raises:
            DestinationError: As `export`.
            ExportError: As `export`.
        """
        was_late, self._was_late = self._was_late, False
        packets = None if self._shut_down or was_late else self._packed(items, form)
        if packets is None:
            return None
        timeout_s = self._timeout_s + len(packets[0]) * _MAKING_S_PER_BYTE
        try:
            answer = self._delivered("export_records", timeout_s, items=packets[0], form=packets[1], untold=untold)
        except DestinationError as fault:
            self._was_late = isinstance(fault.__cause__, LateError)
            raise
        return answer if answer.made is not None else None  # it cannot read them: another version of this package

    def _packed(self, items: Sequence[QueueItem], form: EntryForm) -> tuple[bytes, bytes] | None:
        """Both for the process; None where something in them is no value, and stays here."""
        if form is not self._form:
            self._form, self._packed_form = form, attempted(lambda: packed(form))
        if not isinstance(self._packed_form, bytes):
            return None
        packet = attempted(lambda: packed(items))
        return (packet, self._packed_form) if isinstance(packet, bytes) else None

    def _delivered(self, do: str, timeout_s: float, **members: object) -> Answer:
        try:
            answer = self._asked(do, time.monotonic() + timeout_s, members)
        except LateError as late:  # it is not waited for a second time: the processor has the entries
            raise DestinationError(f"{late}, and was killed") from late
        except EndedError as first:
            _logger.warning("otel-har: %s; another one is started", first)
            answer = self._asked_again(do, timeout_s, members)
        self._ends = 0
        return answer

    def upkeep(self) -> None:
        """Have the process do the exporter's, at most once a second.

        Raises:
            DestinationError: When the exporter says so.
            ExportError: When it raises something else.
        """
        child = self._child
        if self._shut_down or child is None or not self._upkeep_times.has_come():
            return
        end = time.monotonic() + min(UPKEEP_SECONDS, self._timeout_s)
        try:
            answer = child.ask("upkeep", end)
        except EndedError as fault:
            self._upkeep_times.put_off()
            if child.is_cut_off or not isinstance(fault, LateError):  # one that is late is at work
                _logger.warning("otel-har: %s", fault)
                self._has_ended()
            return
        if answer.fault is not None:
            answer.result()

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Flush the exporter, within the time and at most `timeout_seconds`."""
        if self._shut_down or self._ends:
            return False
        end = time.monotonic() + min(timeout_millis / 1000, self._timeout_s)
        child = self._child
        if child is None:  # it was forgotten at a fork: nothing was given to a new one
            return True
        try:
            answer = child.ask("force_flush", end)
        except EndedError as fault:
            _logger.warning("otel-har: %s, when it was flushed", fault)
            if child.is_cut_off or not isinstance(fault, LateError):
                self._has_ended()
            return False
        return answer.value and answer.fault is None

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Shut the exporter down and end the process, within the time. Idempotent.

        Raises:
            ExportError: What the exporter's shutdown raised, or that the process did not end and was killed.
        """
        if self._shut_down:
            return
        self._shut_down = True
        child, self._child = self._child, None
        if child is None:
            return
        end = time.monotonic() + min(timeout_millis / 1000, self._timeout_s)
        try:
            answer = child.ask("shutdown", end)
        except EndedError as fault:
            raise ExportError(f"{fault}, at its shutdown") from fault
        finally:
            child.end(end)
        if answer.fault is not None:
            answer.result()

    def _asked_again(self, do: str, timeout_s: float, members: dict[str, object]) -> Answer:
        """Once more at once: a process may be killed for its memory."""
        try:
            return self._asked(do, time.monotonic() + timeout_s, members)
        except EndedError as second:
            raise ExportError(f"{second}, the second one with these entries") from second

    def _asked(self, do: str, end: float, members: dict[str, object]) -> Answer:
        """The answer of the process that there is, or of a new one.

        Raises:
            EndedError: When it ended, or was killed because the time was over.
            ExportError: When none can be started.
        """
        child = self._child or self._start(end)
        try:
            answer = child.ask(do, end, **members)
        except EndedError:
            self._has_ended()
            raise
        except BaseException:  # it would take the next message for the rest of this one
            if child.is_cut_off:
                self._has_ended()
            raise
        self._path = answer.path
        return answer

    def _start(self, end: float) -> ChildProcess:
        if self._ends >= _MOST_ENDS:
            raise ExportError(f"the background process ended {self._ends} times in a row, it is not started again")
        pause_s = self._not_before - time.monotonic()
        if time.monotonic() + pause_s > end:
            raise DestinationError("the background process has just ended, and is started again later")
        if pause_s > 0:
            threading.Event().wait(pause_s)
        child = ChildProcess()
        self._child = child
        try:
            answer = child.ask(
                "start",
                end,
                parent=os.getpid(),
                directory=os.getcwd(),  # noqa: PTH109 - as a string
                make=self._source,
                timeout_s=self._timeout_s,
            )
        except EndedError as fault:
            self._has_ended()
            raise DestinationError(f"{fault}, when it was started") from fault
        if answer.fault is not None:
            self._has_ended()
            raise ExportError(f"the exporter cannot be made: {answer.fault}")
        self._source = answer.pickled or self._source
        self._upkeep_times.is_needed = answer.needs_upkeep
        self._path = answer.path
        return child

    def _has_ended(self) -> None:
        """Reap it; the next one is not started at once when this goes on."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
        self._ends += 1
        pause_s = 0.0 if self._ends == 1 else min(_FIRST_PAUSE_S * 2 ** (self._ends - 2), _MAX_PAUSE_S)
        self._not_before = time.monotonic() + pause_s

    def _forget(self) -> None:
        """In a forked child: the process is the parent's."""
        child, self._child = self._child, None
        self._ends, self._not_before, self._was_late = 0, 0.0, False
        if child is not None:
            child.forget()


def _in_text(batch: HarBatch) -> HarBatch:
    """The batch with its entries as they are written: models take several times as long on their way."""
    return replace(batch, entries=WrittenEntries(batch.written()))
