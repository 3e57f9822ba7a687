"""`HarSpanProcessor` with real spans of the SDK, and exchanges noted as a capture notes them."""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode

from otel_har import correlation
from otel_har.budget import ByteBudget
from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.simple import SimpleHarProcessor
from otel_har.limits import CaptureLimits
from otel_har.processor import HarSpanProcessor
from otel_har.testing import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span, Tracer

OLD: dict[str, Any] = {"http.method": "GET", "http.url": "http://example.test/old", "http.status_code": 200}
NEW: dict[str, Any] = {
    "http.request.method": "GET",
    "url.full": "http://example.test/new",
    "http.response.status_code": 200,
}
MANY = 10_020


class _Recording:
    """A provider with our processor, exporting at once into memory."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemoryHarExporter()
        self.processor = HarSpanProcessor(SimpleHarProcessor(self.exporter), title=lambda: "the run", **options)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.tracer: Tracer = self.provider.get_tracer("test")

    @property
    def statistics(self) -> HarStatistics:
        processor = self.processor._processor
        assert isinstance(processor, SimpleHarProcessor)
        return processor._delivery.account.statistics

    @property
    def urls(self) -> list[str]:
        return [entry.request.url for entry in self.exporter.entries]

    @property
    def titles(self) -> list[str]:
        pages = {page.id: page.title for page in self.exporter.pages}
        return [pages[entry.pageref or ""] for entry in self.exporter.entries]


@pytest.fixture
def recording() -> Iterator[_Recording]:
    """A recording whose document has no fault, whatever the test did."""
    made = _Recording()
    yield made
    made.processor.shutdown()
    assert {entry.pageref for entry in made.exporter.entries} == {page.id for page in made.exporter.pages}


def _note(span: Span, path: str = "/", *, finished: bool = True) -> Exchange:
    """What a capture does with a span: an exchange with a response, its body read or still to be read."""
    capture = correlation.find(span)
    assert capture is not None
    exchange = Exchange("GET", f"http://example.test{path}", started_unix_ns=1, started=1, limits=capture.limits)
    exchange.status = 200
    exchange.instants.response_started = 2
    capture.exchanges.append(exchange)
    if finished:
        _finish(exchange)
    return exchange


def _finish(exchange: Exchange, body: bytes = b"body") -> None:
    exchange.response_body.note(body)
    exchange.response_body.ended = True
    exchange.finish(3)


def _client(tracer: Tracer, **options: Any) -> Span:
    return tracer.start_span("GET", kind=SpanKind.CLIENT, **options)


def test_body_ends_before_the_span(recording: _Recording) -> None:
    """An exchange that is finished is handed on when its span ends, not before."""
    span = _client(recording.tracer)
    _note(span)
    assert [] == recording.urls
    span.end()
    assert ["http://example.test/"] == recording.urls


def test_body_ends_after_the_span(recording: _Recording) -> None:
    """A body that is read after its span is awaited, and the entry is whole."""
    span = _client(recording.tracer)
    exchange = _note(span, finished=False)
    span.end()
    assert [] == recording.urls
    _finish(exchange)
    [entry] = recording.exporter.entries
    assert "body" == entry.response.content.text


def test_body_never_ends(recording: _Recording) -> None:
    """At shutdown what is there of an exchange is handed on, and nothing after that."""
    span = _client(recording.tracer)
    exchange = _note(span, finished=False)
    exchange.response_body.note(b"half")
    span.end()
    recording.processor.shutdown()
    [entry] = recording.exporter.entries
    assert ("half", "partial") == (entry.response.content.text, entry.response.content.body_state)
    _finish(exchange)
    assert 1 == len(recording.exporter.entries)


class _Abandoned:
    """A response that nobody reads to its end, and that only the garbage collector finds."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._itself = self

    def __del__(self) -> None:
        self._exchange.finish(3)


def test_finaliser_hands_on_while_the_others_are(recording: _Recording) -> None:
    """The garbage collector may run at any allocation: what it finds in the middle of the end costs no other entry."""
    exchanges = []
    for number in range(2_000):
        span = _client(recording.tracer)
        exchanges.append(_note(span, f"/{number}", finished=False))
        span.end()
    thresholds = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        _Abandoned(exchanges[0])
        gc.set_threshold(700)
        gc.enable()
        recording.processor.shutdown()
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert {f"http://example.test/{number}" for number in range(2_000)} == set(recording.urls)
    assert 2_000 == len(recording.urls)


def test_span_never_ends(recording: _Recording) -> None:
    """At shutdown an open span's exchanges are handed on, and its end changes nothing."""
    span = _client(recording.tracer, attributes=OLD)
    _note(span, "/noted", finished=False)
    recording.processor.shutdown()
    assert ["http://example.test/noted"] == recording.urls
    span.end()
    assert ["http://example.test/noted"] == recording.urls


