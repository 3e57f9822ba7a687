"""`otel-har record`: targets, options, exit statuses and signals, with real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from otel_har.cli.app import app
from otel_har.settings import HarSettings
from otel_har.version import __version__
from servers.programs import _environment, read_checked

if TYPE_CHECKING:
    from servers import RecordingServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the command needs fork")

PROGRAM = """
    import os, sys
    import requests

    def main():
        requests.get(os.environ["TEST_BASE"] + "/json", timeout=30)
        print("arguments", sys.argv[1:])

    class Shop:
        @classmethod
        def three(cls):
            main()
            return 3

    async def later():
        main()
        return True

    def fails():
        main()
        raise ValueError("the program's own")

    if __name__ == "__main__":
        main()
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, server: RecordingServer) -> Run:
    """Runs `otel-har record` with a program `app.py` in its directory."""
    (tmp_path / "app.py").write_text(dedent(PROGRAM))

    def ran(*words: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "otel_har", "record", *words],
            env=_environment(server, tmp_path, env),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )

    return ran


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The file that is recorded to."""
    return tmp_path / "out.har"


def _summary(path: Path, entries: str = "1 entry") -> str:
    return f"otel-har: {entries}, {path.stat().st_size / 1000:.1f} kB, out.har\n"


@pytest.mark.parametrize(
    ("target", "status", "arguments"),
    [
        (["app.py", "-m", "--live", "--", "x"], 0, ["-m", "--live", "--", "x"]),
        (["--", sys.executable, "app.py", "--", "y"], 0, ["--", "y"]),
        (["--", "sh", "-c", f"{sys.executable} app.py in a shell; exit 9"], 9, ["in", "a", "shell"]),
        (["-m", "app", "-q"], 0, ["-q"]),
        (["app:main"], 0, []),
        (["app:Shop.three"], 3, []),
        (["app:later"], 0, []),
    ],
    ids=["path", "command", "shell", "module", "function", "nested", "coroutine"],
)
def test_target(run: Run, out: Path, target: list[str], status: int, arguments: list[str]) -> None:
    """Each kind of target is run with its own arguments, recorded, and its exit status kept."""
    done = run("out.har", *target)
    assert (status, f"arguments {arguments}\n", _summary(out)) == (done.returncode, done.stdout, done.stderr)
    assert 1 == len(read_checked(out)["log"]["entries"])


def test_an_exception_looks_as_without_us(run: Run, out: Path) -> None:
    """The traceback of a function begins in the program; what was recorded is there."""
    done = run("out.har", "app:fails")
    first, where, *_ = done.stderr.splitlines()
    assert (1, "Traceback (most recent call last):") == (done.returncode, first)
    assert where.endswith('app.py", line 21, in fails')
    assert done.stderr.endswith(f"ValueError: the program's own\n{_summary(out)}")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nowhere/out.har", "app.py"], 2, "nowhere/out.har: No such file or directory"),
        (["app.py/out.har", "app.py"], 2, "app.py/out.har: Not a directory"),
        (["--exporter", "File", "nowhere/out.har", "app.py"], 2, "nowhere/out.har: No such file or directory"),
        ([".", "app.py"], 2, "Is a directory"),
        (["--append", "app.py", "app.py"], 2, "it is no HAR file to append to"),
        (["out.har", "none.py"], 2, "there is no file 'none.py'"),
        (["out.har", "nomodule:main"], 2, "there is no module 'nomodule', neither here nor installed"),
        (["out.har", "-m", "nomodule"], 2, "there is no module 'nomodule', neither here nor installed"),
        (["out.har", "-m"], 2, "-m needs a module"),
        (["out.har"], 2, "Missing argument 'TARGET...'"),
        (["out.har", "nocommand"], 127, "there is no command 'nocommand'. TARGET is a command, a path that"),
        (["out.har", "--", "./app.py"], 126, "./app.py cannot be executed"),
        (["--retention-entries", "5", "out.har.zip", "app.py"], 2, "a zip archive has no retention"),
        (["out.har", "-i", "17", "app.py"], 2, "'--indent': '17': Input should be less than or equal to 16"),
        (["out.har", "-b", "fork", "app.py"], 2, "'--in-background': 'fork' is not one of"),
        (["out.har", "-n", "-1", "app.py"], 2, "'--interval-seconds': -1"),
        (["out.har", "--redactor", "nothing", "app.py"], 2, "'--redactor': 'nothing': "),
        (["/dev/null", "app.py"], 2, "/dev/null: it is not a regular file"),
        (["/dev/full", "app.py"], 2, "/dev/full: it is not a regular file"),
        (["-", "app.py"], 2, "OUT must be a file, not -: standard output and error are the program's"),
        (["/dev/stdout", "app.py"], 2, "OUT must be a file, not /dev/stdout: standard output and"),
        (["/dev/fd/1", "app.py"], 2, "OUT must be a file, not /dev/fd/1: standard output and"),
        (["--statuses", "4x", "out.har", "app.py"], 2, "'--statuses': '4x' is no status: 404, 4xx, 500-599 or error"),
        (["--include-urls", "re:(", "out.har", "app.py"], 2, "'--include-urls': 're:(' is no regular expression: "),
        (["--rotation-files", "3", "out.har", "app.py"], 2, "--rotation-files 3 needs --rotation-bytes or --rot"),
        (["out.har", "-i", "app.py"], 2, "'--indent': 'app.py': Input should be a valid integer"),
        (["-li", "app.py"], 2, "'--indent': 'app.py': Input should be a valid integer"),
        (["out.har", "--", "app:main"], 127, "there is no command 'app:main' here: a function stands without -- bef"),
    ],
)
def test_what_is_wrong_is_told_before_the_program_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, message: str
) -> None:
    """A bad path, target or value is an error of its own exit status, and nothing is run or written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("pass\n")
    done = CliRunner().invoke(app, ["record", *words])
    assert status == done.exit_code
    assert message in done.output
    assert ["app.py"] == [path.name for path in tmp_path.iterdir()]


