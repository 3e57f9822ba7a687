"""The file holds secrets: it is for its owner, and what another user puts in a shared directory gets none."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from otel_har.export.files.room import room_path
from servers.recorded import OrderError, targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.recorded import RecordedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits for processes by their descriptors")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes two other users")

OWNER, OTHER = 12_345, 12_346
GROUP = 12_347  # of both of them
PRECIOUS = "what the owner has beside\n"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("name", ["out.har", "a" * 251 + ".har"], ids=["swapped", "in place"])
def test_modes(new_process: Callable[[], RecordedProcess], tmp_path: Path, umask: int, name: str) -> None:
    """Whatever the umask, the file and its copies are for their owner alone, at any moment."""
    har = tmp_path / name
    process = new_process()
    process.do("os:umask", umask)
    process.record(har)
    for number in range(2):
        process.get(f"/item/{number}")
        assert process.flush() is True
        for path in (har, *room_path(har).parent.glob(".*"), *tmp_path.rglob("*/*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert (path.name, 0) == (path.name, mode & 0o077)
    assert 0o600 & ~umask == stat.S_IMODE(har.stat().st_mode)
    process.shutdown()


def test_a_umask_that_takes_all(new_process: Callable[[], RecordedProcess], open_directory: Path) -> None:
    """A process that takes all rights from what it makes, its own too, records where it can, and leaves nothing."""
    place = open_directory / "own"
    place.mkdir()
    har = place / "out.har"
    process = new_process()
    if os.geteuid() == 0:  # whom no mode stops
        os.chown(place, OWNER, OWNER)
        process = _user(new_process, OWNER)
    process.do("os:umask", 0o777)
    process.record(har)
    process.get("/item/1")
    assert process.flush() is True
    process.shutdown()
    assert (0, [har]) == (stat.S_IMODE(har.stat().st_mode), list(place.iterdir()))
    har.chmod(0o600)
    assert ["/item/1"] == targets(har)


@pytest.fixture(params=[0o1777, 0o777, 0o2770], ids=["sticky", "not sticky", "group"])
def shared(request: pytest.FixtureRequest, open_directory: Path) -> Path:
    """A directory that every user may write to, or every member of a group."""
    return _shared(open_directory, request.param)


@pytest.fixture(params=[0o777, 0o2770], ids=["everybody", "group"])
def unruly(request: pytest.FixtureRequest, open_directory: Path) -> Path:
    """The same, where everybody may rename everything."""
    return _shared(open_directory, request.param)


def _shared(open_directory: Path, mode: int) -> Path:
    shared = open_directory / "shared"
    shared.mkdir()
    os.chown(shared, -1, GROUP)
    shared.chmod(mode)
    return shared


@pytest.fixture
def precious(open_directory: Path) -> Path:
    """A file of the owner's, elsewhere."""
    home = open_directory / "home"
    home.mkdir()
    precious = home / "precious"
    precious.write_text(PRECIOUS)
    os.chown(precious, OWNER, OWNER)
    os.chown(home, OWNER, OWNER)
    return precious


def _user(new_process: Callable[[], RecordedProcess], number: int) -> RecordedProcess:
    process = new_process()
    process.do("os:setgroups", [GROUP])
    process.do("os:setgid", number)
    process.do("os:setuid", number)
    return process


def _a_link(other: RecordedProcess, place: Path, precious: Path) -> None:
    other.do("os:symlink", str(precious), str(place))


def _a_dangling_link(other: RecordedProcess, place: Path, precious: Path) -> None:
    other.do("os:symlink", str(precious.with_name("new")), str(place))


def _a_hard_link(_: RecordedProcess, place: Path, precious: Path) -> None:
    os.link(precious, place)  # which fs.protected_hardlinks keeps others from; not every system has it


def _a_file(other: RecordedProcess, place: Path, _: Path) -> None:
    descriptor = other.do("os:open", str(place), os.O_CREAT | os.O_RDWR)
    other.do("os:fchmod", descriptor, 0o666)


def _a_closed_file(other: RecordedProcess, place: Path, _: Path) -> None:
    other.do("os:open", str(place), os.O_CREAT | os.O_RDWR, 0o600)


def _a_pipe(other: RecordedProcess, place: Path, _: Path) -> None:
    other.do("os:mkfifo", str(place))
    other.do("os:chmod", str(place), 0o666)


def _a_directory(other: RecordedProcess, place: Path, _: Path) -> None:
    other.do("os:mkdir", str(place))
    other.do("os:chmod", str(place), 0o777)


def _a_closed_directory(other: RecordedProcess, place: Path, _: Path) -> None:
    other.do("os:mkdir", str(place), 0o700)


def _a_link_to_a_directory(other: RecordedProcess, place: Path, precious: Path) -> None:
    other.do("os:symlink", str(precious.parent), str(place))


FOR_FILES = [_a_link, _a_dangling_link, _a_hard_link, _a_file, _a_closed_file, _a_pipe, _a_directory]
FOR_ROOMS = [_a_link, _a_dangling_link, _a_file, _a_pipe, _a_directory, _a_closed_directory, _a_link_to_a_directory]


