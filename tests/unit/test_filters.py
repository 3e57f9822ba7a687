"""What a filter lets in, and what it leaves of bodies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.budget import ByteBudget
from otel_har.duplex import Duplex
from otel_har.exchange import Exchange
from otel_har.export.building import Built, build
from otel_har.filters import HarFilter
from otel_har.limits import CaptureLimits, Interest
from otel_har.mapping.options import MappingOptions
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.redaction.policy import NO_REDACTION
from otel_har.redaction.redactor import Redactor

if TYPE_CHECKING:
    from pathlib import Path

    from otel_har.har.models import Entry

PNG = b"\x89PNG\r\n\x1a\n\x00"
PAGE = PageFacts("run", "run", 1)
URL = "http://user:secret@h.test/a b?q=1#part"
MS = 1_000_000


def _span(**attributes: Any) -> SpanFacts:
    return SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, attributes, None)


def _exchange(
    status: int | None = 200, content_type: str = "text/plain", body: bytes = b"body", *, url: str = URL
) -> Exchange:
    """An answer to a request with a body of the same type."""
    exchange = Exchange("POST", url, started_unix_ns=1, started=0, limits=CaptureLimits(budget=ByteBudget(10_000)))
    headers = [("Content-Type", content_type)] if content_type else []
    exchange.request_headers = exchange.response_headers = headers
    for one in (exchange.request_body, exchange.response_body):
        one.note(body)
        one.ended = True
    exchange.status = status
    exchange.instants.request_started = exchange.instants.response_started = 1 * MS
    exchange.finish(5 * MS)
    return exchange


def _build(exchange: Exchange | None, har_filter: HarFilter, **options: Any) -> Built:
    span = _span(**{"http.method": "GET", "http.url": "http://span.test/", "http.status_code": 404})
    return build([HarRecord(exchange, span, PAGE)], MappingOptions(**options), Redactor(NO_REDACTION), har_filter)


def _entry(exchange: Exchange, bodies: Any, **options: Any) -> dict[str, Any]:
    [entry] = _build(exchange, HarFilter(bodies=bodies), **options).batch.entries
    return entry.model_dump(mode="json", by_alias=True, exclude_unset=True)


@pytest.mark.parametrize(
    ("rules", "is_in"),
    [
        ({}, True),
        ({"include_urls": "http://h.test/*"}, True),
        ({"include_urls": "*.png,re:a%20b"}, True),
        ({"include_urls": "*secret*"}, False),
        ({"include_urls": "*part"}, False),
        ({"exclude_urls": "http://h.test/*"}, False),
        ({"exclude_urls": "*.png"}, True),
        ({"include_urls": "*", "exclude_urls": "*q=1"}, False),
        ({"methods": "get,Post"}, True),
        ({"methods": ["GET"]}, False),
        ({"statuses": "2xx"}, True),
        ({"statuses": (404, "300-399", "error")}, False),
        ({"content_types": "text/*"}, True),
        ({"content_types": "application/json"}, False),
        ({"min_duration_ms": 5}, True),
        ({"min_duration_ms": 5.001}, False),
        ({"errors_only": True}, False),
        ({"predicate": lambda entry: entry.response.status == 200}, True),
        ({"predicate": lambda entry: entry.response.status != 200}, False),
        ({"methods": "POST", "statuses": 200, "errors_only": True}, False),
    ],
)
def test_every_rule_must_let_in(rules: dict[str, Any], *, is_in: bool) -> None:
    """An exchange is recorded where each rule that is set lets it in; else it is counted apart, and is no loss."""
    built = _build(_exchange(), HarFilter(**rules))
    assert (int(is_in), int(not is_in), False) == (
        len(built.batch.entries),
        built.filtered_entries,
        bool(built.batch.statistics),
    )
    assert int(is_in) == len(built.batch.pages)


@pytest.mark.parametrize(
    "url", ["http://h.test", "http://h.test/", "http://h.test#part", "http://h.test?q", "http://h.test/?q"]
)
def test_a_url_without_a_path(url: str) -> None:
    """What a client writes without a path is asked for as `/`: one pattern fits both."""
    assert 1 == len(_build(_exchange(url=url), HarFilter(include_urls="http://h.test/*")).batch.entries)


@pytest.mark.parametrize(
    ("rules", "is_in"),
    [
        ({"statuses": "error"}, True),
        ({"statuses": [0]}, True),
        ({"statuses": "100-999"}, False),
        ({"errors_only": True}, True),
        ({"content_types": "*"}, True),
        ({"content_types": "re:x-unknown,text/*"}, False),
    ],
)
@pytest.mark.parametrize("status", [None, 0, 5000])
def test_without_an_answer(rules: dict[str, Any], status: int | None, *, is_in: bool) -> None:
    """An exchange without an answer, or with what is no status, has the status 0 and no type."""
    built = _build(_exchange(status, ""), HarFilter(**rules))
    assert int(is_in) == len(built.batch.entries)


@pytest.mark.parametrize(
    ("status", "facts", "is_error"),
    [
        (399, {}, False),
        (400, {}, True),
        (599, {}, True),
        (200, {"error": "ConnectionResetError"}, True),
        (200, {"length": "5"}, True),
        (200, {"length": "4"}, False),
        (200, {"length": "five"}, False),
        (200, {"length": "5", "method": "HEAD"}, False),
        (304, {"length": "5"}, False),
    ],
)
def test_errors(status: int, facts: dict[str, str], *, is_error: bool) -> None:
    """An error is a status from 400, and an answer that broke off, whether or not the client said so."""
    exchange = _exchange(status)
    exchange.error = facts.get("error")
    exchange.method = facts.get("method", "GET")
    if "length" in facts:
        exchange.response_headers = [("Content-Length", facts["length"])]
        exchange.response_body.wire_size_bytes = 4
    assert int(is_error) == len(_build(exchange, HarFilter(errors_only=True)).batch.entries)


@pytest.mark.parametrize(
    ("rules", "is_in"),
    [({"include_urls": "http://span.test/"}, True), ({"statuses": "4xx"}, True), ({"methods": "POST"}, False)],
)
def test_a_span_without_hook_is_filtered_by_its_attributes(rules: dict[str, Any], *, is_in: bool) -> None:
    """What no hook captured is known by its span, and filtered by that."""
    assert int(is_in) == len(_build(None, HarFilter(**rules)).batch.entries)


@pytest.mark.parametrize(
    ("rules", "interest"),
    [
        ({}, Interest.ALL),
        ({"statuses": "4xx", "bodies": "text"}, Interest.ALL),
        ({"bodies": "none"}, Interest.FACTS),
        ({"bodies": "*=none,image/*=all"}, Interest.FACTS),
        ({"bodies": "image/*=all,none"}, Interest.ALL),
        ({"methods": "POST"}, Interest.NOTHING),
        ({"include_urls": "*.png"}, Interest.NOTHING),
        ({"exclude_urls": "http://H.test/*", "bodies": "none"}, Interest.NOTHING),
    ],
)
def test_what_is_known_before_a_request_is_sent(rules: dict[str, Any], interest: Interest) -> None:
    """Method, URL and bodies that are never recorded are known; everything else may become an entry."""
    assert interest is HarFilter(**rules).interest("GET", URL)


def test_a_rule_that_fails_lets_in_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A predicate that raises, or whose answer has no truth, costs no entry; its fault is logged once."""

    class Neither:
        def __bool__(self) -> bool:
            raise ArithmeticError

    def predicate(entry: Entry) -> Any:
        del entry
        return Neither()

    har_filter = HarFilter(predicate=predicate)
    built = [_build(_exchange(), har_filter) for _ in range(3)]
    assert [(1, 0)] * 3 == [(len(one.batch.entries), one.filtered_entries) for one in built]
    assert 1 == sum("the program's filter failed" in line for line in caplog.messages)


