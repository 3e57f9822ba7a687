"""A process that is killed before any of its system calls: nothing is lost, doubled or left, nobody hangs."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from children import Child, batch, doubled, names
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.files.aside import numbered
from otel_har.export.keeping import Retention, Rotation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

# They change nothing, so that being killed before one is being killed after the call before it.
_HARMLESS = frozenset({"close", "fspath", "fstat", "geteuid", "getpid", "lseek", "lstat", "pread", "read", "stat"})

_BODY = "x" * 30_000  # a few of them are worth a new copy of the others
_IN_PLACE = "x" * 244 + ".har"  # there is no room beside a file of this name
_PACKED_IN_PLACE = "x" * 241 + ".har.gz"


def _killed_before(call: int, work: Callable[[], None]) -> None:
    """Do the work, in a child, and end it before one of its system calls that change something."""
    left = call

    def profile(_: FrameType, event: str, function: Any) -> None:
        nonlocal left
        if event != "c_call" or function.__module__ not in {"posix", "fcntl"} or function.__name__ in _HARMLESS:
            return
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    work()
    sys.setprofile(None)


def _each_crash(work: Callable[[Child], None], check: Callable[[list[str]], None]) -> int:
    """Kill a child before each call of its work in turn; how many calls there were."""
    for call in range(10_000):
        code, told = Child(lambda child, call=call: _killed_before(call, lambda: work(child))).end()  # type: ignore[misc]
        assert code in {0, -signal.SIGKILL}
        check(told)
        if code == 0:
            return call
    raise AssertionError("no end")


def _work(
    path: Path, *, append: bool = False, recording: str = "run", count: int = 3, **arguments: Any
) -> Callable[[Child], None]:
    """A recorder's whole life; it tells of each batch that it was told is written."""

    def work(child: Child) -> None:
        exporter = FileHarExporter(path, append=append, recording=recording, **arguments)
        for number in range(count):
            name = f"{os.getpid()}.{number}"
            exporter.export(batch(name, body=_BODY if arguments else ""))
            child.tell(name)
        exporter.shutdown()

    return work


def _succeed(path: Path, name: str, recording: str = "run") -> None:
    exporter = FileHarExporter(path, recording=recording)
    exporter.export(batch(name))
    exporter.shutdown()


def _must_have(told: list[str], written: list[str]) -> None:
    """What was told to be written is there, in its order, and at most one batch more."""
    assert [] == doubled(written)
    assert told == written[: len(told)]
    assert len(written) - len(told) in {0, 1}


def test_first_recorder(tmp_path: Path) -> None:
    """A recorder that begins the file: it is whole or not there, the next of the recording goes on and clears up."""
    path = tmp_path / "out.har"

    def check(told: list[str]) -> None:
        if path.exists():
            _must_have(told, names(path))
        _succeed(path, "next")
        *written, last = names(path)
        assert "next" == last
        _must_have(told, written)
        assert [path] == list(tmp_path.iterdir())
        path.unlink()

    assert 50 < _each_crash(_work(path), check)


