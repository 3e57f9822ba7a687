"""Marks that stand in a text already: whoever redacts again leaves them as they are.

The rule: no place of a secret begins or ends within a mark, however the mark is written; what is nothing but marks is
no secret. A mark with a hash has a colon, and percent-encoded it looks like a token: every reader would have to know.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from otel_har.redaction.spans import WRITTEN_MARK, Span, Writing

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}|\\[nrtbf]")
_SAYS_SOMETHING = re.compile(r"[^\W_]")


def beside_marks(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans without what is a mark already, so that a text that is redacted stays as it is.

    Args:
        text: Any text.
        spans: Places in it.

    Returns:
        As given, where no mark stands in one. One that begins with a mark is none: what stands behind it was no part of
        the value that the mark took the place of. Of others what stands before, between and behind marks, where that
        says something.
    """
    found = [_in_its_writing(text, span) for span in spans]
    if not found or "REDACTED" not in text:
        return found
    marks = [mark.span() for mark in WRITTEN_MARK.finditer(text)]
    ends = [end for _, end in marks]
    apart = []
    for span in found:
        first = bisect_right(ends, span.start)
        if first == len(marks) or marks[first][0] >= span.end:
            apart.append(span)
        elif marks[first][0] > span.start:
            apart += _pieces(text, span, marks, first)
    return apart


def _pieces(text: str, span: Span, marks: list[tuple[int, int]], index: int) -> list[Span]:
    pieces, start = [], span.start
    while index < len(marks) and marks[index][0] < span.end:
        pieces.append((start, marks[index][0]))
        start = marks[index][1]
        index += 1
    pieces.append((start, span.end))
    return [
        span._replace(start=start, end=end, value=text[start:end])
        for start, end in pieces
        if start < end and _SAYS_SOMETHING.search(_ESCAPE.sub("", text[start:end]))
    ]


def _in_its_writing(text: str, span: Span) -> Span:
    is_escaped = span.writing is Writing.PLAIN and _ESCAPED.match(text, max(0, span.start - 3), span.start)
    return span._replace(writing=Writing.PERCENT) if is_escaped else span
