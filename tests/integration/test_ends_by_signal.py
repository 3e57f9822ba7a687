"""A recorded process that a signal ends: what was queued and in flight is in the file, and it dies of that signal.

One program imports everything and forks a child for each case, which is ended as the case says.
"""

from __future__ import annotations

import json
import signal
from textwrap import dedent
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from servers.programs import read_checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import InstrumentedRunner
    from servers.programs import CompletedRun

ZYGOTE = """
    import asyncio, ctypes, json, multiprocessing, os, select, signal, socket, subprocess, sys, threading, time
    import traceback
    import aiohttp, requests
    from opentelemetry.sdk.trace import TracerProvider
    import otel_har
    from otel_har import zero_code
    from harness import BASE, release, wait

    CASES = {}
    OUTCOMES = {}
    recording = zero_code._recording

    def case(number=signal.SIGTERM, times=1, exits=False):
        def add(function):
            CASES[function.__name__] = (function, number, times, exits)
            return function
        return add

    def child(name, function, ready, exits):
        global is_ready
        signal.alarm(50)
        def is_ready():
            os.write(ready, b'!')
        requests.get(BASE + '/item/' + name)
        streamed = requests.get(BASE + '/stream?gate=never&of=' + name, stream=True)
        first = next(streamed.iter_content(5))
        if exits:
            sys.exit(function())
        try:
            code = function() or 0
        except SystemExit as exit:
            code = exit.code
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(code)

    def end(pid, number):
        while signal.sigtimedwait({signal.SIGCHLD}, 0):
            pass  # of children before
        os.kill(pid, number)
        while not signal.sigtimedwait({signal.SIGCHLD}, 4):
            os.kill(pid, number)  # Python may overlook a signal that comes as two threads change places

    def run(name):
        function, number, times, exits = CASES[name]
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            child(name, function, writing, exits)
        os.close(writing)
        for _ in range(times):
            if os.read(reading, 1) and times > 1:
                os.kill(pid, number)
        os.close(reading)
        if times == 1:
            end(pid, number)
        OUTCOMES[name] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

    def run_all():
        for name in CASES:
            run(name)
        print(json.dumps(OUTCOMES))

    def recording_of_its_own(export, timeout_millis):
        class Exporter(otel_har.HarExporter):
            def export(self, batch):
                export(batch)
                return otel_har.HarExportResult.SUCCESS
            def shutdown(self, timeout_millis=0):
                pass
        processor = otel_har.HarSpanProcessor(otel_har.BatchHarProcessor(Exporter()))
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        otel_har.shut_down_on_signals(processor, timeout_millis)
        from opentelemetry.trace import SpanKind
        attributes = {'http.request.method': 'GET', 'url.full': 'http://a.test/'}
        provider.get_tracer('own').start_span('GET', kind=SpanKind.CLIENT, attributes=attributes).end()
        return processor
"""


BOTH = {"item": "whole", "stream": "partial"}
"""What every child records before its case begins."""


def _recorded(run: CompletedRun) -> dict[str, dict[str, Any]]:
    """The states of the bodies in all files of a recording, by the case and the path of their request."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(run.har_path.parent.glob("*.har")):
        for entry in read_checked(path)["log"]["entries"]:
            url = urlsplit(entry["request"]["url"])
            _, kind, *rest = url.path.split("/")
            name = rest[0] if kind == "item" else url.query.rpartition("=")[2]
            response = entry["response"]
            state = response["content"].get("_bodyState", "whole") if response["status"] else "unanswered"
            found.setdefault(name, {})[kind] = state
    return found


@pytest.fixture(autouse=True)
def _default_actions() -> Iterator[None]:
    """Children inherit what is ignored, as SIGHUP is where the tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def ends(run_instrumented: InstrumentedRunner) -> Any:
    """Runs cases; gives their exit codes and what is recorded of each."""

    def run_cases(source: str, *options: str, **kwargs: Any) -> tuple[dict[str, int], dict[str, Any], CompletedRun]:
        program = dedent(ZYGOTE) + dedent(source) + "\nrun_all()\n"
        # From 3.12 on Python warns of forks beside threads.
        run = run_instrumented(program, *options, python_options=["-W", "ignore"], **kwargs)
        assert 0 == run.returncode, run.stderr
        return json.loads(run.stdout.splitlines()[-1]), _recorded(run), run

    return run_cases


