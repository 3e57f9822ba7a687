"""Compressed messages, to so many bytes and no more."""

from __future__ import annotations

import zlib

CODINGS = ("identity", "gzip", "deflate")
_WINDOWS = {"gzip": 31, "deflate": 15}  # zlib's names for the formats of RFC 1952 and RFC 1950
_RAW_WINDOW = -15
_ZLIB_METHOD = 8


class MessageTooLargeError(Exception):
    """The message has more bytes than it may."""


class BrokenMessageError(Exception):
    """The message is not what it says it is."""


def inflated(data: bytes, coding: str, most_bytes: int) -> bytes:
    """The message without its content coding.

    Args:
        data: As it came.
        coding: One of `CODINGS`.
        most_bytes: No more than these are made of it, whatever it would be.

    Raises:
        MessageTooLargeError: When it would be more.
        BrokenMessageError: When it is not of this coding, or not whole.
    """
    if coding == "identity":
        if len(data) > most_bytes:
            raise MessageTooLargeError(f"the message has more than {most_bytes} bytes")
        return data
    pieces: list[bytes] = []
    left = most_bytes
    while True:
        inflater = zlib.decompressobj(_window(data, coding))
        try:
            piece = inflater.decompress(data, left + 1)
        except zlib.error as fault:
            raise BrokenMessageError(f"the message is not {coding}: {fault}") from None
        left -= len(piece)
        if left < 0:
            raise MessageTooLargeError(f"the message has more than {most_bytes} bytes, decompressed")
        pieces.append(piece)
        if not inflater.eof:
            raise BrokenMessageError(f"the message is not {coding} to its end")
        data = inflater.unused_data
        if coding != "gzip" or not data:  # RFC 1952, 2.2: gzip may have several members
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _window(data: bytes, coding: str) -> int:
    """RFC 9110, 8.4.1.2: `deflate` is zlib's format; some senders leave its header away."""
    if coding == "deflate" and (len(data) < 2 or data[0] & 15 != _ZLIB_METHOD or (data[0] << 8 | data[1]) % 31):  # noqa: PLR2004 - RFC 1950, 2.2
        return _RAW_WINDOW
    return _WINDOWS[coding]
