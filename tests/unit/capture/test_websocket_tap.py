"""The taps around a WebSocket's connection, between a real client and a real server."""

from __future__ import annotations

import asyncio
import gc
import types
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from otel_har.budget import ByteBudget
from otel_har.capture.websocket_tap import ProtocolTap, TransportTap, WebSocketNotes, tap_websocket
from otel_har.duplex import Duplex
from otel_har.exchange import Exchange
from otel_har.guard import fault_counts
from otel_har.limits import CaptureLimits
from otel_har.mapping.frames import TEXT, read_messages
from servers import RecordingServer, SeenMessage
from servers.websocket import EARLY

if TYPE_CHECKING:
    from collections.abc import Iterator


class _BrokenBudget(ByteBudget):
    """A fault of ours."""

    def take(self, count: int, *, may_wait: bool = True) -> bool:
        raise LookupError(count, may_wait)


class _Client:
    """A real aiohttp session, whose WebSockets are tapped."""

    def __init__(self, limits: CaptureLimits | None = None) -> None:
        self._limits = limits or CaptureLimits()
        self.exchange = Exchange("GET", "ws://h.test/", started_unix_ns=1, started=1, limits=self._limits)
        self.tapped: bool | None = None
        tracing = aiohttp.TraceConfig()
        tracing.on_request_end.append(self._ended)
        self.session = aiohttp.ClientSession(trace_configs=[tracing])

    async def _ended(
        self, _session: aiohttp.ClientSession, _context: types.SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        self.tapped = tap_websocket(self.exchange, params.response, self._limits)

    def messages(self) -> list[SeenMessage]:
        """What was noted, as the server notes it, first what was sent."""
        duplex = self.exchange.duplex
        assert duplex is not None
        return [
            SeenMessage(kind, message.opcode, bytes(message.data))
            for kind, passage in (("send", duplex.sent), ("receive", duplex.received))
            for message in read_messages(passage).messages
        ]


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


async def _talk(client: _Client, server: RecordingServer, path: str = "/websocket") -> None:
    async with client.session, client.session.ws_connect(server.url(path)) as socket:
        if "early" in path:
            assert EARLY == await socket.receive_str()
        await socket.send_str("hello")
        assert "hello" == await socket.receive_str()


@pytest.mark.parametrize("path", ["/websocket", "/websocket?early=1"])
async def test_what_passes_is_noted(server: RecordingServer, path: str) -> None:
    """Both directions, from the first byte behind the handshake to the close frames; then the exchange is finished."""
    client = _Client()
    await _talk(client, server, path)
    seen = server.exchanges[0].messages
    assert [one for kind in ("send", "receive") for one in seen if one.type == kind] == client.messages()
    assert (True, True) == (client.tapped, client.exchange.finished)


async def test_a_fault_of_ours_is_not_the_programs(server: RecordingServer) -> None:
    """Where noting fails, the conversation goes on, and the fault is counted."""
    client = _Client(CaptureLimits(budget=_BrokenBudget(1)))
    await _talk(client, server)
    assert [] == client.messages()
    assert fault_counts()["noting what came over a WebSocket: LookupError"] > 0
    assert fault_counts()["noting what went over a WebSocket: LookupError"] > 0


async def test_a_closed_socket_holds_nothing(server: RecordingServer) -> None:
    """A program may keep a closed socket: what was noted goes with its exchange."""
    budget = ByteBudget(1000)
    client = _Client(CaptureLimits(budget=budget))
    async with client.session, client.session.ws_connect(server.url("/websocket")) as socket:
        await socket.send_str("hello")
        assert "hello" == await socket.receive_str()
    assert budget.taken_bytes > len("hello") * 2
    del client.exchange
    gc.collect()
    assert (True, 0) == (socket.closed, budget.taken_bytes)


async def test_the_taps_stand_for_what_they_wrap(server: RecordingServer) -> None:
    """Class, attributes and the ties between transport and protocol are those without taps."""
    client = _Client()
    async with client.session, client.session.ws_connect(server.url("/websocket")) as socket:
        connection = socket._response.connection
        assert connection is not None
        transport: Any = connection.transport
        protocol: Any = connection.protocol
        assert isinstance(transport, TransportTap)
        inner: Any = transport.__wrapped__
        assert isinstance(inner, asyncio.Transport) is isinstance(transport, asyncio.Transport)  # uvloop's are not
        assert (inner.__class__, repr(inner)) == (transport.__class__, repr(transport))
        assert protocol is transport.get_protocol()
        tap = inner.get_protocol()
        assert isinstance(tap, ProtocolTap)
        assert isinstance(tap, asyncio.Protocol)
        assert not isinstance(tap, asyncio.BufferedProtocol)
        assert protocol is tap.__wrapped__
        assert not hasattr(transport, "no_such_thing")


async def test_pieces_written_together_are_noted(server: RecordingServer) -> None:
    """`writelines`, from an iterator too, sends and notes each piece."""
    client = _Client()
    async with client.session, client.session.ws_connect(server.url("/websocket")) as socket:
        connection = socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.writelines(iter([b"\x81\x82", b"\x00\x00\x00\x00", b"hi"]))
        assert "hi" == await socket.receive_str()
    assert SeenMessage("send", TEXT, b"hi") == client.messages()[0]


async def test_an_aborted_connection_is_finished(server: RecordingServer) -> None:
    """The end that the client makes itself needs no word of the transport."""
    client = _Client()
    async with client.session, client.session.ws_connect(server.url("/websocket")) as socket:
        connection = socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        assert client.exchange.finished
    assert client.exchange.error is None


@pytest.mark.parametrize("path", ["/json", "/status/403"])
async def test_other_answers_are_left_alone(server: RecordingServer, path: str) -> None:
    """What is no WebSocket has no taps."""
    client = _Client()
    async with client.session, client.session.get(server.url(path)) as response:
        assert (False, None) == (client.tapped, client.exchange.duplex)
        await response.read()


def _response(protocol: object) -> Any:
    """A 101 response with a connection of some kind."""
    connection = types.SimpleNamespace(protocol=protocol) if protocol is not None else None
    return types.SimpleNamespace(status=101, headers={"Upgrade": "WebSocket"}, connection=connection)


class _Transport(asyncio.Transport):
    """A transport that only knows its protocol."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


class _Protocol(asyncio.Protocol):
    """A protocol as aiohttp's, as far as it is asked."""

    def __init__(self, tail: object) -> None:
        self.transport: asyncio.BaseTransport | None = _Transport(self)
        self._tail = tail


class _Buffered(asyncio.BufferedProtocol, _Protocol):
    """One that fills buffers instead."""


def _of_another() -> _Protocol:
    protocol = _Protocol(b"")
    protocol.transport = _Transport(asyncio.Protocol())
    return protocol


@pytest.mark.parametrize(
    "protocol",
    [None, types.SimpleNamespace(transport=None), _Protocol(None), _Protocol([b""]), _Buffered(b""), _of_another()],
    ids=["no connection", "no transport", "no tail", "another tail", "buffers", "another's"],
)
def test_connections_of_another_kind_are_left_alone(protocol: Any) -> None:
    """A connection whose bytes cannot be known from the first one on is not touched, and the exchange says so."""
    exchange = Exchange("GET", "ws://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())
    before = getattr(protocol, "transport", None)
    assert tap_websocket(exchange, _response(protocol), CaptureLimits()) is False
    assert exchange.duplex is not None
    assert (exchange.duplex.unrecorded or "").startswith("the connection ")
    assert before is getattr(protocol, "transport", None)


def test_a_tap_that_fails_says_so() -> None:
    """A transport that takes no other protocol: the exchange has the handshake, and no claim of more."""
    protocol = _Protocol(b"")
    before = protocol.transport
    exchange = Exchange("GET", "ws://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())
    assert not tap_websocket(exchange, _response(protocol), CaptureLimits())
    assert exchange.duplex is not None
    assert "noting failed" == exchange.duplex.unrecorded
    assert before is protocol.transport


def test_a_lost_connection_is_an_error() -> None:
    """The first end counts, with its reason."""
    limits = CaptureLimits()
    exchange = Exchange("GET", "ws://h.test/", started_unix_ns=1, started=1, limits=limits)
    notes = WebSocketNotes(exchange, Duplex(limits))
    notes.ended(ConnectionResetError(104, "reset"))
    notes.ended()
    assert ("ConnectionResetError: [Errno 104] reset", True) == (exchange.error, exchange.finished)
