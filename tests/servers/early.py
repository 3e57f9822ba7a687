"""A server that answers before it has read the request's body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers.channel import Disconnected
from servers.server import RecordingServer

if TYPE_CHECKING:
    from servers.channel import Channel
    from servers.records import Exchange

_HEADERS = (("Content-Type", "text/plain"), ("Content-Length", "5"))


class EarlyServer(RecordingServer):
    """Answers by the path, having read the head only.

    - `/refuse`: 413, and what comes is thrown away until the client leaves.
    - `/leave`: 413, `leaving <path>` is marked, and the connection is closed with the body unread.
    - `/expect/STATUS`: the status instead of 100 Continue, and the connection stays.
    - `/duplex`: a whole answer, then the body is read as everywhere else.
    - any other path: the body is read as everywhere else, and answered.
    """

    def _converse(self, channel: Channel, paths: list[str]) -> None:
        while True:
            exchange = channel.read_head()
            path = exchange.request.path
            paths.append(path)
            with self._lock:
                self._exchanges.append(exchange)
            self._answer(exchange, channel)
            self.gates.mark(f"answered {path}")

    def _answer(self, exchange: Exchange, channel: Channel) -> None:
        name, _, argument = exchange.request.path.removeprefix("/").partition("/")
        if name in {"refuse", "leave"}:
            channel.send_head("HTTP/1.1 413 Content Too Large", [*_HEADERS, ("Connection", "close")])
            channel.send_body(b"large")
            if name == "refuse":
                channel.wait_for_end()
            self.gates.mark(f"leaving {exchange.request.path}")
            raise Disconnected
        if name == "expect":
            channel.send_head(f"HTTP/1.1 {argument} Status", _HEADERS)
            channel.send_body(b"as is")
            return
        if name == "duplex":
            channel.send_head("HTTP/1.1 200 OK", _HEADERS)
            channel.flush()
            channel.read_body(exchange.request)
            channel.send_body(b"after")
            return
        channel.read_body(exchange.request)
        channel.send_head("HTTP/1.1 200 OK", _HEADERS)
        channel.send_body(b"whole")
