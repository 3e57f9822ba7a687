"""A server that answers every request with the same large body, from one buffer, to as many clients as there are."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from servers.server import Listener

if TYPE_CHECKING:
    from types import TracebackType

_BACKLOG = 1_024
_PIECE = bytes(1024 * 1024)


class FloodServer:
    """Answers `GET` on loopback with `size_bytes` zeros of announced length, and closes."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._listener: Listener | None = None

    def __enter__(self) -> FloodServer:  # noqa: PYI034 - `Self` is not in typing of 3.10
        self._listener = Listener("flood", self._serve, socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()

    @property
    def url(self) -> str:
        """Where it answers."""
        assert self._listener is not None
        host, port = self._listener.address
        return f"http://{host}:{port}/"

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            piece = connection.recv(65_536)
            if not piece:
                return
            received += piece
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"
            f"Content-Length: {self._size_bytes}\r\n\r\n"
        )
        connection.sendall(head.encode())
        left = self._size_bytes
        with memoryview(_PIECE) as zeros:
            while left:
                with zeros[: min(left, len(zeros))] as piece_of_zeros:
                    connection.sendall(piece_of_zeros)
                    left -= len(piece_of_zeros)
