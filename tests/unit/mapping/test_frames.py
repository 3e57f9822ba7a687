"""The bytes of a WebSocket to its messages: frames of every form, and bytes that are none."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest

from otel_har.budget import ByteBudget
from otel_har.duplex import Passage
from otel_har.limits import CaptureLimits
from otel_har.mapping.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAMES,
    MAX_MESSAGES,
    PING,
    PONG,
    TEXT,
    Reading,
    read_messages,
)
from otel_har.mapping.inflating import MAX_STREAMS

FIN, RSV1 = 0x80, 0x40
HELLO = b"Hello"


def _frame(first_byte: int, data: bytes, *, mask: bytes = b"") -> bytes:
    """A frame with the shortest head (RFC 6455, 5.2)."""
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head = struct.pack("!BB", first_byte, bit | len(data))
    elif len(data) < 1 << 16:
        head = struct.pack("!BBH", first_byte, bit | 126, len(data))
    else:
        head = struct.pack("!BBQ", first_byte, bit | 127, len(data))
    masked = bytes(octet ^ mask[index % 4] for index, octet in enumerate(data)) if mask else data
    return head + mask + masked


def _deflated(data: bytes, compressor: zlib._Compress | None = None) -> bytes:
    compressor = compressor or zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def _read(*pieces: bytes, limit: int = 10_000_000, budget: int = 100_000_000) -> Reading:
    """Read pieces, which pass at 1, 2, 3..."""
    passage = Passage(CaptureLimits(limit, ByteBudget(budget)))
    for at, piece in enumerate(pieces, 1):
        passage.note(piece, at)
    return read_messages(passage)


def _values(reading: Reading) -> list[tuple[int, int, bytes, bool]]:
    return [(message.at, message.opcode, bytes(message.data), message.whole) for message in reading.messages]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("mask", [b"", b"\x00\x00\x00\x00", b"\x01\x80\xff\x7f"])
def test_every_length(size: int, mask: bytes) -> None:
    """A frame of any length, masked or not, and the one behind it."""
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    reading = _read(_frame(FIN | BINARY, data, mask=mask), _frame(FIN | TEXT, HELLO, mask=mask))
    assert [(1, BINARY, data, True), (2, TEXT, HELLO, True)] == _values(reading)
    assert (None, False) == (reading.fault, reading.full)


def test_examples_of_the_specification() -> None:
    """RFC 6455, 5.7: what is sent there is read here."""
    reading = _read(
        bytes.fromhex("810548656c6c6f"),
        bytes.fromhex("818537fa213d7f9f4d5158"),
        bytes.fromhex("010348656c") + bytes.fromhex("80026c6f"),
        bytes.fromhex("890548656c6c6f"),
        bytes.fromhex("8a8537fa213d7f9f4d5158"),
    )
    assert [(1, TEXT), (2, TEXT), (3, TEXT), (4, PING), (5, PONG)] == [
        (message.at, message.opcode) for message in reading.messages
    ]
    assert {HELLO} == {bytes(message.data) for message in reading.messages}


def test_examples_of_permessage_deflate() -> None:
    """RFC 7692, 7.2.3: one block, with and without the window before it, uncompressed, final, and two blocks."""
    frames = (
        "c107f248cdc9c90700",
        "c105f200110000",
        "c10b000500faff48656c6c6f00",
        "c108f348cdc9c9070000",
        "c10df2480500 0000ffffcac9c90700",
    )
    assert [HELLO, HELLO, HELLO, HELLO, HELLO] == [
        bytes(message.data) for message in _read(*map(bytes.fromhex, frames)).messages
    ]


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages(takeover: bool) -> None:
    """The window of the messages before, kept or not, and a message that is not compressed between them."""
    compressor = zlib.compressobj(wbits=-9)
    texts = [b"again and again " * 20, b"", b"again and again " * 30]
    frames = [_frame(FIN | RSV1 | TEXT, _deflated(text, compressor if takeover else None)) for text in texts]
    frames.insert(1, _frame(FIN | TEXT, b"as it is"))
    assert [texts[0], b"as it is", *texts[1:]] == [bytes(message.data) for message in _read(*frames).messages]


@pytest.mark.parametrize("compress", [False, True])
def test_fragments_with_control_frames_between(compress: bool) -> None:
    """A message in fragments is one, at the time of its last; control frames stand for themselves."""
    data = _deflated(b"in three pieces") if compress else b"in three pieces"
    first = (RSV1 if compress else 0) | TEXT
    reading = _read(
        _frame(first, data[:3]),
        _frame(FIN | PING, b"a"),
        _frame(CONTINUATION, data[3:5]),
        _frame(FIN | CLOSE, b"\x03\xe8"),
        _frame(FIN | CONTINUATION, data[5:]),
    )
    assert [
        (2, PING, b"a", True),
        (4, CLOSE, b"\x03\xe8", True),
        (5, TEXT, b"in three pieces", True),
    ] == _values(reading)


def test_pieces_do_not_matter() -> None:
    """Frames are the same in whatever pieces they come; a message's time is that of its last byte."""
    wire = _frame(FIN | TEXT, HELLO) + _frame(FIN | BINARY, bytes(300), mask=b"abcd") + _frame(FIN | PING, b"")
    reading = _read(*[wire[index : index + 1] for index in range(len(wire))])
    assert [(7, TEXT, HELLO, True), (315, BINARY, bytes(300), True), (317, PING, b"", True)] == _values(reading)


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (_frame(FIN | TEXT, HELLO)[:-2], b"Hel"),
        (_frame(FIN | TEXT, HELLO, mask=b"abcd")[:-2], b"Hel"),
        (_frame(TEXT, HELLO), HELLO),
        (_frame(TEXT, HELLO) + _frame(FIN | CONTINUATION, HELLO)[:-1], b"HelloHell"),
        (_frame(FIN | RSV1 | TEXT, _deflated(bytes(range(256))))[:-10], bytes(range(246))),
    ],
)
def test_a_message_whose_end_is_missing(wire: bytes, data: bytes) -> None:
    """What there is of it, without its being whole."""
    [message] = _read(wire).messages
    assert (data, False) == (bytes(message.data)[: len(data)], message.whole)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_head_whose_end_is_missing(size: int) -> None:
    """A frame of which only the beginning of the head has come is none, and no fault."""
    assert Reading() == _read(_frame(FIN | TEXT, bytes(200))[:size])


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (b"\xff\xff\xff\xff", "no frame begins with 0xff"),
        (_frame(FIN | 3, b""), "no frame begins with 0x83"),
        (_frame(FIN | 0x20 | TEXT, b""), "no frame begins with 0xa1"),
        (_frame(FIN | CONTINUATION, b""), "a message begins within another one, or without its beginning"),
        (_frame(TEXT, b"") + _frame(TEXT, b""), "a message begins within another one, or without its beginning"),
        (_frame(FIN | RSV1 | TEXT, b"\xff\xff"), "Error -3 while decompressing data: invalid block type"),
    ],
)
def test_bytes_that_are_no_frames(wire: bytes, fault: str) -> None:
    """What came before is read, and the fault is said."""
    reading = _read(_frame(FIN | TEXT, HELLO), wire, _frame(FIN | TEXT, HELLO))
    assert (1, TEXT, HELLO, True) == _values(reading)[0]
    assert fault == reading.fault
    assert all(not message.whole for message in reading.messages[1:])


