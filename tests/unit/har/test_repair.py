"""What is kept of a HAR file that was cut or overwritten: at every place of a cut, and of every kind of damage."""

from __future__ import annotations

import functools
import io
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from otel_har.errors import HarFormatError
from otel_har.har.checker import check
from otel_har.har.models import Browser, Creator, Entry, Page
from otel_har.har.repair import LOST_PAGE_TITLE, RepairReport, find_damage, repair, survey
from otel_har.har.writer import HarLayout

PRODUCT = {"name": "a browser", "version": "7"}


def entry(number: int, page_id: str) -> dict[str, Any]:
    """An entry without faults, with what confuses whoever looks for brackets, quotes or names alone."""
    text = f'{number} {{"log":{{"entries":[{{"\\" ]}}}} é😀 \\'
    return {
        "pageref": page_id,
        "startedDateTime": f"2030-01-02T03:04:{30 - number:02}.000000Z",
        "time": 3,
        "request": {
            "method": "GET",
            "url": "https://shop.test/",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "queryString": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "content": {"size": len(text.encode()), "mimeType": "text/plain", "text": text},
        },
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 1.0, "wait": 1e0, "receive": 1},
        "_nested": {"entries": [{"startedDateTime": "", "request": {}}, {}], "pages": [{"id": "inner"}], "log": {}},
        "_webSocketMessages": [{"type": "send", "time": 1.5, "opcode": 1, "data": '{"entries":[1,{'}],
    }


def page(page_id: str) -> dict[str, Any]:
    """A page without faults."""
    return {"startedDateTime": "2030-01-02T03:04:00Z", "id": page_id, "title": "t", "pageTimings": {"onLoad": 1.5}}


def ours(indent: int | None) -> bytes:
    """A document as our file exporter lays it out."""
    layout = HarLayout(Creator(name="otel-har", version="1"), Browser(name="CPython", version="3"), indent)
    entries = [Entry.model_validate(entry(number, f"page {number % 2}")) for number in range(3)]
    pages = [Page.model_validate(page(f"page {number}")) for number in range(2)]
    return layout.head() + layout.entries((one.to_json(indent) for one in entries), first=True) + layout.tail(pages)


def browsers(**writing: Any) -> bytes:
    """A document as browsers write it, pages first."""
    log = {
        "version": "1.2",
        "creator": PRODUCT,
        "browser": PRODUCT,
        "_pages": [{"entries": [7]}],
        "pages": [page("é 1"), page("2"), page("3")],
        "entries": [entry(0, "é 1"), entry(1, "3"), entry(2, "2")],
        "comment": "end",
    }
    return json.dumps({"log": log, "_after": {"log": {"entries": [1]}}}, **writing).encode()


DOCUMENTS = {
    "ours": ours(None),
    "ours, indented": ours(2),
    "a browser's": browsers(),
    "a browser's, with tabs": browsers(ensure_ascii=False, indent="\t"),
    "with a byte order mark": b"\xef\xbb\xbf" + browsers(separators=(",", ":")),
}


def mended(data: bytes) -> tuple[bytes, RepairReport]:
    """The mended document, and the report."""
    target = io.BytesIO()
    report = repair(io.BytesIO(data), target)
    return target.getvalue(), report


@functools.cache
def entries_of(data: bytes) -> list[tuple[int, int]]:
    """Where each entry of a whole document begins and ends, found by Python's own parser from its first member on."""
    text, decoder = data.decode(), json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r'\{\s*"pageref"', text)]
    ends = [decoder.raw_decode(text, start)[1] for start in starts]
    return [(len(text[:start].encode()), len(text[:end].encode())) for start, end in zip(starts, ends, strict=True)]


@functools.cache
def faults(data: bytes) -> tuple[str, ...]:
    """The faults of a mended document, which must not change when it is mended again.

    Cached: all cuts within one entry give the same document.
    """
    again, report = mended(data)
    assert (data, True) == (again, report.found.is_whole)
    return tuple(map(str, check(io.BytesIO(data))))


