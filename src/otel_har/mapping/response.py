"""The response of an exchange to HAR's `response`; a request without one has the form that no reader trips over."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from otel_har.exchange import Exchange
from otel_har.mapping.bodies import as_text, decode_content, missing_part
from otel_har.mapping.cookies import response_cookies
from otel_har.mapping.event_stream import MEDIA_TYPE, is_event_stream
from otel_har.mapping.headers import Fields, har_text, octets
from otel_har.mapping.timings import Phases
from otel_har.mapping.urls import har_url, resolved
from otel_har.message import Body, BodyState
from otel_har.record import SpanFacts

_UNKNOWN_MIME_TYPE = "x-unknown"  # Chrome's word for a response without a type
_NO_RESPONSE = "no response was seen before the recording of this exchange ended"
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 999
_MAX_DIGITS = 18  # of a Content-Length that can be meant


def har_response(exchange: Exchange, span: SpanFacts, taken: Phases) -> dict[str, Any]:
    """The `response` object (HAR 1.2, 4.2.4)."""
    if exchange.status is not None and not _is_status(exchange.status):
        return _no_response(exchange.error or f"the status {exchange.status!r} is none")
    if exchange.status is None:
        return _no_response(exchange.error or span.exception or span.status_description or _NO_RESPONSE)
    headers = Fields(exchange.response_headers)
    version = exchange.http_version or "HTTP/1.1"
    status_line = octets(f"{version} {exchange.status:03d} ") + octets(exchange.reason)
    headers_size = headers.head_size(status_line)
    content = _content(exchange, exchange.response_body, headers)
    body_size = _response_body_size(exchange, headers)
    if body_size >= 0 and content["size"] >= 0 and "_bodyState" not in content:
        content["compression"] = content["size"] - body_size
    received_unix_s = exchange.started_unix_ns / 1e9 + (taken.total_ms - taken.receive) / 1e3
    location = headers.first("location")
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= exchange.status < HTTPStatus.BAD_REQUEST
    response: dict[str, Any] = {
        "status": exchange.status,
        "statusText": har_text(exchange.reason),
        "httpVersion": version,
        "cookies": response_cookies(headers.values("set-cookie"), received_unix_s),
        "headers": headers.har,
        "content": content,
        "redirectURL": resolved(har_url(exchange.url), location) if location and is_redirect else "",
        "headersSize": headers_size,
        "bodySize": body_size,
        "_transferSize": -1,  # always there: haralyzer cannot sum up a page on which one entry has none
    }
    if headers_size >= 0:
        response["_transferSize"] = headers_size + _seen_on_the_wire(exchange.response_body, body_size, headers)
    if exchange.response_body.trailers:
        response["_trailers"] = Fields(exchange.response_body.trailers).har
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


def _content(exchange: Exchange, body: Body, headers: Fields) -> dict[str, Any]:
    content_type = headers.first("content-type")
    # Chrome shows events of exactly this type. To them its parameters say nothing (HTML 9.2.5), to the text they do.
    mime_type = MEDIA_TYPE if is_event_stream(content_type) else content_type or _UNKNOWN_MIME_TYPE
    content: dict[str, Any] = {"size": body.size_bytes, "mimeType": mime_type}
    if not body.size_bytes:
        empty = {"text": ""} if body.ended else {}  # some readers fail without the text of an empty body
        return content | empty | _missing(exchange, body, body.state, [])
    data, state = body.kept(), body.state
    comments: list[str] = []
    coding = ", ".join(headers.values("content-encoding"))
    if body.encoded and coding:
        decoded = decode_content(data, coding, body.limit_bytes)
        if decoded is None:
            comments += [f"encoded as it came: {coding}"] if data else []
            content_type = "application/octet-stream"
        else:
            data = decoded.data
            if state == "whole" and not decoded.whole:
                comments.append(f"the first {len(data)} bytes of {coding} content")
                state = "truncated"
            content["size"] = -1 if state in {"truncated", "dropped", "excluded"} else len(data)
    if state not in {"dropped", "excluded"}:
        text = as_text(data, content_type, cut=state != "whole")
        if text.base64 and body.rule == "text":
            return _content(exchange, body.under("none"), headers) | {"size": content["size"]}
        content["text"] = text.text
        if text.base64:
            content["encoding"] = "base64"
    return content | _missing(exchange, body, state, comments)


def _missing(exchange: Exchange, body: Body, state: BodyState, comments: list[str]) -> dict[str, Any]:
    """What is missing of the body, for programs and for people, behind what else there is to say of it."""
    if body.state != "whole":
        words = missing_part(body, body.state, sent=False)
        comments = [*comments, f"{words}: {exchange.end_reason}" if exchange.end_reason else words]
    members = {} if state == "whole" else {"_bodyState": state}
    return members | ({"comment": "; ".join(comments)} if comments else {})


def _response_body_size(exchange: Exchange, headers: Fields) -> int:
    """The encoded bytes that came, without framing: 0 where there is no body (RFC 9110, 6.4.1), -1 unknown."""
    body = exchange.response_body
    if body.wire_bytes_lost:
        return -1
    if body.wire_size_bytes is not None:
        return body.wire_size_bytes
    if not body.ended:
        return -1
    if body.encoded or not headers.values("content-encoding"):
        return body.size_bytes
    length = headers.first("content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS else -1


def _seen_on_the_wire(body: Body, body_size: int, headers: Fields) -> int:
    """What is known to have come after the head: the body with its framing, or as much of it as anyone counted."""
    if body_size < 0:
        is_plain = body.encoded or not headers.values("content-encoding")
        body_size = max(body.wire_size_bytes or 0, body.size_bytes if is_plain else 0)
    return body_size + body.framing_bytes
