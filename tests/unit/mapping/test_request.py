"""The request of an exchange: its start line, its body's size and state, the fields of forms beside the body."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING, Any, Literal

import pytest

from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.mapping.request import har_request

if TYPE_CHECKING:
    from otel_har.message import HeaderText

URLENCODED = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=b")
FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
TEXT_FORM = FIELD + b"--b--\r\n"
BINARY_FORM = FIELD + b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n\xff\r\n--b--\r\n'
A = {"name": "a", "value": "1"}
F = {"name": "f", "value": "/w==", "_encoding": "base64", "fileName": "f", "contentType": "application/octet-stream"}


def _exchange(
    body: bytes = b"",
    *headers: tuple[HeaderText, HeaderText],
    ended: bool = True,
    encoded: bool = True,
    limits: CaptureLimits | None = None,
) -> Exchange:
    exchange = Exchange("POST", "http://h.test:81/a?b", started_unix_ns=1, started=1, limits=limits or CaptureLimits())
    exchange.request_headers = [("Host", "h.test:81"), *headers]
    exchange.request_body.note(body)
    exchange.request_body.ended = ended
    exchange.request_body.encoded = encoded
    exchange.status = 200
    return exchange


def _told(exchange: Exchange) -> tuple[str | None, str | None, int]:
    """Text and state of the body, None without postData, and its size."""
    request = har_request(exchange)
    post_data: dict[str, Any] = request.get("postData", {})
    return post_data.get("text"), post_data.get("_bodyState"), request["bodySize"]


@pytest.mark.parametrize(
    ("url", "proxy", "start_line"),
    [
        ("http://h.test:81/a?b#c", None, "POST /a?b HTTP/1.1"),
        ("http://h.test:81/a?b#c", "http://proxy.test:3128", "POST http://h.test:81/a?b HTTP/1.1"),
        ("http://user:pass@h.test/a", "https://proxy.test", "POST http://h.test/a HTTP/1.1"),
        ("https://h.test/a?b", "http://proxy.test:3128", "POST /a?b HTTP/1.1"),
        ("http://h.test/a?b", "socks5://proxy.test:1080", "POST /a?b HTTP/1.1"),
    ],
)
def test_start_line(url: str, proxy: str | None, start_line: str) -> None:
    """RFC 9112, 3.2.2: an HTTP proxy is asked for the absolute URL; one that tunnels passes on what the server gets."""
    exchange = _exchange()
    exchange.url, exchange.proxy = url, proxy
    assert len(f"{start_line}\r\nHost: h.test:81\r\n\r\n") == har_request(exchange)["headersSize"]


@pytest.mark.parametrize(
    ("exchange", "told"),
    [
        (_exchange(), (None, None, 0)),
        (_exchange(b"ab"), ("ab", None, 2)),
        (_exchange(b"ab", ended=False), ("ab", "partial", -1)),
        (_exchange(b"ab", ("Content-Length", "3"), ended=False), ("ab", "partial", -1)),
        (_exchange(b"ab", ("Content-Length", "2"), ended=False), ("ab", None, 2)),
        (_exchange(ended=False), (None, None, 0)),
        (_exchange(b"", ("Content-Length", "0"), ended=False), (None, None, 0)),
        (_exchange(b"", ("Content-Length", "2"), ended=False), ("", "unread", 0)),
        (_exchange(b"", ("Transfer-Encoding", "chunked"), ended=False), ("", "unread", 0)),
        (_exchange(b"", ("Transfer-Encoding", "chunked")), (None, None, 0)),
        (_exchange(b"ab", ("Content-Encoding", "x"), encoded=False), ("ab", None, -1)),
        (_exchange(b"", ("Content-Encoding", "x"), encoded=False), (None, None, -1)),
        (_exchange(b"ab", encoded=False), ("ab", None, 2)),
        (_exchange(b"abc", limits=CaptureLimits(max_body_bytes=2)), ("ab", "truncated", 3)),
        (_exchange(b"abc", limits=CaptureLimits(max_body_bytes=0)), ("", "dropped", 3)),
        (_exchange(b"abc", ended=False, limits=CaptureLimits(max_body_bytes=2)), ("ab", "truncated", -1)),
    ],
)
def test_size_and_state(exchange: Exchange, told: tuple[str | None, str | None, int]) -> None:
    """The size is that of what was sent, -1 where it is not known; the state says what is missing of the text."""
    assert told == _told(exchange)


def test_size_that_is_told() -> None:
    """A size that the client's own means gave is the size."""
    exchange = _exchange(b"ab", ended=False)
    exchange.request_body.wire_size_bytes = 2
    assert ("ab", "partial", 2) == _told(exchange)