def assert_kept(data: bytes, damaged: bytes, cut: int) -> None:
    """A document that is not whole from some byte on has, mended, each entry that ends before it, as it was."""
    result, report = mended(damaged)
    expected = [data[start:end] for start, end in entries_of(data) if end <= cut]
    found = [result[start:end] for start, end in entries_of(result) if result[start:end] in expected]
    assert (expected, len(expected), ()) == (found, report.found.entries, faults(result))
    if expected:
        assert expected[-1] == damaged[: report.found.entries_end][-len(expected[-1]) :]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_cut_anywhere(name: str) -> None:
    """Wherever a document is cut, every entry that ended before is there, byte for byte, and nothing is wrong."""
    data = DOCUMENTS[name]
    assert 3 == len(entries_of(data))
    for cut in range(data.index(b"{") + 1, data.rindex(b"}") + 1):
        assert_kept(data, data[:cut], cut)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("tail", [b"\0" * 9000, b"\xfe\x80(garbage" * 20, b"\x01"], ids=["zeros", "garbage", "short"])
def test_an_end_that_was_overwritten(name: str, tail: bytes) -> None:
    """Whatever stands where a document's end was, the entries before it are there."""
    data = DOCUMENTS[name]
    for cut in range(data.index(b'"version"'), data.rindex(b"}") + 1, 53):
        assert_kept(data, data[:cut] + tail, cut)


def log(*entries: dict[str, Any], **members: Any) -> bytes:
    """A compact document with entries at its end."""
    head = {"version": "1.2", "creator": PRODUCT, "browser": PRODUCT, **members}
    return json.dumps({"log": {**head, "entries": entries}}, separators=(",", ":")).encode()


def log_of(data: bytes) -> dict[str, Any]:
    """The log of a document."""
    found: dict[str, Any] = json.loads(data)["log"]
    return found


def test_whole_documents_stay_as_they_are() -> None:
    """A document that is whole is copied, whatever its values mean."""
    for data in [*DOCUMENTS.values(), b'{"log":{"entries":[7,null]}}', b' {"log":{}}\n', b'{"log":{"pages":null}}']:
        assert (data, True, 0) == ((result := mended(data))[0], result[1].found.is_whole, result[1].bytes_left_out)
        assert find_damage(io.BytesIO(data)) is None


def test_the_report() -> None:
    """What was found has the place of the cut, where entries end, and the pages; the report what was done."""
    data = DOCUMENTS["a browser's"]
    (_, end), (start, _) = entries_of(data)[1:]
    result, report = mended(data[: start + 100])
    found = report.found
    assert [("log.entries[2]", f"it ends too early, after {start + 100} bytes", "cut")] == [
        (fault.place, fault.message, fault.code) for fault in found.faults
    ]
    assert (2, end, False, start + 100) == (found.entries, found.entries_end, found.has_gaps, found.size_bytes)
    assert ["é 1", "2", "3"] == [one.id for one in found.pages]
    assert ["é 1", "3"] == [one["id"] for one in log_of(result)["pages"]]
    left_out = start + 100 - end + len(json.dumps(page("2"))) + len(", ") * 2
    assert (left_out, 1, 0) == (report.bytes_left_out, report.pages_left_out, report.pages_rebuilt)


def test_lost_pages_are_put_in_again() -> None:
    """A page that was lost has its id again, the start of its earliest entry, and a title that says what happened."""
    data = DOCUMENTS["ours"]
    result, report = mended(data[: data.rindex(b'"pages"')])
    starts = {one["id"]: (one["startedDateTime"], one["title"]) for one in log_of(result)["pages"]}
    assert {
        "page 0": ("2030-01-02T03:04:28.000000Z", LOST_PAGE_TITLE),
        "page 1": ("2030-01-02T03:04:29.000000Z", LOST_PAGE_TITLE),
    } == starts
    assert (2, ()) == (report.pages_rebuilt, report.found.pages)


