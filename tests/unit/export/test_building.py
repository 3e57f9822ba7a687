"""Queued items to one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_har.exchange import Exchange
from otel_har.export.building import build_batch
from otel_har.export.interfaces import QueueItem
from otel_har.har.models import PostParameter
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.record import HarRecord, PageFacts, SpanFacts

if TYPE_CHECKING:
    import pytest

START_NS = 1_900_000_000_000_000_000


def _page(name: str = "run", started_unix_ns: int = START_NS) -> PageFacts:
    return PageFacts(name, name, started_unix_ns)


def _record(path: str, page: PageFacts, *, offset_ns: int = 0, captured: bool = True, **facts: Any) -> HarRecord:
    exchange = None
    if captured:
        exchange = Exchange(
            "GET", f"http://h.test/{path}", started_unix_ns=START_NS + offset_ns, started=0, limits=CaptureLimits()
        )
    defaults: dict[str, Any] = {
        "trace_id": "1" * 32,
        "span_id": "2" * 16,
        "parent_span_id": None,
        "scope": "",
        "start_unix_ns": START_NS + offset_ns,
        "end_unix_ns": None,
        "status_code": "UNSET",
        "status_description": None,
        "attributes": {"http.method": "GET", "http.url": f"http://h.test/{path}"},
        "exception": None,
    }
    return HarRecord(exchange, SpanFacts(**(defaults | facts)), page)


def test_entries_are_sorted_by_their_start() -> None:
    """Records complete in any order, spans alone among them; a batch has them by their start."""
    page = _page()
    batch = build_batch(
        [
            _record("3", page, offset_ns=3),
            _record("1", page, offset_ns=1),
            _record("2", page, offset_ns=2, captured=False),
            _record("0", page, captured=False),
        ]
    )
    assert [f"http://h.test/{number}" for number in range(4)] == [entry.request.url for entry in batch.entries]


def test_options_reach_the_entries() -> None:
    """What was chosen about the form of entries counts for each of a batch."""
    record = _record("form", _page())
    assert record.exchange is not None
    record.exchange.request_headers = [("Content-Type", "application/x-www-form-urlencoded")]
    record.exchange.request_body.note(b"a=1")
    record.exchange.request_body.ended = True
    batches = [build_batch([record]), build_batch([record], MappingOptions(params="always"))]
    bodies = [entry.request.post_data for batch in batches for entry in batch.entries]
    assert [None, (PostParameter(name="a", value="1"),)] == [body.params for body in bodies if body is not None]


def test_equal_starts_keep_their_order() -> None:
    """Sorting is stable."""
    page = _page()
    batch = build_batch([_record(str(number), page) for number in range(5)])
    assert [f"http://h.test/{number}" for number in range(5)] == [entry.request.url for entry in batch.entries]


def test_each_page_once() -> None:
    """However many entries and updates a page has in a batch, it is there once, as it is now."""
    one, two = _page("one"), _page("two")
    records: list[QueueItem] = [_record("1", one), _record("2", two), _record("3", one), one]
    one.on_load_ms = 5
    batch = build_batch(records)
    assert [("one", 5), ("two", -1)] == [(page.id, page.page_timings.on_load) for page in batch.pages]


def test_page_alone() -> None:
    """A changed page is a batch of its own."""
    batch = build_batch([_page()])
    assert (["run"], 0) == ([page.id for page in batch.pages], len(batch.entries))


def test_nothing() -> None:
    """Nothing makes an empty batch."""
    batch = build_batch([])
    assert ((), ()) == (batch.pages, batch.entries)


def test_record_that_cannot_be_built(caplog: pytest.LogCaptureFixture) -> None:
    """It costs itself and is logged; the others, and no page without an entry, are in the batch."""
    bad, good = _page("bad"), _page("good")
    unusable: Any = 5
    broken = _record("x", bad, attributes=unusable, captured=False)
    batch = build_batch([_record("1", good), broken, _record("2", good)])
    assert ["http://h.test/1", "http://h.test/2"] == [entry.request.url for entry in batch.entries]
    assert ["good"] == [page.id for page in batch.pages]
    assert len(caplog.records) <= 1


def test_page_that_cannot_be_built() -> None:
    """A page costs its entries at most, never the batch: a span may be given any start."""
    batch = build_batch([_record("1", _page("bad", 10**30)), _record("2", _page("good"))])
    assert "http://h.test/2" in [entry.request.url for entry in batch.entries]
    assert {entry.pageref for entry in batch.entries} == {page.id for page in batch.pages}
