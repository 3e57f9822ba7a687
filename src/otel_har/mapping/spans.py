"""The attributes of a client span to an exchange, for clients that no hook captures.

The rule: both HTTP semantic conventions are read, the stable one first; instrumentations still write the old one
unless OTEL_SEMCONV_STABILITY_OPT_IN says otherwise. Nothing is known of such an exchange but what its span says.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_har.budget import ByteBudget
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.message import SomeHeaders
from otel_har.record import SpanFacts

Attributes = Mapping[str, object]

_METHOD = ("http.request.method_original", "http.request.method", "http.method")
_URL = ("url.full", "http.url")
_STATUS = ("http.response.status_code", "http.status_code")
_VERSION = ("network.protocol.version", "http.flavor")
_PEER_ADDRESS = ("network.peer.address", "net.sock.peer.addr", "net.peer.ip")
_PEER_PORT = ("network.peer.port", "net.sock.peer.port", "server.port", "net.peer.port")
_REQUEST_SIZE = ("http.request.body.size", "http.request_content_length")
_RESPONSE_SIZE = ("http.response.body.size", "http.response_content_length")
_SCHEME = ("url.scheme", "http.scheme")
_HOST = ("http.host", "server.address", "net.peer.name")
_TARGET = ("http.target",)
_MAX_DIGITS = 18
_NOTHING_KEPT = CaptureLimits(max_body_bytes=0, budget=ByteBudget(0))


def is_http_client_span(attributes: Attributes) -> bool:
    """Whether the semantic conventions call this client span HTTP: both require the method."""
    return _text(attributes, _METHOD) is not None


def exchange_from_span(span: SpanFacts) -> Exchange:
    """The exchange that the span tells of; its bodies are unknown, its wait is the span's duration."""
    attributes = span.attributes
    exchange = Exchange(
        _text(attributes, _METHOD) or "GET",
        _url(attributes),
        started_unix_ns=span.start_unix_ns,
        started=span.start_unix_ns,
        limits=_NOTHING_KEPT,
    )
    exchange.request_headers = _headers(attributes, "http.request.header.")
    exchange.peer_address = _text(attributes, _PEER_ADDRESS)
    exchange.peer_port = _number(attributes, _PEER_PORT)
    exchange.request_body.wire_size_bytes = _number(attributes, _REQUEST_SIZE)
    end = span.end_unix_ns if span.end_unix_ns is not None else span.start_unix_ns
    status = _number(attributes, _STATUS)
    exchange.status = status if status is not None and 100 <= status <= 999 else None  # noqa: PLR2004 - RFC 9110, 15
    if exchange.status is not None:
        exchange.http_version = exchange.request_http_version = _version(attributes)
        exchange.response_headers = _headers(attributes, "http.response.header.")
        exchange.response_body.wire_size_bytes = _number(attributes, _RESPONSE_SIZE)
        exchange.instants.request_started = span.start_unix_ns
        exchange.instants.response_started = end
        exchange.end_reason = "no hook captured it"
    exchange.error = span.exception or _text(attributes, ("error.type",)) if exchange.status is None else None
    exchange.finish(end)
    return exchange


def _url(attributes: Attributes) -> str:
    url = _text(attributes, _URL)
    if url is not None:
        return url
    host = _text(attributes, _HOST) or "unknown.invalid"
    is_bare_ipv6 = host.count(":") > 1 and "[" not in host
    host = f"[{host}]" if is_bare_ipv6 else host
    port = _number(attributes, ("server.port", "net.peer.port"))
    if port is not None and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{port}"
    return f"{_text(attributes, _SCHEME) or 'http'}://{host}{_text(attributes, _TARGET) or '/'}"


def _version(attributes: Attributes) -> str:
    version = _text(attributes, _VERSION) or "1.1"
    return f"HTTP/{version.removesuffix('.0') if version.startswith(('2', '3')) else version}"


def _headers(attributes: Attributes, prefix: str) -> SomeHeaders:
    """`http.request.header.<name>`: a list of values; the old convention has underscores in the name.

    A span has only those fields that its instrumentation was told to capture.
    """
    return SomeHeaders(
        (name.removeprefix(prefix).replace("_", "-"), str(value))
        for name, values in attributes.items()
        if name.startswith(prefix)
        for value in (values if isinstance(values, list | tuple) else (values,))
    )


def _text(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    return next((str(value) for name in names if (value := attributes.get(name)) not in (None, "")), None)


def _number(attributes: Attributes, names: tuple[str, ...]) -> int | None:
    """The first that is a number which a status, a port or a size can be."""
    for name in names:
        text = str(attributes.get(name))
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            return int(text)
    return None
