"""The attributes of a client span to an exchange, in the old and in the new semantic conventions."""

from __future__ import annotations

from typing import Any

import pytest

from otel_har.mapping.spans import exchange_from_span, is_http_client_span
from otel_har.record import SpanFacts

START_NS = 1_900_000_000_000_000_000
END_NS = START_NS + 25_000_000

NEW = {
    "http.request.method": "POST",
    "url.full": "http://example.test:8080/a?b=c",
    "server.address": "example.test",
    "server.port": 8080,
    "network.peer.address": "192.0.2.7",
    "network.peer.port": 8443,
    "network.protocol.version": "1.1",
    "http.response.status_code": 201,
    "http.request.body.size": 7,
    "http.response.body.size": 1234,
    "http.request.header.x-one": ("1", "2"),
    "http.response.header.content-type": ("text/plain",),
}
OLD = {
    "http.method": "POST",
    "http.url": "http://example.test:8080/a?b=c",
    "http.flavor": "1.1",
    "http.status_code": 201,
    "net.peer.name": "example.test",
    "net.peer.ip": "192.0.2.7",
    "net.peer.port": 8443,
    "http.request_content_length": 7,
    "http.response_content_length": 1234,
    "http.request.header.x_one": ("1", "2"),
    "http.response.header.content_type": ("text/plain",),
}
DUP = {name: value for name, value in OLD.items() if ".header." not in name} | NEW


def _span(attributes: dict[str, Any], **facts: Any) -> SpanFacts:
    defaults: dict[str, Any] = {
        "trace_id": f"{1:032x}",
        "span_id": f"{2:016x}",
        "parent_span_id": None,
        "scope": "scope",
        "start_unix_ns": START_NS,
        "end_unix_ns": END_NS,
        "status_code": "UNSET",
        "status_description": None,
        "exception": None,
    }
    return SpanFacts(attributes=attributes, **(defaults | facts))


@pytest.mark.parametrize("attributes", [NEW, OLD, DUP], ids=["new", "old", "dup"])
def test_both_conventions_give_the_same_exchange(attributes: dict[str, Any]) -> None:
    """Whatever OTEL_SEMCONV_STABILITY_OPT_IN says, the exchange is the same."""
    exchange = exchange_from_span(_span(attributes))
    assert ("POST", "http://example.test:8080/a?b=c") == (exchange.method, exchange.url)
    assert ("192.0.2.7", 8443) == (exchange.peer_address, exchange.peer_port)
    assert (201, "HTTP/1.1", "HTTP/1.1") == (exchange.status, exchange.http_version, exchange.request_http_version)
    assert (7, 1234) == (exchange.request_body.wire_size_bytes, exchange.response_body.wire_size_bytes)
    assert [("x-one", "1"), ("x-one", "2")] == list(exchange.request_headers)
    assert [("content-type", "text/plain")] == list(exchange.response_headers)
    assert exchange.error is None


def test_stable_convention_comes_first() -> None:
    """Where both are written and differ, the stable one counts."""
    exchange = exchange_from_span(
        _span({"http.status_code": 500, "http.response.status_code": 200, "http.method": "X"})
    )
    assert 200 == exchange.status


def test_original_method_counts() -> None:
    """`_OTHER` stands for a method that `http.request.method_original` names."""
    attributes = {"http.request.method": "_OTHER", "http.request.method_original": "PURGE"}
    assert "PURGE" == exchange_from_span(_span(attributes)).method


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"http.request.method": "GET"}, True),
        ({"http.method": "GET"}, True),
        ({"http.method": ""}, False),
        ({"url.full": "http://h/"}, False),
        ({"rpc.system": "grpc"}, False),
        ({"db.system": "redis"}, False),
        ({}, False),
    ],
)
def test_http_client_span(attributes: dict[str, Any], *, expected: bool) -> None:
    """The method makes a client span HTTP: both conventions require it."""
    assert expected is is_http_client_span(attributes)


