"""HAR files that are packed: what gzip has of them, as text.

The rule: how a file is packed its first bytes tell, not its name. All of a packed file that is whole is given before
what is wrong with it is said, so that it can be mended.
"""

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol, TypeVar, cast

from otel_har.errors import HarFormatError

__all__ = ["GZIP", "Readable", "beginning", "begins_as", "inflated", "is_named_gzip", "packing", "unpacked"]

GZIP = b"\x1f\x8b"
"""How a gzip file begins (RFC 1952, 2.3.1)."""

_CHUNK_BYTES = 1 << 16
_TELLING_BYTES = 4
_GZIP_WINDOW = 31  # of zlib: 15 bits, in the format of gzip
_Report = TypeVar("_Report")


class Readable(Protocol):
    """Gives bytes."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, some as long as there are any."""


class _Pieces:
    """Bytes that come in pieces, as a stream has them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int, /) -> bytes:  # noqa: ARG002 - a piece is as long as it is
        """The next piece."""
        return next((piece for piece in self._pieces if piece), b"")


def beginning(stream: Readable) -> bytes:
    """The first bytes of a stream, enough to tell what it is."""
    start = stream.read(_CHUNK_BYTES)
    while 0 < len(start) < _TELLING_BYTES and (more := stream.read(_CHUNK_BYTES)):  # a pipe may give one at first
        start += more
    return start


def unpacked(stream: Readable, start: bytes) -> Readable:
    """The text of a stream, inflated where that is gzip.

    Its `read` raises HarFormatError behind the last bytes that are whole.

    Args:
        stream: Where it goes on.
        start: Its beginning.
    """
    return _Pieces(inflated(stream, start) if start.startswith(GZIP) else _chunks(stream, start))


def _chunks(stream: Readable, start: bytes) -> Iterator[bytes]:
    chunk = start
    while chunk:
        yield chunk
        chunk = stream.read(_CHUNK_BYTES)


def inflated(stream: Readable, start: bytes = b"") -> Iterator[bytes]:
    """The text of gzip data in pieces of a bounded size, whatever they are packed to.

    Args:
        stream: Where it goes on.
        start: What was read of it.

    Raises:
        HarFormatError: It is not gzip to its end. All that is whole came before.
    """
    data = start or stream.read(_CHUNK_BYTES)
    while data:  # one member after another (RFC 1952, 2.2)
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        while not inflater.eof:
            data = data or stream.read(_CHUNK_BYTES)
            if not data:
                yield inflater.flush()
                raise HarFormatError("its gzip data is cut off")
            before = inflater.copy()
            try:
                piece = inflater.decompress(data, _CHUNK_BYTES)
            except zlib.error as fault:
                yield from _as_far_as_whole(before, data)
                raise HarFormatError(f"its gzip data is broken ({fault})") from None
            if piece:
                yield piece
            data = inflater.unconsumed_tail
        data = _next_member(stream, inflater.unused_data)


def _next_member(stream: Readable, data: bytes) -> bytes:
    """What begins a further member; zeros fill up blocks of tapes and are none."""
    while len(data := data.lstrip(b"\0")) < len(GZIP) and (more := stream.read(_CHUNK_BYTES)):
        data += more
    if data and not data.startswith(GZIP):
        raise HarFormatError("there is something else behind its gzip data")
    return data


def _as_far_as_whole(inflater: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    for byte in data:
        try:
            piece = inflater.decompress(bytes((byte,)))
        except zlib.error:
            return
        if piece:
            yield piece


def begins_as(stream: BinaryIO, beginning: bytes) -> bool:
    """Whether a stream that can be sought in begins so; it stands at its beginning after that."""
    stream.seek(0)
    start = stream.read(len(beginning))
    stream.seek(0)
    return start == beginning


def is_named_gzip(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file asks for gzip."""
    return os.fspath(path).lower().endswith(".gz")


def packing(write: Callable[[BinaryIO], _Report]) -> Callable[[BinaryIO], _Report]:
    """Writes the same, as gzip."""

    def packed(target: BinaryIO) -> _Report:
        with _packer(target) as stream:
            return write(stream)

    return packed


@contextmanager
def _packer(target: BinaryIO) -> Iterator[BinaryIO]:
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packer:
        buffered = io.BufferedWriter(cast("io.RawIOBase", packer), _CHUNK_BYTES)  # entries may come in small parts
        yield cast("BinaryIO", buffered)
        buffered.flush()
        buffered.detach()
