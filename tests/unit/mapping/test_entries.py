"""A record to a HAR entry: the profile that every consumer accepts."""

from __future__ import annotations

import base64
import gzip
import io
import os
from typing import Any

import pytest

from otel_har.budget import ByteBudget
from otel_har.exchange import Exchange
from otel_har.har.checker import check
from otel_har.har.models import Browser, Creator, Entry, Har, Log
from otel_har.limits import CaptureLimits
from otel_har.mapping.entries import entry_from_record, iso_8601, page_from_facts
from otel_har.message import SomeHeaders
from otel_har.record import HarRecord, PageFacts, SpanFacts

STARTED_UNIX_NS = 1_900_000_000_123_456_789
MS = 1_000_000
TEXT = "Zwölf Boxkämpfer jagen Viktor. " * 200
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe\x00\x01"
PAGE = PageFacts("run_1", "program", STARTED_UNIX_NS)


def _span(**facts: Any) -> SpanFacts:
    defaults: dict[str, Any] = {
        "trace_id": f"{1:032x}",
        "span_id": f"{2:016x}",
        "parent_span_id": f"{3:016x}",
        "scope": "opentelemetry.instrumentation.requests",
        "start_unix_ns": STARTED_UNIX_NS,
        "end_unix_ns": STARTED_UNIX_NS + MS,
        "status_code": "UNSET",
        "status_description": None,
        "attributes": {"http.method": "GET"},
        "exception": None,
    }
    return SpanFacts(**(defaults | facts))


def _exchange(
    method: str = "GET", url: str = "http://example.test/a", *, limits: CaptureLimits | None = None
) -> Exchange:
    limits = limits if limits is not None else CaptureLimits()
    return Exchange(method, url, started_unix_ns=STARTED_UNIX_NS, started=0, limits=limits)


def _answered(
    body: bytes = b"",
    headers: list[tuple[str | bytes, str | bytes]] | None = None,
    *,
    status: int = 200,
    limits: CaptureLimits | None = None,
    encoded: bool = False,
) -> Exchange:
    """An exchange whose response body was read to its end."""
    exchange = _exchange(limits=limits)
    exchange.request_headers = [("Host", "example.test")]
    exchange.request_body.ended = True
    exchange.instants.response_started = 30 * MS
    exchange.status, exchange.reason, exchange.http_version = status, "OK", "HTTP/1.1"
    exchange.response_headers = headers if headers is not None else [("Content-Type", "text/plain")]
    exchange.response_body.encoded = encoded
    exchange.response_body.note(body)
    exchange.response_body.ended = True
    exchange.finish(42 * MS)
    return exchange


def _entry(exchange: Exchange | None, **facts: Any) -> dict[str, Any]:
    """The entry as JSON has it, after the checker had no complaint."""
    entry = entry_from_record(HarRecord(exchange, _span(**facts), PAGE))
    assert [] == _faults(entry)
    return entry.model_dump(mode="json", by_alias=True)


def _faults(entry: Entry) -> list[str]:
    log = Log(
        creator=Creator(name="test", version="1"),
        browser=Browser(name="test", version="1"),
        pages=(page_from_facts(PAGE),),
        entries=(entry,),
    )
    return [str(fault) for fault in check(io.BytesIO(Har(log=log).to_json()))]


def test_whole_entry() -> None:
    """Every member of an ordinary exchange, as the profile has it."""
    exchange = _answered(b"hello", [("Content-Type", "text/plain"), ("Set-Cookie", "a=b; Secure")])
    exchange.request_headers = [("Host", "example.test"), ("Cookie", "c=d")]
    exchange.peer_address, exchange.peer_port, exchange.connection_id = "192.0.2.7", 8080, "1.1"
    expected = {
        "pageref": "run_1",
        "startedDateTime": "2030-03-17T17:46:40.123456Z",
        "time": 42.001,
        "request": {
            "method": "GET",
            "url": "http://example.test/a",
            "httpVersion": "HTTP/1.1",
            "cookies": [{"name": "c", "value": "d"}],
            "headers": [{"name": "Host", "value": "example.test"}, {"name": "Cookie", "value": "c=d"}],
            "queryString": [],
            "headersSize": len("GET /a HTTP/1.1\r\nHost: example.test\r\nCookie: c=d\r\n\r\n"),
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "cookies": [{"name": "a", "value": "b", "httpOnly": False, "secure": True}],
            "headers": [
                {"name": "Content-Type", "value": "text/plain"},
                {"name": "Set-Cookie", "value": "a=b; Secure"},
            ],
            "content": {"size": 5, "compression": 0, "mimeType": "text/plain", "text": "hello"},
            "redirectURL": "",
            "headersSize": len("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b; Secure\r\n\r\n"),
            "bodySize": 5,
            "_transferSize": 75,
        },
        "cache": {},
        "timings": {"blocked": 0.001, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 30.0, "receive": 12.0},
        "serverIPAddress": "192.0.2.7",
        "connection": "8080",
        "_connectionId": "1.1",
        "_resourceType": "fetch",
        "_serverPort": 8080,
        "_otel": {
            "traceId": f"{1:032x}",
            "spanId": f"{2:016x}",
            "parentSpanId": f"{3:016x}",
            "scope": "opentelemetry.instrumentation.requests",
            "status": {"code": "UNSET"},
            "attributes": {"http.method": "GET"},
            "process": {"pid": os.getpid(), "parentPid": os.getppid(), "name": "MainProcess"},
        },
    }
    assert expected == _entry(exchange)


