"""Compressed messages."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from otel_har.receive.inflating import BrokenMessageError, MessageTooLargeError, inflated

TEXT = b"entry" * 100


def _raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (TEXT, "identity"),
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT[:7]) + gzip.compress(TEXT[7:]), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (zlib.compress(TEXT, 1), "deflate"),
        (_raw(TEXT), "deflate"),
    ],
)
def test_whole(data: bytes, coding: str) -> None:
    """Every coding gives the message, also gzip of several members and deflate without its header."""
    assert TEXT == inflated(data, coding, len(TEXT))


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (gzip.compress(TEXT)[:-1], "gzip"),
        (gzip.compress(TEXT) + b"rest", "gzip"),
        (b"", "gzip"),
        (b"x", "deflate"),
        (b"", "deflate"),
        (zlib.compress(TEXT)[:-1], "deflate"),
    ],
)
def test_broken(data: bytes, coding: str) -> None:
    """What is cut, or something else, is said to be so."""
    with pytest.raises(BrokenMessageError, match=coding):
        inflated(data, coding, 1000)


@pytest.mark.parametrize(
    ("data", "coding"), [(TEXT, "identity"), (gzip.compress(TEXT), "gzip"), (zlib.compress(TEXT), "deflate")]
)
def test_too_large(data: bytes, coding: str) -> None:
    """One byte too many is too many."""
    with pytest.raises(MessageTooLargeError, match="499"):
        inflated(data, coding, len(TEXT) - 1)


def test_bomb() -> None:
    """Of a bomb no more is made than a message may have."""
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooLargeError):
            inflated(bomb, "gzip", 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
