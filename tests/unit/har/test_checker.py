"""The checker: one fault put into a good document is found, at its place, and nothing else is."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from otel_har.har.checker import DOCUMENT, Checker, check
from otel_har.har.faults import Fault

DATA = Path(__file__).parents[2] / "data" / "har"
VALID = (DATA / "valid.har").read_bytes()
MISSING = object()

ENTRY = "log.entries[0]"
POST = "log.entries[1]"
UNANSWERED = "log.entries[2]"


def faults_of(document: Any) -> list[tuple[str, str]]:
    """Return place and code of each fault of a document, given as bytes or as JSON value."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return [(fault.place, fault.code) for fault in check(io.BytesIO(data))]


def changed(*changes: tuple[str, Any]) -> Any:
    """Return the good document with the values at some places replaced, or taken away (MISSING)."""
    document = json.loads(VALID)
    for place, value in changes:
        *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", place)]
        holder = document
        for part in way:
            holder = holder[part]
        if value is MISSING:
            del holder[last]
        else:
            holder[last] = value
    return document


def test_valid_document() -> None:
    """A document in the profile of maximum compatibility has no fault."""
    assert not faults_of(VALID)


def test_entries_are_counted() -> None:
    """The checker tells how many entries it met."""
    checker = Checker(DATA / "valid.har")
    assert not list(checker)
    expected = 3
    assert expected == checker.entries


def test_empty_recording() -> None:
    """A log of nothing, without pages and entries, is no fault."""
    assert not faults_of(changed(("log.entries", []), ("log.pages", [])))


def test_pages_may_stand_before_the_entries() -> None:
    """The order of the members of the log makes no difference."""
    document = json.loads(VALID)
    assert not faults_of({"log": dict(reversed(document["log"].items()))})


def test_order_of_entries_is_no_fault() -> None:
    """Entries need not be sorted: readers sort."""
    document = json.loads(VALID)
    document["log"]["entries"].reverse()
    assert not faults_of(document)


@pytest.mark.parametrize(
    "place",
    [
        "log.version",
        "log.creator",
        "log.creator.name",
        "log.creator.version",
        "log.browser",
        "log.browser.name",
        "log.pages",
        "log.pages[0].startedDateTime",
        "log.pages[0].title",
        "log.pages[0].pageTimings",
        "log.entries",
        f"{ENTRY}.pageref",
        f"{ENTRY}.startedDateTime",
        f"{ENTRY}.time",
        f"{ENTRY}.request",
        f"{ENTRY}.request.method",
        f"{ENTRY}.request.url",
        f"{ENTRY}.request.httpVersion",
        f"{ENTRY}.request.cookies",
        f"{ENTRY}.request.cookies[0].name",
        f"{ENTRY}.request.headers",
        f"{ENTRY}.request.headers[0].value",
        f"{ENTRY}.request.queryString",
        f"{ENTRY}.request.queryString[1].name",
        f"{ENTRY}.request.headersSize",
        f"{ENTRY}.request.bodySize",
        f"{POST}.request.postData.mimeType",
        f"{POST}.request.postData.text",
        f"{ENTRY}.response",
        f"{ENTRY}.response.status",
        f"{ENTRY}.response.statusText",
        f"{ENTRY}.response.httpVersion",
        f"{ENTRY}.response.cookies",
        f"{ENTRY}.response.headers",
        f"{ENTRY}.response.content",
        f"{ENTRY}.response.content.size",
        f"{ENTRY}.response.content.mimeType",
        f"{ENTRY}.response.redirectURL",
        f"{ENTRY}.response.headersSize",
        f"{ENTRY}.response.bodySize",
        f"{ENTRY}.cache",
        f"{POST}.cache.afterRequest.eTag",
        f"{ENTRY}.timings",
        f"{POST}.timings.blocked",
        f"{POST}.timings.dns",
        f"{POST}.timings.connect",
        f"{POST}.timings.ssl",
        f"{POST}.timings.send",
        f"{POST}.timings.wait",
        f"{POST}.timings.receive",
    ],
)
def test_missing(place: str) -> None:
    """What HAR 1.2 or a widespread reader requires is missed, and nothing follows from its absence."""
    assert [(place, "missing")] == faults_of(changed((place, MISSING)))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("log.version", 1.2),
        ("log.creator", "otel-har"),
        ("log.browser.version", 3),
        ("log.pages", {}),
        ("log.pages[0].title", ["title"]),
        ("log.entries", {}),
        ("log.comment", 1),
        (ENTRY, "entry"),
        (f"{ENTRY}.time", "19.5"),
        (f"{ENTRY}.time", True),
        (f"{ENTRY}.connection", 443),
        (f"{ENTRY}.request.headers", {"Host": "shop.test"}),
        (f"{ENTRY}.request.headers[0].value", 5),
        (f"{ENTRY}.request.headersSize", 77.5),
        (f"{ENTRY}.request.bodySize", "0"),
        (f"{POST}.request.postData.params", "a=1"),
        (f"{ENTRY}.response.status", 200.5),
        (f"{ENTRY}.response.status", "200"),
        (f"{ENTRY}.response.content.size", 6.0),
        (f"{ENTRY}.response.content.compression", True),
        (f"{ENTRY}.response.cookies[0].httpOnly", "yes"),
        (f"{ENTRY}.response.redirectURL", False),
        (f"{ENTRY}.timings.dns", "2"),
        (f"{UNANSWERED}.response.cookies", ""),
    ],
)
def test_type(place: str, value: Any) -> None:
    """A value of the wrong JSON type is a fault; integers have no decimals, booleans are no numbers."""
    found = faults_of(changed((place, value)))
    assert (place, "type") in found
    # Taking one page, entry or phase away has consequences elsewhere; the place itself has one fault only.
    assert [place] == [at for at, _ in found if at == place]