def test_no_response() -> None:
    """A request without a response has the form that no consumer trips over, and says what happened."""
    exchange = _exchange()
    exchange.error = "ConnectionError: refused"
    exchange.finish(MS)
    expected = {
        "status": 0,
        "statusText": "",
        "httpVersion": "",
        "cookies": [],
        "headers": [],
        "content": {"size": 0, "mimeType": "x-unknown"},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": 0,
        "_error": "ConnectionError: refused",
    }
    assert expected == _entry(exchange)["response"]


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"exception": "A: b", "status_description": "c"}, "A: b"),
        ({"status_description": "c"}, "c"),
        ({}, "no response was seen before the recording of this exchange ended"),
    ],
)
def test_error_of_the_span(facts: dict[str, Any], error: str) -> None:
    """Where the hooks know of no error the span does, or it is said that nothing is known."""
    assert error == _entry(_exchange(), **facts)["response"]["_error"]


def test_error_after_the_response_began() -> None:
    """A response that broke keeps what came of it."""
    exchange = _answered(b"half")
    exchange.response_body.ended = False
    exchange.error = "ProtocolError: reset"
    response = _entry(exchange)["response"]
    assert (200, "ProtocolError: reset", "half") == (
        response["status"],
        response["_error"],
        response["content"]["text"],
    )
    assert ("partial", -1) == (response["content"]["_bodyState"], response["bodySize"])
    assert response["headersSize"] + 4 == response["_transferSize"]
    assert "compression" not in response["content"]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "ä".encode(), "ä"),
        ("text/plain; charset=iso-8859-1", b"K\xe4se", "Käse"),
        ("text/plain; charset=utf-16", "ä".encode("utf-16"), "ä"),
        ("application/json", b'{"a": 1}', '{"a": 1}'),
    ],
)
def test_text(content_type: str, body: bytes, text: str) -> None:
    """Text is transcoded and has no `encoding`; `size` stays the length of the bytes."""
    content = _entry(_answered(body, [("content-TYPE", content_type)]))["response"]["content"]
    assert {"size": len(body), "compression": 0, "mimeType": content_type, "text": text} == content


@pytest.mark.parametrize("content_type", ["image/png", "text/plain; charset=potato", "text/plain; charset=utf-8"])
def test_base64(content_type: str) -> None:
    """What is not text for certain comes back byte for byte."""
    content = _entry(_answered(PNG, [("Content-Type", content_type)]))["response"]["content"]
    assert ("base64", PNG, len(PNG)) == (content["encoding"], base64.b64decode(content["text"]), content["size"])


def test_no_type() -> None:
    """A response without a type has Chrome's word for it."""
    assert "x-unknown" == _entry(_answered(b"a", []))["response"]["content"]["mimeType"]


