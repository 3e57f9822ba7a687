"""The values that were found secret, wherever else they stand in an entry.

The rule: a value is looked for in every writing that it may have elsewhere: as it is, percent-encoded, escaped as JSON
escapes, in base64 wherever it begins there, in hexadecimal digits, with HTML's entities. What is too short or too
common to be a secret by itself is only taken out where it was found.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from otel_har.redaction.decoded import in_hexadecimal, without_hexadecimal
from otel_har.redaction.spans import Mark, Span, in_percent, replaced

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
_LEAST_CUT = 8  # characters of a value at the end of a body that is cut
_LEAST_CLASSES = 2  # lower case, capitals but the first letter, digits, others: one alone is a word
_CLASSES = tuple(map(re.compile, ("[a-z]", ".[A-Z]", "[0-9]", "[^A-Za-z0-9]")))
_FIGURES = re.compile("[0-9.,:/^~ -]*")  # a version, a time
_HOST = re.compile(r"(?:[a-z0-9-]{1,32}\.){1,8}[a-z]{2,8}(?::[0-9]{1,5})?")
_PLAIN = re.compile(
    rf"""
    [a-z]{{2,3}}(?:[-_][A-Za-z]{{2,4}}){{1,2}}              # a locale
    | [A-Z][A-Za-z_]{{1,20}}(?:/[A-Z][A-Za-z_+-]{{1,30}}){{1,2}}  # a time zone
    | (?:(?:https?://)?(?:{_HOST.pattern}|localhost(?::[0-9]{{1,5}})?))?(?:/[a-z._-]{{0,30}}){{0,8}}  # a path
    | -?[0-9.,]{{1,15}}                                 # a number, an address
    | [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ][0-9:.]{{5,15}}(?:Z|[+-][0-9:]{{4,5}})?)?  # a date
    | [a-z]{{1,20}}(?:[-_., |:][a-z]{{1,20}}){{0,8}}       # words
    """,
    re.VERBOSE,
)
_NAME_ENDS = re.compile(r"""\\{0,16}["']\s{0,8}:""")
_NAME_BEGINS = frozenset("\"'")
_PARAMETER_BEGINS = frozenset("?&;")
_COLON = re.compile(r"\s{0,8}:")
_MEMBER = re.compile(r'(\\{0,16})"\s{0,8}:\s{0,8}\Z')
_MEMBER_ENDS = re.compile(r"\s{0,8}[,}\]]")
_PERCENT = re.compile("%[0-9A-F]{2}")
_CODE = re.compile(r"\\u[0-9a-f]{4}")
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
        numbers: Those of them that stood as numbers in JSON.

    Attributes:
        shortest: Characters below which no text has one of them; 0 where there is nothing to look for.
        count: How many texts were changed.
    """

    def __init__(self, values: Iterable[str], mark: Mark, numbers: Collection[str] = ()) -> None:
        longest = sorted(set(values), key=len, reverse=True)[:_MAX_VALUES]
        self._values = [(value, mark(value)) for value in longest if _is_telling(value)]
        variants = [variant for value, its in self._values for variant in _variants(value, its)]
        self._bare = frozenset(numbers)
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
        if "\\" in swept and ("\\u00" in swept or "\\x" in swept):
            swept = self._without_escaped(swept)
        numbers = [number for number in self._numbers if number.text in swept]
        if numbers:  # a word right beside a number is one by itself only now
            swept = self._without_words(_without_numbers(swept, numbers, self._bare, in_url=in_url), in_url=in_url)
        self.count += swept != text
        return swept

    def body(self, text: str) -> str:
        """The text of a body or a message without the values: its end may be cut, and it may be bytes."""
        swept = self(text)
        before = swept
        if "\0" in swept:  # bytes of UTF-16, either way around
            for value, mark in self._values:
                if value.isascii():
                    swept = swept.replace("\0".join(value), "\0".join(mark))
        for value, mark in self._values:
            swept = _without_cut(swept, value, mark)
        self.count += swept != before
        return swept

    def _without_escaped(self, text: str) -> str:
        """The text without values that escape what needs no escape, as JSON may: all of a word by its numbers."""
        said = without_hexadecimal(text)
        if said == text:
            return text
        spans = []
        for value, _ in self._values:
            at = said.find(value) if len(value) >= _SURE_LENGTH else -1
            while at >= 0:
                spans.append(Span(at, at + len(value), "again", value))
                at = said.find(value, at + len(value))
        marks = dict(self._values)
        return replaced(text, in_hexadecimal(spans, text), lambda value: marks[value]) if spans else text

    def _without_words(self, text: str, *, in_url: bool) -> str:
        for variant, mark, is_sure in self._words:
            if variant in text:
                by = in_percent(mark) if in_url else mark
                text = text.replace(variant, by) if is_sure else _without_word(text, variant, by)
        return text


def is_plain(value: str) -> bool:
    """Whether a cookie's value is a setting or a place, which stands elsewhere by itself: `en-US`, `/`, 12345678."""
    return _PLAIN.fullmatch(value) is not None


def _is_telling(value: str) -> bool:
    """Whether a value is secret by itself, not only where it stood: it is long, or of mixed characters."""
    if not _LEAST_LENGTH <= len(value) <= _MAX_VALUE or value.lower() in _COMMON or value.startswith("[REDACTED"):
        return False
    if value.isdecimal():
        return len(value) >= _SURE_LENGTH - 4
    if len(value) < _SURE_LENGTH and not _is_mixed(value):
        return False
    return _HOST.fullmatch(value) is None


def _is_mixed(value: str) -> bool:
    is_word = sum(one.search(value) is not None for one in _CLASSES) < _LEAST_CLASSES
    return not is_word and _FIGURES.fullmatch(value) is None


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
    quoted = [quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)]
    latin = value.encode("latin-1", "ignore")
    if not value.isascii() and len(latin) == len(value):
        quoted.append(quote(latin, safe=""))
    dumped = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
    dumped.append(_CODE.sub(lambda code: code[0][:2] + code[0][2:].upper(), dumped[0]))
    dumped += [one.replace("/", "\\/") for one in dumped]
    dumped += [json.dumps(one)[1:-1] for one in dumped]
    pages = [html.escape(value), html.escape(value, quote=False)]
    pages.append(pages[0].replace("&#x27;", "&#39;"))
    pages += [json.dumps(one)[1:-1] for one in pages if "\\" in one]
    return [
        (value, mark),
        *((text, mark) for text in dumped),
        *((text, percent) for text in quoted),
        *((_PERCENT.sub(lambda escape: escape[0].lower(), text), percent) for text in quoted),
        *((text, mark) for text in pages),
        *([] if value.isascii() else [(repr(raw)[2:-1], mark)]),
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
        if _goes_on(text[at - 1 : at]) or _goes_on(text[end : end + 1]) or _is_name(text, at, end):
            at = text.find(variant, at + 1)
            continue
        parts += [text[done:at], by]
        done = end
        at = text.find(variant, end)
    return "".join((*parts, text[done:]))


def _is_name(text: str, at: int, end: int) -> bool:
    """Whether a word is the name of a member or of a parameter."""
    before = text[at - 1 : at]
    if before in _NAME_BEGINS:
        return _NAME_ENDS.match(text, end) is not None
    return text[end : end + 1] == "=" and before in _PARAMETER_BEGINS


def _without_cut(text: str, value: str, mark: str) -> str:
    """The text without the beginning of a value at its end."""
    begin = text.rfind(value[:_LEAST_CUT], -len(value)) if len(value) >= _SURE_LENGTH else -1
    return text[:begin] + mark if begin >= 0 and value.startswith(text[begin:]) else text


def _goes_on(character: str) -> bool:
    return character.isalnum() and character.isascii()


def _without_numbers(text: str, numbers: list[_Variant], bare: frozenset[str], *, in_url: bool) -> str:
    """The text without the digits; JSON stays JSON: a string takes a number's place.

    All of them go at once: to go through a text token by token is slow. Short ones that stood in a string are no
    numbers of JSON: an id is one by chance.

    Args:
        text: Any text.
        numbers: What is looked for.
        bare: What stood as a number.
        in_url: Whether it is a URL.
    """
    marks = {one.text: in_percent(one.mark) if in_url else one.mark for one in numbers}
    sure = _any_of([one.text for one in numbers if one.is_sure])
    words = _any_of([one.text for one in numbers if not one.is_sure])
    sure_digits = re.compile(sure)
    digits = re.compile(f"{sure}|(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])")
    as_numbers = bare | {one.text for one in numbers if one.is_sure}

    def without(match: re.Match[str]) -> str:
        mark = marks[match[0]]
        before = _MEMBER.search(match.string[max(0, match.start() - 34) : match.start()])
        if not before or not _MEMBER_ENDS.match(match.string, match.end()):
            return mark
        return f'{before[1]}"{mark}{before[1]}"' if match[0] in as_numbers else match[0]

    if text.lstrip()[:1] not in {"{", "["}:
        return digits.sub(without, text)

    def change(token: re.Match[str]) -> str:
        if token[0].startswith('"'):
            is_name = _COLON.match(token.string, token.end())
            return (sure_digits if is_name else digits).sub(without, token[0])
        match = digits.search(token[0])
        return json.dumps(marks[match[0]]) if match and match[0] in as_numbers else token[0]

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
