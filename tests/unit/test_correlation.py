"""Where hooks and processors meet."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_har import correlation
from otel_har.limits import CaptureLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_har.correlation import SpanKey

_ids = itertools.count(1)


@pytest.fixture
def span() -> Iterator[NonRecordingSpan]:
    """A span that nobody watches yet; whoever watches is gone afterwards."""
    number = next(_ids)
    context = SpanContext(1 << 100 | number, number, is_remote=False, trace_flags=TraceFlags(1))
    yield NonRecordingSpan(context)
    while correlation.settle(correlation.key_of(context)) is not None:
        pass


def _key(span: NonRecordingSpan) -> SpanKey:
    return correlation.key_of(span.get_span_context())


def test_nobody_watches(span: NonRecordingSpan) -> None:
    """A span that no processor watches has no capture, and settling it gives none."""
    assert correlation.find(span) is None
    assert correlation.settle(_key(span)) is None


def test_watched(span: NonRecordingSpan) -> None:
    """A watched span has one capture from its start to its end."""
    limits = CaptureLimits(7)
    correlation.expect(_key(span), limits)
    capture = correlation.find(span)
    assert capture is not None
    assert (limits, []) == (capture.limits, capture.exchanges)
    assert capture is correlation.find(span)
    assert capture is correlation.settle(_key(span))
    assert correlation.find(span) is None


def test_two_processors_share_a_capture(span: NonRecordingSpan) -> None:
    """Each processor that watches gets the capture; after the last one it is gone. The first one's limits count."""
    correlation.expect(_key(span), CaptureLimits(1))
    correlation.expect(_key(span), CaptureLimits(2))
    first, second = correlation.settle(_key(span)), correlation.settle(_key(span))
    assert first is not None
    assert first is second
    assert 1 == first.limits.max_body_bytes
    assert correlation.find(span) is None


def test_closers_run_once_before_anyone_looks(span: NonRecordingSpan) -> None:
    """What a capture does at the span's end is done before the first processor sees it, once, the last first."""
    correlation.expect(_key(span), CaptureLimits())
    correlation.expect(_key(span), CaptureLimits())
    closed: list[str] = []
    capture = correlation.find(span)
    assert capture is not None
    capture.when_closed(lambda: closed.append("one"))
    capture.when_closed(lambda: closed.append("two"))
    correlation.settle(_key(span))
    assert ["one", "two"] == sorted(closed)
    correlation.settle(_key(span))
    assert ["one", "two"] == sorted(closed)


def test_spans_of_one_trace_are_apart(span: NonRecordingSpan) -> None:
    """A span is known by both of its ids."""
    correlation.expect(_key(span), CaptureLimits())
    trace_id, span_id = _key(span)
    other = NonRecordingSpan(SpanContext(trace_id, span_id + 1_000_000, is_remote=False))
    assert correlation.find(other) is None
