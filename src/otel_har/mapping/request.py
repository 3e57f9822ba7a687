"""The request of an exchange to HAR's `request`."""

from __future__ import annotations

from typing import Any

from otel_har.exchange import Exchange
from otel_har.mapping.bodies import Text, as_text, decode_content, missing_part
from otel_har.mapping.cookies import request_cookies
from otel_har.mapping.forms import Form, form_of, is_multipart_form
from otel_har.mapping.headers import Fields, fields_of_head
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.mapping.urls import har_url, query_parameters, request_target
from otel_har.message import Body, BodyState

_MISSING_PARAMS = "params has the fields that are whole"


def har_request(exchange: Exchange, options: MappingOptions = DEFAULT_OPTIONS) -> dict[str, Any]:
    """The `request` object (HAR 1.2, 4.2.3), as it was sent."""
    url = har_url(exchange.url)
    head = exchange.request_head
    headers = Fields(exchange.request_headers if head is None else fields_of_head(head))
    body = exchange.request_body
    state = _state(body, headers)
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": url,
        "httpVersion": exchange.request_http_version,
        "cookies": request_cookies(headers.values("cookie")),
        "headers": headers.har,
        "queryString": query_parameters(url),
        "headersSize": _headers_size(exchange, url, headers),
        "bodySize": _body_size(body, state, headers),
    }
    if body.size_bytes or state in {"partial", "dropped"} or (state == "unread" and _is_announced(headers)):
        request["postData"] = _post_data(body, state, headers, options)
    return request


def _headers_size(exchange: Exchange, url: str, headers: Fields) -> int:
    """The size of the head: counted, told by the client, or that of the fields as HTTP/1.1 writes them."""
    if exchange.request_head is not None:
        return len(exchange.request_head)
    if exchange.request_head_size is not None:
        return exchange.request_head_size
    return headers.head_size(_start_line(exchange, url))


def _start_line(exchange: Exchange, url: str) -> str:
    """RFC 9112, 3.2.2: a proxy is asked for the whole URL, one that tunnels (TLS, SOCKS) for nothing."""
    proxy = (exchange.proxy or "").partition(":")[0].lower()
    is_absolute = proxy in {"http", "https"} and url.startswith("http:")
    target = url if is_absolute else request_target(url)
    return f"{exchange.method} {target} {exchange.request_http_version}"


def _is_compressed_later(body: Body, headers: Fields) -> bool:
    """Whether the client applied the content coding to what it had told of before."""
    return not body.encoded and bool(headers.values("content-encoding"))


def _has_announced_length(body: Body, headers: Fields) -> bool:
    return str(body.size_bytes) == headers.first("content-length") and not _is_compressed_later(body, headers)


def _state(body: Body, headers: Fields) -> BodyState:
    """The body's state; one that has its announced length is whole, although no end was seen."""
    return "whole" if body.state == "partial" and _has_announced_length(body, headers) else body.state


def _is_announced(headers: Fields) -> bool:
    """RFC 9112, 6.3: whether the header fields say that a body follows."""
    return bool(headers.values("transfer-encoding")) or headers.first("content-length") not in {"", "0"}


def _body_size(body: Body, state: BodyState, headers: Fields) -> int:
    """Bytes of the body as the client gave them to the connection, without chunk framing; -1 where that is not known.

    It is not where the client compressed the body after it had told of it, and where a body of unannounced length broke
    off: the last piece that it told of may have stayed behind.
    """
    if body.wire_size_bytes is not None:
        return body.wire_size_bytes
    if state == "unread":
        return 0
    has_ended = body.ended or _has_announced_length(body, headers)
    return body.size_bytes if has_ended and not _is_compressed_later(body, headers) else -1


def _post_data(body: Body, state: BodyState, headers: Fields, options: MappingOptions) -> dict[str, Any]:
    """HAR 1.2 has no place for a binary request body; `encoding` is what HAR 1.3 proposes."""
    content_type = headers.first("content-type")
    text = as_text(body.kept(), content_type, cut=state != "whole")
    if text.base64 and body.rule == "text" and body.size_bytes:
        return _post_data(body.under("none"), "excluded", headers, options)
    post_data: dict[str, Any] = {"mimeType": content_type, "text": text.text}
    if text.base64 and state != "excluded":
        post_data["encoding"] = "base64"
    comments: list[str] = []
    if state != "whole":
        post_data["_bodyState"] = state
        comments.append(missing_part(body, state, sent=True))
    if _is_compressed_later(body, headers) and body.size_bytes:
        comments.append(f"before its compression ({', '.join(headers.values('content-encoding'))})")
    is_asked_for = state != "excluded" and _has_params(text, content_type, options)
    form = _form(body, state, content_type, headers) if is_asked_for else None
    if form is not None:
        post_data["params"] = form.params
        comments += [] if form.whole else [_MISSING_PARAMS]
    if comments:
        post_data["comment"] = "; ".join(comments)
    return post_data


def _has_params(text: Text, content_type: str, options: MappingOptions) -> bool:
    is_unreadable_form = text.base64 and is_multipart_form(content_type)
    return options.params == "always" or (options.params == "auto" and is_unreadable_form)


def _form(body: Body, state: BodyState, content_type: str, headers: Fields) -> Form | None:
    """The fields of a form, which the program may have compressed itself."""
    data, cut = body.kept(), state != "whole"
    coding = ", ".join(headers.values("content-encoding"))
    if body.encoded and coding:
        decoded = decode_content(data, coding, body.limit_bytes)
        if decoded is None:
            return None
        data, cut = decoded.data, cut or not decoded.whole
    return form_of(data, content_type, cut=cut) if data else None
