"""Compressed streams (RFC 1950 to 1952) that follow each other, as gzip members and WebSocket messages do.

The rule: time is linear in the bytes and memory is bounded, whatever a peer sends. zlib copies what stands behind a
stream when it ends, so that it must not be given much at a time; and each stream costs a decoder, however short it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

MAX_STREAMS = 100_000
"""The most streams that are read one after the other."""

SLICE_BYTES = 4 * 1024
"""The most bytes that are given to zlib at a time."""


class Inflater:
    """Decodes streams one after the other; one may go on in the next piece of data.

    Attributes:
        ended: How many streams have ended.
        full: True when there was more behind the most streams.

    Args:
        window_bits: zlib's `wbits`, which says what format the streams have.
    """

    def __init__(self, window_bits: int) -> None:
        self.ended = 0
        self.full = False
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)

    @property
    def at_end(self) -> bool:
        """Whether the last byte that was read is the end of a stream."""
        return self._stream.eof and not self.full

    def pieces(self, data: bytes, room_bytes: int) -> Iterator[bytes]:
        """What the data decodes to; no piece goes over the end of a stream.

        Args:
            data: The next bytes.
            room_bytes: The most to decode to. What is beyond is lost: then nothing can be read behind it.

        Raises:
            zlib.error: The data is no such stream.
        """
        start = 0
        while start < len(data) and room_bytes > 0:
            if self._stream.eof:
                if self.ended >= MAX_STREAMS:
                    self.full = True
                    return
                self._stream = zlib.decompressobj(self._window_bits)
            part = data[start : start + SLICE_BYTES]
            piece = self._stream.decompress(part, room_bytes)
            start += len(part) - len(self._stream.unused_data)
            room_bytes -= len(piece)
            self.ended += self._stream.eof
            yield piece
