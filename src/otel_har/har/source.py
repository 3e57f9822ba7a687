r"""A file or stream of bytes as chunks of UTF-8 that a JSON parser takes.

Browsers decode the files they import leniently: a byte order mark is dropped, UTF-16 recognised by it, bytes that are
not UTF-8 become U+FFFD, lone surrogates (`\ud83d`, from texts cut between the halves of an emoji) are harmless. JSON
parsers are not like that, yajl even joins a lone surrogate with whatever escape follows. So all of it is settled here.
Two characters that yajl takes for blanks and no browser does become what it refuses.

What is gzip, by its first bytes, is inflated on the way, and of a zip archive the HAR is read that is in it.
"""

import codecs
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from otel_har.errors import HarFormatError
from otel_har.har.attaching import ZIP, Attachments
from otel_har.har.packing import Readable, beginning, unpacked

__all__ = ["Source", "Utf8Source"]

Source: TypeAlias = str | os.PathLike[str] | BinaryIO
"""Where a HAR is read from: a path, or a stream of bytes (which is left open)."""

_CHUNK_BYTES = 1 << 16
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

# In this order: a pair, which stays; a lone surrogate, which goes; any other escape, so that a backslash that is itself
# escaped is not taken for the beginning of one.
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rf"{_HIGH}{_LOW}|({_HIGH}|{_LOW})|\\.", re.DOTALL)
_HIGH_SURROGATE = re.compile(_HIGH)
_ESCAPE_LENGTH = 6
_PAIR_LENGTH = 12


class Utf8Source:
    """Reads a source once, in chunks.

    Args:
        source: The path or the stream.

    Attributes:
        encoding: The encoding found, `utf-8` or `utf-16-le` or `utf-16-be`.
        has_byte_order_mark: Whether the source began with one.
        has_undecodable_bytes: Whether bytes were met so far that are not of the encoding.
        bytes_read: How many bytes of text were read so far.

    Raises:
        OSError: The path cannot be opened.
        TypeError: The stream is one of text.
    """

    def __init__(self, source: Source) -> None:
        self._is_ours = isinstance(source, str | os.PathLike)
        if isinstance(source, str | os.PathLike):
            self._stream: BinaryIO = Path(source).open("rb")  # noqa: SIM115 - closed by close()
        elif isinstance(cast("object", source), io.TextIOBase):
            raise TypeError("a HAR is read from bytes: open the file in binary mode ('rb')")
        else:
            self._stream = source
        self._text: Readable | None = None
        self._attachments: Attachments | None = None
        self.encoding = "utf-8"
        self.has_byte_order_mark = False
        self.has_undecodable_bytes = False
        self.bytes_read = 0

    def close(self) -> None:
        """Close the file if it was opened here. Closing twice is harmless."""
        if self._is_ours:
            self._stream.close()

    def __iter__(self) -> Iterator[bytes]:
        held = ""
        for text in self._texts():
            grown = held + text
            cut = _last_whole_escape(grown)
            held = grown[cut:]
            # An empty chunk would be the end to a parser.
            if cut:
                yield _settled(grown[:cut])
        if held:
            yield _settled(held)

    def _texts(self) -> Iterator[str]:
        start = self._read()
        # A pipe may deliver less than the mark at first.
        while 0 < len(start) < len(codecs.BOM_UTF8) and (more := self._read()):
            start += more
        for mark, encoding in _BYTE_ORDER_MARKS.items():
            if start.startswith(mark):
                self.encoding, self.has_byte_order_mark = encoding, True
                start = start[len(mark) :]
                break
        self._decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        yield self._decode(start)
        while chunk := self._read():
            yield self._decode(chunk)
        yield self._decode(b"", is_last=True)

    def _decode(self, chunk: bytes, *, is_last: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, is_last)
        except UnicodeDecodeError:
            # From here on leniently; a decoder that fails leaves its state, the bytes of half a character, untouched.
            self.has_undecodable_bytes = True
            state = self._decoder.getstate()
            self._decoder = codecs.getincrementaldecoder(self.encoding)("replace")
            self._decoder.setstate(state)
            return self._decoder.decode(chunk, is_last)

    def inlined(self, entry: Any) -> Any:
        """An entry as JSON has it, with those bodies that are files of their own in the same archive."""
        return entry if self._attachments is None else self._attachments.inlined(entry)

    def _opened(self) -> Readable:
        start = beginning(self._stream)
        if not start.startswith(ZIP):
            return unpacked(self._stream, start)
        if not self._stream.seekable():
            raise HarFormatError("a zip archive can be read from a file only")
        self._attachments = Attachments(self._stream)
        return self._attachments

    def _read(self) -> bytes:
        if self._text is None:
            self._text = self._opened()
        chunk = self._text.read(_CHUNK_BYTES)
        self.bytes_read += len(chunk)
        return chunk


def _last_whole_escape(text: str) -> int:
    r"""Return where to cut a text that begins outside of an escape, so that no `\uXXXX` and no pair is torn."""
    first = text.find("\\", max(len(text) - _PAIR_LENGTH + 1, 0))
    if first < 0:
        return len(text)
    cut = _escape_start(text, first)
    pair = cut - _ESCAPE_LENGTH
    if pair >= 0 and _HIGH_SURROGATE.fullmatch(text, pair, cut) and _escape_start(text, pair) == pair:
        return pair
    return cut


def _escape_start(text: str, backslash: int) -> int:
    """Return where the escape begins that the backslash belongs to: two backslashes in a row are one escape."""
    run = backslash - len(text[:backslash].rstrip("\\"))
    return backslash - run % 2


def _settled(text: str) -> bytes:
    # RFC 8259, section 2: blanks are space, tab, line feed, carriage return; section 7: no others stand in strings.
    if "\v" in text or "\f" in text:
        text = text.replace("\v", "\1").replace("\f", "\1")
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPES.sub(lambda match: "\\ufffd" if match[1] else match[0], text)
    return text.encode()
