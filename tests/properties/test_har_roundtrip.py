"""Whatever the models can hold survives being written and read again."""

import io
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_har.har.checker import Checker
from otel_har.har.models import Entry, Har, Request
from otel_har.har.reader import HarReader, load
from strategies import entries, hars, json_values, texts

# Whole documents are large examples; the time goes into making them.
whole_documents = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@whole_documents
@given(hars, st.sampled_from([None, 0, 2]))
def test_written_and_read_is_equal(har: Har, indent: int | None) -> None:
    """Any HAR is the same after writing and reading, however it is indented."""
    assert har == load(io.BytesIO(har.to_json(indent=indent)))


@whole_documents
@given(hars)
def test_written_and_streamed_is_equal(har: Har) -> None:
    """Reading entry by entry gives the entries and the log that reading the whole gives."""
    with HarReader(io.BytesIO(har.to_json())) as reader:
        assert har.log.entries == tuple(reader)
        assert har.log.model_copy(update={"entries": ()}) == reader.log


@whole_documents
@given(hars)
def test_checker_takes_whatever_is_written(har: Har) -> None:
    """The checker says something about any document, and counts its entries."""
    checker = Checker(io.BytesIO(har.to_json()))
    assert all(fault.message.isascii() for fault in checker)
    assert len(har.log.entries) == checker.entries


@whole_documents
@given(entries)
def test_no_member_is_null(entry: Entry) -> None:
    """Nothing of HAR's own is written as null."""
    written = json.loads(entry.to_json())
    parts = [written, written["request"], written["response"], written["response"]["content"], written["timings"]]
    assert not [part for part in parts if None in part.values()]


@settings(deadline=None)
@given(texts.map("_".__add__), json_values)
def test_foreign_field_survives(name: str, value: Any) -> None:
    """A custom field of any name and any JSON value is written back unchanged; null counts as missing."""
    read = Request.model_validate({"method": "GET", name: value})
    written = json.loads(read.to_json())
    assert value == written.get(name)
    assert ({} if value is None else {name: value}) == dict(read.extensions)


@settings(deadline=None)
@given(st.text(max_size=8), st.text(max_size=8))
def test_any_text_is_writable(value: str, foreign: str) -> None:
    """Any Python string, lone surrogates included, is written as UTF-8 that reads back."""
    entry = Entry(started_date_time="2030-01-01T00:00:00Z", request=Request(url=value), initiator={foreign: foreign})
    written = json.loads(entry.to_json().decode())
    assert (value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")) == written["request"]["url"]
    assert list(written["_initiator"].values()) == list(written["_initiator"].keys())


class Trickle(io.BytesIO):
    """A stream that delivers a few bytes at a time, as pipes do."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most so many bytes, whatever is asked for."""
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


# Surrogates, backslashes and what follows them, so that pairs and escapes are torn in all ways.
_tricky_texts = st.lists(st.sampled_from(["\ud83d", "\ude00", "\\", "\\ud83d", "u", "d83d", '"', "a", "é", "😀"])).map(
    "".join
)


@settings(deadline=None)
@given(_tricky_texts, st.integers(1, 20), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_surrogates_in_any_pieces(url: str, most: int, encoding: str) -> None:
    """Lone surrogates become U+FFFD, pairs and literal backslashes stay, wherever a stream is cut into pieces."""
    document = {"log": {"entries": [{"startedDateTime": "2030-01-01T00:00:00Z", "request": {"url": url}}]}}
    (entry,) = HarReader(Trickle(json.dumps(document).encode(encoding), most))
    assert url.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") == entry.request.url
