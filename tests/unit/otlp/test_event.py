"""Entries as events: what filters find, what people read, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_har.errors import HarFormatError
from otel_har.har.models import Content, Entry, Page, PostData, Request, Response
from otel_har.otlp.event import (
    ENTRY_ID,
    ENTRY_JSON,
    INFO,
    PAGE_ID,
    PART_COUNT,
    REDACTION,
    REQUEST_BODY,
    RESPONSE_BODY,
    WARN,
    Event,
    counts_of,
    entry_event,
    entry_of,
    joined,
    page_event,
    page_of,
    parts_of,
    statistics_event,
)
from otel_har.otlp.exact import exact_json

_START = "2030-01-01T00:00:00.123456Z"
_CONTEXT = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}


def _entry(**members: Any) -> Entry:
    request = members.pop("request", Request(method="GET", url="https://shop.test/items?q=1"))
    response = members.pop("response", Response(status=200, http_version="HTTP/1.1", body_size=7))
    return Entry(started_date_time=_START, request=request, response=response, **members)


def _filters(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.attributes.items() if not name.startswith("otel_har.")}


def test_attributes_for_filters() -> None:
    """What the semantic conventions have names for stands flat beside the entry."""
    entry = _entry(
        request=Request(method="POST", url="https://shop.test/items?q=1", body_size=5),
        server_ip_address="192.0.2.1",
        server_port=8443,
        otel=_CONTEXT,
    )
    assert {
        "http.request.method": "POST",
        "url.full": "https://shop.test/items?q=1",
        "server.address": "shop.test",
        "server.port": 443,
        "http.response.status_code": 200,
        "http.request.body.size": 5,
        "http.response.body.size": 7,
        "network.protocol.version": "1.1",
        "network.peer.address": "192.0.2.1",
        "network.peer.port": 8443,
    } == _filters(entry_event(entry))


def test_context_and_time() -> None:
    """The record is of the client span, at the start of the request."""
    event = entry_event(_entry(otel=_CONTEXT))
    assert (_CONTEXT["traceId"], _CONTEXT["spanId"], 1) == (event.trace_id.hex(), event.span_id.hex(), event.flags)
    assert 1_893_456_000_123_456_000 == event.time_unix_ns
    assert (INFO, "GET https://shop.test/items?q=1 200") == (event.severity, event.text)


@pytest.mark.parametrize(
    "otel",
    [None, [], {}, {**_CONTEXT, "spanId": "0" * 16}, {**_CONTEXT, "traceId": 5}, {"traceId": _CONTEXT["traceId"]}],
)
def test_no_context(otel: Any) -> None:
    """Without a whole context there is none."""
    event = entry_event(_entry(otel=otel))
    assert (b"", b"", 0) == (event.trace_id, event.span_id, event.flags)


@pytest.mark.parametrize("started", ["yesterday", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_time_that_otlp_does_not_have(started: str) -> None:
    """An instant that is none, or outside of what nanoseconds can say, is an unknown one."""
    assert 0 == entry_event(_entry().model_copy(update={"started_date_time": started})).time_unix_ns


@pytest.mark.parametrize(
    ("entry", "severity", "error_type"),
    [
        (_entry(response=Response(status=404)), INFO, "404"),
        (_entry(response=Response()), WARN, "_OTHER"),
        (_entry(response=Response(error="reset")), WARN, "_OTHER"),
        (_entry(response=Response(status=200, error="cut off")), INFO, "_OTHER"),
        (_entry(response=Response(), otel={"attributes": {"error.type": "ConnectionError"}}), WARN, "ConnectionError"),
    ],
)
def test_errors(entry: Entry, severity: int, error_type: str) -> None:
    """An exchange without an answer is a warning; each that went wrong has a type of error."""
    event = entry_event(entry)
    assert (severity, error_type) == (event.severity, event.attributes["error.type"])


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("HTTP/1.0", "1.0"),
        ("HTTP/1.1", "1.1"),
        ("http/2.0", "2"),
        ("h2", "2"),
        ("HTTP/3", "3"),
        ("h3", "3"),
        ("x", None),
    ],
)
def test_protocol_version(version: str, said: str | None) -> None:
    """HTTP's version as the conventions write it, whatever HAR's producer wrote."""
    entry = _entry(response=Response(status=200, http_version=version))
    assert said == entry_event(entry).attributes.get("network.protocol.version")


def test_methods_and_urls() -> None:
    """A method that nobody knows is `_OTHER`, with the original beside it; a URL that is none is left as it is."""
    attributes = entry_event(_entry(request=Request(method="brew", url="http://[:x/"))).attributes
    assert ("_OTHER", "brew", "http://[:x/") == (
        attributes["http.request.method"],
        attributes["http.request.method_original"],
        attributes["url.full"],
    )
    assert "server.address" not in attributes


@pytest.mark.parametrize(
    ("mime_type", "text", "encoding", "sent"),
    [
        ("text/html", "ä", None, "ä"),
        ("application/problem+json", "{}", None, "{}"),
        ("application/x-www-form-urlencoded", "a=1", None, "a=1"),
        ("application/octet-stream; charset=utf-8", "a", None, "a"),
        ("application/octet-stream", "a", None, b"a"),
        ("image/png", "AAEC", "base64", b"\0\1\2"),
        ("text/plain", "AAEC", "base64", b"\0\1\2"),
        ("text/plain", "no base64!", "base64", None),
        ("text/plain", None, None, None),
    ],
)
def test_bodies(mime_type: str, text: str | None, encoding: str | None, sent: str | bytes | None) -> None:
    """A body as an attribute: text where it is textual, bytes otherwise, never base64."""
    entry = _entry(
        request=Request(method="PUT", post_data=PostData(mime_type=mime_type, text=text, encoding=encoding)),
        response=Response(status=200, content=Content(mime_type=mime_type, text=text, encoding=encoding)),
    )
    attributes = entry_event(entry, with_bodies=True).attributes
    assert (sent, sent) == (attributes.get(REQUEST_BODY), attributes.get(RESPONSE_BODY))
    assert REQUEST_BODY not in entry_event(entry).attributes


def test_page_and_policy() -> None:
    """The page travels with the entry, as does the policy by which it was redacted."""
    page = Page(started_date_time=_START, id="p", title="checkout")
    event = entry_event(_entry(pageref="p"), page, redaction="strict")
    assert (page, "p", "strict") == (page_of(event), event.attributes[PAGE_ID], event.attributes[REDACTION])
    assert "p" == entry_event(_entry(pageref="p")).attributes[PAGE_ID]
    assert page == page_of(page_event(page, redaction="default"))
    assert page_of(entry_event(_entry())) is None


def test_statistics() -> None:
    """Counts come back; those that are 0 are not sent, and what is no count is not read."""
    event = statistics_event({"dropped_entries": 2, "failed_entries": 0}, 5)
    assert {"dropped_entries": 2} == counts_of(event)
    assert "dropped entries: 2" == event.text
    assert {} == counts_of(Event(event.name, {"otel_har.statistics.dropped_entries": "many", "other": 3}))


def test_id() -> None:
    """The same entry has the same id, another one another; one may be given."""
    one, other = _entry(), _entry(time=1)
    assert entry_event(one).attributes[ENTRY_ID] == entry_event(_entry()).attributes[ENTRY_ID]
    assert entry_event(one).attributes[ENTRY_ID] != entry_event(other).attributes[ENTRY_ID]


def test_numbers_and_surrogates_that_json_lacks() -> None:
    """Lone surrogates stay what they are; NaN and Infinity become texts, as in a file."""
    entry = Entry.model_validate(
        {"startedDateTime": _START, "request": {}, "_x": ["\ud800", float("nan"), float("inf"), -float("inf")]}
    )
    assert ["\ud800", "NaN", "Infinity", "-Infinity"] == json.loads(exact_json(entry))["_x"]


@pytest.mark.parametrize("attributes", [{}, {ENTRY_JSON: 5}, {ENTRY_JSON: "{"}, {ENTRY_JSON: "[" * 100_000}])
def test_event_that_is_no_entry(attributes: dict[str, Any]) -> None:
    """What has no JSON text of an entry is refused."""
    with pytest.raises(HarFormatError):
        entry_of(Event("otel_har.entry", attributes))


def test_parts_that_do_not_fit_together() -> None:
    """A part that is missing, or of another entry, is told."""
    parts, others = parts_of(entry_event(_entry()), 200), parts_of(entry_event(_entry(time=1)), 200)
    assert _entry() == entry_of(joined(parts))
    for wrong in ([], parts[1:], parts[:-1], [*parts[:-1], others[-1]]):
        with pytest.raises(HarFormatError, match="parts"):
            joined(wrong)
    assert len(parts) == parts[0].attributes[PART_COUNT]


def test_divisions() -> None:
    """Parts of one entry fit together where they tell the same number, whoever divided it, into whatever size."""
    event = entry_event(_entry())
    divisions = [parts_of(event, max_bytes) for max_bytes in range(8, 400)]
    by_count = {len(parts): parts for parts in divisions}
    assert len(by_count) < len(divisions)
    for parts in divisions:
        assert by_count[len(parts)] == parts
