"""Events in requests of OTLP, and what others send."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_har.otlp.event import WARN, Event
from otel_har.otlp.logs import Origin, event_of, events_in, key_values, log_record, plain_values, request_of


def test_record() -> None:
    """A record has what the event has."""
    event = Event("e", {"a": 1}, "text", 5, WARN, b"t" * 16, b"s" * 8, 1)
    record = log_record(event, 7)
    assert ("e", 5, 7, "WARN") == (
        record.event_name,
        record.time_unix_nano,
        record.observed_time_unix_nano,
        record.severity_text,
    )
    assert event == event_of(record)


def test_origin() -> None:
    """Resource, scope and recording come back with each event."""
    origin = Origin({"service.name": "s", "list": ["a", 1]}, "schema", "scope", "1", "recording")
    found = list(events_in(request_of([log_record(Event("a")), log_record(Event("b"))], origin)))
    assert [(origin, "a"), (origin, "b")] == [(got, event.name) for got, event in found]
    assert [] == list(events_in(ExportLogsServiceRequest()))


def test_values_of_every_kind() -> None:
    """Whatever a value is, it is sent; what protobuf has no form for goes as text."""
    values = {
        "text": "a", "flag": True, "count": 1, "big": 1 << 70, "number": 1.5, "bytes": b"b", "none": None,
        "list": ["a", 1, None, [2]], "map": {"a": {"b": 1}}, "lone": "\ud800", "object": 1j,
    }  # fmt: skip
    assert {**values, "big": str(1 << 70), "lone": "\ufffd", "object": "1j"} == plain_values(key_values(values))


def test_records_of_others() -> None:
    """A record that is no event of ours is an event without a name."""
    record = LogRecord(
        body=AnyValue(int_value=5), attributes=[KeyValue(key="a"), KeyValue(key="b", value=AnyValue(int_value=1))]
    )
    assert Event("", {"a": None, "b": 1}, severity=0) == event_of(record)  # type: ignore[dict-item] # of others
