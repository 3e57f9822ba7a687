"""Secrets by the names they stand under, in any notation.

The rule: a name is looked for by the letters that every secret name has, read out to both sides, and only then what
follows is read, from its first character to where its notation ends it. No step goes back further than a name is long,
and what was read as a value is not read again: so the work is linear in the text, whatever the text.

Notations: JSON, also within strings, Python's and JavaScript's objects, `key=value`, `key: value`, header lines, YAML,
ini, options of a command line, XML elements and attributes, pairs of a name and a value, percent-encoded ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from otel_har.redaction import notation
from otel_har.redaction.decoded import in_hexadecimal, in_percent, unquoted, without_hexadecimal
from otel_har.redaction.name import Name
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import command_spans
from otel_har.redaction.programs import Programs, value_in_program
from otel_har.redaction.runs import end_of_run
from otel_har.redaction.spans import Span

_DEEPEST = 4
"""Times that a text is percent-encoded which are decoded."""

NOTATIONS = re.compile(r"[:=<]|--|, |%3|%25|-u|-U| -p|[\"'],|(?:by|as|password)\s", re.IGNORECASE)
_LEFT = 64
"""Characters of a name that are read before the letters by which it was found."""

_LETTERS = "jqzxvkwyfbghpumd-"
"""What texts may lack, the rarest first."""

_BEFORE = re.compile(r"[\w.\-$\[\]%]*")
_OF_NAMES = "_.-$[]%"
_ESCAPED = re.compile(r"%(?:25){0,4}(?!25|5[bBdD]|2[eEdD]|5[fF])[0-9a-fA-F]{2}")
_AFTER = re.compile(
    r"([\w.\-$\[\]]{0,64}(?:%(?:25){0,4}5[bBdD][\w.\-]{0,32}){0,4})"
    r"(?:(\\{0,127}[\"'`]|&quot;|&\#3[49];|%(?:25){0,4}22)?\]?\s{0,32}"
    r"(=>|=(?!=)|:=|:(?![:=])(?!//)|,|%(?:25){0,4}3[aAdD])|(?=([\s><\"'\\])))?"
)


def named_spans(text: str, names: Names, depth: int = _DEEPEST, media_type: str = "") -> list[Span]:
    """The secrets in any text that stand under a name.

    Args:
        text: Any text; it may be cut anywhere, and be hostile.
        names: Tells which names mean a secret.
        depth: How often what is percent-encoded may be decoded.
        media_type: What the text is, in lower case: in programs and pages less is a value.
    """
    if len(text) < 5 or not NOTATIONS.search(text):  # noqa: PLR2004 - the shortest: a name of three letters
        return []
    plain = without_hexadecimal(text)
    if plain is not text:
        return in_hexadecimal(_in_plain(plain, names, depth, media_type), text)
    return _in_plain(text, names, depth, media_type)


def anchors_in(lower: str, names: Names) -> list[str]:
    """Those letters of secret names that a text in lower case has."""
    return letters_in(lower, names.anchors)


def letters_in(lower: str, several: tuple[str, ...]) -> list[str]:
    """Which of several letters that stand side by side a text in lower case has, those that others are a part of.

    A single letter is found, or found missing, many times as fast as a word: a short text has not all letters.
    """
    missing = "".join([letter for letter in _LETTERS if letter not in lower])
    return [letters for letters in _spelled_without(several, missing) if letters in lower]


@lru_cache(maxsize=1024)
def _spelled_without(several: tuple[str, ...], missing: str) -> tuple[str, ...]:
    """Those that have none of some letters."""
    return tuple(one for one in _shortest(several) if not any(letter in one for letter in missing))


@lru_cache(maxsize=32)
def _shortest(several: tuple[str, ...]) -> tuple[str, ...]:
    """Those that no other one is a part of."""
    return tuple(one for one in several if not any(other != one and other in one for other in several))


def lowered(text: str) -> str:
    """The text in lower case, as long as it was."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.replace("\u0130", "I").lower()


def _in_plain(text: str, names: Names, depth: int, media_type: str) -> list[Span]:
    lower = lowered(text)
    anchors = anchors_in(lower, names)
    spans = command_spans(text, lower)
    if not anchors:
        return spans
    programs = Programs(text, media_type) if media_type else ()
    done = 0
    for _, at, after in sorted(_places(text, lower, anchors)):
        if at < done:
            continue
        name = _name(text, at, after)
        if name:
            found, done = _read(text, name, names, depth, is_program=at in programs)
            spans += found
    return spans


def _places(text: str, lower: str, anchors: list[str]) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Where a name stands that may mean a secret, each once, with what follows it."""
    seen = set()
    for anchor in anchors:
        at = lower.find(anchor)
        while at >= 0:
            after = _AFTER.match(text, at + len(anchor))
            if after is None:  # pragma: no cover - all of its parts are optional
                break
            end = after.end(1)
            if (after.lastindex or 0) > 1 and end not in seen:
                seen.add(end)
                yield end, at, after
            at = lower.find(anchor, end)


def _name(text: str, at: int, after: re.Match[str]) -> Name | None:
    """The name, read to its left."""
    start = at
    if at and (text[at - 1].isalnum() or text[at - 1] in _OF_NAMES):
        left = _BEFORE.match(text[max(0, at - _LEFT) : at][::-1])
        start = at - (left.end() if left else 0)
    run = text[start : after.end(1)]
    if "%" in run:
        start += max((escape.end() for escape in _ESCAPED.finditer(run) if start + escape.end() <= at), default=0)
        run = text[start : after.end(1)]
    name = run.lstrip("-.$[]").rstrip(".-$[")
    if not name:
        return None
    begin = start + run.index(name)
    return Name(text, name, begin, after.end(1), after[2] or "", after[3] or "", after.end())


def _read(text: str, name: Name, names: Names, depth: int, *, is_program: bool) -> tuple[list[Span], int]:
    """What the value of a name hides, and how far was read."""
    full = notation.full_name(name, names)
    if full is None:
        return [], name.end
    if name.separator.startswith("%"):
        return _percent(text, name, names, depth)
    return value_in_program(name, full) if is_program else notation.value_of(name, full)


def _percent(text: str, name: Name, names: Names, depth: int) -> tuple[list[Span], int]:
    """A name and a value that are percent-encoded together."""
    end = end_of_run(text, name.end)
    if not depth:
        return [], end
    run = text[name.start : end]
    return in_percent(named_spans(unquoted(run, plus=True), names, depth - 1), run, name.start), end
