"""What stands in the messages that aiohttp writes and reads."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from multidict import CIMultiDict

from otel_har.capture.aiohttp_messages import as_sent
from otel_har.message import memory_of


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], []),
        ([("A", "b"), ("A", "")], [(b"A", b"b"), (b"A", b"")]),
        ([("Name", "größe \udc80")], [(b"Name", "größe ".encode() + b"\xed\xb2\x80")]),
        ([("A", "b\nc"), ("D", "e")], [(b"A", b"b\nc"), (b"D", b"e")]),
        ([("A\n", "b"), ("", "\n")], [(b"A\n", b"b"), (b"", b"\n")]),
        ([("A", 5), ("B", None)], [(b"A", b"<int>"), (b"B", b"<NoneType>")]),
    ],
)
def test_fields_as_sent(fields: list[tuple[str, Any]], expected: list[tuple[bytes, bytes]]) -> None:
    """In their order, with duplicates, in UTF-8, also what aiohttp is about to refuse; with what it takes in memory."""
    noted, size_bytes = as_sent(CIMultiDict(fields))
    assert expected == list(noted)
    assert expected == list(noted), "once more"
    assert expected == list(pickle.loads(pickle.dumps(noted))), "in another process"  # noqa: S301 - our own
    assert memory_of(expected) <= size_bytes <= memory_of(expected) + 2 * len(expected)
