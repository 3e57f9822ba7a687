"""Secrets in any text: by their form, by the names they stand under, and in the URLs and encoded values within.

The rule: nothing is expected of a text. What the exact readers of JSON, forms and URLs do not take is taken here.
"""

from __future__ import annotations

import base64
import binascii
import re

from otel_har.redaction.encoded_urls import encoded_url_spans
from otel_har.redaction.named import named_spans
from otel_har.redaction.names import Names
from otel_har.redaction.programs import Programs
from otel_har.redaction.shapes import shape_spans
from otel_har.redaction.spans import Span
from otel_har.redaction.urls import embedded_spans

_SHORTEST = 6
"""Characters below which no text has a name and its value."""

_ID = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
"""The `traceparent` of W3C's Trace Context, and a UUID (RFC 9562, 4): new in each exchange, and by no rule a secret."""

BASE64_BEGINNINGS = ("eyJ", "W3si", "ewog", "ewoJ", "LS0tLS1CRUdJTi")
"""How `{"`, `[{"`, an indented object and the first line of a key begin in base64."""

_HINTS = ("J", "W", "ewog", "ewoJ", "LS0tLS1CRUdJTi")
"""A part of each that is found fast: a single character, or a long text."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_DATA_URL = re.compile(r"data:([\w.+/-]{0,128})[^,\s\"'<>]{0,256};base64,([A-Za-z0-9+/_-]{8,}={0,2})")
_SHORTEST_BASE64 = 20


def text_spans(text: str, names: Names, media_type: str = "") -> list[Span]:
    """The secrets in any text.

    Args:
        text: Any text; it may be cut anywhere, and be hostile.
        names: Tells which names mean a secret.
        media_type: What it is, in lower case and without parameters; empty where that is not known.

    Returns:
        Places in the text; they may overlap, in any order.
    """
    if len(text) < _SHORTEST or _ID.fullmatch(text):
        return []
    spans = shape_spans(text)
    if spans and media_type:
        spans = Programs(text, media_type).shapes(spans)
    spans += named_spans(text, names, media_type=media_type)
    if "?" in text:
        spans += embedded_spans(text, names)
    if "%" in text:
        spans += encoded_url_spans(text, names)
    return spans + _in_base64(text, names)


def base64_places(text: str) -> list[int]:
    """Where JSON in base64 may begin."""
    places = []
    for hint, beginning in zip(_HINTS, BASE64_BEGINNINGS, strict=True) if len(text) >= _SHORTEST_BASE64 else ():
        at = text.find(beginning) if hint in text else -1
        while at >= 0:
            places.append(at)
            at = text.find(beginning, at + len(beginning))
    if ";" in text and ";base64," in text:
        places += [one.start(2) for one in _DATA_URL.finditer(text)]
    return places


def _in_base64(text: str, names: Names) -> list[Span]:
    """JSON in base64, as parameters and messages carry it: all of it, if it hides something."""
    spans: list[Span] = []
    if len(text) < _SHORTEST_BASE64:
        return spans
    for beginning in BASE64_BEGINNINGS:
        at = text.find(beginning)
        while at >= 0:
            run = _BASE64.match(text, at)
            end = run.end() if run else at + 1
            if end - at >= _SHORTEST_BASE64 and hides_base64(text[at:end], names):
                spans.append(Span(at, end, "base64", text[at:end]))
            at = text.find(beginning, end)
    return spans + _in_data_urls(text, names) if ";" in text and ";base64," in text else spans


def _in_data_urls(text: str, names: Names) -> list[Span]:
    """What URLs with the scheme `data` (RFC 2397) hide, unless they are pictures and the like."""
    return [
        Span(one.start(2), one.end(2), "base64", one[2])
        for one in _DATA_URL.finditer(text)
        if not one[1].startswith(("image/", "audio/", "video/", "font/")) and hides_base64(one[2], names)
    ]


def hides_base64(encoded: str, names: Names) -> bool:
    """Whether base64, in whatever alphabet and perhaps cut, hides a secret."""
    digits = encoded.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        said = base64.b64decode(digits[: len(digits) - (len(digits) % 4 == 1)] + "=" * (-len(digits) % 4))
    except (binascii.Error, ValueError):
        return False
    text = said.decode("utf-8", "replace")
    return bool(shape_spans(text) or named_spans(text, names))
