"""Server-sent events: what an EventSource dispatches, and when each was complete."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.mapping.event_stream import is_event_stream, server_sent_events
from servers.stream_routes import EVENT_STREAMS


def _events(stream: bytes) -> list[tuple[str, str, str]]:
    return [(event.name, event.id, event.data) for event in server_sent_events(stream)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "", "YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
            [("message", "1", "first event"), ("message", "", "second event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "", "\n")]),
        (b"data:test\n\ndata: test\n\n", [("message", "", "test"), ("message", "", "test")]),
        (b"event: a\nevent: b\ndata: x\n\ndata: y\n\n", [("b", "", "x"), ("message", "", "y")]),
        (b"event:\ndata: x\n\n", [("message", "", "x")]),
        (b"id: 1\x00\nid: 2\ndata: x\n\n", [("message", "2", "x")]),
        (b"id: 1\nid: 2\x00\ndata: x\n\n", [("message", "1", "x")]),
        (b"DATA: x\n data: y\n\n", []),
        (b"data: a:b: c\n\n", [("message", "", "a:b: c")]),
        (b"retry: 10\ndata: x\n\n", [("message", "", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n", [("message", "", "x")]),
        (b"data: \xff\xc3\n\n", [("message", "", "\ufffd\ufffd")]),
        (b"data: a\x0bb\x85c\xe2\x80\xa8d\n\n", [("message", "", "a\x0bb\ufffdc\u2028d")]),
        (b"data: x\n", []),
        (b"\n\n\r\r\r\n\r\n", []),
    ],
)
def test_events(stream: bytes, events: list[tuple[str, str, str]]) -> None:
    """The examples of the standard, and the corners of its algorithm."""
    assert events == _events(stream)


@pytest.mark.parametrize("name", EVENT_STREAMS)
def test_streams_of_the_server(name: str) -> None:
    """The streams that the integration tests read."""
    _, pieces, events = EVENT_STREAMS[name]
    assert events == _events(b"".join(pieces))


@pytest.mark.parametrize(
    ("stream", "ends"),
    [
        (b"data: a\n\ndata: b\n\n", [9, 18]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [10, 21]),
        (b"data: a\r\rdata: b\r\r", [9, 18]),
        (b"\xef\xbb\xbf\n:\n\ndata: a\n\n", [16]),
    ],
)
def test_ends(stream: bytes, ends: list[int]) -> None:
    """An event is complete with the first byte of the empty line's end: a CR needs no LF."""
    assert ends == [event.end for event in server_sent_events(stream)]


PARTS = st.sampled_from(
    [b"data", b"id", b"event", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"x", b"\xc3\xa4", b"\xff", b"\xef\xbb\xbf"]
)


@given(st.lists(PARTS, max_size=30).map(b"".join))
def test_a_prefix_has_the_events_that_were_complete(stream: bytes) -> None:
    """At each point of a stream its events are those that end there or before."""
    events = list(server_sent_events(stream))
    for length in range(len(stream)):
        if not stream.startswith(b"\xef\xbb\xbf") or length >= 3:
            assert [event for event in events if event.end <= length] == list(server_sent_events(stream[:length]))


@pytest.mark.parametrize("line", [b":\r\n", b"\n", b"data\n", b"data: ab\r"])
def test_many_lines_take_no_more_memory_than_they_are_long(line: bytes) -> None:
    """One line at a time is held, and of an event the bytes alone."""
    stream = line * 200_000
    tracemalloc.start()
    try:
        count = sum(1 for _ in server_sent_events(stream))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (0, True) == (count, peak_bytes < len(stream) + 100_000)


def test_a_long_line_without_an_end() -> None:
    """Its length does not matter: the time is that of one pass."""
    assert [("message", "", "x")] == _events(b"data: x\n\n" + b"y" * 5_000_000)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream ; charset=utf-8", True),
        ("text/event-stream;", True),
        ("text/event-streams", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_content_type(content_type: str, expected: bool) -> None:
    """The media type in any case, with or without parameters."""
    assert expected is is_event_stream(content_type)
