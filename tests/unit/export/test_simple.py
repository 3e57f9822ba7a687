"""`SimpleHarProcessor`: each record on the thread that completes it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_har.errors import DestinationError
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.mapping.options import MappingOptions
from otel_har.record import HarRecord
from records import PAGE, SPAN, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Exporter(HarExporter):
    """Notes what it gets, calls back meanwhile."""

    def __init__(self, result: HarExportResult = HarExportResult.SUCCESS) -> None:
        self.urls: list[str] = []
        self.has_params: list[bool] = []
        self.threads: set[int] = set()
        self.instrumented: list[bool] = []
        self.meanwhile: Callable[[], None] | None = None
        self.result = result
        self.overlaps = 0
        self._inside = threading.Lock()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Note the batch."""
        if not self._inside.acquire(blocking=False):
            self.overlaps += 1
            return self.result
        try:
            self._note(batch)
        finally:
            self._inside.release()
        return self.result

    def _note(self, batch: HarBatch) -> None:
        self.instrumented.append(is_instrumentation_enabled())
        self.threads.add(threading.get_ident())
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        self.has_params.extend(
            entry.request.post_data is not None and entry.request.post_data.params is not None
            for entry in batch.entries
        )
        self.urls.extend(entry.request.url.rpartition("/")[2] for entry in batch.entries)

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Hold nothing."""


def test_exported_at_once_on_the_same_thread() -> None:
    """When `on_record` returns the entry is exported."""
    exporter = _Exporter()
    SimpleHarProcessor(exporter).on_record(record_of("1"))
    assert (["1"], {threading.get_ident()}) == (exporter.urls, exporter.threads)


def test_instrumentation_is_suppressed_while_exporting() -> None:
    """What the exporter sends is no traffic of the program's."""
    exporter = _Exporter()
    SimpleHarProcessor(exporter).on_record(record_of("1"))
    assert [False] == exporter.instrumented
    assert is_instrumentation_enabled()


def test_record_while_exporting() -> None:
    """A record that a finaliser completes in the middle of an export is exported by that same call."""
    exporter = _Exporter()
    processor = SimpleHarProcessor(exporter)
    exporter.meanwhile = lambda: processor.on_record(record_of("2"))
    processor.on_record(record_of("1"))
    assert ["1", "2"] == exporter.urls


def test_failures_are_counted() -> None:
    """Entries whose export failed are counted."""
    processor = SimpleHarProcessor(_Exporter(HarExportResult.FAILURE))
    for path in ("1", "2"):
        processor.on_record(record_of(path))
    processor.on_page(PAGE)
    assert 2 == processor.failed_entries


