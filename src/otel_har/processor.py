"""`HarSpanProcessor`: joins each HTTP client span with what the hooks captured, and hands on what is complete.

The rule: an entry is handed on once, when its span has ended and its body has too, or when it is known that the body
will not. Nothing is built here: the worker does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, get_current_span

from otel_har import correlation
from otel_har.budget import Charge
from otel_har.correlation import SpanKey
from otel_har.exchange import Exchange
from otel_har.export.interfaces import HarProcessor
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
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
        self._open: dict[SpanKey, Span] = {}
        self._waiting: dict[int, tuple[_Waiting, Exchange]] = {}
        self._shut_down = False
        self._has_shut_down = False
        self._after_shutdown: list[Callable[[], object]] = []
        call_in_forked_child(self._forget)

    @guarded("starting a span")
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Watch the span when it is an HTTP client's; remember it when it names a page."""
        context = span.context
        if self._shut_down or context is None:
            return
        root, root_id = _local_root(span, context, parent_context)
        self._pages.span_started(context.trace_id, context.span_id, root, root_id)
        if span.kind is SpanKind.CLIENT and context.trace_flags.sampled:
            key = correlation.key_of(context)
            self._open[key] = span
            correlation.expect(key, self._limits, self._processor.interest)
            if len(self._open) > _MAX_OPEN:
                self._give_up(next(iter(list(self._open))), reason=_TOO_MANY)

    @guarded("ending a span")
    def on_end(self, span: ReadableSpan) -> None:
        """Join the span with its exchanges."""
        context = span.context
        if context is None:
            return
        trace = self._pages.trace(context.trace_id)
        completed = self._pages.span_ended(context.trace_id, context.span_id, span)
        if completed is not None and not self._shut_down:
            self._processor.on_page(completed)
        if self._open.pop(correlation.key_of(context), None) is not None:
            self._join(span, context, trace, ended=True)

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

    def _join(
        self, span: ReadableSpan, context: SpanContext, trace: Trace, *, ended: bool, reason: str | None = None
    ) -> None:
        capture = correlation.settle(correlation.key_of(context), ended=ended)
        is_unhooked = capture is None or not capture.exchanges
        if is_unhooked and not is_http_client_span(span.attributes or {}):
            return
        exchanges = self._wanted(capture.exchanges) if capture is not None else []
        if not exchanges and not is_unhooked:
            return
        facts = _span_facts(span, context, Charge(self._limits.budget))
        if capture is None or is_unhooked:
            self._hand_on(None, facts, trace)
            return
        if reason is not None:
            _cut_short(capture.exchanges[-1], reason)
        for exchange in exchanges:
            waiting = _Waiting(self, facts, trace)
            self._waiting[id(waiting)] = waiting, exchange
            exchange.when_finished(waiting.hand_on)
        while len(self._waiting) > _MAX_WAITING:
            self._hand_on_oldest()

    def _wanted(self, exchanges: list[Exchange]) -> list[Exchange]:
        """Those that are of use to anyone; the others are counted."""
        wanted = [exchange for exchange in exchanges if exchange.interest is not Interest.NOTHING]
        if len(wanted) < len(exchanges):
            unwanted = [exchange for exchange in exchanges if exchange.interest is Interest.NOTHING]
            self._processor.on_unwanted(len(unwanted) + sum(exchange.lost_attempts for exchange in unwanted))
        return wanted

    def _hand_on_oldest(self) -> None:
        for waiting, exchange in list(self._waiting.values())[:1]:
            _cut_short(exchange, _TOO_MANY)
            waiting.hand_on(exchange)

    @guarded("handing on what is in flight")
    def _hand_on_unfinished(self) -> None:
        for key in list(self._open):
            self._give_up(key)
        for waiting, exchange in list(self._waiting.values()):
            waiting.hand_on(exchange)

    def _give_up(self, key: SpanKey, *, reason: str | None = None) -> None:
        """Treat a span that is still open as if it had ended."""
        span = self._open.pop(key, None)
        if span is not None and span.context is not None:
            self._join(span, span.context, self._pages.trace(span.context.trace_id), ended=False, reason=reason)

    def _forget(self) -> None:
        """In a forked child: what is in flight is the parent's."""
        self._open = {}
        self._waiting = {}

    def _hand_on(self, exchange: Exchange | None, span: SpanFacts, trace: Trace) -> None:
        page = self._pages.page_of(int(span.trace_id, 16), trace)
        self._processor.on_record(HarRecord(exchange, span, page, is_over_budget=not _is_paid(span)))


