"""`otel-har redact`: what it prints, what it writes and how it ends, through click's runner and as a real process."""

from __future__ import annotations

import gzip
import json
import re
import stat
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import commands
from children import PAGE, batch
from otel_har.cli.app import app
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.har.checker import check
from otel_har.har.models import Content, Response
from otel_har.har.reader import load

ROOT = Path(__file__).parents[3]
VALID = ROOT / "tests" / "data" / "har" / "valid.har"
DONE = "3 entries, 2 redacted (cookie 1, header: cookie 2)"
run = partial(commands.run, "redact")
spawn = partial(commands.spawn, "redact")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with cookies."""
    path = tmp_path / "out.har"
    path.write_bytes(VALID.read_bytes())
    path.chmod(0o640)
    return path


def test_elsewhere(path: Path) -> None:
    """The redacted copy goes to OUT, in the mode of the file, and a line says what was done."""
    output = path.with_name("redacted.har")
    assert (0, f"{path}: {DONE}\n") == ((done := run(path, output)).exit_code, done.output)
    assert (VALID.read_bytes(), []) == (path.read_bytes(), list(check(output)))
    assert b"basket=7" not in output.read_bytes()
    assert 0o640 == stat.S_IMODE(output.stat().st_mode)
    assert {path, output} == set(path.parent.iterdir())


def test_in_place(path: Path) -> None:
    """In its place a file is replaced; redacted again it stays the same."""
    assert (0, f"{path}: {DONE}\n") == ((done := run("--in-place", path)).exit_code, done.output)
    once = path.read_bytes()
    assert b"basket=[REDACTED]" in once
    assert (0, f"{path}: 3 entries, 0 redacted\n", once) == (
        (again := run(path, path)).exit_code,
        again.output,
        path.read_bytes(),
    )
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_standard_streams(path: Path) -> None:
    """A dash is standard input and output; what is said goes to standard error then."""
    output = path.with_name("redacted.har")
    status, redacted, errors = spawn("-", "-", standard_input=VALID.read_bytes())
    assert (0, f"-: {DONE}\n") == (status, errors)
    assert (0, redacted, f"{path}: {DONE}\n") == spawn(path, "-")
    assert (0, f"-: {DONE}\n".encode(), "") == spawn("-", output, standard_input=VALID.read_bytes())
    assert redacted == output.read_bytes()
    assert 0o600 == stat.S_IMODE(output.stat().st_mode)


def test_options(tmp_path: Path) -> None:
    """Further names, names to keep, hashes and the strict mode."""
    values = {"X-Api-Key": "key-value-1", "X-Pet": "pet-value-1", "X-Vet": "vet-value-1"}
    request = {
        "headers": [{"name": name, "value": value} for name, value in values.items()],
        "queryString": [{"name": "lot", "value": "lot-value-1"}],
        "postData": {"mimeType": "application/json", "text": '{"fur": "fur-value-1", "rest": "rest-value-1"}'},
    }
    path = tmp_path / "in.har"
    path.write_text(json.dumps({"log": {"entries": [{"request": request}] * 2}}))

    def left(*options: str) -> set[str]:
        done = run(path, "-", *options)
        assert 0 == done.exit_code
        return set(re.findall(r"(\w+)-value-1", done.stdout))

    everything = {"key", "pet", "vet", "lot", "fur", "rest"}
    assert everything - {"key"} == left()
    assert everything == left("--keep", "X-API-Key")
    named = left("--header", "x-pet", "--header", "X-Vet", "--query", "lot", "--field", "fur")
    assert {"rest"} == named
    assert set() == left("--mode", "strict")
    marks = [re.findall(r"\[REDACTED:[0-9a-f]{12}\]", run(path, "-", "--hashes").stdout) for _ in range(2)]
    assert [(2, 1), (2, 1)] == [(len(found), len(set(found))) for found in marks]
    assert set(marks[0]) & set(marks[1]) == set()


def test_a_file_that_is_recorded(path: Path) -> None:
    """A file that a process records to is not replaced, and stays readable for a copy."""
    path.unlink()
    exporter = FileHarExporter(path)
    before = path.read_bytes()
    message = f"otel-har: {path}: a process records to it\n"
    other = path.with_name("other.har")
    other.write_bytes(VALID.read_bytes())
    assert (2, message) == ((done := run("--in-place", path)).exit_code, done.output)
    assert (2, f"otel-har: {other}: a process records to it: {path}\n") == (
        (done := run(other, path)).exit_code,
        done.output,
    )
    assert before == path.read_bytes()
    assert 0 == run(path, path.with_name("copy.har")).exit_code
    exporter.shutdown()
    assert 0 == run("--in-place", path).exit_code
    assert [] == list(check(path))


@pytest.mark.parametrize("to", ["other.har", "in.har", "--in-place"])
def test_a_broken_file(path: Path, to: str) -> None:
    """What is no HAR to its end is told, with status 1, and nothing is written."""
    broken = path.with_name("in.har")
    broken.write_bytes(VALID.read_bytes()[:2000])
    there = sorted(path.parent.iterdir())
    done = run(broken, to if to.startswith("-") else path.with_name(to))
    assert (1, f"otel-har: {broken}: log.entries[0]: it ends too early, after 2000 bytes\n") == (
        done.exit_code,
        done.output,
    )
    assert (there, VALID.read_bytes()[:2000]) == (sorted(path.parent.iterdir()), broken.read_bytes())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'IN'"),
        (("out.har",), "there must be an OUT, or --in-place"),
        (("out.har", "other.har", "--in-place"), "--in-place has no OUT"),
        (("-", "--in-place"), "standard input has no place"),
        (("out.har", "other.har", "--mode", "none"), "Invalid value for '--mode': "),
        (("no-such.har", "other.har"), "otel-har: no-such.har: No such file or directory\n"),
        ((".", "other.har"), "otel-har: .: Is a directory\n"),
        (("out.har", "no-such/other.har"), "otel-har: out.har: there is no such directory: /"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read or written, and wrong usage, is told on standard error, with status 2."""
    monkeypatch.chdir(path.parent)
    done = run(*arguments)
    assert (2, True) == (done.exit_code, message in done.output), done.output
    assert ([path], VALID.read_bytes()) == (list(path.parent.iterdir()), path.read_bytes())