def test_a_predicate_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is imported with the first entry, not before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    har_filter = HarFilter(predicate="har_filter_of_a_test:Rules.wants")
    (tmp_path / "har_filter_of_a_test.py").write_text(
        "class Rules:\n    def wants(entry):\n        return 'a%20b' not in entry.request.url\n"
    )
    assert "har_filter_of_a_test" not in sys.modules
    assert 1 == _build(_exchange(), har_filter).filtered_entries
    assert 1 == len(_build(_exchange(url="http://h.test/"), har_filter).batch.entries)


def test_the_predicate_sees_what_is_written() -> None:
    """A predicate is asked about the entry after its redaction and after the rules for bodies."""
    seen: list[bytes] = []

    def predicate(entry: Entry) -> bool:
        seen.append(entry.to_json())
        return True

    har_filter = HarFilter(bodies="none", predicate=predicate)
    exchange = _exchange(url="http://h.test/?password=hidden")
    [entry] = build([HarRecord(exchange, _span(), PAGE)], har_filter=har_filter).batch.entries
    assert [entry.to_json()] == seen
    assert [False, False] == [word in seen[0] for word in (b"hidden", b'"body"')]


@pytest.mark.parametrize("bodies", ["none", "text/*=none", "image/*=all,none"])
def test_excluded_bodies(bodies: str) -> None:
    """A body that is left out keeps its size and its type, and says what became of it."""
    exchange = _exchange()
    entry = _entry(exchange, bodies)
    request, response = entry["request"], entry["response"]
    assert {
        "mimeType": "text/plain",
        "text": "",
        "_bodyState": "excluded",
        "comment": "left out by a filter: 4 bytes",
    } == request["postData"]
    assert {
        "size": 4,
        "mimeType": "text/plain",
        "_bodyState": "excluded",
        "comment": "left out by a filter: 4 bytes",
    } == response["content"]
    assert (4, 4) == (request["bodySize"], response["bodySize"])
    assert (b"body", b"body") == (exchange.request_body.kept(), exchange.response_body.kept())


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", b"body", "body"),
        ("", b"body", "body"),
        ("application/problem+json", b"{}", "{}"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("image/png", PNG, None),
        ("application/octet-stream", b"body", None),
        ("text/plain", PNG, None),
        ("", PNG, None),
    ],
)
def test_only_text(content_type: str, body: bytes, text: str | None) -> None:
    """`text` leaves out what would be written as base64: by its type, or because it is no text in truth."""
    entry = _entry(_exchange(200, content_type, body), "text", params="always")
    sent, got = entry["request"]["postData"], entry["response"]["content"]
    state = None if text is not None else "excluded"
    assert (text or "", text, len(body)) == (sent["text"], got.get("text"), got["size"])
    assert (state, state) == (sent.get("_bodyState"), got.get("_bodyState"))
    assert (False, False, len(body)) == ("encoding" in sent, "encoding" in got, entry["request"]["bodySize"])


