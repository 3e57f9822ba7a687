"""A record to a HAR entry, by the profile that every consumer accepts.

The rule: pure, and total. Any facts give an entry that the checker accepts; what is not known is -1 or left out,
never guessed, and what is missing of a body is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from otel_har.exchange import Body, Exchange, HeaderText, RawHeaders
from otel_har.har.models import Entry, Page, PageTimings
from otel_har.mapping.bodies import as_text, decode_content
from otel_har.mapping.cookies import request_cookies, response_cookies
from otel_har.mapping.spans import exchange_from_span
from otel_har.mapping.timings import Phases, phases
from otel_har.mapping.urls import har_url, query_parameters, request_target, resolved
from otel_har.record import HarRecord, PageFacts, SpanFacts

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_MICROSECOND = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
_LAST_MICROSECOND = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
_UNKNOWN_MIME_TYPE = "x-unknown"  # Chrome's word for a response without a type
_BODY_COMMENTS = {
    "truncated": "cut: the first {kept} of {size} bytes",
    "partial": "the first {size} bytes; the rest was not read",
    "unread": "not read by the program",
    "dropped": "left out: {size} bytes over the limit",
}
_NO_RESPONSE = "no response was seen before the recording of this exchange ended"

_LOWEST_STATUS, _HIGHEST_STATUS = 100, 999
_MAX_DIGITS = 18  # of a Content-Length that can be meant
Headers = list[dict[str, str]]


def entry_from_record(record: HarRecord) -> Entry:
    """The entry of one exchange, or of a span alone where no hook captured one."""
    hooked = record.exchange is not None
    exchange = record.exchange if record.exchange is not None else exchange_from_span(record.span)
    taken = phases(exchange.instants)
    entry: dict[str, Any] = {
        "pageref": record.page.id,
        "startedDateTime": iso_8601(exchange.started_unix_ns),
        "time": taken.total_ms,
        "request": _request(exchange),
        "response": _response(exchange, record.span, taken),
        "cache": {},
        "timings": taken.as_har(),
        **_connection(exchange),
        "_resourceType": "fetch",
        "_otel": _otel(record.span),
    }
    if not hooked:
        entry["comment"] = "from the span's attributes: no hook captured this exchange"
    return Entry.model_validate(entry)


def page_from_facts(facts: PageFacts) -> Page:
    """The page of a trace, or of the program's run."""
    return Page(
        started_date_time=iso_8601(facts.started_unix_ns),
        id=facts.id,
        title=facts.title,
        page_timings=PageTimings(on_content_load=-1, on_load=facts.on_load_ms),
    )


