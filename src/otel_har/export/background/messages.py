"""What is said to another process, and by it.

The rule: values only. What is of the program's own, or of a library's, would have to be imported there: texts and
numbers of such classes cross as what they are, and nothing else of them does.
"""

from __future__ import annotations

import io
import operator
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

from otel_har.guard import attempted

HEADER = struct.Struct("!Q")
"""What comes before each message: its length, bytes."""

_KNOWN_PACKAGES = frozenset({"array", "builtins", "otel_har", "re"})


def message(members: Mapping[str, object]) -> bytes:
    """A message as it is sent."""
    text = pickle.dumps(members, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(text)) + text


def members_of(text: bytes) -> dict[str, Any]:
    """What a message says, without its header."""
    members: dict[str, Any] = pickle.loads(text)  # noqa: S301 - of our own process
    return members


def packed(values: object) -> bytes:
    """Records and pages, or how they become entries, for another process.

    Raises:
        pickle.PicklingError: When something in them is no value.
        Exception: What classes of others raise when they are asked for one.
    """
    packet = io.BytesIO()
    _Packer(packet, pickle.HIGHEST_PROTOCOL).dump(values)
    return packet.getvalue()


def unpacked(packet: bytes) -> Any:
    """The same there."""
    return pickle.loads(packet)  # noqa: S301 - of our own process


class _Packer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """As `pickle.Pickler` has it; asked for what is no value of Python's own."""
        is_named = isinstance(value, type | FunctionType | BuiltinFunctionType)
        kind = value if is_named else type(value)
        if kind in _ours or _is_ours(kind):
            return NotImplemented
        for plain, given in _PLAIN.items():
            if not is_named and issubclass(kind, plain):
                return plain, (given(value),)
        raise pickle.PicklingError(f"{kind.__module__}.{kind.__qualname__} is no value")


_ours: set[object] = set()


def _is_ours(kind: Any) -> bool:
    """Whether every process with this package knows it: it is what stands there, whatever it says of itself.

    Python's own functions are none: `eval` would have the other process do what the program's classes say.
    """
    place = kind.__module__ or ""
    is_known = place.partition(".")[0] in _KNOWN_PACKAGES
    if not is_known or (place == "builtins" and not isinstance(kind, type)):
        return False
    if attempted(lambda: operator.attrgetter(kind.__qualname__)(sys.modules[place])) is not kind:
        return False
    _ours.add(kind)
    return True


def _octets(value: bytes) -> bytes:
    return b"".join((value,))


# What a value of a class of its own is, whatever that class makes of it.
_PLAIN: Mapping[type, Callable[[Any], object]] = {
    str: str.__str__,
    bytes: _octets,
    int: int.__index__,
    float: float.__float__,
}