@pytest.mark.parametrize(
    "place",
    [
        "log.comment",
        "log.browser",
        "log.entries",
        "log._redaction",
        "log._redaction.policy",
        f"{ENTRY}._initiator",
        f"{ENTRY}._otel.spanId",
        f"{ENTRY}.response._error",
        f"{ENTRY}.response.redirectURL",
        f"{ENTRY}.cache.beforeRequest",
        f"{ENTRY}.request.headers[1].value",
    ],
)
def test_null(place: str) -> None:
    """Null is a fault wherever it is, in custom fields, too."""
    assert [(place, "null")] == faults_of(changed((place, None)))


@pytest.mark.parametrize("place", [f"{ENTRY}._otel.attributes", "log._redaction"])
def test_infinite_number(place: str) -> None:
    """A number beyond the range of a double would become Infinity in readers."""
    data = json.dumps(changed((place, "HUGE"))).replace('"HUGE"', "1e999").encode()
    assert [(place, "number")] == faults_of(data)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_non_finite_token(token: str) -> None:
    """NaN and Infinity, which Python's json module writes, are not JSON: said where they stand."""
    data = json.dumps(changed((f"{ENTRY}.time", "TOKEN"))).replace('"TOKEN"', token).encode()
    assert [(f"{ENTRY}.time", "unreadable")] == faults_of(data)


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        ("log.version", "1.1", "version"),
        ("log.version", "", "version"),
        ("log.pages", [], "pages"),
        (f"{ENTRY}.pageref", "trace-9", "pageref"),
        ("log.pages[0].startedDateTime", "yesterday", "date"),
        (f"{ENTRY}.startedDateTime", "2030-05-06T07:08:09.123", "date"),
        (f"{ENTRY}.startedDateTime", "2030-02-30T07:08:09Z", "date"),
        (f"{ENTRY}.startedDateTime", "", "date"),
        (f"{ENTRY}.startedDateTime", "1904000000", "date"),
        (f"{ENTRY}.time", 19.52, "time"),
        (f"{ENTRY}.time", 25.5, "time"),
        (f"{ENTRY}.time", -1, "time"),
        (f"{POST}.timings.receive", -1, "timing"),
        (f"{POST}.timings.dns", -2, "timing"),
        (f"{POST}.timings.blocked", -0.5, "timing"),
        (f"{ENTRY}.timings.ssl", 10.5, "ssl"),
        (f"{POST}.timings.ssl", 0, "ssl"),
        (f"{ENTRY}.request.url", "/items", "url"),
        (f"{ENTRY}.request.url", "https:///items", "url"),
        (f"{ENTRY}.request.url", "https://[::1/", "url"),
        (f"{ENTRY}.request.url", "https://shop.test/été", "url"),
        (f"{ENTRY}.request.url", "https://shop.test/a b", "url"),
        (f"{ENTRY}.request.url", "https://shop.test/#top", "url"),
        (f"{POST}.response.redirectURL", "/orders/1", "url"),
        (f"{ENTRY}.response.status", -1, "status"),
        (f"{ENTRY}.response.status", 20, "status"),
        (f"{ENTRY}.request.headersSize", -2, "size"),
        (f"{ENTRY}.request.bodySize", -2, "size"),
        (f"{ENTRY}.response.headersSize", -5, "size"),
        (f"{POST}.response.bodySize", -5, "size"),
        (f"{POST}.response.content.size", 5, "size"),
        (f"{POST}.response.content.size", -1, "size"),
        (f"{POST}.response.content.text", "iVBORw", "body"),
        (f"{POST}.response.content.text", "not base64!", "body"),
        (f"{POST}.response.content.encoding", "gzip", "body"),
        (f"{POST}.request.postData.text", "?", "body"),
        (f"{POST}.request.postData.encoding", "hex", "body"),
        (f"{ENTRY}.response.content.compression", 3, "compression"),
        (f"{ENTRY}.response.cookies[0].expires", "Wed, 01 Jan 2031 00:00:00 GMT", "date"),
        (f"{ENTRY}.request.cookies[0].expires", "", "date"),
        (f"{POST}.cache.afterRequest.lastAccess", "now", "date"),
        (f"{ENTRY}.serverIPAddress", "", "ip-address"),
        (f"{ENTRY}.serverIPAddress", "[2001:db8::7]", "ip-address"),
        (f"{ENTRY}.serverIPAddress", "shop.test", "ip-address"),
        (f"{ENTRY}.connection", "", "connection"),
        (f"{ENTRY}.connection", "shop.test:443", "connection"),
        (f"{UNANSWERED}.response.statusText", "failed", "no-response"),
        (f"{UNANSWERED}.response.headers", [{"name": "a", "value": "b"}], "no-response"),
        (f"{UNANSWERED}.response.cookies", [{"name": "a", "value": "b"}], "no-response"),
        (f"{UNANSWERED}.response.headersSize", 0, "no-response"),
        (f"{UNANSWERED}.response.bodySize", 0, "no-response"),
        (f"{UNANSWERED}.response.content.size", -1, "no-response"),
        (f"{UNANSWERED}.response.content.mimeType", "", "no-response"),
        (f"{UNANSWERED}.response._transferSize", 9, "no-response"),
        (f"{UNANSWERED}.response._transferSize", MISSING, "no-response"),
        (f"{UNANSWERED}.response._error", MISSING, "no-response"),
        (f"{UNANSWERED}.response._error", "", "no-response"),
    ],
)
def test_meaning(place: str, value: Any, code: str) -> None:
    """A value that contradicts another one, or means nothing, is the one fault found."""
    assert [(place, code)] == faults_of(changed((place, value)))


