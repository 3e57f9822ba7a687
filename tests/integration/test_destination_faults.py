"""Disks that are full, slow or broken, and what the system refuses: the program goes on, and so does the recording."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_har.export.files.room import room_path
from servers.filesystems import filled
from servers.recorded import OrderError, targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.filesystems import Filesystems
    from servers.recorded import RecordedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts filesystems, and waits by descriptors")

AT_ONCE_S = 2.0
"""What a request on loopback never takes, on a busy machine either; a destination that blocks would take longer."""


def _assert_waits(process: RecordedProcess, har: Path, reason: int) -> None:
    """While the destination takes nothing: requests go on, the file stays as it is, the log says it once."""
    before = har.read_bytes() if har.exists() else None
    for target in ("/bytes/60000?waits=1", "/bytes/60000?waits=2"):
        assert process.get(target) < AT_ONCE_S
        assert process.flush() is False
    assert before == (har.read_bytes() if har.exists() else None)
    assert 1 == len([line for line in process.logged() if os.strerror(reason) in line])


def _assert_resumes(process: RecordedProcess, har: Path, *before: str) -> None:
    """When it takes something again: what waited is written, and what comes then; nothing is missing or damaged."""
    process.get("/item/after")
    assert process.flush() is True
    process.shutdown()
    assert [*before, "/bytes/60000?waits=1", "/bytes/60000?waits=2", "/item/after"] == targets(har)
    assert [] == list(har.parent.glob(".*.otel-har"))


def test_a_full_disk(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """No space left: what is written stays, what comes waits, and is written when there is space again."""
    place = filesystems.small("size=1m")
    har = place / "out.har"
    process = new_process().record(har)
    process.get("/item/1", "/bytes/60000")
    assert process.flush()
    ballast = filled(place)
    _assert_waits(process, har, errno.ENOSPC)
    ballast.unlink()
    _assert_resumes(process, har, "/item/1", "/bytes/60000")


def test_a_disk_that_stays_full(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """The program ends within the export timeout; the file is whole and has what went into it."""
    place = filesystems.small("size=1m")
    har = place / "out.har"
    process = new_process().record(har, export_timeout_millis=500)
    process.get("/item/1")
    assert process.flush()
    filled(place)
    process.get("/bytes/60000")
    assert process.shutdown() < 0.5 + AT_ONCE_S
    assert ["/item/1"] == targets(har)


def test_a_disk_that_is_full_from_the_start(
    filesystems: Filesystems, new_process: Callable[[], RecordedProcess]
) -> None:
    """A recording that cannot begin says so at once, where the program begins it, and leaves nothing behind."""
    place = filesystems.small("size=64k")
    ballast = filled(place)
    with pytest.raises(OrderError, match=r"ExportError: cannot write the HAR file .*No space left on device"):
        new_process().record(place / "out.har")
    assert [ballast] == list(place.iterdir())


def test_no_inodes(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """A filesystem that can have no further file: the recording waits, and goes on when it can."""
    place = filesystems.small("size=8m", "nr_inodes=20")
    har = place / "out.har"
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    with contextlib.suppress(OSError):
        for number in range(20):
            (place / f"{number}").touch()
    _assert_waits(process, har, errno.ENOSPC)
    (place / "0").unlink()
    (place / "1").unlink()
    _assert_resumes(process, har, "/item/1")


def test_an_error_of_the_disk(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """A filesystem that turns read-only at an error: the recording waits until it is mended and mounted again."""
    place = filesystems.on_disk()
    har = place / "out.har"
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    filesystems.fail(place)
    _assert_waits(process, har, errno.EROFS)
    assert ["/item/1"] == targets(har)
    filesystems.mend(place)
    _assert_resumes(process, har, "/item/1")


def test_a_disk_that_blocks(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """A filesystem that answers nothing: requests go on at once; a flush gives up in its time; then all is written."""
    place = filesystems.on_disk()
    har = place / "out.har"
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    filesystems.freeze(place)
    assert process.get("/item/2", *["/bytes/60000"] * 20) < AT_ONCE_S
    started = time.monotonic()
    assert process.order("flush", 300) is False
    assert time.monotonic() - started < 0.3 + AT_ONCE_S
    assert ["/item/1"] == targets(har)
    filesystems.thaw_all()
    assert process.flush() is True
    process.shutdown()
    assert ["/item/1", "/item/2", *["/bytes/60000"] * 20] == targets(har)


def test_a_disk_that_blocks_at_the_end(filesystems: Filesystems, new_process: Callable[[], RecordedProcess]) -> None:
    """Shutting down waits for such a filesystem as long as the export timeout says, and the file stays whole."""
    place = filesystems.on_disk()
    har = place / "out.har"
    process = new_process().record(har, export_timeout_millis=300)
    process.get("/item/1")
    assert process.flush()
    filesystems.freeze(place)
    process.get("/item/2")
    assert process.shutdown() < 0.3 + AT_ONCE_S
    assert ["/item/1"] == targets(har)
    filesystems.thaw_all()
    process.kill()
    assert ["/item/1", "/item/2"][: len(targets(har))] == targets(har)


@contextlib.contextmanager
def _turn_held(har: Path) -> Iterator[None]:
    """What a process does that is stopped in the middle of its turn."""
    with (room_path(har) / "turn").open("r+b") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def test_another_process_holds_the_lock(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """While another process does not end its turn, requests go on at once and flushes give up; then all is written."""
    har = tmp_path / "out.har"
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    with _turn_held(har):
        assert process.get(*["/item/2"] * 20) < AT_ONCE_S
        assert process.order("flush", 300) is False
        assert ["/item/1"] == targets(har)
    assert process.flush() is True
    assert ["/item/1", *["/item/2"] * 20] == targets(har)


def test_another_process_holds_the_lock_to_the_end(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """Shutting down waits for another process's turn as long as the export timeout says."""
    har = tmp_path / "out.har"
    process = new_process().record(har, export_timeout_millis=300)
    process.get("/item/1")
    assert process.flush()
    with _turn_held(har):
        process.get("/item/2")
        assert process.shutdown() < 0.3 + AT_ONCE_S
    assert ["/item/1"] == targets(har)[:1]


