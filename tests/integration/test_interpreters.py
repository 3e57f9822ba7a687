"""Programs that change what Python is made of, or that still act when it ends."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers import assert_same_exchange

if TYPE_CHECKING:
    from pathlib import Path

    from servers import InstrumentedRunner, RecordingServer

_GREENLETS = """
    from gevent import monkey
    monkey.patch_all()
    import gevent, requests
    from harness import BASE, release
    def fetch(number):
        return requests.get(f"{BASE}/stream?gate={number}").text
    def open_gates():
        for number in (2, 1, 0):
            release(str(number))
            release(str(number))
    jobs = [gevent.spawn(fetch, number) for number in range(3)]
    jobs.append(gevent.spawn(open_gates))
    gevent.joinall(jobs, raise_error=True)
    print([len(job.value) for job in jobs[:3]])
"""

_FINALIZER = """
    import json, os, sys, tempfile, requests
    from harness import BASE
    class Spool:
        def __init__(self, path):
            self.path = path
            open(path, "w").close()
        def __call__(self, *args):
            sys.__displayhook__(*args)
        def __del__(self, unlink=os.unlink):
            unlink(self.path)
    print(requests.get(BASE + "/json").status_code)
    sys.displayhook = Spool(sys.argv[1])
    json.spool = Spool(sys.argv[2])
"""


def test_greenlets(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """A program whose threads are greenlets waits for none of ours, and each greenlet's exchange is its own."""
    run = run_instrumented(_GREENLETS, python_options=["-W", "ignore"])
    assert (0, "[34, 34, 34]\n") == (run.returncode, run.stdout), run.stderr
    assert 3 == len(run.entries)
    for exchange in server.exchanges:
        [entry] = [one for one in run.entries if one["request"]["url"] == server.url(exchange.request.target)]
        assert_same_exchange(entry, exchange, server)


def test_finalizers_at_the_interpreters_end(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """What the program does when all modules are gone already is not aborted by a hook that has lost its names."""
    paths = [tmp_path / "one", tmp_path / "two"]
    run = run_instrumented(_FINALIZER, args=[str(path) for path in paths])
    assert (0, "") == (run.returncode, run.stderr)
    assert [False, False] == [path.exists() for path in paths]


def test_a_signal_to_greenlets(run_instrumented: InstrumentedRunner) -> None:
    """Everything is written when a signal ends a program whose threads are greenlets, wherever they are."""
    run = run_instrumented(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent, os, requests, signal
        from harness import BASE
        requests.get(BASE + '/item/1')
        reading = gevent.spawn(lambda: next(requests.get(BASE + '/stream?gate=never', stream=True).iter_content(5)))
        reading.join()
        gevent.spawn(os.kill, os.getpid(), signal.SIGTERM)
        gevent.sleep(60)
        """,
        python_options=["-W", "ignore"],
    )
    assert (-15, "") == (run.returncode, run.stderr)
    assert ["/item/1", "/stream"] == [urlsplit(entry["request"]["url"]).path for entry in run.entries]


_PATCHES = {
    "gevent": "from gevent import monkey, spawn, sleep; monkey.patch_all()",
    "eventlet": "from eventlet import monkey_patch, spawn, sleep; monkey_patch()",
}


@pytest.mark.parametrize("kind", _PATCHES)
def test_a_signal_from_outside_to_idle_greenlets(run_instrumented: InstrumentedRunner, kind: str) -> None:
    """Everything is written when another process ends a program in whose loop no greenlet can run."""
    run = run_instrumented(
        _PATCHES[kind]
        + dedent("""
        import os, requests, subprocess
        from harness import BASE
        requests.get(BASE + '/item/1')
        reading, writing = os.pipe()
        os.set_inheritable(reading, True)
        subprocess.Popen(['sh', '-c', f'read line <&{reading}; kill -TERM {os.getpid()}'], pass_fds=[reading])
        spawn(os.write, writing, b'now\\n')
        sleep(60)
        """),
        python_options=["-W", "ignore"],
    )
    assert -15 == run.returncode, run.stderr
    assert ["/item/1"] == [urlsplit(entry["request"]["url"]).path for entry in run.entries]
    assert "otel-har" not in run.stderr
