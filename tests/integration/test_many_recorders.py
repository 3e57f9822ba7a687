"""Many processes write one file as fast as they can; some are killed, readers come at any time."""

from __future__ import annotations

import itertools
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from children import Child, batch, completed, deliver, doubled, names, names_in
from otel_har.export.file import FileHarExporter
from otel_har.har.models import Har
from servers.programs import har_text

if TYPE_CHECKING:
    from pathlib import Path

_WRITERS = 16
_BATCHES = 200
_KILLED = 4


@pytest.mark.parametrize("name", ["out.har", "out.har.gz"])
def test_writers_that_are_killed(tmp_path: Path, name: str) -> None:
    """Each reader finds a whole document; each batch that was accepted is there once, and nobody hangs."""
    path = tmp_path / name
    exporter = FileHarExporter(path)

    def write(child: Child, most: int | None) -> None:
        child.pause()
        for number in itertools.count() if most is None else range(most):
            deliver(exporter, batch(f"{os.getpid()}.{number}"))
            child.tell(f"{os.getpid()}.{number}")
        exporter.shutdown()

    writers = [Child(lambda child: write(child, None)) for _ in range(_KILLED)]
    writers += [Child(lambda child: write(child, _BATCHES)) for _ in range(_WRITERS - _KILLED)]
    chance = random.Random(0)  # noqa: S311 - no secret
    doomed = {writer: chance.randrange(_BATCHES // 2) for writer in writers[:_KILLED]}
    for writer in writers:
        writer.go_on()
    reads = 0
    while doomed or any(len(writer.told()) < _BATCHES for writer in writers[_KILLED:]):
        Har.model_validate_json(har_text(path))
        reads += 1
        for writer in [writer for writer, most in doomed.items() if len(writer.told()) > most]:
            writer.kill()
            del doomed[writer]
    ends = [writer.end() for writer in writers]
    exporter.shutdown()
    assert [-signal.SIGKILL] * _KILLED + [0] * (_WRITERS - _KILLED) == [code for code, _ in ends]
    written = names(path)
    told = {name for _, lines in ends for name in lines}
    assert [] == doubled(written)
    assert set() == told - set(written)
    assert len(set(written) - told) <= _KILLED  # published, and killed before it could say so
    assert reads > 5
    assert [path] == list(tmp_path.iterdir())


def test_recorders_that_come_and_go(tmp_path: Path) -> None:
    """The room is cleared away and made again all the time, and no batch goes anywhere else."""
    path = tmp_path / "out.har"

    def come_and_go(child: Child) -> None:
        child.pause()
        for number in range(60):
            exporter = FileHarExporter(path, recording="run")
            assert path == exporter.path
            deliver(exporter, batch(f"{os.getpid()}.{number}"))
            assert path == exporter.path
            exporter.shutdown()

    recorders = [Child(come_and_go) for _ in range(6)]
    for recorder in recorders:
        recorder.go_on()
    assert [(0, [])] * 6 == [recorder.end() for recorder in recorders]
    assert sorted(f"{recorder.pid}.{number}" for recorder in recorders for number in range(60)) == sorted(names(path))
    assert [path] == list(tmp_path.iterdir())


def test_recordings_that_come_and_go(tmp_path: Path) -> None:
    """Each of several recordings for one path has its batch in the file that it says, as long as it records."""
    path = tmp_path / "out.har"

    def come_and_go(child: Child) -> None:
        child.pause()
        for number in range(25):
            exporter = FileHarExporter(path)
            for part in range(3):
                deliver(exporter, batch(f"{os.getpid()}.{number}.{part}"))
            log = Har.model_validate_json(exporter.path.read_bytes()).model_dump(mode="json")["log"]
            assert [f"{os.getpid()}.{number}.{part}" for part in range(3)] == names_in(log)
            exporter.shutdown()

    recorders = [Child(come_and_go) for _ in range(4)]
    for recorder in recorders:
        recorder.go_on()
    assert [(0, [])] * 4 == [recorder.end() for recorder in recorders]
    for written in tmp_path.iterdir():
        assert 3 == len(names(written))


@pytest.mark.parametrize("is_there", [False, True])
def test_unrelated_recorders_append(tmp_path: Path, *, is_there: bool) -> None:
    """Recordings that append write one file at the same time, whoever begins it."""
    path = tmp_path / "out.har"
    if is_there:
        completed(lambda _: deliver(FileHarExporter(path), batch("0")))

    def append(child: Child) -> None:
        child.pause()
        exporter = FileHarExporter(path, append=True)
        for number in range(20):
            deliver(exporter, batch(f"{os.getpid()}.{number}"))
        exporter.shutdown()

    recorders = [Child(append) for _ in range(6)]
    for recorder in recorders:
        recorder.go_on()
    assert [(0, [])] * 6 == [recorder.end() for recorder in recorders]
    expected = ["0"] * is_there + [f"{recorder.pid}.{number}" for recorder in recorders for number in range(20)]
    assert sorted(expected) == sorted(names(path))
    assert [path] == list(tmp_path.iterdir())
