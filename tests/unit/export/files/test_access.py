"""Opening files that hold secrets: planted links and files, descriptors that others reuse, copies, modes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from children import Child, as_user, batch, completed, names
from otel_har.errors import DestinationError, ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.files import access

if TYPE_CHECKING:
    from collections.abc import Callable

_USER, _OTHER = 1234, 2345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can be another user")


def _of(user: int, path: Path) -> Path:
    os.lchown(path, user, user)
    return path


@as_root
@pytest.mark.parametrize("where", ["the file", "a directory", "a link behind a link", "a way out"])
def test_planted_link(shared: Path, tmp_path: Path, where: str) -> None:
    """Somebody else's link is not followed, wherever it is on the way."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "out.har").write_text("precious")
    planted = shared / "planted"
    if where in {"the file", "a link behind a link"}:
        planted.symlink_to(victim / "out.har")
        path = planted
    else:
        planted.symlink_to(victim)
        path = planted / ("../victim/out.har" if where == "a way out" else "out.har")
    _of(_OTHER, planted)
    if where == "a link behind a link":
        path = tmp_path / "own"
        path.symlink_to(planted)
    with pytest.raises(ExportError, match="it belongs to user 2345, in a directory that others may write to"):
        FileHarExporter(path)
    assert ["precious"] == [file.read_text() for file in victim.iterdir()]


@as_root
def test_planted_file(shared: Path) -> None:
    """Somebody else's file, who could read what is written to it, is not used."""
    path = _of(_OTHER, _file(shared / "out.har", b""))
    with pytest.raises(ExportError, match="it belongs to user 2345"):
        FileHarExporter(path)
    assert [path] == list(shared.iterdir())


@as_root
def test_planted_hard_link(shared: Path, tmp_path: Path) -> None:
    """A second name that somebody gave to one of our files: the name is taken, the file stays what it was."""
    precious = _file(tmp_path / "precious", b"precious")
    os.link(precious, shared / "out.har")
    exporter = FileHarExporter(shared / "out.har")
    exporter.export(batch("0"))
    exporter.shutdown()
    assert (b"precious", ["0"]) == (precious.read_bytes(), names(shared / "out.har"))


@as_root
def test_planted_hard_link_where_files_are_written_in_place(shared: Path, tmp_path: Path) -> None:
    """Where the name cannot be taken, such a file is refused."""
    precious = _file(tmp_path / "precious", b"precious")
    path = shared / ("x" * 250)  # without a room
    os.link(precious, path)
    with pytest.raises(ExportError, match="it has further names"):
        FileHarExporter(path)
    assert b"precious" == precious.read_bytes()


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_links_of_our_own(tmp_path: Path) -> None:
    """They are followed: absolute and relative ones, to directories and files, through `..`, to what is not there."""
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "absolute").symlink_to(real)
    (tmp_path / "relative").symlink_to("real")
    (real / "link.har").symlink_to("../real/out.har")
    expected = real / "out.har"
    for way in ("absolute/out.har", "relative/link.har", "absolute/../relative/link.har", "real/out.har"):
        assert expected == access.resolved(tmp_path / way)


def test_link_to_itself(tmp_path: Path) -> None:
    """A circle is told."""
    (tmp_path / "out.har").symlink_to("out.har")
    with pytest.raises(ExportError, match="Too many levels of symbolic links") as raised:
        access.resolved(tmp_path / "out.har")
    assert errno.ELOOP == raised.value.errno


def test_standard_streams_that_are_closed(tmp_path: Path) -> None:
    """A program without standard streams prints into nothing of ours."""
    path = tmp_path / "out.har"

    def record(child: Child) -> None:
        spare = os.dup(2)
        os.closerange(0, 3)
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))
        for number in range(3):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(number, b"x")
        exporter.export(batch("1"))
        exporter.shutdown()
        os.dup2(spare, 2)
        child.tell("done")

    assert ["done"] == completed(record)
    assert ["0", "1"] == names(path)