def test_span_alone_never_ends(recording: _Recording) -> None:
    """An open HTTP span that no hook captured is an entry at shutdown, too."""
    span = _client(recording.tracer, attributes=OLD)
    recording.processor.shutdown()
    assert ["http://example.test/old"] == recording.urls
    span.end()


@pytest.mark.parametrize("attributes", [OLD, NEW], ids=["old", "new"])
def test_span_of_a_client_that_nobody_hooks(recording: _Recording, attributes: dict[str, Any]) -> None:
    """A client span of either semantic convention is an entry by itself."""
    _client(recording.tracer, attributes=attributes).end()
    [entry] = recording.exporter.entries
    assert (200, "from the span's attributes: no hook captured this exchange") == (entry.response.status, entry.comment)


@pytest.mark.parametrize("kind", [kind for kind in SpanKind if kind is not SpanKind.CLIENT])
def test_other_kinds_are_no_entries(recording: _Recording, kind: SpanKind) -> None:
    """A server's span has HTTP attributes, too, and is no request of the program's."""
    recording.tracer.start_span("x", kind=kind, attributes=OLD).end()
    assert [] == recording.urls


def test_client_of_another_protocol_is_no_entry(recording: _Recording) -> None:
    """A database call is a client span, and no HTTP."""
    _client(recording.tracer, attributes={"db.system": "sqlite"}).end()
    assert [] == recording.urls


def test_redirect_hops_are_entries(recording: _Recording) -> None:
    """Every exchange of a span is an entry, each when it is finished."""
    span = _client(recording.tracer)
    first, second = _note(span, "/1", finished=False), _note(span, "/2", finished=False)
    span.end()
    _finish(second)
    assert ["http://example.test/2"] == recording.urls
    _finish(first)
    assert ["http://example.test/2", "http://example.test/1"] == recording.urls


def test_span_facts(recording: _Recording) -> None:
    """The entry carries its span: identity, parent, scope, status, attributes."""
    tracer = recording.tracer
    with (
        pytest.raises(ValueError, match="why"),
        tracer.start_as_current_span("root") as root,
        tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=OLD) as span,
    ):
        raise ValueError("why")
    [entry] = recording.exporter.entries
    context = span.get_span_context()
    assert {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "parentSpanId": f"{root.get_span_context().span_id:016x}",
        "scope": "test",
        "status": {"code": "ERROR", "description": "ValueError: why"},
        "attributes": OLD,
        "process": {"pid": os.getpid(), "parentPid": os.getppid(), "name": "MainProcess"},
    } == entry.otel


def test_recorded_exception_is_the_error(recording: _Recording) -> None:
    """Without a response and without a word from a hook, the span's last exception says why."""
    span = _client(recording.tracer, attributes={"http.method": "GET"})
    span.record_exception(OSError("first"))
    span.record_exception(ConnectionError("refused"))
    span.set_status(StatusCode.ERROR)
    span.end()
    assert "ConnectionError: refused" == recording.exporter.entries[0].response.error


def test_trace_is_the_page(recording: _Recording) -> None:
    """Entries below a span of the program's own are on the page of its trace, which ends with it."""
    with recording.tracer.start_as_current_span("job") as root:
        for path in ("/1", "/2"):
            span = _client(recording.tracer)
            _note(span, path)
            span.end()
        root.update_name("job renamed")
        assert [-1] == [page.page_timings.on_load for page in recording.exporter.pages]
    assert ["job renamed", "job renamed"] == recording.titles
    assert recording.exporter.pages[0].page_timings.on_load >= 0


def test_entry_after_its_trace(recording: _Recording) -> None:
    """A body that is read after the root span ended is on the page of its trace, duration known."""
    with recording.tracer.start_as_current_span("job"):
        span = _client(recording.tracer)
        exchange = _note(span, finished=False)
        span.end()
    assert [] == recording.exporter.pages
    _finish(exchange)
    assert ["job"] == recording.titles
    assert recording.exporter.pages[0].page_timings.on_load >= 0


def test_root_client_span_is_on_the_page_of_the_run(recording: _Recording) -> None:
    """A client span that is its own root names no page: the run's page has it."""
    _client(recording.tracer, attributes=OLD).end()
    assert ["the run"] == recording.titles


