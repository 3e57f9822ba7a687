"""Python's audit events reach the request whose context they are of, and nobody else."""

from __future__ import annotations

import contextvars
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_har import correlation
from otel_har.capture import audit_events
from otel_har.limits import CaptureLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_har.correlation import SpanCapture

Noted = list[tuple[str, tuple[Any, ...], int]]


@pytest.fixture
def noted() -> Noted:
    """What was noted of events."""
    audit_events.install()
    audit_events.install()  # once is enough, twice is no harm
    return []


def _look_up() -> None:
    socket.getaddrinfo("127.0.0.1", 80)


def _capture(note: Callable[[str, tuple[Any, ...], int], None]) -> SpanCapture:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("GET")
    correlation.expect(correlation.key_of(span.get_span_context()), CaptureLimits())
    capture = correlation.find(span)
    assert capture is not None
    capture.on_audit_event = note
    return capture


def test_events_reach_who_listens_in_their_context(noted: Noted) -> None:
    """An event is told once, to whoever listens in its context, with the instant, until the span has ended."""
    capture = _capture(lambda event, args, at: noted.append((event, args, at)))
    _look_up()
    capture.enter()
    _look_up()
    thread = threading.Thread(target=contextvars.Context().run, args=(_look_up,))  # a context of its own
    thread.start()
    thread.join()
    correlation.settle(capture.key)
    _look_up()
    [(event, args, at)] = noted
    assert ("socket.getaddrinfo", "127.0.0.1", 80) == (event, *args[:2])
    assert at > 0


def test_who_listened_before_listens_again(noted: Noted) -> None:
    """A request within another one has the events of its own time; then they are the other's again."""
    outer = _capture(lambda _, args, at: noted.append(("outer", args, at)))
    inner = _capture(lambda _, args, at: noted.append(("inner", args, at)))
    outer.enter()
    inner.enter()
    _look_up()
    inner.leave()
    _look_up()
    contextvars.Context().run(outer.leave)  # in another context: no harm, and no more events
    correlation.settle(outer.key)
    _look_up()
    correlation.settle(inner.key)
    assert ["inner", "outer"] == [name for name, _, _ in noted]


def test_a_fault_in_noting_does_not_abort_what_is_audited(noted: Noted, caplog: pytest.LogCaptureFixture) -> None:
    """What an audit hook raises would abort the look-up: nothing is raised."""

    def fail(event: str, args: tuple[Any, ...], at: int) -> None:
        noted.append((event, args, at))
        raise ZeroDivisionError

    capture = _capture(fail)
    capture.enter()
    _look_up()
    correlation.settle(capture.key)
    assert 1 == len(noted)
    assert ["otel_har"] == [record.name for record in caplog.records]
