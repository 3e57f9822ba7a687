"""JSON whose values are changed while everything else of it stays as it is written.

The rule: what is not changed is copied: its numbers of any length, its escapes, its blanks and line ends. Only of an
object in which a name comes twice the last value is written, the one that readers take.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any

_BLANKS = re.compile(r"[ \t\n\r]*")
_SCAN = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode
_LONGEST_INTEGER = 1000  # digits; those of longer ones are kept as text, since Python refuses to read them


class _Number(float):
    """A number that Python would write in another way."""

    __slots__ = ("written",)

    written: str


class ExactJson:
    """A JSON value, and how it is written.

    Args:
        text: The value and nothing else, well formed.

    Attributes:
        value: The value; its numbers are those of the text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._has_doubled = False
        decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_float=_number, parse_int=_integer)
        self.value: Any = decoder.decode(text)

    def changed(self, value: Any) -> str:
        """How the text is with another value, which may have further members behind those of an object."""
        if self._has_doubled:
            return dumped(value)
        return self._text if value == self.value else "".join(_Splicing(self._text).parts(self.value, value))

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        self._has_doubled = self._has_doubled or len(found) < len(pairs)
        return found


def dumped(value: Any) -> str:
    """A value as compact JSON, numbers that `ExactJson` read as they were written."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(name)}:{dumped(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumped, value)) + "]"
    return value.written if isinstance(value, _Number) else json.dumps(value)


class _Splicing:
    """One text on its way from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._copied = 0
        self._parts: list[str] = []

    def parts(self, old: Any, new: Any) -> list[str]:
        """The parts of the new text."""
        self._value(old, new)
        return [*self._parts, self._text[self._copied :]]

    def _value(self, old: Any, new: Any) -> None:
        """Go over one value."""
        self._skip()
        start = self._at
        if isinstance(old, dict) and isinstance(new, dict) and [*new][: len(old)] == [*old]:
            self._object(old, new)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            self._list(old, new)
        else:
            self._pass()
            if old != new:
                self._replace(start, dumped(new))

    def _object(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._at += 1
        blanks = _blanks(self._text, self._at)
        for name, one in old.items():
            self._name()
            self._value(one, new[name])
            end = self._at
            self._skip()
            self._at += self._text[self._at] == ","
        if len(new) > len(old):
            colon = ": " if blanks else ":"
            added = [f"{blanks}{encode_basestring(name)}{colon}{dumped(new[name])}" for name in [*new][len(old) :]]
            end = end if old else self._at
            self._parts += [self._text[self._copied : end], "," if old else "", ",".join(added)]
            self._copied = end
        self._close()

    def _list(self, old: list[Any], new: list[Any]) -> None:
        self._at += 1
        for before, after in zip(old, new, strict=True):
            self._value(before, after)
            self._skip()
            self._at += self._text[self._at] == ","
        self._close()

    def _pass(self) -> None:
        """Go over a value that stays, or goes as a whole."""
        _, self._at = _SCAN(self._text, self._at)

    def _name(self) -> None:
        self._skip()
        self._pass()
        self._skip()
        self._at += 1

    def _close(self) -> None:
        self._skip()
        self._at += 1

    def _skip(self) -> None:
        self._at += len(_blanks(self._text, self._at))

    def _replace(self, start: int, by: str) -> None:
        self._parts += [self._text[self._copied : start], by]
        self._copied = self._at


def _blanks(text: str, at: int) -> str:
    match = _BLANKS.match(text, at)
    return match[0] if match else ""


def _number(written: str) -> float:
    number = _Number(written)
    number.written = written
    return number


def _integer(written: str) -> int | float:
    return int(written) if len(written) < _LONGEST_INTEGER and written != "-0" else _number(written)
