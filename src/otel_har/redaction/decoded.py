"""What an encoded text says, and where in it each character is written.

The rule: a secret is looked for in what a text says and replaced where it is written, so whoever decodes keeps the
places. They are counted only where something was found.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, unquote

from otel_har.redaction.spans import Span, Writing

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)",
    re.DOTALL,
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})")
_GOES_ON = re.compile("%[89abAB]")
_PIECE = 65_536
_CONTINUES = 0b1000_0000
_HEXADECIMAL = re.compile(r"(?<!\\)\\{1,16}(?:u00|x)([2-7][0-9a-fA-F])")


class Places:
    """Where the characters of a decoded text are written.

    Args:
        ends: Of each escape, where it ends as it is written, and how many characters shorter the text is up to there.
    """

    def __init__(self, ends: Iterable[tuple[int, int]]) -> None:
        self._written, self._said = array("q", [0]), array("q", [0])
        for written, shorter in ends:
            self._written.append(written)
            self._said.append(written - shorter)

    def of(self, said: int) -> int:
        """Where the character at an offset of the decoded text begins."""
        at = bisect_right(self._said, said) - 1
        return self._written[at] + said - self._said[at]


def unescaped(written: str) -> str:
    """What stands between the quotation marks of a JSON string; what is no escape of JSON stands for its character."""
    if "\\" not in written:
        return written
    try:
        said = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return _ESCAPE.sub(_character, written)
    return str(said)


def _character(escape: re.Match[str]) -> str:
    letter = escape[0][1]
    if letter == "u" and len(escape[0]) > 2:  # noqa: PLR2004 - a backslash and the letter are no code
        return str(json.loads(f'"{escape[0]}"'))
    return _LETTERS.get(letter, letter)


def in_string(spans: list[Span], written: str, base: int) -> list[Span]:
    """The secrets found in what a JSON string says, where they are written.

    Args:
        spans: Places in `unescaped(written)`.
        written: What stands between the quotation marks.
        base: Where it begins in the text.
    """
    if not spans:
        return []
    places = Places(_shorter(_ESCAPE, written))
    return [
        Span(
            base + places.of(span.start),
            base + places.of(span.end),
            span.rule,
            span.value,
            span.writing,
            json.dumps(span.quote)[1:-1],
        )
        for span in spans
    ]


def unquoted(written: str, *, plus: bool = False) -> str:
    """What a percent-encoded text says: in UTF-8, and in Latin-1 if it is none.

    Args:
        written: Any text.
        plus: Whether a plus sign stands for a space, as in forms and queries.
    """
    if plus:
        written = written.replace("+", " ")
    if "%" not in written:
        return written
    said = _utf8(written)
    return "".join(unquote(piece, encoding="latin-1") for piece in _pieces(written)) if said is None else said


def _utf8(written: str) -> str | None:
    try:
        return "".join(unquote(piece, errors="strict") for piece in _pieces(written))
    except UnicodeDecodeError:
        return None


def _pieces(written: str) -> Iterator[str]:
    """The text in pieces that end between two characters, for decoding takes much more memory than its text."""
    start = 0
    while start < len(written):
        end = start + _PIECE
        while "%" in written[end - 2 : end] or (end < start + _PIECE + 12 and _GOES_ON.match(written, end)):
            end += 1
        yield written[start:end]
        start = end


@lru_cache(maxsize=16)
def _quoted(mark: str) -> str:
    return quote(mark, safe="")


def in_percent(spans: list[Span], written: str, base: int) -> list[Span]:
    """The secrets found in what a percent-encoded text says, where they are written."""
    if not spans:
        return []
    places = Places(_shorter_percent(written))
    return [
        Span(
            base + places.of(span.start),
            base + places.of(span.end),
            span.rule,
            span.value,
            Writing.BARE if span.writing is Writing.BARE else Writing.PERCENT,
            _quoted(span.quote),
        )
        for span in spans
    ]


def without_hexadecimal(written: str) -> str:
    r"""The text with what JavaScript and templates escape by its number as it is: `\u0022`, `\x22`."""
    if "\\u00" not in written and "\\x" not in written:
        return written
    return _HEXADECIMAL.sub(lambda escape: chr(int(escape[1], 16)), written)


def in_hexadecimal(spans: list[Span], written: str) -> list[Span]:
    """The secrets found in what such a text says, where they are written."""
    if not spans:
        return []
    places = Places(_shorter(_HEXADECIMAL, written))
    return [
        Span(places.of(span.start), places.of(span.end), span.rule, span.value, span.writing, span.quote)
        for span in spans
    ]


def _shorter(escapes: re.Pattern[str], written: str) -> Iterable[tuple[int, int]]:
    shorter = 0
    for escape in escapes.finditer(written):
        shorter += escape.end() - escape.start() - 1
        yield escape.end(), shorter


def _shorter_percent(written: str) -> Iterable[tuple[int, int]]:
    utf8 = _utf8(written) is not None
    shorter = 0
    for escape in _PERCENT.finditer(written):
        goes_on = utf8 and int(escape[1], 16) & 0b1100_0000 == _CONTINUES  # RFC 3629: a byte that continues a character
        shorter += 3 if goes_on else 2
        yield escape.end(), shorter
