"""How a body came: its pieces, its events, and what of it came over the wire."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from otel_har.duplex import Duplex
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.mapping.entries import entry_from_record
from otel_har.record import HarRecord, PageFacts, SpanFacts

STARTED_UNIX_NS = 1_900_000_000_000_000_000
STARTED = 5_000_000_000
MS = 1_000_000
EVENTS = b"event: a\ndata: 1\n\nid: x\ndata: 2\n\n"
PAGE = PageFacts("run_1", "program", STARTED_UNIX_NS - 40 * MS)
SPAN = SpanFacts("1" * 32, "2" * 16, None, "", STARTED_UNIX_NS, None, "UNSET", None, {}, None)


def _exchange(content_type: str, *fields: tuple[str, str], limits: CaptureLimits | None = None) -> Exchange:
    limits = limits if limits is not None else CaptureLimits()
    exchange = Exchange("GET", "http://h.test/", started_unix_ns=STARTED_UNIX_NS, started=STARTED, limits=limits)
    exchange.status = 200
    exchange.http_version = "HTTP/1.1"
    exchange.reason = "OK"
    exchange.response_headers = [("Content-Type", content_type), *fields]
    return exchange


def _read(exchange: Exchange, *pieces: tuple[float, bytes]) -> Exchange:
    """Let pieces come, so many milliseconds after the start."""
    body = exchange.response_body
    for after_ms, piece in pieces:
        body.note(piece)
        body.arrivals.note(STARTED + int(after_ms * MS), body.size_bytes)
    return exchange


def _entry(exchange: Exchange) -> dict[str, Any]:
    return entry_from_record(HarRecord(exchange, SPAN, PAGE)).model_dump(by_alias=True)


def _times(entry: dict[str, Any]) -> list[float]:
    """Milliseconds since the start of the exchange."""
    return [round(one["time"] * 1e3 - STARTED_UNIX_NS / 1e6, 2) for one in entry["_eventSourceMessages"]]


def test_chunks() -> None:
    """Time since the page's start, and size, of each piece."""
    exchange = _read(_exchange("text/plain"), (1, b"abc"), (2.5, b"de"))
    assert [{"ts": 41.0, "bytes": 3}, {"ts": 42.5, "bytes": 2}] == _entry(exchange)["_chunks"]


@pytest.mark.parametrize("pieces", [(), ((1, b"all"),)])
def test_a_body_in_one_piece_has_no_chunks(pieces: tuple[tuple[float, bytes], ...]) -> None:
    """They would say no more than its size does."""
    assert "_chunks" not in _entry(_read(_exchange("text/plain"), *pieces))


def test_chunks_are_bounded() -> None:
    """A body in very many pieces is drawn in a thousand, and no byte of it is lost."""
    chunks = _entry(_read(_exchange("text/plain"), *((number, b"xy") for number in range(3_000))))["_chunks"]
    assert (True, 6_000) == (500 < len(chunks) <= 1_000, sum(chunk["bytes"] for chunk in chunks))


def test_events() -> None:
    """Each with the time of the piece that completed it, seconds since the epoch; the type is the bare one."""
    exchange = _exchange("Text/Event-Stream; charset=ISO-8859-1")
    entry = _entry(_read(exchange, (1, EVENTS[:10]), (2, EVENTS[10:20]), (4, EVENTS[20:-1]), (8, EVENTS[-1:])))
    assert ("eventsource", "text/event-stream") == (entry["_resourceType"], entry["response"]["content"]["mimeType"])
    assert [
        {"time": 1_900_000_000.002, "eventName": "a", "eventId": "", "data": "1"},
        {"time": 1_900_000_000.008, "eventName": "message", "eventId": "x", "data": "2"},
    ] == entry["_eventSourceMessages"]


def test_no_events() -> None:
    """Chrome's export leaves out an empty list."""
    assert "_eventSourceMessages" not in _entry(_read(_exchange("text/event-stream"), (1, b": nothing\n\n")))
    assert "_eventSourceMessages" not in _entry(_read(_exchange("text/plain"), (1, EVENTS)))


def test_events_of_a_cut_body() -> None:
    """A stream over the limit has the events of what was kept, at their times."""
    exchange = _exchange("text/event-stream", limits=CaptureLimits(max_body_bytes=20))
    entry = _entry(_read(exchange, (1, EVENTS), (2, EVENTS)))
    assert ("truncated", [1.0]) == (entry["response"]["content"]["_bodyState"], _times(entry))


