"""What a forked child does anew."""

from __future__ import annotations

import gc
import os

import pytest

from otel_har import forking
from otel_har.forking import call_in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class _Owner:
    """Writes its letter where the child's calls are heard."""

    def __init__(self, writer: int, letter: bytes) -> None:
        self._writer = writer
        self._letter = letter

    def write(self) -> None:
        """The call."""
        os.write(self._writer, self._letter)

    def fail(self) -> None:
        """A call with a fault."""
        raise LookupError(self._letter)


def _heard_in_a_child(reader: int, writer: int) -> bytes:
    """What a child's calls wrote, until it ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert 0 == os.waitpid(child, 0)[1]
    os.write(writer, b".")
    return os.read(reader, 100)


def test_methods_are_called_in_order_while_their_objects_live() -> None:
    """In a forked child, and not for an object that is gone."""
    reader, writer = os.pipe()
    owners = [_Owner(writer, letter) for letter in (b"a", b"b", b"c")]
    for owner in owners:
        call_in_forked_child(owner.write)
    del owners[1], owner
    assert b"ac." == _heard_in_a_child(reader, writer)
    os.close(reader)
    os.close(writer)


def test_one_fault_does_not_cost_the_others() -> None:
    """Every method is called, whatever another one raises; Python reports it in the child."""
    reader, writer = os.pipe()
    owners = [_Owner(writer, letter) for letter in (b"a", b"b", b"c")]
    for owner, method in zip(owners, (owners[0].write, owners[1].fail, owners[2].write), strict=True):
        assert method.__self__ is owner
        call_in_forked_child(method)
    assert sorted(b"ac.") == sorted(_heard_in_a_child(reader, writer))
    os.close(reader)
    os.close(writer)


def test_nothing_is_left_of_objects_that_are_gone() -> None:
    """A program that makes one object after the other does not grow."""
    before = len(forking._methods)
    for _ in range(1_000):
        call_in_forked_child(_Owner(0, b"").write)
    gc.collect()
    assert before == len(forking._methods)
