"""What passed over a WebSocket to the members of its entry."""

from __future__ import annotations

import base64
import io
import json
import zlib
from typing import Any

import pytest

from otel_har.budget import ByteBudget
from otel_har.duplex import Duplex
from otel_har.exchange import Exchange
from otel_har.har.checker import check
from otel_har.har.models import Browser, Creator, Har, Log
from otel_har.limits import CaptureLimits
from otel_har.mapping.entries import entry_from_record, page_from_facts
from otel_har.record import HarRecord, PageFacts, SpanFacts

STARTED_UNIX_NS = 1_900_000_000_123_456_000
MS = 1_000_000
SPAN = SpanFacts(f"{1:032x}", f"{2:016x}", None, "test", STARTED_UNIX_NS, None, "UNSET", None, {}, None)
CLOSED = b"\x88\x02\x03\xe8"


def _socket(*, unrecorded: str | None = None, limit: int = 1000) -> tuple[Exchange, Duplex]:
    """An exchange whose connection became a WebSocket after 10 ms."""
    limits = CaptureLimits(limit, ByteBudget(1_000_000))
    exchange = Exchange("GET", "ws://h.test/a", started_unix_ns=STARTED_UNIX_NS, started=5, limits=limits)
    exchange.request_headers = [("Host", "h.test"), ("Upgrade", "WebSocket")]
    exchange.request_body.ended = exchange.response_body.ended = True
    exchange.status, exchange.http_version = 101, "HTTP/1.1"
    exchange.response_headers = [(b"Upgrade", b"websocket")]
    exchange.instants.request_started = 5
    exchange.instants.response_started = 5 + 10 * MS
    exchange.duplex = Duplex(limits, unrecorded)
    return exchange, exchange.duplex


def _entry(exchange: Exchange) -> dict[str, Any]:
    """The entry of an exchange, which the checker has no complaint about."""
    page = PageFacts("run_1", "program", STARTED_UNIX_NS)
    entry = entry_from_record(HarRecord(exchange, SPAN, page))
    creator, browser = Creator(name="test", version="1"), Browser(name="test", version="1")
    har = Har(log=Log(creator=creator, browser=browser, pages=(page_from_facts(page),), entries=(entry,)))
    assert [] == [str(fault) for fault in check(io.BytesIO(har.to_json()))]
    parsed: dict[str, Any] = json.loads(entry.to_json())
    return parsed


def test_messages_of_both_directions_by_their_time() -> None:
    """Type, seconds since the epoch, opcode, text as it is and anything else as base64."""
    exchange, duplex = _socket()
    duplex.received.note(b"\x81\x03" + "ä!".encode(), 5 + 11 * MS)
    duplex.sent.note(b"\x82\x83\x00\x00\x00\x00\x00\xffa", 5 + 12 * MS)
    duplex.received.note(b"\x89\x01p", 5 + 13 * MS)
    duplex.received.note(CLOSED, 5 + 14 * MS)
    exchange.finish(5 + 20 * MS)
    entry = _entry(exchange)
    assert [
        {"type": "receive", "time": 1_900_000_000.134456, "opcode": 1, "data": "ä!"},
        {"type": "send", "time": 1_900_000_000.135456, "opcode": 2, "data": base64.b64encode(b"\x00\xffa").decode()},
        {"type": "receive", "time": 1_900_000_000.136456, "opcode": 9, "data": "cA=="},
        {
            "type": "receive",
            "time": 1_900_000_000.137456,
            "opcode": 8,
            "data": "A+g=",
            "_closeCode": 1000,
            "_closeReason": "",
        },
    ] == entry["_webSocketMessages"]
    assert ("websocket", None) == (entry["_resourceType"], entry.get("comment"))
    assert 10 == entry["timings"]["receive"]


def test_received_frames_are_transferred() -> None:
    """The response's size on the wire has the frames in it; its body has none."""
    exchange, duplex = _socket()
    before = _entry(exchange)["response"]
    duplex.received.note(CLOSED, 6)
    after = _entry(exchange)["response"]
    assert len(CLOSED) == after["_transferSize"] - before["_transferSize"]
    assert (0, 0) == (after["bodySize"], after["content"]["size"])


def test_an_open_socket_lasts_until_its_last_message() -> None:
    """Time and `receive` of a socket that was not closed reach to its last message; its facts stay as they are."""
    exchange, duplex = _socket()
    duplex.sent.note(b"\x81\x80abcd", 5 + 30 * MS)
    duplex.received.note(b"\x81\x00", 5 + 40 * MS)
    entry = _entry(exchange)
    assert 30 == entry["timings"]["receive"]
    assert "the WebSocket was still open when the recording ended" == entry["comment"]
    assert exchange.instants.finished is None


