"""The secrets of a body, by its media type."""

from __future__ import annotations

import re

from otel_har.redaction.forms import form_spans, multipart_spans
from otel_har.redaction.json_protocols import encoded_spans, protocol_spans
from otel_har.redaction.json_text import json_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span
from otel_har.redaction.text import hides_base64, text_spans

_NO_TEXT = ("image/", "audio/", "video/", "font/")
_UNTOLD = frozenset({"", "text/plain", "application/octet-stream", "application/x-unknown", "x-unknown"})
"""What producers write that do not know the media type of a form."""

_JSON = frozenset("{[")
_FORM = re.compile(r"[\w.%+\[\]~*$@:-]{1,128}=[^\s<>\"{}]*\Z")


def body_spans(text: str, media_type: str, names: Names) -> list[Span]:
    """Where secrets stand in a body.

    Args:
        text: The body; bytes that are no text as Latin-1.
        media_type: Its Content-Type, as given; empty where there is none.
        names: The names of secrets.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if not text or kind.startswith(_NO_TEXT):
        return []
    if kind == "application/x-www-form-urlencoded" and text.lstrip()[:1] not in _JSON:
        return form_spans(text, names)
    if kind.startswith("multipart/"):
        return multipart_spans(text, _boundary(media_type), names)
    if kind in _UNTOLD and _FORM.match(text):
        return form_spans(text, names) + text_spans(text, names)
    # Whatever it says it is: JSON is often sent as something else.
    if text.lstrip()[:1] in _JSON:
        spans = json_spans(text, names)
        if spans is not None:
            return [*spans, *protocol_spans(text), *encoded_spans(text, lambda one: hides_base64(one, names))]
    return text_spans(text, names, kind)


def _boundary(media_type: str) -> str | None:
    """The boundary parameter (RFC 2046, 5.1.1)."""
    lower = media_type.lower()
    start = lower.find("boundary=")
    if start < 0:
        return None
    value = media_type[start + len("boundary=") :].lstrip()
    if value.startswith('"'):
        return value[1:].partition('"')[0]
    return value.partition(";")[0].strip() or None
