"""An end for a whole exchange of `requests`, whose own timeouts are for single operations of a socket.

The rule: each operation gets the time that is left. A receiver that sends a byte now and then has no more of it than
one that sends nothing, and no thread watches over it: a thread cannot be started while Python ends, which is when
programs send their last entries. Looking up a name is the system's, which has its own time; connecting has the whole
time for each address.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_END: ContextVar[float | None] = ContextVar("otel_har_end", default=None)


@contextlib.contextmanager
def ending_at(end: float) -> Iterator[None]:
    """What is sent meanwhile through a `DeadlineAdapter` ends then, on the monotonic clock, with a timeout."""
    token = _END.set(end)
    try:
        yield
    finally:
        _END.reset(token)


class DeadlineAdapter(HTTPAdapter):
    """The adapter of `requests`, with connections that know the end."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As its own, with other connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """As its own, with other connections; those of SOCKS are of a kind of their own and stay."""
        manager = super().proxy_manager_for(proxy, **options)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Reading(io.RawIOBase):
    """What is read of a socket, each piece in the time that is left."""

    def __init__(self, raw: Any, connected: socket.socket) -> None:
        self._raw = raw
        self._socket = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        _limit(self._socket)
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        number: int = self._raw.fileno()
        return number

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: Any = io.BufferedReader(_Reading(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _limit(self.sock)

    def send(self, data: Any) -> None:
        _limit(self.sock)
        super().send(data)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same with TLS."""


class Pool(HTTPConnectionPool):
    """Connections to one receiver; what says that one failed names this class."""

    ConnectionCls = _Connection


class SecurePool(HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = _SecureConnection


_POOLS = {"http": Pool, "https": SecurePool}


def _limit(connected: socket.socket | None) -> None:
    end = _END.get()
    if connected is None or end is None:
        return
    left_s = end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time is over")
    connected.settimeout(left_s)
