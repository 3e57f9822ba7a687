"""Many processes, one file: whatever starts or forks them, each exchange is in it once, and nothing is left beside."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from children import eventually
from servers.programs import INSTRUMENT, _environment, _write_program, read_checked
from servers.releases import OTEL_IS_PASSED_ON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from servers import InstrumentedRunner, RecordingServer

_PATIENCE_S = 60
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the file is, and nothing else."""
    (tmp_path / "recorded").mkdir()
    return tmp_path / "recorded"


def _start(
    server: RecordingServer,
    directory: Path,
    source: str,
    *command: str,
    env: Mapping[str, str] | None = None,
    **more: Any,
) -> subprocess.Popen[str]:
    """Start a command under `opentelemetry-instrument`, where there is such a program as `app`."""
    program = _write_program(directory.parent / "program", source)
    options = ["--har", str(directory / "out.har"), "--har_bsp_schedule_delay", "50"]
    return subprocess.Popen(
        [str(INSTRUMENT), *options, *command],
        cwd=program.parent,
        env=_environment(server, directory.parent, env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def _told(process: subprocess.Popen[str]) -> str:
    """What a program printed until its end; it must have been a good one."""
    printed, errors = process.communicate(timeout=_PATIENCE_S)
    assert (0, "") == (process.returncode, errors)
    return printed


def _log(directory: Path) -> dict[str, Any]:
    """The log of the only file, once its last writer is gone."""
    path = directory / "out.har"
    assert eventually(lambda: [path] == list(directory.iterdir()))
    log: dict[str, Any] = read_checked(path)["log"]
    assert {page["id"] for page in log["pages"]} == {entry["pageref"] for entry in log["entries"]}
    return log


def _items(log: dict[str, Any]) -> list[str]:
    return sorted(entry["request"]["url"].rpartition("/")[2] for entry in log["entries"])


def _processes(log: dict[str, Any]) -> dict[str, int]:
    """The process of each exchange."""
    return {entry["request"]["url"].rpartition("/")[2]: entry["_otel"]["process"]["pid"] for entry in log["entries"]}


def test_every_kind_of_child(server: RecordingServer, directory: Path) -> None:
    """Forks, programs and shells that a program starts write its file, each under its number."""
    source = """
        import os, subprocess, sys
        import requests
        from harness import BASE
        SELF = [sys.executable, __file__]
        def fork(work):
            pid = os.fork()
            if not pid:
                work()
                sys.exit(0)
            return os.waitpid(pid, 0)
        def get(name):
            requests.get(f'{BASE}/item/{name}.{os.getpid()}')
        if sys.argv[1:]:
            get(sys.argv[1])
        else:
            get('first')
            fork(lambda: (get('child'), fork(lambda: get('grandchild')), get('child')))
            subprocess.run([*SELF, 'subprocess'], check=True)
            subprocess.run(f'{sys.executable} {__file__} shell', shell=True, check=True)
            os.waitpid(os.posix_spawn(sys.executable, [*SELF, 'posix_spawn'], os.environ), 0)
            get('last')
    """
    assert "" == _told(_start(server, directory, source, sys.executable, "app.py"))
    log = _log(directory)
    items = [entry["request"]["url"].rpartition("/")[2].split(".") for entry in log["entries"]]
    assert [pid for _, pid in items] == [str(entry["_otel"]["process"]["pid"]) for entry in log["entries"]]
    started = ["posix_spawn", "shell", "subprocess"] if OTEL_IS_PASSED_ON else []
    assert sorted(["first", "child", "grandchild", "child", "last", *started]) == sorted(name for name, _ in items)
    # A program has a page; its forks share it.
    assert 1 + len(started) == len(log["pages"])


def test_programs_of_one_shell(server: RecordingServer, directory: Path) -> None:
    """Two programs of one command are one recording, one after the other and at the same time."""
    source = """
        import sys, requests
        from harness import BASE
        requests.get(f'{BASE}/item/{sys.argv[1]}')
    """
    run = f"{sys.executable} app.py"
    command = f"{run} a && ({run} b & {run} c & wait)"
    assert "" == _told(_start(server, directory, source, "bash", "-c", command))
    log = _log(directory)
    assert (["a", "b", "c"], 3) == (_items(log), len(log["pages"]))


def test_programs_of_one_shell_in_several_directories(server: RecordingServer, directory: Path) -> None:
    """A relative path is one of the directory where the command was called; that of a command within it is its own."""
    source = """
        import sys, requests
        from harness import BASE
        requests.get(f'{BASE}/item/{sys.argv[1]}')
    """
    (directory / "x").mkdir()
    run = f"{sys.executable} {directory.parent / 'program' / 'app.py'}"
    command = f"cd {directory} && {INSTRUMENT} --har out.har bash -c '{run} a; cd x; {run} b; {INSTRUMENT} {run} c"
    command += f"; {INSTRUMENT} --har own.har {run} d'"
    assert "" == _told(_start(server, directory, source, "bash", "-c", command))
    own = directory / "x" / "own.har"
    assert ([own], ["d"]) == (list(own.parent.iterdir()), _items(read_checked(own)["log"]))
    assert ["a", "b", "c"] == _items(read_checked(directory / "out.har")["log"])


def test_pools(server: RecordingServer, directory: Path) -> None:
    """Pools of multiprocessing and of concurrent.futures, whose workers end in their own ways."""
    source = """
        import concurrent.futures, multiprocessing, requests
        from harness import BASE
        def get(name):
            return requests.get(f'{BASE}/item/{name}').status_code
        if __name__ == '__main__':
            context = multiprocessing.get_context('fork')
            with context.Pool(3, maxtasksperchild=2) as pool:
                results = pool.map(get, [f'pool.{number}' for number in range(12)], chunksize=1)
                pool.close()
                pool.join()
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                results += pool.map(get, [f'executor.{number}' for number in range(8)])
            print(*set(results))
    """
    assert "200\n" == _told(_start(server, directory, source, sys.executable, "app.py"))
    log = _log(directory)
    assert sorted([f"pool.{n}" for n in range(12)] + [f"executor.{n}" for n in range(8)]) == _items(log)
    assert 6 <= len({pid for name, pid in _processes(log).items() if name.startswith("pool")})
    assert 1 == len(log["pages"])


def test_pools_that_are_terminated(server: RecordingServer, directory: Path) -> None:
    """Pools end their workers by one signal as these go to wait: all of them end, and what they did is in the file."""
    source = """
        import multiprocessing, requests
        from harness import BASE
        def get(name):
            return requests.get(f'{BASE}/item/{name}').status_code
        if __name__ == '__main__':
            context = multiprocessing.get_context('fork')
            for number in range(40):
                with context.Pool(2) as pool:
                    pool.map(get, [f'{number}.{part}' for part in range(4)], chunksize=1)
    """
    assert "" == _told(_start(server, directory, source, sys.executable, "app.py"))
    assert sorted(f"{number}.{part}" for number in range(40) for part in range(4)) == _items(_log(directory))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_signal_that_python_overlooks(server: RecordingServer, directory: Path, method: str) -> None:
    """A child of multiprocessing ends by a signal although nothing wakes its main thread."""
    source = f"""
        import multiprocessing, os, signal, threading, requests
        from harness import BASE
        def end(is_waiting):
            is_waiting.wait()
            # Python's handler is noted in this thread, and the main thread is not woken for it.
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        def wait():
            requests.get(f'{{BASE}}/item/child')
            is_waiting = threading.Event()
            threading.Thread(target=end, args=(is_waiting,), daemon=True).start()
            never, _ = os.pipe()
            is_waiting.set()
            os.read(never, 1)
        if __name__ == '__main__':
            child = multiprocessing.get_context({method!r}).Process(target=wait)
            child.start()
            child.join()
            print(child.exitcode)
    """
    assert "-15\n" == _told(_start(server, directory, source, sys.executable, "app.py"))
    assert ["child"] == _items(_log(directory))


def test_fork_in_the_middle_of_traffic(server: RecordingServer, directory: Path) -> None:
    """What is in flight in threads and on a loop is its parent's alone; the child records what it does itself."""
    source = """
        import asyncio, os, threading, aiohttp, requests
        from opentelemetry import trace
        from harness import BASE, release, wait
        def get(name):
            return requests.get(f'{BASE}/item/{name}')
        async def main():
            thread = threading.Thread(target=lambda: requests.get(f'{BASE}/slow-headers?gate=thread'))
            thread.start()
            async with aiohttp.ClientSession() as session:
                task = asyncio.create_task(session.get(f'{BASE}/slow-headers?gate=task'))
                await asyncio.to_thread(wait, 'arrived /slow-headers', 2)
                busy = threading.Thread(target=lambda: [get(f'busy.{number}') for number in range(30)])
                busy.start()
                children = []
                for number in range(5):
                    pid = os.fork()
                    if not pid:
                        get(f'child.{number}')
                        trace.get_tracer_provider().force_flush()
                        os._exit(0)
                    children.append(pid)
                for gate in ('thread', 'task'):
                    release(gate)
                await (await task).read()
            thread.join()
            busy.join()
            print(*{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children})
        asyncio.run(main())
    """
    env = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
    assert "0\n" == _told(_start(server, directory, source, sys.executable, "app.py", env=env))
    expected = ["slow-headers?gate=task", "slow-headers?gate=thread", *(f"busy.{n}" for n in range(30))]
    assert sorted([*expected, *(f"child.{n}" for n in range(5))]) == _items(_log(directory))


def test_daemon_that_outlives_its_parent(server: RecordingServer, directory: Path) -> None:
    """A daemon, which closes all that it inherited, goes on with its parent's file and clears up behind itself."""
    source = """
        import os, sys, requests
        from harness import BASE, wait
        def get(name):
            requests.get(f'{BASE}/item/{name}')
        get('parent')
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            out = os.dup(1)
            get('before')
            os.closerange(3, out)
            os.closerange(out + 1, 100)
            wait('parent is gone')
            get('daemon')
            sys.exit(0)
    """
    process = _start(server, directory, source, sys.executable, "app.py")
    assert 0 == process.wait(_PATIENCE_S)
    server.gates.mark("parent is gone")
    assert "" == _told(process)
    assert ["before", "daemon", "parent"] == _items(_log(directory))


_TWO_RUNS = """
    import os, sys, requests
    from harness import BASE, wait
    def get(name):
        requests.get(f'{BASE}/item/{name}')
    get(sys.argv[1])
    if len(sys.argv) > 2:
        if sys.argv[2] == 'orphan' and os.fork():
            os._exit(0)
        wait('go on')
        get('late')
"""


def test_second_run_beside_the_first(server: RecordingServer, directory: Path) -> None:
    """A run that finds another one at work writes beside it, and says where."""
    first = _start(server, directory, _TWO_RUNS, sys.executable, "app.py", "first", "wait")
    assert eventually((directory / "out.har").exists)
    second = _start(server, directory, _TWO_RUNS, sys.executable, "app.py", "second")
    _, said = second.communicate(timeout=_PATIENCE_S)
    beside = directory / f"out.{second.pid}.har"
    path = directory / "out.har"
    assert f"otel-har: another recording writes {path}, writing {beside}\n" == said
    server.gates.mark("go on")
    assert "" == _told(first)
    assert ["second"] == _items(read_checked(beside)["log"])
    beside.unlink()
    assert ["first", "late"] == _items(_log(directory))


def test_exec(server: RecordingServer, directory: Path) -> None:
    """A process that becomes another program writes before what waits; its forked child that does so writes nothing."""
    source = """
        import os, requests
        from harness import BASE
        requests.get(f'{BASE}/item/before')
        assert 0 == os.spawnlp(os.P_WAIT, 'true', 'true')
        os.execlp('true', 'true')
    """
    delay = ("--har_bsp_schedule_delay", "3600000")
    assert "" == _told(_start(server, directory, source, *delay, sys.executable, "app.py"))
    assert ["before"] == _items(read_checked(directory / "out.har")["log"])


def test_second_run_after_the_first(server: RecordingServer, directory: Path) -> None:
    """It starts the file anew, unless it is asked to append."""
    for name, options in (("first", ()), ("second", ()), ("third", ("--har_append", "true"))):
        assert "" == _told(_start(server, directory, _TWO_RUNS, *options, sys.executable, "app.py", name))
    assert ["second", "third"] == _items(_log(directory))


def test_orphan_that_finds_another_runs_file(server: RecordingServer, directory: Path) -> None:
    """A child that outlives its parent leaves the file of a run that came since alone, and writes beside it."""
    first = _start(server, directory, _TWO_RUNS, sys.executable, "app.py", "first", "orphan")
    assert 0 == first.wait(_PATIENCE_S)
    assert "" == _told(_start(server, directory, _TWO_RUNS, sys.executable, "app.py", "second"))
    server.gates.mark("go on")
    _, said = first.communicate(timeout=_PATIENCE_S)
    assert f"otel-har: another recording wrote {directory / 'out.har'}, writing " in said
    [beside] = [path for path in directory.glob("*.har") if path.name != "out.har"]
    assert ["late"] == _items(read_checked(beside)["log"])
    beside.unlink()
    assert ["second"] == _items(_log(directory))


def test_a_file_for_each_process(run_instrumented: InstrumentedRunner, directory: Path) -> None:
    """`{pid}` in the name is the number of the process that writes."""
    run = run_instrumented(
        """
        import os, requests
        from harness import BASE
        pid = os.fork()
        requests.get(f'{BASE}/item/{os.getpid()}')
        if pid:
            os.waitpid(pid, 0)
            print(os.getpid(), pid)
        """,
        har_path=directory / "out-{pid}.har",
    )
    pids = run.stdout.split()
    assert (0, "") == (run.returncode, run.stderr)
    assert {directory / f"out-{pid}.har" for pid in pids} == set(directory.iterdir())
    assert [[pid] for pid in pids] == [_items(read_checked(directory / f"out-{pid}.har")["log"]) for pid in pids]


_WSGI = """
    import os, requests
    from opentelemetry import trace
    from harness import BASE
    def app(environ, start_response):
        status = requests.get(BASE + environ['PATH_INFO'] + '?' + environ['QUERY_STRING']).status_code
        trace.get_tracer_provider().force_flush()
        answer = f'{status} {os.getpid()}'.encode()
        start_response('200 OK', [('Content-Length', str(len(answer)))])
        return [answer]
"""

_ASGI = """
    import os, aiohttp
    from opentelemetry import trace
    from harness import BASE
    async def app(scope, receive, send):
        if scope['type'] != 'http':
            return
        async with aiohttp.ClientSession() as session, session.get(BASE + scope['path']) as response:
            await response.read()
        trace.get_tracer_provider().force_flush()
        answer = f'{response.status} {os.getpid()}'.encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': answer})
"""


@contextlib.contextmanager
def _serving(
    server: RecordingServer, directory: Path, source: str, *command: str
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server's command, to which `FD` is a socket that listens; its port. It is asked to end in the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        words = [word.replace("FD", str(number)) for word in command]
        process = _start(server, directory, source, sys.executable, "-m", *words, pass_fds=[number])
        try:
            yield listening.getsockname()[1], process
            process.terminate()
            process.communicate(timeout=_PATIENCE_S)
        finally:
            process.kill()
            process.communicate()


def _ask(port: int, path: str) -> tuple[int, int]:
    """The status that the served program got for a path, and the number of its process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    connection.request("GET", path, headers={"Connection": "close"})
    status, pid = connection.getresponse().read().split()
    connection.close()
    return int(status), int(pid)


@pytest.mark.parametrize("options", [["-k", "sync"], ["-k", "gthread", "--threads", "2", "--preload"]], ids=" ".join)
def test_gunicorn(server: RecordingServer, directory: Path, options: list[str]) -> None:
    """Every worker writes the file, with the application loaded in each or before they are forked."""
    command = ["gunicorn", "-b", "fd://FD", "-w", "3", "--max-requests", "4", *options, "app:app"]
    with _serving(server, directory, _WSGI, *command) as (port, process):
        answers = {f"{number}": _ask(port, f"/item/{number}") for number in range(20)}
    log = _log(directory)
    assert {200} == {status for status, _ in answers.values()}
    assert {name: pid for name, (_, pid) in answers.items()} == _processes(log)
    assert {process.pid} == {entry["_otel"]["process"]["parentPid"] for entry in log["entries"]}
    assert (20, 1) == (len(log["entries"]), len(log["pages"]))


def test_gunicorn_worker_that_is_killed(server: RecordingServer, directory: Path) -> None:
    """A worker that hangs is ended by its master: what it wrote stays, and its successor goes on with the file."""
    command = ["gunicorn", "-b", "fd://FD", "-w", "1", "-t", "1", "app:app"]
    with _serving(server, directory, _WSGI, *command) as (port, _):
        _, first = _ask(port, "/item/1")
        with pytest.raises((http.client.HTTPException, ValueError, OSError)):
            _ask(port, "/slow-headers?gate=hung")
        _, second = _ask(port, "/item/2")
        server.gates.release("hung")
    items = _processes(_log(directory))
    assert first != second
    assert (first, second) == (items["1"], items["2"])
    assert items.keys() <= {"1", "2", "slow-headers?gate=hung"}


@pytest.mark.skipif(not OTEL_IS_PASSED_ON, reason="this release does not instrument the workers")
def test_uvicorn(server: RecordingServer, directory: Path) -> None:
    """Workers that are spawned write the file, too."""
    command = ["uvicorn", "--fd", "FD", "--workers", "2", "--log-level", "error", "app:app"]
    with _serving(server, directory, _ASGI, *command) as (port, process):
        answers = {f"{number}": _ask(port, f"/item/{number}") for number in range(12)}
    log = _log(directory)
    assert {name: pid for name, (_, pid) in answers.items()} == _processes(log)
    assert {process.pid} == {entry["_otel"]["process"]["parentPid"] for entry in log["entries"]}
    assert Counter(answers.keys()) == Counter(_items(log))


def test_worker_that_is_killed_in_the_middle(server: RecordingServer, directory: Path) -> None:
    """A child that is killed leaves the file to the others, whole, with what it had written."""
    source = """
        import os, signal, requests
        from opentelemetry import trace
        from harness import BASE
        def get(name):
            requests.get(f'{BASE}/item/{name}')
        get('first')
        pid = os.fork()
        if not pid:
            get('child')
            trace.get_tracer_provider().force_flush()
            get('lost')
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        get('last')
    """
    assert "" == _told(_start(server, directory, source, sys.executable, "app.py"))
    items = _items(_log(directory))
    assert ["child", "first", "last"] == [item for item in items if item != "lost"]