@pytest.mark.parametrize(
    ("name", "item", "place", "code"),
    [
        ("_chunks", 5, "", "chunk"),
        ("_chunks", {"ts": "1", "bytes": 2}, ".ts", "chunk"),
        ("_chunks", {"ts": 1, "bytes": -2}, ".bytes", "chunk"),
        ("_chunks", {"ts": 1}, ".bytes", "chunk"),
        ("_eventSourceMessages", "data: x", "", "event"),
        ("_eventSourceMessages", {"eventName": "message", "eventId": "", "data": ""}, ".time", "event"),
        ("_eventSourceMessages", {"time": 1.5, "eventName": 1, "eventId": "", "data": ""}, ".eventName", "event"),
        ("_eventSourceMessages", {"time": 1.5, "eventName": "message", "data": ""}, ".eventId", "event"),
        ("_eventSourceMessages", {"time": 1, "eventName": "a", "eventId": "", "data": {}}, ".data", "event"),
    ],
)
def test_items_of_a_stream(name: str, item: Any, place: str, code: str) -> None:
    """A piece or an event that the tools which show them would stumble over is the one fault found."""
    assert [(f"{ENTRY}.{name}[0]{place}", code)] == faults_of(changed((f"{ENTRY}.{name}", [item])))


@pytest.mark.parametrize(
    "changes",
    [
        [(f"{ENTRY}.time", 19.509)],
        [(f"{ENTRY}.time", 19.5), (f"{ENTRY}.timings._blocked_queueing", 4)],
        [(f"{ENTRY}.time", 1e12 + 10.0003), (f"{ENTRY}.timings.wait", 1e12 - 5.5)],
        [(f"{ENTRY}.startedDateTime", "2030-05-06T07:08:09.123456789+0200")],
        [(f"{ENTRY}.request.url", "ws://shop.test/live?a=%20")],
        [(f"{ENTRY}.request.url", "data:text/plain,hi")],
        [(f"{ENTRY}.response.status", 999)],
        [(f"{ENTRY}.response.content.text", "ét"), (f"{ENTRY}.response.content._bodyState", "truncated")],
        [(f"{ENTRY}.response.content.text", MISSING)],
        [
            (f"{ENTRY}.response.content.mimeType", 'text/plain; charset="ISO-8859-1"'),
            (f"{ENTRY}.response.content.size", 4),
            (f"{ENTRY}.response.content.compression", 0),
        ],
        [
            (f"{ENTRY}.response.headers", [{"name": "content-TYPE", "value": "text/plain; charset=ISO-8859-1"}]),
            (f"{ENTRY}.response.content.mimeType", "text/plain"),
            (f"{ENTRY}.response.content.size", 4),
            (f"{ENTRY}.response.content.compression", 0),
        ],
        [(f"{POST}.response.content.text", "iVBO\r\nRw==")],
        [(f"{POST}.response.content.encoding", MISSING), (f"{POST}.response.content.size", 8)],
        [(f"{POST}.cache.afterRequest.lastAccess", "")],
        [(f"{ENTRY}.serverIPAddress", "192.0.2.1")],
        [(f"{ENTRY}.connection", "159834")],
        [(f"{ENTRY}.anything", {"at": ["all"]})],
        [(f"{ENTRY}._chunks", [{"ts": -0.5, "bytes": 0, "more": 1}, {"ts": 2, "bytes": 3}])],
        [(f"{ENTRY}._chunks", {"of": "another kind"})],
        [(f"{ENTRY}._eventSourceMessages", [{"time": 1.5, "eventName": "message", "eventId": ""}])],
    ],
)
def test_no_stricter(changes: list[tuple[str, Any]]) -> None:
    """What readers take is no fault: rounding, foreign members, sizes before transcoding, cut bodies that say so."""
    assert not faults_of(changed(*changes))


