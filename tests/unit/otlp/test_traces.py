"""Spans of any language as entries."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_har.otlp.logs import key_values
from otel_har.otlp.traces import SpanEntry, entries_of_spans

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
ROOT = bytes(7) + b"\1"
START = 1_769_853_600_000_000_000
CLIENT = Span.SPAN_KIND_CLIENT
NEW = {"http.request.method": "POST", "url.full": "https://shop.test/a?b=1", "http.response.status_code": 201}
OLD = {"http.method": "POST", "http.url": "https://shop.test/a?b=1", "http.status_code": 201}


def told(attributes: dict[str, Any], **members: Any) -> list[SpanEntry]:
    """What a span tells."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add()
    spans.resource.attributes.extend(key_values({"service.name": "shop", "process.pid": 7}))
    scope = spans.scope_spans.add()
    scope.scope.name = "io.opentelemetry.okhttp"
    span = {
        "trace_id": TRACE,
        "span_id": bytes(7) + b"\2",
        "parent_span_id": ROOT,
        "kind": CLIENT,
        "name": "POST",
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 250_000_000,
    }
    scope.spans.add(attributes=key_values(attributes), **{**span, **members})
    return list(entries_of_spans(request))


@pytest.mark.parametrize("attributes", [NEW, OLD, {**NEW, **OLD}])
def test_conventions(attributes: dict[str, Any]) -> None:
    """An HTTP client span is an entry, by the semantic conventions of today and of before."""
    (found,) = told(attributes)
    entry = found.entry
    assert entry is not None
    assert ("POST", "https://shop.test/a?b=1", 201) == (
        entry.request.method,
        entry.request.url,
        entry.response.status,
    )
    assert ("2026-01-31T10:00:00.000000Z", 250) == (entry.started_date_time, round(entry.time, 1))
    assert (None, None) == (entry.request.post_data, entry.response.content.text)
    otel: Any = entry.otel
    assert (TRACE.hex(), "0000000000000002", ROOT.hex()) == (otel["traceId"], otel["spanId"], otel["parentSpanId"])
    assert ("io.opentelemetry.okhttp", 7) == (otel["scope"], otel["process"]["pid"])
    assert (found.page.id, f"trace_{TRACE.hex()}") == (entry.pageref, found.page.id)


def test_header_fields() -> None:
    """Header fields are there that the instrumentation noted."""
    (found,) = told({**NEW, "http.request.header.accept": ["a", "b"], "http.response.header.server": ["x"]})
    assert found.entry is not None
    assert [("accept", "a"), ("accept", "b")] == [(one.name, one.value) for one in found.entry.request.headers]
    assert [("server", "x")] == [(one.name, one.value) for one in found.entry.response.headers]


def test_no_response() -> None:
    """A span with an exception and without a status is a request without a response."""
    event = Span.Event(name="exception", attributes=key_values({"exception.type": "IOException"}))
    status = Status(code=Status.STATUS_CODE_ERROR, message="refused")
    (found,) = told({"http.request.method": "GET", "url.full": "http://a.test/"}, events=[event], status=status)
    assert found.entry is not None
    assert (0, "IOException: ") == (found.entry.response.status, found.entry.response.error)
    otel: Any = found.entry.otel
    assert {"code": "ERROR", "description": "refused"} == otel["status"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": Span.SPAN_KIND_SERVER}, True),
        ({"kind": Span.SPAN_KIND_CONSUMER}, True),
        ({"kind": Span.SPAN_KIND_INTERNAL}, False),
        ({"kind": Span.SPAN_KIND_INTERNAL, "parent_span_id": b""}, True),
        ({"kind": Span.SPAN_KIND_INTERNAL, "parent_span_id": bytes(8)}, True),
        ({"kind": Span.SPAN_KIND_INTERNAL, "flags": 0x300}, True),
        ({"kind": Span.SPAN_KIND_SERVER, "flags": 0x100}, False),
    ],
)
def test_pages(members: dict[str, Any], *, expected: bool) -> None:
    """A local root span names the page of its trace, and tells its duration; others tell nothing."""
    found = told({}, name="checkout", **members)
    assert [("checkout", 250.0)] * expected == [(one.page.title, one.page.page_timings.on_load) for one in found]
    assert [None] * expected == [one.entry for one in found]


@pytest.mark.parametrize(
    "members",
    [
        {"trace_id": b""},
        {"start_time_unix_nano": 0, "end_time_unix_nano": 0},
        {"start_time_unix_nano": (1 << 64) - 1, "end_time_unix_nano": 1},
        {"status": Status(code=99)},  # type: ignore[arg-type] # of a later version
    ],
)
def test_odd_spans(members: dict[str, Any]) -> None:
    """Whatever a span says there is an entry, or none."""
    attributes = {"http.method": "", "http.url": "no url", "http.status_code": float("inf"), "x": [{"y": None}]}
    for found in told({**NEW, **attributes}, **members):
        assert found.entry is not None
        assert found.entry.to_json()


def test_other_client_spans() -> None:
    """A client span of another protocol is no entry."""
    assert [] == told({"db.system": "postgresql"})