@pytest.mark.parametrize("name", ["out.har", "out.har.gz"])
def test_one_of_several_recorders(tmp_path: Path, name: str) -> None:
    """One of the recording's processes: another one goes on at once, and each batch stays where it is."""
    path = tmp_path / name
    other = FileHarExporter(path, recording="run")
    other.export(batch("first"))
    known = ["first"]

    def check(told: list[str]) -> None:
        nonlocal known
        written = names(path)
        assert known == written[: len(known)]
        _must_have(told, written[len(known) :])
        other.export(batch(f"after{len(written)}"))
        known = names(path)
        assert [*written, f"after{len(written)}"] == known

    assert 30 < _each_crash(_work(path), check)
    other.shutdown()
    assert known == names(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.har", "out.har.gz"])
def test_appending(tmp_path: Path, name: str) -> None:
    """A recorder that goes on with another one's file: what was there stays, and the next one goes on."""
    path = tmp_path / name
    _succeed(path, "0", "earlier")
    known = ["0"]

    def check(told: list[str]) -> None:
        nonlocal known
        written = names(path)
        assert known == written[: len(known)]
        _must_have(told, written[len(known) :])
        known = written

    assert 50 < _each_crash(_work(path, append=True, recording="later"), check)
    assert [path] == list(tmp_path.iterdir())


def test_starting_anew(tmp_path: Path) -> None:
    """A recorder that replaces an earlier file: there is the old or the new one, whole."""
    path = tmp_path / "out.har"

    def work(child: Child) -> None:
        _work(path, recording=f"{os.getpid()}")(child)

    earlier = ["0"]

    def check(told: list[str]) -> None:
        nonlocal earlier
        written = names(path)
        if told or written != earlier:
            _must_have(told, written)
        earlier = [f"{int(earlier[0]) + 1}"]
        _succeed(path, *earlier, *earlier)
        assert earlier == names(path)

    _succeed(path, "0", "0")
    assert 50 < _each_crash(work, check)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_in_place(tmp_path: Path) -> None:
    """Where the file cannot be replaced: between two calls it is whole all the same, once it has begun."""
    path = tmp_path / _IN_PLACE
    _succeed(path, "0")
    known = ["0"]

    def check(told: list[str]) -> None:
        nonlocal known
        written = names(path)
        assert known == written[: len(known)]
        _must_have(told, written[len(known) :])
        known = written

    assert 10 < _each_crash(_work(path, append=True), check)
    assert [path] == list(tmp_path.iterdir())


def test_archive(tmp_path: Path) -> None:
    """A recorder of an archive: what was told is in the directory or the archive, and the next one has all of it."""
    path = tmp_path / "out.har.zip"

    def work(child: Child) -> None:
        exporter = ArchiveHarExporter(path, recording="run")
        for number in range(2):
            name = f"{os.getpid()}.{number}"
            exporter.export(batch(name))
            child.tell(name)
            exporter.force_flush()
        exporter.shutdown()

    def check(told: list[str]) -> None:
        exporter = ArchiveHarExporter(path, recording="run")
        exporter.export(batch("next"))
        exporter.shutdown()
        *written, last = names(path)
        assert "next" == last
        _must_have(told, written)
        assert [path] == list(tmp_path.iterdir())
        path.unlink()

    assert 100 < _each_crash(work, check)


@pytest.mark.parametrize(
    ("name", "limit", "least"),
    [
        ("out.har", Retention(max_entries=2), 2),
        ("out.har", Retention(max_bytes=99_000), 1),
        ("out.har.gz", Retention(max_entries=3), 2),
    ],
)
def test_retention(tmp_path: Path, name: str, limit: Retention, least: int) -> None:
    """Killed while entries are blanked or the others are moved: the last ones are there, and the next one goes on."""
    path = tmp_path / name
    known = ["0"]
    _succeed(path, "0")

    def check(told: list[str]) -> None:
        nonlocal known
        written = names(path)
        more = [one for one in written if one not in {*known, *told}]  # published, and killed before it said so
        everything = [*known, *told, *more]
        assert everything[-len(written) :] == written
        assert len(written) >= min(least, len(everything))
        assert len(more) <= 1
        known = written

    assert 100 < _each_crash(_work(path, append=True, count=8, retention=limit), check)
    assert [path] == list(tmp_path.iterdir())


def test_retention_in_place(tmp_path: Path) -> None:
    """Where the file cannot be replaced, it is whole between two calls; what is being moved may be there twice."""
    path = tmp_path / _IN_PLACE
    _succeed(path, "0")
    limit = Retention(max_entries=2)

    def check(told: list[str]) -> None:
        written = names(path)
        assert set(told[-1:]) <= set(written)  # one more may be there, and the one before have gone
        exporter = FileHarExporter(path, append=True, recording="run", retention=limit)
        exporter.export(batch("after"))
        exporter.shutdown()
        assert [written[-1], "after"] == names(path)

    assert 30 < _each_crash(_work(path, append=True, count=8, retention=limit), check)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.har", _IN_PLACE, "out.har.gz", _PACKED_IN_PLACE])
def test_rotation(tmp_path: Path, name: str) -> None:
    """Killed while files get their next names: each entry stays in one of them, in its order, once gone on with."""
    path = tmp_path / name
    rotation = Rotation(max_bytes=1, files=10)

    def check(told: list[str]) -> None:
        exporter = FileHarExporter(path, append=True, recording="run", rotation=rotation)
        exporter.export(batch("after"))
        exporter.shutdown()
        files = [one for one in (path, *(numbered(path, number) for number in range(1, 10))) if one.exists()]
        written = [name for one in reversed(files) for name in names(one)]
        assert [] == doubled(written)
        assert [*told, "after"] == [one for one in written if one in {*told, "after"}]
        assert len(written) - len(told) in {1, 2}
        left = set(tmp_path.iterdir()) - {path.with_name(f".{name}.new")}  # it is replaced by the next rotation
        assert set(files) == left
        for one in files:
            one.unlink()

    assert 30 < _each_crash(_work(path, append=True, rotation=rotation), check)
