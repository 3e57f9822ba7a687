"""Secrets in forms: the values of fields with secret names, and what the others say; names and delimiters stay.

Sources: URL Standard, 5 (application/x-www-form-urlencoded); RFC 7578 and RFC 2046, 5.1 (multipart).
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from otel_har.redaction.credentials import value_spans
from otel_har.redaction.decoded import in_percent, unquoted
from otel_har.redaction.form_names import FormNames
from otel_har.redaction.json_text import json_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span
from otel_har.redaction.text import text_spans

RULE = "form-field"

_TELLING = re.compile(r"[%=:?+<{\[]|--")
_SHORTEST = 6
_BOUNDARY = re.compile(r"\s{0,8}--([^\r\n]{1,200}?)[ \t]*\r?\n")
_HEADERS = re.compile(r"\r?\n\r?\n")
_MOST_HEADERS = 16_384
_NAME = re.compile(r"(?:^|[;\s])name\*?\s?=\s?(?:\"([^\"\r\n]{0,1024})\"?|([^\s;\"]{1,1024}))", re.IGNORECASE)
_TYPE = re.compile(r"content-type\s{0,8}:\s{0,8}([^\s;]{1,128})[^\r\n]{0,256}", re.IGNORECASE)
_BOUNDARY_PARAMETER = re.compile(r"boundary\s?=\s?\"?([^\";\s]{1,200})", re.IGNORECASE)
_IS_BASE64 = re.compile(r"content-transfer-encoding\s{0,8}:\s{0,8}base64", re.IGNORECASE)
_DEEPEST = 3


def content_spans(text: str, names: Names) -> list[Span]:
    """The secrets in a value of any kind: exactly if it is JSON."""
    spans = json_spans(text, names)
    return text_spans(text, names) if spans is None else spans


def form_spans(text: str, names: Names) -> list[Span]:
    """The secrets in an urlencoded form."""
    spans: list[Span] = []
    start, form = 0, FormNames(text, names)
    while start < len(text):
        end = text.find("&", start)
        end = len(text) if end < 0 else end
        equals = text.find("=", start, end)
        if equals >= 0:
            name = text[start:equals]
            name = unquoted(name, plus=True) if "%" in name or "+" in name else name
            if form.is_secret(name, text[equals + 1 : end]):
                spans += _value(text, equals + 1, end, name)
                start = end + 1
                continue
        begin = start if equals < 0 else equals + 1
        if end - begin >= _SHORTEST:
            written = text[begin:end]
            spans += in_percent(content_spans(unquoted(written, plus=True), names), written, begin)
        start = end + 1
    return spans


def _value(text: str, start: int, end: int, name: str) -> list[Span]:
    written = text[start:end]
    return in_percent(value_spans(name, unquoted(written, plus=True), RULE), written, start)


def multipart_spans(text: str, boundary: str | None, names: Names, depth: int = _DEEPEST) -> list[Span]:
    """The secrets in a multipart body.

    Args:
        text: The body's bytes, read as Latin-1.
        boundary: What the Content-Type says; None to read it from the first line.
        names: Tells which names mean a secret.
        depth: How many multiparts within parts are read.

    Returns:
        Places in the text. A value is given as UTF-8 if it is UTF-8.
    """
    if boundary is None:
        first = _BOUNDARY.match(text)
        boundary = first[1] if first else None
    if not boundary:
        return text_spans(text, names)
    delimiter = f"--{boundary}"
    spans: list[Span] = []
    at = text.find(delimiter)
    if at < 0:
        return text_spans(text, names)
    while 0 <= at < len(text):
        start = at + len(delimiter)
        at = text.find(f"\n{delimiter}", start)
        end = len(text) if at < 0 else at
        at = at if at < 0 else at + 1
        spans += _part(text, start, end, names, depth)
    return spans


def _part(text: str, start: int, end: int, names: Names, depth: int) -> list[Span]:
    blank = _HEADERS.search(text, start, min(end, start + _MOST_HEADERS))
    if not blank:
        return text_spans(text[start:end], names)
    head, body = text[start : blank.start()], blank.end()
    end -= end > body and end < len(text) and text[end - 1] == "\r"
    name = _NAME.search(head)
    content = text[body:end] if end < len(text) else text[body:].rstrip("\r\n")
    field = _field_name(name) if name else ""
    is_secret = field and names.field(field)
    found = value_spans(field, content, RULE) if is_secret else _content(content, head, names, depth)
    return [
        Span(body + span.start, body + span.end, span.rule, _from_latin(span.value), span.writing, span.quote)
        for span in found
    ]


def _field_name(name: re.Match[str]) -> str:
    said = name[1] if name[1] is not None else name[2]
    if "%" in said:  # browsers encode quotation marks and line breaks, RFC 5987 everything
        said = unquote_to_bytes(said.encode("latin-1", "replace")).decode("latin-1").rpartition("''")[2]
    return _from_latin(said)


def _content(content: str, head: str, names: Names, depth: int) -> list[Span]:
    type_ = _TYPE.search(head)
    mime = type_[1].lower() if type_ else ""
    if mime.startswith("multipart/") and depth and type_:
        boundary = _BOUNDARY_PARAMETER.search(type_[0])
        return multipart_spans(content, boundary[1] if boundary else None, names, depth - 1)
    if mime == "application/x-www-form-urlencoded":
        return form_spans(content, names)
    if _IS_BASE64.search(head):
        return _in_base64(content, names)
    return content_spans(content, names)


def _in_base64(content: str, names: Names) -> list[Span]:
    """All of a part in base64, if it hides something."""
    try:
        said = base64.b64decode(content.encode("latin-1", "replace")).decode("latin-1")
    except (binascii.Error, ValueError):
        return text_spans(content, names)
    return [Span(0, len(content), "base64", content)] if content_spans(said, names) else []


def _from_latin(text: str) -> str:
    """Bytes read as Latin-1 as the UTF-8 that they are, if they are."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
