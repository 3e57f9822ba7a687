"""What other programs do to a file that is recorded: delete, move, replace, empty, cut, overwrite, link it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_har.export.files.room import room_path
from servers.recorded import targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.recorded import RecordedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits for processes by their descriptors")

BEFORE = [f"/item/{number}" for number in range(5)]
AFTER = ["/item/after1", "/item/after2", "/item/after3"]


@pytest.fixture
def har(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "out.har"


@pytest.fixture
def process(new_process: Callable[[], RecordedProcess], har: Path) -> RecordedProcess:
    """A process that has recorded five exchanges, with a write for each."""
    process = new_process().record(har)
    for target in BEFORE:
        _recorded(process, target)
    return process


def _recorded(process: RecordedProcess, target: str) -> None:
    process.get(target)
    assert process.flush() is True


def _end(process: RecordedProcess) -> list[str]:
    """Record three exchanges more, in three writes, and end; what was logged."""
    for target in AFTER:
        _recorded(process, target)
    process.shutdown()
    return process.logged()


def _leftovers(har: Path) -> set[str]:
    return {path.name for path in har.parent.iterdir()} - {har.name}


def test_deleted(process: RecordedProcess, har: Path) -> None:
    """A file that is deleted starts anew."""
    har.unlink()
    assert [f"WARNING otel-har: {har} is gone, it starts anew"] == _end(process)
    assert (AFTER, set()) == (targets(har), _leftovers(har))


def test_moved_away(process: RecordedProcess, har: Path) -> None:
    """A file that is moved away (logrotate) stays as it is, and a new one begins."""
    rotated = har.rename(har.with_suffix(".1"))
    content = rotated.read_bytes()
    assert [f"WARNING otel-har: {har} is gone, it starts anew"] == _end(process)
    assert (content, BEFORE) == (rotated.read_bytes(), targets(rotated))
    assert (AFTER, {"out.1"}) == (targets(har), _leftovers(har))


def test_moved_away_at_any_time(new_process: Callable[[], RecordedProcess], har: Path) -> None:
    """Moved away a hundred times while it is written: each file is whole and never changes, and nothing is missing."""
    process = new_process().record(har, schedule_delay_millis=1)
    process.send("run_on", [process.url("/item/")])
    moved: dict[Path, bytes] = {}
    while len(moved) < 100:
        if har.exists():
            rotated = har.rename(har.with_suffix(f".{len(moved)}"))
            moved[rotated] = rotated.read_bytes()
    process.kill()
    told = max(number for number in iter(process.hear, None) if isinstance(number, int))
    assert moved == {path: path.read_bytes() for path in moved}
    found = {target for path in (*moved, har) if path.exists() for target in targets(path)}
    assert set() == {f"/item/{number}" for number in range(1, told + 1)} - found


def test_copied_and_emptied(process: RecordedProcess, har: Path) -> None:
    """A file that is copied and emptied (logrotate's copytruncate, `> out.har`): the copy is whole, it starts anew."""
    copy = Path(shutil.copy(har, har.with_suffix(".1")))
    os.truncate(har, 0)
    assert [f"WARNING otel-har: {har} was emptied, it starts anew"] == _end(process)
    assert (BEFORE, AFTER) == (targets(copy), targets(har))
    assert {"out.1"} == _leftovers(har)


def _a_file(har: Path) -> None:
    har.with_suffix(".new").write_text("somebody's")
    har.with_suffix(".new").replace(har)


def _a_link(har: Path) -> None:
    har.unlink()
    har.with_suffix(".target").write_text("somebody's")
    har.symlink_to(har.with_suffix(".target"))


def _a_directory(har: Path) -> None:
    har.unlink()
    har.mkdir()


def _a_pipe(har: Path) -> None:
    har.unlink()
    os.mkfifo(har)


@pytest.mark.parametrize("replace", [_a_file, _a_link, _a_directory, _a_pipe])
def test_replaced(process: RecordedProcess, har: Path, replace: Callable[[Path], None]) -> None:
    """What somebody put in its place is left alone, and the recording goes on in a file beside it."""
    replace(har)
    before = os.lstat(har)
    beside = har.with_name(f"out.{process.pid}.har")
    assert [f"WARNING otel-har: {har} was replaced by another file, writing {beside}"] == _end(process)
    assert AFTER == targets(beside)
    after = os.lstat(har)
    assert (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size)
    assert {beside.name} == {name for name in _leftovers(har) if name != "out.target"}


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_cut(process: RecordedProcess, har: Path, share: float) -> None:
    """Of a file that is cut, all entries but those of the last write are kept, whatever is left of it."""
    os.truncate(har, int(har.stat().st_size * share))
    [said] = _end(process)
    assert f"WARNING otel-har: {har} is not as it was left" in said
    assert [BEFORE[:4], AFTER] in ([targets(har)[:4], targets(har)[4:]], [targets(har)[:4], targets(har)[5:]])
    assert set() == _leftovers(har)


def test_overwritten(process: RecordedProcess, har: Path) -> None:
    """Of a file that is overwritten, all entries but those of the last write are kept."""
    with har.open("r+b") as file:
        file.write(os.urandom(har.stat().st_size))
    [said] = _end(process)
    assert f"WARNING otel-har: {har} is not as it was left, 4 entries are kept" == said
    assert ([*BEFORE[:4], *AFTER], set()) == (targets(har), _leftovers(har))


def test_appended_to(process: RecordedProcess, har: Path) -> None:
    """Of a file that somebody appended to, no entry is lost; what was appended is."""
    with har.open("ab") as file:
        file.write(b"and more\n")
    [said] = _end(process)
    assert f"WARNING otel-har: {har} is not as it was left, 5 entries are kept" == said
    assert ([*BEFORE, *AFTER], set()) == (targets(har), _leftovers(har))


@pytest.mark.parametrize("writes_since", [0, 1, 2])
def test_damaged_within(process: RecordedProcess, har: Path, writes_since: int) -> None:
    """Bytes that somebody changes in the middle cost one entry at most, at once or when the copy has its turn again."""
    content = har.read_bytes()
    with har.open("r+b") as file:
        file.seek(content.index(b"/item/2"))
        file.write(b'"')
    for number in range(writes_since):
        _recorded(process, f"/item/since{number}")
    process.order("logged")
    _end(process)
    expected = [*BEFORE, *[f"/item/since{number}" for number in range(writes_since)], *AFTER]
    present = targets(har)
    assert set(expected) >= set(present)
    assert len(expected) - 1 <= len(present)
    assert present == [target for target in expected if target in present]
    assert set() == _leftovers(har)


def test_touched(process: RecordedProcess, har: Path) -> None:
    """A file that has a new time and nothing else is gone on with."""
    os.utime(har)
    assert [] == _end(process)
    assert ([*BEFORE, *AFTER], set()) == (targets(har), _leftovers(har))


def test_linked(process: RecordedProcess, har: Path) -> None:
    """A second name that somebody gives the file (`ln`, `cp -l`) is a snapshot: it never changes."""
    snapshot = har.with_suffix(".snapshot")
    os.link(har, snapshot)
    content = snapshot.read_bytes()
    assert [] == _end(process)
    assert (content, BEFORE) == (snapshot.read_bytes(), targets(snapshot))
    assert ([*BEFORE, *AFTER], {snapshot.name}) == (targets(har), _leftovers(har))


@pytest.mark.parametrize("name", ["", "0", "1", "turn", "presence"])
def test_hidden_files_removed(process: RecordedProcess, har: Path, name: str) -> None:
    """Without the hidden directory, or a file of it, the recording goes on with the same file."""
    room = room_path(har)
    if name:
        (room / name).unlink()
    else:
        shutil.rmtree(room)
    assert [] == _end(process)
    assert ([*BEFORE, *AFTER], set()) == (targets(har), _leftovers(har))


def test_hidden_copies_removed(process: RecordedProcess, har: Path) -> None:
    """Without either copy the recording goes on with the same file."""
    for name in ("0", "1"):
        (room_path(har) / name).unlink()
    assert [] == _end(process)
    assert ([*BEFORE, *AFTER], set()) == (targets(har), _leftovers(har))


def test_a_slow_reader(process: RecordedProcess, har: Path) -> None:
    """Whoever has the file open reads to its end what it was when it was opened, however long that takes."""
    with har.open("rb", buffering=0) as reader:
        first = reader.read(10)
        assert [] == _end(process)
        rest = reader.read()
    entries = json.loads(first + rest)["log"]["entries"]
    assert BEFORE == [entry["request"]["url"][-len(BEFORE[0]) :] for entry in entries]
    assert ([*BEFORE, *AFTER], set()) == (targets(har), _leftovers(har))


def test_read_while_it_is_written(new_process: Callable[[], RecordedProcess], har: Path) -> None:
    """A reader that comes at any time sees a whole document, which only grows."""
    process = new_process().record(har, schedule_delay_millis=1)
    process.send("run_on", [process.url("/bytes/20000?n=")])
    counts: list[int] = []
    while not counts or counts[-1] < 100:
        counts.append(len(json.loads(har.read_bytes())["log"]["entries"]))
    process.kill()
    assert sorted(counts) == counts
    assert len(counts) > 5
