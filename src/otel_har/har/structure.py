"""What a HAR has to contain, as tables, and the check of a parsed value against them.

The tables are HAR 1.2's (http://www.softwareishard.com/blog/har-12-spec/), with four members required that it calls
optional and that widespread readers fail without: `browser` (haralyzer), `pages` (Firefox, Safari) with `pageref`
(PerfCascade), the timings `blocked`, `dns`, `connect`, `ssl` (Safari computes with them), `postData.text` (mitmproxy).
Members beyond the tables are not looked at, but for their being finite and not null.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from otel_har.har.faults import Fault, describe, member

__all__ = ["BROWSER", "COMMENT", "CREATOR", "ENTRY", "PAGE", "PAGES", "VERSION", "structure_faults", "value_faults"]


class Scalar(Enum):
    """The JSON types of single values, with the words for them."""

    TEXT = "a string"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "a boolean"


@dataclass(frozen=True)
class Object:
    """A JSON object with its members."""

    required: Mapping[str, "Shape"]
    optional: Mapping[str, "Shape"] = field(default_factory=dict)


@dataclass(frozen=True)
class Array:
    """A JSON array."""

    of: "Shape"


Shape: TypeAlias = Scalar | Object | Array

_TEXT, _INTEGER, _NUMBER, _BOOLEAN = Scalar.TEXT, Scalar.INTEGER, Scalar.NUMBER, Scalar.BOOLEAN

COMMENT = _TEXT
_COMMENT: Mapping[str, Shape] = {"comment": COMMENT}
_NAMED = Object({"name": _TEXT, "value": _TEXT}, _COMMENT)

VERSION = _TEXT
CREATOR = Object({"name": _TEXT, "version": _TEXT}, _COMMENT)
BROWSER = CREATOR

PAGE = Object(
    {
        "startedDateTime": _TEXT,
        "id": _TEXT,
        "title": _TEXT,
        "pageTimings": Object({}, {"onContentLoad": _NUMBER, "onLoad": _NUMBER, **_COMMENT}),
    },
    _COMMENT,
)
PAGES = Array(PAGE)

_COOKIE = Object(
    {"name": _TEXT, "value": _TEXT},
    {
        "path": _TEXT,
        "domain": _TEXT,
        "expires": _TEXT,
        "httpOnly": _BOOLEAN,
        "secure": _BOOLEAN,
        "sameSite": _TEXT,
        **_COMMENT,
    },
)

_POST_DATA = Object(
    {"mimeType": _TEXT, "text": _TEXT},
    {
        "params": Array(
            Object({"name": _TEXT}, {"value": _TEXT, "fileName": _TEXT, "contentType": _TEXT, **_COMMENT}),
        ),
        "encoding": _TEXT,
        **_COMMENT,
    },
)

_REQUEST = Object(
    {
        "method": _TEXT,
        "url": _TEXT,
        "httpVersion": _TEXT,
        "cookies": Array(_COOKIE),
        "headers": Array(_NAMED),
        "queryString": Array(_NAMED),
        "headersSize": _INTEGER,
        "bodySize": _INTEGER,
    },
    {"postData": _POST_DATA, **_COMMENT},
)

_CONTENT = Object(
    {"size": _INTEGER, "mimeType": _TEXT},
    {"compression": _INTEGER, "text": _TEXT, "encoding": _TEXT, **_COMMENT},
)

_RESPONSE = Object(
    {
        "status": _INTEGER,
        "statusText": _TEXT,
        "httpVersion": _TEXT,
        "cookies": Array(_COOKIE),
        "headers": Array(_NAMED),
        "content": _CONTENT,
        "redirectURL": _TEXT,
        "headersSize": _INTEGER,
        "bodySize": _INTEGER,
    },
    _COMMENT,
)

_CACHE_STATE = Object({"lastAccess": _TEXT, "eTag": _TEXT, "hitCount": _INTEGER}, {"expires": _TEXT, **_COMMENT})

_TIMINGS = Object(
    {
        "blocked": _NUMBER,
        "dns": _NUMBER,
        "connect": _NUMBER,
        "ssl": _NUMBER,
        "send": _NUMBER,
        "wait": _NUMBER,
        "receive": _NUMBER,
    },
    _COMMENT,
)

ENTRY = Object(
    {
        "pageref": _TEXT,
        "startedDateTime": _TEXT,
        "time": _NUMBER,
        "request": _REQUEST,
        "response": _RESPONSE,
        "cache": Object({}, {"beforeRequest": _CACHE_STATE, "afterRequest": _CACHE_STATE, **_COMMENT}),
        "timings": _TIMINGS,
    },
    {"serverIPAddress": _TEXT, "connection": _TEXT, **_COMMENT},
)


def structure_faults(value: Any, shape: Shape, place: str) -> Iterator[Fault]:
    """Yield where a value lacks what its shape requires (`missing`), or has it with another JSON type (`type`).

    A null is left to `value_faults`, which finds it wherever it is.
    """
    if value is None:
        return
    if not _is_of(value, shape):
        words = shape.value if isinstance(shape, Scalar) else "an object" if isinstance(shape, Object) else "an array"
        yield Fault(place, f"is not {words}: {describe(value)}", "type")
    elif isinstance(shape, Array):
        for index, one in enumerate(value):
            yield from structure_faults(one, shape.of, f"{place}[{index}]")
    elif isinstance(shape, Object):
        for name, inner in shape.required.items():
            if name in value:
                yield from structure_faults(value[name], inner, member(place, name))
            else:
                yield Fault(member(place, name), "is missing", "missing")
        for name, inner in shape.optional.items():
            if name in value:
                yield from structure_faults(value[name], inner, member(place, name))


def value_faults(value: Any, place: str) -> Iterator[Fault]:
    """Yield where, at any depth, a value is null (`null`) or a number too large for a double (`number`).

    Readers take the former for a value: `_initiator: null` makes Chrome reject the whole file. The latter becomes
    Infinity in most of them.
    """
    pending = [(value, place)]
    while pending:
        one, at = pending.pop()
        if one is None:
            yield Fault(at, "is null: leave it out", "null")
        elif isinstance(one, float):
            if not math.isfinite(one):
                yield Fault(at, "is not a finite number", "number")
        elif isinstance(one, dict):
            pending.extend((inner, member(at, name)) for name, inner in reversed(one.items()))
        elif isinstance(one, list):
            pending.extend((inner, f"{at}[{index}]") for index, inner in reversed([*enumerate(one)]))


def _is_of(value: Any, shape: Shape) -> bool:
    if isinstance(shape, Object):
        return isinstance(value, dict)
    if isinstance(shape, Array):
        return isinstance(value, list)
    if shape is Scalar.TEXT:
        return isinstance(value, str)
    if shape is Scalar.BOOLEAN:
        return isinstance(value, bool)
    # Python's booleans are integers, JSON's are not numbers.
    numbers = (int,) if shape is Scalar.INTEGER else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool)
