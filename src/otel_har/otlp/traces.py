"""Spans of any language as entries: HTTP client spans, by the semantic conventions, old and new.

The rule: nothing is known but what the span says. Entries have no bodies, and header fields where the instrumentation
was told to note them. A trace is a page, named after its local root span.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_har.har.models import Entry, Page, PageTimings
from otel_har.mapping.entries import entry_from_record, iso_8601
from otel_har.mapping.spans import is_http_client_span
from otel_har.otlp.logs import plain_values
from otel_har.record import HarRecord, PageFacts, ProcessFacts, SpanFacts

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
"""OTLP, SpanFlags: whether it is known that the parent is in another process, and whether it is."""

_STATUS = {Status.STATUS_CODE_OK: "OK", Status.STATUS_CODE_ERROR: "ERROR"}
_NO_ID = frozenset({b"", bytes(8)})
_MAX_TITLE = 500


@dataclass(frozen=True, slots=True)
class SpanEntry:
    """What a span tells a recording.

    Attributes:
        resource: Where it comes from, its attributes.
        entry: The exchange, for an HTTP client span.
        page: The page that it names, for a local root span; that of its trace, without a title of its own, otherwise.
        is_root: Whether the span names the page.
    """

    resource: Mapping[str, Any]
    entry: Entry | None
    page: Page
    is_root: bool


def entries_of_spans(request: ExportTraceServiceRequest) -> Iterator[SpanEntry]:
    """What the spans of a request tell: of HTTP client spans, and of those that name pages.

    Of a page without a name the title is the trace's id. A page that is told again has more to say than before, or is
    the one that a span names which began earlier.
    """
    for resource_spans in request.resource_spans:
        resource = plain_values(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                found = _of_span(span, resource, scope_spans.scope.name)
                if found is not None:
                    yield found


def is_named(page: Page) -> bool:
    """Whether a root span named the page."""
    return page.title != page.id.removeprefix("trace_")


def _of_span(span: Span, resource: Mapping[str, Any], scope: str) -> SpanEntry | None:
    if len(span.trace_id) != 16:  # noqa: PLR2004 - W3C Trace Context
        return None
    attributes = {name: value for name, value in plain_values(span.attributes).items() if value is not None}
    is_client = span.kind == Span.SPAN_KIND_CLIENT and is_http_client_span(attributes)
    is_root = _is_local_root(span)
    if not is_client and not is_root:
        return None
    trace_id = span.trace_id.hex()
    title = span.name[:_MAX_TITLE] if is_root else trace_id
    facts = PageFacts(f"trace_{trace_id}", title, span.start_time_unix_nano)
    page = Page(
        started_date_time=iso_8601(span.start_time_unix_nano),
        id=facts.id,
        title=title,
        page_timings=PageTimings(on_load=_duration_ms(span) if is_root else -1),
    )
    entry = None
    if is_client:
        entry = entry_from_record(HarRecord(None, _facts(span, attributes, scope), facts, _process(resource)))
    return SpanEntry(resource, entry, page, is_root)


def _is_local_root(span: Span) -> bool:
    """Whether no span of the same process is above it: told by the flags, or else by its kind."""
    if span.kind == Span.SPAN_KIND_CLIENT:
        return False
    if span.parent_span_id in _NO_ID:
        return True
    if span.flags & _HAS_IS_REMOTE:
        return bool(span.flags & _IS_REMOTE)
    return span.kind in {Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER}


def _duration_ms(span: Span) -> float:
    lasted = span.end_time_unix_nano - span.start_time_unix_nano
    return round(lasted / 1e6, 3) if span.end_time_unix_nano and lasted >= 0 else -1


def _facts(span: Span, attributes: Mapping[str, Any], scope: str) -> SpanFacts:
    return SpanFacts(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() if span.parent_span_id not in _NO_ID else None,
        scope=scope,
        start_unix_ns=span.start_time_unix_nano,
        end_unix_ns=span.end_time_unix_nano or None,
        status_code=_STATUS.get(span.status.code, "UNSET"),
        status_description=span.status.message or None,
        attributes=attributes,
        exception=_exception(span),
    )


def _exception(span: Span) -> str | None:
    """The exception that the span recorded last, by the semantic conventions of exception events."""
    for event in reversed(span.events):
        if event.name == "exception":
            told = plain_values(event.attributes)
            return f"{told.get('exception.type', 'Exception')}: {told.get('exception.message', '')}"
    return None


def _process(resource: Mapping[str, Any]) -> ProcessFacts:
    """The process that the span was in, as far as its resource says; 0 for what it does not."""
    name = resource.get("process.command", resource.get("service.name", ""))
    return ProcessFacts(
        _number(resource.get("process.pid")), _number(resource.get("process.parent_pid")), str(name or "")
    )


def _number(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return int(value)
    return 0
