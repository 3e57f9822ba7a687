"""`HarSpanProcessor`: joins each HTTP client span with what the hooks captured, and hands on what is complete.

The rule: an entry is handed on once, when its span has ended and its body has too, or when it is known that the body
will not. Nothing is built here: the worker does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags, get_current_span

from otel_har import correlation
from otel_har.budget import Charge
from otel_har.correlation import SpanKey
from otel_har.exchange import Exchange
from otel_har.export.interfaces import HarProcessor
from otel_har.forking import call_in_forked_child
from otel_har.guard import caught, guarded
from otel_har.limits import CaptureLimits, Interest
from otel_har.mapping.spans import is_http_client_span
from otel_har.pages import DEFAULT_MAX_PAGES, PageBook, Trace
from otel_har.record import HarRecord, SpanFacts

# Spans that never end and bodies that never do are given up in the order of their coming beyond these numbers.
_MAX_OPEN = 10_000
_MAX_WAITING = 10_000
_TOO_MANY = "too many exchanges were under way"
_SPAN_BYTES = 600  # of the facts of a span without attributes
_ATTRIBUTE_BYTES = 120  # of an attribute, besides the characters of its value
_PLAIN_KINDS = frozenset({str, int, float, bool})
_CLIENT, _SAMPLED = SpanKind.CLIENT, int(TraceFlags.SAMPLED)  # a name of an enumeration's is looked up by a call
_is_text = str.__instancecheck__


class HarSpanProcessor(SpanProcessor):
    """Makes HAR entries of HTTP client spans.

    Spans of every other kind are not entries; local root spans name the pages. A span that is not sampled never
    comes here. After `shutdown` spans are ignored.

    Args:
        processor: What complete records are handed to: a `BatchHarProcessor` or a `SimpleHarProcessor`.
        limits: How much of each body is kept, and of all of them together. Of several processors that see one span
            the limits of the first hold for all.
        max_pages: The most pages; traces beyond it share the page of the program's run.
        title: Gives the title of that page; the command line by default.
    """

    def __init__(
        self,
        processor: HarProcessor,
        *,
        limits: CaptureLimits | None = None,
        max_pages: int = DEFAULT_MAX_PAGES,
        title: Callable[[], str] | None = None,
    ) -> None:
        self._processor = processor
        self._limits = limits if limits is not None else CaptureLimits()
        self._limits.budget.waiting = processor.waiting
        self._pages = PageBook(max_pages, title)
        self._interest = None if processor.takes_everything else processor.interest
        self._open: dict[SpanKey, tuple[Span, Trace]] = {}
        self._waiting: dict[_Waiting, Exchange] = {}
        self._shut_down = False
        self._has_shut_down = False
        self._after_shutdown: list[Callable[[], object]] = []
        call_in_forked_child(self._forget)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Watch the span when it is an HTTP client's; remember it when it names a page."""
        try:
            context = span.context
            if self._shut_down or context is None:
                return
            key = trace_id, span_id = context[:2]  # see `correlation.key_of`
            is_client, parent = span.kind is _CLIENT, span.parent
            if is_client and parent is None:
                trace = self._pages.span_started(trace_id, span_id)
            else:
                trace = self._pages.span_started(trace_id, span_id, *_local_root(span, span_id, parent_context))
            if is_client and context.trace_flags & _SAMPLED:
                self._open[key] = span, trace
                correlation.expect(key, self._limits, self._interest)
                if len(self._open) > _MAX_OPEN:
                    self._give_up(next(iter(list(self._open))), reason=_TOO_MANY)
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("starting a span", fault)

    def on_end(self, span: ReadableSpan) -> None:
        """Join the span with its exchanges."""
        try:
            context = span.context
            if context is None:
                return
            key = trace_id, span_id = context[:2]  # see `correlation.key_of`
            completed = self._pages.span_ended(trace_id, span_id, span)
            if completed is not None and not self._shut_down:
                self._processor.on_page(completed)
            opened = self._open.pop(key, None)
            if opened is not None:
                self._join(span, key, opened[1], ended=True)
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("ending a span", fault)

    def shutdown(self) -> None:
        """Hand on what is still in flight with what there is of it, then shut the HAR processor down. Idempotent."""
        if self._shut_down:
            return
        self._shut_down = True
        self._hand_on_unfinished()
        guarded("shutting down")(self._processor.shutdown)()
        self._has_shut_down = True
        self._call_after_shutdown()

    @property
    def is_shutting_down(self) -> bool:
        """Whether `shutdown` was called and has not returned yet."""
        return self._shut_down and not self._has_shut_down

    def when_shut_down(self, call: Callable[[], object]) -> None:
        """Call `call` once, when `shutdown` is done; at once when it is already. It must not raise."""
        self._after_shutdown.append(call)
        if self._has_shut_down:
            self._call_after_shutdown()

    def _call_after_shutdown(self) -> None:
        while True:
            try:  # `pop` hands each to one thread only
                call = self._after_shutdown.pop()
            except IndexError:
                return
            call()

    @property
    def export_timeout_millis(self) -> float:
        """How long exporting what there is may take at an end, milliseconds."""
        return self._processor.export_timeout_millis

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export every entry that is complete.

        Returns:
            False when that took longer than `timeout_millis` milliseconds, or the export failed.
        """
        return guarded("flushing")(self._processor.force_flush)(timeout_millis) is True

    def _join(self, span: ReadableSpan, key: SpanKey, trace: Trace, *, ended: bool, reason: str | None = None) -> None:
        capture = correlation.settle(key, ended=ended)
        if capture is None or not capture.exchanges:
            self._hand_on_unhooked(span, key, trace)
            return
        exchanges = capture.exchanges if self._interest is None else self._wanted(capture.exchanges)
        if not exchanges:
            return
        noted = _NotedSpan(span, key)
        if reason is not None:
            _cut_short(capture.exchanges[-1], reason)
        for exchange in exchanges:
            is_over_budget = not exchange.hold_span(noted.held_bytes)
            if is_over_budget:
                noted.let_go()
            if exchange.finished:
                page = self._pages.page_of(key[0], trace)
                self._processor.on_record(HarRecord(exchange, noted.facts, page, None, is_over_budget))
                continue
            waiting = _Waiting(self, noted, trace, is_over_budget)
            self._waiting[waiting] = exchange
            exchange.when_finished(waiting.hand_on)
            while len(self._waiting) > _MAX_WAITING:
                self._hand_on_oldest()

    def _hand_on_unhooked(self, span: ReadableSpan, key: SpanKey, trace: Trace) -> None:
        """A span of a client that nobody hooks is an entry by itself."""
        if not is_http_client_span(span.attributes or {}):
            return
        noted, charge = _NotedSpan(span, key), Charge(self._limits.budget)
        is_over_budget = not charge.raise_by(noted.held_bytes)
        if is_over_budget:
            noted.let_go()
        page = self._pages.page_of(key[0], trace)
        self._processor.on_record(HarRecord(None, noted.facts, page, None, is_over_budget, charge))

    def _wanted(self, exchanges: list[Exchange]) -> list[Exchange]:
        """Those that are of use to anyone; the others are counted."""
        wanted = [exchange for exchange in exchanges if exchange.interest is not Interest.NOTHING]
        if len(wanted) < len(exchanges):
            unwanted = [exchange for exchange in exchanges if exchange.interest is Interest.NOTHING]
            self._processor.on_unwanted(len(unwanted) + sum(exchange.lost_attempts for exchange in unwanted))
        return wanted

    def _hand_on_oldest(self) -> None:
        for waiting in list(self._waiting)[:1]:
            exchange = self._waiting.get(waiting)
            if exchange is not None:
                _cut_short(exchange, _TOO_MANY)
                waiting.hand_on(exchange)

    @guarded("handing on what is in flight")
    def _hand_on_unfinished(self) -> None:
        for key in list(self._open):
            self._give_up(key)
        for waiting in list(self._waiting):  # not pairs: to make one may run a finaliser, which takes its own away
            exchange = self._waiting.get(waiting)
            if exchange is not None:
                waiting.hand_on(exchange)

    def _give_up(self, key: SpanKey, *, reason: str | None = None) -> None:
        """Treat a span that is still open as if it had ended."""
        opened = self._open.pop(key, None)
        if opened is not None:
            self._join(opened[0], key, opened[1], ended=False, reason=reason)

    def _forget(self) -> None:
        """In a forked child: what is in flight is the parent's."""
        self._open = {}
        self._waiting = {}


