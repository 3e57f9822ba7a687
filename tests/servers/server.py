"""The recording server: one thread listens, one serves each connection, one each for the control port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import trustme

from servers import stream_routes  # noqa: F401 - it adds its routes
from servers.channel import Channel, Disconnected
from servers.gates import PATIENCE_S, Gates
from servers.odd_routes import interrupt
from servers.routes import answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from servers.records import Exchange

_HOST = "127.0.0.1"


def unused_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Listener:
    """Accepts connections and gives each a thread; closing it closes them all."""

    def __init__(
        self,
        name: str,
        serve: Callable[[socket.socket], None],
        listening: socket.socket,
        handshake: Callable[[socket.socket], socket.socket] | None = None,
    ) -> None:
        self._name = name
        self._serve = serve
        self._handshake = handshake
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._socket = listening
        self.address: Any = self._socket.getsockname()
        self._acceptor = threading.Thread(target=self._accept, name=f"{name} listener", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Close the port and every connection, and wait for the threads."""
        self._closing = True
        # A connection to itself wakes `accept` on every platform.
        with contextlib.suppress(OSError), socket.socket(self._socket.family) as waker:
            waker.connect(self.address)
        self._acceptor.join(PATIENCE_S)
        self._socket.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            thread = threading.Thread(target=self._run, args=(connection,), name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, plain: socket.socket) -> None:
        try:
            connection = plain if self._handshake is None else self._handshake(plain)
        except OSError:
            plain.close()
            return
        with connection:
            with self._lock:
                self._connections.add(connection)
            try:
                self._serve(connection)
            except (OSError, Disconnected):
                pass
            finally:
                with self._lock:
                    self._connections.discard(connection)


class RecordingServer:
    """An HTTP/1.1 server for the routes of `servers.routes`, remembering every exchange.

    Marks it sets in `gates`: `arrived <path>` once a request is read whole, `answered <path>` once its answer is sent,
    `closed <path>` once the connection of that request has ended.
    With TLS and a `handshake_delay_s`, it takes that long before it answers the client's hello.
    A line protocol on `control_port` gives programs in child processes the gates: `release NAME`, `wait TIMES NAME`.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        host: str = _HOST,
        socket_path: Path | None = None,
        handshake_delay_s: float = 0,
    ) -> None:
        self.gates = Gates()
        self.host = host
        self._socket_path = socket_path
        self._handshake_delay_s = handshake_delay_s
        self.scheme = "https" if tls else "http"
        self.ca_pem = b""
        self._context: ssl.SSLContext | None = None
        if tls:
            authority = trustme.CA()
            self.ca_pem = authority.cert_pem.bytes()
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(_HOST, "localhost", "::1", common_name="localhost").configure_cert(self._context)
        self._exchanges: list[Exchange] = []
        self._connection_count = 0
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._control: Listener | None = None

    def __enter__(self) -> RecordingServer:  # noqa: PYI034 - `Self` is not in typing of 3.10
        handshake = None if self._context is None else self._shake_hands
        self._listener = Listener("recording server", self._serve, self._listening(), handshake)
        self._control = Listener("recording server control", self._serve_control, socket.create_server((_HOST, 0)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gates.close()
        for listener in (self._listener, self._control):
            if listener is not None:
                listener.close()

    @property
    def port(self) -> int:
        """The port requests go to."""
        port: int = self._running(self._listener).address[1]
        return port

    @property
    def control_port(self) -> int:
        """The port of the line protocol."""
        port: int = self._running(self._control).address[1]
        return port

    @property
    def exchanges(self) -> list[Exchange]:
        """Every exchange so far, in the order in which their heads arrived."""
        with self._lock:
            return list(self._exchanges)

    @property
    def connection_count(self) -> int:
        """How many connections were opened so far."""
        return self._connection_count

    def of(self, path: str) -> list[Exchange]:
        """The exchanges of one path, whatever their query."""
        return [exchange for exchange in self.exchanges if exchange.request.path == path]

    def url(self, target: str) -> str:
        """The absolute URL of a target."""
        if self._socket_path is not None:
            return f"{self.scheme}://localhost{target}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{target}"

    def _listening(self) -> socket.socket:
        if self._socket_path is not None:
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(self._socket_path))
            listening.listen()
            return listening
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        return socket.create_server((self.host, 0), family=family, backlog=256)

    def _shake_hands(self, plain: socket.socket) -> socket.socket:
        time.sleep(self._handshake_delay_s)  # how slow this server is; nobody waits for it to pass
        if self._context is None:
            raise RuntimeError("There is no TLS.")
        return self._context.wrap_socket(plain, server_side=True)

    @staticmethod
    def _running(listener: Listener | None) -> Listener:
        if listener is None:
            raise RuntimeError("The server does not run: use it in a `with` statement.")
        return listener

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._connection_count += 1
            number = self._connection_count
        paths: list[str] = []
        try:
            self._converse(Channel(connection, number), paths)
        finally:
            for path in paths:
                self.gates.mark(f"closed {path}")

    def _converse(self, channel: Channel, paths: list[str]) -> None:
        while True:
            exchange = channel.read_head()
            path = exchange.request.path
            paths.append(path)
            with self._lock:
                self._exchanges.append(exchange)
            interrupt(exchange.request, channel, self.gates)
            channel.read_body(exchange.request)
            self.gates.mark(f"arrived {path}")
            answer(exchange.request, channel, self.gates, self.scheme)
            self.gates.mark(f"answered {path}")
            if exchange.request.first("connection").lower() == "close":
                return

    def _serve_control(self, connection: socket.socket) -> None:
        with connection.makefile("r", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                command, _, argument = line.strip().partition(" ")
                done = True
                if command == "release":
                    self.gates.release(argument)
                else:
                    times, _, name = argument.partition(" ")
                    done = self.gates.wait(name, int(times))
                connection.sendall(b"ok\n" if done else b"timeout\n")
