"""Secrets in URLs that stand percent-encoded in any text, once or more often: `https%3A%2F%2Fh%2F%3Fcode%3D...`.

The rule: such a URL is found by its encoded `://`, or by a `?` with a name and a `=`; it ends where nothing of a
percent-encoded text can stand. It is read once for each time that it is encoded.
"""

from __future__ import annotations

import re

from otel_har.redaction.decoded import in_percent, unquoted
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span
from otel_har.redaction.urls import url_spans

_DEEPEST = 5
_AGAIN = "(?:25){0,4}"
_BEGINS = re.compile(rf"%{_AGAIN}3[aA]%{_AGAIN}2[fF]%{_AGAIN}2[fF]|%{_AGAIN}3[fF](?=[\w.\-~]{{1,64}}%{_AGAIN}3[dD])")
_SCHEME = re.compile(r"[A-Za-z0-9+.-]{0,32}")
_ENDS = re.compile(r"[\s\"'<>\\`&#|]")
_LONGEST_SCHEME = 32


def encoded_url_places(text: str) -> list[int]:
    """Where such URLs may be."""
    return [begin.start() for begin in _BEGINS.finditer(text)] if "%" in text else []


def encoded_url_spans(text: str, names: Names, depth: int = _DEEPEST) -> list[Span]:
    """The secrets in the percent-encoded URLs of a text.

    Args:
        text: Any text.
        names: Tells which names of parameters mean a secret.
        depth: How often what is encoded is decoded.
    """
    spans: list[Span] = []
    begin = _BEGINS.search(text) if depth and "%" in text else None
    while begin:
        scheme = _SCHEME.match(text[max(0, begin.start() - _LONGEST_SCHEME) : begin.start()][::-1])
        start = begin.start() - (scheme.end() if scheme else 0)
        ends = _ENDS.search(text, begin.end())
        end = ends.start() if ends else len(text)
        written = text[start:end]
        said = unquoted(written)
        spans += in_percent(encoded_url_spans(said, names, depth - 1) + url_spans(said, names), written, start)
        begin = _BEGINS.search(text, end)
    return spans
