"""An exporter that works elsewhere: in an executor's thread, in another process.

The rule: it is made there, once for each process, from what can be pickled; and what it says comes back as plain
values, because not every exception survives the way.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.guard import attempted, guarded

MakeExporter = Callable[[], HarExporter]
UPKEEP_SECONDS = 1.0
"""Between two upkeeps, and the longest that one is waited for, seconds."""
_BUSY_SECONDS = 10.0
_SHUTDOWN_MILLIS = 5_000
_LAST = -1  # of multiprocessing's finalizers
_made: dict[str, HarExporter] = {}  # a forked child goes on with those of its parent
_ending: set[tuple[str, int]] = set()  # those that are shut down when a process ends


@dataclass(frozen=True, slots=True)
class Made:
    """What became of records before their entries were delivered.

    Attributes:
        taken: How many of the items that were given became part of the batch, from the first one on.
        entries: How many entries the batch has.
        filtered_entries: How many exchanges the filter left out.
        found: What was lost as they were made.
        is_empty: Whether there is nothing to deliver, be it counts.
    """

    taken: int
    entries: int
    filtered_entries: int
    found: HarStatistics
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call.

    Attributes:
        value: What it returned: whether a batch was delivered, or everything flushed.
        fault: What it raised, in words; None when it raised nothing.
        is_passing: Whether that was a `DestinationError`.
        errno: The fault's, where it has one.
        needs_upkeep: Whether the exporter does.
        pickled: The exporter itself, which another process could go on with; None where it is not for that.
        path: The file that it writes; None where it writes none.
        made: What it made of records; None where it got none, or could not read them.
    """

    value: bool = False
    fault: str | None = None
    is_passing: bool = False
    errno: int | None = None
    needs_upkeep: bool = False
    pickled: bytes | None = None
    path: str | None = None
    made: Made | None = None

    def result(self) -> HarExportResult:
        """The result of an export.

        Raises:
            DestinationError: As the exporter did.
            ExportError: For everything else that it raised.
        """
        if self.fault is None:
            return HarExportResult.SUCCESS if self.value else HarExportResult.FAILURE
        error = (DestinationError if self.is_passing else ExportError)(self.fault)
        error.errno = self.errno
        raise error


class UpkeepTimes:
    """When upkeep is asked for: at most once a second, and of an exporter that has any.

    Attributes:
        is_needed: Whether it has.
    """

    __slots__ = ("_next", "is_needed")

    def __init__(self) -> None:
        self.is_needed = False
        self._next = 0.0

    def has_come(self) -> bool:
        """Whether to ask now."""
        now = time.monotonic()
        if not self.is_needed or now < self._next:
            return False
        self._next = now + UPKEEP_SECONDS
        return True

    def put_off(self) -> None:
        """Ask later: the exporter is busy."""
        self._next = time.monotonic() + _BUSY_SECONDS


class RemoteHarExporter(HarExporter):
    """What has another exporter work elsewhere."""

    _upkeep_times: UpkeepTimes

    @property
    def needs_upkeep(self) -> bool:
        """Whether the exporter does, as far as it has said so."""
        return self._upkeep_times.is_needed


def pickled_maker(make: MakeExporter) -> bytes:
    """What another process makes the exporter from.

    Raises:
        SettingError: When it cannot be pickled.
    """
    pickled = attempted(lambda: pickle.dumps(make))
    if isinstance(pickled, BaseException):
        raise SettingError(f"{make!r} cannot be given to another process: {pickled}") from pickled
    return pickled


def for_others(exporter: HarExporter) -> bytes | None:
    """The exporter for a further process, if its class says how it goes on there (`__reduce__`)."""
    if type(exporter).__reduce__ is object.__reduce__:
        return None
    pickled = attempted(lambda: pickle.dumps(exporter))
    return pickled if isinstance(pickled, bytes) else None


def made_from(pickled: bytes) -> HarExporter:
    """The exporter, from one that was pickled or from what makes one.

    Raises:
        SettingError: When it makes something else.
        Exception: What making it raises.
    """
    found: HarExporter | MakeExporter = pickle.loads(pickled)  # noqa: S301 - of our own process
    exporter = found if isinstance(found, HarExporter) else found()
    if not isinstance(exporter, HarExporter):
        raise SettingError(f"{found!r} gave {type(exporter).__qualname__}, which is no HarExporter")
    return exporter


def answer_of(call: Callable[[], bool]) -> Answer:
    """Call it, without recording what it does over HTTP."""
    with suppress_instrumentation():
        outcome = attempted(call)
    if not isinstance(outcome, BaseException):
        return Answer(outcome)
    number = outcome.errno if isinstance(outcome, OSError) else None
    is_ours = isinstance(outcome, ExportError | SettingError)
    text = str(outcome) if is_ours else f"{type(outcome).__qualname__}: {outcome}"
    return Answer(fault=text, is_passing=isinstance(outcome, DestinationError), errno=number)


def call_here(key: str, source: bytes | MakeExporter, method: str, argument: HarBatch | int) -> Answer:
    """Call a method of the exporter of that key, which this process makes with the first call.

    Args:
        key: The same for all calls that are for one exporter.
        source: What it is made from.
        method: `export`, `force_flush`, `upkeep` or `shutdown`.
        argument: The method's.
    """
    is_new = key not in _made

    def call() -> bool:
        if is_new:
            _made[key] = made_from(source) if isinstance(source, bytes) else source()
        if method == "shutdown":
            return done(_made.pop(key), method, argument)
        _shut_down_at_exit(key)
        return done(_made[key], method, argument)

    if method == "shutdown" and is_new and isinstance(source, bytes):  # it was made in other processes, or never
        return Answer(value=True)
    answer = answer_of(call)
    exporter = _made.get(key)
    if exporter is None:
        return answer
    answer = replace(answer, needs_upkeep=needs_upkeep(exporter))
    return replace(answer, pickled=for_others(exporter)) if is_new else answer


def needs_upkeep(exporter: HarExporter) -> bool:
    """What the exporter says of that, if it can say it."""
    return attempted(lambda: exporter.needs_upkeep) is True


def path_of(exporter: HarExporter) -> str | None:
    """The file that the exporter writes, as those tell that write one."""
    path = attempted(lambda: getattr(exporter, "path", None))
    return os.fspath(path) if isinstance(path, str | os.PathLike) else None


def done(exporter: HarExporter, method: str, argument: HarBatch | int) -> bool:
    """Call the method: whether it succeeded."""
    if isinstance(argument, HarBatch):
        return exporter.export(argument) is HarExportResult.SUCCESS
    if method == "force_flush":
        return exporter.force_flush(argument)
    if method == "upkeep":
        exporter.upkeep()
    else:
        exporter.shutdown(argument)
    return True


def _shut_down_at_exit(key: str) -> None:
    """At the end of a pool's worker, which ends without Python's own exit; others are shut down by a call."""
    process = os.getpid()
    if multiprocessing.parent_process() is None or (key, process) in _ending:
        return
    _ending.add((key, process))

    @guarded("shutting down an exporter", BaseException)
    def shut_down() -> None:
        exporter = _made.pop(key, None)
        if exporter is not None and os.getpid() == process:
            exporter.shutdown(_SHUTDOWN_MILLIS)

    multiprocessing.util.Finalize(None, shut_down, exitpriority=_LAST)