def test_a_socket_without_messages() -> None:
    """A socket over which nothing passed has an empty list."""
    exchange, _ = _socket()
    exchange.finish(5 + 20 * MS)
    entry = _entry(exchange)
    assert [] == entry["_webSocketMessages"]
    assert "closed without a close frame of the server's" == entry["comment"]


def test_a_socket_that_could_not_be_noted() -> None:
    """The handshake alone, and why."""
    exchange, _ = _socket(unrecorded="for a reason")
    exchange.finish(5 + 20 * MS)
    entry = _entry(exchange)
    assert "WebSocket messages are left out: for a reason" == entry["comment"]
    assert "_webSocketMessages" not in entry


def test_what_is_cut_says_so() -> None:
    """A direction over the limit, a text cut within a character."""
    exchange, duplex = _socket(limit=5)
    duplex.sent.note(b"\x81\x84\x00\x00\x00\x00text", 6)
    duplex.received.note(b"\x81\x06" + "äöü".encode(), 7)
    exchange.finish(8)
    entry = _entry(exchange)
    assert "sent: cut, the first 5 of 10 bytes; received: cut, the first 5 of 8 bytes" == entry["comment"]
    [message] = entry["_webSocketMessages"]
    assert ("ä", "truncated") == (message["data"], message["_bodyState"])


def test_what_cannot_be_read_says_so() -> None:
    """Bytes that are no frames, and a message that decodes to more than the limit."""
    exchange, duplex = _socket(limit=20)
    duplex.sent.note(b"\x81\x80\x00\x00\x00\x00\xff\xff", 6)
    exchange.finish(8)
    comment = "sent: unreadable behind 1 messages: no frame begins with 0xff"
    assert comment == _entry(exchange)["comment"]
    _, cut = _socket(limit=20)
    compressor = zlib.compressobj(wbits=-15)
    deflated = (compressor.compress(bytes(1000)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    cut.received.note(bytes([0xC2, len(deflated)]) + deflated, 7)
    exchange.duplex = cut
    entry = _entry(exchange)
    assert "received: cut, the first 1 messages" == entry["comment"]
    assert "truncated" == entry["_webSocketMessages"][0]["_bodyState"]


def test_a_broken_message_is_partial() -> None:
    """A message whose end never came, though nothing was cut."""
    exchange, duplex = _socket()
    duplex.received.note(b"\x81\x06abc", 7)
    exchange.finish(8)
    [message] = _entry(exchange)["_webSocketMessages"]
    assert ("abc", "partial") == (message["data"], message["_bodyState"])


def test_a_text_that_is_not_utf8_keeps_its_bytes() -> None:
    """RFC 6455, 5.6 demands UTF-8; what came instead is there as base64."""
    exchange, duplex = _socket()
    duplex.received.note(b"\x81\x02a\xff", 7)
    exchange.finish(8)
    [message] = _entry(exchange)["_webSocketMessages"]
    assert ("a\N{REPLACEMENT CHARACTER}", b"a\xff") == (message["data"], base64.b64decode(message["_base64"]))


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b"", None, None),
        (b"\x03", None, None),
        (b"\x03\xe9", 1001, ""),
        ("\x03é".encode("latin-1") + "weg: ä".encode(), 1001, "weg: ä"),
        (b"\x10\x00\xff", 4096, "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_close_frames(data: bytes, code: int | None, reason: str | None) -> None:
    """Code and reason where there are some (RFC 6455, 5.5.1)."""
    exchange, duplex = _socket()
    duplex.received.note(bytes([0x88, len(data)]) + data, 7)
    exchange.finish(8)
    [message] = _entry(exchange)["_webSocketMessages"]
    assert (code, reason) == (message.get("_closeCode"), message.get("_closeReason"))


def test_a_refused_handshake_is_a_websocket_too() -> None:
    """What asked for a WebSocket is one, whatever came of it; anything else is none."""
    exchange, _ = _socket()
    exchange.duplex, exchange.status = None, 403
    exchange.finish(8)
    assert "websocket" == _entry(exchange)["_resourceType"]
    exchange.request_headers = [("Upgrade", "h2c")]
    assert "fetch" == _entry(exchange)["_resourceType"]