def test_broken_pipe(path: Path) -> None:
    """A reader that goes away, as `head` does, ends the command quietly."""
    path.write_text(json.dumps({"log": {"entries": [{"_": "x" * 1000}] * 5000}}))
    with subprocess.Popen(
        [sys.executable, "-m", "otel_har", "redact", str(path), "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b'{"log"' == process.stdout.read(6)
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 1 == process.returncode


def test_help() -> None:
    """The help names the statuses and the options."""
    said = run("--help").output
    assert "Exit status: 0 done" in said
    options = ("--in-place", "--mode", "--header", "--query", "--field", "--keep", "--hashes")
    assert [] == [option for option in options if option not in said]


def test_the_page_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the documentation does and prints what stands there."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "redaction.md").read_text()
    [document] = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    Path("chrome.har").write_text(document)
    [console] = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^\$ otel-har (.*)\n((?:[^$].*\n)*)", console, re.MULTILINE)
    assert len(commands) > 3
    for command, expected in commands:
        assert expected == CliRunner().invoke(app, command.split()).output


_BODY = "password=hunter2secret"


def _archive(path: Path) -> Path:
    exporter = ArchiveHarExporter(path)
    [entry] = batch("a").entries
    content = Content(size=len(_BODY), mime_type="application/x-www-form-urlencoded", text=_BODY)
    response = Response(status=200, http_version="HTTP/1.1", content=content, transfer_size=0)
    exporter.export(HarBatch((PAGE,), (entry.model_copy(update={"response": response}),)))
    exporter.shutdown()
    return path


@pytest.mark.parametrize("output", ["to.har", "to.har.gz", "to.har.zip", None])
def test_archive(tmp_path: Path, output: str | None) -> None:
    """The bodies are redacted, too, whatever the copy's form is, which its name decides."""
    source = _archive(tmp_path / "out.har.zip")
    done = run(source, tmp_path / output) if output else run("--in-place", source)
    assert (0, f"{source}: 1 entry, 1 redacted (body: form-field 1)\n") == (done.exit_code, done.output)
    target = tmp_path / (output or source.name)
    [entry] = load(target).log.entries
    assert (b"password=%5BREDACTED%5D", []) == (entry.response.content.body(), list(check(target)))
    beginning = {"to.har": b'{"', "to.har.gz": b"\x1f\x8b"}.get(target.name, b"PK")
    assert beginning == target.read_bytes()[:2]
    if target.suffix == ".zip":
        with zipfile.ZipFile(target) as archive:
            assert 2 == len(archive.namelist())
            assert not any(b"hunter2" in archive.read(name) for name in archive.namelist())


def test_gzip(tmp_path: Path) -> None:
    """A file of gzip stays one in its place, and can be gone on with."""
    path = tmp_path / "out.har.gz"
    path.write_bytes(gzip.compress(VALID.read_bytes()))
    assert (0, f"{path}: {DONE}\n") == ((done := run("--in-place", path)).exit_code, done.output)
    assert b"basket=7" not in gzip.decompress(path.read_bytes())
    assert [] == list(check(path))


def test_archive_that_is_recorded(tmp_path: Path) -> None:
    """It is left alone."""
    exporter = ArchiveHarExporter(tmp_path / "out.har.zip")
    exporter.export(batch("a"))
    exporter.force_flush()
    done = run("--in-place", exporter.path)
    assert (2, f"otel-har: {exporter.path}: a process records to it\n") == (done.exit_code, done.output)
    exporter.shutdown()
