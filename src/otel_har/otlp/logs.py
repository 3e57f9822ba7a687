"""Events as log records of OTLP, in requests, and back: protobuf messages.

The rule: what is read may come from anybody. A record that is no event of ours is an event of another name, never a
fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otel_har.har.bodies import without_surrogates
from otel_har.otlp.event import WARN, Event

SCOPE = "otel_har"
"""The instrumentation scope of our events."""
RECORDING_ID = "otel_har.recording.id"
"""An attribute of the scope."""

_FRAME_BYTES = 6  # of a record in a request: a tag, and a length of up to 4 GB
_MAX_INTEGER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where events come from.

    Attributes:
        resource: The resource's attributes: plain values of any kind that OpenTelemetry has.
        resource_schema_url: The schema of these.
        scope: Name of the instrumentation scope.
        scope_version: Its version.
        recording: Tells the recording from all others: page ids are unique within one. An attribute of the scope.
    """

    resource: Mapping[str, Any] = field(default_factory=dict)
    resource_schema_url: str = ""
    scope: str = SCOPE
    scope_version: str = ""
    recording: str = ""


def log_record(event: Event, observed_unix_ns: int = 0) -> LogRecord:
    """The record of an event.

    Args:
        event: The event.
        observed_unix_ns: When it was seen, nanoseconds since the epoch: now.
    """
    return LogRecord(
        time_unix_nano=event.time_unix_ns,
        observed_time_unix_nano=observed_unix_ns,
        severity_number=event.severity,  # type: ignore[arg-type] # the enumeration's members are numbers
        severity_text="WARN" if event.severity >= WARN else "INFO",
        body=AnyValue(string_value=event.text) if event.text else None,
        attributes=key_values(event.attributes),
        trace_id=event.trace_id,
        span_id=event.span_id,
        flags=event.flags,
        event_name=event.name,
    )


def record_bytes(record: LogRecord) -> int:
    """How many bytes a record takes in a request, at most."""
    size: int = record.ByteSize()
    return size + _FRAME_BYTES


def request_of(records: Iterable[LogRecord], origin: Origin) -> ExportLogsServiceRequest:
    """One request with these records."""
    scope = InstrumentationScope(
        name=origin.scope,
        version=origin.scope_version,
        attributes=key_values({RECORDING_ID: origin.recording} if origin.recording else {}),
    )
    scope_logs = ScopeLogs(scope=scope, log_records=records)
    resource = Resource(attributes=key_values(origin.resource))
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource, scope_logs=[scope_logs], schema_url=origin.resource_schema_url)]
    )


def empty_bytes(origin: Origin) -> int:
    """How many bytes a request takes besides its records, at most."""
    size: int = request_of([], origin).ByteSize()
    return size + 3 * _FRAME_BYTES


def events_in(request: ExportLogsServiceRequest) -> Iterator[tuple[Origin, Event]]:
    """The events of a request, in its order, with where they come from; records of others are among them."""
    for origin, records in origins_in(request):
        for record in records:
            yield origin, event_of(record)


def origins_in(request: ExportLogsServiceRequest) -> Iterator[tuple[Origin, Sequence[LogRecord]]]:
    """The records of a request by where they come from."""
    for resource_logs in request.resource_logs:
        resource = plain_values(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_logs.scope
            recording = str(plain_values(scope.attributes).get(RECORDING_ID, ""))
            origin = Origin(resource, resource_logs.schema_url, scope.name, scope.version, recording)
            yield origin, scope_logs.log_records


def event_of(record: LogRecord) -> Event:
    """The event of a record."""
    return Event(
        record.event_name,
        plain_values(record.attributes),
        record.body.string_value,
        record.time_unix_nano,
        record.severity_number,
        record.trace_id,
        record.span_id,
        record.flags & 0xFF,
    )


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes as OTLP has them."""
    return [
        KeyValue(key=name if name.isascii() else without_surrogates(name), value=_any_value(value))
        for name, value in attributes.items()
    ]


def plain_values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values."""
    return {attribute.key: _plain(attribute.value) for attribute in attributes}


def _any_value(value: object) -> AnyValue:
    if isinstance(value, str):  # most are
        return _text_value(value)
    if isinstance(value, Mapping):
        named = {str(name): one for name, one in value.items()}
        return AnyValue(kvlist_value=KeyValueList(values=key_values(named)))
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return AnyValue(array_value=ArrayValue(values=[_any_value(one) for one in value]))
    return _simple_value(value)


def _simple_value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    return AnyValue() if value is None else _text_value(str(value))


def _text_value(text: str) -> AnyValue:
    try:
        return AnyValue(string_value=text)
    except ValueError:  # protobuf's word for a lone surrogate
        return AnyValue(string_value=without_surrogates(text))


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return plain_values(value.kvlist_value.values)
    return getattr(value, kind)
