"""`otel-har repair`: what it prints, what it writes and how it ends, through click's runner and as a real process."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import commands
from otel_har.cli.app import app
from otel_har.export.file import FileHarExporter
from otel_har.har.checker import check

ROOT = Path(__file__).parents[3]
VALID = (ROOT / "tests" / "data" / "har" / "valid.har").read_bytes()
CUT = VALID[: VALID.rindex(b'"startedDateTime"', 0, VALID.index(b'"pages"'))]
FOUND = f"log.entries[2]: it ends too early, after {len(CUT)} bytes"
DONE = "mended: 2 entries kept, 48 bytes left out, 1 lost page put in again"
run = partial(commands.run, "repair")
spawn = partial(commands.spawn, "repair")


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A file that is cut in its third entry."""
    path = tmp_path / "out.har"
    path.write_bytes(CUT)
    return path


def test_in_its_place(cut: Path) -> None:
    """A cut file is mended, and two lines say what was wrong and what was kept; mended again, one says it is whole."""
    assert (0, f"{cut}: {FOUND}\n{cut}: {DONE}\n") == ((done := run(cut)).exit_code, done.output)
    assert [] == list(check(cut))
    assert (0, f"{cut}: is whole: 2 entries\n") == ((again := run(cut)).exit_code, again.output)


def test_a_file_that_is_recorded(tmp_path: Path) -> None:
    """A file that a process records to is left to it, until that ends."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    path.write_bytes(CUT)
    assert (2, f"otel-har: {path}: a process records to it\n", CUT) == (
        (done := run(path)).exit_code,
        done.output,
        path.read_bytes(),
    )
    assert 0 == run(path, "-o", tmp_path / "other.har").exit_code
    exporter.shutdown()
    assert 0 == run(path).exit_code
    assert [] == list(check(path))


def test_several_files(cut: Path) -> None:
    """Each file is mended; the status is the worst of all."""
    other = cut.with_name("other.har")
    other.write_bytes(b"hello")
    third = cut.with_name("third.har")
    third.write_bytes(CUT)
    status, output, errors = spawn(cut, other, third)
    assert (1, 4) == (status, len(output.splitlines()))
    assert f'otel-har: {other}: cannot be mended: byte 0: not a HAR: not JSON, near "hello"\n' == errors
    assert [[], []] == [list(check(cut)), list(check(third))]


def test_elsewhere(cut: Path) -> None:
    """With an output the file itself stays."""
    output = cut.with_name("mended.har")
    assert (0, f"{cut}: {FOUND}\n{cut}: {DONE}\n") == ((done := run(cut, "-o", output)).exit_code, done.output)
    assert (CUT, []) == (cut.read_bytes(), list(check(output)))


def test_standard_streams(cut: Path) -> None:
    """A dash is standard input and output; what is said goes to standard error."""
    mended = cut.with_name("mended.har")
    status, output, errors = spawn("-", standard_input=CUT)
    assert (0, f"-: {FOUND}\n-: {DONE}\n") == (status, errors)
    assert (0, output, f"{cut}: {FOUND}\n{cut}: {DONE}\n") == spawn(cut, "--output", "-")
    assert (0, f"-: {FOUND}\n-: {DONE}\n".encode(), "") == spawn("-", "-o", mended, standard_input=CUT)
    assert output == mended.read_bytes()
    assert (0, output, "-: is whole: 2 entries\n") == spawn("-", standard_input=output)


def test_zeros(cut: Path) -> None:
    """What a machine that crashed left behind is named."""
    cut.write_bytes(VALID + b"\0" * 100)
    assert [
        f"{cut}: document: there are zeros instead of text",
        f"{cut}: mended: 3 entries kept, 100 bytes left out",
    ] == run(cut).output.splitlines()
    assert VALID == cut.read_bytes()


def test_pages_without_entries(tmp_path: Path) -> None:
    """Pages that lost their entries are counted."""
    path = tmp_path / "out.har"
    page = b'{"id":"%d","startedDateTime":"2030-01-01T00:00:00Z","title":"","pageTimings":{}}'
    path.write_bytes(b'{"log":{"pages":[' + page % 1 + b"," + page % 2 + b'],"entries":[{"pageref":"1"},')
    kept = f"1 entry kept, {len(page % 2) + 2} bytes left out, 1 page without an entry left out"
    assert f"{path}: mended: {kept}" == run(path).output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such.har",), "otel-har: no-such.har: No such file or directory\n"),
        ((".",), "otel-har: .: Is a directory\n"),
        (("out.har", "-o", "no-such/mended.har"), "otel-har: out.har: there is no such directory: /"),
        ((), "Missing argument 'FILE...'"),
        (("out.har", "out.har", "-o", "mended.har"), "with - or an output there can be one FILE only"),
        (("-", "out.har"), "with - or an output there can be one FILE only"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read or written, and wrong usage, is one line on standard error, and status 2."""
    monkeypatch.chdir(cut.parent)
    done = run(*arguments)
    assert (2, True) == (done.exit_code, message in done.output), done.output
    assert CUT == cut.read_bytes()


def test_help() -> None:
    """The help names the statuses."""
    assert "Exit status: 0 mended or nothing to do" in run("--help").output


def test_the_page_about_it(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the documentation does and prints what stands there."""
    monkeypatch.chdir(cut.parent)
    page = (ROOT / "docs" / "repair.md").read_text()
    [console] = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for command, expected in re.findall(r"^\$ otel-har (.*)\n((?:[^$].*\n)*)", console, re.MULTILINE):
        assert expected == CliRunner().invoke(app, command.split()).output
