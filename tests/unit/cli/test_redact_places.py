"""`otel-har redact` and `check --secrets` on what is no plain file, and what they tell when something goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_har.cli.app import app

VALID = Path(__file__).parents[2] / "data" / "har" / "valid.har"
SECRET = "S3cr3tV4lue"  # noqa: S105 - what must not be printed
COMMAND = f"'{sys.executable}' -m otel_har"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has neither pipes in files nor bash")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with cookies."""
    path = tmp_path / "in.har"
    path.write_bytes(VALID.read_bytes())
    return path


def bash(command: str, directory: Path) -> tuple[int, str, str]:
    """Run a line of bash, which knows `<(...)`: its status, standard output and standard error."""
    done = subprocess.run(
        ["/bin/bash", "-c", command.replace("otel-har", COMMAND)],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "otel-har redact <(zcat in.har.gz) out.har",
        "cat in.har | otel-har redact /dev/stdin out.har",
        "otel-har redact in.har >(cat > out.har); wait $!",
        "otel-har redact in.har /dev/stdout | grep -v 'entries, ' > out.har",
        "mkfifo pipe; cat in.har > pipe & otel-har redact pipe out.har",
        "otel-har redact in.har /dev/fd/3 3> out.har",
    ],
)
def test_pipes(command: str, path: Path) -> None:
    """A pipe is read from and written to, wherever in the filesystem it has a name."""
    path.with_suffix(".har.gz").write_bytes(gzip.compress(path.read_bytes()))
    status, _, errors = bash(command, path.parent)
    assert (0, "") == (status, errors)
    written = path.with_name("out.har").read_bytes()
    assert (True, False) == (b"basket=[REDACTED]" in written, b"basket=7" in written)
    assert 3 == len(json.loads(written)["log"]["entries"])


@pytest.mark.parametrize("command", ["--in-place pipe", "pipe pipe", "--in-place /dev/null"])
def test_nothing_but_a_file_is_redacted_in_its_place(command: str, path: Path) -> None:
    """A pipe keeps nothing that could be replaced; nobody waits for a writer."""
    os.mkfifo(path.with_name("pipe"))
    status, said, errors = bash(f"timeout 30 otel-har redact {command}", path.parent)
    assert (2, "", f"otel-har: {command.rsplit(maxsplit=1)[-1]}: it is no file: nothing can take its place\n") == (
        status,
        said,
        errors,
    )


def test_hard_links(path: Path) -> None:
    """In place another name of the file keeps the secrets, which is told."""
    other = path.with_name("other.har")
    other.hardlink_to(path)
    warning = f"otel-har: {path}: it had other names (hard links), which still have the secrets\n"
    done = CliRunner().invoke(app, ["redact", "--in-place", str(path)])
    assert (0, True) == (done.exit_code, warning in done.output)  # click before 8.2 tells no standard error apart
    assert (VALID.read_bytes(), 1) == (other.read_bytes(), path.stat().st_nlink)
    assert "hard links" not in CliRunner().invoke(app, ["redact", "--in-place", str(path)]).output
    path.with_name("third.har").hardlink_to(other)
    assert "hard links" not in CliRunner().invoke(app, ["redact", str(other), str(path.with_name("fourth.har"))]).output


@pytest.mark.parametrize(("mask", "expected"), [("077", 0o600), ("027", 0o640), ("000", 0o666)])
def test_mode_of_a_new_file(mask: str, expected: int, path: Path) -> None:
    """A new OUT gives nobody more than the umask lets, nor more than IN."""
    path.chmod(0o666)
    status, _, errors = bash(f"umask {mask}; otel-har redact in.har out.har", path.parent)
    assert (0, "", expected) == (status, errors, stat.S_IMODE(path.with_name("out.har").stat().st_mode))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is Linux's")
@pytest.mark.parametrize(
    "command", ["check --secrets in.har", "check in.har", "check --json in.har", "redact in.har -"]
)
def test_a_full_disk_for_the_report(command: str, path: Path) -> None:
    """What cannot be told is no finding: status 2 and one line."""
    status, _, errors = bash(f"otel-har {command} > /dev/full", path.parent)
    assert (2, True, 1) == (status, errors.endswith("No space left on device\n"), errors.count("\n")), errors


@pytest.mark.parametrize("command", [["check", "--secrets"], ["redact"]])
@pytest.mark.parametrize(
    "text",
    [
        f'{{"log": {{"entries": [{{"password": {SECRET}}}]}}}}',
        f'{{"log": {{"entries": [{{"password": "x" "{SECRET}"}}]}}}}',
        f'{{"log": {SECRET}',
        SECRET,
    ],
)
def test_a_broken_file_keeps_its_secrets(text: str, command: list[str], tmp_path: Path) -> None:
    """Where it is broken is told by its byte, and not by what stands there."""
    path = tmp_path / "in.har"
    path.write_text(text)
    outputs = [str(tmp_path / "out.har")] if command == ["redact"] else []
    done = CliRunner().invoke(app, [*command, str(path), *outputs])
    assert done.exit_code in {1, 2}
    assert SECRET[:4] not in done.output
    assert "at byte " in done.output or "after 19 bytes" in done.output or "not a HAR" in done.output


def test_strict_search(path: Path) -> None:
    """With --mode strict what that mode would take out is told, and nothing else asks for one."""
    found = [
        CliRunner().invoke(app, ["check", "--secrets", *options, str(path)]).output.count("looks secret")
        for options in ((), ("--mode", "default"), ("--mode", "strict"))
    ]
    assert found[0] == found[1] < found[2]
    done = CliRunner().invoke(app, ["check", "--mode", "strict", str(path)])
    assert (2, True) == (done.exit_code, "--secrets" in done.output)


def test_helps() -> None:
    """They say what one has to know of OUT, of the modes and of the member that tells of it."""
    said = " ".join(CliRunner().invoke(app, ["redact", "--help"]).output.split())
    parts = ("keeps the mode and the owner", "umask", "_redaction", "cookies")
    assert [] == [part for part in parts if part not in said]
    assert "--mode" in CliRunner().invoke(app, ["check", "--help"]).output
