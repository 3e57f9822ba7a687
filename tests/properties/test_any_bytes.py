"""Whatever bytes a file has: the reader, the checker and the repairer raise what they document, and nothing else.

Hypothesis makes the bytes: any at all, and real documents that are cut, overwritten, doubled and spoilt. Atheris, which
would search by coverage, has no builds for all of the Pythons.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_har.errors import HarFormatError
from otel_har.har.checker import Checker
from otel_har.har.models import Browser, Creator, Entry, Page
from otel_har.har.reader import HarReader
from otel_har.har.repair import repair
from otel_har.har.stream import HarStream, RawEntry
from otel_har.har.writer import HarLayout

DATA = Path(__file__).parents[1] / "data" / "har"

any_bytes = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def _ours(indent: int | None) -> bytes:
    entries = [
        Entry.model_validate({**one, "pageref": f"page {index % 2}"})
        for index, one in enumerate(json.loads((DATA / "valid.har").read_bytes())["log"]["entries"])
    ]
    pages = [Page(started_date_time="2030-01-02T03:04:05Z", id=f"page {index}") for index in range(2)]
    layout = HarLayout(Creator(name="otel-har", version="1"), Browser(name="CPython", version="3"), indent)
    return layout.head() + layout.entries((one.to_json(indent) for one in entries), first=True) + layout.tail(pages)


DOCUMENTS = [_ours(None), _ours(2), *(path.read_bytes() for path in sorted(DATA.glob("*.har")))]

NASTY = [
    b"\0" * 4096,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"log":' * 20_000,
    b"9" * 5_000,
    b"0." + b"1" * 5_000,
    b"1e999999999",
    b"-1e-99999999999999999999",
    b"1e99999999999999999999999",
    b"NaN",
    b"-Infinity",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xed\xa0\x80",
    b'"\\ud83d"',
    b'"\\ude00\\ud83d"',
    b"\\ud83d",
    b"\\",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"]}}",
    b",",
    b":",
    b"\x0b\x0c",
    b"/* */",
    b'"entries":[',
    b'"pages":[{}],',
    b'{"log":{"entries":[',
    b'{"startedDateTime":"","request":{}},',
]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A real document to which a few accidents happened."""
    data = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 40) | st.integers(0, len(data)))
        kind = draw(st.sampled_from(["cut", "zeros", "remove", "double", "flip", "garbage", "nasty", "over"]))
        head, part, tail = data[:at], data[at : at + length], data[at + length :]
        if kind == "cut":
            data = head
        elif kind == "zeros":
            data = head + b"\0" * len(part) + tail
        elif kind == "remove":
            data = head + tail
        elif kind == "double":
            data = head + part + part + tail
        elif kind == "flip":
            data = head + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif kind == "garbage":
            data = head + draw(st.binary(max_size=30)) + tail
        else:
            data = head + draw(st.sampled_from(NASTY)) + (data[at:] if kind == "nasty" else tail)
    return data


_soup = st.lists(
    st.sampled_from([b'{"log":{', b'"entries":[', b'"pages":[', b'"id":"a"', b'"pageref":"a"', *NASTY[8:], b" ", b"1"]),
    max_size=12,
).map(b"".join)
documents = spoilt() | _soup | st.binary(max_size=200)


@any_bytes
@given(documents)
def test_reader_raises_its_own_error_only(data: bytes) -> None:
    """The reader gives entries, and HarFormatError if it cannot go on."""
    reader = HarReader(io.BytesIO(data))
    entries: list[Entry] = []
    said = ""
    try:
        entries += reader
    except HarFormatError as error:
        said = str(error)
    assert reader.is_complete == (said == "")
    assert said.isprintable()
    assert all(isinstance(entry, Entry) for entry in entries)


@any_bytes
@given(documents)
def test_checker_raises_nothing(data: bytes) -> None:
    """Whatever is wrong with the bytes is a fault, told in a line of ASCII."""
    assert all(fault.message.isascii() and fault.message.isprintable() for fault in Checker(io.BytesIO(data)))