DEFAULT_DISPOSITION = """
    @case()
    def sleeping():
        is_ready()
        time.sleep(60)

    @case(signal.SIGHUP)
    def hanging_up():
        is_ready()
        time.sleep(60)

    @case()
    def busy():
        is_ready()
        while True:
            pass

    @case()
    def reading():
        one, other = socket.socketpair()
        is_ready()
        one.recv(1)

    @case()
    def in_a_request():
        threading.Thread(target=lambda: (wait('arrived /slow-headers'), is_ready()), daemon=True).start()
        requests.get(BASE + '/slow-headers?gate=never&of=waiting')

    @case()
    def selecting():
        is_ready()
        select.select([], [], [], 60)

    @case()
    def joining():
        thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)
        thread.start()
        is_ready()
        thread.join()

    @case()
    def locking():
        lock = threading.Lock()
        lock.acquire()
        is_ready()
        lock.acquire()

    @case()
    def looping():
        async def main():
            asyncio.get_running_loop().call_soon(is_ready)
            await asyncio.sleep(60)
        asyncio.run(main())

    @case()
    def fetching():
        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(BASE + '/stream?gate=never&of=aiohttp') as response:
                    print(await response.content.readany())
                    is_ready()
                    await response.read()
        asyncio.run(main())

    @case()
    def with_our_locks():
        with recording._pages._lock, recording._processor._worker_lock:
            is_ready()
            time.sleep(60)

    @case()
    def forked_by_a_thread():
        reading, writing = os.pipe()
        def fork():
            if (pid := os.fork()) == 0:
                requests.get(BASE + '/item/forked')
                os.write(writing, b'!')
                time.sleep(60)
            os.read(reading, 1)
            end(pid, signal.SIGTERM)
            OUTCOMES['forked'] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        if OUTCOMES['forked'] == -signal.SIGTERM:
            is_ready()
        time.sleep(60)

    @case()
    def deep():
        def descend(frames):
            if frames:
                return descend(frames - 1)
            is_ready()
            for _ in range(1_000_000):
                pass
        descend(sys.getrecursionlimit() - len(traceback.extract_stack()) - 40)
        time.sleep(60)
"""


def test_the_default_disposition(ends: Any) -> None:
    """Wherever the main thread is, everything is written, and the parent sees the signal."""
    codes, recorded, run = ends(DEFAULT_DISPOSITION)
    assert {"hanging_up": -signal.SIGHUP} == {name: code for name, code in codes.items() if code != -signal.SIGTERM}
    assert dict.fromkeys(codes, BOTH) == {name: recorded[name] for name in codes}
    assert ({"stream": "partial"}, {"slow-headers": "unanswered"}) == (recorded["aiohttp"], recorded["waiting"])
    assert {"item": "whole"} == recorded["forked"]
    assert "" == run.stderr


OTHERS = """
    @case()
    def with_a_handler():
        def handle(number, frame):
            sys.exit(5)
        signal.signal(signal.SIGTERM, handle)
        is_ready()
        time.sleep(60)

    @case(exits=True)
    def with_a_handler_that_exits():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(5))
        is_ready()
        time.sleep(60)

    @case(exits=True)
    def with_a_handler_of_the_loop():
        async def main():
            loop = asyncio.get_running_loop()
            stopped = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stopped.set)
            is_ready()
            await stopped.wait()
            return 6
        return asyncio.run(main())

    @case(exits=True)
    def with_a_chain():
        previous = []
        def handle(number, frame):
            previous[0](number, frame)
            os._exit(7)
        previous.append(signal.signal(signal.SIGTERM, handle))
        is_ready()
        time.sleep(60)

    @case()
    def with_a_handler_put_back():
        previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, previous)
        is_ready()
        time.sleep(60)

    @case(signal.SIGHUP, exits=True)
    def ignoring():
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        is_ready()
        os.kill(os.getpid(), signal.SIGHUP)
        return 8

    @case(times=2)
    def twice():
        def export(batch):
            is_ready()
            time.sleep(60)
        recording_of_its_own(export, 60_000)
        is_ready()
        time.sleep(60)

    @case()
    def stuck():
        lock = threading.Lock()
        lock.acquire()
        recording_of_its_own(lambda batch: lock.acquire(), 300)
        is_ready()
        time.sleep(60)

    @case()
    def while_shutting_down():
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno())
        def export(batch):
            is_ready()
            reading.recv(1)
            recording.force_flush()
            os.write(1, b'exported\\n')
        recording_of_its_own(export, 20_000).shutdown()
        return 9

    @case(times=0, exits=True)
    def terminating():
        def work():
            requests.get(BASE + '/item/worker')
            running.set()
            time.sleep(60)
        context = multiprocessing.get_context('fork')
        running = context.Event()
        process = context.Process(target=work)
        process.start()
        running.wait()
        process.terminate()
        process.join()
        cat = subprocess.Popen(['cat'], stdin=subprocess.PIPE)
        cat.terminate()
        return 0 if [process.exitcode, cat.wait()] == [-15, -15] else 1

    @case(times=0)
    def equal():
        present = signal.getsignal(signal.SIGTERM)
        assert present == signal.SIG_DFL and not present and present in (None, signal.SIG_DFL)
        assert (repr(present), str(present)) == (repr(signal.SIG_DFL), str(signal.SIG_DFL))
"""


CODES = {
    "with_a_handler": 5,
    "with_a_handler_that_exits": 5,
    "with_a_handler_of_the_loop": 6,
    "with_a_chain": 7,
    "with_a_handler_put_back": -15,
    "ignoring": 8,
    "twice": -15,
    "stuck": -15,
    "while_shutting_down": -15,
    "terminating": 0,
    "equal": 0,
}
WRITTEN = (
    "with_a_handler_that_exits",
    "with_a_handler_of_the_loop",
    "with_a_handler_put_back",
    "ignoring",
    "terminating",
)


