"""Requests that have too many records for their size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message as ProtobufMessage
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.otlp.json_form import json_from_request
from otel_har.otlp.logs import key_values
from otel_har.receive.counting import check_json, check_protobuf
from otel_har.receive.decoding import Decoder
from otel_har.receive.inflating import BrokenMessageError, MessageTooLargeError
from otel_har.receive.intake import Message, Signal
from servers.receiving import entry, request

REQUEST = ExportLogsServiceRequest.DESCRIPTOR
MOST = 100_000
TOO_MANY = 150_000


def _field(tag: int, data: bytes) -> bytes:
    length = bytearray()
    size = len(data)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([tag, *length, size]) + data


def _records(records: bytes) -> bytes:
    return _field(0x0A, _field(0x12, records))


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x00" * TOO_MANY,
        _records(b"\x12\x00" * TOO_MANY),
        _records(b"\x92\x00\x00" * TOO_MANY),  # tags may have more bytes than they need
        _records(_field(0x12, b"\x32\x00" * TOO_MANY)),
        _records(_field(0x12, _field(0x2A, _field(0x2A, b"\x0a\x00" * TOO_MANY)))),
        _records(b"\x12\x02\x32\x00" * (TOO_MANY // 2 + 1)),
    ],
    ids=["resources", "records", "long tags", "attributes", "values", "both"],
)
def test_too_many(data: bytes) -> None:
    """Two bytes may be a record, an attribute, a value: there may be so many of all together, wherever they are."""
    with pytest.raises(MessageTooLargeError, match="100000"):
        check_protobuf(data, REQUEST, MOST)
    check_protobuf(data, REQUEST, TOO_MANY + 10)


def _messages(message: ProtobufMessage) -> int:
    """How many messages protobuf has made of those in one."""
    values = (value for field, value in message.ListFields() if field.message_type is not None)
    inner = [one for value in values for one in ([value] if isinstance(value, ProtobufMessage) else value)]
    return len(inner) + sum(map(_messages, inner))


def test_as_many_as_there_may_be() -> None:
    """What is counted is what protobuf makes of it: one more and it is too many."""
    made = request(entry(1, "x" * 1000), entry(2))
    values: list[Any] = [1] * 300 + [{"c": True, "": []}]
    made.resource_logs.add().scope_logs.add().log_records.add(attributes=key_values({"a": values, "b": b"x"}))
    data = made.SerializeToString()
    count = _messages(made)
    check_protobuf(data, REQUEST, count)
    with pytest.raises(MessageTooLargeError):
        check_protobuf(data, REQUEST, count - 1)


def test_json() -> None:
    """Objects and lists of JSON are counted too; what stands in texts is none."""
    texts = request(entry(1, '[{"\\' * 200_000))
    check_json(json_from_request(texts), MOST)
    check_json(b'"' + b'\\"' * 200_000, MOST)  # a text that does not end is for the parser
    for one in (b"{}", b"[]"):
        with pytest.raises(MessageTooLargeError, match="100000"):
            check_json(b"[" + b",".join([one] * MOST) + b"]", MOST)
    check_json(json.dumps([{}] * (MOST - 1)).encode(), MOST)


@pytest.mark.parametrize(
    "data",
    [b"\x0b" * 300_000, b"\x0a\xff\xff\xff\x7f" + bytes(300_000), b"\xff" * 300_000, _records(b"\x12" * 300_001)],
)
def test_what_is_none(data: bytes) -> None:
    """What is no request is said to be so."""
    with pytest.raises(BrokenMessageError):
        check_protobuf(data, REQUEST, MOST)


def test_too_deep() -> None:
    """Values within values without end are no request either."""
    value = _field(0x0A, bytes(300_000))
    for _ in range(60):
        value = _field(0x2A, _field(0x0A, value))
    with pytest.raises(BrokenMessageError, match="deep"):
        check_protobuf(_records(_field(0x12, _field(0x2A, value))), REQUEST, MOST)


@pytest.mark.parametrize("is_json", [False, True])
def test_decoder(is_json: bool) -> None:
    """A request with millions of empty records is refused before they are made."""
    data = b'{"resourceLogs": [%b]}' % b",".join([b"{}"] * 1_000_001) if is_json else b"\x0a\x00" * 1_000_001
    with pytest.raises(MessageTooLargeError, match=r"than [14]00"):
        Decoder(1 << 24, with_spans=False).decoded(Message(Signal.LOGS, data, is_json=is_json))
