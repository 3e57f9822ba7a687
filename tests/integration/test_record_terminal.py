"""`otel-har record` on a terminal: colours, Ctrl-C, job control, and signals that reach the program once."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from servers.programs import _environment, read_checked
from servers.terminal import Terminal

if TYPE_CHECKING:
    from servers import RecordingServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals, process groups and fork")

RECORD = [sys.executable, "-m", "otel_har", "record", "out.har"]
COUNTING = """
    import os, signal, sys

    counts = {}

    def say(text):  # a handler may come in the midst of a print
        os.write(1, f"{text}\\n".encode())

    def count(number, frame):
        counts[number] = counts.get(number, 0) + 1
        say(f"came {number} .")

    def tell(number, frame):
        say(f"counted {sorted(counts.items())}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, count)
    signal.signal(signal.SIGUSR1, tell)
    signal.signal(signal.SIGUSR2, lambda *_: sys.exit(5))
    say(f"ready {os.getppid()}")
    while True:
        signal.pause()
"""

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path, server: RecordingServer) -> Start:
    """Starts a command on a terminal, in a directory with a program `app.py`."""

    def started(program: str, *command: str) -> Terminal:
        (tmp_path / "app.py").write_text(dedent(program))
        return Terminal(command or [*RECORD, "app.py"], env=_environment(server, tmp_path, None), cwd=tmp_path)

    return started


def _recorder(terminal: Terminal) -> int:
    """The process number of `otel-har record`, which the program told."""
    terminal.read_until("ready")
    terminal.read_until("\n")
    found = re.search(r"ready (\d+)", terminal.output)
    assert found is not None
    return int(found[1])


def test_the_summary_is_coloured_and_the_program_has_the_terminal(start: Start, tmp_path: Path) -> None:
    """What a person sees: the program's own output, then one line with the number and the file brought out."""
    program = """
        import os, sys, requests
        requests.get(os.environ["TEST_BASE"] + "/json", timeout=30)
        print([stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)])
    """
    with start(program) as terminal:
        assert 0 == terminal.end()
    entries = read_checked(tmp_path / "out.har")["log"]["entries"]
    assert 1 == len(entries)
    size = (tmp_path / "out.har").stat().st_size / 1000
    assert (
        f"[True, True, True]\n\x1b[2motel-har:\x1b[0m \x1b[1m1 entry\x1b[0m, {size:.1f} kB, \x1b[36mout.har\x1b[0m\n"
    ) == terminal.output


def test_what_asks_for_no_colours_has_none(start: Start) -> None:
    """NO_COLOR holds for the summary, too."""
    with start("", "env", "NO_COLOR=1", *RECORD, "app.py") as terminal:
        assert 0 == terminal.end()
    assert "otel-har: nothing was recorded: no request was made with requests or aiohttp\n" == terminal.output


def test_ctrl_c_reaches_the_program_once(start: Start) -> None:
    """The terminal sends to both processes; nothing is passed on besides."""
    with start(COUNTING) as terminal:
        recorder = _recorder(terminal)
        terminal.type("\x03")
        terminal.read_until(f"came {int(signal.SIGINT)} .")
        os.kill(recorder, signal.SIGUSR1)  # which comes to the program after whatever came before
        terminal.read_until("counted")
        terminal.read_until("]\n")
        os.kill(recorder, signal.SIGUSR2)
        assert 5 == terminal.end()
    assert f"counted [({int(signal.SIGINT)}, 1)]\n" in terminal.output


def test_a_signal_to_the_group_reaches_the_program_once(start: Start) -> None:
    """`kill %1` of a shell and supervisors send to the whole group; a second SIGTERM would cut the first one short."""
    with start(COUNTING) as terminal:
        recorder = _recorder(terminal)
        os.killpg(os.getpgid(recorder), signal.SIGTERM)
        terminal.read_until(f"came {int(signal.SIGTERM)} .")
        os.kill(recorder, signal.SIGHUP)
        terminal.read_until(f"came {int(signal.SIGHUP)} .")
        os.kill(recorder, signal.SIGUSR1)
        terminal.read_until("counted")
        terminal.read_until("]\n")
        os.kill(recorder, signal.SIGUSR2)
        assert 5 == terminal.end()
    both = sorted([(int(signal.SIGTERM), 1), (int(signal.SIGHUP), 1)])
    assert f"counted {both}\n" in terminal.output


def test_ctrl_c_ends_a_program_as_without_us(start: Start) -> None:
    """KeyboardInterrupt is shown with the program's frames alone, then comes the summary, and SIGINT is the end."""
    program = """
        import time

        def main():
            print("ready", flush=True)
            while True:  # a signal just before one long wait would be seen after that
                time.sleep(0.01)
    """
    with start(program, *RECORD, "app:main") as terminal:
        terminal.read_until("ready")
        terminal.type("\x03")
        assert -signal.SIGINT == terminal.end()
    shown = re.sub(r"\x1b\[[\d;]*m", "", terminal.output)
    assert [str(Path("app.py"))] == [Path(name).name for name in re.findall(r'File "(.*?)"', shown)]
    assert "KeyboardInterrupt\notel-har: nothing was recorded" in shown


def test_ctrl_z_stops_the_job_and_fg_goes_on(start: Start) -> None:
    """A shell gets its prompt back when the program stops, and both go on when it says so."""
    program = """
        import os
        print("ready", os.getpid(), flush=True)
        print("read", input(), flush=True)
    """
    with start(program, "bash", "--norc", "--noprofile", "-i") as terminal:
        terminal.type(" ".join([*RECORD, "app.py"]) + "\n")
        _recorder(terminal)
        terminal.type("\x1a")
        terminal.read_until("Stopped")
        terminal.type("echo 'prompt'$?\n")
        terminal.read_until(f"prompt{128 + signal.SIGTSTP}")
        terminal.type("fg\n")
        terminal.type("a line\n")
        terminal.read_until("read a line")
        terminal.read_until("nothing was recorded")
        terminal.type("exit 7\n")
        assert 7 == terminal.end()


def test_a_program_that_stops_itself_stops_the_job(start: Start) -> None:
    """So a shell that waits for the recorder does not wait for a program that sleeps."""
    program = """
        import os, signal
        print("ready", os.getpid(), flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        print("went on", flush=True)
    """
    with start(program, "bash", "--norc", "--noprofile", "-i") as terminal:
        terminal.type(" ".join([*RECORD, "app.py"]) + "\n")
        terminal.read_until("Stopped")
        terminal.type("fg\n")
        terminal.read_until("went on")
        terminal.read_until("nothing was recorded")
        terminal.type("exit 7\n")
        assert 7 == terminal.end()