def iso_8601(unix_ns: int) -> str:
    """A point in time as HAR writes it: ISO 8601, UTC, microseconds."""
    microseconds = min(max(unix_ns // 1000, _FIRST_MICROSECOND), _LAST_MICROSECOND)
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _request(exchange: Exchange) -> dict[str, Any]:
    url = har_url(exchange.url)
    headers = _headers(exchange.request_headers)
    body = exchange.request_body
    start_line = f"{exchange.method} {request_target(url)} {exchange.request_http_version}"
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": url,
        "httpVersion": exchange.request_http_version,
        "cookies": request_cookies(_values(headers, "cookie")),
        "headers": headers,
        "queryString": query_parameters(url),
        "headersSize": _headers_size(start_line, exchange.request_headers),
        "bodySize": _request_body_size(body, headers),
    }
    if body.size_bytes or body.state in {"partial", "dropped"}:
        request["postData"] = _post_data(body, _first(headers, "content-type"))
    return request


def _request_body_size(body: Body, headers: Headers) -> int:
    if body.wire_size_bytes is not None:
        return body.wire_size_bytes
    is_as_sent = body.ended and (body.encoded or not _values(headers, "content-encoding"))
    return body.size_bytes if is_as_sent or body.size_bytes == 0 else -1


def _post_data(body: Body, content_type: str) -> dict[str, Any]:
    """HAR 1.2 has no place for a binary request body; `encoding` is what HAR 1.3 proposes."""
    text = as_text(body.kept(), content_type, cut=body.state != "whole")
    post_data: dict[str, Any] = {"mimeType": content_type, "text": text.text, **_body_notes(body)}
    if text.base64:
        post_data["encoding"] = "base64"
    return post_data


def _response(exchange: Exchange, span: SpanFacts, taken: Phases) -> dict[str, Any]:
    if exchange.status is not None and not _is_status(exchange.status):
        return _no_response(exchange.error or f"the status {exchange.status!r} is none")
    if exchange.status is None:
        return _no_response(exchange.error or span.exception or span.status_description or _NO_RESPONSE)
    headers = _headers(exchange.response_headers)
    version = exchange.http_version or "HTTP/1.1"
    headers_size = _headers_size(f"{version} {exchange.status:03d} {exchange.reason}", exchange.response_headers)
    content = _content(exchange, headers)
    body_size = _response_body_size(exchange, headers)
    if body_size >= 0 and content["size"] >= 0 and "_bodyState" not in content:
        content["compression"] = content["size"] - body_size
    received_unix_s = exchange.started_unix_ns / 1e9 + (taken.total_ms - taken.receive) / 1e3
    location = _first(headers, "location")
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= exchange.status < HTTPStatus.BAD_REQUEST
    response: dict[str, Any] = {
        "status": exchange.status,
        "statusText": _text(exchange.reason),
        "httpVersion": version,
        "cookies": response_cookies(_values(headers, "set-cookie"), received_unix_s),
        "headers": headers,
        "content": content,
        "redirectURL": resolved(har_url(exchange.url), location) if location and is_redirect else "",
        "headersSize": headers_size,
        "bodySize": body_size,
    }
    if headers_size >= 0:
        response["_transferSize"] = headers_size + (
            body_size if body_size >= 0 else _seen_on_the_wire(exchange, headers)
        )
    if exchange.error:
        response["_error"] = exchange.error
    return response


def _is_status(status: object) -> bool:
    """RFC 9110, 15: three digits. An adapter of the program's own may say anything."""
    return isinstance(status, int) and _LOWEST_STATUS <= status <= _HIGHEST_STATUS


def _no_response(error: str) -> dict[str, Any]:
    """A request without a response, in the form that no consumer trips over."""
    return {
        "status": 0,
        "statusText": "",
        "httpVersion": "",
        "cookies": [],
        "headers": [],
        "content": {"size": 0, "mimeType": _UNKNOWN_MIME_TYPE},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": 0,
        "_error": error,
    }


def _content(exchange: Exchange, headers: Headers) -> dict[str, Any]:
    body = exchange.response_body
    content_type = _first(headers, "content-type")
    content: dict[str, Any] = {"size": body.size_bytes, "mimeType": content_type or _UNKNOWN_MIME_TYPE}
    if not body.size_bytes:
        empty = {"text": ""} if body.ended else {}  # some readers fail without the text of an empty body
        return content | empty | _body_notes(body, exchange.end_reason)
    data = body.kept()
    state = body.state
    coding = ", ".join(_values(headers, "content-encoding"))
    if body.encoded and coding:
        decoded = decode_content(data, coding, body.limit_bytes)
        if decoded is None:
            content["comment"] = f"encoded as it came: {coding}"
            content_type = "application/octet-stream"
        else:
            data = decoded.data
            if state == "whole" and not decoded.whole:
                content |= {"_bodyState": "truncated", "comment": f"the first {len(data)} bytes of {coding} content"}
                state = "truncated"
            content["size"] = -1 if state in {"truncated", "dropped"} else len(data)
    if state == "dropped":
        return content | _body_notes(body, exchange.end_reason)
    text = as_text(data, content_type, cut=state != "whole")
    content["text"] = text.text
    if text.base64:
        content["encoding"] = "base64"
    return content | _body_notes(body, exchange.end_reason)


def _body_notes(body: Body, end_reason: str | None = None) -> dict[str, Any]:
    """What is missing of the body, for programs and for people."""
    state = body.state
    if state == "whole":
        return {}
    comment = _BODY_COMMENTS[state].format(kept=len(body.kept()), size=body.size_bytes)
    return {"_bodyState": state, "comment": f"{comment}: {end_reason}" if end_reason else comment}


def _response_body_size(exchange: Exchange, headers: Headers) -> int:
    """Bytes on the wire: 0 for a response that has no body (RFC 9110, 6.4.1), -1 unknown."""
    body = exchange.response_body
    if body.wire_size_bytes is not None:
        return body.wire_size_bytes
    if not body.ended:
        return -1
    if body.encoded or not _values(headers, "content-encoding"):
        return body.size_bytes
    length = _first(headers, "content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS else -1


def _seen_on_the_wire(exchange: Exchange, headers: Headers) -> int:
    """Of a body whose size is not known, the bytes that are known to have come."""
    body = exchange.response_body
    return body.size_bytes if body.encoded or not _values(headers, "content-encoding") else 0


def _connection(exchange: Exchange) -> dict[str, Any]:
    connection: dict[str, Any] = {}
    if exchange.peer_address is not None and (address := _ip(exchange.peer_address)):
        connection["serverIPAddress"] = address
    if exchange.peer_port is not None:
        connection["connection"] = str(exchange.peer_port)
        connection["_serverPort"] = exchange.peer_port
    if exchange.connection_id is not None:
        connection["_connectionId"] = exchange.connection_id
    return connection


def _ip(text: str) -> str | None:
    """An IP address without brackets and zone; None for what is none (a host name, a socket's path)."""
    try:
        return str(ip_address(text.strip("[]").partition("%")[0]))
    except ValueError:
        return None


def _headers(raw: RawHeaders) -> Headers:
    return [{"name": _text(name), "value": _text(value)} for name, value in raw]


def _text(raw: HeaderText) -> str:
    """Header fields are bytes (RFC 9110, 5.5): UTF-8 where they are valid UTF-8, else ISO 8859-1."""
    if isinstance(raw, str) and raw.isascii():
        return raw
    octets = _octets(raw)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _octets(raw: HeaderText) -> bytes:
    """The bytes of the wire: what a library decoded, it did as ISO 8859-1, or as UTF-8 with surrogates for the rest."""
    if isinstance(raw, bytes):
        return raw
    raw = str(raw)  # what is neither, an adapter of the program's own put there
    for encoding, errors in (("latin-1", "strict"), ("utf-8", "surrogateescape")):
        try:
            return raw.encode(encoding, errors)
        except UnicodeEncodeError:
            continue
    return raw.encode("utf-8", "replace")


def _headers_size(start_line: str, raw: RawHeaders) -> int:
    """From the start line through the blank line (HAR 1.2), as HTTP/1.1 writes it; -1 without headers to count."""
    lines = [len(_octets(name)) + len(_octets(value)) + 4 for name, value in raw]
    return len(_octets(start_line)) + 2 + sum(lines) + 2 if lines else -1


def _values(headers: Headers, name: str) -> list[str]:
    return [header["value"] for header in headers if header["name"].lower() == name]


def _first(headers: Headers, name: str) -> str:
    return next(iter(_values(headers, name)), "")


def _otel(span: SpanFacts) -> dict[str, Any]:
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
