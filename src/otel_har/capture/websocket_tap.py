"""Taps for a connection that became a WebSocket: its protocol, for what comes, and its transport, for what is sent.

The rule is that of `streams`: each stands for one object of one connection, passes every call on, and notes only. They
are put in by asyncio's own means, `transport.set_protocol` and the protocol's public `transport`, when the handshake's
response has come and before the client reads or writes a frame; such a connection never carries another exchange
(RFC 9110, 7.8). Bytes are noted as they are on the wire: frames are read in the worker.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from otel_har.capture.proxy import Tap
from otel_har.capture.streams import error_text
from otel_har.duplex import Duplex
from otel_har.exchange import Exchange
from otel_har.guard import guarded
from otel_har.limits import CaptureLimits

_SWITCHING_PROTOCOLS = 101
_FAILED = "noting failed"
_NO_CONNECTION = "the connection was not to be had"
_FOREIGN_PROTOCOL = "the connection is not of the kind whose bytes can be noted"


@guarded("noting a WebSocket")
def tap_websocket(exchange: Exchange, response: Any, limits: CaptureLimits) -> bool:
    """Note what passes over the connection of a response that makes it a WebSocket (RFC 6455, 4.1).

    Args:
        exchange: The handshake's; it is finished when the connection is closed.
        response: aiohttp's, from its `on_request_end` signal.
        limits: How much is kept, each way.

    Returns:
        False where nothing will be noted: then the exchange is finished with its response.
    """
    if response.status != _SWITCHING_PROTOCOLS or response.headers.get("Upgrade", "").lower() != "websocket":
        return False
    duplex = exchange.duplex = Duplex(limits, unrecorded=_FAILED)
    protocol: Any = getattr(response.connection, "protocol", None)
    transport: Any = getattr(protocol, "transport", None)
    obstacle = _obstacle(protocol, transport)
    if obstacle is not None:
        duplex.unrecorded = obstacle
        return False
    duplex.sent.body.rule = duplex.received.body.rule = exchange.response_body.rule
    notes = WebSocketNotes(exchange, duplex)
    notes.received(protocol._tail)  # noqa: SLF001 - what came with the handshake's head: no other name tells of it
    transport.set_protocol(ProtocolTap(protocol, notes))
    protocol.transport = TransportTap(transport, notes)
    duplex.unrecorded = None
    return True


def _obstacle(protocol: Any, transport: Any) -> str | None:
    """Why this connection cannot be tapped; None where it can.

    What has come already must be known, or frames would be read from the middle of the stream; and the protocol must
    be the one that the transport calls, by the methods that the tap has.
    """
    if transport is None:
        return _NO_CONNECTION
    is_known = isinstance(getattr(protocol, "_tail", None), bytes)
    if not is_known or isinstance(protocol, asyncio.BufferedProtocol) or transport.get_protocol() is not protocol:
        return _FOREIGN_PROTOCOL
    return None


class WebSocketNotes:
    """Notes what passes over one WebSocket, until the connection ends, and lets go of the exchange then.

    The program may keep a closed socket, and with it these notes, as long as it likes.

    Args:
        exchange: The handshake's.
        duplex: Where the bytes go.
    """

    __slots__ = ("_duplex", "_exchange")

    def __init__(self, exchange: Exchange, duplex: Duplex) -> None:
        self._exchange: Exchange | None = exchange
        self._duplex: Duplex | None = duplex

    @guarded("noting what came over a WebSocket")
    def received(self, data: Any) -> None:
        """The connection gave these bytes."""
        if data and self._duplex is not None:
            self._duplex.received.note(data, time.perf_counter_ns())

    @guarded("noting what went over a WebSocket")
    def sent(self, data: Any) -> None:
        """The client gave these bytes to the connection."""
        if data and self._duplex is not None:
            self._duplex.sent.note(data, time.perf_counter_ns())

    @guarded("noting the end of a WebSocket")
    def ended(self, error: BaseException | None = None) -> None:
        """The connection is closed, or lost for a reason; the first end counts."""
        exchange, self._exchange, self._duplex = self._exchange, None, None
        if exchange is not None:
            exchange.error = error_text(error) if error is not None else None
            exchange.finish(time.perf_counter_ns())


class ProtocolTap(Tap):
    """Stands for a connection's protocol towards its transport, which calls nothing but protocol methods."""

    __slots__ = ("_self_notes",)

    def __init__(self, wrapped: Any, notes: WebSocketNotes) -> None:
        super().__init__(wrapped)
        self._self_notes = notes

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._self_notes.received(data)
        self.__wrapped__.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        self._self_notes.ended(error)
        self.__wrapped__.connection_lost(error)


class TransportTap(Tap):
    """Stands for a connection's transport towards its protocol and its writer."""

    __slots__ = ("_self_notes",)

    def __init__(self, wrapped: Any, notes: WebSocketNotes) -> None:
        super().__init__(wrapped)
        self._self_notes = notes

    def write(self, data: Any) -> None:
        """Send bytes."""
        self.__wrapped__.write(data)
        self._self_notes.sent(data)

    def writelines(self, pieces: Any) -> None:
        """Send several pieces of bytes; they may come from an iterator."""
        pieces = list(pieces)
        self.__wrapped__.writelines(pieces)
        for piece in pieces:
            self._self_notes.sent(piece)

    def close(self) -> None:
        """Close once what was written is sent: nothing more will be received."""
        self.__wrapped__.close()
        self._self_notes.ended()

    def abort(self) -> None:
        """Close at once."""
        self.__wrapped__.abort()
        self._self_notes.ended()

    def get_protocol(self) -> Any:
        """The client's own protocol, which set this transport."""
        protocol = self.__wrapped__.get_protocol()
        return protocol.__wrapped__ if isinstance(protocol, ProtocolTap) else protocol
