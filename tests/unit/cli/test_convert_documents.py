"""`otel-har convert`: a HAR file that became OTLP becomes the same HAR file again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otel_har.cli.app import app
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.otlp.json_form import json_from_request
from servers.programs import read_checked
from servers.receiving import PAGE, entry, receiving, request

ROOT = Path(__file__).parents[3]
PRODUCERS = sorted((ROOT / "tests" / "data" / "producers").glob("*.har"))


def run(*arguments: str | Path) -> Result:
    """Run the command within this process."""
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def _entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "startedDateTime": f"2026-01-01T00:00:0{number}.000Z",
        "time": 1,
        "request": {"method": "GET", "url": f"http://h.test/{number}", "headers": []},
        "response": {"status": 200, "content": {"size": 0, "mimeType": ""}},
        "cache": {},
        "timings": {"send": 0, "wait": 1, "receive": 0},
        **more,
    }


def _har(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, **more, "entries": list(entries)}}


_PAGES: list[dict[str, Any]] = [
    {"startedDateTime": "2026-01-01T00:00:00.000Z", "id": "page_2", "title": "T", "pageTimings": {"onLoad": 3.5}},
    {"startedDateTime": "2026-01-01T00:00:00.000Z", "id": "empty", "title": "E", "pageTimings": {}, "_mine": [1]},
    {"startedDateTime": "2026-01-01T00:00:00.000Z", "id": "page_1", "title": "T", "pageTimings": {}},
]
_LATE = _har(_entry(1, pageref="page_1"), _entry(2, pageref="page_2"))
_LATE["log"]["pages"] = _PAGES
_FILES = {
    "without pages": _har(_entry(1), _entry(2)),
    "equal entries": _har(_entry(1), _entry(1), _entry(2), _entry(1)),
    "not in the order of time": _har(_entry(5), _entry(3), _entry(4)),
    "pages": _har(_entry(1, pageref="page_1"), _entry(2, pageref="page_2"), pages=_PAGES),
    "pages after the entries": _LATE,
    "a page that is not there": _har(_entry(1, pageref="gone"), pages=_PAGES[:1]),
    "an empty list of pages": _har(_entry(1), pages=[]),
    "no entries": _har(),
    "only pages": _har(pages=_PAGES),
    "everything else": {
        **_har(
            _entry(1, _big=2**70, _float=1e-7, _nested={"a": [None, {"b": "é\u2028"}]}, comment="c"),
            browser={"name": "b", "version": "2", "_x": 1},
            comment="hi",
            _custom={"a": [1, None, 2**70]},
        ),
        "_beside": {"log": 1},
    },
    "more than one request": _har(*[_entry(number % 10, _body="x" * 50_000) for number in range(250)]),
}


@pytest.mark.parametrize("name", _FILES)
def test_there_and_back(tmp_path: Path, name: str) -> None:
    """The same members, the same entries in the same order, the same pages, and nothing that was not there."""
    source, there, back, again = (tmp_path / one for one in ("a.har", "b.json.gz", "c.har", "d.har"))
    source.write_text(json.dumps(_FILES[name]))
    assert (0, 0, 0) == tuple(
        run(*pair).exit_code for pair in ((source, there), (there, back), ("--to", "har", source, again))
    )
    assert _FILES[name] == json.loads(back.read_bytes())
    assert _FILES[name] == json.loads(again.read_bytes())


@pytest.mark.parametrize("source", PRODUCERS, ids=lambda one: one.name)
def test_of_producers(tmp_path: Path, source: Path) -> None:
    """HAR files of other producers are the same after they were OTLP, but for members that are null."""
    there, back = tmp_path / "there.json", tmp_path / "back.har"
    assert (0, 0) == (run(source, there).exit_code, run(there, back).exit_code)
    assert _without_null(json.loads(source.read_text("utf-8-sig"))) == json.loads(back.read_bytes())


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(one) for name, one in value.items() if one is not None}
    return [_without_null(one) for one in value] if isinstance(value, list) else value


def test_file_of_a_recorder(tmp_path: Path) -> None:
    """A recorder's own file tells the same of itself, but not where its entries stand; it can be gone on with."""
    source, there, back = (tmp_path / one for one in ("a.har", "b.json", "c.har"))
    recorder = FileHarExporter(source)
    assert HarExportResult.SUCCESS is recorder.export(HarBatch((PAGE,), (entry(1), entry(2)), redaction="default"))
    recorder.shutdown()
    assert (0, 0) == (run(source, there).exit_code, run(there, back).exit_code)
    before, after = read_checked(source)["log"], read_checked(back)["log"]
    for name in ("listStart", "entriesStart", "entriesEnd"):
        del before["_otel_har"][name]
    assert before == after
    recorder = FileHarExporter(back, append=True)
    assert HarExportResult.SUCCESS is recorder.export(HarBatch((PAGE,), (entry(3),), redaction="default"))
    recorder.shutdown()
    assert 3 == len(read_checked(back)["log"]["entries"])


