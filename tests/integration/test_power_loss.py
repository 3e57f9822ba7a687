"""Power that fails in a write, simulated: each copy of the document in turn is cut, at any byte of it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_har.export.file import FileHarExporter
from otel_har.export.files.room import room_path
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Entry, Page, PageTimings, Request, Response
from otel_har.har.repair import repair
from servers.recorded import targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there the file is written in place")


def _batch(name: str) -> HarBatch:
    page = Page(started_date_time="2030-01-01T00:00:00Z", id="run", page_timings=PageTimings())
    entry = Entry(
        pageref=page.id,
        started_date_time=page.started_date_time,
        request=Request(method="GET", url=f"http://h.test/{name}"),
        response=Response(status=200, status_text="OK"),
    )
    return HarBatch((page,), (entry,))


def _written(path: Path, *names: str, append: bool = False) -> None:
    exporter = FileHarExporter(path, append=append)
    for name in names:
        exporter.export(_batch(name))
    exporter.shutdown()


@contextmanager
def _recorded_until_the_end(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """What the file and the hidden copy hold at the end of a recording that is not shut down."""
    exporter = FileHarExporter(path)
    for name in ("1", "2"):
        exporter.export(_batch(name))
    [hidden] = [copy for copy in room_path(path).glob("[01]") if not copy.samefile(path)]
    yield path.read_bytes(), hidden.read_bytes()
    exporter.shutdown()


def _cuts(length: int) -> Iterator[int]:
    """Every byte of the last hundred, and every fifth before them, beginning with none."""
    return (place for place in range(length) if place % 5 == 0 or place > length - 100)


def _left_behind(path: Path, published: bytes, hidden: bytes) -> None:
    """The files of a recording that ended at once."""
    room = room_path(path)
    room.mkdir(0o700, exist_ok=True)
    for name, content in (("0", published), ("1", hidden), ("turn", b""), ("presence", b"")):
        (room / name).unlink(missing_ok=True)
        (room / name).write_bytes(content)
    path.unlink(missing_ok=True)
    os.link(room / "0", path)


def test_a_hidden_copy_cut_while_it_is_recorded(tmp_path: Path) -> None:
    """Whatever is left of the other copy: the file does not change by it, and the recording goes on."""
    with _recorded_until_the_end(tmp_path / "first.har") as (_, hidden):
        length = len(hidden)
    for cut in _cuts(length):
        har = tmp_path / f"{cut}.har"
        exporter = FileHarExporter(har)
        for name in ("1", "2"):
            exporter.export(_batch(name))
        before = har.read_bytes()
        [other] = [copy for copy in room_path(har).glob("[01]") if not copy.samefile(har)]
        os.truncate(other, cut)
        assert before == har.read_bytes()
        exporter.export(_batch("3"))
        exporter.shutdown()
        assert ["/1", "/2", "/3"] == _paths(har)


def test_a_hidden_copy_found_cut(tmp_path: Path) -> None:
    """Whatever is left of the other copy: who appends to the file needs none of it."""
    har = tmp_path / "out.har"
    with _recorded_until_the_end(tmp_path / "first.har") as (published, hidden):
        pass
    for cut in _cuts(len(hidden)):
        _left_behind(har, published, hidden[:cut])
        _written(har, "3", append=True)
        assert ["/1", "/2", "/3"] == _paths(har)
    assert ["/1", "/2", "/3"] == targets(har)
    assert {har, tmp_path / "first.har"} == set(tmp_path.iterdir())


def _paths(path: Path) -> list[str]:
    """As `targets`, of a small file, quickly."""
    log = json.loads(path.read_bytes())["log"]
    return [entry["request"]["url"].removeprefix("http://h.test") for entry in log["entries"]]


def _ends(document: bytes) -> list[int]:
    """Where each entry ends."""
    text = document.decode()
    place = text.index('"entries":[') + len('"entries":[')
    ends: list[int] = []
    while True:
        place = next(at for at in range(place, len(text)) if text[at] not in ",\n ")
        if text[place] == "]":
            return ends
        _, place = json.JSONDecoder().raw_decode(text, place)
        ends.append(place)


def test_a_file_cut(tmp_path: Path) -> None:
    """Of a file that was cut, whoever appends to it keeps every entry that is wholly there; repairing it does, too."""
    har, repaired = tmp_path / "out.har", tmp_path / "repaired.har"
    with _recorded_until_the_end(tmp_path / "first.har") as (published, _):
        ends = _ends(published)
    for cut in _cuts(len(published)):
        expected = [f"/{number}" for number, end in enumerate(ends, 1) if end <= cut]
        har.write_bytes(published[:cut])
        if cut >= ends[0]:  # of less, `otel-har repair` says that it is no HAR
            with har.open("rb") as source, repaired.open("wb") as target:
                repair(source, target)
            assert expected == _paths(repaired)
        _written(har, "3", append=True)
        assert [*expected, "/3"] == _paths(har)


def test_both_copies_found_and_the_file_cut(tmp_path: Path) -> None:
    """Of a machine that crashed the next recording that appends takes the copy that has more entries."""
    har = tmp_path / "out.har"
    with _recorded_until_the_end(tmp_path / "first.har") as (published, hidden):
        ends = _ends(published)
    assert (2, 1) == (len(ends), len(_ends(hidden)))
    for cut in _cuts(len(published)):
        _left_behind(har, published[:cut], hidden)
        _written(har, "3", append=True)
        assert (["/1", "/2", "/3"] if cut >= ends[1] else ["/1", "/3"]) == _paths(har)
    assert {har, tmp_path / "first.har"} == set(tmp_path.iterdir())
