"""What a response of urllib3's shape, or its connection, tells of itself and of the attempts before it.

The rule: an adapter of the program's own may bring something else, which then tells less.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any

from otel_har.capture.connections import closed_connection_of, connection_of
from otel_har.exchange import Exchange
from otel_har.message import RawHeaders

_BODILESS_STATUS = frozenset({204, 304})  # RFC 9110, 6.4.1
_HTTP_VERSIONS = {9: "HTTP/0.9", 10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2"}


def http_version(raw: Any) -> str:
    """The version of the status line."""
    return _HTTP_VERSIONS.get(getattr(raw, "version", 11), "HTTP/1.1")


def response_headers(raw: Any, fallback: Mapping[str, str]) -> RawHeaders:
    """In the order of the wire, with duplicates: only http.client's own message has them so.

    requests itself relies on `_original_response` to find cookies. Without it (another adapter) urllib3's fields are
    taken, which group duplicates, or else the fallback.
    """
    original = getattr(raw, "_original_response", None)
    message = getattr(original, "msg", None)
    if type(message) is HTTPMessage:
        return list(
            message.raw_items()
        )  # `items` asks a policy about each, which has nothing to say on what was parsed
    if message is not None:
        return list(message.items())
    fields = getattr(raw, "headers", None) or fallback
    return list(fields.items())


def is_empty(raw: Any, status: int) -> bool:
    """Whether there is nothing to read: urllib3 knows of 1xx and of `Content-Length: 0`, too.

    Against the rules a 204 may say that it is chunked; urllib3 then looks for chunks.
    """
    has_no_length = status in _BODILESS_STATUS or getattr(raw, "length_remaining", None) == 0
    return has_no_length and not getattr(raw, "chunked", False)


def note_connection(exchange: Exchange, raw: Any) -> None:
    """urllib3's connection object is reused for one socket after the other: the socket is the connection."""
    holder = getattr(raw, "connection", None)
    sock = getattr(holder, "sock", None)
    if sock is not None:
        connection_of(holder, sock).describe(exchange)
    elif holder is not None:
        closed_connection_of(holder, raw.fileno).describe(exchange)


def proxy_of(holder: Any) -> str | None:
    """The URL of the proxy that urllib3's connection object is for, without user information; None without one."""
    proxy = getattr(holder, "proxy", None)
    if proxy is None:
        return None
    scheme, host, port = (getattr(proxy, name, None) for name in ("scheme", "host", "port"))
    if not (scheme and host):
        return None
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def retries(raw: Any) -> list[Any]:
    """What urllib3 remembers of the attempts before the one that gave this response."""
    history = getattr(getattr(raw, "retries", None), "history", None) or ()
    return [one for one in history if getattr(one, "redirect_location", None) is None]
