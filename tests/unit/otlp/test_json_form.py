"""OTLP's JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_har.errors import HarFormatError
from otel_har.otlp.json_form import json_from_request, request_from_json
from servers.receiving import TRACE, entry, request

# The example of the specification's repository, with members of the future.
SPECIFIED: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "traceId", "value": {"stringValue": "no identifier"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "parentSpanId": "EEE19B7EC3C1B173",
                            "startTimeUnixNano": "1544712660000000000",
                            "kind": 3,
                            "links": [{"traceId": "5B8EFFF798038103D269B633813FC60D", "spanId": "EEE19B7EC3C1B175"}],
                            "ofTheFuture": {},
                        }
                    ]
                }
            ],
        }
    ]
}


def test_round_trip() -> None:
    """A request is the same after it was JSON; its identifiers are hexadecimal and its enumerations numbers there."""
    sent = request(entry(1, "é\U0001f600"), entry(2))
    text = json_from_request(sent)
    record = json.loads(text)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert (TRACE, "0000000000000002", 9) == (record["traceId"], record["spanId"], record["severityNumber"])
    assert sent == request_from_json(text, ExportLogsServiceRequest())


@pytest.mark.parametrize("kind", [3, "SPAN_KIND_CLIENT"])
def test_specified(kind: object) -> None:
    """What the specification shows is read, identifiers in upper case and members that are not known, too."""
    value = json.loads(json.dumps(SPECIFIED))
    value["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["kind"] = kind
    found = request_from_json(json.dumps(value), ExportTraceServiceRequest())
    (span,) = found.resource_spans[0].scope_spans[0].spans
    assert ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b173", 3) == (
        span.trace_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
    )
    assert "eee19b7ec3c1b175" == span.links[0].span_id.hex()


@pytest.mark.parametrize("text", ["", "[", "[]", "1", '{"resourceSpans": [{"scopeSpans": 1}]}', "[" * 100_000])
def test_what_is_none(text: str) -> None:
    """What is no such request is said to be none."""
    with pytest.raises(HarFormatError):
        request_from_json(text, ExportTraceServiceRequest())