def test_remote_parent(recording: _Recording) -> None:
    """A server's span with a remote parent is the local root."""
    remote = trace.SpanContext(5, 6, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    with recording.tracer.start_as_current_span("GET /users", context=context, kind=SpanKind.SERVER):
        _client(recording.tracer, attributes=OLD).end()
    assert ["GET /users"] == recording.titles
    assert [f"trace_{5:032x}"] == [page.id for page in recording.exporter.pages]


def test_inner_spans_name_no_page(recording: _Recording) -> None:
    """The local root names the page, however deep the client span is."""
    with recording.tracer.start_as_current_span("outer"), recording.tracer.start_as_current_span("inner"):
        _client(recording.tracer, attributes=OLD).end()
    assert ["outer"] == recording.titles


def test_most_pages() -> None:
    """Traces over the limit share the page of the run."""
    recording = _Recording(max_pages=2)
    for name in ("one", "two", "three"):
        with recording.tracer.start_as_current_span(name):
            _client(recording.tracer, attributes=OLD).end()
    assert ["one", "the run", "the run"] == recording.titles


def test_sampled_out() -> None:
    """A span that is not sampled never comes here: hooks find nothing to note into."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    exporter = InMemoryHarExporter()
    provider.add_span_processor(HarSpanProcessor(SimpleHarProcessor(exporter)))
    span = _client(provider.get_tracer("test"), attributes=OLD)
    assert correlation.find(span) is None
    span.end()
    assert [] == exporter.entries


class _RecordOnly(Sampler):
    """Spans that processors see and that are not sampled."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """Record, do not sample."""
        del args, kwargs
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        """Return the sampler's name."""
        return "record only"


def test_recorded_but_not_sampled() -> None:
    """A span that is recorded for other processors and not sampled is no entry."""
    provider = TracerProvider(sampler=_RecordOnly(), shutdown_on_exit=False)
    exporter = InMemoryHarExporter()
    provider.add_span_processor(HarSpanProcessor(SimpleHarProcessor(exporter)))
    span = _client(provider.get_tracer("test"), attributes=OLD)
    assert correlation.find(span) is None
    span.end()
    assert [] == exporter.entries


def test_two_processors_on_one_provider(recording: _Recording) -> None:
    """Two recorders at once both have every entry, and do not mix their pages."""
    exporter = InMemoryHarExporter()
    recording.provider.add_span_processor(HarSpanProcessor(SimpleHarProcessor(exporter), title=lambda: "other"))
    span = _client(recording.tracer)
    exchange = _note(span, finished=False)
    span.end()
    _finish(exchange)
    assert ["http://example.test/"] == recording.urls == [entry.request.url for entry in exporter.entries]
    assert (["the run"], ["other"]) == (recording.titles, [page.title for page in exporter.pages])


def test_one_of_two_processors_shuts_down(recording: _Recording) -> None:
    """A recorder that ends in the middle of an exchange leaves it to the other one whole."""
    first = HarSpanProcessor(SimpleHarProcessor(InMemoryHarExporter()))
    recording.provider.add_span_processor(first)
    span = _client(recording.tracer)
    exchange = _note(span, finished=False)
    closed: list[str] = []
    capture = correlation.find(span)
    assert capture is not None
    capture.when_closed(lambda: closed.append("closed"))
    first.shutdown()
    assert [] == closed
    _finish(exchange)
    span.end()
    assert ["closed"] == closed
    assert ["body"] == [entry.response.content.text for entry in recording.exporter.entries]


def test_processor_added_late(recording: _Recording) -> None:
    """A processor added while a root span is open knows its page by the client span's parent."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("early"):
        provider.add_span_processor(recording.processor)
        _client(tracer, attributes=OLD).end()
    assert ["early"] == recording.titles
    assert recording.exporter.pages[0].page_timings.on_load >= 0


def test_client_span_that_began_before_the_processor(recording: _Recording) -> None:
    """A client span whose start was not seen is no entry: what hooks noted of it is nowhere."""
    provider = TracerProvider(shutdown_on_exit=False)
    span = _client(provider.get_tracer("test"), attributes=OLD)
    provider.add_span_processor(recording.processor)
    span.end()
    assert [] == recording.urls


def test_shut_down_twice(recording: _Recording) -> None:
    """A second shutdown does nothing."""
    recording.processor.shutdown()
    recording.processor.shutdown()
    recording.provider.shutdown()
    assert [] == recording.urls


def test_span_after_shutdown(recording: _Recording) -> None:
    """After shutdown spans are ignored, and hooks find nothing to note into."""
    recording.processor.shutdown()
    span = _client(recording.tracer, attributes=OLD)
    assert correlation.find(span) is None
    span.end()
    assert [] == recording.urls


def test_nothing_is_left_behind(recording: _Recording) -> None:
    """Spans that ended and exchanges that finished are held nowhere."""
    for _ in range(20):
        span = _client(recording.tracer)
        _note(span)
        span.end()
    recording.processor.shutdown()
    assert ({}, {}, {}) == (recording.processor._open, recording.processor._waiting, correlation.open_captures)


def test_bodies_that_never_end_are_bounded() -> None:
    """Beyond a number of exchanges in flight the oldest is handed on as it is."""
    recording = _Recording()
    for number in range(MANY):
        span = _client(recording.tracer)
        _note(span, f"/{number}", finished=False)
        span.end()
    assert [f"http://example.test/{number}" for number in range(20)] == recording.urls
    recording.processor.shutdown()
    assert MANY == len(recording.urls)


def test_spans_that_never_end_are_bounded() -> None:
    """Client spans that nobody ends do not fill the memory."""
    recording = _Recording()
    spans = [_client(recording.tracer, attributes=OLD) for _ in range(MANY)]
    held = len(recording.processor._open), len(correlation.open_captures)
    recording.processor.shutdown()
    assert max(held) <= 10_000
    assert len(spans) == len(recording.urls)


def test_limits_reach_the_hooks() -> None:
    """The limits are those that the processor was given."""
    recording = _Recording(limits=CaptureLimits(3, ByteBudget(100)))
    span = _client(recording.tracer)
    _note(span)
    span.end()
    assert "bod" == recording.exporter.entries[0].response.content.text


class _Failing(HarExporter):
    """Fails in one of the ways an exporter may."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def export(self, batch: HarBatch) -> HarExportResult:
        """Fail."""
        del batch
        if self.fault is not None:
            raise self.fault
        return HarExportResult.FAILURE

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Fail, too."""
        del timeout_millis
        if self.fault is not None:
            raise self.fault


@pytest.mark.parametrize("fault", [None, OSError("disk"), RuntimeError("bug")])
def test_force_flush_tells_the_truth(fault: Exception | None) -> None:
    """It is False when the export failed, however the exporter says so, and nothing reaches the program."""
    har_processor = BatchHarProcessor(_Failing(fault), BatchSettings(schedule_delay_millis=60_000))
    processor = HarSpanProcessor(har_processor)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    assert processor.force_flush(20_000) is True
    _client(provider.get_tracer("test"), attributes=OLD).end()
    assert processor.force_flush(20_000) is False
    processor.shutdown()


def test_force_flush_exports(recording: _Recording) -> None:
    """Flushing a working recording is True."""
    _client(recording.tracer, attributes=OLD).end()
    assert recording.provider.force_flush(20_000) is True
    assert 1 == len(recording.urls)


def test_many_threads(recording: _Recording) -> None:
    """Spans that start and end on many threads at once each have their entry once, on the page of their trace."""
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait(timeout=20)
        for count in range(20):
            with recording.tracer.start_as_current_span(f"{number}"):
                span = _client(recording.tracer)
                _note(span, f"/{number}/{count}")
                span.end()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    expected = sorted(f"http://example.test/{number}/{count}" for number in range(8) for count in range(20))
    assert expected == sorted(recording.urls)


def test_entry_whose_span_has_no_room_is_dropped() -> None:
    """What a span tells is charged, too: without room for it there is no entry, hooked or not, and it is counted."""
    recording = _Recording(limits=CaptureLimits(budget=ByteBudget(0)))
    large = OLD | {"http.large": "x" * 2_000_000}
    for is_hooked in (True, False):
        span = _client(recording.tracer, attributes=large)
        if is_hooked:
            _note(span)
        span.end()
    _client(recording.tracer, attributes=OLD).end()
    recording.processor.shutdown()
    assert ["http://example.test/old"] == recording.urls
    assert HarStatistics(dropped_entries=2) == recording.statistics


def test_bytes_are_given_back_with_the_entries() -> None:
    """When everything is exported nothing is charged any more."""
    budget = ByteBudget(10_000_000)
    recording = _Recording(limits=CaptureLimits(budget=budget))
    for _ in range(3):
        span = _client(recording.tracer, attributes=OLD)
        _note(span)
        span.end()
    del span
    gc.collect()
    assert 0 < budget.most_taken_bytes
    assert 0 == budget.taken_bytes
    recording.processor.shutdown()


def test_what_is_cut_short_is_counted() -> None:
    """Bodies and spans that are given up because too many are under way say so, and are counted."""
    recording = _Recording(limits=CaptureLimits(budget=ByteBudget(1_000_000_000)))
    spans = [_client(recording.tracer) for _ in range(10_001)]
    assert [] == recording.urls  # the first one was given up, and no hook had noted anything of it
    _note(spans[1], finished=False)
    spans.append(_client(recording.tracer))
    recording.processor.shutdown()
    [entry] = recording.exporter.entries
    assert "not read by the program: too many exchanges were under way" == entry.response.content.comment
    assert HarStatistics(dropped_bodies=1) == recording.statistics
