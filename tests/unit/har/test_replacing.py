"""Mending a file in its place: the old file or the whole new one, and nothing else, whatever goes wrong."""

from __future__ import annotations

import fcntl
import io
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from otel_har.errors import HarFormatError
from otel_har.har.replacing import repair_file, repair_stream
from servers.programs import read_checked

VALID = (Path(__file__).parents[2] / "data" / "har" / "valid.har").read_bytes()
CUT = VALID[: VALID.rindex(b'"startedDateTime"', 0, VALID.index(b'"pages"'))]


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A file that is cut in its third entry."""
    path = tmp_path / "out.har"
    path.write_bytes(CUT)
    return path


def names(directory: Path) -> list[str]:
    """What a directory has."""
    return sorted(path.name for path in directory.iterdir())


def test_in_its_place(cut: Path) -> None:
    """A cut file becomes whole, with its mode, and nothing is left beside it."""
    cut.chmod(0o640)
    report = repair_file(cut)
    assert (2, len(CUT)) == (report.found.entries, report.found.size_bytes)
    assert 2 == len(read_checked(cut)["log"]["entries"])
    assert (0o640, ["out.har"]) == (stat.S_IMODE(cut.stat().st_mode), names(cut.parent))


def test_a_long_name(cut: Path) -> None:
    """A name that takes no letter more is mended, too."""
    path = cut.rename(cut.with_name("x" * 255))
    repair_file(path)
    assert (2, [path.name]) == (len(read_checked(path)["log"]["entries"]), names(path.parent))


def test_a_whole_file_is_left_alone(cut: Path) -> None:
    """A whole file is not written: it is the same file, of the same time."""
    repair_file(cut)
    before = cut.stat()
    assert repair_file(cut).found.is_whole
    after = cut.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_elsewhere(cut: Path) -> None:
    """With an output the file stays as it is; a new output has its mode, one that is there keeps its own."""
    cut.chmod(0o604)
    output, existing = cut.parent / "mended.har", cut.parent / "existing.har"
    existing.write_bytes(b"longer than nothing")
    existing.chmod(0o640)
    assert 2 == repair_file(cut, output).found.entries == repair_file(cut, existing).found.entries
    assert output.read_bytes() == existing.read_bytes()
    assert 2 == len(read_checked(output)["log"]["entries"])
    assert (CUT, 0o604, 0o640) == (
        cut.read_bytes(),
        stat.S_IMODE(output.stat().st_mode),
        stat.S_IMODE(existing.stat().st_mode),
    )


def test_a_copy_of_a_whole_file(cut: Path) -> None:
    """With an output a whole file is copied, and stays where the output is itself."""
    output = cut.parent / "mended.har"
    cut.write_bytes(VALID)
    assert repair_file(cut, output).found.is_whole
    assert VALID == output.read_bytes()
    before = cut.stat().st_ino
    assert repair_file(cut, str(cut)).found.is_whole
    assert before == cut.stat().st_ino


def test_a_stream(cut: Path) -> None:
    """A stream is mended into a file, which is its owner's only if it is new."""
    output = cut.parent / "mended.har"
    assert 2 == repair_stream(io.BytesIO(CUT), output).found.entries
    assert (0o600, 2) == (stat.S_IMODE(output.stat().st_mode), len(read_checked(output)["log"]["entries"]))


def test_links(cut: Path) -> None:
    """A symbolic link stays one; what it leads to is mended."""
    link = cut.parent / "link.har"
    link.symlink_to(cut)
    repair_file(link)
    assert (True, True) == (link.is_symlink(), repair_file(cut).found.is_whole)


def test_into_a_device(cut: Path) -> None:
    """What is no regular file is written to, not replaced."""
    repair_file(cut, os.devnull)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_what_cannot_be_mended_stays(cut: Path) -> None:
    """A file that is no HAR stays as it is."""
    cut.write_bytes(b"hello")
    with pytest.raises(HarFormatError, match="not a HAR"):
        repair_file(cut)
    assert (b"hello", ["out.har"]) == (cut.read_bytes(), names(cut.parent))


def test_a_file_that_is_recorded_to(cut: Path) -> None:
    """A file whose lock a recorder holds stays as it is; elsewhere its copy may go."""
    with cut.open("rb") as recorded:
        fcntl.flock(recorded, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="a process records to it"):
            repair_file(cut)
        assert CUT == cut.read_bytes()
        assert 2 == repair_file(cut, cut.parent / "mended.har").found.entries


CHANGED = """
import sys
from otel_har.har.replacing import repair_file

def change(event, arguments):
    if event == "tempfile.mkstemp":
        with open(sys.argv[1], "ab") as file:
            file.write(b"more")

sys.addaudithook(change)
try:
    repair_file(sys.argv[1])
except OSError as error:
    print(error.strerror)
"""


def run(code: str, path: Path) -> tuple[str, str]:
    """What a program with its path as argument prints and complains of."""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout, done.stderr


def test_a_file_that_changes_meanwhile(cut: Path) -> None:
    """A file that somebody without a lock writes to meanwhile is not replaced."""
    assert ("it was changed meanwhile\n", "") == run(CHANGED, cut)
    assert (CUT + b"more", ["out.har"]) == (cut.read_bytes(), names(cut.parent))


LIMITED = """
import resource, signal, sys
from otel_har.har.replacing import repair_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    repair_file(sys.argv[1])
except OSError as error:
    print(error.strerror)
"""


def test_a_disk_that_takes_no_more(cut: Path) -> None:
    """Where the copy cannot be written whole, the file stays as it is and nothing is left beside it."""
    assert ("File too large\n", "") == run(LIMITED, cut)
    assert (CUT, ["out.har"]) == (cut.read_bytes(), names(cut.parent))


def test_another_owner(cut: Path) -> None:
    """Root's repair leaves a file its owner and group."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(cut, 12345, 23456)
    cut.chmod(0o640)
    repair_file(cut)
    status = cut.stat()
    assert (12345, 23456, 0o640) == (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


def test_a_group_that_cannot_be_kept() -> None:
    """Who may not give a file the group it had takes its rights from the group: it is another one's."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    with tempfile.TemporaryDirectory() as directory:
        cut = Path(directory) / "out.har"
        cut.write_bytes(CUT)
        cut.chmod(0o644)
        os.chown(directory, 12345, 12345)
        os.setegid(12345)
        os.seteuid(12345)
        try:
            repair_file(cut)
        finally:
            os.seteuid(0)
            os.setegid(0)
        assert (12345, 0o604) == (cut.stat().st_gid, stat.S_IMODE(cut.stat().st_mode))