def test_a_pipe_is_no_file_to_record_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before the program starts, and nothing waits for a reader of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("print('ran')\n")
    os.mkfifo(tmp_path / "out.har")
    done = CliRunner().invoke(app, ["record", "out.har", "app.py"])
    assert 2 == done.exit_code
    assert "out.har: it is not a regular file" in done.output


@pytest.mark.parametrize(
    ("words", "option"),
    [(["-I", "app.py"], "-I"), (["-uBS", "app.py"], "-S"), (["-W", "ignore", "-E", "app.py"], "-E")],
)
def test_a_python_that_leaves_the_recording_out(run: Run, words: list[str], option: str) -> None:
    """The line names the option that keeps the recording from beginning."""
    done = run("out.har", "--", sys.executable, *words, env={"PYTHONPATH": ""})
    told = f"otel-har: nothing was recorded: Python was started with {option}, which leaves out what begins the recordi"
    assert told in done.stderr


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nosuch:wanted", "nosuch:wanted: there is no module 'nosuch'"),
        ("json:nosuch.wanted", "json:nosuch.wanted: there is no 'nosuch'"),
        ("json:__name__", "json:__name__: it is no function, but str"),
    ],
)
def test_a_filter_that_is_not_there(run: Run, out: Path, place: str, told: str) -> None:
    """Only the program can import its function: what is wrong is one line, once, and the exchange is recorded."""
    done = run("--filter", place, "out.har", "app.py")
    first, counted, summary = done.stderr.splitlines()
    assert first.startswith(f"otel-har: the program's filter failed ({told})")
    assert counted.endswith("faults: the program's filter: SettingError (1)")
    assert (0, _summary(out)) == (done.returncode, summary + "\n")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("app:nothing", "otel-har: module 'app' has no 'nothing'\n"),
        ("app:Shop.nothing", "otel-har: 'Shop' has no 'nothing'\n"),
        ("app.nothing:main", "otel-har: there is no module 'app.nothing'\n"),
        ("app:os", "otel-har: app:os is no function, but module\n"),
    ],
)
def test_a_bad_import_string_is_a_clear_error(run: Run, target: str, message: str) -> None:
    """What only its import can tell is one line, too, without a traceback."""
    done = run("-q", "out.har", target)
    assert (2, "", message) == (done.returncode, done.stdout, done.stderr)