@pytest.mark.parametrize(
    ("exchange", "comment"),
    [
        (_exchange(b"ab"), None),
        (_exchange(b"ab", ended=False), "the first 2 bytes; the rest was not sent"),
        (_exchange(b"", ("Content-Length", "2"), ended=False), "announced, and not sent"),
        (_exchange(b"ab", ("Content-Encoding", "gzip"), encoded=False), "before its compression (gzip)"),
        (
            _exchange(b"abc", ("Content-Encoding", "gzip"), encoded=False, limits=CaptureLimits(max_body_bytes=2)),
            "cut: the first 2 of 3 bytes; before its compression (gzip)",
        ),
        (_exchange(b"abc", limits=CaptureLimits(max_body_bytes=0)), "left out: 3 bytes over the limit"),
        (
            _exchange(BINARY_FORM, MULTIPART, ended=False),
            f"the first {len(BINARY_FORM)} bytes; the rest was not sent",
        ),
        (
            _exchange(BINARY_FORM, MULTIPART, limits=CaptureLimits(max_body_bytes=118)),
            f"cut: the first 118 of {len(BINARY_FORM)} bytes; params has the fields that are whole",
        ),
    ],
)
def test_comment(exchange: Exchange, comment: str | None) -> None:
    """What is missing or different is said in words."""
    assert comment == har_request(exchange).get("postData", {}).get("comment")


@pytest.mark.parametrize(
    ("body", "header", "auto", "always"),
    [
        (TEXT_FORM, MULTIPART, None, [A]),
        (BINARY_FORM, MULTIPART, [A, F], [A, F]),
        (b"a=1", URLENCODED, None, [A]),
        (b"a=1&\xff", URLENCODED, None, [A, {"name": "\N{REPLACEMENT CHARACTER}", "value": ""}]),
        (b"a=1", ("Content-Type", "text/plain"), None, None),
        (b"\xff", ("Content-Type", "multipart/mixed; boundary=b"), None, None),
        (b"\xff", ("Content-Type", "multipart/form-data"), None, None),
    ],
)
@pytest.mark.parametrize("params", ["auto", "always", "never"])
def test_params(
    body: bytes, header: tuple[str, str], auto: Any, always: Any, params: Literal["auto", "always", "never"]
) -> None:
    """By default a multipart form in base64 has its fields beside it, as an option every form; the text stays."""
    post_data = har_request(_exchange(body, header), MappingOptions(params=params))["postData"]
    assert {"auto": auto, "always": always, "never": None}[params] == post_data.get("params")
    text = post_data["text"]
    assert body == (base64.b64decode(text) if post_data.get("encoding") == "base64" else text.encode())


@pytest.mark.parametrize(("data", "params"), [(gzip.compress(b"a=1"), [A]), (b"a=1", None)])
def test_params_of_a_compressed_form(data: bytes, params: Any) -> None:
    """A form that the program compressed is decoded for its fields; what does not decode has none."""
    exchange = _exchange(data, URLENCODED, ("Content-Encoding", "gzip"))
    assert params == har_request(exchange, MappingOptions(params="always"))["postData"].get("params")


def test_params_of_a_form_that_the_client_compressed() -> None:
    """It was noted before that."""
    exchange = _exchange(b"a=1", URLENCODED, ("Content-Encoding", "gzip"), encoded=False)
    assert [A] == har_request(exchange, MappingOptions(params="always"))["postData"]["params"]


def test_params_of_nothing() -> None:
    """A body of which nothing was kept has none."""
    exchange = _exchange(BINARY_FORM, MULTIPART, limits=CaptureLimits(max_body_bytes=0))
    assert "params" not in har_request(exchange, MappingOptions(params="always"))["postData"]
