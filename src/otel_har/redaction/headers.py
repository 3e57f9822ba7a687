"""Secrets in the values of headers: the scheme, the parameters' names, the cookies' names and the attributes stay."""

from __future__ import annotations

from otel_har.redaction.credentials import (
    Found,
    authorization,
    cookie_pairs,
    hides_nothing,
    set_cookie,
    value_spans,
)
from otel_har.redaction.names import Names
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


def header_value_spans(name: str, value: str, names: Names) -> Found:
    """The secrets in the value of one header.

    Args:
        name: The header's name, in any case.
        value: Its value.
        names: Tells which names mean a secret.
    """
    lower = name.strip().lower()
    if hides_nothing(value) or lower in _CHALLENGES:
        return Found()
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
