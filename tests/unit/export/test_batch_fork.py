"""`BatchHarProcessor` in a program that forks: its thread is not there while it does, and is there again after it."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_PREAMBLE = """
import os
import threading
import time

at_fork = []
os.register_at_fork(before=lambda: at_fork.append(threading.active_count()))  # the last to be called

from otel_har.exchange import Exchange
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.limits import CaptureLimits
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.testing import InMemoryHarExporter

SPAN = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)
NEVER_MS = 3_600_000


class Exporter(InMemoryHarExporter):
    def __init__(self):
        super().__init__()
        self.entered, self.gate, self.exported = threading.Event(), threading.Event(), threading.Semaphore(0)
        self.gate.set()

    def export(self, batch):
        self.entered.set()
        self.gate.wait(30)
        result = super().export(batch)
        self.exported.release()
        return result


def record(path):
    exchange = Exchange("GET", f"http://h.test/{path}", started_unix_ns=1, started=1, limits=CaptureLimits())
    return HarRecord(exchange, SPAN, PageFacts("run", "run", 1))


def fork(in_child=lambda: None):
    pid = os.fork()
    if pid == 0:
        in_child()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


exporter = Exporter()
"""


def _run(source: str, *, options: tuple[str, ...] = ("-W", "always")) -> None:
    done = subprocess.run(
        [sys.executable, *options, "-c", _PREAMBLE + dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)


def test_no_thread_is_there_while_a_process_forks() -> None:
    """An idle worker ends before every fork, so that nobody is warned; parent and child record on, nothing is lost."""
    _run("""
        processor = BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=NEVER_MS))

        def in_child():
            inherited = len(exporter.entries)
            processor.on_record(record("child"))
            assert processor.force_flush(20_000)
            assert ["http://h.test/child"] == [entry.request.url for entry in exporter.entries[-1:]]
            assert 1 + inherited == len(exporter.entries)

        for number in range(10):
            processor.on_record(record(number))
            fork(in_child)
            assert processor.force_flush(20_000)
        processor.shutdown()
        assert [1] * 10 == at_fork, at_fork
        assert [f"http://h.test/{number}" for number in range(10)] == [entry.request.url for entry in exporter.entries]
    """)


def test_what_waits_is_exported_in_its_time_all_the_same() -> None:
    """What waited when the process forked is exported after the delay, though nobody records or flushes any more."""
    _run("""
        processor = BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=500))
        processor.on_record(record("waiting"))
        fork()
        assert exporter.exported.acquire(timeout=30)
        assert 1 == len(exporter.entries)
        processor.shutdown()
    """)


def test_fork_is_not_held_up_by_an_export() -> None:
    """A worker in the middle of an export that hangs is left alone after a moment, and goes on after the fork."""
    _run(
        """
        exporter.gate.clear()
        processor = BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=NEVER_MS, max_export_batch_size=1))
        processor.on_record(record("hanging"))
        assert exporter.entered.wait(30)
        before = time.monotonic()
        fork()
        assert time.monotonic() - before < 5
        assert [2] == at_fork, at_fork
        exporter.gate.set()
        assert exporter.exported.acquire(timeout=30)
        processor.on_record(record("after"))
        assert processor.force_flush(20_000)
        assert 2 == len(exporter.entries)
        processor.shutdown()
        """,
        options=("-W", "ignore"),
    )


def test_flushes_while_others_fork() -> None:
    """A flush that is asked for while another thread forks gets its answer."""
    _run(
        """
        processor = BatchHarProcessor(exporter, BatchSettings(schedule_delay_millis=NEVER_MS))
        failed, is_over = [], threading.Event()

        def flush():
            while not is_over.is_set():
                processor.on_record(record("x"))
                if not processor.force_flush(20_000):
                    failed.append(1)

        thread = threading.Thread(target=flush)
        thread.start()
        for _ in range(10):
            fork()
        is_over.set()
        thread.join(30)
        processor.shutdown()
        assert [] == failed and not thread.is_alive()
        """,
        options=("-W", "ignore"),
    )
