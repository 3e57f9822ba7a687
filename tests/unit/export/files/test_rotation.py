"""Files that are put aside: when, under which names, and what of others stays as it is."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from children import as_user, completed
from lives import FORMS, PACKED_FORMS, Clock, batch, entry, log_of, read
from otel_har.export.file import FileHarExporter
from otel_har.export.files.aside import numbered
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.export.keeping import Retention, Rotation
from servers.programs import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from children import Child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and forks of POSIX")


_ALL_FORMS = {**FORMS, **PACKED_FORMS}


@pytest.fixture(params=_ALL_FORMS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., FileHarExporter]]:
    """Makes exporters for one file, and shuts them down."""
    made = []
    name, indent = _ALL_FORMS[request.param]

    def make_one(rotation: Rotation | None, **arguments: Any) -> FileHarExporter:
        made.append(FileHarExporter(tmp_path / name, indent, rotation=rotation, **arguments))
        return made[-1]

    yield make_one
    for exporter in made:
        exporter.shutdown()


def _all(path: Path, files: int = 9) -> list[list[str]]:
    """The names of the entries of the file and of those that were put aside."""
    there = [path, *(numbered(path, number) for number in range(1, files + 1))]
    return [read(one)[0] for one in there if one.exists()]


def test_size(make: Callable[..., FileHarExporter]) -> None:
    """No file gets larger, each is complete, and each entry is in one of them, the latest in the file itself."""
    exporter = make(Rotation(max_bytes=6_000, files=50))
    for number in range(60):
        exporter.export(batch(entry(number, page=f"page{number // 3}", size=number * 37 % 400)))
    files = _all(exporter.path, 50)
    assert len(files) > 5
    assert [str(number) for number in range(60)] == [name for names in reversed(files) for name in names]
    for number, names in enumerate(files):
        path = numbered(exporter.path, number) if number else exporter.path
        assert path.stat().st_size <= 6_000
        assert (names, list(dict.fromkeys(f"page{int(name) // 3}" for name in names))) == read(path)
        assert 0o600 == path.stat().st_mode & 0o777
    recordings = {log_of(one)["_otel_har"]["recording"] for one in _files(exporter.path.parent)}
    assert 1 == len(recordings)


def _files(directory: Path) -> list[Path]:
    return sorted(one for one in directory.iterdir() if one.is_file())


def test_number_of_files(make: Callable[..., FileHarExporter]) -> None:
    """The oldest goes when there are more than are kept."""
    exporter = make(Rotation(max_bytes=1, files=3))
    for number in range(10):
        exporter.export(batch(entry(number)))
    assert [["9"], ["8"], ["7"], ["6"]] == _all(exporter.path)
    exporter.shutdown()
    assert 4 == len(list(exporter.path.parent.iterdir()))


def test_fewer_files_than_before(make: Callable[..., FileHarExporter]) -> None:
    """When fewer are to be kept, those beyond go with the next rotation; what is not ours stays."""
    exporter = make(Rotation(max_bytes=1, files=5))
    for number in range(7):
        exporter.export(batch(entry(number)))
    exporter.shutdown()
    numbered(exporter.path, 4).write_text("somebody's")
    exporter = make(Rotation(max_bytes=1, files=2), append=True)
    exporter.export(batch(entry(7)))
    numbers = [number for number in range(1, 9) if numbered(exporter.path, number).exists()]
    assert [1, 2, 4] == numbers
    assert ["7"] == read(exporter.path)[0]
    assert ["6"] == read(numbered(exporter.path, 1))[0]
    assert "somebody's" == numbered(exporter.path, 4).read_text()


def test_addition_is_not_divided(make: Callable[..., FileHarExporter]) -> None:
    """One that is larger than a file may be makes a larger file, alone."""
    exporter = make(Rotation(max_bytes=2_000))
    exporter.export(batch(entry("a")))
    exporter.export(batch(*(entry(f"b{number}", size=400) for number in range(10))))
    exporter.export(batch(entry("c")))
    assert [["c"], [f"b{number}" for number in range(10)], ["a"]] == _all(exporter.path)


def test_time(make: Callable[..., FileHarExporter]) -> None:
    """A file is put aside when it was begun long enough ago, with an addition or without; never an empty one."""
    clock = Clock()
    exporter = make(Rotation(max_seconds=10), clock=clock)
    clock.now = 50
    exporter.upkeep()
    assert [[]] == _all(exporter.path)
    exporter.export(batch(entry("a")))
    assert [["a"]] == _all(exporter.path)
    exporter.upkeep()
    assert [[], ["a"]] == _all(exporter.path)
    clock.now = 59
    exporter.export(batch(entry("b")))
    exporter.upkeep()
    assert [["b"], ["a"]] == _all(exporter.path)
    clock.now = 60
    exporter.export(batch(entry("c")))
    assert [["c"], ["b"], ["a"]] == _all(exporter.path)
    clock.now = 70
    exporter.shutdown()
    assert [[], ["c"], ["b"], ["a"]] == _all(exporter.path)


def test_statistics(make: Callable[..., FileHarExporter]) -> None:
    """What was lost is told in the file that was written then, and nowhere else."""
    exporter = make(Rotation(max_bytes=1))
    for number in range(3):
        made = batch(entry(number))
        exporter.export(HarBatch(made.pages, made.entries, HarStatistics(dropped_entries=number)))
    logs = [log_of(path)["_otel_har"] for path in _files(exporter.path.parent)]
    assert [0, 1, 2] == sorted(log["statistics"]["droppedEntries"] for log in logs)


def test_totals(make: Callable[..., FileHarExporter]) -> None:
    """A file knows how much was recorded before it, also to files that are gone, and by whichever process."""
    for number in range(6):
        exporter = make(Rotation(max_bytes=1, files=2), append=number > 0)
        made = batch(entry(number))
        exporter.export(HarBatch(made.pages, made.entries, HarStatistics(dropped_entries=number)))
        exporter.shutdown()
    about = log_of(exporter.path)["_otel_har"]
    lost = {"droppedEntries": 10, "droppedBodies": 0, "failedEntries": 0, "failedExports": 0}
    assert {"entries": 5, **lost, "failedRequests": 5} == about["series"]["before"]
    assert (1, 5, 1) == (
        about["statistics"]["entries"],
        about["statistics"]["droppedEntries"],
        about["failedRequests"],
    )


def test_redaction(make: Callable[..., FileHarExporter]) -> None:
    """Each file tells by which policy it was redacted, whatever the others were."""
    exporter = make(Rotation(max_bytes=1))
    policies = ["strict", None, "default", "strict"]
    for number, policy in enumerate(policies):
        exporter.export(replace(batch(entry(number)), redaction=policy))
    there = [numbered(exporter.path, number) for number in (3, 2, 1)] + [exporter.path]
    assert policies == [log_of(one).get("_redaction", {}).get("policy") for one in there]


def test_what_is_not_ours_keeps_its_name(make: Callable[..., FileHarExporter]) -> None:
    """A file, a link, a directory or a HAR that does not come from this file is passed over."""
    plain = make(None)
    plain.export(batch(entry("own")))
    plain.shutdown()
    path = plain.path
    numbered(path, 1).write_text("{}")
    numbered(path, 2).symlink_to(numbered(path, 1))
    numbered(path, 3).mkdir()
    path.rename(numbered(path, 5))  # a recording that was never rotated
    exporter = make(Rotation(max_bytes=1, files=2))
    for number in range(5):
        exporter.export(batch(entry(number)))
    assert "{}" == numbered(path, 1).read_text()
    assert numbered(path, 2).is_symlink()
    assert [] == list(numbered(path, 3).iterdir())
    assert ["own"] == read(numbered(path, 5))[0]
    assert [["4"], ["3"], ["2"]] == [read(one)[0] for one in (path, numbered(path, 4), numbered(path, 6))]


def test_file_that_is_recorded_keeps_its_name(tmp_path: Path) -> None:
    """Another recording's file at work is not moved, even when it was put aside from this one before."""
    path = tmp_path / "out.har"
    first = FileHarExporter(path, rotation=Rotation(max_bytes=1))
    first.export(batch(entry("0")))
    first.export(batch(entry("1")))
    other = FileHarExporter(numbered(path, 1), append=True)
    other.export(batch(entry("other")))
    first.export(batch(entry("2")))
    assert [["2"], ["0", "other"], ["1"]] == _all(path)
    for one in (first, other):
        one.shutdown()