@pytest.mark.parametrize("charset", ["potato", "ascii"])
def test_size_in_useless_charset(charset: str) -> None:
    """A charset that is unknown, or cannot have been that of the text, excuses no size."""
    document = changed(
        (f"{ENTRY}.response.content.mimeType", f"text/plain; charset={charset}"),
        (f"{ENTRY}.response.content.size", 5),
        (f"{ENTRY}.response.content.compression", 1),
    )
    assert [(f"{ENTRY}.response.content.size", "size")] == faults_of(document)


def test_content_size_below_unknown() -> None:
    """A size of content less than -1 is told as such, beside its not being the length."""
    document = changed((f"{ENTRY}.response.content.size", -2), (f"{ENTRY}.response.content.text", MISSING))
    assert [(f"{ENTRY}.response.content.size", "size")] == faults_of(document)


def test_page_id_twice() -> None:
    """Page ids are unique."""
    document = json.loads(VALID)
    document["log"]["pages"].append(document["log"]["pages"][0])
    expected = [("log.pages[2].id", "page-id")]
    assert expected == faults_of(document)


def test_page_without_entries() -> None:
    """A page to which no entry refers makes PerfCascade fail."""
    document = json.loads(VALID)
    document["log"]["pages"].append({**document["log"]["pages"][0], "id": "trace-3"})
    expected = [("log.pages[2]", "page-unused")]
    assert expected == faults_of(document)


