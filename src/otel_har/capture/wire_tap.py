"""What a chunked body takes on the wire: its encoded content, the framing around it, its trailer fields.

urllib3 and http.client both take a chunked body apart and forget what it took. All that they read goes in order
through one buffered file of http.client's, which belongs to one response: a tap there sees every byte, whichever of
the two takes it apart and in whatever steps. The rule is that of `streams`.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

from otel_har.capture.proxy import Tap
from otel_har.guard import guarded
from otel_har.message import Body

_MAX_LINE_BYTES = 65_536  # http.client's own limit for a line
_MAX_TRAILER_BYTES = 16_384
_CRLF_BYTES = 2
_ENDLESS = 1 << 62


def tap_wire(raw: Any, body: Body) -> None:
    """Count what comes over the wire, where urllib3's own `tell` does not: in chunked bodies.

    Args:
        raw: The response that requests hands out; nothing happens where it is not urllib3's around http.client's.
        body: The body that is counted into.
    """
    original: Any = getattr(raw, "_original_response", None)
    if getattr(original, "chunked", False) is True:
        file = getattr(original, "fp", None)
        if type(file) is io.BufferedReader:
            original.fp = WireTap(file, ChunkedWire(body))


class ChunkedWire:
    """Tells content from framing in the bytes of a chunked body (RFC 9112, 7.1), as they pass.

    It reads what http.client and urllib3 read, so it takes what they take: chunk sizes as `int` understands them, and
    lines that end in a bare LF. What comes after something that they refuse is no content.

    Args:
        body: The body that is counted into.
    """

    __slots__ = ("_body", "_chunk_left", "_end_left", "_in_trailers", "_line", "_trailer_bytes", "_trailers")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._chunk_left = 0
        self._end_left = 0
        self._line = b""
        self._in_trailers = False
        self._trailer_bytes = 0
        self._trailers: list[tuple[bytes, bytes]] = []
        body.wire_size_bytes = 0

    @guarded("counting a chunked body")
    def passed(self, data: bytes | memoryview) -> None:
        """These bytes have passed."""
        size = len(data)
        if self._chunk_left:
            if size <= self._chunk_left:
                self._chunk_left -= size
                self._count(size)
                return
        elif size <= self._end_left:
            self._end_left -= size
            self._body.framing_bytes += size
            return
        octets, position = bytes(data), 0
        while position < size:
            position = self._take(octets, position)

    def _count(self, size: int) -> None:
        body = self._body
        body.wire_size_bytes = (body.wire_size_bytes or 0) + size

    def _take(self, data: bytes, position: int) -> int:
        """Take a piece of one kind; the position behind it."""
        rest = len(data) - position
        if self._chunk_left:
            taken = min(rest, self._chunk_left)
            self._chunk_left -= taken
            self._count(taken)
            return position + taken
        if self._end_left:
            taken = min(rest, self._end_left)
            self._end_left -= taken
        else:
            end = data.find(b"\n", position)
            taken = (end + 1 if end >= 0 else len(data)) - position
            self._line += data[position : position + taken]
            if end >= 0:
                self._take_line()
            elif len(self._line) > _MAX_LINE_BYTES:
                self._end_left = _ENDLESS
        self._body.framing_bytes += taken
        return position + taken

    def _take_line(self) -> None:
        line, self._line = self._line, b""
        if self._in_trailers:
            self._take_trailer(line)
            return
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError:
            size = -1
        if size < 0:
            self._end_left = _ENDLESS
        elif size:
            self._chunk_left, self._end_left = size, _CRLF_BYTES
        else:
            self._in_trailers = True

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        name, colon, value = line.partition(b":")
        if colon and self._trailer_bytes <= _MAX_TRAILER_BYTES:
            self._trailers.append((name.strip(), value.strip()))
            self._body.trailers = self._trailers


class WireTap(Tap):
    """Stands for the buffered file that one chunked response is read from."""

    __slots__ = ("_self_wire",)
    _self_special: ClassVar[dict[str, str]] = {"__iter__": "_self_iter", "__next__": "_self_next"}

    def __init__(self, wrapped: Any, wire: ChunkedWire) -> None:
        super().__init__(wrapped)
        self._self_wire = wire

    def _self_iter(self) -> WireTap:
        return self

    def _self_next(self) -> bytes:
        line: bytes = next(self.__wrapped__)
        self._self_wire.passed(line)
        return line

    def read(self, *args: Any) -> Any:
        """As the file's own."""
        data = self.__wrapped__.read(*args)
        if data:
            self._self_wire.passed(data)
        return data

    def read1(self, *args: Any) -> Any:
        """As the file's own."""
        data = self.__wrapped__.read1(*args)
        self._self_wire.passed(data)
        return data

    def readline(self, *args: Any) -> Any:
        """As the file's own."""
        line = self.__wrapped__.readline(*args)
        self._self_wire.passed(line)
        return line

    def readlines(self, *args: Any) -> Any:
        """As the file's own."""
        lines = self.__wrapped__.readlines(*args)
        self._self_wire.passed(b"".join(lines))
        return lines

    def readinto(self, buffer: Any) -> Any:
        """As the file's own."""
        return self._self_filled(buffer, self.__wrapped__.readinto(buffer))

    def readinto1(self, buffer: Any) -> Any:
        """As the file's own."""
        return self._self_filled(buffer, self.__wrapped__.readinto1(buffer))

    @guarded("counting a filled buffer")
    def _self_note_filled(self, buffer: Any, count: int) -> None:
        with memoryview(buffer) as view, view.cast("B") as octets, octets[:count] as filled:
            self._self_wire.passed(filled)

    def _self_filled(self, buffer: Any, count: Any) -> Any:
        if count:
            self._self_note_filled(buffer, count)
        return count
