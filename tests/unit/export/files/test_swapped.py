"""Two copies that take turns: what readers see, what others do to the file, and what is copied."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from children import PAGE, as_user, batch, completed, names, names_in
from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.growing import Claim, TakenError
from otel_har.export.files.packed import document_for
from otel_har.export.files.room import room_path
from otel_har.export.files.swapped import SwappedFile, _may_change
from servers.programs import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from children import Child


@pytest.fixture(params=["out.har", "out.har.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file, plain and packed."""
    return tmp_path / str(request.param)


@pytest.fixture
def take(path: Path) -> Iterator[Callable[..., SwappedFile]]:
    """Takes the file, and lets it go whatever becomes of the test."""
    taken: list[SwappedFile] = []

    def take_one(recording: str = "run", *, append: bool = False, may_replace: bool = True) -> SwappedFile:
        taken.append(SwappedFile(path, document_for(path, None), Claim(recording, append, may_replace)))
        return taken[-1]

    yield take_one
    for one in taken:
        one.close()


def _add(file: SwappedFile, *added: str, body: str = "") -> None:
    file.add(lambda standing: document_for(file.path, None).grown(standing, batch(*added, body=body), {PAGE.id: PAGE}))


def test_reader_that_takes_its_time(path: Path, take: Callable[..., SwappedFile]) -> None:
    """Who opened the file reads what was published then, however much is written meanwhile."""
    file = take()
    for number in range(6):
        _add(file, f"{number}")
        with path.open("rb") as reader:
            before = reader.read(10)
            for more in range(3):
                _add(file, f"{number}.{more}")
            log = json.loads(text_of(before + reader.read()))["log"]
        assert f"{number}" == names_in(log)[-1]
    assert 24 == len(names(path))


def test_copies_take_turns(path: Path, take: Callable[..., SwappedFile]) -> None:
    """While nobody reads it, there are two copies, and no addition makes another one."""
    file = take()
    _add(file, "0")
    inodes = []
    for number in range(6):
        _add(file, f"{number}")
        inodes.append(path.stat().st_ino)
    assert inodes[:2] * 3 == inodes
    assert 2 == len(set(inodes))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may give files away")