def test_a_file_that_cannot_be_executed(run: Run, tmp_path: Path) -> None:
    """A text without an interpreter's name is told as such, and is no recording."""
    (tmp_path / "text").write_text("no program\n")
    (tmp_path / "text").chmod(0o755)
    done = run("out.har", "--", "./text")
    assert (126, f"otel-har: {tmp_path}/text cannot be executed: Exec format error\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_program_that_dies_of_a_signal(run: Run, number: signal.Signals) -> None:
    """The command dies of the same signal, after the summary: a shell shows 128 and the number."""
    done = run("out.har", "--", "sh", "-c", f"kill -{int(number)} $$")
    assert -number == done.returncode
    assert done.stderr.startswith("otel-har: nothing was recorded: no Python that has otel-har took part")


def test_every_signal_is_passed_on(tmp_path: Path, server: RecordingServer) -> None:
    """What is sent to the command reaches the program, which decides."""
    numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM]
    program = f"""
        import os, signal, sys
        for number in {[int(number) for number in numbers]}:
            signal.signal(number, lambda number, _: os.write(1, b"%d\\n" % number))
        signal.signal(signal.SIGUSR2, lambda *_: sys.exit(6))
        os.write(1, b"ready\\n")
        while True:
            signal.pause()
    """
    (tmp_path / "app.py").write_text(dedent(program))
    command = [sys.executable, "-m", "otel_har", "record", "-q", "out.har", "app.py"]
    env = _environment(server, tmp_path, None)
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        for number in numbers:
            process.send_signal(number)
            assert f"{int(number)}\n" == process.stdout.readline()
        process.send_signal(signal.SIGUSR2)
        assert 6 == process.wait(timeout=30)


def test_the_program_finds_signals_as_without_us(run: Run) -> None:
    """SIGPIPE ends a shell's `yes | head` quietly; what the caller ignores stays ignored."""
    script = "yes | head -1; kill -HUP $$; echo alive"
    done = run(
        "-q", "out.har", "--", "bash", "-c", script, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert (0, "y\nalive\n", "") == (done.returncode, done.stdout, done.stderr)


def test_standard_input_is_the_programs(run: Run) -> None:
    """Nothing is read before the program reads it."""
    assert "what was typed" == run("-q", "out.har", "--", "cat", input="what was typed").stdout


@pytest.mark.parametrize(
    ("closed", "end", "status"),
    [
        (">&-", "sys.exit(7)", 7),
        ("2>&-", "sys.exit(7)", 7),
        ("<&- >&- 2>&-", "os.kill(os.getpid(), 15)", 143),
    ],
)
def test_standard_streams_may_be_closed(
    tmp_path: Path, server: RecordingServer, closed: str, end: str, status: int
) -> None:
    """Services and scripts close them: the program is run and recorded, and its end is the command's."""
    program = f"""
        import os, sys, requests

        requests.get(os.environ["TEST_BASE"] + "/json", timeout=30)
        {end}
    """
    (tmp_path / "ends.py").write_text(dedent(program))
    ours = [sys.executable, "-m", "otel_har", "record", "out.har", "ends.py"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}; exit $?', "sh", *ours],
        env=_environment(server, tmp_path, None),
        cwd=tmp_path,
        check=False,
        timeout=60,
    )
    assert status == done.returncode
    assert 1 == len(read_checked(tmp_path / "out.har")["log"]["entries"])


def test_all_processes_are_one_recording(run: Run, out: Path) -> None:
    """Two programs of a shell, at one time, are one file."""
    script = f"{sys.executable} app.py & {sys.executable} app.py; wait"
    done = run("out.har", "--", "sh", "-c", script)
    assert (0, _summary(out, "2 entries")) == (done.returncode, done.stderr)


def test_a_file_for_each_process_is_summed_up(run: Run, tmp_path: Path) -> None:
    """With `{pid}` the line names one of the files, and says how many there are beside it."""
    done = run("out.{pid}.har", "--", "sh", "-c", f"{sys.executable} app.py; {sys.executable} app.py; true")
    files = sorted(tmp_path.glob("out.*.har"))
    size = sum(file.stat().st_size for file in files) / 1000
    assert f"otel-har: 2 entries, {size:.1f} kB, {files[0].name} and 1 file beside it\n" == done.stderr


