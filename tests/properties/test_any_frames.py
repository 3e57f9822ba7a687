"""Frames that another implementation wrote are read, and no bytes at all are more than a fault."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol

from otel_har.budget import ByteBudget
from otel_har.duplex import Passage
from otel_har.limits import CaptureLimits
from otel_har.mapping.frames import BINARY, PING, PONG, TEXT, Message, read_messages

any_frames = settings(max_examples=200, deadline=None)

payloads = st.binary(max_size=200) | st.sampled_from([125, 126, 127, 65_535, 65_536]).map(bytes)
texts = st.text(st.characters(codec="utf-8"), max_size=100)
fragments = st.lists(texts, min_size=1, max_size=3) | st.lists(payloads, min_size=1, max_size=3)
controls = st.sampled_from([PING, PONG]).flatmap(lambda kind: st.tuples(st.just(kind), st.binary(max_size=125)))
messages = st.lists(fragments | controls, max_size=6)


def _written(
    protocol: FrameProtocol, message: list[str] | list[bytes] | tuple[int, bytes]
) -> tuple[bytes, tuple[int, bytes]]:
    """A message or control frame as wsproto writes it, and what it is."""
    if isinstance(message, tuple):
        kind, payload = message
        return bytes(protocol.ping(payload) if kind == PING else protocol.pong(payload)), message
    wire = b"".join(protocol.send_data(part, fin=False) for part in message[:-1]) + protocol.send_data(message[-1])
    parts = [part.encode() if isinstance(part, str) else part for part in message]
    return wire, (TEXT if isinstance(message[0], str) else BINARY, b"".join(parts))


@any_frames
@given(messages, st.booleans(), st.booleans(), st.booleans(), st.integers(1, 5000))
def test_written_messages_are_read(
    sent: list[list[str] | list[bytes] | tuple[int, bytes]], client: bool, deflate: bool, forget: bool, size: int
) -> None:
    """Messages and control frames of either side, compressed or not, in fragments, in pieces of any size."""
    extension = PerMessageDeflate(client_no_context_takeover=forget, server_no_context_takeover=forget)
    extension.finalize("permessage-deflate")
    protocol = FrameProtocol(client=client, extensions=[extension] if deflate else [])
    written = [_written(protocol, message) for message in sent]
    wire = b"".join(data for data, _ in written)
    size = max(size, len(wire) // 10_000)  # in pieces that are not too many
    passage = Passage(CaptureLimits(10_000_000, ByteBudget(100_000_000)))
    for at, start in enumerate(range(0, len(wire), size)):
        passage.note(wire[start : start + size], at)
    reading = read_messages(passage)
    assert [what for _, what in written] == [(message.opcode, bytes(message.data)) for message in reading.messages]
    assert (None, False, True) == (reading.fault, reading.full, all(one.whole for one in reading.messages))


@any_frames
@given(st.lists(st.binary(max_size=40), max_size=10), st.sampled_from([0, 1, 10, 1000]))
@example([b"\xc1\x7f\xff\xff\xff\xff\xff\xff\xff\xff"], 1000)
def test_any_bytes_are_read_as_far_as_they_go(pieces: list[bytes], limit: int) -> None:
    """Reading neither fails nor gives more than the limit, and only the last message may lack its end."""
    passage = Passage(CaptureLimits(limit, ByteBudget(1000)))
    for at, piece in enumerate(pieces):
        passage.note(piece, at)
    reading = read_messages(passage)
    assert sum(len(message.data) for message in reading.messages) <= limit
    assert all(message.whole for message in reading.messages[:-1])
    assert sorted(reading.messages, key=_at) == reading.messages


def _at(message: Message) -> int:
    return message.at
