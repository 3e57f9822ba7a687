"""What is known of a connection: its identity, the same for every exchange over it, its other end, its TLS.

The rule: it is looked at once, when its first exchange is noted. Nothing is written on anybody's connection object, and
nothing is kept alive by being known here.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

from otel_har.capture.tls import tls_facts
from otel_har.exchange import Exchange, TlsFacts
from otel_har.forking import call_in_forked_child

_numbers = itertools.count(1)
# What `id` tells, but that is an audit event: every audit hook of the process is called for it, ours among them.
_identity = object.__hash__


class Connection:
    """The facts of one connection.

    Attributes:
        id: The same text for exchanges over the same connection; None for one that never carried any.
        peer_address, peer_port: The other end; None when unknown, or no such thing.
        socket_path: The path of a Unix socket; None for other sockets.
        tls: None without TLS.
    """

    __slots__ = ("id", "peer_address", "peer_port", "socket_path", "tls")

    def __init__(self, identity: str | None = None) -> None:
        self.id = identity
        self.peer_address: str | None = None
        self.peer_port: int | None = None
        self.socket_path: str | None = None
        self.tls: TlsFacts | None = None

    @classmethod
    def to(cls, address: object) -> Connection:
        """What is known of a connection that is only about to be made."""
        connection = cls()
        connection.note_peer(address)
        return connection

    def note_peer(self, address: object) -> None:
        """Note the other end, in the form in which sockets tell it: a tuple, or the path of a Unix socket."""
        if isinstance(address, (tuple, list)):
            if len(address) > 1 and isinstance(address[1], int):
                self.peer_address, self.peer_port = str(address[0]), address[1]
        elif isinstance(address, (bytes, str)) and address:
            self.socket_path = os.fsdecode(address)

    def describe(self, exchange: Exchange) -> None:
        """Note in the exchange what connection it goes over."""
        exchange.connection_id = self.id
        if self.tls is not None:
            exchange.tls = self.tls
        if self.peer_address is not None:
            exchange.peer_address = self.peer_address
            exchange.peer_port = self.peer_port
        elif self.socket_path is not None:
            exchange.socket_path = self.socket_path


class Connections:
    """The connections of one client library.

    A holder is the object that the library keeps for its connections to one place; what it holds is the connection
    itself, a socket or a protocol. Where they are one, it is its own holder.

    Args:
        learn: Notes what there is to know of a connection that is seen for the first time.
    """

    def __init__(self, learn: Callable[[Connection, Any], None]) -> None:
        self._learn = learn
        # By the identity of the holder, which is told when the holder goes: a plain dictionary is asked without a call.
        self._known: dict[int, tuple[weakref.ref[object], weakref.ref[object], Connection]] = {}
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()  # reentrant: a finaliser may ask while its own thread does

    def of(self, holder: object, connection: object) -> Connection:
        """The connection that the holder holds now; a new one for what no weak reference can know."""
        known = self._known.get(_identity(holder))
        if known is not None and known[0]() is holder and known[1]() is connection:
            return known[2]
        with self._lock:
            known = self._known.get(_identity(holder))  # another thread may have been quicker
            if known is not None and known[0]() is holder and known[1]() is connection:
                return known[2]
            facts = self._new(connection)
            try:
                self._known[_identity(holder)] = self._reference(holder), weakref.ref(connection), facts
            except TypeError:
                self._known.pop(_identity(holder), None)
            return facts

    def _reference(self, holder: object) -> weakref.ref[object]:
        """A reference that takes along what is known of the holder."""
        number, all_known = _identity(holder), self._known

        def forget(gone: weakref.ref[object]) -> None:
            known = all_known.get(number)
            if known is not None and known[0] is gone:
                all_known.pop(number, None)

        return weakref.ref(holder, forget)

    def last_of(self, holder: object) -> Connection:
        """The connection that the holder has just let go of; the next one is another."""
        with self._lock:
            known = self._known.pop(_identity(holder), None)
            return known[2] if known is not None and known[0]() is holder else Connection(_new_id())

    def _new(self, connection: object) -> Connection:
        facts = Connection(_new_id())
        self._learn(facts, connection)
        return facts


def _new_id() -> str:
    """An identity that no other connection of any process on this host has."""
    return f"{os.getpid()}.{next(_numbers)}"


def _learn_of_socket(facts: Connection, sock: Any) -> None:
    facts.tls = tls_facts(sock)
    try:
        facts.note_peer(sock.getpeername())
    except (AttributeError, OSError):  # no socket, or the other end is gone already
        return


_sockets = Connections(_learn_of_socket)


connection_of = _sockets.of
"""The connection of an `http.client` connection object, which is reused for one socket after the other."""


def closed_connection_of(holder: object, fileno: Callable[[], int]) -> Connection:
    """The connection whose socket `http.client` has let go of, because the server closes after its answer.

    Args:
        holder: The `http.client` connection object.
        fileno: Gives the descriptor of the response's file, which has the socket still.
    """
    facts = _sockets.last_of(holder)
    if facts.peer_address is None and facts.socket_path is None:
        try:
            with socket.socket(fileno=os.dup(fileno())) as duplicate:
                _learn_of_socket(facts, duplicate)
        except (OSError, ValueError):  # closed already
            return facts
    return facts
