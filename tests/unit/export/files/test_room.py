"""The room beside a file: who may have it, what is in it, and when there can be none."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from children import Child, as_user, batch, completed, names
from otel_har.errors import DestinationError, ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.files.growing import TakenError
from otel_har.export.files.room import Room, RoomError, is_recorded, room_path

_USER, _OTHER = 1234, 2345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can be another user")


def test_room_is_its_owners(tmp_path: Path) -> None:
    """Nobody else may look into it, and it is gone with the last who leaves."""
    room = Room(tmp_path / "out.har")
    place = room_path(tmp_path / "out.har")
    assert (0o700, {"turn", "presence"}) == (
        stat.S_IMODE(place.stat().st_mode),
        {inside.name for inside in place.iterdir()},
    )
    assert {0o600} == {stat.S_IMODE(inside.stat().st_mode) for inside in place.iterdir()}
    second = Room(tmp_path / "out.har")
    with second.turn(1):
        second.join()
    room.leave()
    assert place.exists()
    second.leave()
    second.leave()
    assert not place.exists()


def test_alone(tmp_path: Path) -> None:
    """Who is present is seen by the others, until it leaves."""
    first, second = Room(tmp_path / "out.har"), Room(tmp_path / "out.har")
    with first.turn(1):
        assert first.is_alone()
        first.join()
    with second.turn(1):
        assert not second.is_alone()
    first.leave()
    with second.turn(1):
        assert second.is_alone()
    second.leave()


def test_turns(tmp_path: Path) -> None:
    """One at a time; who comes again first knows that nobody was there meanwhile."""
    first, second = Room(tmp_path / "out.har"), Room(tmp_path / "out.har")
    seen = []
    for room in (first, first, second, second, first):
        with room.turn(1):
            seen.append(room.is_undisturbed)
    assert [False, True, False, True, False] == seen
    with first.turn(1), pytest.raises(DestinationError, match=r"for more than 0\.01 s"), second.turn(0.01):
        pass
    first.leave()
    second.leave()


def test_foreign_things_in_the_room(tmp_path: Path) -> None:
    """What others put there stays, and hinders nobody."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    place = room_path(path)
    (place / "foreign").write_text("foreign")
    (place / "directory").mkdir()
    exporter.export(batch("0"))
    exporter.shutdown()
    assert {"foreign", "directory"} == {inside.name for inside in place.iterdir()}
    exporter = FileHarExporter(path)
    exporter.export(batch("1"))
    exporter.shutdown()
    assert (["1"], "foreign") == (names(path), (place / "foreign").read_text())


@pytest.mark.parametrize("what", ["file", "link", "dangling"])
def test_something_else_in_its_place(tmp_path: Path, what: str) -> None:
    """It is left alone, and the recording is written beside."""
    path, elsewhere = tmp_path / "out.har", tmp_path / "elsewhere"
    if what == "file":
        room_path(path).write_text("")
    else:
        room_path(path).symlink_to(elsewhere)
    if what == "link":
        elsewhere.mkdir()
    exporter = FileHarExporter(path)
    exporter.export(batch("0"))
    exporter.shutdown()
    assert ["0"] == names(exporter.path)
    assert tmp_path / f"out.{os.getpid()}.har" == exporter.path
    assert [] == (list(elsewhere.iterdir()) if elsewhere.exists() else [])
    assert room_path(path) in set(tmp_path.iterdir())


@as_root
def test_room_of_somebody_else_in_a_shared_directory(shared: Path) -> None:
    """Not even root uses it: its owner could do what he likes in it."""
    path = shared / "out.har"
    room_path(path).mkdir(0o777)
    os.chown(room_path(path), _OTHER, _OTHER)

    def record(child: Child, user: int) -> None:
        if user:
            as_user(user, user)
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))
        exporter.shutdown()
        child.tell(str(exporter.path))

    for user in (0, _USER):
        [beside] = completed(lambda child, user=user: record(child, user))  # type: ignore[misc]
        assert str(path) != beside
        assert (["0"], user) == (names(Path(beside)), Path(beside).stat().st_uid)
    assert [] == list(room_path(path).iterdir())


@as_root
def test_room_that_may_not_be_entered(shared: Path) -> None:
    """Somebody else's recording is at work, or was: this one is written beside."""
    shared.chmod(0o770)
    os.chown(shared, _USER, _USER)
    path = shared / "out.har"
    room_path(path).mkdir(0o700)

    def record(child: Child) -> None:
        as_user(_USER, _USER)
        with pytest.raises(TakenError, match="is somebody else's"):
            Room(path)
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))
        child.tell(exporter.path.name)
        exporter.shutdown()

    [beside] = completed(record)
    assert ["0"] == names(shared / beside)


