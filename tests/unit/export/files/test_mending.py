"""Appending to files that were cut, changed, or made by another program: what is whole of them is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otel_har.errors import ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.har.checker import check
from otel_har.har.models import Entry, Page, Request, Response

DATA = Path(__file__).parents[3] / "data" / "har"


def _batch(*paths: str, page: str = "run", lost: HarStatistics | None = None) -> HarBatch:
    return HarBatch(
        (Page(started_date_time="2030-01-01T00:00:00Z", id=page, title="title"),),
        tuple(
            Entry(
                pageref=page,
                started_date_time="2030-01-01T00:00:00Z",
                request=Request(method="GET", url=f"http://h.test/{path}", http_version="HTTP/1.1"),
                response=Response(transfer_size=0, error="none"),
            )
            for path in paths
        ),
        lost or HarStatistics(),
    )


def _append(path: Path, indent: int | None = None) -> dict[str, Any]:
    """Append an entry; the log then, of which the checker has no complaint."""
    exporter = FileHarExporter(path, indent, append=True)
    assert path == exporter.path
    exporter.export(_batch("new", page="new"))
    exporter.shutdown()
    assert [] == [str(fault) for fault in check(path)]
    log: dict[str, Any] = json.loads(path.read_bytes())["log"]
    assert ["new"] == [page["id"] for page in log["pages"] if page["id"] == "new"]
    return log


def _paths(log: dict[str, Any]) -> list[str]:
    return [entry["request"]["url"].rpartition("/")[2] for entry in log["entries"]]


@pytest.mark.parametrize("indent", [None, 1])
def test_cut_anywhere(tmp_path: Path, indent: int | None) -> None:
    """Every entry that is wholly there is kept, wherever the file was cut, and those after it are appended."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path, indent)
    exporter.export(_batch("a", page="one"))
    exporter.export(_batch("b", "c", page="two"))
    exporter.shutdown()
    document = path.read_bytes()
    ends = [_end_of(document, name) for name in "abc"]
    cuts = {*range(0, len(document), 13), *(end + more for end in ends for more in (-1, 0, 1)), len(document)}
    for cut in sorted(cuts):
        path.write_bytes(document[:cut])
        kept = [name for name, end in zip("abc", ends, strict=True) if end <= cut]
        assert [*kept, "new"] == _paths(_append(path, indent))


def _end_of(document: bytes, path: str) -> int:
    """The byte after an entry: where its object is closed."""
    start = document.rindex(b"{", 0, document.index(b'"pageref"', document.index(b'"entries"')))
    decoder = json.JSONDecoder()
    text = document.decode("ascii")
    while True:
        entry, end = decoder.raw_decode(text, start)
        if entry["request"]["url"].endswith(f"/{path}"):
            return end
        start = text.index("{", end)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.har")))
def test_other_producers(tmp_path: Path, name: str) -> None:
    """Another producer's file, whose pages come first, has its entries, pages and other members afterwards."""
    path = tmp_path / "out.har"
    path.write_bytes((DATA / name).read_bytes())
    before = json.loads(path.read_bytes().decode("utf-8-sig"))["log"]
    faults = len(list(check(path)))
    exporter = FileHarExporter(path, append=True)
    exporter.export(_batch("new", page="new"))
    exporter.shutdown()
    after = json.loads(path.read_bytes())["log"]
    assert before["entries"] == after["entries"][:-1]
    assert len(list(check(path))) <= faults
    for member in before.keys() - {"entries", "pages", "comment", "_redaction"}:
        assert before[member] == after[member]
    assert "_redaction" not in after  # what was added is not known to be redacted


def test_counts_go_on(tmp_path: Path) -> None:
    """What an earlier recording lost is added to, and told in words."""
    path = tmp_path / "out.har"
    for _ in range(2):
        exporter = FileHarExporter(path, append=True)
        exporter.export(_batch("a", lost=HarStatistics(dropped_entries=2, dropped_bodies=1)))
        exporter.shutdown()
    log = json.loads(path.read_bytes())["log"]
    counts = {"entries": 2, "droppedEntries": 4, "droppedBodies": 2, "failedEntries": 0, "failedExports": 0}
    assert counts == log["_otel_har"]["statistics"]
    assert "4 exchanges were dropped" in log["comment"]
    assert "2 bodies were left out or cut" in log["comment"]


