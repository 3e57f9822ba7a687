"""What a forked child does anew."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from otel_har import forking
from otel_har.forking import call_around_fork, call_in_forked_child

_PROGRAM = """
import os
import sys

from otel_har.forking import call_in_forked_child


class Owner:
    def __init__(self, letter):
        self.letter = letter

    def write(self):
        os.write(1, self.letter)

    def fail(self):
        raise LookupError


owners = [Owner(letter) for letter in (b"a", b"b", b"c", b"d")]
for owner in owners:
    call_in_forked_child(owner.fail if owner.letter in FAILING else owner.write)
del owner, owners[1]
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
os.write(1, b".")
"""


def _said(failing: str) -> tuple[str, str]:
    """Both outputs of the program, in which some of the calls fail."""
    source = dedent(_PROGRAM).replace("FAILING", failing)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_methods_are_called_in_order_while_their_objects_live() -> None:
    """In a forked child, not in the parent, and not for an object that is gone; nothing is said at the end."""
    assert ("acd.", "") == _said("()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_one_fault_does_not_cost_the_others() -> None:
    """Every method is called, whatever another one raises; Python reports that in the child."""
    said, reported = _said("(b'c',)")
    assert ("ad.", True) == (said, "LookupError" in reported)


class _Owner:
    def call(self) -> None:
        raise NotImplementedError


def test_nothing_is_left_of_objects_that_are_gone() -> None:
    """A program that makes one object after the other does not grow, nor do its forks take longer."""
    gc.collect()
    registries = (forking._methods, forking._before, forking._after)
    before, objects = [len(methods) for methods in registries], len(gc.get_objects())
    for _ in range(1_000):
        owner = _Owner()
        call_in_forked_child(owner.call)
        call_around_fork(owner.call, owner.call)
    del owner
    gc.collect()
    assert before == [len(methods) for methods in registries]
    assert len(gc.get_objects()) - objects < 100
