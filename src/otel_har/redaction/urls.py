"""Secrets in URLs: user information, parameters of the query, of the fragment and of path segments; tokens by form.

The rule: a URL stays a URL: its names, its delimiters and its length in parts stay. RFC 3986 tells the parts; whatever
is none of them is read as it stands, for no text is refused.
"""

from __future__ import annotations

import re

from otel_har.redaction.credentials import hides_nothing
from otel_har.redaction.decoded import in_percent, unquoted
from otel_har.redaction.named import named_spans
from otel_har.redaction.names import Names
from otel_har.redaction.shapes import shape_spans
from otel_har.redaction.spans import WRITTEN_MARK, Span, Writing

_DEEPEST = 4
"""URLs within URLs that are read."""

_SHORTEST_TOKEN = 16
"""Characters from which a user without a password is a token."""

_SCHEME = re.compile(r"[\s\x00-\x1f]{0,64}(?:[A-Za-z][A-Za-z0-9+.-]{0,31}:)?//")
_HOST = re.compile(r"[^:\[\]]*(?::[0-9]*)?|\[[^\]]*\](?::[0-9]*)?")
_DELIMITER = re.compile(r"[&;]")
_QUERY = re.compile(r"\?(?=[\w.%\-\[\]~$@]{1,128}=)")
_PARAMETER = re.compile(r"[?&;#]([\w.%\-\[\]~$@]{1,128})=([^&\s\"'<>\\`%]{0,256}%)?")
"""The name of a parameter, and whether its value has an escape."""

_QUERY_ENDS = re.compile(r"[\s\"'<>\\`]")
_IN_VALUE = re.compile(r"[%=:?+]|ey")


def url_spans(url: str, names: Names, depth: int = _DEEPEST) -> list[Span]:
    """The secrets in a URL, absolute or relative.

    Args:
        url: Any text.
        names: Tells which names of parameters mean a secret.
        depth: How many URLs within URLs are read.
    """
    fragment = url.find("#")
    fragment = len(url) if fragment < 0 else fragment
    query = url.find("?", 0, fragment)
    query = fragment if query < 0 else query
    spans = shape_spans(url)
    spans += _user(url, query)
    spans += _matrix(url, query, names)
    spans += parameters(url, query + 1, fragment, names, depth)
    route = url.find("?", fragment)
    if route >= 0:
        spans += parameters(url, fragment + 1, route, names, depth)
    return spans + parameters(url, max(fragment, route) + 1, len(url), names, depth)


def _user(url: str, end: int) -> list[Span]:
    """RFC 3986, 3.2.1: the password; a user alone that may be a token."""
    scheme = _SCHEME.match(url, 0, end)
    if not scheme:
        return []
    path = url.find("/", scheme.end(), end)
    at = url.rfind("@", scheme.end(), end if path < 0 else path)
    if at < 0 <= path and not _HOST.fullmatch(url, scheme.end(), path):  # a slash in a password that is not escaped
        at = url.rfind("@", path, end)
    if at < 0:
        return []
    colon = url.find(":", scheme.end(), at)
    if 0 <= colon < at - 1:
        return _whole(url, colon + 1, at, "url-userinfo")
    end = at if colon < 0 else colon
    is_token = colon >= 0 or end - scheme.end() >= _SHORTEST_TOKEN
    return _whole(url, scheme.end(), end, "url-userinfo") if is_token else []


def _matrix(url: str, end: int, names: Names) -> list[Span]:
    """Parameters of path segments: `;jsessionid=`."""
    spans: list[Span] = []
    at = url.find(";", 0, end)
    while at >= 0:
        following = url.find(";", at + 1, end)
        slash = url.find("/", at + 1, end if following < 0 else following)
        stop = min((one for one in (following, slash) if one >= 0), default=end)
        equals = url.find("=", at, stop)
        if equals >= 0 and names.query(unquoted(url[at + 1 : equals])):
            spans += _whole(url, equals + 1, stop, "url-parameter")
        at = following
    return spans


def parameters(text: str, start: int, end: int, names: Names, depth: int = _DEEPEST) -> list[Span]:
    """The secrets of `name=value&name=value` in a part of a text."""
    spans: list[Span] = []
    while start < end:
        delimiter = _DELIMITER.search(text, start, end)
        stop = delimiter.start() if delimiter else end
        equals = text.find("=", start, stop)
        if equals >= 0 and names.query(unquoted(text[start:equals], plus=True)):
            spans += _whole(text, equals + 1, stop, "url-parameter")
        elif depth and stop - equals > 5 and _IN_VALUE.search(text, equals + 1, stop):  # noqa: PLR2004 - shorter than `pw=x`
            written = text[max(equals + 1, start) : stop]
            spans += in_percent(_in_value(unquoted(written, plus=True), names, depth), written, max(equals + 1, start))
        start = stop + 1
    return spans


def _in_value(value: str, names: Names, depth: int) -> list[Span]:
    """A parameter's value may be a URL, a form, JSON."""
    return shape_spans(value) + named_spans(value, names) + embedded_spans(value, names, depth - 1)


def query_places(text: str, names: Names) -> list[int]:
    """Where parameters of URLs stand that may be secret: by their name, or because their value may be a URL."""
    if "?" not in text:
        return []
    query = names.query
    return [
        one.start(1)
        for one in _PARAMETER.finditer(text)
        if one[2] or query(unquoted(one[1]) if "%" in one[1] else one[1])
    ]


def embedded_spans(text: str, names: Names, depth: int = _DEEPEST) -> list[Span]:
    """The secrets in the queries of URLs that stand in any text."""
    spans: list[Span] = []
    query = _QUERY.search(text) if depth and "?" in text else None
    while query:
        ends = _QUERY_ENDS.search(text, query.end())
        end = ends.start() if ends else len(text)
        fragment = text.find("#", query.end(), end)
        spans += parameters(text, query.end(), end if fragment < 0 else fragment, names, depth)
        if fragment >= 0:
            spans += parameters(text, fragment + 1, end, names, depth)
        query = _QUERY.search(text, end)
    return spans


def _whole(text: str, start: int, end: int, rule: str) -> list[Span]:
    if WRITTEN_MARK.match(text, start, end):  # what stands behind it is no part of the value that it took the place of
        return []
    value = unquoted(text[start:end], plus=rule != "url-userinfo")
    return [] if hides_nothing(value) else [Span(start, end, rule, value, Writing.PERCENT)]