def test_descriptor_that_was_reused(tmp_path: Path) -> None:
    """It is another file's by then, and is not closed."""
    held = access.Held(access.opened(tmp_path / "ours"))
    assert held.is_intact()
    number = held.number
    os.close(number)
    assert not held.is_intact()
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, number)
    assert not held.is_intact()
    held.close()
    assert (3, -1) == (os.write(number, b"abc"), held.number)
    for descriptor in {number, theirs}:
        os.close(descriptor)


def test_whether_a_file_is_open(tmp_path: Path) -> None:
    """Linux tells, of this process and of others; a forked child's duplicate is not a second time."""
    descriptor = access.opened(tmp_path / "file")

    def read(child: Child) -> None:
        with (tmp_path / "file").open("rb"):
            child.tell("reads")
            child.pause()

    seen = [access.is_open_elsewhere(descriptor)]
    with (tmp_path / "file").open("rb"):
        seen.append(access.is_open_elsewhere(descriptor))
    child = Child(read)
    child.next()
    seen.append(access.is_open_elsewhere(descriptor))
    child.go_on()
    child.end()
    duplicate = os.dup(descriptor)
    seen.append(access.is_open_elsewhere(descriptor))
    os.close(duplicate)
    os.close(descriptor)
    assert [False, True, True, False] == seen
    assert access.is_open_elsewhere(descriptor) is None


@pytest.mark.parametrize("to", [None, 0, 500])
def test_copying_without_the_systems_help(tmp_path: Path, to: int | None) -> None:
    """A range comes to its place, where the system can copy (a file) and where it cannot (one opened to append)."""
    source = os.open(_file(tmp_path / "source", bytes(range(256)) * 8), os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    access.copied(source, target, 0, 2048)
    assert bytes(range(256)) * 8 == (tmp_path / "target").read_bytes()
    second = os.open(tmp_path / "second", os.O_RDWR | os.O_CREAT)
    access.copied(source, second, 1000, 1500, to=to)
    place = 1000 if to is None else to
    assert (bytes(range(256)) * 8)[1000:1500] == (tmp_path / "second").read_bytes()[place:]
    with pytest.raises(DestinationError, match="the file ends at 2048, before its 3000 bytes"):
        access.copied(source, second, 2000, 3000)
    for one in (source, target, second):
        os.close(one)


@as_root
@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [(0, [], (_OTHER, _OTHER, 0o664)), (_USER, [_OTHER], (_USER, _OTHER, 0o664)), (_USER, [], (_USER, _USER, 0o604))],
    ids=["root", "in the group", "stranger"],
)
def test_mode_and_owner(tmp_path: Path, user: int, groups: list[int], expected: tuple[int, int, int]) -> None:
    """As much as this process may; what the group was allowed, another group is not."""
    like = _of(_OTHER, _file(tmp_path / "like", b""))
    like.chmod(0o664)
    status = like.stat()
    descriptor = access.opened(_of(user, _file(tmp_path / "file", b"")))

    def give(_: Child) -> None:
        if user:
            os.setgroups(groups)
            os.setgid(user)
            os.setuid(user)
        for _again in range(2):
            access.given_mode_of(descriptor, status)

    completed(give)
    os.close(descriptor)
    now = (tmp_path / "file").stat()
    assert expected == (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode))


def test_locks(tmp_path: Path) -> None:
    """Shared ones go together, an exclusive one with nobody; they can be waited for."""
    first, second = (access.opened(tmp_path / "file") for _ in range(2))
    assert access.has_locks(first)
    assert [True, True] == [access.locked(one, shared=True) for one in (first, second)]
    assert not access.locked(first)
    access.unlocked(second)
    assert access.locked(first)
    assert [False, True] == [access.locked_within(second, 0.01), access.has_locks(second)]
    access.unlocked(first)
    assert access.locked_within(second, 0)
    access.unlocked(-1)
    for descriptor in (first, second):
        os.close(descriptor)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_regular_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Neither waited for nor used."""
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        access.opened(tmp_path / "file")


@as_root
def test_user_without_a_way(tmp_path: Path) -> None:
    """A path that this user may not look at is told."""
    tmp_path.chmod(0o700)

    def look(_: Child) -> None:
        as_user(_USER, _USER)
        with pytest.raises(ExportError, match="Permission denied"):
            access.resolved(tmp_path / "out.har")

    completed(look)
    assert Path("/") == access.resolved(Path("/"))