def test_other_dispositions(ends: Any) -> None:
    """Handlers of the program's own stay, and what is ignored is ignored; a second signal kills, and so does time."""
    codes, recorded, run = ends(OTHERS)
    assert CODES == codes
    assert dict.fromkeys(WRITTEN, BOTH) == {name: recorded.get(name) for name in WRITTEN}
    assert ({"item": "whole"}, {"item": "whole"}) == (recorded["with_a_chain"], recorded["worker"])
    assert "exported\n" in run.stdout
    assert "" == run.stderr


ENDS = """
    @case(times=0, exits=True)
    def returning():
        pass

    @case(times=0, exits=True)
    def raising():
        raise ZeroDivisionError('of the program')

    @case(times=0, exits=True)
    def interrupted():
        raise KeyboardInterrupt

    @case(times=0, exits=True)
    def exiting():
        sys.exit(3)

    @case(times=0, exits=True)
    def exiting_in_a_thread():
        thread = threading.Thread(target=sys.exit, args=(3,))
        thread.start()
        thread.join()

    @case(times=0, exits=True)
    def with_a_daemon():
        def fetch():
            with requests.get(BASE + '/stream?gate=never&of=daemon', stream=True) as response:
                started.set()
                response.content
        started = threading.Event()
        threading.Thread(target=fetch, daemon=True).start()
        started.wait()

    @case(times=0, exits=True)
    def with_a_thread():
        def fetch():
            with requests.get(BASE + '/stream?gate=late&of=thread', stream=True) as response:
                started.set()
                ended.wait()
                release('late'); release('late')
                response.content
        started, ended = threading.Event(), threading.Event()
        threading.Thread(target=fetch).start()
        started.wait()
        ended.set()

    @case(exits=True)
    def terminated_while_threads_run():
        def wait_for_the_end():
            ended.wait()
            is_ready()
            time.sleep(60)
        ended = threading.Event()
        threading.Thread(target=wait_for_the_end).start()
        ended.set()

    @case(times=0, exits=True)
    def requesting_at_exit():
        import atexit
        atexit.register(lambda: threading.Thread(target=requests.get, args=(BASE + '/item/at_exit',)).run())

    @case(times=0)
    def leaving_at_once():
        recording.force_flush()
        os._exit(4)

    @case(times=0)
    def aborting():
        recording.force_flush()
        os.abort()

    @case(signal.SIGSEGV)
    def crashing():
        recording.force_flush()
        is_ready()
        time.sleep(60)

    @case(signal.SIGKILL)
    def killed():
        recording.force_flush()
        is_ready()
        time.sleep(60)
"""


def test_ends(ends: Any) -> None:
    """Every end of Python's own leaves everything in the file, every other one what was written."""
    codes, recorded, run = ends(ENDS)
    expected = {
        "returning": 0,
        "raising": 1,
        "interrupted": -signal.SIGINT,
        "exiting": 3,
        "exiting_in_a_thread": 0,
        "with_a_daemon": 0,
        "with_a_thread": 0,
        "terminated_while_threads_run": -signal.SIGTERM,
        "requesting_at_exit": 0,
    }
    at_once = {
        "leaving_at_once": 4,
        "aborting": -signal.SIGABRT,
        "crashing": -signal.SIGSEGV,
        "killed": -signal.SIGKILL,
    }
    assert expected | at_once == codes
    assert dict.fromkeys(expected, BOTH) == {name: recorded[name] for name in expected}
    assert {name: {"item": "whole"} for name in at_once} == {name: recorded[name] for name in at_once}
    others = ({"stream": "partial"}, {"stream": "whole"}, {"item": "whole"})
    assert others == (recorded["daemon"], recorded["thread"], recorded["at_exit"])
    assert "otel" not in run.stderr


def test_the_setting_turns_it_off(ends: Any) -> None:
    """Without handlers of ours the default action is Python's."""
    source = """
        @case()
        def sleeping():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
            recording.force_flush()
            is_ready()
            time.sleep(60)
    """
    codes, recorded, run = ends(source, "--har_signals", "false")
    assert {"sleeping": -signal.SIGTERM} == codes
    assert {"sleeping": {"item": "whole"}} == recorded
    assert "" == run.stderr


def test_the_first_process_of_a_container(ends: Any) -> None:
    """The kernel leaves default actions out for process 1 of its namespace: it writes, and records on."""
    source = """
        @case()
        def first():
            reading, writing = socket.socketpair()
            writing.setblocking(False)
            signal.set_wakeup_fd(writing.fileno())
            is_ready()
            reading.recv(1)
            requests.get(BASE + '/item/on')
            recording.force_flush()
            return 5 if os.getpid() == 1 else 6

        if ctypes.CDLL(None).unshare(0x20000000) == 0:  # CLONE_NEWPID: for the children
            run('first')
        CASES.clear()
    """
    codes, recorded, run = ends(source)
    if not codes:
        pytest.skip("process namespaces are refused here")
    assert {"first": 5} == codes
    assert ({"item": "whole"}, {"item": "whole"}) == (recorded["first"], recorded["on"])
    assert "" == run.stderr