def test_lost_pages_join_those_that_are_left() -> None:
    """Cut within the pages, those that are whole stay, and the lost ones stand behind them."""
    data = DOCUMENTS["ours, indented"]
    cut = data.rindex(b"page 1")
    result, report = mended(data[:cut])
    assert [("page 0", "t"), ("page 1", LOST_PAGE_TITLE)] == [(p["id"], p["title"]) for p in log_of(result)["pages"]]
    assert ["page 0"] == [one.id for one in report.found.pages]


@pytest.mark.parametrize("page_id", ["é", "\ud83d", '\n"\\', ""])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_ids_of_any_text(page_id: str, ensure_ascii: bool) -> None:
    """The id of a lost page is that of its entries, escaped or not."""
    text = json.dumps(entry(1, page_id), ensure_ascii=ensure_ascii or "\ud83d" in page_id)
    data = log()[:-3] + text.encode() + b","
    assert () == faults(mended(data)[0])


@pytest.mark.parametrize("started", [None, 7, "yesterday", "2030-01-02T03:04:05"])
def test_entries_without_a_date(started: Any) -> None:
    """A page that is put in again has a date even where its entries have none."""
    found = log_of(mended(log({"pageref": "p", "startedDateTime": started, "request": {}})[:-2])[0])
    assert ["1970-01-01T00:00:00Z"] == [one["startedDateTime"] for one in found["pages"]]


@pytest.mark.parametrize(
    ("head", "creator"),
    [
        (b"{", {"name": "unknown", "version": ""}),
        (b'{"lo', {"name": "unknown", "version": ""}),
        (b'{"lo' + b"\0" * 5000, {"name": "unknown", "version": ""}),
        (b'{"log" :', {"name": "unknown", "version": ""}),
        (b'{"log":{"creator":{"name":"a \xc3\xa9","ver', {"name": "a \u00e9", "version": ""}),
        (b'{"log":{"creator":{"name":"a","version":"7"', {"name": "a", "version": "7"}),
        (b'{"log":{"creator":{"name":"a"\0\0\0\0', {"name": "a", "version": ""}),
        (b'{"log":{"creator":{"name":"\xc3', {"name": "unknown", "version": ""}),
        (b'{"log":{"creator":{"name":7,"ver', {"name": "unknown", "version": ""}),
        (b'{"log":{"creator":["a","b', {"name": "unknown", "version": ""}),
        (b'{"log":{"version":"1.2","creator":{"name":"a","version":"7"},"ent', {"name": "a", "version": "7"}),
    ],
)
def test_a_cut_in_the_head(head: bytes, creator: dict[str, str]) -> None:
    """A document without a whole entry is an empty HAR, with what is known of its creator."""
    result, report = mended(head)
    assert (creator, [], []) == ((found := log_of(result))["creator"], found["entries"], found["pages"])
    assert ((), None) == (faults(result), report.found.entries_end)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a HAR: there is nothing in it"),
        (b"\xef\xbb\xbf", "byte 3: not a HAR: it ends too early, after 3 bytes"),
        (b"\0" * 5000, "byte 0: not a HAR: there are zeros instead of text"),
        (b"  <html>", r"byte 2: not a HAR: not JSON, near \"<html>\""),
        (b'{"menu":[1', "byte 10: not a HAR: it ends too early, after 10 bytes, and no log before that"),
        (b'{"_x":1,"lo', "byte 11: not a HAR: it ends too early, after 11 bytes, and no log before that"),
        (b'{"menu":1}', "not a HAR: there is no log object"),
        (b'{"log":null}', "not a HAR: there is no log object"),
        (
            b"{" + b"\0" * 5000 + ours(None),
            "byte 1: not a HAR: there are zeros instead of text, and no log before that",
        ),
        (b"[" * 100_000, r"byte 0: not a HAR: not JSON, near \"\[+\""),
        (b"\xff\xfe{\0", "is UTF-16: only UTF-8 can be mended"),
    ],
)
def test_what_cannot_be_mended(data: bytes, message: str) -> None:
    """What is no HAR, nor the beginning of one, is our error, with the place."""
    with pytest.raises(HarFormatError, match=f"^{message}$"):
        survey(io.BytesIO(data))


