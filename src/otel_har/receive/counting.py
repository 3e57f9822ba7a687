"""How many messages are in a message, before they are made.

The rule: two bytes of an export request may be a record, which takes some 60 times as much memory and microseconds to
look at. Who sends millions of them would hold up all others. So they are counted first, without making them, where a
request is large enough to have too many.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from otel_har.receive.inflating import BrokenMessageError, MessageTooLargeError

MOST_MESSAGES = 1_000_000
"""The most of them in a request of protobuf: records, attributes, values."""
MOST_OBJECTS = 400_000
"""The most objects and lists in a request of JSON, which takes longer to read."""

_LEAST_BYTES = 2  # of a message, and of an object: what is small has too few, and is not gone through
_MOST_DEPTH = 100  # protobuf's own limit
_LENGTH_DELIMITED, _VARINT, _FIXED_64, _FIXED_32 = 2, 0, 1, 5  # Protocol Buffers, "Encoding": wire types
_LARGEST_BYTE = 127  # of a number: with the highest bit it goes on
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)  # never fails behind a quote, so it takes linear time

_Fields = Mapping[int, Any]


def check_json(data: bytes, most: int = MOST_OBJECTS) -> None:
    """See that a request of JSON has not too many objects and lists.

    Raises:
        MessageTooLargeError: It has.
    """
    if len(data) <= _LEAST_BYTES * most:
        return
    rest = _STRING.sub(b"", data)
    if rest.count(b"{") + rest.count(b"[") > most:
        raise MessageTooLargeError(f"the message has more than {most} objects and lists")


def check_protobuf(data: bytes, descriptor: Any, most: int = MOST_MESSAGES) -> None:
    """See that a request of protobuf has not too many messages.

    Args:
        data: The request.
        descriptor: That of its message type.
        most: The most messages in it.

    Raises:
        MessageTooLargeError: It has.
        BrokenMessageError: It is no such request.
    """
    if len(data) <= _LEAST_BYTES * most:
        return
    try:
        is_too_much = _has_more(data, _fields(descriptor), most)
    except IndexError:
        raise BrokenMessageError("no export request: it is not whole, or too deep") from None
    if is_too_much:
        raise MessageTooLargeError(f"the message has more than {most} records, attributes and values")


def _has_more(data: bytes, fields: _Fields, most: int) -> bool:
    """Whether there are more messages in a message.

    Raises:
        IndexError: It is not whole, or too deep.
    """
    around: list[tuple[int, _Fields]] = []  # the messages that this one is in: where they end, and their fields
    place, end, count = 0, len(data), 0
    while place < end or around:
        if place == end:
            end, fields = around.pop()
            continue
        tag, place = data[place], place + 1
        if tag > _LARGEST_BYTE:
            tag, place = _varint(data, place - 1)
        size, place = _content(data, place, tag & 7)
        if place + size > end:
            raise IndexError
        inner = fields.get(tag >> 3) if tag & 7 == _LENGTH_DELIMITED else None
        if inner is None:
            place += size
            continue
        count += 1
        if count > most:
            return True
        if len(around) > _MOST_DEPTH:
            raise IndexError
        around.append((end, fields))
        end, fields = place + size, _fields(inner)
    return False


def _content(data: bytes, place: int, wire_type: int) -> tuple[int, int]:
    """How many bytes of a field are still to come, and the place where they begin."""
    if wire_type == _LENGTH_DELIMITED:
        return (data[place], place + 1) if data[place] <= _LARGEST_BYTE else _varint(data, place)
    if wire_type == _VARINT:
        return 0, _varint(data, place)[1]
    if wire_type in {_FIXED_64, _FIXED_32}:
        return 8 if wire_type == _FIXED_64 else 4, place
    raise IndexError  # groups, which OTLP has not


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of the wire, and the place behind it."""
    value = shift = 0
    while data[place] > _LARGEST_BYTE:
        value |= (data[place] & 127) << shift
        shift += 7
        place += 1
        if shift > 63:  # noqa: PLR2004 - it has 10 bytes at most
            raise IndexError
    return value | data[place] << shift, place + 1


@functools.cache
def _fields(descriptor: Any) -> _Fields:
    """The fields of a message type that are messages, by their number."""
    return {one.number: one.message_type for one in descriptor.fields if one.message_type is not None}
