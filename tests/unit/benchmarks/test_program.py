"""What the measured program reads of itself, and of the processes that it started."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.compare.program import Instant

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

_ROOT = Path(__file__).parents[3]
_HELD_KIB = 65_536
_BURNT_S = 0.3
# Tells what it took by its own count, then waits until its input ends.
_CHILD = f"""
import sys, time
from benchmarks.compare.program import Instant

held = b"x" * ({_HELD_KIB} * 1024)
while time.process_time() < {_BURNT_S}:
    pass
resident_kib = Instant.now().resident_kib
print(time.process_time(), resident_kib, flush=True)
sys.stdin.read()
"""


def test_a_child_counts_while_it_lives() -> None:
    """Its CPU time and memory are in the reading once, as it counts them itself; after its end they are not."""
    before, own_before_s = Instant.now(), time.process_time()
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as child:
        assert child.stdout is not None
        told_s, told_kib = map(float, child.stdout.readline().split())
        meanwhile, own_meanwhile_s = Instant.now(), time.process_time()
    after = Instant.now()
    counted_s = meanwhile.cpu_s - before.cpu_s - (own_meanwhile_s - own_before_s)
    counted_kib = meanwhile.resident_kib - before.resident_kib
    # Ticks are hundredths of a second, of the program and of the kernel; the test's own process may grow meanwhile.
    assert pytest.approx(told_s, abs=0.05) == counted_s
    assert pytest.approx(told_kib, abs=8_192) == counted_kib
    assert (True, True) == (_BURNT_S <= told_s, _HELD_KIB <= told_kib)
    assert (True, True) == (
        after.cpu_s < meanwhile.cpu_s - _BURNT_S / 2,
        after.resident_kib < meanwhile.resident_kib - _HELD_KIB / 2,
    )