def test_two_files(tmp_path: Path) -> None:
    """Two files become one of this package's making; pages of one id that are not one page get two ids."""
    first, second, there, back = (tmp_path / one for one in ("1.har", "2.har", "b.json", "c.har"))
    for path, title in ((first, "one"), (second, "two")):
        page = {**_PAGES[0], "title": title}
        path.write_text(json.dumps(_har(_entry(1, pageref="page_2"), _entry(2), pages=[page], comment=title)))
    assert (0, 0) == (run(first, second, there).exit_code, run(there, back).exit_code)
    log = json.loads(back.read_bytes())["log"]
    assert ("otel-har", None) == (log["creator"]["name"], log.get("comment"))
    titles = {page["id"]: page["title"] for page in log["pages"]}
    assert ["one", None, "two", None] == [titles.get(one.get("pageref")) for one in log["entries"]]


def test_with_entries_of_a_program(tmp_path: Path) -> None:
    """With what is of no file, too, the file is of this package's making, and whole."""
    source, there, back = (tmp_path / one for one in ("a.har", "b.json", "c.har"))
    source.write_text(json.dumps(_har(_entry(1), _entry(2))))
    assert 0 == run(source, there).exit_code
    live = json_from_request(request(entry(3)))
    for name, data in (("before", live + there.read_bytes()), ("behind", there.read_bytes() + live)):
        (tmp_path / name).write_bytes(data)
        assert 0 == run(tmp_path / name, back).exit_code
        log = json.loads(back.read_bytes())["log"]
        assert 3 == len(log["entries"])
        assert [PAGE.id] == [page["id"] for page in log["pages"]]
        assert 3 == log["_otel_har"]["statistics"]["entries"]


def test_part_of_a_file(tmp_path: Path) -> None:
    """The entries of one trace are not the file: its own members stay behind, with its other pages."""
    source, there, back = (tmp_path / one for one in ("a.har", "b.json", "c.har"))
    trace = "1" * 32
    otel = {"traceId": trace, "spanId": "2" * 16}
    source.write_text(json.dumps(_har(_entry(1), _entry(2, pageref="page_1", _otel=otel), pages=_PAGES, comment="all")))
    assert 0 == run(source, there).exit_code
    for given in (source, there):
        assert 0 == run("--trace", trace, "--to", "har", given, back).exit_code
        log = read_checked(back)["log"]
        assert ([trace], ["page_1"], None) == (
            [one["_otel"]["traceId"] for one in log["entries"]],
            [page["id"] for page in log["pages"]],
            log.get("comment"),
        )


def test_file_that_is_cut(tmp_path: Path) -> None:
    """Of a file that is cut the entries come that are whole, in a file of this package's making."""
    source, there, back = (tmp_path / one for one in ("a.har", "b.json", "c.har"))
    source.write_text(json.dumps(_har(_entry(1), _entry(2), _entry(3)))[:-100])
    assert (1, 0) == (run(source, there).exit_code, run(there, back).exit_code)
    log = json.loads(back.read_bytes())["log"]
    assert ("otel-har", [_entry(1), _entry(2)]) == (log["creator"]["name"], log["entries"])


def test_rows(tmp_path: Path) -> None:
    """What a store of logs has of a file is the file, too."""
    source, there, rows, back = (tmp_path / one for one in ("a.har", "b.json", "rows.json", "c.har"))
    source.write_text(json.dumps(_FILES["pages"]))
    assert 0 == run(source, there).exit_code
    records = json.loads(there.read_bytes())["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    texts = [{one["key"]: str(next(iter(one["value"].values()))) for one in record["attributes"]} for record in records]
    rows.write_text("\n".join(json.dumps({"LogAttributes": text}) for text in texts))
    assert 0 == run(rows, back).exit_code
    assert _FILES["pages"] == json.loads(back.read_bytes())


def test_again(tmp_path: Path) -> None:
    """A file that is converted twice is there once: its entries have the same ids, equal ones each its own."""
    source, there, twice, back = (tmp_path / one for one in ("a.har", "b.json", "twice.json.gz", "c.har"))
    source.write_text(json.dumps(_FILES["equal entries"]))
    assert 0 == run(source, there).exit_code
    twice.write_bytes(gzip.compress(there.read_bytes()) + gzip.compress(there.read_bytes()))
    done = run(twice, back)
    assert (0, f"{back}: 4 entries, 4 came twice\n") == (done.exit_code, done.output)
    assert _FILES["equal entries"] == json.loads(back.read_bytes())


def test_over_a_receiver(tmp_path: Path) -> None:
    """A receiver takes the entries of a file, equal ones too, and has no complaint about the rest."""
    source, out = tmp_path / "a.har", tmp_path / "out.har"
    source.write_text(json.dumps(_FILES["equal entries"]))
    with receiving(out) as receiver:
        done = run(source, f"otlp+http://me:hunter2@{receiver.http}")
        assert (0, f"otlp+http://***@{receiver.http}: 4 entries\n") == (done.exit_code, done.output)
    assert 4 == len(read_checked(out)["log"]["entries"])
    assert "otel-har: 4 entries in 1 request" == receiver.summary
