"""The request of an exchange to HAR's `request`."""

from __future__ import annotations

from typing import Any

from otel_har.exchange import Body, Exchange
from otel_har.mapping.bodies import as_text, missing_part
from otel_har.mapping.cookies import request_cookies
from otel_har.mapping.headers import Headers, first, har_headers, head_size, values
from otel_har.mapping.urls import har_url, query_parameters, request_target


def har_request(exchange: Exchange) -> dict[str, Any]:
    """The `request` object (HAR 1.2, 4.2.3), as it was sent."""
    url = har_url(exchange.url)
    headers = har_headers(exchange.request_headers)
    body = exchange.request_body
    start_line = f"{exchange.method} {request_target(url)} {exchange.request_http_version}"
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": url,
        "httpVersion": exchange.request_http_version,
        "cookies": request_cookies(values(headers, "cookie")),
        "headers": headers,
        "queryString": query_parameters(url),
        "headersSize": head_size(start_line, exchange.request_headers),
        "bodySize": _request_body_size(body, headers),
    }
    if body.size_bytes or body.state in {"partial", "dropped"}:
        request["postData"] = _post_data(body, first(headers, "content-type"))
    return request


def _request_body_size(body: Body, headers: Headers) -> int:
    """What was sent, without chunk framing, be it a part; -1 where the client compresses it after it was noted."""
    if body.wire_size_bytes is not None:
        return body.wire_size_bytes
    is_as_sent = body.encoded or not values(headers, "content-encoding")
    return body.size_bytes if is_as_sent or body.size_bytes == 0 else -1


def _post_data(body: Body, content_type: str) -> dict[str, Any]:
    """HAR 1.2 has no place for a binary request body; `encoding` is what HAR 1.3 proposes."""
    text = as_text(body.kept(), content_type, cut=body.state != "whole")
    post_data: dict[str, Any] = {"mimeType": content_type, "text": text.text, **missing_part(body)}
    if text.base64:
        post_data["encoding"] = "base64"
    return post_data
