"""The facts of a span to the entry's `_otel`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from otel_har.record import ProcessFacts, SpanFacts


def har_otel(span: SpanFacts, process: ProcessFacts) -> dict[str, Any]:
    """The `_otel` object: the identity of the span, its status and its attributes, and the process it was in."""
    otel: dict[str, Any] = {"traceId": span.trace_id, "spanId": span.span_id}
    if span.parent_span_id is not None:
        otel["parentSpanId"] = span.parent_span_id
    status = {"code": span.status_code}
    if span.status_description:
        status["description"] = span.status_description
    return otel | {
        "scope": span.scope,
        "status": status,
        "attributes": {name: value for name, raw in span.attributes.items() if (value := _json(raw)) is not None},
        "process": {"pid": process.pid, "parentPid": process.parent_pid, "name": process.name},
    }


def _json(value: object) -> Any:
    """A span attribute as JSON carries it; what JSON does not know becomes text."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items() if item is not None}
    if isinstance(value, Iterable):
        return [_json(item) for item in value if item is not None]
    return None if value is None else str(value)