def test_next_run(make: Callable[..., FileHarExporter]) -> None:
    """What an earlier run put aside gets the next names; its last file is begun anew, or gone on with."""
    for number, append in enumerate([False, False, True]):
        exporter = make(Rotation(max_bytes=1), append=append)
        exporter.export(batch(entry(f"{number}a")))
        exporter.export(batch(entry(f"{number}b")))
        exporter.shutdown()
    assert [["2b"], ["2a"], ["1b"], ["1a"], ["0a"]] == _all(exporter.path)


def test_appending_to_a_file_that_was_not_rotated(make: Callable[..., FileHarExporter]) -> None:
    """A file that is too large already is put aside with the first addition, and moves on with the others."""
    before = make(None)
    before.export(batch(entry("old")))
    before.shutdown()
    exporter = make(Rotation(max_bytes=1), append=True)
    for number in range(3):
        exporter.export(batch(entry(number)))
    assert [["2"], ["1"], ["0"], ["old"]] == _all(exporter.path)


@pytest.mark.parametrize("name", ["out.har", "out.har.gz"])
def test_several_processes(tmp_path: Path, name: str) -> None:
    """They rotate together, each file once, and whoever opened one reads it to its end."""
    path = tmp_path / name
    clock = Clock()
    exporters = [
        FileHarExporter(path, recording="run", rotation=Rotation(max_seconds=10), clock=clock) for _ in range(3)
    ]
    for exporter in exporters:
        exporter.export(batch(entry(f"{exporters.index(exporter)}")))
    with path.open("rb") as reader:
        clock.now = 10
        for exporter in exporters:
            exporter.upkeep()
        exporters[1].export(batch(entry("next")))
        assert ["0", "1", "2"] == [
            one["request"]["url"][-1] for one in json.loads(text_of(reader.read()))["log"]["entries"]
        ]
    assert [["next"], ["0", "1", "2"]] == _all(path)
    for exporter in exporters:
        exporter.shutdown()
    assert [numbered(path, 1), path] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("out.har", "out.1.har"), ("out.7.har", "out.7.1.har"), ("out", "out.1"), ("a.b.har.gz", "a.b.1.har.gz")],
)
def test_names(tmp_path: Path, name: str, expected: str) -> None:
    """The number stands before the ending, also one of two parts."""
    assert tmp_path / expected == numbered(tmp_path / name, 1)