@as_root
def test_process_that_becomes_another_user(shared: Path) -> None:
    """A worker that gives up root's rights cannot write root's file: it writes its own beside."""
    path = shared / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(batch("root"))

    def work(child: Child) -> None:
        as_user(_USER, _USER)
        exporter.export(batch("worker"))
        exporter.shutdown()
        child.tell(str(exporter.path))

    [beside] = completed(work)
    exporter.export(batch("again"))
    exporter.shutdown()
    assert (["root", "again"], ["worker"]) == (names(path), names(Path(beside)))
    assert {path.name, Path(beside).name} == {file.name for file in shared.iterdir()}


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_process_that_becomes_another_user_with_no_place(shared: Path, mode: int) -> None:
    """Where it may make no file, beside the first one either, its entries fail: it is not told to try for ever."""
    shared.chmod(mode)
    exporter = FileHarExporter(shared / "out.har")
    exporter.export(batch("root"))

    def work(_: Child) -> None:
        as_user(_USER, _USER)
        with pytest.raises(ExportError, match="Permission denied") as raised:
            exporter.export(batch("worker"))
        assert ExportError is raised.type
        exporter.shutdown()

    completed(work)
    exporter.shutdown()
    assert ["root"] == names(shared / "out.har")


@as_root
@pytest.mark.parametrize("inside", [[], ["turn"]])
def test_room_that_its_owner_may_not_enter(shared: Path, inside: list[str]) -> None:
    """One that was left behind by a process with such a umask is opened again."""
    path = shared / "out.har"
    place = room_path(path)
    place.mkdir()
    for name in inside:
        (place / name).touch()
        os.chown(place / name, _USER, _USER)
    os.chown(place, _USER, _USER)
    place.chmod(0)

    def record(child: Child) -> None:
        as_user(_USER, _USER)
        exporter = FileHarExporter(path)
        child.tell(f"{stat.S_IMODE(place.stat().st_mode):o}")
        exporter.export(batch("0"))
        exporter.shutdown()

    assert ["700"] == completed(record)
    assert ([path], ["0"]) == (list(shared.iterdir()), names(path))


def test_whether_a_file_is_recorded(tmp_path: Path) -> None:
    """While anybody is present, or has a turn; who asks is not taken for one that records."""
    path = tmp_path / "out.har"
    room = Room(path)
    seen = [is_recorded(path)]
    with room.turn(1):
        seen.append(is_recorded(path))
        assert room.is_alone()
        room.join()
    seen.append(is_recorded(path))
    room.leave()
    assert [False, True, True, False] == [*seen, is_recorded(path)]


@as_root
def test_directory_that_nothing_can_be_added_to(shared: Path) -> None:
    """There can be no room."""
    shared.chmod(0o555)

    def enter(_: Child) -> None:
        as_user(_USER, _USER)
        with pytest.raises(RoomError):
            Room(shared / "out.har")

    completed(enter)


def test_name_without_room(tmp_path: Path) -> None:
    """A name so long that the room's is too long."""
    with pytest.raises(RoomError):
        Room(tmp_path / ("x" * 250))


def test_no_directory(tmp_path: Path) -> None:
    """Without the directory there is neither file nor room, and no descriptor is left."""
    before = os.listdir("/dev/fd")  # noqa: PTH208 - names alone
    with pytest.raises(ExportError, match="No such file or directory") as raised:
        Room(tmp_path / "missing" / "out.har")
    assert (errno.ENOENT, len(before)) == (raised.value.errno, len(os.listdir("/dev/fd")))  # noqa: PTH208 - names alone


def test_child_forgets(tmp_path: Path) -> None:
    """A forked child has none of the descriptors, and its parent's presence does not depend on it."""
    room = Room(tmp_path / "out.har")
    with room.turn(1):
        room.join()
    other = Room(tmp_path / "out.har")

    def look(child: Child) -> None:
        child.tell(f"{room.descriptor}")
        child.pause()

    child = Child(look)
    assert "-1" == child.next()
    room.leave()
    with other.turn(1):
        assert other.is_alone()
    child.go_on()
    assert (0, ["-1"]) == child.end()
    other.leave()
