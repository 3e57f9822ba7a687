"""Servers that break a connection before there is a request to speak of: on arrival, or in the TLS handshake."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from servers.server import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PEEKED_BYTES = 65536


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _reset_unread(connection: socket.socket) -> None:
    """Wait until the client has sent something, and reset without reading it."""
    connection.recv(_PEEKED_BYTES, socket.MSG_PEEK)
    _reset(connection)


def _close_unread(connection: socket.socket) -> None:
    """The same, politely; a close with unread bytes is a reset as well (RFC 9293, 3.10.4)."""
    connection.recv(_PEEKED_BYTES, socket.MSG_PEEK)


def _reset_in_handshake(connection: socket.socket) -> None:
    """Read the ClientHello and reset."""
    connection.recv(_PEEKED_BYTES)
    _reset(connection)


def _close_in_handshake(connection: socket.socket) -> None:
    """Read the ClientHello and close."""
    connection.recv(_PEEKED_BYTES)


def _garbage_in_handshake(connection: socket.socket) -> None:
    """Answer the ClientHello in plain HTTP."""
    connection.recv(_PEEKED_BYTES)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _alert_in_handshake(connection: socket.socket) -> None:
    """Answer the ClientHello with the fatal alert handshake_failure (RFC 8446, 6)."""
    connection.recv(_PEEKED_BYTES)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


RUDE: dict[str, tuple[str, Callable[[socket.socket], None]]] = {
    "reset-unread": ("http", _reset_unread),
    "close-unread": ("http", _close_unread),
    "tls-reset": ("https", _reset_in_handshake),
    "tls-close": ("https", _close_in_handshake),
    "tls-garbage": ("https", _garbage_in_handshake),
    "tls-alert": ("https", _alert_in_handshake),
}
"""What each does, and the scheme to ask it with."""


@contextmanager
def rude_servers() -> Iterator[dict[str, str]]:
    """A server for each kind of rudeness: their URLs by name, without a path."""
    with ExitStack() as stack:
        urls = {}
        for name, (scheme, serve) in RUDE.items():
            listener = Listener(name, serve, socket.create_server(("127.0.0.1", 0)))
            stack.callback(listener.close)
            urls[name] = f"{scheme}://127.0.0.1:{listener.address[1]}"
        yield urls
