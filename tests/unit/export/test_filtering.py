"""Filters at work in the processors, and in the capture that several of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from otel_har import correlation
from otel_har.budget import ByteBudget
from otel_har.errors import DestinationError
from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.export.simple import SimpleHarProcessor
from otel_har.filters import HarFilter
from otel_har.limits import CaptureLimits
from otel_har.processor import HarSpanProcessor
from otel_har.testing import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSORS = [SimpleHarProcessor, BatchHarProcessor]
NEVER = BatchSettings(schedule_delay_millis=3_600_000, max_queue_size=2)


class _Batches(InMemoryHarExporter):
    """Counts its calls; takes nothing for as many of them as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.batches: list[HarBatch] = []
        self._refusals = refusals

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep the batch."""
        if self._refusals:
            self._refusals -= 1
            raise DestinationError("full")
        self.batches.append(batch)
        return super().export(batch)


class _Recording:
    """A provider whose processors have a filter each."""

    def __init__(self, *filters: HarFilter, kind: Callable[..., Any] = SimpleHarProcessor, **options: Any) -> None:
        self.budget = ByteBudget(100_000)
        self.exporters = [_Batches() for _ in filters]
        self.processors = [
            kind(exporter, filter=one, **options) for exporter, one in zip(self.exporters, filters, strict=True)
        ]
        self.provider = TracerProvider(shutdown_on_exit=False)
        self._limits = CaptureLimits(budget=self.budget)
        for processor in self.processors:
            self.provider.add_span_processor(HarSpanProcessor(processor, limits=self._limits))

    def request(self, *paths: str, body: bytes = b"body") -> list[int]:
        """One span with an exchange for each path; how many bytes of each body are kept."""
        span = self.provider.get_tracer("test").start_span("GET", kind=SpanKind.CLIENT)
        capture = correlation.find(span)
        assert capture is not None
        exchanges = []
        for path in paths:
            exchange = Exchange("GET", f"http://h.test{path}", started_unix_ns=1, started=1, limits=capture.limits)
            capture.take_in(exchange)
            exchange.status = 200
            exchange.response_body.note(body)
            exchange.response_body.ended = True
            exchange.charge()
            exchanges.append(exchange)
        kept = [exchange.response_body.kept_bytes for exchange in exchanges]
        for exchange in exchanges:
            exchange.finish(3)
        span.end()
        return kept

    def paths(self) -> list[list[str]]:
        """What was exported, of each."""
        self.provider.force_flush()
        urls = [[entry.request.url for entry in exporter.entries] for exporter in self.exporters]
        return [[url.removeprefix("http://h.test") for url in found] for found in urls]

    def filtered(self) -> list[int]:
        """What each processor left out."""
        return [processor.filtered_entries for processor in self.processors]


@pytest.mark.parametrize("kind", PROCESSORS)
def test_each_hop_is_filtered_by_itself(kind: Callable[..., Any]) -> None:
    """Of several exchanges of one span each is looked at alone; those left out are counted."""
    recording = _Recording(HarFilter(exclude_urls="*/a,*/c"), kind=kind)
    assert [0, 4, 0] == recording.request("/a", "/b", "/c")
    assert ([["/b"]], [2]) == (recording.paths(), recording.filtered())
    recording.provider.shutdown()


def test_the_capture_keeps_what_any_processor_wants() -> None:
    """Two filters on one span: what one wants is kept for it, and each exports its own."""
    recording = _Recording(HarFilter(include_urls="*/a"), HarFilter(include_urls="*/b,*/c", bodies="none"))
    assert [4, 0, 0, 0] == recording.request("/a", "/b", "/c", "/d")
    assert ([["/a"], ["/b", "/c"]], [3, 2]) == (recording.paths(), recording.filtered())


def test_a_filter_takes_nothing_from_another_processor() -> None:
    """Beside a processor without a filter, one that wants no body has none, and the other has it."""
    recording = _Recording(HarFilter(bodies="none"), HarFilter())
    assert [4] == recording.request("/a")
    assert [None, "body"] == [exporter.entries[0].response.content.text for exporter in recording.exporters]


def test_a_url_that_becomes_another_is_weighed_anew() -> None:
    """The client may tell of another URL before it sends: that one counts."""
    recording = _Recording(HarFilter(exclude_urls="*/a"))
    span = recording.provider.get_tracer("test").start_span("GET", kind=SpanKind.CLIENT)
    capture = correlation.find(span)
    assert capture is not None
    exchanges = [
        Exchange("GET", "http://h.test/a", started_unix_ns=1, started=1, limits=capture.limits) for _ in range(2)
    ]
    for exchange in exchanges:
        capture.take_in(exchange)
    exchanges[1].url = "http://h.test/b"
    capture.weigh(exchanges[1])
    for exchange in exchanges:
        exchange.finish(2)
    span.end()
    assert ([["/b"]], [1]) == (recording.paths(), recording.filtered())


def test_a_filter_that_fails_before_sending_lets_in(caplog: pytest.LogCaptureFixture) -> None:
    """A processor of the program's own that cannot say what it wants gets everything."""

    class Failing(SimpleHarProcessor):
        def interest(self, method: str, url: str) -> Any:
            raise ArithmeticError(method, url)

    recording = _Recording(HarFilter(), kind=Failing)
    assert [4] == recording.request("/a")
    assert [["/a"]] == recording.paths()
    assert 1 == sum("weighing an exchange failed" in line for line in caplog.messages)


def test_what_is_known_before_takes_no_room() -> None:
    """What a URL leaves out never waits: the queue is there for the others, and the budget is as it was."""
    recording = _Recording(HarFilter(include_urls="*/b"), kind=BatchHarProcessor, settings=NEVER)
    for _ in range(20):
        recording.request("/a", body=b"x" * 10_000)
        assert 0 == recording.budget.taken_bytes
    recording.request("/b")
    assert ([["/b"]], [20]) == (recording.paths(), recording.filtered())
    assert 0 == recording.processors[0].dropped_entries
    recording.provider.shutdown()


@pytest.mark.parametrize("kind", PROCESSORS)
def test_nothing_is_exported_where_nothing_is_left(kind: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """What an answer leaves out reaches no exporter, is no loss, and nobody complains at the end."""
    recording = _Recording(HarFilter(statuses="4xx"), kind=kind)
    recording.request("/a", "/b")
    assert recording.provider.force_flush()
    assert ([[]], [2]) == (recording.paths(), recording.filtered())
    assert [] == recording.exporters[0].batches
    recording.provider.shutdown()
    assert [] == caplog.messages


def test_what_is_left_out_is_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    """A batch that is built again because its destination took nothing counts when it is delivered."""
    exporter = _Batches(refusals=2)
    settings = BatchSettings(schedule_delay_millis=3_600_000)
    processor = BatchHarProcessor(
        exporter, settings, filter=HarFilter(predicate=lambda entry: "/a" in entry.request.url)
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(HarSpanProcessor(processor))
    for path in ("/a", "/b", "/c"):
        with provider.get_tracer("test").start_as_current_span(
            "GET", kind=SpanKind.CLIENT, attributes={"http.method": "GET", "http.url": f"http://h.test{path}"}
        ):
            pass
    assert [False, False] == [processor.force_flush(), processor.force_flush()]
    assert 0 == processor.filtered_entries
    provider.shutdown()
    assert (1, 2, 0) == (len(exporter.entries), processor.filtered_entries, processor.failed_entries)
    assert any("goes on after 2 failed attempts" in line for line in caplog.messages)
