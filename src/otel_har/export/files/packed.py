"""A HAR document that is gzip, grows, and is whole each time.

The rule: one member (RFC 1952, 2.2), because browsers (`DecompressionStream`) take no second one. Each addition is
deflated on its own and ends at a whole byte (Z_FULL_FLUSH), so nobody has to know what was packed before to go on. What
ends the document is packed for itself behind the entries, and the next addition takes its place:

    header  additions...  pages and the like, deflated  footer, stored as it is  CRC-32  length

The footer is readable in the file. It tells where the packed entries end, their text's length and its CRC-32, with
which the next addition's checksum goes on. The checksum at the file's end proves that all three belong to it.
"""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from otel_har.errors import DestinationError, HarFormatError
from otel_har.export.files import access
from otel_har.export.files.document import FOOTER_BYTES, HarDocument, Unpacked
from otel_har.export.files.standing import Growth, Standing, TextEnd, standing_of_tail
from otel_har.har.packing import GZIP, beginning, begins_as, is_named_gzip, unpacked

_HEADER = GZIP + b"\x08\0\0\0\0\0\0\xff"  # deflate, no name, no time, no system
_RAW_WINDOW = -15  # of zlib: 15 bits, without a header and a checksum
_STORED_BYTES = 0xFFFF  # the most of a block that is stored as it is (RFC 1951, 3.2.4)
_BLOCK_BYTES = 5  # what such a block has beside its content
_READABLE_BYTES = FOOTER_BYTES // 2
_MOST_BLANKS = _STORED_BYTES - FOOTER_BYTES
_TRAILER_BYTES = 8
_FLUSHED = b"\0\0\xff\xff"
_MAX_TAIL_BYTES = 256 * 1024 * 1024
_COPY_BYTES = 1024 * 1024
_PLACE = re.compile(
    rb'"packed":\s*\{\s*"end":\s*(\d{1,18}),\s*"crc32":\s*(\d{1,10})\s*\},\s*"entriesEnd":\s*(\d{1,18})\s*\}\s*\}\s*\}\s*\Z'
)


def document_for(path: Path, indent: int | None) -> HarDocument:
    """The form of a document that a file's name asks for."""
    return GzipDocument(indent) if is_named_gzip(path) else HarDocument(indent)