def test_threads_export_one_after_the_other() -> None:
    """Records of many threads are each exported once, never two at a time."""
    exporter, start = _Exporter(), threading.Barrier(6)
    processor = SimpleHarProcessor(exporter)

    def work(number: int) -> None:
        start.wait(timeout=20)
        for count in range(10):
            processor.on_record(record_of(f"{number}.{count}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert 0 == exporter.overlaps
    assert sorted(f"{number}.{count}" for number in range(6) for count in range(10)) == sorted(exporter.urls)


@contextlib.contextmanager
def _busy_with(record: HarRecord, processor: SimpleHarProcessor, exporter: _Exporter) -> Iterator[None]:
    """Within, another thread has the turn: it is in the middle of exporting a record, and goes on afterwards."""
    has_begun, may_end = threading.Event(), threading.Event()

    def wait() -> None:
        has_begun.set()
        assert may_end.wait(timeout=40)

    exporter.meanwhile = wait
    thread = threading.Thread(target=processor.on_record, args=(record,))
    thread.start()
    try:
        assert has_begun.wait(timeout=20)
        yield
    finally:
        may_end.set()
        thread.join(timeout=20)


@pytest.mark.parametrize("max_turn_millis", [0, 20])
def test_a_thread_that_gets_no_turn_leaves_its_record_to_the_one_that_has_it(max_turn_millis: int) -> None:
    """The first export waits for what the second thread holds until its call returns: neither waits for ever."""
    exporter = _Exporter()
    processor = SimpleHarProcessor(exporter, max_turn_millis=max_turn_millis)
    with _busy_with(record_of("1"), processor, exporter):
        processor.on_record(record_of("2"))
        assert [] == exporter.urls
    assert (["1", "2"], 0) == (exporter.urls, exporter.overlaps)


class _Logging(_Exporter):
    """Takes locks as logging handlers do."""

    @property
    def takes_locks_of_program(self) -> bool:
        """As `LoggingHarExporter`."""
        return True


@pytest.mark.parametrize("is_among_others", [False, True])
def test_nobody_waits_for_an_exporter_that_takes_locks_of_the_program(*, is_among_others: bool) -> None:
    """A thread that may hold such a lock leaves its record at once, by itself or among other exporters."""
    exporter = _Logging()
    processor = SimpleHarProcessor(
        CompositeHarExporter(_Exporter(), exporter) if is_among_others else exporter, max_turn_millis=600_000
    )
    with _busy_with(record_of("1"), processor, exporter):
        second = threading.Thread(target=processor.on_record, args=(record_of("2"),), daemon=True)
        second.start()
        second.join(timeout=20)
        is_waiting = second.is_alive()
    assert (False, ["1", "2"]) == (is_waiting, exporter.urls)
    processor.shutdown()


def test_the_exporter_to_logging_takes_locks_of_the_program() -> None:
    """Those of its handlers; others that are ours take none."""
    assert (True, False) == (LoggingHarExporter().takes_locks_of_program, _Exporter().takes_locks_of_program)


def test_what_came_during_a_flush_is_exported_after_it() -> None:
    """Whoever has the turn looks for what others brought, also where it only flushed."""
    exporter = _Exporter()
    processor = SimpleHarProcessor(exporter, max_turn_millis=0)

    def flush(timeout_millis: int = 0) -> bool:
        other = threading.Thread(target=processor.on_record, args=(record_of("1"),))
        other.start()
        other.join(timeout=20)
        return timeout_millis > 0

    exporter.force_flush = flush  # type: ignore[method-assign] # this test's own exporter
    processor.force_flush()
    assert ["1"] == exporter.urls


def test_options() -> None:
    """What was chosen about the form of entries reaches them."""
    record = record_of("form")
    assert record.exchange is not None
    record.exchange.request_headers = [("Content-Type", "application/x-www-form-urlencoded")]
    record.exchange.request_body.note(b"a=1")
    record.exchange.request_body.ended = True
    exporter = _Exporter()
    SimpleHarProcessor(exporter).on_record(record)
    SimpleHarProcessor(exporter, options=MappingOptions(params="always")).on_record(record)
    assert [False, True] == exporter.has_params


class _Exiting(_Exporter):
    """Would end the program, wherever it is called."""

    def export(self, batch: HarBatch) -> HarExportResult:
        raise SystemExit(len(batch.entries))

    def force_flush(self, timeout_millis: int = 0) -> bool:
        raise SystemExit(timeout_millis)

    def shutdown(self, timeout_millis: int = 0) -> None:
        raise SystemExit(timeout_millis)


def test_an_exporter_that_exits() -> None:
    """The call that completes a record goes on, and so do flush and shutdown."""
    processor = SimpleHarProcessor(_Exiting())
    processor.on_record(record_of("1"))
    assert not processor.force_flush()
    processor.shutdown()
    assert 1 == processor.failed_entries


class _Interrupted(_Exporter):
    """Takes nothing for now, as long as it is told so; notes how many entries came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: DestinationError | None = DestinationError(28, "No space left on device")
        self.attempts = 0
        self.sizes: list[int] = []
        self.told = HarStatistics()
        self.meanwhile_failing: Callable[[], None] | None = None

    def export(self, batch: HarBatch) -> HarExportResult:
        self.attempts += 1
        if self.fault is not None:
            meanwhile, self.meanwhile_failing = self.meanwhile_failing, None
            if meanwhile is not None:
                meanwhile()
            raise self.fault
        self.sizes.append(len(batch.entries))
        self.told += batch.statistics
        return super().export(batch)


def test_what_is_not_taken_for_now_comes_before_the_next() -> None:
    """Records wait in their order, each costs one attempt, and the next one that is taken brings all of them."""
    exporter = _Interrupted()
    processor = SimpleHarProcessor(exporter)
    for path in ("1", "2", "3"):
        processor.on_record(record_of(path))
    assert ([], 3) == (exporter.urls, exporter.attempts)
    exporter.fault = None
    processor.on_record(record_of("4"))
    assert (["1", "2", "3", "4"], [1, 3]) == (exporter.urls, exporter.sizes)
    assert (0, HarStatistics(failed_exports=3)) == (processor.failed_entries, exporter.told)


@pytest.mark.parametrize("end", ["force_flush", "shutdown"])
def test_what_waits_is_tried_again_at(end: str) -> None:
    """Flush and shutdown bring what waits; a flush that cannot says so."""
    exporter = _Interrupted()
    processor = SimpleHarProcessor(exporter)
    processor.on_record(record_of("1"))
    assert not processor.force_flush()
    exporter.fault = None
    getattr(processor, end)()
    assert (["1"], 0) == (exporter.urls, processor.failed_entries)


def test_what_is_never_taken_has_failed() -> None:
    """What waits has failed when the time of the shutdown is over, once; that time is the processor's by default."""
    exporter = _Interrupted()
    processor = SimpleHarProcessor(exporter, export_timeout_millis=200)
    for path in ("1", "2"):
        processor.on_record(record_of(path))
    assert 0 == processor.failed_entries
    began = time.monotonic()
    processor.shutdown()
    processor.shutdown()
    assert 0.2 > time.monotonic() - began
    assert (2, 0) == (processor.failed_entries, processor.dropped_entries)


def test_shutdown_tries_until_its_time_is_over() -> None:
    """A destination that refuses at first gets everything, if it takes it within the time."""

    class Recovering(_Interrupted):
        def export(self, batch: HarBatch) -> HarExportResult:
            if self.attempts == 4:
                self.fault = None
            return super().export(batch)

    exporter = Recovering()
    processor = SimpleHarProcessor(exporter)
    for path in ("1", "2"):
        processor.on_record(record_of(path))
    processor.shutdown()
    assert (["1", "2"], 6, 0) == (exporter.urls, exporter.attempts, processor.failed_entries)


def test_others_are_let_in_while_shutdown_tries() -> None:
    """A thread that hands a record on while the end waits for a destination does not wait with it."""
    exporter = _Interrupted()
    processor = SimpleHarProcessor(exporter)
    processor.on_record(record_of("1"))
    inside, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        may_go_on.wait(20)

    exporter.meanwhile_failing = hold
    busy = threading.Thread(target=processor.on_record, args=(record_of("2"),))
    busy.start()
    assert inside.wait(20)
    late = threading.Thread(target=processor.on_record, args=(record_of("3"),))
    late.start()
    ending = threading.Thread(target=processor.shutdown, args=(20_000,))
    ending.start()
    may_go_on.set()
    for thread in (busy, late):
        thread.join(10)
        assert not thread.is_alive()
    exporter.fault = None
    ending.join(20)
    assert 0 == processor.failed_entries + processor.dropped_entries
    assert ["1", "2"] == sorted(exporter.urls)[:2]


def test_what_waits_is_bounded() -> None:
    """Beyond 2,048 records the newest are dropped and counted; the others come in several batches."""
    exporter = _Interrupted()
    processor = SimpleHarProcessor(exporter)
    record = HarRecord(None, SPAN, PAGE)
    for _ in range(2_050):
        processor.on_record(record)
    exporter.fault = None
    processor.shutdown()
    assert (2_048, 2) == (sum(exporter.sizes), processor.dropped_entries)
    assert 512 == max(exporter.sizes)


def test_shut_down_by_an_exporter_that_takes_nothing() -> None:
    """A record that waits when the exporter itself ends the recording has failed, and nothing hangs."""

    class Ending(_Interrupted):
        def export(self, batch: HarBatch) -> HarExportResult:
            processor.shutdown()
            return super().export(batch)

    processor = SimpleHarProcessor(Ending())
    processor.on_record(record_of("1"))
    assert 1 == processor.failed_entries