def test_nothing_was_recorded_and_why(run: Run, out: Path) -> None:
    """The line says what is missing; an older file is not taken for the recording."""
    out.write_text("{}")
    nothing = "otel-har: nothing was recorded: "
    assert (
        f"{nothing}no Python that has otel-har took part; it must be installed in the program's own environment\n"
        == (run("out.har", "--", "true").stderr)
    )
    assert f"{nothing}OTEL_SDK_DISABLED is set\n" in run("out.har", "app.py", env={"OTEL_SDK_DISABLED": "true"}).stderr
    no_request = f"{nothing}no request was made with requests or aiohttp"
    assert f"{no_request}\n" == run("out.har", "-m", "this").stderr
    assert f"{no_request} that the filters let in\n" == run("out.har", "--methods", "DELETE", "app.py").stderr
    ended = ", or none was written before the program ended at once (-l writes each when it is over)"
    assert (
        f"{no_request}{ended}; the earlier recording was put back\n"
        == run("out.har", "--", sys.executable, "-c", "import os; os._exit(3)").stderr
    )


@pytest.mark.parametrize("name", ["out.har", "out.har.zip"])
def test_a_program_that_never_began_costs_no_recording(run: Run, tmp_path: Path, name: str) -> None:
    """A function that is not there, or a program that fails before its first request, leaves the earlier recording."""
    assert 0 == run(name, "app.py").returncode
    before = (tmp_path / name).read_bytes()
    (tmp_path / name).chmod(0o640)
    done = run(name, "app:nothing")
    assert 2 == done.returncode
    assert done.stderr.endswith("with requests or aiohttp; the earlier recording was put back\n")
    assert before == (tmp_path / name).read_bytes()
    assert 0o640 == (tmp_path / name).stat().st_mode & 0o777
    assert [] == [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_program_that_began_replaces_the_earlier_recording(run: Run, tmp_path: Path, out: Path) -> None:
    """One that fails later has its own recording."""
    (tmp_path / "three.py").write_text("import app\nfor _ in range(3):\n    app.main()\n")
    assert 0 == run("out.har", "three.py").returncode
    done = run("out.har", "app:fails")
    assert done.stderr.endswith(_summary(out))
    assert 1 == len(read_checked(out)["log"]["entries"])


# What harlem's command has: each flag, by its name and its short form.


def test_flag_i_indent(run: Run, out: Path) -> None:
    """`-i N`, `--indent N`: spaces for each level."""
    assert 0 == run("-i", "3", "out.har", "app.py").returncode
    assert out.read_text().startswith('{\n   "log": {\n      "')
    assert 0 == run("out.har", "--indent=1", "app.py").returncode
    assert out.read_text().startswith('{\n "log": {\n  "')


@pytest.mark.parametrize("words", [["--live"], ["-lb", "thread"]], ids=["live", "lb"])
def test_flag_l_live(run: Run, tmp_path: Path, words: list[str]) -> None:
    """`-l`, `--live`: what was exchanged is in the file while the program runs, long before its end."""
    (tmp_path / "live.py").write_text(dedent(LIVE))
    done = run("-n", "1000", *words, "out.har", "live.py")
    assert (0, "True\n") == (done.returncode, done.stdout)


LIVE = """
    import json, os, pathlib, sys, time
    import requests

    requests.get(os.environ["TEST_BASE"] + "/json", timeout=30)
    limit = time.monotonic() + 20
    path = pathlib.Path("out.har")
    while not json.loads(path.read_text())["log"]["entries"] and time.monotonic() < limit:
        time.sleep(0.01)
    print(time.monotonic() < limit)
"""


def test_live_is_written_when_the_call_returns(run: Run, tmp_path: Path, out: Path) -> None:
    """Of a program that ends by `os._exit` the last exchange is there, too: it was written before its call returned."""
    program = """
        import os, sys, requests

        sys.setswitchinterval(100)  # no other thread comes in between the call's return and the end
        requests.get(os.environ["TEST_BASE"] + "/json", timeout=30)
        os._exit(4)
    """
    (tmp_path / "ends.py").write_text(dedent(program))
    done = run("-l", "out.har", "ends.py")
    assert (4, _summary(out)) == (done.returncode, done.stderr)


@pytest.mark.parametrize("option", ["-n", "--interval-seconds"])
def test_flag_n_interval_seconds(run: Run, tmp_path: Path, out: Path, option: str) -> None:
    """`-n S`, `--interval-seconds S`: written so often, also while nothing happens; and at the end."""
    (tmp_path / "live.py").write_text(dedent(LIVE))
    assert (0, "True\n") == ((done := run(option, "0.05", "out.har", "live.py")).returncode, done.stdout)
    assert 1 == len(read_checked(out)["log"]["entries"])


def test_interval_of_nothing_is_off(run: Run, out: Path) -> None:
    """`-n 0` is as without it."""
    done = run("-n", "0", "out.har", "app.py")
    assert (0, _summary(out)) == (done.returncode, done.stderr)


@pytest.mark.skipif("retention_seconds" not in HarSettings.model_fields, reason="there is no such setting")
@pytest.mark.parametrize("option", ["-r", "--retention-seconds"])
def test_flag_r_retention_seconds(run: Run, tmp_path: Path, out: Path, option: str) -> None:
    """`-r S`, `--retention-seconds S`: alone it is live, and older entries are dropped, also at the end."""
    program = LIVE + '    time.sleep(0.5)\n    requests.get(os.environ["TEST_BASE"] + "/json?2", timeout=30)\n'
    (tmp_path / "live.py").write_text(dedent(program))
    assert (0, "True\n") == ((done := run(option, "0.4", "out.har", "live.py")).returncode, done.stdout)
    urls = [entry["request"]["url"] for entry in read_checked(out)["log"]["entries"]]
    assert ["json?2"] == [url.rpartition("/")[2] for url in urls]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_flag_b_in_background(run: Run, out: Path, kind: str) -> None:
    """`-b thread|process`, `--in-background`: the same file."""
    for option in ("-b", "--in-background"):
        done = run(option, kind, "out.har", "app.py")
        assert (0, _summary(out)) == (done.returncode, done.stderr)


# Ours besides.


def test_flag_append(run: Run, out: Path) -> None:
    """`--append`: the file goes on, and the line counts what came."""
    assert 0 == run("out.har", "app.py").returncode
    done = run("--append", "out.har", "app.py")
    assert (0, _summary(out)) == (done.returncode, done.stderr)
    assert 2 == len(read_checked(out)["log"]["entries"])


def test_flag_redact(run: Run, out: Path, tmp_path: Path, server: RecordingServer) -> None:
    """`--redact`, `--redact-queries`: an option takes the place of the environment's setting."""
    (tmp_path / "ask.py").write_text(f"import requests\nrequests.get({server.url('/json?colour=red')!r}, timeout=30)\n")
    strict = {"OTEL_PYTHON_HAR_REDACT": "strict"}
    for words, query in (([], "[REDACTED]"), (["--redact", "none"], "red")):
        assert 0 == run(*words, "out.har", "ask.py", env=strict).returncode
        [entry] = json.loads(out.read_text())["log"]["entries"]
        assert [{"name": "colour", "value": query}] == entry["request"]["queryString"]
    assert 0 == run("--redact-queries", "size,colour", "--redact-queries", "shape", "out.har", "ask.py").returncode
    assert "colour=red" not in out.read_text()


def test_flag_exporter(run: Run, out: Path) -> None:
    """`--exporter`: without `file` nothing is written to OUT, and there is nothing to sum up."""
    done = run("--exporter", "logging", "out.har", "app.py")
    told = f"otel-har: {out} is not written: OTEL_PYTHON_HAR_EXPORTER=logging does not name file\n"
    assert (0, told, False) == (done.returncode, done.stderr, out.exists())


def test_flag_q_quiet(run: Run, out: Path) -> None:
    """`-q`, `--quiet`: no line at the end."""
    assert (0, "") == ((done := run("-q", "out.har", "app.py")).returncode, done.stderr)
    assert 1 == len(read_checked(out)["log"]["entries"])


def test_version_and_command() -> None:
    """`otel-har --version` is there, and `python -m otel_har` is the same command."""
    installed = Path(sys.executable).with_name("otel-har")
    for command in ([str(installed)], [sys.executable, "-m", "otel_har"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, env=dict(os.environ))
        assert f"otel-har, version {__version__}\n" == done.stdout
