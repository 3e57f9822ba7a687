"""The program's own redactor: whatever it does, it costs one entry its values and no other entry anything."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.building import build_batch
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.export.simple import SimpleHarProcessor
from otel_har.har.models import Entry, PostData, Response
from otel_har.limits import CaptureLimits
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PAGE = PageFacts("run", "run", 1_900_000_000_000_000_000)
BAD = "bad"


def _record(path: str) -> HarRecord:
    exchange = Exchange(
        "GET", f"http://h.test/{path}", started_unix_ns=PAGE.started_unix_ns, started=1, limits=CaptureLimits()
    )
    attributes = {"http.method": "GET", "enduser.id": "bob"}
    span = SpanFacts("1" * 32, "2" * 16, None, "", PAGE.started_unix_ns, None, "UNSET", None, attributes, None)
    return HarRecord(exchange, span, PAGE)


class _Exporter(HarExporter):
    """Writes what it gets, as exporters do."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.failed_entries = 0

    def export(self, batch: HarBatch) -> HarExportResult:
        """Note the batch."""
        for entry in batch.entries:
            entry.to_json()
            self.urls.append(entry.request.url)
        self.failed_entries += batch.statistics.failed_entries
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Hold nothing."""


def _only_the_bad(act: Callable[[Entry], Any]) -> RedactionPolicy:
    def redactor(entry: Entry) -> Any:
        return act(entry) if entry.request.url.endswith(BAD) else entry

    return RedactionPolicy(redactor=redactor)


def _spoil_and_raise(entry: Entry) -> Entry:
    entry.otel["attributes"]["x"] = object()
    raise LookupError


def _spoil(entry: Entry) -> Entry:
    entry.otel["attributes"]["x"] = object()
    return entry


def _raise(fault: type[BaseException]) -> Callable[[Entry], Entry]:
    def act(_: Entry) -> Entry:
        raise fault

    return act


def _with_response(entry: Entry, **members: Any) -> Entry:
    return entry.model_copy(update={"response": entry.response.model_copy(update=members)})


def _with_request(entry: Entry, **members: Any) -> Entry:
    return entry.model_copy(update={"request": entry.request.model_copy(update=members)})


MISDEEDS: dict[str, Callable[[Entry], Any]] = {
    "spoils the entry, then raises": _spoil_and_raise,
    "spoils the entry": _spoil,
    "ends the program": lambda _: sys.exit(3),
    "is cancelled": _raise(asyncio.CancelledError),
    "is closed": _raise(GeneratorExit),
    "stops": _raise(StopIteration),
    "recurses": _raise(RecursionError),
    "needs too much memory": _raise(MemoryError),
    "gives no entry": lambda entry: entry.model_dump(),
    "gives a class": lambda _: Entry,
    "gives an entry without a request": lambda entry: entry.model_copy(update={"request": 5}),
    "gives an entry of nothing": lambda _: Entry.model_construct(),  # type: ignore[call-arg] # that is the point
    "gives a content of something else": lambda entry: _with_response(entry, content={"text": []}),
    "gives a number as a text": lambda entry: _with_response(
        entry, content=Response().content.model_copy(update={"text": ["x"]})
    ),
    "gives headers that are numbers": lambda entry: _with_request(entry, headers=(1, 2)),
}
HARMLESS: dict[str, Callable[[Entry], Any]] = {
    "gives fields that are none": lambda entry: _with_request(entry, headers=None, post_data=PostData(params=())),
    "gives a body as a dict": lambda entry: _with_request(entry, post_data={"mimeType": "text/plain", "text": "x"}),
    "gives messages without data": lambda entry: entry.model_copy(update={"web_socket_messages": [{"type": "send"}]}),
    "gives messages that are none": lambda entry: entry.model_copy(
        update={"web_socket_messages": [5, "x", {"data": 5}]}
    ),
    "gives an object for messages": lambda entry: entry.model_copy(update={"event_source_messages": {"data": "x"}}),
    "gives a number for messages": lambda entry: entry.model_copy(update={"event_source_messages": 5}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_redactor_costs_no_other_entry(misdeed: str) -> None:
    """The entry loses its values, the others of the batch are as they were, and no warning is printed."""
    redactor = Redactor(_only_the_bad(MISDEEDS[misdeed]))
    batch = build_batch([_record("1"), _record(BAD), _record("2")], redactor=redactor)
    assert ["http://h.test/1", "http://h.test/%5BREDACTED%5D", "http://h.test/2"] == [
        entry.request.url for entry in batch.entries
    ]
    assert {"policy": "default", "rules": ["failed"]} == batch.entries[1].extensions["_redaction"]
    assert 0 == batch.statistics.failed_entries
    assert [] == [entry for entry in batch.entries if not entry.to_json()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("change", HARMLESS)
def test_what_can_be_written_is_written(change: str) -> None:
    """A redactor may give another form to what HAR lets have one."""
    batch = build_batch([_record("1"), _record(BAD)], redactor=Redactor(_only_the_bad(HARMLESS[change])))
    assert ["http://h.test/1", f"http://h.test/{BAD}"] == [entry.request.url for entry in batch.entries]
    assert [] == [entry for entry in batch.entries if not entry.to_json()]


def test_later_changes() -> None:
    """What a redactor keeps of an entry and changes later changes nothing that is on its way."""
    kept: list[Entry] = []
    policy = RedactionPolicy(redactor=lambda entry: (kept.append(entry), entry)[1])  # type: ignore[func-returns-value] # as a statement
    [entry] = build_batch([_record("1")], redactor=Redactor(policy)).entries
    kept[0].otel["attributes"]["x"] = object()
    assert b'"x"' not in entry.to_json()


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_processors(misdeed: str) -> None:
    """Both processors deliver all entries, count none as failed, and let nothing out into the program."""
    policy = _only_the_bad(MISDEEDS[misdeed])
    one, other = _Exporter(), _Exporter()
    simple, batch = SimpleHarProcessor(one, redaction=policy), BatchHarProcessor(other, redaction=policy)
    for processor in (simple, batch):
        for path in ("1", BAD, "2"):
            processor.on_record(_record(path))
        assert processor.force_flush()
        processor.shutdown()
    expected = ["http://h.test/1", "http://h.test/%5BREDACTED%5D", "http://h.test/2"]
    assert (expected, expected) == (one.urls, other.urls)
    assert (0, 0, 0, 0) == (simple.failed_entries, batch.failed_entries, one.failed_entries, other.failed_entries)


def test_what_a_redactor_requests_is_not_recorded() -> None:
    """Instrumentation is suppressed while it runs, else a request of its own would make an entry, and so on."""
    seen: list[bool] = []

    def redactor(entry: Entry) -> Entry:
        seen.append(is_instrumentation_enabled())
        return entry

    policy = RedactionPolicy(redactor=redactor)
    simple, batch = SimpleHarProcessor(_Exporter(), redaction=policy), BatchHarProcessor(_Exporter(), redaction=policy)
    for processor in (simple, batch):
        processor.on_record(_record("1"))
        processor.shutdown()
    assert [False, False] == seen
    assert is_instrumentation_enabled()


class _AlarmError(Exception):
    """What a signal handler of the program raises."""


def _handle(number: int, frame: FrameType | None) -> None:
    raise _AlarmError(number, frame)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(f"{number}{frame is None}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (_handle, _AlarmError),
        (_exit, SystemExit),
        (signal.default_int_handler, KeyboardInterrupt),
        (_interrupt, KeyboardInterrupt),
    ],
)
def test_a_signal_while_the_redactor_runs(handler: Any, expected: type[BaseException]) -> None:
    """What the program's handler raises, and Ctrl-C, is the program's; the entry that it cost is counted."""

    def redactor(entry: Entry) -> Entry:
        signal.raise_signal(signal.SIGUSR1)
        return entry

    exporter = _Exporter()
    processor = SimpleHarProcessor(exporter, redaction=_only_the_bad(redactor))
    processor.on_record(_record("1"))
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(expected):
            processor.on_record(_record(BAD))
    finally:
        signal.signal(signal.SIGUSR1, before)
    processor.on_record(_record("2"))
    assert (["http://h.test/1", "http://h.test/2"], 1) == (exporter.urls, processor.failed_entries)
    assert not processor.force_flush()
    assert 1 == exporter.failed_entries


def test_an_interrupt_in_another_thread_is_a_fault() -> None:
    """Ctrl-C comes to the main thread only: elsewhere it is the redactor that raises it."""
    exporter = _Exporter()
    processor = SimpleHarProcessor(exporter, redaction=RedactionPolicy(redactor=_raise(KeyboardInterrupt)))
    thread = threading.Thread(target=processor.on_record, args=(_record("1"),))
    thread.start()
    thread.join(60)
    assert (["http://h.test/%5BREDACTED%5D"], 0) == (exporter.urls, processor.failed_entries)