class _Waiting:
    """What awaits the end of an exchange's body, once its span has ended. An exchange holds it, not it an exchange."""

    __slots__ = ("_is_over_budget", "_processor", "_span", "_trace")

    def __init__(
        self,
        processor: HarSpanProcessor,
        span: _NotedSpan,
        trace: Trace,
        is_over_budget: bool,
    ) -> None:
        self._processor = processor
        self._span = span
        self._trace = trace
        self._is_over_budget = is_over_budget

    def hand_on(self, exchange: Exchange) -> None:
        """Hand the exchange on, once: the body's end and the recording's end may race."""
        processor = self._processor
        try:
            if processor._waiting.pop(self, None) is not None:  # noqa: SLF001 - a part of the processor
                page = processor._pages.page_of(self._span.trace_id, self._trace)  # noqa: SLF001 - as above
                record = HarRecord(exchange, self._span.facts, page, None, self._is_over_budget)
                processor._processor.on_record(record)  # noqa: SLF001 - as above
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("handing on an exchange", fault)


class _NotedSpan:
    """What a span has at its end; what that means is worked out by whoever asks for the facts, in the worker.

    The span itself is not kept: what else the program hung on it nobody has counted.

    Attributes:
        trace_id: That of its context.
        held_bytes: About how many bytes of memory all this takes.
    """

    __slots__ = (
        "_attributes",
        "_end_time",
        "_exception",
        "_parent",
        "_scope",
        "_span_id",
        "_start_time",
        "_status",
        "held_bytes",
        "trace_id",
    )

    def __init__(self, span: ReadableSpan, key: SpanKey) -> None:
        self.trace_id, self._span_id = key
        self._parent = span.parent
        self._scope = span.instrumentation_scope
        self._start_time = span.start_time
        self._end_time = span.end_time
        status: Status | None = span.status
        self._status = status
        # One copy instead of a look-up through the SDK's wrappers for each attribute.
        given: Any = span.attributes
        attributes: dict[str, Any] = given.copy() if given is not None else {}
        self._attributes: Mapping[str, Any] = attributes
        events = span.events
        self._exception = _exception(events) if events else None
        held_bytes = _SPAN_BYTES + len(attributes) * _ATTRIBUTE_BYTES + len(self._exception or "")
        if status is not None and status.description:
            held_bytes += len(status.description)
        values = attributes.values()
        if _PLAIN_KINDS.issuperset(map(type, values)):  # as nearly always: then no step of this is one of Python's own
            self.held_bytes = held_bytes + sum(map(len, filter(_is_text, values)))
        else:
            self.held_bytes = held_bytes + sum(map(_length, values))

    def let_go(self) -> None:
        """There was no room for it: no more is kept than what tells it from others."""
        self._attributes, self._exception, self._status = {}, None, None

    def facts(self) -> SpanFacts:
        """What the span tells."""
        status, scope, parent = self._status, self._scope, self._parent
        return SpanFacts(
            trace_id=f"{self.trace_id:032x}",
            span_id=f"{self._span_id:016x}",
            parent_span_id=f"{parent.span_id:016x}" if parent is not None else None,
            scope=scope.name if scope is not None else "",
            start_unix_ns=self._start_time or 0,
            end_unix_ns=self._end_time,
            status_code=status.status_code.name if status is not None else StatusCode.UNSET.name,
            status_description=status.description if status is not None else None,
            attributes=self._attributes,
            exception=self._exception,
        )