def _record_two(owner: RecordedProcess, har: Path) -> bool:
    """Whether recording began."""
    try:
        owner.record(har)
    except OrderError as fault:
        assert "cannot write the HAR file" in str(fault)  # noqa: PT017 - the one way in which it may fail
        return False
    for number in range(2):
        owner.get(f"/item/secret{number}")
        owner.flush()
    return True


def _assert_nothing_leaked(shared: Path, precious: Path) -> None:
    """Every file with the traffic is the owner's alone, and the owner's other files are as they were."""
    assert (PRECIOUS, [precious]) == (precious.read_text(), list(precious.parent.iterdir()))
    for path in shared.rglob("*"):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and b"secret" in path.read_bytes():
            assert (path, OWNER, 0) == (path, status.st_uid, status.st_mode & 0o077)


@needs_root
@pytest.mark.parametrize("plant", FOR_FILES)
def test_planted_file(
    new_process: Callable[[], RecordedProcess], shared: Path, precious: Path, plant: Callable[..., None]
) -> None:
    """What another user put in the place of the file gets nothing of it: the recording is refused, or replaces it."""
    har = shared / "out.har"
    plant(_user(new_process, OTHER), har, precious)
    owner = _user(new_process, OWNER)
    assert (plant is _a_hard_link) == _record_two(owner, har)
    _assert_nothing_leaked(shared, precious)


@needs_root
@pytest.mark.parametrize("plant", FOR_ROOMS)
def test_planted_room(
    new_process: Callable[[], RecordedProcess], shared: Path, precious: Path, plant: Callable[..., None]
) -> None:
    """What another user put in the place of the hidden directory gets nothing: the recording goes to a file beside."""
    har = shared / "out.har"
    plant(_user(new_process, OTHER), room_path(har), precious)
    owner = _user(new_process, OWNER)
    assert _record_two(owner, har)
    assert (f"out.{owner.pid}.har", ["/item/secret0", "/item/secret1"]) == (owner.path().name, targets(owner.path()))
    _assert_nothing_leaked(shared, precious)


@needs_root
@pytest.mark.parametrize("plant", FOR_FILES)
@pytest.mark.parametrize("is_room", [False, True], ids=["file", "room"])
def test_planted_while_it_is_recorded(
    new_process: Callable[[], RecordedProcess],
    unruly: Path,
    precious: Path,
    plant: Callable[..., None],
    is_room: bool,
) -> None:
    """In a directory where everybody may rename everything, what is put in their places gets nothing either."""
    har = unruly / "out.har"
    owner = _user(new_process, OWNER)
    assert _record_two(owner, har)
    place = room_path(har) if is_room else har
    other = _user(new_process, OTHER)
    other.do("os:rename", str(place), str(unruly / "away"))
    plant(other, place, precious)
    for number in range(2):
        owner.get(f"/item/secret-after{number}")
        assert owner.flush() is True
    assert ["/item/secret-after0", "/item/secret-after1"] == targets(owner.path())[-2:]
    owner.shutdown()
    _assert_nothing_leaked(unruly, precious)


@needs_root
@pytest.mark.parametrize("plant", FOR_FILES)
def test_planted_beside(
    new_process: Callable[[], RecordedProcess], shared: Path, precious: Path, plant: Callable[..., None]
) -> None:
    """A name that is to be expected, of the file beside, is not used when something has it."""
    har = shared / "out.har"
    first, owner = _user(new_process, OWNER), _user(new_process, OWNER)
    assert _record_two(first, har)
    plant(_user(new_process, OTHER), shared / f"out.{owner.pid}.har", precious)
    assert _record_two(owner, har)
    assert (f"out.{owner.pid}.2.har", ["/item/secret0", "/item/secret1"]) == (owner.path().name, targets(owner.path()))
    _assert_nothing_leaked(shared, precious)


@needs_root
def test_planted_copy(new_process: Callable[[], RecordedProcess], shared: Path, precious: Path) -> None:
    """A room with somebody's copies in it, however large, gives nothing to the file and gets nothing."""
    har = shared / "out.har"
    other = _user(new_process, OTHER)
    _a_directory(other, room_path(har), precious)
    for name in ("0", "1"):
        _a_file(other, room_path(har) / name, precious)
        other.do("os:truncate", str(room_path(har) / name), 100_000_000)
    owner = _user(new_process, OWNER)
    assert _record_two(owner, har)
    assert ["/item/secret0", "/item/secret1"] == targets(owner.path())
    assert [100_000_000] * 2 == [(room_path(har) / name).stat().st_size for name in ("0", "1")]


@needs_root
def test_root_takes_nothing_over(new_process: Callable[[], RecordedProcess], shared: Path, precious: Path) -> None:
    """Root, too, refuses a file of somebody else in a shared directory, and keeps one in the owner's own as it was."""
    har = shared / "out.har"
    _a_file(_user(new_process, OTHER), har, precious)
    with pytest.raises(OrderError, match="it belongs to user 12346, in a directory that others may write to"):
        new_process().record(har)
    assert b"" == har.read_bytes()
    own = precious.with_name("own.har")
    own.touch(0o640)
    os.chown(own, OWNER, OWNER)
    root = new_process().record(own)
    root.get("/item/1")
    root.shutdown()
    status = own.stat()
    assert (OWNER, OWNER, 0o640) == (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
    assert ["/item/1"] == targets(own)
