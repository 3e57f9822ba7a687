"""Python's audit events reach the span that is current, and nobody else."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import use_span

from otel_har import correlation
from otel_har.capture import audit_events
from otel_har.limits import CaptureLimits

Noted = list[tuple[str, tuple[Any, ...], int]]


@pytest.fixture
def noted() -> Noted:
    """What was noted of events."""
    audit_events.install()
    audit_events.install()  # once is enough, twice is no harm
    return []


def _look_up() -> None:
    socket.getaddrinfo("127.0.0.1", 80)


def test_events_reach_the_current_span(noted: Noted) -> None:
    """An event is told once, to whoever asked for those of the current span, with the instant."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("GET")
    key = correlation.key_of(span.get_span_context())
    correlation.expect(key, CaptureLimits())
    capture = correlation.find(span)
    assert capture is not None
    capture.on_audit_event = lambda event, args, at: noted.append((event, args, at))
    _look_up()
    with use_span(span):
        _look_up()
        thread = threading.Thread(target=_look_up)  # threads have contexts of their own
        thread.start()
        thread.join()
    correlation.settle(key)
    with use_span(span):
        _look_up()
    [(event, args, at)] = noted
    assert ("socket.getaddrinfo", "127.0.0.1", 80) == (event, *args[:2])
    assert at > 0


def test_a_fault_in_noting_does_not_abort_what_is_audited(noted: Noted, caplog: pytest.LogCaptureFixture) -> None:
    """What an audit hook raises would abort the look-up: nothing is raised."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("GET")
    key = correlation.key_of(span.get_span_context())
    correlation.expect(key, CaptureLimits())
    capture = correlation.find(span)
    assert capture is not None

    def fail(event: str, args: tuple[Any, ...], at: int) -> None:
        noted.append((event, args, at))
        raise ZeroDivisionError

    capture.on_audit_event = fail
    with use_span(span):
        _look_up()
    correlation.settle(key)
    assert 1 == len(noted)
    assert ["otel_har"] == [record.name for record in caplog.records]