class _Waiting:
    """What awaits the end of an exchange's body, once its span has ended. An exchange holds it, not it an exchange."""

    __slots__ = ("_processor", "span", "trace")

    def __init__(self, processor: HarSpanProcessor, span: SpanFacts, trace: Trace) -> None:
        self._processor = processor
        self.span = span
        self.trace = trace

    @guarded("handing on an exchange")
    def hand_on(self, exchange: Exchange) -> None:
        """Hand the exchange on, once: the body's end and the recording's end may race."""
        processor = self._processor
        if processor._waiting.pop(id(self), None) is not None:  # noqa: SLF001 - a part of the processor
            processor._hand_on(exchange, self.span, self.trace)  # noqa: SLF001 - a part of the processor


def _cut_short(exchange: Exchange, reason: str) -> None:
    """More of the exchange may come, and will not be recorded."""
    if not exchange.response_body.ended:
        exchange.response_body.is_over_budget = True
        exchange.end_reason = exchange.end_reason or reason


def _local_root(
    span: Span, context: SpanContext, parent_context: Context | None
) -> tuple[ReadableSpan | None, int | None]:
    """The local root span of the program's own, as far as this span shows it: the span itself, or its parent.

    The parent is asked because a processor may be added while a root span is already open.
    """
    parent = span.parent
    if parent is None or parent.is_remote:
        return (None, None) if span.kind is SpanKind.CLIENT else (span, context.span_id)
    parent_span = get_current_span(parent_context)
    if isinstance(parent_span, ReadableSpan) and parent_span.kind is not SpanKind.CLIENT:
        grandparent = parent_span.parent
        if grandparent is None or grandparent.is_remote:
            return parent_span, parent.span_id
    return None, None


def _span_facts(span: ReadableSpan, context: SpanContext, charge: Charge) -> SpanFacts:
    """What the span tells, where there is room for it."""
    status, scope = span.status, span.instrumentation_scope
    attributes, exception = span.attributes or {}, _exception(span)
    texts = len(exception or "") + len(status.description or "")
    is_paid = charge.raise_to(_SPAN_BYTES + texts + _memory_of(attributes))
    return SpanFacts(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=f"{span.parent.span_id:016x}" if span.parent is not None else None,
        scope=scope.name if scope is not None else "",
        start_unix_ns=span.start_time or 0,
        end_unix_ns=span.end_time,
        status_code=status.status_code.name,
        status_description=status.description if is_paid else None,
        attributes=attributes if is_paid else {},
        exception=exception if is_paid else None,
        charge=charge,
    )


def _is_paid(span: SpanFacts) -> bool:
    return span.charge is not None and span.charge.taken_bytes > 0


def _memory_of(attributes: Mapping[str, object]) -> int:
    """About how many bytes of memory attributes take: text, sequences of it, or numbers."""
    return sum(_ATTRIBUTE_BYTES + _length(value) for value in attributes.values())


def _length(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return sum(_ATTRIBUTE_BYTES + _length(one) for one in value) if isinstance(value, tuple | list) else 0


def _exception(span: ReadableSpan) -> str | None:
    """The exception that the span recorded last, by the semantic conventions of exception events."""
    for event in reversed(span.events):
        attributes = event.attributes or {}
        if event.name == "exception":
            return f"{attributes.get('exception.type', 'Exception')}: {attributes.get('exception.message', '')}"
    return None