def test_decoded_by_the_client() -> None:
    """Bytes that the client decoded: the wire size comes from the stream, compression is what was saved."""
    exchange = _answered(TEXT.encode(), [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")])
    exchange.response_body.wire_size_bytes = 100
    response = _entry(exchange)["response"]
    size = len(TEXT.encode())
    assert (100, size, size - 100) == (
        response["bodySize"],
        response["content"]["size"],
        response["content"]["compression"],
    )
    assert size - 100 > 4000


@pytest.mark.parametrize(("length", "size"), [("100", 100), ("", -1), ("-5", -1), ("1x", -1), ("9" * 5000, -1)])
def test_wire_size_of_a_decoded_body_without_the_stream(length: str, size: int) -> None:
    """Content-Length is what an encoded body has on the wire; without a sane one the size is not known."""
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Encoding", "gzip"), ("Content-Length", length)]
    assert size == _entry(_answered(b"decoded", headers))["response"]["bodySize"]


def test_encoded_as_it_came() -> None:
    """Bytes that the program read undecoded are decoded here."""
    encoded = gzip.compress(TEXT.encode())
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]
    response = _entry(_answered(encoded, headers, encoded=True))["response"]
    size = len(TEXT.encode())
    assert (len(encoded), size, TEXT) == (
        response["bodySize"],
        response["content"]["size"],
        response["content"]["text"],
    )
    assert size - len(encoded) == response["content"]["compression"]


def test_several_content_encoding_fields() -> None:
    """Two fields of one name are one list."""
    encoded = gzip.compress(gzip.compress(b"twice"))
    headers: list[tuple[str | bytes, str | bytes]] = [
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "gzip"),
        ("content-encoding", "gzip"),
    ]
    assert "twice" == _entry(_answered(encoded, headers, encoded=True))["response"]["content"]["text"]


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_undecodable_body_is_kept_as_it_came(coding: str) -> None:
    """An unknown or false coding leaves the bytes, as base64, and says so."""
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Type", "text/plain"), ("Content-Encoding", coding)]
    content = _entry(_answered(b"not encoded", headers, encoded=True))["response"]["content"]
    assert (b"not encoded", 11) == (base64.b64decode(content["text"]), content["size"])
    assert coding in content["comment"]


def test_truncated_body() -> None:
    """A body over the limit is cut, not within a character, and says how much there was."""
    exchange = _answered("aä".encode() * 2, limits=CaptureLimits(max_body_bytes=5))
    content = _entry(exchange)["response"]["content"]
    assert ("aäa", 6, "truncated") == (content["text"], content["size"], content["_bodyState"])
    assert "cut: the first 5 of 6 bytes" == content["comment"]
    assert "compression" not in content


def test_body_at_the_limit_is_whole() -> None:
    """A body of exactly the limit is whole."""
    content = _entry(_answered(b"12345", limits=CaptureLimits(max_body_bytes=5)))["response"]["content"]
    assert {"size": 5, "compression": 0, "mimeType": "text/plain", "text": "12345"} == content


def test_dropped_body() -> None:
    """A body for which there was no room is left out and says so."""
    content = _entry(_answered(b"12345", limits=CaptureLimits(budget=ByteBudget(0))))["response"]["content"]
    assert (5, "dropped") == (content["size"], content["_bodyState"])
    assert "left out: 5 bytes over the limit; too many bytes, or exchanges, were waiting" == content["comment"]


def test_size_of_a_dropped_encoded_body_is_not_known() -> None:
    """Without its bytes nobody knows how long an encoded body is decoded."""
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Encoding", "gzip")]
    exchange = _answered(gzip.compress(b"x"), headers, limits=CaptureLimits(max_body_bytes=0), encoded=True)
    content = _entry(exchange)["response"]["content"]
    assert (-1, "dropped") == (content["size"], content["_bodyState"])


def test_unread_body() -> None:
    """A body that the program left says so, with the reason."""
    exchange = _answered()
    exchange.response_body.ended = False
    exchange.end_reason = "closed before its end"
    response = _entry(exchange)["response"]
    assert ("unread", "not read by the program: closed before its end") == (
        response["content"]["_bodyState"],
        response["content"]["comment"],
    )
    assert -1 == response["bodySize"]
    assert "text" not in response["content"]


def test_cut_encoded_body() -> None:
    """A prefix of an encoded body gives a prefix of its text."""
    encoded = gzip.compress(TEXT.encode())
    headers: list[tuple[str | bytes, str | bytes]] = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]
    limits = CaptureLimits(max_body_bytes=len(encoded) - 10)
    content = _entry(_answered(encoded, headers, limits=limits, encoded=True))["response"]["content"]
    assert TEXT.startswith(content["text"])
    assert "truncated" == content["_bodyState"]


@pytest.mark.parametrize("status", [204, 304])
def test_no_body(status: int) -> None:
    """A response that has no body has the size 0 everywhere."""
    response = _entry(_answered(status=status))["response"]
    assert (0, 0) == (response["bodySize"], response["content"]["size"])


def test_sizes_without_headers() -> None:
    """Where header fields are not known the size of the head is not, nor that of the transfer, which is told so."""
    exchange = _answered(b"a")
    exchange.request_headers = exchange.response_headers = SomeHeaders()
    entry = _entry(exchange)
    assert (-1, -1) == (entry["request"]["headersSize"], entry["response"]["headersSize"])
    assert -1 == entry["response"]["_transferSize"]


