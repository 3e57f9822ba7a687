"""`otel-har check`: what it prints and how it ends, through click's runner and as a real process."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import commands
from otel_har.cli.app import app
from otel_har.version import __version__

DATA = Path(__file__).parents[2] / "data" / "har"
VALID = str(DATA / "valid.har")
FAULTY = str(DATA / "robot-export.har")
FAULTY_LINE = f"{FAULTY}: log.entries[0].timings.blocked: is missing"
run = partial(commands.run, "check")


def spawn(*arguments: str, code: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command, or some code, as a process of its own."""
    start = ["-m", "otel_har"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_no_faults() -> None:
    """A good file is told with its number of entries, and the status is 0."""
    result = run(VALID)
    assert (0, "1 file, 3 entries: no faults\n") == (result.exit_code, result.stdout)


def test_faults() -> None:
    """Each fault is a line with file, place and message; the status is 1."""
    result = run(VALID, FAULTY)
    lines = result.stdout.splitlines()
    assert (1, FAULTY_LINE, "2 files, 4 entries: 8 faults") == (result.exit_code, lines[0], lines[-1])
    assert all(line.startswith(f"{FAULTY}: log.") for line in lines[:-1])


def test_standard_input() -> None:
    """A single dash stands for standard input."""
    good = run("-", standard_input=Path(VALID).read_bytes())
    bad = run("-", standard_input=Path(FAULTY).read_bytes())
    assert (0, "1 file, 3 entries: no faults\n") == (good.exit_code, good.stdout)
    assert (1, "-: log.entries[0].timings.blocked: is missing") == (bad.exit_code, bad.stdout.splitlines()[0])


def test_json(tmp_path: Path) -> None:
    """With --json there is one document, with a file that cannot be read in it, too."""
    missing = str(tmp_path / "no-such.har")
    process = spawn("check", "--json", VALID, FAULTY, missing)
    good, bad, unreadable = json.loads(process.stdout)["files"]
    assert {"file": VALID, "faults": [], "entries": 3} == good
    assert {"place": "log.entries[0].timings.blocked", "message": "is missing", "code": "missing"} == bad["faults"][0]
    assert (FAULTY, 1, 8) == (bad["file"], bad["entries"], len(bad["faults"]))
    assert {"file": missing, "faults": [], "entries": 0, "unreadable": "No such file or directory"} == unreadable
    assert 2 == process.returncode


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "document: not a HAR: there is nothing in it"),
        (b"hello", 'document: not JSON: lexical error: invalid char in json text, near "hello"'),
        (b'{"menu": []}', "document: not a HAR: there is no log object"),
    ],
)
def test_no_har(tmp_path: Path, data: bytes, line: str) -> None:
    """A file that is empty, no JSON, or no HAR has one fault that says so."""
    path = tmp_path / "file.har"
    path.write_bytes(data)
    result = run(str(path))
    assert (1, f"{path}: {line}\n1 file, 0 entries: 1 fault\n") == (result.exit_code, result.stdout)


def test_cut_off(tmp_path: Path) -> None:
    """A file that is cut off has one fault that says so, and the report names the command that mends it."""
    path = tmp_path / "file.har"
    path.write_bytes(b'{"log": {"entries": [')
    result = run(str(path))
    assert 1 == result.exit_code
    assert [
        f"{path}: log.entries: not JSON: it ends too early, after 21 bytes",
        "1 file, 0 entries: 1 fault",
        "otel-har repair FILE keeps what is whole of a file that is not JSON to its end",
    ] == result.stdout.splitlines()


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is one line on standard error and status 2; other files are checked all the same."""
    path = tmp_path / "no-such.har"
    process = spawn("check", str(path), FAULTY)
    assert f"otel-har: {path}: No such file or directory\n" == process.stderr
    assert FAULTY_LINE == process.stdout.splitlines()[0]
    assert (2, "2 files, 1 entry: 8 faults, 1 unreadable") == (process.returncode, process.stdout.splitlines()[-1])


def test_directory(tmp_path: Path) -> None:
    """A directory is one line, too."""
    process = spawn("check", str(tmp_path))
    assert (2, f"otel-har: {tmp_path}: Is a directory\n") == (process.returncode, process.stderr)


def test_no_file_given() -> None:
    """Without a file the usage is told, with status 2."""
    process = spawn("check")
    assert 2 == process.returncode
    assert "Missing argument 'FILE...'" in process.stderr


def test_help_and_version() -> None:
    """The help names the statuses, the version is the package's."""
    assert "Exit status: 0 no fault" in run("--help").stdout
    assert f"otel-har, version {__version__}\n" == CliRunner().invoke(app, ["--version"]).stdout


