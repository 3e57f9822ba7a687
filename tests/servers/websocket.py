"""The server's end of a WebSocket, written by hand from RFC 6455 and RFC 7692, noting every message and control frame.

It echoes each message. A text that begins with `!` is an order instead: see `_ORDERS`. The query of the handshake may
ask for a message in one packet with its head (`early`), or spoil it (`accept`).
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

from servers.channel import Disconnected
from servers.records import SeenMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.channel import Channel
    from servers.gates import Gates
    from servers.records import SeenRequest

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

EARLY = "sent before you asked: ä"
"""The message of a handshake with `early`."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FLUSHED = b"\x00\x00\xff\xff"
_FAILED = (struct.pack("!H", 1002), struct.pack("!H", 1007))  # whoever closes so reads no more (RFC 6455, 7.1.7)
_FIN, _COMPRESSED, _MASKED = 0x80, 0x40, 0x80


class Peer:
    """The server's end of one WebSocket."""

    def __init__(self, channel: Channel, gates: Gates, *, deflate: bool) -> None:
        self.channel = channel
        self.gates = gates
        self.deflates = deflate
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def send(self, opcode: int, data: bytes, *, pieces: int = 1) -> None:
        """Send a message in so many frames, with a ping between each two of them if it is not compressed.

        Clients that lose a compressed message there are about: aiohttp until 3.13 is one.
        """
        message = SeenMessage("receive", opcode, data)
        compressed = self.deflates and opcode < CLOSE
        if compressed:
            data = (self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_FLUSHED)
        size = -(-len(data) // pieces)
        for index in range(pieces):
            if index == pieces - 1:
                self.channel.note(message)
            head = (_FIN if index == pieces - 1 else 0) | (opcode if not index else CONTINUATION)
            self._send_frame(head | (_COMPRESSED if compressed and not index else 0), data[index * size :][:size])
            if index < pieces - 1 and not compressed:
                self.channel.note(SeenMessage("receive", PING, b"between"))
                self._send_frame(_FIN | PING, b"between")

    def _send_frame(self, first: int, data: bytes) -> None:
        if len(data) < 126:
            head = struct.pack("!BB", first, len(data))
        elif len(data) < 1 << 16:
            head = struct.pack("!BBH", first, 126, len(data))
        else:
            head = struct.pack("!BBQ", first, 127, len(data))
        self.channel.send_upgraded(head + data)

    def receive(self) -> SeenMessage:
        """Receive a message or control frame.

        Raises:
            Disconnected: The client sends no more.
        """
        opcode, data, compressed = 0, b"", False
        while True:
            first, frame = self._receive_frame()
            if first & 0x08:
                return self._noted(first & 0x0F, frame)
            compressed = compressed or bool(first & _COMPRESSED)
            opcode, data = opcode or first & 0x0F, data + frame
            if first & _FIN:
                return self._noted(opcode, self._inflater.decompress(data + _FLUSHED) if compressed else data)

    def _noted(self, opcode: int, data: bytes) -> SeenMessage:
        message = SeenMessage("send", opcode, data)
        self.channel.note(message)
        return message

    def _receive_frame(self) -> tuple[int, bytes]:
        first, length = self.channel.take(2)
        if not length & _MASKED:
            raise Disconnected
        length &= 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.channel.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.channel.take(8))
        mask = self.channel.take(4)
        masked = self.channel.take(length)
        key = (mask * (length // 4 + 1))[:length]
        return first, (int.from_bytes(masked, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def _fragment(peer: Peer, _argument: str) -> None:
    peer.send(TEXT, "in three pieces: äöü".encode(), pieces=3)


def _ping(peer: Peer, argument: str) -> None:
    peer.send(PING, argument.encode())


def _close(peer: Peer, argument: str) -> None:
    """Close with a code and a reason; the client's answer is read by whoever receives next."""
    code, _, reason = argument.partition(" ")
    peer.send(CLOSE, struct.pack("!H", int(code)) + reason.encode())


def _reset(peer: Peer, _argument: str) -> None:
    peer.channel.reset()


def _hang_up(_peer: Peer, _argument: str) -> None:
    raise Disconnected


def _half(peer: Peer, _argument: str) -> None:
    """Half a message, then the end of the connection."""
    peer.channel.send_upgraded(struct.pack("!BB", _FIN | TEXT, 20) + b"ten bytes.")
    raise Disconnected


def _garbage(peer: Peer, _argument: str) -> None:
    peer.channel.send_upgraded(b"\xff\xff\xff\xff")


def _not_utf8(peer: Peer, _argument: str) -> None:
    peer.send(TEXT, b"not \xff UTF-8")


def _huge(peer: Peer, argument: str) -> None:
    peer.send(BINARY, bytes(range(256)) * (int(argument) // 256))


def _zeros(peer: Peer, argument: str) -> None:
    """A message that compresses a thousandfold."""
    peer.send(BINARY, bytes(int(argument)))


def _many(peer: Peer, argument: str) -> None:
    for number in range(int(argument)):
        peer.send(TEXT, f"number {number}".encode())


def _beats(peer: Peer, argument: str) -> None:
    """Answer so many pings, then say so."""
    for _ in range(int(argument)):
        peer.send(PONG, peer.receive().data)
    peer.send(TEXT, b"enough")


def _gate(peer: Peer, argument: str) -> None:
    """Wait at a gate, then answer."""
    if not peer.gates.enter(argument):
        raise Disconnected
    peer.send(TEXT, b"through the gate")


_ORDERS: dict[str, Callable[[Peer, str], None]] = {
    "!fragment": _fragment,
    "!ping": _ping,
    "!close": _close,
    "!reset": _reset,
    "!hang-up": _hang_up,
    "!half": _half,
    "!garbage": _garbage,
    "!not-utf8": _not_utf8,
    "!huge": _huge,
    "!zeros": _zeros,
    "!many": _many,
    "!beats": _beats,
    "!gate": _gate,
}


def converse(request: SeenRequest, channel: Channel, gates: Gates, query: dict[str, str]) -> None:
    """Answer a handshake, then the messages, until the client closes or an order ends it.

    Raises:
        Disconnected: The connection is over.
    """
    deflate = "permessage-deflate" in request.first("sec-websocket-extensions") and "plain" not in query
    key = request.first("sec-websocket-key").encode()
    accept = query.get("accept") or base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    if deflate:
        takeover = "; server_no_context_takeover; client_no_context_takeover" if "forget" in query else ""
        headers.append(("Sec-WebSocket-Extensions", "permessage-deflate" + takeover))
    protocol = request.first("sec-websocket-protocol").partition(",")[0].strip()
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    channel.send_head("HTTP/1.1 101 Switching Protocols", headers)
    peer = Peer(channel, gates, deflate=deflate)
    if "early" in query:
        peer.send(TEXT, EARLY.encode())  # in one packet with the head
    channel.flush()
    gates.mark(f"upgraded {request.path}")
    while True:
        message = peer.receive()
        if message.opcode == TEXT and message.data.startswith(b"!"):
            order, _, argument = message.data.decode().partition(" ")
            _ORDERS[order](peer, argument)
        elif message.opcode in {TEXT, BINARY}:
            peer.send(message.opcode, message.data)
        elif message.opcode == PING:
            peer.send(PONG, message.data)
        elif message.opcode == CLOSE:
            sent = [seen for seen in channel.messages if seen == SeenMessage("receive", CLOSE, seen.data)]
            if not sent and message.data[:2] not in _FAILED:
                peer.send(CLOSE, message.data)
            raise Disconnected
