"""An identity for each connection: the same text for every exchange over it, another one for every other.

The rule: nothing is written on anybody's connection object and nothing is kept alive by being known here.
"""

from __future__ import annotations

import itertools
import os
import threading
from weakref import WeakKeyDictionary


class ConnectionIds:
    """Gives connection objects their identity. Objects that cannot be known weakly get a new one each time."""

    def __init__(self) -> None:
        self._ids: WeakKeyDictionary[object, str] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def of(self, connection: object) -> str:
        """The identity of a connection's own object: its socket, transport or protocol."""
        with self._lock:
            try:
                known = self._ids.get(connection)
                if known is None:
                    known = self._ids[connection] = new_connection_id()
            except TypeError:  # no weak references, or not hashable
                return new_connection_id()
            return known


_numbers = itertools.count(1)


def new_connection_id() -> str:
    """An identity that no other connection of any process on this host has."""
    return f"{os.getpid()}.{next(_numbers)}"