def test_a_decoded_message_is_bounded() -> None:
    """A message that decodes to more than the limit is cut there, and nothing is read behind it."""
    bomb = _frame(FIN | RSV1 | BINARY, _deflated(bytes(10_000_000)))
    assert len(bomb) < 20_000
    reading = _read(bomb, _frame(FIN | TEXT, HELLO), limit=20_000)
    assert [(1, BINARY, bytes(20_000), False)] == _values(reading)
    assert reading.full


def test_decoding_takes_no_more_memory_than_the_limit() -> None:
    """What is beyond the limit is not decoded first and cut then."""
    bomb = _frame(FIN | RSV1 | BINARY, _deflated(bytes(30_000_000)))
    tracemalloc.start()
    try:
        reading = _read(bomb, limit=40_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (40_000, True) == (len(reading.messages[0].data), peak_bytes < 1_000_000)


def test_decoded_messages_are_bounded_together() -> None:
    """The limit is that of a direction, not of a message."""
    frames = [_frame(FIN | RSV1 | BINARY, _deflated(bytes(600))) for _ in range(3)]
    reading = _read(*frames, limit=1000)
    assert [(True, 600), (False, 400)] == [(message.whole, len(message.data)) for message in reading.messages]
    assert reading.full


def test_the_number_of_messages_is_bounded() -> None:
    """A message more than the most is not read."""
    ping = _frame(FIN | PING, b"")
    for more in (0, 1):
        reading = _read(ping * (MAX_MESSAGES + more))
        assert (MAX_MESSAGES, bool(more)) == (len(reading.messages), reading.full)


def test_the_number_of_frames_is_bounded() -> None:
    """A message in more frames than the most is read as far as that."""
    empty = _frame(CONTINUATION, b"")
    for more in (0, 1):
        reading = _read(_frame(TEXT, HELLO) + empty * (MAX_FRAMES - 1 + more))
        assert ([(1, TEXT, HELLO, False)], bool(more)) == (_values(reading), reading.full)


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_compressed_streams_is_bounded(more: int) -> None:
    """Each message may end its stream (RFC 7692, 7.2.3.4), one message any number of them; not more than the most."""
    ended = b"\x03\x00"
    # The sync flush that is put behind the message's end completes the empty block that begins with the zero.
    reading = _read(
        _frame(FIN | RSV1 | TEXT, ended * (MAX_STREAMS - 1 + more)), _frame(FIN | RSV1 | TEXT, ended + b"\0")
    )
    assert bool(more) is reading.full


def test_two_megabytes_of_ended_streams() -> None:
    """A hostile frame is read as far as the limit, in time that does not grow with its square."""
    reading = _read(_frame(FIN | RSV1 | TEXT, b"\x03\x00" * 1_000_000), _frame(FIN | TEXT, HELLO))
    assert ([(1, TEXT, b"", False)], True, None) == (_values(reading), reading.full, reading.fault)
