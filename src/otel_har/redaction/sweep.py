"""The values that were found secret, wherever else they stand in an entry.

The rule: a value is looked for in every writing that it may have elsewhere: as it is, percent-encoded, escaped as JSON
escapes, in base64 wherever it begins there, in hexadecimal digits. What is too short or too common to be a secret by
itself is only taken out where it was found.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from otel_har.redaction.spans import Mark, in_percent

_MAX_VALUES = 200
_MAX_VALUE = 20_000
_SURE_LENGTH = 12  # so long a value is not by chance a part of another word
_LEAST_LENGTH = 5
_COMMON = frozenset(
    """
    accept admin allow application bearer basic bytes chunked close config console cookie debug default deflate deny
    development digest disabled empty enabled english error example expired failed false first guest hidden hello
    identity inactive index invalid keep-alive latest local localhost login logout master message missing nobody none
    normal number object off optional other pending plain private production public redacted refresh required
    sandbox secret secure server session staging standard status string strict success system test testing text token
    true undefined unknown user username utf-8 valid value world
    """.split()
)
_PERCENT = re.compile("%[0-9A-F]{2}")
_UNRESERVED = re.compile("[A-Za-z0-9_.~-]*")  # RFC 3986, 2.3: it is written the same everywhere
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"?'
_LIKE = 4
"""Characters at the beginnings of variants that are compared at once."""


class _Variant(NamedTuple):
    """A writing of a value.

    Attributes:
        text: What is looked for.
        mark: What takes its place.
        is_sure: Whether it is never by chance a part of another word.
    """

    text: str
    mark: str
    is_sure: bool


class Sweep:
    """Takes known values out of texts.

    Args:
        values: The values found, without the escapes of their writing.
        mark: Gives what takes their place.

    Attributes:
        shortest: Characters below which no text has one of them; 0 where there is nothing to look for.
        count: How many texts were changed.
    """

    def __init__(self, values: Iterable[str], mark: Mark) -> None:
        variants: list[_Variant] = []
        for value in sorted(set(values), key=len, reverse=True)[:_MAX_VALUES]:
            if _is_telling(value):
                variants += _variants(value, mark(value))
        self._words = [one for one in variants if not one.text.isdecimal()]
        self._numbers = [one for one in variants if one.text.isdecimal()]
        self.shortest = min((len(one.text) for one in variants), default=0)
        self.count = 0

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return self.shortest > 0

    def __call__(self, text: str, *, in_url: bool = False) -> str:
        """The text without the values; what takes their place in a URL is percent-encoded."""
        if len(text) < self.shortest:
            return text
        swept = self._without_words(text, in_url=in_url)
        numbers = [number for number in self._numbers if number.text in swept]
        if numbers:  # a word right beside a number is one by itself only now
            swept = self._without_words(_without_numbers(swept, numbers, in_url=in_url), in_url=in_url)
        self.count += swept != text
        return swept

    def _without_words(self, text: str, *, in_url: bool) -> str:
        for variant, mark, is_sure in self._words:
            if variant in text:
                by = in_percent(mark) if in_url else mark
                text = text.replace(variant, by) if is_sure else _without_word(text, variant, by)
        return text


def _is_telling(value: str) -> bool:
    """Whether a value is secret by itself, not only where it stood."""
    if not _LEAST_LENGTH <= len(value) <= _MAX_VALUE or value.lower() in _COMMON:
        return False
    return not (value.isdecimal() and len(value) < _SURE_LENGTH - 4) and not value.startswith("[REDACTED")


def _variants(value: str, mark: str) -> Iterator[_Variant]:
    """Each writing of a value once."""
    seen = set()
    raw = value.encode("utf-8", "surrogatepass")
    forms = [(value, mark)] if _UNRESERVED.fullmatch(value) else _escaped(value, raw, mark)
    is_sure = len(value) >= _SURE_LENGTH
    for text, by in forms:
        if text not in seen:
            seen.add(text)
            yield _Variant(text, by, is_sure)
    for text in _encoded(raw):
        if text not in seen and len(text) >= _LEAST_LENGTH:
            seen.add(text)
            yield _Variant(text, mark, is_sure or len(text) >= _SURE_LENGTH)


def _escaped(value: str, raw: bytes, mark: str) -> list[tuple[str, str]]:
    """A value as it is, escaped as in JSON, and percent-encoded, with what takes its place."""
    percent = in_percent(mark)
    escaped = [quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)]
    return [
        (value, mark),
        (json.dumps(value)[1:-1], mark),
        (json.dumps(value, ensure_ascii=False)[1:-1], mark),
        *((text, percent) for text in escaped),
        *((_PERCENT.sub(lambda escape: escape[0].lower(), text), percent) for text in escaped),
    ]


def _encoded(raw: bytes) -> Iterator[str]:
    """A value in base64, as a whole and as what of it does not depend on what stands around it, and in hexadecimals."""
    for text in _in_base64(raw):
        yield text
        if "+" in text or "/" in text:
            yield text.replace("+", "-").replace("/", "_")
    yield raw.hex()
    yield raw.hex().upper()


def _in_base64(raw: bytes) -> Iterator[str]:
    yield base64.b64encode(raw).decode().rstrip("=")
    for before in range(3):  # bytes of the group that it begins in: their digits, and those of its last group
        digits = base64.b64encode(bytes(before) + raw).decode()
        yield digits[(0, 2, 3)[before] : len(digits) if (before + len(raw)) % 3 == 0 else digits.index("=") - 1]


def _without_word(text: str, variant: str, by: str) -> str:
    """The text without a variant where it is no part of a longer word."""
    parts, done = [], 0
    at = text.find(variant)
    while at >= 0:
        end = at + len(variant)
        if _goes_on(text[at - 1 : at]) or _goes_on(text[end : end + 1]):
            at = text.find(variant, at + 1)
            continue
        parts += [text[done:at], by]
        done = end
        at = text.find(variant, end)
    return "".join((*parts, text[done:]))


def _goes_on(character: str) -> bool:
    return character.isalnum() and character.isascii()


def _without_numbers(text: str, numbers: list[_Variant], *, in_url: bool) -> str:
    """The text without the digits; JSON stays JSON: a string takes a number's place.

    All of them go at once: to go through a text token by token is slow.
    """
    marks = {one.text: in_percent(one.mark) if in_url else one.mark for one in numbers}
    sure = _any_of([one.text for one in numbers if one.is_sure])
    words = _any_of([one.text for one in numbers if not one.is_sure])
    digits = re.compile(f"{sure}|(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])")
    without = partial(digits.sub, lambda match: marks[match[0]])
    if text.lstrip()[:1] not in {"{", "["}:
        return without(text)

    def change(token: re.Match[str]) -> str:
        if token[0].startswith('"'):
            return without(token[0])
        match = digits.search(token[0])
        return json.dumps(marks[match[0]]) if match else token[0]

    number = rf"-?[0-9][0-9.eE+-]{{{min(map(len, marks)) - 1},}}"
    return re.sub(f"{_STRING}|{number}", change, text, flags=re.DOTALL)


def _any_of(texts: list[str], like: int = _LIKE) -> str:
    """A pattern of any of the texts, the longest first; where several begin alike, that is read once."""
    if not texts:
        return "(?!)"
    if not like:
        return f"(?:{'|'.join(map(re.escape, sorted(texts, key=len, reverse=True)))})"
    tails: dict[str, list[str]] = {}
    for text in texts:
        tails.setdefault(text[0], []).append(text[1:])
    return f"(?:{'|'.join(re.escape(first) + _any_of(rest, like - 1) for first, rest in tails.items())})"
