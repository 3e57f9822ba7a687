"""One connection of the server: reads requests off a socket and sends answers, noting both before anything happens."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from servers.records import Exchange, SeenMessage, SeenRequest, SentResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK_BYTES = 65536


class Disconnected(Exception):  # noqa: N818 - the end of a conversation, not an error
    """The connection is over, by the client's will or by a route's."""


class Channel:
    """A connection: its socket, its number, and the exchange going on."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.number = number
        peer = connection.getpeername()
        self.client_port: int = peer[1] if isinstance(peer, tuple) else 0  # of a Unix socket there is none
        self._socket = connection
        self._buffer = b""
        self._response = SentResponse()
        self.messages: list[SeenMessage] = []
        self._held = b""

    def read_head(self) -> Exchange:
        """Read the head of the next request.

        Raises:
            Disconnected: The client sends no more.
        """
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        exchange = Exchange(self.number, self.client_port, SeenRequest(head + b"\r\n\r\n"))
        self._response, self.messages = exchange.response, exchange.messages
        return exchange

    def read_body(self, request: SeenRequest) -> None:
        """Read the request's body to its end, telling a client that asks for it to continue."""
        if request.first("expect").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.first("transfer-encoding").lower() == "chunked":
            self._read_chunked(request)
        else:
            request.body = request.wire_body = self._take(int(request.first("content-length", "0")))
        request.is_whole = True

    def read_part(self, request: SeenRequest, size_bytes: int) -> None:
        """Read the first bytes of a request's body of known length, and leave the rest."""
        request.body = request.wire_body = self._take(size_bytes)

    def send_head(self, status_line: str, headers: Sequence[tuple[str, str | bytes]]) -> None:
        """Send a status line and headers exactly as given, in one piece with what follows or at the next `flush`."""
        lines = [status_line.encode("latin-1")]
        lines += [
            name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in headers
        ]
        self._response.head = b"\r\n".join(lines) + b"\r\n\r\n"
        self._held = self._response.head

    def flush(self) -> None:
        """Send a head that nothing followed."""
        self._send(b"")

    def send_body(
        self, encoded: bytes, *, body: bytes | None = None, chunked: bool = False, extension: bytes = b""
    ) -> None:
        """Send a piece of the body, as a chunk of its own if `chunked`; `body` is what it decodes to, if it differs."""
        wire = b"%x%b\r\n%b\r\n" % (len(encoded), extension, encoded) if chunked else encoded
        self._response.encoded += encoded
        self._response.body += encoded if body is None else body
        self._response.wire += wire
        self._send(wire)

    def send_exactly(self, interim: bytes, head: bytes, wire: bytes, *, encoded: bytes, body: bytes) -> None:
        """Send a whole answer in one piece, noting it as what it is said to be."""
        response = self._response
        response.interim, response.head, response.wire = interim, head, wire
        response.encoded, response.body = encoded, body
        self._send(interim + head + wire)

    def send_last_chunk(self, trailers: Sequence[tuple[str, str]] = ()) -> None:
        """Send the chunk that ends a chunked body, and trailer fields."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in trailers)
        wire = b"0\r\n" + fields.encode("latin-1") + b"\r\n"
        self._response.wire += wire
        self._send(wire)

    def send_garbage(self, wire: bytes) -> None:
        """Send bytes that belong to no body."""
        self._response.wire += wire
        self._send(wire)

    def take(self, size_bytes: int) -> bytes:
        """Read exactly so many bytes that belong to no request, of a connection that was upgraded.

        Raises:
            Disconnected: The client sends no more.
        """
        return self._take(size_bytes)

    def send_upgraded(self, data: bytes) -> None:
        """Send bytes that belong to no response, in one piece with a head that nothing followed."""
        self._response.upgraded += data
        self._send(data)

    def note(self, message: SeenMessage) -> None:
        """Note a message of a connection that was upgraded."""
        self.messages.append(message)

    def reset(self) -> None:
        """End the connection with RST.

        Raises:
            Disconnected: Always.
        """
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection with FIN.

        Raises:
            Disconnected: Always.
        """
        self._socket.close()
        raise Disconnected

    def wait_for_end(self) -> None:
        """Read, and forget, until the client closes the connection."""
        while True:
            self._receive()

    def _send(self, data: bytes) -> None:
        held, self._held = self._held, b""
        try:
            self._socket.sendall(held + data)
        except OSError as error:
            raise Disconnected from error

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        self._buffer += data

    def _take(self, size_bytes: int) -> bytes:
        while len(self._buffer) < size_bytes:
            self._receive()
        taken, self._buffer = self._buffer[:size_bytes], self._buffer[size_bytes:]
        return taken

    def _take_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _read_chunked(self, request: SeenRequest) -> None:
        while True:
            line = self._take_line()
            chunk = self._take(int(line.partition(b";")[0], 16))
            self._take_line()
            request.body += chunk
            request.wire_body += line + b"\r\n" + chunk + b"\r\n"
            if not chunk:
                return
