"""`ExecutorHarExporter`: another exporter's calls, made by an executor.

The rule: one call after the other, and each is waited for, so that what the exporter says reaches the processor. What
cannot be waited for any longer is left to end; until then nothing further is begun.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.remote import (
    UPKEEP_SECONDS,
    Answer,
    MakeExporter,
    RemoteHarExporter,
    UpkeepTimes,
    call_here,
    pickled_maker,
)
from otel_har.forking import call_in_forked_child

_logger = logging.getLogger("otel_har")


class ExecutorHarExporter(RemoteHarExporter):
    """Has an executor do the work of an exporter.

    A call that has not begun within the time, because the executor is busy, is taken back (`DestinationError`). One
    that has begun is left to end, and so long nothing further is begun. An executor that was shut down, or the
    interpreter's end: the work is done in the thread that asks for it. A pool that broke: nothing more is exported.

    In a forked child, which has no threads of the executor's, the work is done in the thread that asks for it.

    Args:
        exporter: The exporter; or what makes one, which a pool of processes needs: each of them makes its own, from
            something that can be pickled. With several processes use one that they can share, as
            `functools.partial(FileHarExporter, path)`.
        executor: Any executor. It stays the program's.
        shut_executor_down: Whether `shutdown` shuts the executor down, too, without waiting for it.
        timeout_seconds: How long one export may take, seconds.

    Raises:
        SettingError: When a pool of processes gets what it cannot use.
    """

    def __init__(
        self,
        exporter: HarExporter | MakeExporter,
        executor: Executor,
        *,
        shut_executor_down: bool = False,
        timeout_seconds: float = DEFAULT_TIMEOUT_MILLIS / 1000,
    ) -> None:
        self._source: bytes | MakeExporter
        if isinstance(executor, ProcessPoolExecutor):
            if isinstance(exporter, HarExporter) and type(exporter).__reduce__ is object.__reduce__:
                raise SettingError(
                    f"a pool of processes needs what makes an exporter, not {type(exporter).__qualname__} itself"
                )
            self._source = pickled_maker(_Given(exporter) if isinstance(exporter, HarExporter) else exporter)
        else:
            self._source = _Given(exporter) if isinstance(exporter, HarExporter) else exporter
        self._executor: Executor | None = executor
        self._shut_executor_down = shut_executor_down
        self._timeout_s = timeout_seconds
        self._key = uuid.uuid4().hex
        self._late: Future[Answer] | None = None
        self._late_batch: HarBatch | None = None
        self._untold = HarStatistics()  # what was lost in calls that took too long
        self._upkeep_times = UpkeepTimes()
        if isinstance(exporter, HarExporter):
            self._upkeep_times.is_needed = exporter.needs_upkeep
        self._shut_down = False
        call_in_forked_child(self._do_without)

    def export(self, batch: HarBatch) -> HarExportResult:
        """Have the batch exported.

        Raises:
            DestinationError: When the exporter says so, or the executor has no time.
            ExportError: When the exporter raises something else, or the executor is broken.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        self._wait_for_late(self._timeout_s)
        batch = replace(batch, statistics=batch.statistics + self._untold)
        answer = self._called("export", batch, self._timeout_s)
        if self._late is not None:
            self._late_batch = batch
        elif answer.value:
            self._untold = HarStatistics()
        return answer.result()

    def upkeep(self) -> None:
        """Have the exporter do its own, at most once a second; of several processes' whichever takes the call.

        Raises:
            DestinationError: When the executor has no time.
            ExportError: What the exporter raised, or that the executor is broken.
        """
        if not self._shut_down and self._upkeep_times.has_come():
            answer = self._called("upkeep", 0, UPKEEP_SECONDS)
            if self._late is None:
                answer.result()

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Flush the exporter; of several processes' the one of whichever process takes the call."""
        if self._shut_down:
            return False
        answer = self._called("force_flush", timeout_millis, timeout_millis / 1000)
        return answer.value and answer.fault is None and self._late is None

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Shut the exporter down; those of further processes end with them. Idempotent."""
        if self._shut_down:
            return
        self._shut_down = True
        try:
            answer = self._called("shutdown", timeout_millis, timeout_millis / 1000)
        finally:
            if self._shut_executor_down and self._executor is not None:
                self._executor.shutdown(wait=False)
        if answer.fault is not None:
            answer.result()

    def _called(self, method: str, argument: HarBatch | int, timeout_s: float) -> Answer:
        end = time.monotonic() + timeout_s
        self._wait_for_late(timeout_s)
        future = self._submitted(method, argument)
        if future is None:
            answer = call_here(self._key, self._source, method, argument)
        else:
            awaited = self._awaited(future, max(0.0, end - time.monotonic()))
            if awaited is None:
                self._late = future
                return Answer(value=True)  # it will be done: at the next call its outcome is known
            answer = awaited
        self._learn(answer)
        return answer

    def _submitted(self, method: str, argument: HarBatch | int) -> Future[Answer] | None:
        """The call, as the executor has it; None when it takes none any more."""
        if self._executor is None:
            return None
        try:
            return self._executor.submit(call_here, self._key, self._source, method, argument)
        except BrokenExecutor as fault:
            raise ExportError(f"the executor is broken: {fault}") from fault
        except RuntimeError as fault:  # it was shut down, or the interpreter is about to end
            if threading.main_thread().is_alive():
                _logger.warning("otel-har: exporting without the executor: %s", fault)
            self._executor = None
            return None

    def _awaited(self, future: Future[Answer], timeout_s: float) -> Answer | None:
        """The answer; None when the call is under way still."""
        try:
            return future.result(timeout_s)
        except (FutureTimeoutError, TimeoutError):
            if future.cancel():
                raise DestinationError("the executor has no time for it") from None
            return None
        except CancelledError:
            raise DestinationError("the executor was shut down before it had time for it") from None
        except BrokenExecutor as fault:
            raise ExportError(f"the executor is broken: {fault}") from fault

    def _wait_for_late(self, timeout_s: float) -> None:
        """The end of a call that took too long. What it says is late, too: a fault costs what it had to do."""
        if self._late is None:
            return
        answer = self._awaited_late(self._late, timeout_s)
        batch, self._late, self._late_batch = self._late_batch, None, None
        self._learn(answer)
        if batch is None:
            return
        if answer.value:
            self._untold = HarStatistics()
            return
        self._untold = batch.statistics + HarStatistics(failed_entries=len(batch.entries), failed_exports=1)
        _logger.error("otel-har: an export that took too long failed: %s", answer.fault)

    def _awaited_late(self, late: Future[Answer], timeout_s: float) -> Answer:
        answer = self._awaited(late, timeout_s)
        if answer is None:
            raise DestinationError("the export before this one is still under way")
        return answer

    def _learn(self, answer: Answer) -> None:
        """From the first process that made the exporter: further ones go on with it."""
        if answer.fault is None:
            self._upkeep_times.is_needed = answer.needs_upkeep
        if answer.pickled is not None and isinstance(self._source, bytes):
            self._source = answer.pickled

    def _do_without(self) -> None:
        self._executor = self._late = self._late_batch = None


class _Given:
    """What makes an exporter, where there is one."""

    def __init__(self, exporter: HarExporter) -> None:
        self._exporter = exporter

    def __call__(self) -> HarExporter:
        return self._exporter
