"""Compressed streams that follow each other, as gzip members, Zstandard frames and WebSocket messages do.

The rule: time is linear in the bytes and memory is bounded, whatever a peer sends. A decoder copies what stands behind
a stream when it ends, so that it must not be given much at a time; and each stream costs one, however short it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

MAX_STREAMS = 100_000
"""The most streams that are read one after the other."""

SLICE_BYTES = 4 * 1024
"""The most bytes that are given to a decoder at a time."""


class StreamDecoder(Protocol):
    """Decodes one stream: what the objects of `zlib` and of `compression.zstd` have in common.

    Attributes:
        eof: Whether the end of the stream was read.
        unused_data: What was given of what stands behind it.
    """

    @property
    def eof(self) -> bool: ...  # noqa: D102 - see above

    @property
    def unused_data(self) -> bytes: ...  # noqa: D102 - see above

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Decode the next bytes, to no more than `max_length`."""


class Inflater:
    """Decodes streams one after the other; one may go on in the next piece of data.

    Attributes:
        ended: How many streams have ended.
        full: True when there was more behind the most streams.

    Args:
        decoder: Gives a decoder for each stream.
    """

    def __init__(self, decoder: Callable[[], StreamDecoder]) -> None:
        self.ended = 0
        self.full = False
        self._decoder = decoder
        self._stream = decoder()

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
            zlib.error, ZstdError: The data is no such stream.
        """
        start = 0
        while start < len(data) and room_bytes > 0:
            if self._stream.eof:
                if self.ended >= MAX_STREAMS:
                    self.full = True
                    return
                self._stream = self._decoder()
            part = data[start : start + SLICE_BYTES]
            piece = self._stream.decompress(part, room_bytes)
            start += len(part) - len(self._stream.unused_data)
            room_bytes -= len(piece)
            self.ended += self._stream.eof
            yield piece
