"""Secrets in programs and style sheets: what is written there as a literal, and not what is computed.

The rule: a value that is no literal is none. A literal under a name that is no literal itself, `password: "..."`, is a
secret where it has letters and digits, signs, or is long; words are texts of the program. What has the name in
quotation marks, `"password": "..."`, is data, and is taken as in any text.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from otel_har.redaction.credentials import SCHEMES
from otel_har.redaction.harmless import is_opaque, is_text_of_code
from otel_har.redaction.name import RULE, Name
from otel_har.redaction.notation import BLANK, TOKEN, value_of
from otel_har.redaction.quoted import QUOTE, quoted_spans
from otel_har.redaction.spans import Span

_PROGRAMS = ("javascript", "ecmascript", "typescript", "css", "jsx")
_PAGES = ("html",)
_BEGINS = re.compile(r"<(script|style)(?:\s[^<>]{0,1024})?>", re.IGNORECASE)
_DATA = re.compile(r"\stype\s?=\s?[\"']?[\w.+/-]{0,64}json", re.IGNORECASE)
_RUN = re.compile(r"[\w+/=~-]{8,512}(?![\w+/=~.(\[?!-])")
_OPERATORS = re.compile(r"\A=|[()]|[A-Za-z_$]\.[A-Za-z_$]")
_INSERTED = re.compile(r"\$\{[^{}]{0,128}\}")


class Programs:
    """Where programs stand in a text.

    Args:
        text: All of it.
        media_type: What it is, in lower case; empty where that is not known.
    """

    def __init__(self, text: str, media_type: str) -> None:
        self._is_all = media_type.endswith(_PROGRAMS)
        self._begins: list[int] = []
        self._ends: list[int] = []
        if media_type.endswith(_PAGES) and not self._is_all:
            self._read(text)

    def _read(self, text: str) -> None:
        begin = _BEGINS.search(text)
        while begin:
            end = text.find("</", begin.end())
            while end >= 0 and text[end + 2 : end + 2 + len(begin[1])].lower() != begin[1].lower():
                end = text.find("</", end + 2)
            end = len(text) if end < 0 else end
            if not _DATA.search(begin[0]):
                self._begins.append(begin.end())
                self._ends.append(end)
            begin = _BEGINS.search(text, end)

    def __contains__(self, at: int) -> bool:
        """Whether a program stands at an offset."""
        if self._is_all or not self._begins:
            return self._is_all
        index = bisect_right(self._begins, at) - 1
        return index >= 0 and at < self._ends[index]

    def shapes(self, spans: list[Span]) -> list[Span]:
        """What of the forms in a text is one in a program: `a.password=b.password;` is no connection's."""
        return [
            span
            for span in spans
            if span.rule != "connection-string" or span.start not in self or _is_literal(span.value)
        ]


def value_in_program(name: Name, full: str) -> tuple[list[Span], int]:
    """What the value of a secret name hides in a program, as `value_of` has it."""
    text = name.text
    if name.separator in {"", ","}:
        spans, end = value_of(name, full)
        return _literals(spans), end
    space = BLANK.match(text, name.end)
    at = space.end() if space else name.end
    quote = QUOTE.match(text, at)
    if name.quote and (quote or text[at : at + 1] in {"[", "{"} or text[at : at + 1].isdigit()):
        return value_of(name, full)
    if quote:
        spans, end = quoted_spans(text, quote, full, RULE)
        return _literals(spans), end
    scheme = text[at : at + 40].split(" ", 1)[0]
    value = TOKEN.match(text, at + len(scheme)) if scheme.lower() in SCHEMES else None
    begin, end = value.span(1) if value else (at, at)
    if not value and (run := _RUN.match(text, at)):
        end = run.end()
    if end > begin and _is_literal(text[begin:end]):
        return [Span(begin, end, RULE, text[begin:end])], end
    return [], name.end


def _literals(spans: list[Span]) -> list[Span]:
    return [span for span in spans if not is_text_of_code(_INSERTED.sub("", span.value))]


def _is_literal(value: str) -> bool:
    return is_opaque(value) and _OPERATORS.search(value) is None
