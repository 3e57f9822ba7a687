"""How rules of a filter are written: patterns, methods, ranges of statuses, rules for bodies.

The rule: what cannot be understood raises, with the offending value; nothing is guessed. Values that come as one text
are separated by commas, as OpenTelemetry writes lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from otel_har.errors import SettingError
from otel_har.message import BodyRule

Patterns = str | re.Pattern[str] | Iterable[str | re.Pattern[str]]
Statuses = str | int | Iterable[str | int]

NO_ANSWER = 0
"""The status of an exchange without an answer, as HAR writes it."""

_EXPRESSION = "re:"
_OPENING, _CLOSING = "([{", ")]}"
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
_CLASS = re.compile(r"([1-9])xx", re.IGNORECASE)
_RANGE = re.compile(r"([1-9]\d\d)(?:-([1-9]\d\d))?")  # RFC 9110, 15: three digits
_BODY_RULES = frozenset({"all", "text", "none"})


def patterns(name: str, value: Patterns) -> tuple[re.Pattern[str], ...]:
    """Patterns of URLs or media types: globs, in which `*` alone is special, and regular expressions behind `re:`.

    A glob is about the whole text, in any case; an expression may be found anywhere in it.

    Raises:
        SettingError: When an expression is none, or a pattern is empty.
    """
    return tuple(_pattern(name, one) for one in _several(name, value, _separated_patterns))


def media_types(name: str, value: Patterns) -> tuple[re.Pattern[str], ...]:
    """Patterns of media types; their parameters (`; charset=utf-8`) are cut, as those of what is matched are.

    Raises:
        SettingError: As for `patterns`, and when a glob has neither `/` nor `*`, so that no media type can fit it.
    """
    return tuple(_media_type(name, one) for one in _several(name, value, _separated_patterns))


def methods(name: str, value: str | Iterable[str]) -> frozenset[str]:
    """Request methods, in any case.

    Raises:
        SettingError: When one is none (RFC 9110, 9.1).
    """
    found = set()
    for one in _several(name, value, _separated):
        if not isinstance(one, str) or not _METHOD.fullmatch(one):
            raise SettingError(f"{name}: {one!r} is no request method")
        found.add(one.upper())
    return frozenset(found)


def statuses(name: str, value: Statuses) -> tuple[tuple[int, int], ...]:
    """Ranges of status codes, the ends included: `404`, `4xx`, `500-599`; `error` or 0 for no answer.

    Raises:
        SettingError: When one is none of these.
    """
    return tuple(_statuses_of(name, str(one).strip()) for one in _several(name, value, _separated))


def body_rules(name: str, value: str | Mapping[str, str]) -> tuple[tuple[re.Pattern[str], BodyRule], ...]:
    """What is wanted of bodies by their media type: the first rule that fits counts.

    Args:
        name: What the value is of.
        value: A rule for all (`text`), or rules for patterns (`image/*=none,*=text`); a mapping of those.

    Raises:
        SettingError: When a rule is not `all`, `text` or `none`, or no media type can fit a pattern.
    """
    given: object = value
    pairs = [_pair(part) for part in _separated_patterns(value)] if isinstance(value, str) else []
    if isinstance(given, Mapping):
        pairs = list(given.items())
    if not pairs:
        raise SettingError(f"{name}: {value!r} is no rule for bodies")
    return tuple((_media_type(name, pattern), _body_rule(name, rule)) for pattern, rule in pairs)


def _pair(part: str) -> tuple[str, str]:
    """A pattern and its rule; a rule alone is for all."""
    pattern, equals, rule = part.rpartition("=")
    return (pattern, rule) if equals else ("*", rule)


def _several(name: str, value: object, separated: Callable[[str], list[str]]) -> tuple[object, ...]:
    """The values of what was given: one text of them, one alone, or any number."""
    if isinstance(value, str):
        found = separated(value)
        if value.strip() and not found:
            raise SettingError(f"{name}: {value!r} has no value")
        return tuple(found)
    if isinstance(value, re.Pattern | int):
        return (value,)
    if isinstance(value, Iterable):
        return tuple(value)
    raise SettingError(f"{name}: {value!r} is no list of values")


def _separated(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _separated_patterns(text: str) -> list[str]:
    """As above; the commas within brackets of an expression are its own (`re:a{1,2}`, `re:a[,]b`)."""
    parts, begin, depth, is_escaped = [], 0, 0, False
    for at, character in enumerate(f"{text},"):
        is_expression = text[begin:at].lstrip().startswith(_EXPRESSION)
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = is_expression
        elif is_expression and character in _OPENING:
            depth += 1
        elif is_expression and character in _CLOSING:
            depth = max(0, depth - 1)
        elif character == "," and (not depth or at == len(text)):
            parts.append(text[begin:at].strip())
            begin, depth = at + 1, 0
    rest = text[begin:].strip()  # behind a backslash at the very end
    return [part for part in (*parts, rest) if part]


def _pattern(name: str, value: object) -> re.Pattern[str]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return value
    if not isinstance(value, str) or not value.strip().removeprefix(_EXPRESSION):
        raise SettingError(f"{name}: {value!r} is no pattern")
    value = value.strip()
    if not value.startswith(_EXPRESSION):
        glob = ".*".join(re.escape(part) for part in value.split("*"))
        return re.compile(rf"\A{glob}\Z", re.IGNORECASE | re.DOTALL)
    try:
        return re.compile(value.removeprefix(_EXPRESSION))
    except (re.error, OverflowError, RecursionError) as fault:
        raise SettingError(f"{name}: {value!r} is no regular expression: {fault}") from fault


def _media_type(name: str, value: object) -> re.Pattern[str]:
    """A pattern of a media type (RFC 9110, 8.3.1: `type/subtype`, then parameters)."""
    if isinstance(value, str) and not value.strip().startswith(_EXPRESSION):
        essence = value.partition(";")[0]
        if "/" not in essence and "*" not in essence:
            raise SettingError(f"{name}: {value!r} is no pattern of media types: application/json, image/*, *json")
        value = essence
    return _pattern(name, value)


def _statuses_of(name: str, value: str) -> tuple[int, int]:
    if value.lower() in {"error", "0"}:
        return NO_ANSWER, NO_ANSWER
    one_class, one_range = _CLASS.fullmatch(value), _RANGE.fullmatch(value)
    if one_class is not None:
        low = int(one_class[1]) * 100
        return low, low + 99
    if one_range is not None:
        low, high = int(one_range[1]), int(one_range[2] or one_range[1])
        if low <= high:
            return low, high
    raise SettingError(f"{name}: {value!r} is no status: 404, 4xx, 500-599 or error")


def _body_rule(name: str, value: object) -> BodyRule:
    rule = _text(value).lower()
    if rule not in _BODY_RULES:
        raise SettingError(f"{name}: {value!r} is no rule for bodies: all, text or none")
    return cast("BodyRule", rule)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else repr(value)