@pytest.mark.parametrize(("bodies", "params"), [("all", [{"name": "a", "value": "b"}]), ("none", None)])
def test_form_fields_follow_their_body(bodies: str, params: Any) -> None:
    """The fields of a form are not written where its body is left out."""
    exchange = _exchange(200, "application/x-www-form-urlencoded", b"a=b")
    assert params == _entry(exchange, bodies, params="always")["request"]["postData"].get("params")


@pytest.mark.parametrize(("bodies", "events"), [("text", ["hello"]), ("text/event-stream=none,all", None)])
def test_server_sent_events_follow_their_body(bodies: str, events: Any) -> None:
    """The events of a stream are not written where its body is left out."""
    exchange = _exchange(200, "text/event-stream", b"data: hello\n\n")
    messages = _entry(exchange, bodies).get("_eventSourceMessages")
    assert events == (None if messages is None else [message["data"] for message in messages])


def _websocket() -> Exchange:
    """A text and a binary message were received (RFC 6455, 5.2)."""
    exchange = _exchange(101, "", b"")
    exchange.duplex = Duplex(CaptureLimits())
    exchange.duplex.received.note(b"\x81\x02hi\x82\x03\x00\x01\x02", 2 * MS)
    return exchange


@pytest.mark.parametrize(
    ("bodies", "messages"),
    [
        ("all", [("hi", None), ("AAEC", None)]),
        ("text", [("hi", None), ("", "excluded")]),
        ("*=none", None),
    ],
)
def test_websocket_messages_follow_the_rule_for_what_has_no_type(bodies: str, messages: Any) -> None:
    """A WebSocket has no type: `none` leaves its messages out and tells their bytes, `text` leaves out binary ones."""
    entry = _entry(_websocket(), bodies)
    found = entry.get("_webSocketMessages")
    assert messages == (None if found is None else [(message["data"], message.get("_bodyState")) for message in found])
    left_out = "WebSocket messages are left out by a filter: 0 bytes sent, 9 received"
    assert (messages is None) == (left_out in entry.get("comment", ""))


def test_an_excluded_body_that_broke_off_says_so() -> None:
    """Of a body that the program did not read to its end, what it read is told."""
    exchange = _exchange()
    exchange.response_body.ended = False
    exchange.end_reason = "closed before its end"
    content = _entry(exchange, "none")["response"]["content"]
    assert "left out by a filter: the first 4 bytes; the rest was not read: closed before its end" == content["comment"]


def test_nothing_is_kept_of_what_is_not_wanted() -> None:
    """An exchange that is limited before its bodies pass holds none of their bytes, and knows their sizes."""
    limits = CaptureLimits(budget=ByteBudget(10_000))
    exchange = Exchange("GET", URL, started_unix_ns=1, started=0, limits=limits)
    exchange.limit_to(Interest.NOTHING)
    exchange.request_headers = [("X-Much", "x" * 1000)]
    exchange.response_body.note(b"body")
    exchange.charge()
    assert (0, 0, [], 4, "excluded") == (
        limits.budget.taken_bytes,
        limits.budget.most_taken_bytes,
        list(exchange.request_headers),
        exchange.response_body.size_bytes,
        exchange.response_body.state,
    )


def test_what_a_body_holds_is_given_back_once() -> None:
    """A body that is read under a rule holds nothing of its own: the bytes are the captured one's."""
    limits = CaptureLimits(budget=ByteBudget(10_000))
    exchange = Exchange("GET", URL, started_unix_ns=1, started=0, limits=limits)
    exchange.response_body.note(b"body")
    exchange.finish(1)
    held = limits.budget.taken_bytes
    for bodies in ("none", "text", "image/*=none"):
        _entry(exchange, bodies)
        assert held == limits.budget.taken_bytes
    del exchange
    assert 0 == limits.budget.taken_bytes