class GzipDocument(HarDocument):
    """The form of one recording's document in gzip.

    Args:
        indent: Spaces for each level; None for one line an entry.
    """

    is_packed = True
    beginnings = (GZIP, b"{")

    def ended(self, standing: Standing) -> bytes:
        """What ends a document that holds this."""
        return self._ended(standing, 0)

    def filled(self, growth: Growth, length: int) -> bytes:
        """The bytes of an addition, made up to a length with blanks within the document."""
        data = growth.entries + growth.tail
        missing = length - len(data)
        return data if missing <= 0 else growth.entries + self._ended(growth.standing, missing)

    def read_standing(self, descriptor: int) -> Standing | None:
        """What the document in a file holds; None where it is not a whole document of ours."""
        size = os.fstat(descriptor).st_size
        found = _PLACE.search(access.read(descriptor, max(0, size - FOOTER_BYTES), size)[:-_TRAILER_BYTES])
        if found is None:
            return None
        end, crc32, text_end = (int(number) for number in found.groups())
        if not len(_HEADER) < end < size or access.read(descriptor, end - len(_FLUSHED), end) != _FLUSHED:
            return None
        data = access.read(descriptor, end, size)
        tail = _inflated_tail(data[:-_TRAILER_BYTES])
        if tail is None or data[-_TRAILER_BYTES:] != _trailer(TextEnd(text_end, crc32), tail):
            return None
        standing = standing_of_tail(tail, end)
        if standing is None:
            return None
        start = standing.list_start if standing.list_start <= text_end else 0
        return replace(standing, list_start=start, entries_start=start, text=TextEnd(text_end, crc32))

    def begun(self, target: int, head: bytes, source: int, entries: tuple[int, int], standing: Standing) -> Standing:
        """Write head and entries to an empty file, in some pieces; what the document holds then."""
        written = replace(standing, entries_end=0, text=None)
        for piece in chain((head,), _pieces(source, *entries)):
            packed, after = _packed(piece, written)
            access.written(target, packed, written.entries_end)
            written = after
        return written

    @contextmanager
    def unpacked(self, source: int, directory: Path | None, most_bytes: int | None = None) -> Iterator[Unpacked]:
        """The text of a file, as far as it can be read, in another one that is gone at the end."""
        with os.fdopen(os.dup(source), "rb") as packed, tempfile.TemporaryFile(dir=directory) as copy:
            is_whole = begins_as(packed, GZIP)
            text = unpacked(packed, beginning(packed))
            try:
                while piece := text.read(min(_COPY_BYTES, most_bytes or _COPY_BYTES)):
                    copy.write(piece)
                    if most_bytes is not None and copy.tell() >= most_bytes:
                        break
            except HarFormatError:
                is_whole = False
            copy.flush()
            yield Unpacked(copy.fileno(), is_whole=is_whole, is_source=False)

    def _growth(self, added: bytes, standing: Standing) -> Growth:
        packed, after = _packed(added, standing)
        return Growth(packed, self.ended(after), after)

    def _ended(self, standing: Standing, missing: int) -> bytes:
        """What ends the document, by so many bytes longer than needed."""
        text = standing.text or TextEnd()
        place = {"packed": {"end": standing.entries_end, "crc32": text.crc32}, "entriesEnd": text.length}
        tail = self._tail(standing, place)
        before, footer = tail[:-_READABLE_BYTES], tail[-_READABLE_BYTES:]
        behind = min(missing, _MOST_BLANKS)
        if 0 < missing - behind < _BLOCK_BYTES:
            behind -= _BLOCK_BYTES
        blocks = list(_blanks(missing - behind))
        blanks = b" " * sum(len(block) - _BLOCK_BYTES for block in blocks)
        footer += b" " * behind
        trailer = _trailer(text, blanks + before + footer)
        return b"".join((*blocks, _deflated(before), _stored(footer, is_last=True), trailer))


def _pieces(source: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        piece = access.read(source, start, min(end, start + _COPY_BYTES))
        if not piece:
            raise DestinationError(f"the file ends at {start}, before its {end} bytes")
        yield piece
        start += len(piece)


def _packed(added: bytes, standing: Standing) -> tuple[bytes, Standing]:
    """An addition, packed, and what the document holds with it."""
    header = b"" if standing.text is not None else _HEADER
    text = standing.text or TextEnd()
    packed = header + _deflated(added)
    after = TextEnd(text.length + len(added), zlib.crc32(added, text.crc32))
    return packed, replace(standing, entries_end=standing.entries_end + len(packed), text=after)


def _deflated(text: bytes) -> bytes:
    if not text:
        return b""
    packer = zlib.compressobj(wbits=_RAW_WINDOW)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def _stored(content: bytes, *, is_last: bool = False) -> bytes:
    """A block as it is (RFC 1951, 3.2.4)."""
    length = len(content)
    return bytes((is_last,)) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + content


def _blanks(length: int) -> Iterator[bytes]:
    """Blocks of blanks that have so many bytes, none or five at least."""
    while length:
        block = min(length, _STORED_BYTES)
        if 0 < length - block < _BLOCK_BYTES:
            block -= _BLOCK_BYTES
        yield _stored(b" " * (block - _BLOCK_BYTES))
        length -= block


def _trailer(text: TextEnd, tail: bytes) -> bytes:
    """Checksum and length of the whole text (RFC 1952, 2.3.1)."""
    length = (text.length + len(tail)) & 0xFFFFFFFF
    return zlib.crc32(tail, text.crc32).to_bytes(4, "little") + length.to_bytes(4, "little")


def _inflated_tail(data: bytes) -> bytes | None:
    inflater = zlib.decompressobj(_RAW_WINDOW)
    try:
        tail = inflater.decompress(data, _MAX_TAIL_BYTES)
    except zlib.error:
        return None
    return tail if inflater.eof and not inflater.unused_data else None
