"""The bytes of a WebSocket to its messages: frames (RFC 6455, 5) joined, permessage-deflate (RFC 7692) removed.

The rule: read what there is, as far as it can be read, and say how far that was. This reads a record, not a
connection. That is why no library does it: wsproto's permessage-deflate decodes without a bound, and loses a
fragmented message that a ping interrupts; websockets gives nothing of a frame whose end is missing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from otel_har.duplex import Passage
from otel_har.mapping.inflating import Inflater

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

MAX_MESSAGES = 100_000
"""The most messages read of each direction."""

MAX_FRAMES = 500_000
"""The most frames read of each direction: a message may come in any number of them, empty ones too."""

_FIN, _RSV1, _RSV2_AND_3, _OPCODE, _CONTROL = 0x80, 0x40, 0x30, 0x0F, 0x08
_MASK, _LENGTH = 0x80, 0x7F
_LENGTH_BYTES = {126: 2, 127: 8}
_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_FLUSHED = b"\x00\x00\xff\xff"  # RFC 7692, 7.2.1: what the sender leaves out at a message's end


class _FrameError(ValueError):
    """The bytes are no frames that RFC 6455 or RFC 7692 allows."""


@dataclass(slots=True)
class Message:
    """A message, or a control frame.

    Attributes:
        at: When its last byte passed, in nanoseconds of the exchange's clock.
        opcode: 1 text, 2 binary, 8 close, 9 ping, 10 pong.
        data: The payload without mask, fragmentation and compression.
        whole: False where the end is missing.
    """

    at: int
    opcode: int
    data: bytearray
    whole: bool = False


@dataclass(slots=True)
class Reading:
    """What could be read of one direction.

    Attributes:
        messages: In order of their end; one that is not whole is the last.
        fault: What is wrong with what comes behind them; None when nothing is.
        full: True where more was there than is read.
    """

    messages: list[Message] = field(default_factory=list)
    fault: str | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame as it was sent, unmasked; `whole` is False where its end is missing, `end` is where that was."""

    first_byte: int
    payload: bytes
    whole: bool
    end: int

    @property
    def opcode(self) -> int:
        return self.first_byte & _OPCODE

    @property
    def is_control(self) -> bool:
        return bool(self.first_byte & _CONTROL)

    @property
    def ends_message(self) -> bool:
        return self.whole and bool(self.first_byte & _FIN)


def read_messages(passage: Passage) -> Reading:
    """The messages of one direction; what they decode to is bounded as the bytes are."""
    reader = _Reader(passage, passage.body.limit_bytes)
    try:
        for number, frame in enumerate(_frames(memoryview(passage.body.kept()))):
            reader.take(frame, number)
            if reader.reading.full:
                break
    except (_FrameError, zlib.error) as fault:
        reader.reading.fault = str(fault)
    return reader.finished()


class _Reader:
    """Joins frames to messages.

    Args:
        passage: Knows when the bytes passed.
        room_bytes: How many bytes may be read: a compressed message may decode to any number.
    """

    def __init__(self, passage: Passage, room_bytes: int) -> None:
        self.reading = Reading()
        self._passage = passage
        self._room_bytes = room_bytes
        self._open: Message | None = None
        self._is_compressed = False
        # The largest window reads what any window wrote.
        self._inflater = Inflater(lambda: zlib.decompressobj(-zlib.MAX_WBITS))

    def take(self, frame: _Frame, number: int) -> None:
        """Take the next frame, of which so many came before."""
        if len(self.reading.messages) >= MAX_MESSAGES or number >= MAX_FRAMES:
            self.reading.full = True
        elif frame.is_control:  # it may come between the frames of a message
            if frame.whole:
                message = Message(self._passage.passed_at(frame.end), frame.opcode, bytearray())
                self._add(message, frame.payload, is_end=True)
        else:
            self._take_data(frame)

    def _take_data(self, frame: _Frame) -> None:
        """RFC 6455, 5.4: the frames of a message follow each other; the first has its opcode, and RFC 7692's bit."""
        if (self._open is None) is (frame.opcode == CONTINUATION):
            raise _FrameError("a message begins within another one, or without its beginning")
        at = self._passage.passed_at(frame.end)
        if self._open is None:
            self._open = Message(at, frame.opcode, bytearray())
            self._is_compressed = bool(frame.first_byte & _RSV1)
        message, payload = self._open, frame.payload
        message.at = at
        if self._is_compressed:
            payload = self._inflated(payload + _FLUSHED if frame.ends_message else payload)
        if frame.ends_message:
            self._open = None
        self._add(message, payload, is_end=frame.ends_message)

    def _add(self, message: Message, payload: bytes, *, is_end: bool) -> None:
        self.reading.full = len(payload) > self._room_bytes or self._inflater.full
        message.data += payload[: self._room_bytes]
        self._room_bytes -= min(self._room_bytes, len(payload))
        if is_end:
            message.whole = not self.reading.full
            self.reading.messages.append(message)

    def _inflated(self, data: bytes) -> bytes:
        """Not more than one byte over the room there is."""
        # RFC 7692, 7.2.3.5: a message may end the stream, another one begins.
        return b"".join(self._inflater.pieces(data, self._room_bytes + 1))

    def finished(self) -> Reading:
        """What was read, with the beginning of a message whose end is missing."""
        if self._open is not None:
            self.reading.messages.append(self._open)
        return self.reading


def _frames(data: memoryview) -> Iterator[_Frame]:
    """The frames one after the other (RFC 6455, 5.2); of the last one what is there.

    Raises:
        _FrameError: There is something else.
    """
    start = 0
    while len(data) - start >= 2:  # noqa: PLR2004 - the shortest head
        first_byte, second_byte = data[start], data[start + 1]
        if first_byte & _RSV2_AND_3 or first_byte & _OPCODE not in _OPCODES:
            raise _FrameError(f"no frame begins with {first_byte:#04x}")
        length_end = start + 2 + _LENGTH_BYTES.get(second_byte & _LENGTH, 0)
        payload_start = length_end + (4 if second_byte & _MASK else 0)
        if payload_start > len(data):
            return
        length = (
            int.from_bytes(data[start + 2 : length_end], "big") if length_end > start + 2 else second_byte & _LENGTH
        )
        payload = bytes(data[payload_start : payload_start + length])
        if second_byte & _MASK:
            payload = _unmasked(payload, bytes(data[length_end:payload_start]))
        start = payload_start + length
        yield _Frame(first_byte, payload, len(payload) == length, payload_start + len(payload))


def _unmasked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455, 5.3."""
    size = len(payload)
    repeated = (key * (size // len(key) + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
