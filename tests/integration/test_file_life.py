"""Several processes write a file whose entries do not stay, while it is read all the time; some are killed."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from children import Child, batch, deliver, doubled, names
from otel_har.export.file import FileHarExporter
from otel_har.export.files.aside import numbered
from otel_har.export.keeping import Retention, Rotation
from otel_har.har.models import Har

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

_WRITERS = 6
_BATCHES = 60
_KILLED = 3
_BODY = "x" * 20_000  # a few of them are worth moving the others together


def _write_together(path: Path, **arguments: Any) -> tuple[list[list[str]], set[str]]:
    """What each process told that it wrote, and all that was ever seen in the file; each time it was whole."""
    exporter = FileHarExporter(path, **arguments)

    def write(child: Child, most: int | None) -> None:
        child.pause()
        for number in itertools.count() if most is None else range(most):
            deliver(exporter, batch(f"{os.getpid()}.{number}", body=_BODY))
            child.tell(f"{os.getpid()}.{number}")
        exporter.shutdown()

    doomed = [Child(lambda child: write(child, None)) for _ in range(_KILLED)]
    writers = [Child(lambda child: write(child, _BATCHES)) for _ in range(_WRITERS - _KILLED)]
    chance = random.Random(0)  # noqa: S311 - the instants of the kills
    ends = {one: chance.randrange(_BATCHES) for one in doomed}
    for one in (*doomed, *writers):
        one.go_on()
    seen: set[str] = set()
    while ends or any(len(one.told()) < _BATCHES for one in writers):
        log = Har.model_validate_json(path.read_bytes()).log
        seen.update(entry.request.url.rpartition("/")[2] for entry in log.entries)
        assert {entry.pageref for entry in log.entries} == {page.id for page in log.pages}
        for one in [one for one, most in ends.items() if len(one.told()) > most]:
            one.kill()
            del ends[one]
    done = [one.end() for one in (*doomed, *writers)]
    assert [-signal.SIGKILL] * _KILLED + [0] * (_WRITERS - _KILLED) == [code for code, _ in done]
    exporter.shutdown()
    return [told for _, told in done], seen


def test_retention(tmp_path: Path) -> None:
    """At the end the last entries are there, each once, in the order of each process."""
    path = tmp_path / "out.har"
    told, seen = _write_together(path, retention=Retention(max_entries=20))
    written = names(path)
    assert 20 == len(written)
    assert [] == doubled(written)
    for one in told:
        mine = [name for name in written if name in one]
        assert one[len(one) - len(mine) :] == mine
    assert len(seen) > 20
    assert [path] == list(tmp_path.iterdir())


def test_rotation(tmp_path: Path) -> None:
    """Every entry that was told to be written is in one of the files, once, in the order of each process."""
    path = tmp_path / "out.har"
    told, _ = _write_together(path, rotation=Rotation(max_bytes=300_000, files=200))
    files = sorted(tmp_path.iterdir(), key=lambda one: int(one.name.split(".")[1]) if one != path else 0)
    assert [path, *(numbered(path, number) for number in range(1, len(files)))] == files
    written = [name for one in reversed(files) for name in names(one)]
    assert len(files) > 10
    assert [] == doubled(written)
    for one in told:
        assert one == [name for name in written if name in one]
    assert len(written) - sum(map(len, told)) <= _KILLED  # published, and killed before it could say so
    assert max(one.stat().st_size for one in files) <= 300_000
