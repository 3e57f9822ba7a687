"""What is known of connections: their identity, their other end."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.capture.connections import Connection, Connections, closed_connection_of, connection_of
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Thing:
    """What weak references can know."""


class _Slotted:
    """What weak references cannot know."""

    __slots__ = ()


class _Holder:
    """An `http.client` connection as far as it matters here."""


def _connections() -> Connections:
    return Connections(lambda _facts, _connection: None)


def _exchange() -> Exchange:
    return Exchange("GET", "http://a/", started_unix_ns=0, started=0, limits=CaptureLimits())


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def test_same_connection_same_identity() -> None:
    """As long as the holder holds the connection, its identity stays."""
    connections, holder, connection = _connections(), _Thing(), _Thing()
    first = connections.of(holder, connection)
    assert first is connections.of(holder, connection)
    assert str(first.id).startswith(f"{os.getpid()}.")


def test_next_connection_of_a_holder() -> None:
    """A holder that connects anew has another connection."""
    connections, holder, first, second = _connections(), _Thing(), _Thing(), _Thing()
    one, two = connections.of(holder, first), connections.of(holder, second)
    assert one.id != two.id
    assert two is connections.of(holder, second)


def test_connection_that_is_its_own_holder() -> None:
    """A protocol is its own holder; two are two."""
    connections, one, other = _connections(), _Thing(), _Thing()
    assert connections.of(one, one) is connections.of(one, one)
    assert connections.of(one, one).id != connections.of(other, other).id


def test_connection_at_the_address_of_a_dead_one() -> None:
    """A connection that is gone lends its identity to none that comes after it."""
    connections, holder = _connections(), _Thing()
    seen = set()
    for _ in range(20):
        seen.add(connections.of(holder, _Thing()).id)
        gc.collect()
    assert 20 == len(seen)


def test_let_go() -> None:
    """The connection just let go of keeps its identity for its last exchange, and the next one is another."""
    connections, holder, connection = _connections(), _Thing(), _Thing()
    first = connections.of(holder, connection)
    assert first is connections.last_of(holder)
    assert first.id != connections.last_of(holder).id
    assert first.id != connections.of(holder, connection).id


def test_what_no_weak_reference_knows() -> None:
    """Such a connection has a new identity each time, and nothing fails."""
    connections, slotted = _connections(), _Slotted()
    found = (connections.of(slotted, slotted), connections.of(_Thing(), slotted))
    let_go = (connections.last_of(slotted), connections.last_of([]))
    assert 4 == len({connection.id for connection in (*found, *let_go)})


def test_nothing_is_kept_alive() -> None:
    """Holders and connections go when their owners let them go."""
    connections, holder, connection = _connections(), _Thing(), _Thing()
    connections.of(holder, connection)
    del holder, connection
    gc.collect()
    assert 0 == len(connections._known)


def test_a_connection_is_looked_at_once() -> None:
    """What there is to know is learned with the first exchange over a connection."""
    learned: list[Any] = []
    connections = Connections(lambda facts, connection: learned.append((facts, connection)))
    holder, connection = _Thing(), _Thing()
    facts = connections.of(holder, connection)
    connections.of(holder, connection)
    assert [(facts, connection)] == learned


def test_the_peer_of_a_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    """Address and port of the other end, and no TLS where there is none."""
    client, server = pair
    exchange = _exchange()
    connection_of(_Holder(), client).describe(exchange)
    assert server.getsockname() == (exchange.peer_address, exchange.peer_port)
    assert (None, None) == (exchange.tls, exchange.socket_path)


def test_the_path_of_a_unix_socket(tmp_path: Path) -> None:
    """A Unix socket has a path, and neither address nor port."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        facts = connection_of(_Holder(), client)
    assert (path, None, None) == (facts.socket_path, facts.peer_address, facts.peer_port)


def test_a_closed_socket_has_no_peer() -> None:
    """A socket that is gone leaves an identity, and nothing else."""
    sock = socket.socket()
    sock.close()
    facts = connection_of(_Holder(), sock)
    assert facts.id is not None
    assert (None, None) == (facts.peer_address, facts.peer_port)


def test_the_peer_of_a_connection_that_was_let_go(pair: tuple[socket.socket, socket.socket]) -> None:
    """While the response's file has the socket still, its peer can be asked for."""
    client, server = pair
    with client.makefile("rb") as file:
        facts = closed_connection_of(_Holder(), file.fileno)
    assert server.getsockname() == (facts.peer_address, facts.peer_port)
    assert b"" == client.recv(0)  # asking closed nothing


def test_a_response_file_that_is_closed_too(pair: tuple[socket.socket, socket.socket]) -> None:
    """Without the file nothing more is known, and nothing fails."""
    file = pair[0].makefile("rb")
    file.close()
    assert closed_connection_of(_Holder(), file.fileno).peer_address is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80, None)),
        (("::1", 443, 0, 0), ("::1", 443, None)),
        ("/run/docker.sock", (None, None, "/run/docker.sock")),
        (b"\0abstract", (None, None, "\0abstract")),
        ("", (None, None, None)),
        (None, (None, None, None)),
        (("only",), (None, None, None)),
        (("eth0", "not a port"), (None, None, None)),
    ],
)
def test_addresses_of_every_family(address: object, expected: object) -> None:
    """Addresses are taken in the forms in which sockets tell them; others say nothing."""
    facts = Connection.to(address)
    assert expected == (facts.peer_address, facts.peer_port, facts.socket_path)
    assert facts.id is None


def test_what_is_not_known_does_not_hide_what_is() -> None:
    """A connection whose peer is unknown leaves the address that the attempt to connect told."""
    exchange = _exchange()
    Connection.to(("10.0.0.1", 8080)).describe(exchange)
    Connection("1.1").describe(exchange)
    assert ("1.1", "10.0.0.1", 8080) == (exchange.connection_id, exchange.peer_address, exchange.peer_port)


def test_a_known_connection_is_found_without_an_audit_event() -> None:
    """Every audit hook of a process is called for `id`: what is asked for each exchange does without."""
    program = """
import sys
from otel_har.capture.connections import Connections

class Holder:
    pass

connections, holder = Connections(lambda facts, connection: None), Holder()
known, events = connections.of(holder, holder), []
sys.addaudithook(lambda event, _: events.append(event))
found = connections.of(holder, holder)
seen = list(events)
print(found is known, seen)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ("True []\n", "") == (done.stdout, done.stderr)
