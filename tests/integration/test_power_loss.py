"""Power that fails in a write, simulated: each copy of the document in turn is cut at every byte of it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.export.room import room_path
from otel_har.har.models import Entry, Page, PageTimings, Request, Response
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
    for cut in range(length):
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
    for cut in range(len(hidden)):
        _left_behind(har, published, hidden[:cut])
        _written(har, "3", append=True)
        assert ["/1", "/2", "/3"] == _paths(har)
    assert ["/1", "/2", "/3"] == targets(har)
    assert {har, tmp_path / "first.har"} == set(tmp_path.iterdir())


def _paths(path: Path) -> list[str]:
    """As `targets`, of a small file, quickly."""
    log = json.loads(path.read_bytes())["log"]
    return [entry["request"]["url"].removeprefix("http://h.test") for entry in log["entries"]]