def test_wait_is_the_duration() -> None:
    """Nothing else is known of when things happened."""
    exchange = exchange_from_span(_span(NEW))
    assert START_NS == exchange.started_unix_ns
    assert END_NS - START_NS == (exchange.instants.response_started or 0) - exchange.instants.started
    assert exchange.instants.finished == exchange.instants.response_started
    assert exchange.finished


@pytest.mark.parametrize(
    ("version", "written"), [("1.0", "HTTP/1.0"), ("2", "HTTP/2"), ("2.0", "HTTP/2"), ("3", "HTTP/3")]
)
def test_http_version(version: str, written: str) -> None:
    """The version as HAR's readers know it."""
    assert written == exchange_from_span(_span(NEW | {"network.protocol.version": version})).http_version


@pytest.mark.parametrize(
    ("attributes", "url"),
    [
        ({"server.address": "h.test", "server.port": 81, "http.target": "/a?b"}, "http://h.test:81/a?b"),
        ({"http.host": "h.test:82", "net.peer.port": 81, "http.scheme": "https"}, "https://h.test:82/"),
        ({"net.peer.name": "h.test", "url.scheme": "https"}, "https://h.test/"),
        ({"server.address": "::1", "server.port": 8080}, "http://[::1]:8080/"),
        ({"server.address": "::1"}, "http://[::1]/"),
        ({"http.host": "[::1]:8080", "server.port": 8080}, "http://[::1]:8080/"),
        ({}, "http://unknown.invalid/"),
    ],
)
def test_url_of_parts(attributes: dict[str, Any], url: str) -> None:
    """Without the URL itself it is put together of what the conventions have of it."""
    assert url == exchange_from_span(_span({"http.method": "GET", **attributes})).url


def test_numbers_may_be_texts() -> None:
    """Some instrumentations write numbers as texts; what is no number is not known."""
    exchange = exchange_from_span(_span({"http.status_code": "200", "net.peer.port": "http"}))
    assert (200, None) == (exchange.status, exchange.peer_port)


@pytest.mark.parametrize("status", [0, -1, 99, 1000, True, "0", "9" * 5000])
def test_status_that_is_none(status: object) -> None:
    """RFC 9110, 15: three digits; whatever else an instrumentation writes, there was no response to speak of."""
    assert exchange_from_span(_span(NEW | {"http.response.status_code": status})).status is None


@pytest.mark.parametrize("name", ["http.request.body.size", "http.response.body.size", "network.peer.port"])
@pytest.mark.parametrize("value", [-5, True, "9" * 5000])
def test_number_that_is_none(name: str, value: object) -> None:
    """A size or a port below zero, a truth value and a number without end are not known."""
    exchange = exchange_from_span(_span({"http.method": "GET", "http.response.status_code": 200, name: value}))
    assert exchange.request_body.wire_size_bytes is None
    assert exchange.response_body.wire_size_bytes is None
    assert exchange.peer_port is None


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"exception": "ConnectError: refused"}, "ConnectError: refused"),
        ({"attributes": {"error.type": "timeout"}}, "timeout"),
        ({"exception": "A: b", "attributes": {"error.type": "timeout"}}, "A: b"),
        ({}, None),
    ],
)
def test_error(facts: dict[str, Any], error: str | None) -> None:
    """Without a response the span's exception says why, or else `error.type`."""
    attributes = {"http.method": "GET"} | facts.pop("attributes", {})
    exchange = exchange_from_span(_span(attributes, **facts))
    assert error == exchange.error
    assert exchange.status is None


def test_error_status_is_no_error() -> None:
    """A response is a response, whatever `error.type` says of its status."""
    assert exchange_from_span(_span(NEW | {"http.response.status_code": 500, "error.type": "500"})).error is None


def test_span_that_has_not_ended() -> None:
    """A span without an end took no time."""
    exchange = exchange_from_span(_span(NEW, end_unix_ns=None))
    assert exchange.instants.started == exchange.instants.finished
