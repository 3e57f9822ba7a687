"""Where a secret stands in a text, and what takes its place.

The rule: whoever finds a secret says where it is and how it is written there; one place writes what takes its place,
so that JSON stays JSON and a form stays a form.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

REDACTED = "[REDACTED]"

Mark = Callable[[str], str]
"""Gives what takes the place of a secret value."""


class Writing(enum.Enum):
    """How a value is written where it stands."""

    PLAIN = "plain"
    """As it is; in a JSON string too: what takes its place needs no escape there."""
    PERCENT = "percent"
    """Percent-encoded, in a URL or in a urlencoded form."""
    BARE = "bare"
    """A JSON number: what takes its place is a string and needs its quotes."""


class Span(NamedTuple):
    r"""A secret in a text.

    Attributes:
        start: Its first character.
        end: The character after it.
        rule: The name of the rule that found it, for the entry to tell: `json-field`, `jwt`.
        value: The value without the escapes of its writing, to be found again in other places.
        writing: How it is written.
        quote: The quotation mark as it is written there, for what is written bare: `"`, and in a string `\\"`.
    """

    start: int
    end: int
    rule: str
    value: str
    writing: Writing = Writing.PLAIN
    quote: str = '"'


_MARK = re.compile(r"\[REDACTED(?::[0-9a-f]{12})?\]")
WRITTEN_MARK = re.compile(
    r"(?:\[|%(?:25){0,8}5[bB])REDACTED(?:(?::|%(?:25){0,8}3[aA])[0-9a-f]{12})?(?:\]|%(?:25){0,8}5[dD])"
)
"""A mark as it is, or percent-encoded."""


def plain_mark(value: str) -> str:
    """What takes the place of every secret where equal ones are not to be recognised; a mark stays what it is."""
    return value if _MARK.fullmatch(value) else REDACTED


def has_mark(text: str) -> bool:
    """Whether something was taken out of a text already."""
    return _MARK.search(text) is not None


def is_mark(text: str) -> bool:
    """Whether a text is what was put in a secret's place, and nothing else."""
    return _MARK.fullmatch(text) is not None


def hashed_mark(salt: bytes) -> Mark:
    """A mark that is the same for equal secrets of one recording, and tells nothing else of them.

    Args:
        salt: The recording's own, never written.
    """

    def mark(value: str) -> str:
        if _MARK.fullmatch(value):
            return value
        digest = hmac.new(salt, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[REDACTED:{digest[:12]}]"

    return mark


def replaced(text: str, spans: Iterable[Span], mark: Mark) -> str:
    """The text with each secret's mark in its place; spans that overlap have one mark."""
    parts, done = [], 0
    for span in sorted(spans, key=_order):
        if span.start < done:  # what reaches beyond the one before is covered by its mark
            done = max(done, span.end)
            continue
        parts += [text[done : span.start], _written(mark(span.value), span)]
        done = span.end
    return "".join((*parts, text[done:])) if parts else text


def _order(span: Span) -> tuple[int, int, bool]:
    """By place; of two in one place the one first that knows that it stands in a URL."""
    return span.start, -span.end, span.writing is Writing.PLAIN


def in_percent(mark: str) -> str:
    """A mark as it stands in a URL."""
    return mark.replace("[", "%5B").replace("]", "%5D").replace(":", "%3A")


def _written(mark: str, span: Span) -> str:
    if span.writing is Writing.PERCENT or span.quote.startswith("%"):
        mark = in_percent(mark)
    return f"{span.quote}{mark}{span.quote}" if span.writing is Writing.BARE else mark