def test_process() -> None:
    """As a process, `python -m otel_har` is the same command."""
    process = spawn("check", VALID, FAULTY)
    assert (1, "", FAULTY_LINE) == (process.returncode, process.stderr, process.stdout.splitlines()[0])


def test_other_parser() -> None:
    """Where ijson has no C parser, its Python one gives the same result."""
    process = spawn("check", VALID, FAULTY, IJSON_BACKEND="python")
    assert (run(VALID, FAULTY).stdout, "") == (process.stdout, process.stderr)


def test_broken_pipe() -> None:
    """A reader that goes away, as `head` does, ends the command quietly."""
    with subprocess.Popen(
        [sys.executable, "-m", "otel_har", "check", *[FAULTY] * 2000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert FAULTY_LINE == process.stdout.readline().decode().rstrip()
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 1 == process.returncode


@pytest.mark.parametrize("package", ["click", "ijson"])
def test_missing_package(package: str) -> None:
    """Without the packages of the extra the command says what to install."""
    process = spawn(code=f"import sys; sys.modules[{package!r}] = None; from otel_har.cli import main; main()")
    expected = f"otel-har: the command needs {package}: pip install 'otel-har[cli]'\n"
    assert (2, "", expected) == (process.returncode, process.stdout, process.stderr)


SECRETS = f"""\
{VALID}: log.entries[0].request.cookies[0].value: looks secret (cookie)
{VALID}: log.entries[0].request.headers[1].value: looks secret (header: cookie)
{VALID}: log.entries[0].response.cookies[0].value: looks secret (cookie)
{VALID}: log.entries[2].request.headers[1].value: looks secret (header: cookie)
"""


def test_secrets() -> None:
    """With --secrets each place of what looks secret is a line, never the value, and faults do not count."""
    found = run("--secrets", VALID, FAULTY)
    assert (1, f"{SECRETS}2 files, 4 entries: 4 secrets\n") == (found.exit_code, found.stdout)
    none = run("--secrets", FAULTY)
    assert (0, "1 file, 1 entry: no secrets\n") == (none.exit_code, none.stdout)


def test_secrets_by_names(tmp_path: Path) -> None:
    """Further names and names to keep go with --secrets."""
    path = tmp_path / "file.har"
    fields = '{"name":"X-Api-Key","value":"v"},{"name":"X-Pet","value":"rex"}'
    path.write_text(f'{{"log":{{"entries":[{{"request":{{"headers":[{fields}]}}}}]}}}}')
    found = run("--secrets", str(path), "--keep", "x-api-key", "--header", "x-pet").stdout
    assert f"{path}: log.entries[0].request.headers[1].value: looks secret (header)" == found.splitlines()[0]
    assert "1 file, 1 entry: 1 secret" == found.splitlines()[1]
    wrong = run(VALID, "--keep", "cookie")
    assert (2, True) == (wrong.exit_code, "--keep go with --secrets" in wrong.output)


def test_secrets_as_json() -> None:
    """With --json they are in the one document."""
    [found] = json.loads(run("--secrets", "--json", VALID).stdout)["files"]
    place = "log.entries[0].request.cookies[0].value"
    assert {"place": place, "message": "looks secret (cookie)", "code": "secret"} == found["faults"][0]
    assert (4, 3) == (len(found["faults"]), found["entries"])


def test_secrets_in_what_ends_early(tmp_path: Path) -> None:
    """What cannot be read to its end may hide more: status 2, with what was found before."""
    path = tmp_path / "file.har"
    path.write_bytes(b'{"log": {"comment": "password=abcdef", "entries": [')
    process = spawn("check", "--secrets", str(path))
    assert 2 == process.returncode
    assert f"otel-har: {path}: log.entries[0]: it ends too early, after 51 bytes\n" == process.stderr
    assert [
        f"{path}: log.comment: looks secret (text: field)",
        "1 file, 0 entries: 1 secret, 1 unreadable",
    ] == process.stdout.splitlines()
