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
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?[0-9][0-9.eE+-]*', re.DOTALL)
"""A string of JSON, or a number."""


class Sweep:
    """Takes known values out of texts.

    Args:
        values: The values found, without the escapes of their writing.
        mark: Gives what takes their place.
    """

    def __init__(self, values: Iterable[str], mark: Mark) -> None:
        self._variants: list[tuple[str, str, bool]] = []
        for value in sorted(set(values), key=len, reverse=True)[:_MAX_VALUES]:
            if _is_telling(value):
                self._variants += _variants(value, mark(value))
        self.count = 0

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._variants)

    def __call__(self, text: str, *, in_url: bool = False) -> str:
        """The text without the values; what takes their place in a URL is percent-encoded."""
        for variant, mark, is_sure in self._variants:
            if variant not in text:
                continue
            before = text
            by = in_percent(mark) if in_url else mark
            if variant.isdecimal():
                text = _without_number(text, variant if is_sure else _whole(variant), by)
            else:
                text = text.replace(variant, by) if is_sure else re.sub(_whole(variant), _literal(by), text)
            self.count += text != before
        return text


def _is_telling(value: str) -> bool:
    """Whether a value is secret by itself, not only where it stood."""
    if not _LEAST_LENGTH <= len(value) <= _MAX_VALUE or value.lower() in _COMMON:
        return False
    return not (value.isdecimal() and len(value) < _SURE_LENGTH - 4) and not value.startswith("[REDACTED")


def _variants(value: str, mark: str) -> Iterator[tuple[str, str, bool]]:
    """Each writing of a value once, what takes its place, and whether it is never a part of another word."""
    percent = in_percent(mark)
    seen = set()
    raw = value.encode("utf-8", "surrogatepass")
    escaped = [quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)]
    forms = [
        (value, mark),
        (json.dumps(value)[1:-1], mark),
        (json.dumps(value, ensure_ascii=False)[1:-1], mark),
        *((text, percent) for text in escaped),
        *((_PERCENT.sub(lambda escape: escape[0].lower(), text), percent) for text in escaped),
    ]
    is_sure = len(value) >= _SURE_LENGTH
    for text, by in forms:
        if text not in seen:
            seen.add(text)
            yield text, by, is_sure
    for text in _encoded(raw):
        if text not in seen and len(text) >= _LEAST_LENGTH:
            seen.add(text)
            yield text, mark, is_sure or len(text) >= _SURE_LENGTH


def _encoded(raw: bytes) -> Iterator[str]:
    """A value in base64, as a whole and as what of it does not depend on what stands around it, and in hexadecimals."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before in range(3):  # bytes of the group that it begins in: their digits, and those of its last group
            digits = encode(bytes(before) + raw).decode()
            yield digits[(0, 2, 3)[before] : len(digits) if (before + len(raw)) % 3 == 0 else digits.index("=") - 1]
    yield raw.hex()
    yield raw.hex().upper()


def _whole(variant: str) -> str:
    """A pattern: the variant where it is no part of a longer word."""
    return rf"(?<![A-Za-z0-9]){re.escape(variant)}(?![A-Za-z0-9])"


def _literal(by: str) -> str:
    return by.replace("\\", r"\\")


def _without_number(text: str, digits: str, by: str) -> str:
    """The text without the digits; JSON stays JSON: a string takes a number's place."""
    if text.lstrip()[:1] not in {"{", "["}:
        return re.sub(digits, _literal(by), text)

    def change(token: re.Match[str]) -> str:
        if token[0].startswith('"'):
            return re.sub(digits, _literal(by), token[0])
        return json.dumps(by) if re.search(digits, token[0]) else token[0]

    return _TOKEN.sub(change, text)