def test_another_process_holds_the_lock_at_the_start(
    new_process: Callable[[], RecordedProcess], tmp_path: Path
) -> None:
    """A program that starts does not wait for it longer than a moment; whose the file is, it sees when it can."""
    har = tmp_path / "out.har"
    first = new_process().record(har)
    first.get("/item/1")
    assert first.flush()
    second = new_process()
    with _turn_held(har):
        started = time.monotonic()
        second.record(har)
        assert time.monotonic() - started < 1 + AT_ONCE_S
        second.get("/item/2")
    assert second.flush() is True
    assert (["/item/1"], ["/item/2"]) == (targets(har), targets(second.path()))


def test_a_directory_that_is_removed(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """Without a directory the recording waits; in a new one of that name it starts anew with what waited."""
    har = tmp_path / "directory" / "out.har"
    har.parent.mkdir()
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    shutil.rmtree(har.parent)
    _assert_waits(process, har, errno.ENOENT)
    har.parent.mkdir()
    _assert_resumes(process, har)


def test_a_directory_that_is_moved(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """What was recorded into a directory that is moved away stays there, whole; the recording waits for a new one."""
    har = tmp_path / "directory" / "out.har"
    har.parent.mkdir()
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    moved = har.parent.rename(tmp_path / "moved") / "out.har"
    content = moved.read_bytes()
    _assert_waits(process, har, errno.ENOENT)
    har.parent.mkdir()
    _assert_resumes(process, har)
    assert content == moved.read_bytes()
    assert ["/item/1"] == targets(moved)


def test_a_permission_that_is_taken_away(new_process: Callable[[], RecordedProcess], open_directory: Path) -> None:
    """Without the right to change the directory the recording waits; with it, it goes on."""
    place = open_directory / "directory"
    place.mkdir()
    process = new_process()
    if os.geteuid() == 0:  # whom no permission stops
        os.chown(place, 12_345, 12_345)
        process.do("os:setgid", 12_345)
        process.do("os:setuid", 12_345)
    har = place / "out.har"
    process.record(har)
    process.get("/item/1")
    assert process.flush()
    place.chmod(0o500)
    _assert_waits(process, har, errno.EACCES)
    place.chmod(0o700)
    _assert_resumes(process, har, "/item/1")


def test_a_file_size_limit(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """A process that may write no longer files (`ulimit -f`): what is written stays, the rest waits."""
    har = tmp_path / "out.har"
    process = new_process().record(har)
    process.get("/item/1")
    assert process.flush()
    process.do("resource:setrlimit", resource.RLIMIT_FSIZE, [10_000, resource.RLIM_INFINITY])
    _assert_waits(process, har, errno.EFBIG)
    process.do("resource:setrlimit", resource.RLIMIT_FSIZE, [resource.RLIM_INFINITY, resource.RLIM_INFINITY])
    _assert_resumes(process, har, "/item/1")


def test_no_descriptors(new_process: Callable[[], RecordedProcess], tmp_path: Path) -> None:
    """A program that has opened as many files as it may: the recording waits until it closes some."""
    har = tmp_path / "out.har"
    process = new_process()
    process.do("resource:setrlimit", resource.RLIMIT_NOFILE, [100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]])
    process.record(har)
    process.get("/item/1")
    assert process.flush()
    process.order("exhaust_descriptors")
    _assert_waits(process, har, errno.EMFILE)
    process.order("free_descriptors")
    _assert_resumes(process, har, "/item/1")


@pytest.mark.parametrize(
    "name",
    [
        "with blank.har",
        "new\nline.har",
        "-rf.har",
        "{x}%s$HOME`.har",
        "Jürgen 日本.har",
        "\udcff.har",
        ".har",
        "a" * 255,
    ],
    ids=["blank", "newline", "option", "format", "unicode", "no unicode", "hidden", "longest"],
)
def test_odd_names(new_process: Callable[[], RecordedProcess], tmp_path: Path, name: str) -> None:
    """A file of any name that the filesystem has is recorded to, by one process after the other."""
    har = tmp_path / name
    for number in range(2):
        process = new_process().record(har, append=True)
        process.get(f"/item/{number}")
        process.shutdown()
        assert [] == process.logged()
    assert ["/item/0", "/item/1"] == targets(har)
    assert [har] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "reason"), [("a" * 256, "File name too long"), ("a\0b", "null")])
def test_impossible_names(new_process: Callable[[], RecordedProcess], tmp_path: Path, name: str, reason: str) -> None:
    """A name that no file can have is refused where the recording begins."""
    with pytest.raises(
        OrderError, match=rf"ExportError: cannot write the HAR file {re.escape(str(tmp_path))}.*{reason}"
    ):
        new_process().record(tmp_path / name)
    assert [] == list(tmp_path.iterdir())
