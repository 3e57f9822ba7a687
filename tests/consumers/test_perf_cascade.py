"""PerfCascade draws every entry of a recording: a row on its page, with details that can be opened."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest

from consumers.facts import Json, pairs
from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader, ReaderFailed

pytestmark = pytest.mark.consumers

PHASES = {"Blocked": "blocked", "DNS": "dns", "Connect": "connect", "SSL (TLS)": "ssl"}
PHASES |= {"Send": "send", "Wait": "wait", "Receive": "receive"}
"""PerfCascade's names of the phases, and HAR's."""

ESCAPES = str.maketrans({'"': "&quot", "&": "&amp", "'": "&#039", "<": "&lt", ">": "&gt"})
"""What PerfCascade writes for a character in HTML."""


@pytest.fixture(scope="module")
def perf_cascade(browser_reader: Reader) -> Read:
    """What PerfCascade draws of a recording: its pages with their rows, and the errors of the browser's page."""
    return browser_reader("perf_cascade.mjs")


@pytest.fixture(scope="module")
def drawn(perf_cascade: Read, recording: Recording) -> Json:
    """What PerfCascade draws of the recording."""
    found: Json = perf_cascade(recording)
    return found


def test_nothing_goes_wrong(recording: Recording, drawn: Json) -> None:
    """There is no error on the browser's page when all of the recording is drawn and opened."""
    assert recording.pages
    assert [] == drawn["errors"]


def test_every_entry_is_a_row(recording: Recording, drawn: Json) -> None:
    """Each page has a row for each of its entries, and no other."""
    expected = [
        [page["title"], [entry["request"]["url"] for entry in recording.entries_of(page)]] for page in recording.pages
    ]
    assert expected == [[page["title"], [row["url"] for row in page["rows"]]] for page in drawn["pages"]]
    assert len(recording.entries) == sum(len(page["rows"]) for page in drawn["pages"])


def test_every_row_tells_of_its_entry(recording: Recording, drawn: Json) -> None:
    """The details of a row have the status, the peer, the header fields and the whole entry."""
    for entry, row in _rows(recording, drawn):
        request, response = entry["request"], entry["response"]
        status = f"{response['status']} {response['statusText']}"
        expected = {
            "Error/Status Code": status,
            "Server IPAddress": entry.get("serverIPAddress"),
            "Connection": entry.get("connection"),
        }
        general = dict(row["tabs"]["General"])
        assert expected == {name: general.get(name) for name in expected}
        assert ["Method", request["method"]] == row["tabs"]["Request"][0]
        assert ["Status", status] == row["tabs"]["Response"][0]
        for side, tab in ((request, "Request"), (response, "Response")):
            fields = _filled(pairs(side["headers"]))
            assert _drawn(fields) == _drawn(row["tabs"][tab][len(row["tabs"][tab]) - len(fields) :])
        assert _drawn(entry) == _drawn(row["entry"])


def test_every_phase_is_told(recording: Recording, drawn: Json) -> None:
    """The details of a row have the phases that apply; pieces of the body are drawn where the download is."""
    for entry, row in _rows(recording, drawn):
        timings = entry["timings"]
        told = {name: float(text.split()[0]) for name, text in row["tabs"]["Timings"] if name != "Total"}
        assert pytest.approx({name: timings[of] for name, of in PHASES.items() if timings[of] >= 0}, abs=0.001) == told
        for segment in row["segments"]:
            expected = len(entry.get("_chunks", [])) if segment["type"] == "receive" else 0
            assert expected == segment["chunks"]


def _rows(recording: Recording, drawn: Json) -> list[tuple[Json, Json]]:
    entries = [entry for page in recording.pages for entry in recording.entries_of(page)]
    return list(zip(entries, [row for page in drawn["pages"] for row in page["rows"]], strict=True))


def _drawn(value: Any) -> Any:
    """A value as it comes out of PerfCascade's HTML: what it escapes lacks the semicolon, and takes what follows."""
    if isinstance(value, dict):
        return {name: _drawn(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_drawn(one) for one in value]
    return html.unescape(value.translate(ESCAPES)) if isinstance(value, str) else value


def _filled(fields: list[list[str]]) -> list[list[str]]:
    """The fields that have a value: PerfCascade leaves out the others."""
    return [field for field in fields if field[1]]


def _enrich(log: Json) -> None:
    """Add what other versions of a recording have: pieces of a body that take long enough to be drawn."""
    entry = log["entries"][0]
    entry["timings"]["receive"] = 100
    entry["time"] += 100
    entry["_chunks"] = [{"ts": 1, "bytes": 10}, {"ts": 60, "bytes": 21}]


def test_the_pieces_of_a_body_are_drawn(perf_cascade: Read, changed: Changed) -> None:
    """Where an entry tells of the pieces of its body, the download is drawn with them."""
    recording = changed(_enrich)
    drawn = perf_cascade(recording)
    test_every_phase_is_told(recording, drawn)
    assert [2] == [segment["chunks"] for segment in drawn["pages"][0]["rows"][0]["segments"] if segment["chunks"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log["entries"][0]["response"]["content"].update(mimeType=None),
        lambda log: log["pages"][0].pop("startedDateTime"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_noticed(perf_cascade: Read, changed: Changed, change: Change) -> None:
    """One bad entry stops PerfCascade, and so these tests fail."""
    with pytest.raises(ReaderFailed, match="Error"):
        perf_cascade(changed(change))


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda log: log["entries"][0].update(pageref="nowhere"), test_every_entry_is_a_row),
        (lambda log: log["entries"][0]["response"].update(status=404), test_every_row_tells_of_its_entry),
        (lambda log: log["entries"][0]["request"]["headers"].pop(), test_every_row_tells_of_its_entry),
        (lambda log: log["entries"][0]["timings"].update(wait=77), test_every_phase_is_told),
    ],
)
def test_a_difference_is_noticed(
    perf_cascade: Read, compact: Recording, changed: Changed, change: Change, test: Callable[[Recording, Json], None]
) -> None:
    """A row that does not tell what its entry says fails the test which looks at it."""
    with pytest.raises(AssertionError):
        test(changed(change), perf_cascade(compact))
