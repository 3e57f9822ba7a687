"""A proxy for CONNECT: it opens a way to whatever it is asked for, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_HOST = "127.0.0.1"
_BYTES = 65536


class TunnelProxy:
    """Answers CONNECT with 200 and then carries bytes both ways (RFC 9110, 9.3.6); with `refuse`, with 403."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.heads: list[bytes] = []
        self._refuse = refuse
        self._listening = socket.create_server((_HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """What a client is told of it."""
        return f"http://{_HOST}:{self.port}"

    def __enter__(self) -> TunnelProxy:  # noqa: PYI034 - `Self` is not in typing of 3.10
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type] # a method of this class
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = client.recv(1)
            if not piece:
                return
            head += piece
        self.heads.append(head)
        if self._refuse:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split(b" ", 2)[1].decode().rpartition(":")
        upstream = socket.create_connection((host.strip("[]"), int(port)))
        self._open.append(upstream)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._start(_carry, upstream, client)
        _carry(client, upstream)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