def _raw_entries(data: bytes) -> tuple[list[Any], bool]:
    """The entries up to the first fault, and whether there was none."""
    entries: list[Any] = []
    try:
        entries.extend(piece.value for piece in HarStream(io.BytesIO(data)) if isinstance(piece, RawEntry))
    except HarFormatError:
        return entries, False
    return entries, True


@any_bytes
@given(documents)
def test_what_is_mended_is_whole(data: bytes) -> None:
    """A mended file is read to its end, has every entry that the reader saw before, and needs no mending."""
    target = io.BytesIO()
    before, was_whole = _raw_entries(data)
    try:
        report = repair(io.BytesIO(data), target)
    except HarFormatError:
        assert b"" == target.getvalue()
        assert not before
        return
    if not was_whole and before and isinstance(before[-1], int | float):
        before.pop()  # a number at the end of the file may have been cut itself
    entries, is_whole = _raw_entries(target.getvalue())
    assert is_whole
    assert repr(before) == repr(entries[: len(before)])
    assert report.found.entries == len(entries)
    again = io.BytesIO()
    assert repair(io.BytesIO(target.getvalue()), again).found.is_whole
    assert target.getvalue() == again.getvalue()
    if was_whole:  # or nearly so: yajl does not look at a token that is begun behind the document and not ended
        assert data.startswith(target.getvalue())


class Trickle(io.BytesIO):
    """A stream that delivers a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most so many bytes, whatever is asked for."""
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents.filter(lambda data: len(data) < 20_000), st.integers(40, 3000))
def test_pieces_make_no_difference(data: bytes, most: int) -> None:
    """What is found does not depend on where the pieces end that a stream is read in."""

    def found(stream: io.BytesIO) -> object:  # all but the excerpts in what is said
        target = io.BytesIO()
        try:
            report = repair(stream, target)
        except HarFormatError as error:
            return error.place
        places = [(fault.place, fault.code) for fault in report.found.faults]
        return dataclasses.replace(report.found, faults=()), places, target.getvalue()

    assert found(io.BytesIO(data)) == found(Trickle(data, most))


REPEATED = {
    "arrays": b"[",
    "objects": b'{"a":',
    "both": b'[{"a":',
    "names": b'{"',
    "braces": b"{" * 390 + b'"',
    "torn chains": b'{"a":' * 390 + b"!",
    "chains": b'{"a":' * 900 + b"1" + b"}" * 900,
    "quotes": b'"\\',
    "escapes": b"\\u",
    "digits": b"9",
    "signs": b"-",
    "blanks": b" ",
    "zeros": b"\0",
}


BEGUN = [b"", b'{"log":{"entries":[', b'{"log":{"entries":[{"a":!']


def _read_and_mend(data: bytes) -> None:
    assert list(Checker(io.BytesIO(data)))
    with contextlib.suppress(HarFormatError):
        assert not repair(io.BytesIO(data), io.BytesIO()).found.is_whole


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("begun", BEGUN, ids=["", "entry", "torn"])
def test_hostile_documents_take_little_time(begun: bytes, name: str) -> None:
    """The same over and over is refused or mended in a time that grows with its length alone: a second or so."""
    data = begun + REPEATED[name] * (100_000 // len(REPEATED[name]))
    start_s = time.process_time()
    _read_and_mend(data)
    assert time.process_time() - start_s < 8


@pytest.mark.parametrize("name", ["arrays", "objects", "both", "quotes", "digits", "blanks", "zeros"])
@pytest.mark.parametrize("begun", BEGUN, ids=["", "entry", "torn"])
def test_hostile_documents_take_little_memory(begun: bytes, name: str) -> None:
    """Of what is nested or goes on without an end no more is held than some copies."""
    data = begun + REPEATED[name] * (500_000 // len(REPEATED[name]))
    tracemalloc.start()
    try:
        _read_and_mend(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 << 20