def test_pageref_is_told_once() -> None:
    """Entries of one page that is missing are one fault, at the first of them."""
    document = changed((f"{ENTRY}.pageref", "gone"), (f"{POST}.pageref", "gone"), ("log.pages[0].id", "trace-2b"))
    assert [(f"{ENTRY}.pageref", "pageref"), ("log.pages[0]", "page-unused")] == faults_of(document)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b'"time": 6,', b'"time": 6, "time": 6,', f"{POST}.time"),
        (b'"etag"', b'"etag"', None),
        (b'"type": "script"', b'"type": "script", "type": "script"', f"{ENTRY}._initiator.type"),
        (b'"log": {', b'"log": {"version": "1.2",', "log.version"),
        (b'{\n  "log"', b'{"_a b": 1, "_a b": 2, "log"', '["_a b"]'),
        (b'"name": "Host",', b'"name": "Host", "name": "Host",', f"{ENTRY}.request.headers[0].name"),
    ],
)
def test_duplicate_names(old: bytes, new: bytes, place: str | None) -> None:
    """A name twice in one object is a fault, at any depth."""
    found = faults_of(VALID.replace(old, new, 1))
    assert ([] if place is None else [(place, "duplicate")]) == found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xef\xbb\xbf" + VALID, "begins with a byte order mark (utf-8)"),
        (b"\xff\xfe" + VALID.decode().encode("utf-16-le"), "begins with a byte order mark (utf-16-le)"),
        (b"\xfe\xff" + VALID.decode().encode("utf-16-be"), "begins with a byte order mark (utf-16-be)"),
        (VALID.replace(b"otel-har", b"otel\xffhar", 1), "has bytes that are not UTF-8"),
    ],
)
def test_bytes(data: bytes, message: str) -> None:
    """HAR is UTF-8 without a byte order mark; what is otherwise encoded is checked all the same."""
    assert [Fault(DOCUMENT, message, "encoding")] == list(check(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b"", DOCUMENT),
        (b" \n", DOCUMENT),
        (b"<html>", DOCUMENT),
        (b"[]", DOCUMENT),
        (b"null", DOCUMENT),
        (b"{}", DOCUMENT),
        (b'{"log": []}', DOCUMENT),
        (b'{"log": {"entries": [', "log.entries"),
        (VALID + b"{}", DOCUMENT),
        (VALID[: VALID.index(b'"spanId"')], f"{ENTRY}._otel.traceId"),
    ],
)
def test_unreadable(document: bytes, place: str) -> None:
    """What is no JSON, no HAR, or cut off, is a fault itself; nothing is said to be missing behind it."""
    assert [(place, "unreadable")] == faults_of(document)


def test_fault_is_one_line_of_ascii() -> None:
    """Messages show the offending value shortened and escaped, so that no file can play tricks on a terminal."""
    value = "\x1b[31mété\n" + "x" * 200
    (fault,) = check(io.BytesIO(json.dumps(changed((f"{ENTRY}.serverIPAddress", value))).encode()))
    assert f'{ENTRY}.serverIPAddress: is not an IP address: "\\u001b[31m\\u00e9t\\u00e9\\n{"x" * 51}"...' == str(fault)


def test_fault_says_what_was_found() -> None:
    """A fault has its place, a message with the values, and the code of the rule."""
    expected = Fault(f"{ENTRY}.timings.ssl", "11 is more than connect, which includes it: 10", "ssl")
    document = changed((f"{ENTRY}.timings.ssl", 11))
    assert [expected] == list(check(io.BytesIO(json.dumps(document).encode())))


def test_missing_file() -> None:
    """A file that cannot be opened is an error of the operating system, at once."""
    with pytest.raises(FileNotFoundError):
        check(DATA / "no-such.har")


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("browser-export.har", {"null", "missing", "type", "ip-address", "pages"}),
        ("proxy-export.har", {"null", "missing", "type"}),
        ("robot-export.har", {"missing", "timing", "time"}),
    ],
)
def test_exports_of_others(name: str, codes: set[str]) -> None:
    """The known deviations of other producers are found, and checking goes on behind them."""
    assert codes == {fault.code for fault in check(DATA / name)}


@pytest.mark.parametrize("name", ["time", "request.bodySize", "response.content.size", "timings.wait"])
@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308])
def test_numbers_beyond_reckoning(name: str, number: float) -> None:
    """A number that no float holds is legal JSON: it is checked as far as it can be, without harm."""
    faults_of(changed((f"log.entries[0].{name}", number)))
