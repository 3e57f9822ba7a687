"""The identity of connections."""

from __future__ import annotations

import gc
import os

from otel_har.capture.connections import ConnectionIds


class _Thing:
    """What weak references can know."""


class _Slotted:
    """What weak references cannot know."""

    __slots__ = ()


def test_same_connection_same_identity() -> None:
    """As long as the holder holds the connection, its identity stays."""
    ids, holder, connection = ConnectionIds(), _Thing(), _Thing()
    first = ids.of(holder, connection)
    assert first == ids.of(holder, connection)
    assert first.startswith(f"{os.getpid()}.")


def test_next_connection_of_a_holder() -> None:
    """A holder that connects anew has another connection."""
    ids, holder, first, second = ConnectionIds(), _Thing(), _Thing(), _Thing()
    one, two = ids.of(holder, first), ids.of(holder, second)
    assert one != two
    assert two == ids.of(holder, second)


def test_connection_that_is_its_own_holder() -> None:
    """A protocol is its own holder; two are two."""
    ids, one, other = ConnectionIds(), _Thing(), _Thing()
    assert ids.of(one, one) == ids.of(one, one)
    assert ids.of(one, one) != ids.of(other, other)


def test_connection_at_the_address_of_a_dead_one() -> None:
    """A connection that is gone lends its identity to none that comes after it."""
    ids, holder = ConnectionIds(), _Thing()
    seen = set()
    for _ in range(20):
        seen.add(ids.of(holder, _Thing()))
        gc.collect()
    assert 20 == len(seen)


def test_let_go() -> None:
    """The connection just let go of keeps its identity for its last exchange, and the next one is another."""
    ids, holder, connection = ConnectionIds(), _Thing(), _Thing()
    first = ids.of(holder, connection)
    assert first == ids.last_of(holder)
    assert first != ids.last_of(holder)
    assert first != ids.of(holder, connection)


def test_what_no_weak_reference_knows() -> None:
    """Such a connection has a new identity each time, and nothing fails."""
    ids, slotted = ConnectionIds(), _Slotted()
    identities = {ids.of(slotted, slotted), ids.of(_Thing(), slotted), ids.last_of(slotted), ids.last_of([])}
    assert 4 == len(identities)


def test_nothing_is_kept_alive() -> None:
    """Holders and connections go when their owners let them go."""
    ids, holder, connection = ConnectionIds(), _Thing(), _Thing()
    ids.of(holder, connection)
    del holder, connection
    gc.collect()
    assert 0 == len(ids._known)