def _cut_short(exchange: Exchange, reason: str) -> None:
    """More of the exchange may come, and will not be recorded."""
    if not exchange.response_body.ended:
        exchange.response_body.is_over_budget = True
        exchange.end_reason = exchange.end_reason or reason


def _local_root(span: Span, span_id: int, parent_context: Context | None) -> tuple[ReadableSpan | None, int | None]:
    """The local root span of the program's own, as far as this span shows it: the span itself, or its parent.

    The parent is asked because a processor may be added while a root span is already open.
    """
    parent = span.parent
    if parent is None or parent.is_remote:
        return (None, None) if span.kind is SpanKind.CLIENT else (span, span_id)
    parent_span = get_current_span(parent_context)
    if isinstance(parent_span, ReadableSpan) and parent_span.kind is not SpanKind.CLIENT:
        grandparent = parent_span.parent
        if grandparent is None or grandparent.is_remote:
            return parent_span, parent.span_id
    return None, None


def _length(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return sum(_ATTRIBUTE_BYTES + _length(one) for one in value) if isinstance(value, tuple | list) else 0


def _exception(events: Sequence[Event]) -> str | None:
    """The exception that a span recorded last, by the semantic conventions of exception events."""
    for event in reversed(events):
        attributes = event.attributes or {}
        if event.name == "exception":
            return f"{attributes.get('exception.type', 'Exception')}: {attributes.get('exception.message', '')}"
    return None