def test_copy_of_somebody_else(path: Path, take: Callable[..., SwappedFile]) -> None:
    """What lies in the room in the place of the other copy is not written to, nor published."""
    file = take()
    _add(file, "0")
    foreign = room_path(path) / ("0" if (room_path(path) / "1").samefile(path) else "1")
    foreign.unlink(missing_ok=True)
    foreign.write_bytes(b"x")
    os.chown(foreign, 1234, 1234)
    kept = os.open(foreign, os.O_PATH)  # for its inode not to be given again
    _add(file, "1")
    assert (1, 1234) == (os.fstat(kept).st_size, os.fstat(kept).st_uid)
    os.close(kept)
    assert (os.geteuid(), ["0", "1"]) == (path.stat().st_uid, names(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may give files away")
@pytest.mark.parametrize(("size", "expected"), [(1000, False), (100_000_000, True)])
def test_reader_that_cannot_be_seen(path: Path, size: int, *, expected: bool) -> None:
    """Where the system does not say whether a copy is read, as of another user's, small ones are made anew."""
    path.touch()
    os.truncate(path, size)
    descriptor = access.opened(path)

    def look(child: Child) -> None:
        as_user(1234, 1234)
        assert access.is_open_elsewhere(descriptor) is None
        child.tell(f"{_may_change(descriptor, descriptor)}")

    assert [f"{expected}"] == completed(look)
    os.close(descriptor)


@pytest.mark.parametrize(("size", "expected"), [(1000, False), (100_000_000, True)])
def test_filesystem_that_says_of_each_copy_that_it_is_read(path: Path, size: int, *, expected: bool) -> None:
    """That is as good as none that says nothing: small ones are made anew, large ones are not copied each time."""
    path.touch()
    os.truncate(path, size)
    descriptor = access.opened(path)
    with path.open("rb"):
        assert not _may_change(descriptor, descriptor)
        assert expected == _may_change(descriptor, descriptor, can_see_readers=False)
    os.close(descriptor)


def test_second_name_of_the_file(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """A hard link that somebody makes while the file is recorded keeps what the file held then."""
    file = take()
    _add(file, "0")
    os.link(path, tmp_path / "snapshot.har")
    for number in range(1, 5):
        _add(file, f"{number}")
    assert (["0"], ["0", "1", "2", "3", "4"]) == (names(tmp_path / "snapshot.har"), names(path))


def test_file_that_had_a_second_name(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """Who goes on with a file that has a second name writes another one."""
    file = take()
    _add(file, "0")
    file.close()
    os.link(path, tmp_path / "snapshot.har")
    _add(take(), "1")
    assert (["0"], ["0", "1"]) == (names(tmp_path / "snapshot.har"), names(path))


@pytest.mark.parametrize("append", [False, True])
def test_stale_room(path: Path, tmp_path: Path, take: Callable[..., SwappedFile], *, append: bool) -> None:
    """What a process that was killed left is cleared away by the next run, and its file is not copied to go on."""

    def record(_: Child) -> None:
        file = take("earlier")
        _add(file, "0")
        _add(file, "1")

    completed(record)
    assert room_path(path).exists()
    before = path.stat().st_ino
    file = take("later", append=append)
    assert append == (before == path.stat().st_ino)
    _add(file, "2")
    file.close()
    assert ["0", "1", "2"] if append else ["2"] == names(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_mode(path: Path, take: Callable[..., SwappedFile], mode: int) -> None:
    """A file that is there keeps its mode, and one that is changed meanwhile keeps the new one."""
    path.touch()
    path.chmod(mode)
    file = take()
    seen = []
    for number in range(3):
        _add(file, f"{number}")
        seen.append(stat.S_IMODE(path.stat().st_mode))
    path.chmod(0o640)
    for number in range(3):
        _add(file, f"{number}")
        seen.append(stat.S_IMODE(path.stat().st_mode))
    assert [mode] * 3 + [0o640] * 3 == seen


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may give files away")
def test_owner(path: Path, take: Callable[..., SwappedFile]) -> None:
    """A file that root records to stays its owner's and its group's."""
    path.touch()
    os.chown(path, 1234, 2345)
    file = take()
    for number in range(3):
        _add(file, f"{number}")
        assert (1234, 2345) == (path.stat().st_uid, path.stat().st_gid)


def test_room_that_is_removed(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """Somebody who tidies up does no harm: the file is gone on with, by all who record to it."""
    first, second = take(), take()
    _add(first, "0")
    _add(second, "1")
    for place in room_path(path).iterdir():
        place.unlink()
    room_path(path).rmdir()
    _add(first, "2")
    _add(second, "3")
    _add(first, "4")
    first.close()
    _add(second, "5")
    second.close()
    assert ["0", "1", "2", "3", "4", "5"] == names(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["turn", "presence", "the other copy"])
def test_room_that_is_partly_removed(path: Path, take: Callable[..., SwappedFile], name: str) -> None:
    """What is not the file itself may be gone."""
    first, second = take(), take()
    for number in range(4):
        _add(first, f"{number}.1")
        _add(second, f"{number}.2")
        for place in room_path(path).iterdir():
            is_other_copy = place.name in {"0", "1"} and not place.samefile(path)
            if name == ("the other copy" if is_other_copy else place.name):
                place.unlink()
    assert [f"{number}.{part}" for number in range(4) for part in (1, 2)] == names(path)


def test_another_recording_after_the_room_was_removed(path: Path, take: Callable[..., SwappedFile]) -> None:
    """A recording that lost its room and finds another one's file there leaves it alone."""
    first = take("one")
    _add(first, "0")
    for place in room_path(path).iterdir():
        place.unlink()
    second = take("two")
    _add(second, "1")
    with pytest.raises(TakenError, match="another recording writes"):
        _add(first, "2")
    _add(second, "3")
    assert ["1", "3"] == names(path)


def test_another_recording_that_came_and_went(path: Path, take: Callable[..., SwappedFile]) -> None:
    """The same, where the other one has ended."""
    first = take("one")
    _add(first, "0")
    for place in room_path(path).iterdir():
        place.unlink()
    second = take("two")
    _add(second, "1")
    second.close()
    with pytest.raises(TakenError, match="another recording wrote"):
        _add(first, "2")
    assert ["1"] == names(path)


def test_helper_that_records_nothing(path: Path, take: Callable[..., SwappedFile]) -> None:
    """A process of the recording that writes nothing does not keep the next recording from the file."""
    first, helper = take("one"), take("one")
    _add(first, "0")
    first.close()
    second = take("two")
    _add(second, "1")
    with pytest.raises(TakenError):
        _add(helper, "2")
    helper.close()
    _add(second, "3")
    assert ["1", "3"] == names(path)


def test_child_that_outlives_the_others(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """It goes on with the file that they left, in a room of its own."""
    first, child = take(), take()
    _add(first, "0")
    first.close()
    _add(child, "1")
    child.close()
    assert ["0", "1"] == names(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("others", [1, 2])
def test_file_that_is_moved_away(
    path: Path, tmp_path: Path, take: Callable[..., SwappedFile], caplog: pytest.LogCaptureFixture, others: int
) -> None:
    """The file starts anew, for newcomers too; what was moved is not written to any more."""
    files = [take() for _ in range(others)]
    _add(files[0], "0")
    path.rename(tmp_path / "moved.har")
    files.append(take())
    for number, file in enumerate(reversed(files), 1):
        _add(file, f"{number}")
    assert (["0"], [f"{number + 1}" for number in range(others + 1)]) == (names(tmp_path / "moved.har"), names(path))
    assert [f"otel-har: {path} is gone, it starts anew"] == [record.message for record in caplog.records]


def test_file_that_is_replaced(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """A file that somebody else put there is left as it is, be it a file, a link or a directory."""
    file = take()
    _add(file, "0")
    (tmp_path / "other").write_text("other")
    (tmp_path / "other").rename(path)
    with pytest.raises(TakenError, match="was replaced by another file"):
        _add(file, "1")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TakenError, match="was replaced by another file"):
        _add(file, "2")
    path.unlink()
    path.mkdir()
    with pytest.raises(TakenError, match="was replaced by another file"):
        _add(file, "3")
    assert not (tmp_path / "elsewhere").exists()


def test_file_that_is_emptied(path: Path, take: Callable[..., SwappedFile]) -> None:
    """It starts anew."""
    file = take()
    _add(file, "0")
    os.truncate(path, 0)
    _add(file, "1")
    assert ["1"] == names(path)


def test_child_does_not_replace(path: Path, take: Callable[..., SwappedFile]) -> None:
    """Who may not replace a file begins one where there is none, and leaves another recording's alone."""
    file = take("one", may_replace=False)
    _add(file, "0")
    file.close()
    with pytest.raises(TakenError, match="another recording wrote"):
        take("two", may_replace=False)
    assert ["0"] == names(path)


def test_turn_that_does_not_come(path: Path, take: Callable[..., SwappedFile]) -> None:
    """A process that holds its turn for long delays nobody for ever: the addition may be given again."""
    first, second = take(), take()
    _add(first, "0")
    with first._room.turn(1), pytest.raises(DestinationError, match="another process has been writing"):
        _with_patience(second, 0.05)
    _add(second, "1")
    assert ["0", "1"] == names(path)


@pytest.mark.parametrize("recording", ["run", "another"])
def test_first_turn_that_does_not_come(path: Path, take: Callable[..., SwappedFile], recording: str) -> None:
    """Whose the file is was not to be seen then, so that is not told: the one who waited may try again."""
    first = take("run")
    _add(first, "0")
    with first._room.turn(1), pytest.raises(DestinationError, match="another process has been writing"):
        SwappedFile(path, document_for(path, None), Claim(recording), patience_s=0.05)
    if recording == "run":
        _add(take(recording), "1")
    else:
        with pytest.raises(TakenError, match="another recording writes"):
            take(recording)
    assert ["0", "1"][: 1 + (recording == "run")] == names(path)


def _with_patience(file: SwappedFile, seconds: float) -> None:
    with file._room.turn(seconds):
        pass


def test_closed_descriptors(path: Path, tmp_path: Path, take: Callable[..., SwappedFile]) -> None:
    """A program that closes all descriptors and reuses the numbers keeps its own, and the recording goes on."""

    def record(_: Child) -> None:
        file = take()
        _add(file, "0")
        numbers = [one.number for one in (file._room._turn, file._room._presence, file._room._directory) if one]
        own = os.open(tmp_path / "own", os.O_RDWR | os.O_CREAT)
        for number in numbers:
            os.dup2(own, number)
        _add(file, "1")
        for number in numbers:
            os.write(number, b".")
        file.close()
        for number in numbers:
            os.write(number, b".")

    completed(record)
    assert ["0", "1"] == names(path)
    assert b"......" == (tmp_path / "own").read_bytes()
    assert {path, tmp_path / "own"} == set(tmp_path.iterdir())


def test_no_descriptor_is_left(take: Callable[..., SwappedFile]) -> None:
    """Neither additions nor ends leave one, nor does a child that is forked in the middle of an addition."""

    def record(child: Child) -> None:
        before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names alone
        file = take()

        def fork(standing: object) -> object:
            child.tell(completed(lambda inner: inner.tell(f"{len(os.listdir('/proc/self/fd'))}"))[0])  # noqa: PTH208 - names alone
            return document_for(file.path, None).grown(standing, batch("0"), {PAGE.id: PAGE})  # type: ignore[arg-type]

        for _ in range(3):
            file.add(fork)  # type: ignore[arg-type]
        file.close()
        child.tell(f"{len(os.listdir('/proc/self/fd')) - len(before)}")  # noqa: PTH208 - names alone

    *inner, left = completed(record)
    assert "0" == left
    assert 1 == len(set(inner))


def test_directory_as_the_file(path: Path, take: Callable[..., SwappedFile]) -> None:
    """What is no regular file is refused, and no room is left."""
    path.mkdir()
    with pytest.raises(ExportError, match="it is not a regular file"):
        take()
    assert not room_path(path).exists()
