"""Marks that stand in a text already: whoever redacts again leaves them as they are.

The rule: no place of a secret begins or ends within a mark, however the mark is written; what is nothing but marks is
no secret. A mark with a hash has a colon, and percent-encoded it looks like a token: every reader would have to know.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from otel_har.redaction.spans import Span, Writing

_WORD = "REDACTED"
_PERCENT = "%(?:25){0,4}"
_WRITTEN = re.compile(rf"(?:\[|{_PERCENT}5[bB]){_WORD}(?:(?::|{_PERCENT}3[aA])[0-9a-f]{{12}})?(?:\]|{_PERCENT}5[dD])")
_COLON = re.compile(rf":|{_PERCENT}3[aA]")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")


def beside_marks(text: str, spans: Sequence[Span]) -> list[Span]:
    """The places without what belongs to a mark; those behind a percent-encoded character are percent-encoded, too.

    Args:
        text: What they are places of.
        spans: In any order.
    """
    found = [_in_its_writing(text, span) for span in spans]
    if _WORD not in text:
        return found
    marks = [mark.span() for mark in _WRITTEN.finditer(text)]
    return [left for span in found for left in _beside(text, span, marks)] if marks else found


def _in_its_writing(text: str, span: Span) -> Span:
    is_escaped = span.writing is Writing.PLAIN and _ESCAPED.match(text, max(0, span.start - 3), span.start)
    return span._replace(writing=Writing.PERCENT) if is_escaped else span


def _beside(text: str, span: Span, marks: list[tuple[int, int]]) -> Iterator[Span]:
    start, end = span.start, span.end
    first = max(0, bisect_right(marks, (start, -1)) - 1)
    rest = 0
    done = start
    for mark_start, mark_end in marks[first:]:
        if mark_start >= end:
            break
        if mark_end <= start:
            continue
        if mark_start < start or mark_end > end:  # it begins or ends within a mark: what is beside that
            start, end = (mark_end, end) if mark_start < start else (start, mark_start)
            done = max(done, start)
            continue
        rest += mark_start - done
        done = mark_end
    rest += end - done
    if start == span.start and end == span.end:
        if rest > 0:
            yield span
    elif start < end and rest > 0 and not _COLON.match(text, start):  # the mark was a user's name, in a URL
        yield span._replace(start=start, end=end, value=text[start:end])
