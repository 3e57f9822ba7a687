"""Secrets in the values of headers: the scheme, the parameters' names, the cookies' names and the attributes stay."""

from __future__ import annotations

import re

from otel_har.redaction.credentials import (
    Found,
    authorization,
    challenges,
    cookie_pairs,
    hides_nothing,
    moved,
    set_cookie,
    value_spans,
)
from otel_har.redaction.names import Names
from otel_har.redaction.shapes import shape_spans
from otel_har.redaction.spans import Span
from otel_har.redaction.text import text_spans
from otel_har.redaction.urls import url_spans

_URLS = frozenset(
    [
        "content-location",
        "destination",
        "forwarded-url",
        "location",
        "origin",
        "referer",
        "referrer",
        "sourcemap",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
        ":path",
    ]
)
"""Headers whose values are URLs, or contain one."""

_CHALLENGES = frozenset({"www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info"})
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"?')  # one without an end is read to the end, once
_NAMED = re.compile(r"([A-Za-z0-9_.*-]{1,64})[ \t]{0,8}=[ \t]{0,8}\Z")
_PROTOCOL = re.compile(r"[^,\s]+")
_BEARER_PROTOCOL = re.compile(r"base64url\.bearer\.[A-Za-z0-9.-]{0,64}\.")
_BEFORE_TOKENS = frozenset({"authentication", "authorization", "auth", "bearer", "basic"})
"""What clients offer as a subprotocol so that the next one may be a token: browsers can send no other field."""


def header_value_spans(name: str, value: str, names: Names) -> Found:
    """The secrets in the value of one header.

    Args:
        name: The header's name, in any case.
        value: Its value.
        names: Tells which names mean a secret.
    """
    lower = name.strip().lower()
    if hides_nothing(value):
        return Found()
    if lower in _CHALLENGES:
        return Found(_in_challenges(value, names))
    if lower == "sec-websocket-protocol":
        return Found(_in_protocols(value, names))
    if names.header(name):
        return _secret(lower, value)
    spans = text_spans(value, names)
    return Found(url_spans(value, names) + spans if lower in _URLS else spans)


def _secret(lower: str, value: str) -> Found:
    """What is secret in the value of a header that has secrets."""
    if lower in {"cookie", "cookie2"}:
        return Found(cookie_pairs(value))
    if lower in {"set-cookie", "set-cookie2"}:
        return Found(set_cookie(value))
    if lower.endswith(("authorization", "-auth")):
        return authorization(value)
    begin = len(value) - len(value.lstrip())
    return Found(value_spans(lower, value.strip(), "header", begin))


def _in_challenges(value: str, names: Names) -> list[Span]:
    """What a server asks for (RFC 9110, 11.6.1), or tells: the scheme, the realm and a nonce are no secrets.

    Its texts may quote the token that they refuse, and Negotiate answers with a token (RFC 4559, 4.1).
    """
    spans = [*shape_spans(value), *challenges(value)]
    for quoted in _QUOTED.finditer(value):
        start = quoted.start(1)
        name = _NAMED.search(value, max(0, quoted.start() - 80), quoted.start())
        if name and names.field(name[1]):
            spans += value_spans(name[1].lower(), quoted[1], "header", start)
        else:
            spans += moved([*url_spans(quoted[1], names), *text_spans(quoted[1], names)], start)
    return spans


def _in_protocols(value: str, names: Names) -> list[Span]:
    """Tokens among the names of subprotocols (RFC 6455, 11.3.4): behind `bearer`, and those of Kubernetes."""
    spans = shape_spans(value)
    before = ""
    for item in _PROTOCOL.finditer(value):
        encoded = _BEARER_PROTOCOL.match(item[0])
        if encoded:
            spans.append(Span(item.start() + encoded.end(), item.end(), "header", item[0][encoded.end() :]))
        elif before in _BEFORE_TOKENS or (before and names.field(before)):
            spans += value_spans(before, item[0], "header", item.start())
        before = item[0].lower()
    return spans