def test_broken_in_the_middle(tmp_path: Path) -> None:
    """What is whole on both sides of broken bytes is kept."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("a", "b", "c"))
    exporter.shutdown()
    document = bytearray(path.read_bytes())
    start = document.index(b"http://h.test/b")
    document[start : start + 40] = b"\0" * 40
    path.write_bytes(document)
    assert ["a", "c", "new"] == _paths(_append(path))


@pytest.mark.parametrize("content", [b"x", b"[]", b"{}", b'{"log": 1}', b"\0" * 100, b'{"a": 1', b"PK\3\4"])
def test_no_har(tmp_path: Path, content: bytes) -> None:
    """What is no HAR is told, and left as it is."""
    path = tmp_path / "out.har"
    path.write_bytes(content)
    with pytest.raises(ExportError, match="no HAR file to append to"):
        FileHarExporter(path, append=True)
    assert content == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_empty_and_missing(tmp_path: Path) -> None:
    """Appending to nothing begins a file."""
    path = tmp_path / "out.har"
    assert ["new"] == _paths(_append(path))
    path.write_bytes(b"")
    assert ["new"] == _paths(_append(path))


def test_entries_elsewhere(tmp_path: Path) -> None:
    """Members of the name `entries` in other places are not taken for the log's."""
    path = tmp_path / "out.har"
    log = json.loads((DATA / "valid.har").read_bytes())["log"]
    strange = {"_a": {"entries": [], "b": '"entries": ['}, **log, "_c": {"log": {"entries": []}}}
    path.write_text(json.dumps({"log": strange}))
    after = _append(path)
    assert log["entries"] == after["entries"][:-1]
    assert (strange["_a"], strange["_c"]) == (after["_a"], after["_c"])


def _recorded(path: Path, **members: Any) -> dict[str, Any]:
    """A recording of one entry with other members of its log; its log."""
    exporter = FileHarExporter(path)
    exporter.export(_batch("a", page="one"))
    exporter.shutdown()
    log: dict[str, Any] = json.loads(path.read_bytes())["log"] | members
    return log


def test_comment_of_others(tmp_path: Path) -> None:
    """It stays, before or after the entries, and our own sentence is in it once, whoever goes on with the file."""
    path = tmp_path / "out.har"
    path.write_text(json.dumps({"log": {"comment": "mine, 5.0", **_recorded(path)}}))
    for number in range(1, 4):
        exporter = FileHarExporter(path, append=True)
        exporter.export(_batch("new", page="new", lost=HarStatistics(failed_entries=1)))
        exporter.shutdown()
        expected = f"mine, 5.0 Not all that happened is in this file: {number} exchanges could not be written."
        assert expected == json.loads(path.read_bytes())["log"]["comment"]


@pytest.mark.parametrize("indent", [None, 1])
def test_members_beside_the_log(tmp_path: Path, indent: int | None) -> None:
    """They stay, and a second recording finds nothing to lay out anew."""
    path = tmp_path / "out.har"
    path.write_text(json.dumps({"_meta": {"a": 1}, "log": _recorded(path), "_after": 2}))
    for number in range(2):
        assert ["a", *["new"] * (number + 1)] == _paths(_append(path, indent))
        after = json.loads(path.read_bytes())
        assert ({"a": 1}, 2, 3) == (after["_meta"], after["_after"], len(after))


def test_page_without_date(tmp_path: Path) -> None:
    """It stays, for the entries that refer to it."""
    path = tmp_path / "out.har"
    path.write_text(json.dumps({"log": _recorded(path, pages=[{"id": "one", "title": "undated"}, {}, 1])}))
    assert [("one", "undated"), ("new", "title")] == [(page["id"], page["title"]) for page in _append(path)["pages"]]


@pytest.mark.parametrize("count", [-5, True, 10**30, "7", None, 1.5])
def test_counts_that_are_none(tmp_path: Path, count: object) -> None:
    """Who wrote what is no count into the file has it taken for nothing."""
    path = tmp_path / "out.har"
    log = _recorded(path)
    log["_otel_har"]["statistics"] |= {"droppedEntries": count, "entries": count}
    path.write_text(json.dumps({"log": log}))
    after = _append(path)
    assert {"entries": 2, "droppedEntries": 0} == {
        name: after["_otel_har"]["statistics"][name] for name in ("entries", "droppedEntries")
    }
    assert "comment" not in after


def test_large_file(tmp_path: Path) -> None:
    """The program's start does not read it; the first entry is appended all the same, nothing else is left."""
    path = tmp_path / "out.har"
    path.write_text(json.dumps({"log": _recorded(path, _large="x" * 5_000_000)}))
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 2)
    before = path.read_bytes()
    exporter = FileHarExporter(path, append=True)
    assert (before, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))
    exporter.export(_batch("new", page="new"))
    exporter.shutdown()
    assert (["a", "new"], [path]) == (_paths(json.loads(path.read_bytes())["log"]), list(tmp_path.iterdir()))


def test_large_file_that_is_no_har(tmp_path: Path) -> None:
    """Where its first bytes tell, it is told at once; else with the first entry, which goes to a file beside."""
    path = tmp_path / "out.har"
    path.write_bytes(b"no" * 3_000_000)
    with pytest.raises(ExportError, match="no HAR file to append to"):
        FileHarExporter(path, append=True)
    content = b'{"log":' + b"no" * 3_000_000
    path.write_bytes(content)
    exporter = FileHarExporter(path, append=True)
    exporter.export(_batch("new"))
    exporter.shutdown()
    assert ["new"] == _paths(json.loads(exporter.path.read_bytes())["log"])
    assert (content, {path, exporter.path}) == (path.read_bytes(), set(tmp_path.iterdir()))