@pytest.mark.parametrize(
    ("raw", "text", "wire_bytes"),
    [
        ("plain", "plain", 5),
        (b"plain", "plain", 5),
        ("ä".encode(), "ä", 2),
        (b"\xe4", "ä", 1),
        ("\xe4", "ä", 1),
        ("ä".encode().decode("latin-1"), "ä", 2),
        ("\udce4", "ä", 1),
        ("日", "日", 3),
        ("one\r\n two\r\n\t three", "one two three", 18),
        (b"one \n two", "one two", 9),
        ("\r\n one", "one", 6),
        ("one  \t", "one", 6),
    ],
)
def test_header_text(raw: str | bytes, text: str, wire_bytes: int) -> None:
    """A field is UTF-8 where it is valid, else ISO 8859-1, however a library decoded it; sizes are the wire's.

    It is one line, without blanks around it, however it was folded.
    """
    response = _entry(_answered(b"", [("X", raw)]))["response"]
    assert text == response["headers"][0]["value"]
    assert len("HTTP/1.1 200 OK\r\nX: \r\n\r\n") + wire_bytes == response["headersSize"]


def test_headers_keep_order_case_and_duplicates() -> None:
    """Header fields are a list."""
    fields: list[tuple[str | bytes, str | bytes]] = [("X-A", "1"), ("b", ""), ("x-a", "2")]
    actual = [(field["name"], field["value"]) for field in _entry(_answered(b"", fields))["response"]["headers"]]
    assert fields == actual


def test_request_line_in_the_head_size() -> None:
    """The target is what the request line has of the URL, query included, fragment not."""
    exchange = _exchange("DELETE", "http://user:secret@example.test/a?b=c d#e")
    exchange.request_headers = [("A", "b")]
    request = _entry(exchange)["request"]
    assert len(b"DELETE /a?b=c%20d HTTP/1.1\r\nA: b\r\n\r\n") == request["headersSize"]
    assert "http://example.test/a?b=c%20d" == request["url"]
    assert [{"name": "b", "value": "c d"}] == request["queryString"]


@pytest.mark.parametrize(
    ("status", "location", "target"),
    [
        (302, "/b", "http://example.test/b"),
        (301, "https://other.test/x", "https://other.test/x"),
        (307, "?q", "http://example.test/a?q"),
        (201, "/b", ""),
        (200, "/b", ""),
        (302, "", ""),
    ],
)
def test_redirect_url(status: int, location: str, target: str) -> None:
    """The absolute target of a redirect, and an empty text for everything that is none."""
    assert target == _entry(_answered(b"", [("Location", location)], status=status))["response"]["redirectURL"]


def test_post_data() -> None:
    """A text body is `text`, its size that of the wire."""
    exchange = _answered()
    exchange.request_headers = [("Content-Type", "application/x-www-form-urlencoded")]
    exchange.request_body.encoded = True
    exchange.request_body.note(b"a=%C3%A4&b")
    request = _entry(exchange)["request"]
    assert {"mimeType": "application/x-www-form-urlencoded", "text": "a=%C3%A4&b"} == request["postData"]
    assert 10 == request["bodySize"]


def test_binary_post_data() -> None:
    """A body that is no text is base64 and says so, as HAR 1.3 proposes."""
    exchange = _answered()
    exchange.request_body.note(PNG)
    post_data = _entry(exchange)["request"]["postData"]
    assert ("base64", PNG, "") == (post_data["encoding"], base64.b64decode(post_data["text"]), post_data["mimeType"])


def test_request_body_that_broke_off() -> None:
    """A body of which a part was sent says so; how much of its last piece went out is not known."""
    exchange = _exchange("POST")
    exchange.request_body.note(b"half")
    request = _entry(exchange)["request"]
    assert ("half", "partial", -1) == (
        request["postData"]["text"],
        request["postData"]["_bodyState"],
        request["bodySize"],
    )


def test_request_compressed_by_the_client() -> None:
    """A body that the client compresses after it was noted has another size on the wire."""
    exchange = _answered()
    exchange.request_headers = [("Content-Encoding", "deflate")]
    exchange.request_body.note(b"plain")
    assert -1 == _entry(exchange)["request"]["bodySize"]


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("example.test", None),
        ("/run/socket", None),
        ("", None),
    ],
)
def test_server_ip_address(address: str, written: str | None) -> None:
    """An address without brackets and zone; what is none is left out."""
    exchange = _answered()
    exchange.peer_address = address
    assert written == _entry(exchange).get("serverIPAddress")


