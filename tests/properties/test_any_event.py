"""Whatever an entry holds, it comes back from OTLP as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import strategies
from otel_har.har.models import Entry, Page
from otel_har.otlp.event import ENTRY_JSON, Event, entry_event, entry_of, joined, page_event, page_of, parts_of
from otel_har.otlp.logs import Origin, empty_bytes, events_in, log_record, record_bytes, request_of

# Lone surrogates, integers of any size and members in any order, where a model takes anything.
_TEXTS = st.text(st.characters(), max_size=8)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 200), 1 << 200) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner | _TEXTS, max_size=3) | st.dictionaries(_TEXTS, inner | _TEXTS, max_size=4),
    max_leaves=8,
)
_ENTRIES = st.builds(
    lambda entry, foreign, otel: Entry.model_validate({**entry.model_dump(), "_foreign": foreign, "_otel": otel}),
    strategies.entries,
    st.dictionaries(_TEXTS, _ANYTHING, max_size=3),
    st.dictionaries(st.sampled_from(["traceId", "spanId", "attributes"]), _ANYTHING | _TEXTS, max_size=3),
)
_SOME = settings(max_examples=40, deadline=None)
_PAGES = st.builds(
    lambda page, foreign: Page.model_validate({**page.model_dump(), "_foreign": foreign}),
    strategies.pages,
    st.dictionaries(_TEXTS, _ANYTHING, max_size=3),
)


def _through(*events: Event) -> list[Event]:
    """The events after a way through bytes."""
    data = request_of(map(log_record, events), Origin({"service.name": "s"})).SerializeToString()
    return [event for _, event in events_in(ExportLogsServiceRequest.FromString(data))]


def _members(model: Any) -> str:
    return json.dumps(model.model_dump())


@_SOME
@given(_ENTRIES, st.none() | _PAGES, st.booleans())
def test_entry(entry: Entry, page: Page | None, with_bodies: bool) -> None:
    """Entry and page come back equal, their members in the same order, and so do the attributes for filters."""
    event = entry_event(entry, page, with_bodies=with_bodies)
    [got] = _through(event)
    assert event == got
    assert entry == entry_of(got)
    assert _members(entry) == _members(entry_of(got))
    assert page == page_of(got)


@_SOME
@given(_PAGES)
def test_page(page: Page) -> None:
    """A page comes back equal."""
    [got] = _through(page_event(page))
    assert page == page_of(got)


@_SOME
@given(_ENTRIES, st.integers(1, 400), st.randoms(use_true_random=False))
def test_parts(entry: Entry, max_bytes: int, order: Any) -> None:
    """An entry in parts comes back equal, whatever the order of the parts, and with some of them twice."""
    event = entry_event(entry)
    parts = parts_of(event, max_bytes)
    got = _through(*parts, parts[0])
    order.shuffle(got)
    assert dict(event.attributes) == dict(joined(got).attributes)
    assert entry == entry_of(joined(got))
    assert all(len(str(part.attributes["otel_har.part.data"]).encode()) <= max(4, max_bytes) for part in parts)


@_SOME
@given(st.lists(_ENTRIES, max_size=3), st.dictionaries(_TEXTS, _TEXTS | st.integers(), max_size=3))
def test_size(entries: list[Entry], resource: dict[str, Any]) -> None:
    """A request is at most as large as was reckoned."""
    origin = Origin(resource)
    records = [log_record(entry_event(entry), 1) for entry in entries]
    reckoned = empty_bytes(origin) + sum(map(record_bytes, records))
    assert reckoned >= request_of(records, origin).ByteSize()


@_SOME
@given(_ENTRIES)
def test_id(entry: Entry) -> None:
    """An entry that is built anew has the same id."""
    again = Entry.model_validate(entry.model_dump())
    assert entry_event(entry).attributes == entry_event(again).attributes
    assert ENTRY_JSON in entry_event(entry).attributes
