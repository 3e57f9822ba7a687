"""A stream of any kind as a place for bytes: text or binary, raw or buffered.

The rule: it is known of every byte whether the stream has it. So one call of `write` gets no more than a buffer holds,
which it takes as a whole or not at all, and a stream that takes fewer says how many.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from otel_har.errors import SettingError

if sys.platform != "win32":
    import fcntl

PIECE_BYTES = io.DEFAULT_BUFFER_SIZE

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_ONE_BYTE = frozenset({"ascii", "iso8859-1", "utf-8"})  # as codecs names them


class Sink:
    """Writes to a stream.

    Args:
        stream: Anything with a `write` that takes str or bytes.

    Raises:
        SettingError: When it has none, or takes neither.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = self._target = stream
        self._is_text = _takes_text(stream)
        encoding = _encoding_of(stream) if self._is_text else None
        self._escapes = encoding is not None and not encoding.startswith("utf-")
        self._appends = False
        # A text stream would keep text and lose it where its buffer takes none: what it is a layer of says more.
        if type(stream) is io.TextIOWrapper and encoding in _ONE_BYTE:
            self._target, self._is_text = stream.buffer, False

    def prepared(self, data: bytes) -> bytes:
        """UTF-8 of JSON, without characters that the stream's encoding may not have."""
        if self._target is not self._stream:
            self._stream.flush()  # what the program wrote there before
        return _NOT_ASCII.sub(_escape, data.decode()).encode() if self._escapes else data

    def write(self, data: bytes) -> int:
        """Write a piece, or the beginning of it.

        Args:
            data: What was prepared; characters whole where the stream takes text.

        Returns:
            How many bytes of it the stream has.

        Raises:
            OSError: When it took none.
            ValueError: When it is closed.
        """
        if self._is_text:
            self._target.write(data.decode())
            return len(data)
        try:
            taken = self._target.write(data)
        except BlockingIOError as fault:
            if not getattr(fault, "characters_written", 0):
                raise
            return fault.characters_written
        if taken is None and not isinstance(self._target, io.RawIOBase):
            return len(data)  # of a class that does not say
        if not taken and data:
            raise BlockingIOError(errno.EAGAIN, "the stream takes nothing for now")
        return int(taken)

    def write_all(self, data: bytes, start: int = 0) -> Iterator[int]:
        """Write what was prepared, piece by piece; after each one how many bytes the stream has."""
        while start < len(data):
            start += self.write(data[start : _end_of_piece(data, start)])
            yield start

    def flush(self) -> None:
        """Have the stream write what it holds."""
        for layer in (self._stream, self._target):
            flush: Callable[[], object] | None = getattr(layer, "flush", None)
            if flush is not None:
                flush()

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def is_standard(self) -> bool:
        """Whether it is the program's standard output or error, where others write, too."""
        standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        if any(self._stream is one or self._stream is getattr(one, "buffer", None) for one in standard if one):
            return True
        return self.descriptor() in {1, 2}

    def descriptor(self) -> int | None:
        """The stream's file descriptor; None for one that is in memory."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            number = self._stream.fileno()
            return number if isinstance(number, int) else None
        return None

    def start(self) -> Any:
        """Where the stream is, if it can go back there and be cut; None otherwise.

        What is behind that place is cut off.
        """
        stream = self._stream
        try:
            if not stream.seekable():
                return None
            self._appends = self._has_append_mode()
            place = self.end() if self._appends else stream.tell()
            stream.seek(place)
            stream.truncate()
        except (AttributeError, OSError, ValueError, TypeError):
            return None
        return place

    def _has_append_mode(self) -> bool:
        """Whether all is written at the end, wherever the stream is."""
        if "a" in str(getattr(self._stream, "mode", "")):
            return True
        descriptor = self.descriptor()
        if sys.platform == "win32" or descriptor is None:
            return False
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)

    def go(self, place: Any) -> None:
        """Go to a place; what is written next is written over what follows, or follows what is before."""
        self._stream.seek(place)
        if self._appends:
            self._stream.truncate()

    def place(self) -> Any:
        """Where the stream is."""
        return self._stream.tell()

    def cut(self) -> None:
        """Cut off what follows."""
        self._stream.truncate()

    def end(self) -> Any:
        """Go to the end: its place."""
        self._stream.seek(0, io.SEEK_END)
        return self._stream.tell()


def _end_of_piece(data: bytes, start: int) -> int:
    """The end of a piece that begins there and cuts no character."""
    end = min(start + PIECE_BYTES, len(data))
    while start < end < len(data) and data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte within a character of UTF-8
        end -= 1
    return end


def _takes_text(stream: Any) -> bool:
    """Whether `write` takes str.

    Raises:
        SettingError: When there is no `write`, or it takes neither.
    """
    if isinstance(stream, io.TextIOBase | codecs.StreamReaderWriter | codecs.StreamWriter):
        return True
    if isinstance(stream, io.RawIOBase | io.BufferedIOBase):
        return False
    mode = getattr(stream, "mode", None)
    if isinstance(mode, str):
        return "b" not in mode
    for nothing in (b"", ""):  # a write of nothing writes nothing, and refuses the wrong kind
        with contextlib.suppress(TypeError, AttributeError):
            stream.write(nothing)
            return isinstance(nothing, str)
    raise SettingError(f"{type(stream).__qualname__} is no stream: its write() takes neither bytes nor str")


def _encoding_of(stream: Any) -> str | None:
    encoding = getattr(stream, "encoding", None)
    try:
        return codecs.lookup(encoding).name if isinstance(encoding, str) else None
    except LookupError:
        return None


def _escape(found: re.Match[str]) -> str:
    """A character as JSON escapes it: outside of strings JSON has none but ASCII (RFC 8259, 7)."""
    return json.dumps(found[0])[1:-1]