def test_file_of_each_process(tmp_path: Path) -> None:
    """With `{pid}` in the name each process has a series of its own."""
    exporter = FileHarExporter(tmp_path / "{pid}.har", rotation=Rotation(max_bytes=1))
    for number in range(2):
        exporter.export(batch(entry(number)))
    exporter.shutdown()
    assert [f"{os.getpid()}.1.har", f"{os.getpid()}.har"] == sorted(one.name for one in tmp_path.iterdir())


def test_with_retention(tmp_path: Path) -> None:
    """Retention holds for the file that is written; what was put aside stays as it was."""
    path = tmp_path / "out.har"
    clock = Clock()
    exporter = FileHarExporter(path, retention=Retention(max_entries=2), rotation=Rotation(max_seconds=10), clock=clock)
    for number in range(6):
        clock.now = number * 3
        exporter.export(batch(entry(number)))
    assert [["4", "5"], ["2", "3"]] == _all(path)
    exporter.shutdown()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may become another user")
def test_no_name_is_free(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where files of somebody else have all names the file goes on growing, and that is said once."""
    path = shared / "out.har"
    for number in range(1, 103):
        numbered(path, number).touch()

    def record(child: Child) -> None:
        as_user(1234, 1234)
        exporter = FileHarExporter(path, rotation=Rotation(max_bytes=1, files=1))
        for number in range(3):
            exporter.export(batch(entry(number)))
        exporter.shutdown()
        child.tell(f"{[record.getMessage() for record in caplog.records]}")

    [said] = completed(record)
    assert 1 == said.count("cannot be rotated and goes on growing: no name is free")
    assert ["0", "1", "2"] == read(path)[0]
    assert {0} == {numbered(path, number).stat().st_size for number in range(1, 103)}
