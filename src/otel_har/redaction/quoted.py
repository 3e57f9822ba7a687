"""Quoted values in a text, at any depth of quotation: JSON within JSON's strings, Python's, JavaScript's, of HTML.

The rule: a value ends where the mark that began it stands again, with as many backslashes; where an outer string ends,
what is in it ends too; where neither does, the rest of the text is the value.
"""

from __future__ import annotations

import html
import re

from otel_har.redaction.credentials import hides_nothing, moved, value_spans
from otel_har.redaction.decoded import in_string, unescaped, unquoted
from otel_har.redaction.harmless import describes, is_harmless
from otel_har.redaction.spans import Span, Writing

QUOTE = re.compile(r"(?:[bBrRuUfF]{1,2}(?=\\{0,127}[\"']))?(\\{0,127}[\"'`]|&quot;|&\#3[49];|%(?:25){0,4}22)")
"""What begins a quoted value; its first group is what ends it."""

_IN_CONTAINER = re.compile(r"[\[\]{}()\"'`\\]|-?\d[\w.+-]{0,512}|[A-Za-z_][\w.-]{0,512}")
_OPENS = re.compile(r"\s{0,32}[\[{(]")
_LONGEST_KEY = 128
_KEY_ENDS = re.compile(r"\s{0,32}(?::|=>)")


def closing(text: str, start: int, quote: str, stop: int | None = None) -> int:
    """Where a quoted value ends.

    Args:
        text: All of the text.
        start: Where the value begins.
        quote: The mark before it, with its backslashes.
        stop: How far is searched; all of the text if None.
    """
    stop = len(text) if stop is None else stop
    if quote[-1] not in "\"'`":
        end = text.find(quote, start, stop)
        return stop if end < 0 else end
    backslashes, mark = len(quote) - 1, quote[-1]
    end = text.find(mark, start, stop)
    while end >= 0:
        escape = end
        while escape > start and text[escape - 1] == "\\":
            escape -= 1
        if end - escape < backslashes:
            return escape
        if (end - escape) % (2 * (backslashes + 1)) == backslashes:
            return end - backslashes
        end = text.find(mark, end + 1, stop)
    return stop


def quoted_spans(text: str, quote: re.Match[str], name: str, rule: str) -> tuple[list[Span], int]:
    """What a quoted value of a secret name hides, and where it ends."""
    mark, start = quote[1], quote.end()
    if text.startswith(mark * 2, start) and len(mark) == 1:  # Python's and YAML's strings of several lines
        start += 2
        end = text.find(mark * 3, start)
        end = len(text) if end < 0 else end
    else:
        end = closing(text, start, mark)
    return _value(text[start:end], start, mark, name, rule), end


def _value(written: str, start: int, mark: str, name: str, rule: str) -> list[Span]:
    if mark.startswith("%"):
        value = unquoted(written)
        whole = [] if hides_nothing(value) else [Span(0, len(written), rule, value, Writing.PERCENT)]
    elif mark.startswith("&"):
        value = html.unescape(written)
        whole = [] if hides_nothing(value) else [Span(0, len(written), rule, value)]
    else:
        whole = _escaped(written, len(mark).bit_length(), name, rule)
    return moved(whole, start)


def _escaped(written: str, depth: int, name: str, rule: str) -> list[Span]:
    """What a value hides that is escaped as often as its quotation mark is."""
    said = [written]
    while depth and "\\" in said[-1]:
        said.append(unescaped(said[-1]))
        depth -= 1
    value = said.pop()
    spans = [] if is_harmless(name, value) else value_spans(name, value, rule)
    for outer in reversed(said):
        spans = in_string(spans, outer, 0)
    return [Span(span.start, span.end, span.rule, span.value) for span in spans]


def container(text: str, start: int, quote: str, rule: str) -> tuple[list[Span], int]:
    """What an object or an array hides under a secret name: its strings and numbers, but what describes it.

    Args:
        text: All of the text.
        start: Where its bracket stands.
        quote: How a quotation mark is written there.
        rule: The name of the rule that found the name.

    Returns:
        Places in the text, and where it ends.
    """
    spans: list[Span] = []
    outer: list[bool] = []  # of each bracket: whether what stands in it is secret
    is_secret, at = True, start
    while piece := _IN_CONTAINER.search(text, at):
        first, at = piece[0][0], piece.end()
        if first in "[{(":
            outer.append(is_secret)
        elif first in "]})":
            if len(outer) == 1:
                return spans, at
            outer.pop()
        elif first in "\"'`\\" and (mark := QUOTE.match(text, piece.start())):
            found, end = quoted_spans(text, mark, "", rule)
            at = end + len(mark[1])
            if key := _KEY_ENDS.match(text, at):
                at = key.end()
                is_secret = outer[-1] and not _describes(text, text[mark.end() : end][:_LONGEST_KEY], at)
                continue
            spans += found if is_secret else []
        elif is_secret and first in "-0123456789":
            spans.append(Span(piece.start(), at, rule, piece[0], Writing.BARE, quote))
        elif key := _KEY_ENDS.match(text, at):
            at = key.end()
            is_secret = outer[-1] and not _describes(text, piece[0], at)
            continue
        is_secret = outer[-1]
    return spans, len(text)


def _describes(text: str, name: str, at: int) -> bool:
    """Whether a member tells something of the secret; what stands in it, if it is an object, is a part of it still."""
    return describes(name) and _OPENS.match(text, at) is None
