"""OTLP's JSON form of export requests, to protobuf messages and back.

The rule: it is protobuf's JSON mapping but for identifiers, which are hexadecimal, and enumerations, which are numbers
(OTLP 1.5, "JSON Protobuf Encoding"). Unknown members are ignored, as it says they must be. Collectors before that rule
wrote enumerations as names: both are read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from otel_har.errors import HarFormatError

_IDENTIFIERS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
# Where identifiers are: in these lists of objects, and nowhere within attributes.
_LISTS = ("resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "links")
_SNAKE = ("resource_logs", "scope_logs", "log_records", "resource_spans", "scope_spans")
_PLACES = frozenset(_LISTS + _SNAKE + ("instrumentationLibrarySpans", "instrumentationLibraryLogs"))

_Request = TypeVar("_Request", bound=Message)


def request_from_json(text: str | bytes, request: _Request) -> _Request:
    """Fill a request from its JSON.

    Raises:
        HarFormatError: It is no JSON, or not that of such a request.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise HarFormatError(f"not JSON: {fault}") from None
    return request_from_value(found, request)


def request_from_value(value: Any, request: _Request) -> _Request:
    """Fill a request from its JSON, parsed; the value is changed.

    Raises:
        HarFormatError: It is not that of such a request.
    """
    if not isinstance(value, dict):
        raise HarFormatError("an export request is a JSON object")
    try:
        _each_identifier(value, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
        return json_format.ParseDict(value, request, ignore_unknown_fields=True)
    except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as fault:
        raise HarFormatError(f"no export request: {fault}") from None


def json_from_request(request: Message) -> bytes:
    """A request as JSON on one line."""
    found = json_format.MessageToDict(request, use_integers_for_enums=True)
    _each_identifier(found, lambda text: base64.b64decode(text).hex())
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _each_identifier(value: dict[str, Any], change: Callable[[str], str]) -> None:
    """Change every identifier of a request, or of a part of it."""
    for name, member in value.items():
        if name in _IDENTIFIERS and isinstance(member, str):
            value[name] = change(member)
        elif name in _PLACES and isinstance(member, list):
            for one in member:
                if isinstance(one, dict):
                    _each_identifier(one, change)