@pytest.mark.parametrize(
    "damage",
    [
        b"\0" * 300_000,
        b"NaN",
        b"1e99999999999999999999",
        b"9" * 5000,
        b"[" * 300_000,
        b"[" * 500 + b"]" * 500,
        b'{"a":',
    ],
    ids=["zeros", "NaN", "exponent", "digits", "depth", "closed depth", "torn"],
)
def test_entries_behind_a_fault(damage: bytes) -> None:
    """A spot that is not JSON costs the entry that it is in; those before and behind it stay."""
    entries = [entry(number, "p") for number in range(4)]
    data = log(*entries, pages=[page("p")])
    spot = data.index(b'"time":3', entries_of(data)[1][0]) + len(b'"time":')
    result, report = mended(data[:spot] + damage + data[spot + 1 :])
    if damage == b"[" * 300_000:  # where that ends, Python's parser does not tell
        entries = entries[:2]
    assert [entries[0], *entries[2:]] == log_of(result)["entries"]
    assert (len(entries) > 2, ()) == (report.found.has_gaps, faults(result))


@pytest.mark.parametrize("spot", [b'"id":"2"', b'"pages"', b'"version"'])
def test_entries_behind_a_broken_head(spot: bytes) -> None:
    """Where the head or a page is overwritten, all entries stay; what was lost is put in again."""
    data = log(*(entry(number, str(number)) for number in range(3)), pages=[page(str(number)) for number in range(3)])
    at = data.index(spot)
    result, report = mended(data[:at] + b"\0" * len(spot) + data[at + len(spot) :])
    assert ([0, 1, 2], ()) == ([int(one["pageref"]) for one in log_of(result)["entries"]], faults(result))
    assert sorted("012") == sorted(one["id"] for one in log_of(result)["pages"])
    assert report.found.has_gaps


def test_nothing_is_looked_for_in_an_entry_that_is_cut() -> None:
    """What looks like an entry within one that is cut is a part of that."""
    whole = entry(1, "p")
    data = log(whole, {"_inner": [whole], "request": {}})
    result, report = mended(data[: data.rindex(b'"request"')])
    assert ([whole], 1) == (log_of(result)["entries"], report.found.entries)


def test_entries_that_stand_twice() -> None:
    """Two lists of entries are both kept, as readers of streams take them; what follows the document goes."""
    data = b'{"log":{"entries":[{"a":1}],"x":{"entries":[9]},"entries":[{"b":2},{"c"'
    assert b'{"log":{"entries":[{"a":1}],"x":{"entries":[9]},"entries":[{"b":2}\n],\n"version"' in mended(data)[0]
    whole = log(entry(1, "p"), pages=[page("p"), page("unused")])
    assert whole == mended(whole + b"}")[0] == mended(whole + b"\0" * 7)[0]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Memory does not grow with the file: 10 MB are mended in less than three."""
    path = tmp_path / "long.har"
    one = json.dumps(entry(1, "p")).encode()
    with path.open("wb") as file:
        file.write(log()[:-3] + one)
        for _ in range(10_000_000 // len(one)):
            file.write(b",\n" + one)
        file.write(b',{"')
    tracemalloc.start()
    try:
        with path.open("rb") as source, (tmp_path / "mended.har").open("wb") as target:
            report = repair(source, target)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 1 + 10_000_000 // len(one) == report.found.entries
    assert peak_bytes < 3 << 20
