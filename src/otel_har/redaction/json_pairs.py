"""JSON in which names and values stand beside each other: members, and items of an array.

The rule: nothing is read but what stands right beside the name, within bounds.
"""

from __future__ import annotations

import re

from otel_har.redaction.decoded import unescaped
from otel_har.redaction.harmless import is_opaque

_NAME_KEYS = frozenset({"name", "key", "field", "header", "param", "parameter", "id"})
_VALUE_KEYS = frozenset({"value", "val", "content", "v"})
_MEMBERS = 8
"""Members after a name's that are searched for its value."""
_MEMBER = re.compile(r'\s*,\s*"([^"\\]{0,64})"\s*:\s*(?:(")|[\w.+-]{1,64})?')
_STRING_VALUE = re.compile(r'\{\s{0,64}"stringValue"\s{0,8}:\s{0,8}"')
"""OpenTelemetry's JSON of an attribute: `{"key": "a", "value": {"stringValue": "b"}}`."""

_PLAIN = re.compile(r"[\w.-]{1,64}")
_NEXT_STRING = re.compile(r'\s{0,64},\s{0,64}"')
_ARRAY_BEGINS = re.compile(r"\[\s{0,16}\Z")
_ARRAY_ENDS = re.compile(r"\s{0,64}(?:\]|\Z)")
_NAME_BEFORE = re.compile(r'"([A-Za-z_]{1,16})"\s{0,8}:\s{0,8}\Z')
_COMMA_BEFORE = re.compile(r'"\s{0,64},\s{0,64}"[A-Za-z_]{1,16}"\s{0,8}:\s{0,8}\Z')


def value_beside(text: str, name: str, start: int, after: int) -> tuple[int, int] | None:
    """Where the value stands of a secret name that is a string itself.

    Args:
        text: All of the text.
        name: The name, without escapes.
        start: Where it begins.
        after: What stands after its quotation mark.

    Returns:
        The value's first character, and the one after it; None if it has none.
    """
    if _member_before(text, start - 1) in _NAME_KEYS:  # {"name": "password", "value": "x"}
        return _value_after(text, after) or _value_before(text, start - 1)
    return _next_item(text, name, start, after)


def _next_item(text: str, name: str, start: int, after: int) -> tuple[int, int] | None:
    """`["password", "x"]`, `["--password", "x"]`, `["Host", "h", "X-Api-Key", "x"]`."""
    following = _NEXT_STRING.match(text, after)
    if not following or not _PLAIN.fullmatch(name):
        return None
    end = end_of_string(text, following.end())
    value = unescaped(text[following.end() : end])
    if name.startswith("--"):
        is_value = not value.startswith("-")
    elif "-" in name or name.lower() in {"authorization", "cookie"}:
        is_value = is_opaque(value) or " " in value or "=" in value
    else:
        is_pair = _ARRAY_BEGINS.search(text[max(0, start - 18) : start - 1])
        is_value = bool(is_pair and _ARRAY_ENDS.match(text, end + 1) and is_opaque(value))
    return (following.end(), end) if is_value else None


def end_of_string(text: str, start: int) -> int:
    """Where the quotation mark stands that ends a string; the end of a text that is cut."""
    end = text.find('"', start)
    while end >= 0:
        escape = end
        while escape > start and text[escape - 1] == "\\":
            escape -= 1
        if (end - escape) % 2 == 0:
            return end
        end = text.find('"', end + 1)
    return len(text)


def _member_before(text: str, quote: int) -> str:
    """The name of the member whose value begins at a quotation mark, in lower case."""
    name = _NAME_BEFORE.search(text[max(0, quote - 36) : quote])
    return name[1].lower() if name else ""


def _value_after(text: str, at: int) -> tuple[int, int] | None:
    for _ in range(_MEMBERS):
        member = _MEMBER.match(text, at)
        if not member:
            return None
        at = member.end()
        if member[2]:
            end = end_of_string(text, at)
            if member[1].lower() in _VALUE_KEYS:
                return at, end
            at = end + 1
        elif member[1].lower() in _VALUE_KEYS and (value := _STRING_VALUE.match(text, at)):
            return value.end(), end_of_string(text, value.end())
    return None


def _value_before(text: str, quote: int) -> tuple[int, int] | None:
    """The string just before, if it is a value."""
    begin = max(0, quote - 164)
    comma = _COMMA_BEFORE.search(text[begin:quote])
    if not comma:
        return None
    end = begin + comma.start()
    start = text.rfind('"', 0, end)
    while start > 0 and text[start - 1] == "\\":
        start = text.rfind('"', 0, start)
    return (start + 1, end) if start >= 0 and _member_before(text, start) in _VALUE_KEYS else None