def test_events_that_are_not_text() -> None:
    """What is not UTF-8 is read as an EventSource reads it."""
    entry = _entry(_read(_exchange("text/event-stream"), (3, b"data: \xff\n\n")))
    assert ("base64", "\ufffd", [3.0]) == (
        entry["response"]["content"]["encoding"],
        entry["_eventSourceMessages"][0]["data"],
        _times(entry),
    )


def test_events_that_the_program_decodes() -> None:
    """They are decoded here too; what is known is that all had come with the last piece."""
    exchange = _exchange("text/event-stream", ("Content-Encoding", "gzip"))
    exchange.response_body.encoded = True
    encoded = gzip.compress(EVENTS)
    assert [7.0, 7.0] == _times(_entry(_read(exchange, (1, encoded[:30]), (7, encoded[30:]))))


def test_events_in_an_unknown_coding() -> None:
    """Encoded bytes are no events."""
    exchange = _exchange("text/event-stream", ("Content-Encoding", "unheard-of"))
    exchange.response_body.encoded = True
    assert "_eventSourceMessages" not in _entry(_read(exchange, (1, EVENTS)))


@pytest.mark.parametrize("encoded", [False, True])
def test_text_of_events_in_another_charset(encoded: bool) -> None:
    """The text is that of the charset which the type names; events are UTF-8, whatever it says."""
    data = b"data: K\xe4se\n\ndata: " + "ä".encode() + b"\n\n"
    exchange = _exchange("text/event-stream; charset=iso-8859-1", *[("Content-Encoding", "gzip")] * encoded)
    exchange.response_body.encoded = encoded
    entry = _entry(_read(exchange, (1, gzip.compress(data) if encoded else data)))
    content = entry["response"]["content"]
    assert ("text/event-stream", data.decode("latin-1")) == (content["mimeType"], content["text"])
    assert "encoding" not in content
    assert ["K\N{REPLACEMENT CHARACTER}se", "ä"] == [one["data"] for one in entry["_eventSourceMessages"]]


def test_ids_are_bounded() -> None:
    """An id that came once is written with each event behind it, as often as there is room."""
    stream = b"id:" + b"i" * 1024 * 1024 + b"\n" + b"data:x\n\n" * 10
    entry = _entry(_read(_exchange("text/event-stream"), (1, stream)))
    assert (4, "_eventSourceMessages: the first 4") == (len(entry["_eventSourceMessages"]), entry["comment"])


def test_comments_of_an_entry_are_joined() -> None:
    """What one has to say of the events and another of the WebSocket stands side by side."""
    exchange = _read(_exchange("text/event-stream"), (1, b"data:x\n\n" * 10_500))
    exchange.duplex = Duplex(CaptureLimits(), "for a reason")
    expected = "_eventSourceMessages: the first 10000; WebSocket messages are left out: for a reason"
    assert expected == _entry(exchange)["comment"]


def test_the_most_events_are_all() -> None:
    """Nothing is said where there are no more than are written."""
    entry = _entry(_read(_exchange("text/event-stream"), (1, b"data:x\n\n" * 10_000)))
    assert (10_000, None) == (len(entry["_eventSourceMessages"]), entry.get("comment"))


def test_events_are_bounded() -> None:
    """Ten thousand are written, and it is said that they are not all."""
    entry = _entry(_read(_exchange("text/event-stream"), (1, b"data:x\n\n" * 10_500)))
    assert (10_000, "_eventSourceMessages: the first 10000") == (len(entry["_eventSourceMessages"]), entry["comment"])


def test_trailers() -> None:
    """The trailer fields are written like header fields, beside them."""
    exchange = _exchange("text/plain")
    exchange.response_body.trailers = [(b"X-A", b"\xc3\xa4")]
    assert [{"name": "X-A", "value": "ä"}] == _entry(exchange)["response"]["_trailers"]


HEAD_BYTES = len(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")


@pytest.mark.parametrize(
    ("facts", "body_size", "transferred"),
    [
        ({"wire_size_bytes": 3, "framing_bytes": 10}, 3, 13),
        ({"wire_size_bytes": 9, "framing_bytes": 10, "wire_bytes_lost": True}, -1, 19),
        ({"wire_bytes_lost": True}, -1, 5),
        ({"framing_bytes": 4}, -1, 9),
        ({"ended": True}, 5, 5),
        ({}, -1, 5),
    ],
)
def test_what_came_over_the_wire(facts: dict[str, Any], body_size: int, transferred: int) -> None:
    """The size of the body is that of its encoded content; what was transferred has the framing, and is the least."""
    exchange = _read(_exchange("text/plain"), (1, b"12345"))
    for name, value in facts.items():
        setattr(exchange.response_body, name, value)
    response = _entry(exchange)["response"]
    assert (body_size, HEAD_BYTES + transferred) == (response["bodySize"], response["_transferSize"])
