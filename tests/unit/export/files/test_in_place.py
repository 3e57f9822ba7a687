"""A file that cannot be replaced is written in place, by one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from children import PAGE, Child, as_user, batch, completed, names
from otel_har.errors import ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.files.growing import Claim, TakenError
from otel_har.export.files.in_place import InPlaceFile
from otel_har.export.files.packed import document_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_USER = 1234
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can be another user")


@pytest.fixture(params=["out.har", "out.har.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file, plain and packed."""
    return tmp_path / str(request.param)


@pytest.fixture
def take(path: Path) -> Iterator[Callable[..., InPlaceFile]]:
    """Takes the file, and lets it go whatever becomes of the test."""
    taken: list[InPlaceFile] = []

    def take_one(recording: str = "run", *, append: bool = False, may_replace: bool = True) -> InPlaceFile:
        taken.append(InPlaceFile(path, document_for(path, None), Claim(recording, append, may_replace)))
        return taken[-1]

    yield take_one
    for one in taken:
        one.close()


def _add(file: InPlaceFile, *added: str, body: str = "") -> None:
    file.add(lambda standing: document_for(file.path, None).grown(standing, batch(*added, body=body), {PAGE.id: PAGE}))


def test_one_inode(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """The file stays the same one, is whole after each addition, and its mode is nobody else's business."""
    path.touch()
    path.chmod(0o640)
    inode = path.stat().st_ino
    file = take()
    for number in range(3):
        _add(file, f"{number}")
        assert [f"{n}" for n in range(number + 1)] == names(path)
    assert (inode, 0o640) == (path.stat().st_ino, path.stat().st_mode & 0o777)


def test_one_process(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """A second one finds it taken, whatever it wants of it, and has it afterwards."""
    first = take()
    _add(first, "0")
    for claim in ({}, {"append": True}, {"recording": "other"}):
        with pytest.raises(TakenError, match="another process writes"):
            take(**claim)
    first.close()
    _add(take(), "1")
    assert ["0", "1"] == names(path)


def test_what_another_recording_wrote(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """It is replaced by who may do so, gone on with by who appends, and left alone by a child."""
    for recording, append, expected in (("one", False, ["one"]), ("two", True, ["one", "two"]), ("x", False, ["x"])):
        file = take(recording, append=append)
        _add(file, recording)
        file.close()
        assert expected == names(path)
    with pytest.raises(TakenError, match="another recording wrote"):
        take("child", may_replace=False)
    assert ["x"] == names(path)


def test_file_that_is_gone(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """It is begun anew; but not where somebody else was faster."""
    file = take()
    _add(file, "0")
    path.unlink()
    _add(file, "1")
    assert ["1"] == names(path)
    path.unlink()
    path.write_text("foreign")
    with pytest.raises(TakenError, match="was replaced"):
        _add(file, "2")
    assert "foreign" == path.read_text()


def test_file_that_is_emptied(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """It is begun anew."""
    file = take()
    _add(file, "0")
    os.truncate(path, 0)
    _add(file, "1")
    assert ["1"] == names(path)


def test_descriptor_that_the_program_closed(path: Path, tmp_path: Path, take: Callable[..., InPlaceFile]) -> None:
    """The file is opened and locked again; what has the number now is not written to."""
    file = take()
    _add(file, "0")
    number = file._descriptor
    own = os.open(tmp_path / "own", os.O_RDWR | os.O_CREAT)
    os.dup2(own, number)
    _add(file, "1")
    with pytest.raises(TakenError, match="another process writes"):
        take()
    os.dup2(own, file._descriptor)
    file.close()
    assert (["0", "1"], b"") == (names(path), (tmp_path / "own").read_bytes())
    for descriptor in (number, own):
        os.close(descriptor)


def test_file_that_another_recording_took_meanwhile(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """A process whose descriptor was closed, and with it its lock, leaves another one's file alone, to its end."""
    file = take("one")
    _add(file, "0")
    os.close(file._descriptor)

    def record(child: Child) -> None:
        other = take("two")
        _add(other, "1")
        child.tell("added")
        child.pause()
        other.close()

    other = Child(record)
    other.next()
    with pytest.raises(TakenError):
        _add(file, "2")
    other.go_on()
    assert 0 == other.end()[0]
    with pytest.raises(TakenError):
        _add(file, "3")
    file.close()
    assert ["1"] == names(path)


def test_fork(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """A child has none of it, and the parent's lock does not depend on the child."""
    file = take()

    def work(child: Child) -> None:
        child.tell(f"{file._descriptor}")
        child.pause()

    child = Child(work)
    assert "-1" == child.next()
    file.close()
    take().close()
    child.go_on()
    assert 0 == child.end()[0]
    assert [] == names(path)


@as_root
def test_directory_that_nothing_can_be_added_to(shared: Path) -> None:
    """A file there is written in place; another process of the recording has nowhere to write, and says so."""
    path = shared / "out.har"
    path.touch()
    os.chown(path, _USER, _USER)
    shared.chmod(0o755)
    inode = path.stat().st_ino

    def record(_: Child) -> None:
        as_user(_USER, _USER)
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))

        def fail(child: Child) -> None:
            with pytest.raises(ExportError, match="Permission denied"):
                exporter.export(batch("child"))
            child.tell("failed")

        assert ["failed"] == completed(fail)
        exporter.export(batch("1"))
        exporter.shutdown()

    completed(record)
    assert (["0", "1"], inode, [path]) == (names(path), path.stat().st_ino, list(shared.iterdir()))


@as_root
def test_file_of_another_owner(shared: Path) -> None:
    """Replaced by rename it would be ours: so it is written in place, and stays its owner's."""
    shared.chmod(0o777 & ~0o002)
    os.chown(shared, 0, _USER)
    path = shared / "out.har"
    path.touch()
    path.chmod(0o666)

    def record(_: Child) -> None:
        as_user(_USER, _USER)
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))
        exporter.shutdown()

    completed(record)
    assert (["0"], 0, [path]) == (names(path), path.stat().st_uid, list(shared.iterdir()))


@as_root
def test_file_that_is_a_mount(tmp_path: Path) -> None:
    """As containers have it: the name cannot be given to another file. There is no room beside it in the end."""
    path, real = tmp_path / "out.har", tmp_path / "real.har"
    path.touch()
    real.touch()
    if subprocess.run(["mount", "--bind", real, path], capture_output=True, check=False).returncode:  # noqa: S607 - of the system
        pytest.skip("mounting is not allowed here")
    try:
        exporter = FileHarExporter(path)
        exporter.export(batch("0"))
        exporter.export(batch("1"))
        exporter.shutdown()
    finally:
        subprocess.run(["umount", path], check=True)  # noqa: S607 - of the system
    assert (["0", "1"], {path, real}) == (names(real), set(tmp_path.iterdir()))


def test_recorder_that_could_swap(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """A file that is written in place just now is not replaced: the other one writes beside."""
    file = take()
    _add(file, "0")
    exporter = FileHarExporter(path)
    exporter.export(batch("beside"))
    _add(file, "1")
    exporter.shutdown()
    assert (["0", "1"], ["beside"]) == (names(path), names(exporter.path))


def test_no_har_to_append_to(path: Path, take: Callable[..., InPlaceFile]) -> None:
    """What is no HAR is told, and left as it is."""
    path.write_text("foreign")
    with pytest.raises(ExportError, match="it is no HAR file to append to"):
        take(append=True)
    assert "foreign" == path.read_text()


def test_without_what_windows_has_not(path: Path) -> None:
    """Without locks, forks, directories' descriptors, modes and owners a file is begun, gone on with and closed."""
    source = """
        import os, sys
        import otel_har
        for name in [name for name in sys.modules if name.startswith("otel_har")]:
            del sys.modules[name]
        missing = ["O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "geteuid", "fchmod", "fchown", "pread",
                   "pwrite", "register_at_fork", "fork", "link", "copy_file_range", "mkfifo"]
        for name in missing:
            if hasattr(os, name):
                delattr(os, name)
        sys.modules["fcntl"] = None
        sys.platform = "win32"
        sys.path.insert(0, sys.argv[2])
        from children import batch
        from otel_har.export.file import FileHarExporter
        for append in (False, True):
            exporter = FileHarExporter(sys.argv[1], append=append)
            exporter.export(batch("0"))
            exporter.export(batch("1"))
            exporter.shutdown()
    """
    tests = next(parent for parent in Path(__file__).parents if parent.name == "tests")
    command = [sys.executable, "-c", dedent(source), str(path), str(tests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["0", "1", "0", "1"] == names(path)
    assert [path] == list(path.parent.iterdir())