def test_span_alone() -> None:
    """A span that no hook captured is an entry that says so, its body unread."""
    attributes = {
        "http.method": "GET",
        "http.url": "http://example.test/",
        "http.status_code": 200,
        "http.flavor": "1.1",
        "http.response_content_length": 10,
    }
    entry = _entry(None, attributes=attributes)
    assert "from the span's attributes: no hook captured this exchange" == entry["comment"]
    assert (200, 10, "unread") == (
        entry["response"]["status"],
        entry["response"]["bodySize"],
        entry["response"]["content"]["_bodyState"],
    )
    assert 1.0 == entry["timings"]["wait"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, 1),
        (True, True),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"\xffa", "\ufffda"),
        (("a", None, "b"), ["a", "b"]),
        ([1, 2], [1, 2]),
        ({"a": None, "b": {"c": (1,)}}, {"b": {"c": [1]}}),
        (frozenset({1}), [1]),
        (1j, "1j"),
    ],
)
def test_span_attributes(value: object, written: object) -> None:
    """An attribute of any kind is written as JSON carries it; nothing is null."""
    assert written == _entry(_answered(), attributes={"key": value})["_otel"]["attributes"]["key"]


def test_null_attribute_is_left_out() -> None:
    """An attribute without a value is none."""
    assert {} == _entry(_answered(), attributes={"key": None})["_otel"]["attributes"]


def test_span_status() -> None:
    """The span's status is kept with its description; without a parent there is no parent."""
    otel = _entry(_answered(), status_code="ERROR", status_description="why", parent_span_id=None)["_otel"]
    assert {"code": "ERROR", "description": "why"} == otel["status"]
    assert "parentSpanId" not in otel


def test_expiry_counts_from_the_response() -> None:
    """Max-Age counts from when the header fields came."""
    [cookie] = _entry(_answered(b"", [("Set-Cookie", "a=b; Max-Age=60")]))["response"]["cookies"]
    assert "2030-03-17T17:47:40.153Z" == cookie["expires"]


@pytest.mark.parametrize(
    ("unix_ns", "written"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_999, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (STARTED_UNIX_NS, "2030-03-17T17:46:40.123456Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775Z"),
    ],
)
def test_iso_8601(unix_ns: int, written: str) -> None:
    """UTC with microseconds, without the errors of floating point."""
    assert written == iso_8601(unix_ns)


@pytest.mark.parametrize("unix_ns", [10**21, -(10**21), 10**40])
def test_time_outside_the_calendar(unix_ns: int) -> None:
    """A span may be given any start; beyond the calendar it is the calendar's end."""
    assert iso_8601(unix_ns).startswith(("0001-01-01T", "9999-12-31T"))


def test_page() -> None:
    """A page has its start, title and duration; when the content was there nobody knows."""
    page = page_from_facts(PageFacts("trace_1", "GET /", STARTED_UNIX_NS, 12.5))
    expected = {
        "startedDateTime": "2030-03-17T17:46:40.123456Z",
        "id": "trace_1",
        "title": "GET /",
        "pageTimings": {"onContentLoad": -1, "onLoad": 12.5},
    }
    assert expected == page.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(
    "url", ["", "relative", "//[", "http://[::1/", "http://a b/", "relative#fragment", "http:", "ä", "http://h/#"]
)
@pytest.mark.parametrize("location", ["/b", "//[", "http:///c", "\ud800", "#", "https:"])
def test_any_url_and_location(url: str, location: str) -> None:
    """Whatever a client takes for a URL and a server for a Location, the entry is one that readers take."""
    exchange = _answered(b"", [("Location", location)], status=302)
    exchange.url = url
    assert 302 == _entry(exchange)["response"]["status"]


@pytest.mark.parametrize("status", [0, 1, -5, 99, 1000, "200", None])
def test_status_that_is_none(status: Any) -> None:
    """What an adapter of the program's own calls a status, and is none, is an answer without a status."""
    exchange = _answered(b"body")
    exchange.status = status
    response = _entry(exchange)["response"]
    assert 0 == response["status"]
    assert response["_error"]


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (None, "None"), (1.5, "1.5")])
def test_header_value_that_is_no_text(value: Any, text: str) -> None:
    """A header value of any type, which only an adapter of the program's own can give, is shown as text."""
    exchange = _answered(headers=[("X-Odd", value)])
    assert [{"name": "X-Odd", "value": text}] == _entry(exchange)["response"]["headers"]
