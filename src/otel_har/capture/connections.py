"""An identity for each connection: the same text for every exchange over it, another one for every other.

The rule: nothing is written on anybody's connection object and nothing is kept alive by being known here.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref

from otel_har.forking import call_in_forked_child

_numbers = itertools.count(1)


class ConnectionIds:
    """Gives connections their identity.

    A holder is the object that a client library keeps for its connections to one place; what it holds is the
    connection itself, a socket or a protocol. Where they are one, it is its own holder.
    """

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[object, tuple[weakref.ref[object], str]] = weakref.WeakKeyDictionary()
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()  # reentrant: a finaliser may ask while its own thread does

    def of(self, holder: object, connection: object) -> str:
        """The identity of the connection that the holder holds now; a new one for what no weak reference can know."""
        with self._lock:
            try:
                known = self._known.get(holder)
                if known is not None and known[0]() is connection:
                    return known[1]
                identity = _new_id()
                self._known[holder] = (weakref.ref(connection), identity)
            except TypeError:
                return _new_id()
            return identity

    def last_of(self, holder: object) -> str:
        """The identity of the connection that the holder has just let go of; the next one is another."""
        with self._lock:
            try:
                known = self._known.pop(holder, None)
            except TypeError:
                known = None
            return known[1] if known is not None else _new_id()


def _new_id() -> str:
    """An identity that no other connection of any process on this host has."""
    return f"{os.getpid()}.{next(_numbers)}"
