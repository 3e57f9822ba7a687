"""Compares entries of a HAR file with what the server recorded, byte for byte."""

from __future__ import annotations

import base64
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from servers.records import Exchange
    from servers.server import RecordingServer

Json = dict[str, Any]

CLOCKS_APART_S = 0.005
"""How far the clock of the entries, monotonic since an exchange's start, may be from the wall clock."""


def pairs(items: list[Json]) -> list[tuple[str, str]]:
    """Names and values of HAR headers, query parameters or cookies."""
    return [(item["name"], item["value"]) for item in items]


def body_of(content: Json) -> bytes | str:
    """The body that `content` or `postData` holds: bytes where it is base64, else the text."""
    text = content.get("text", "")
    if content.get("encoding") == "base64":
        return base64.b64decode(text, validate=True)
    return str(text)


def assert_same_exchange(
    entry: Json, exchange: Exchange, server: RecordingServer, *, coded_size_is_unknown: bool = False
) -> None:
    """Assert that an entry tells everything the server saw and sent, as the program read it whole."""
    assert_same_request(entry, exchange, server)
    assert_same_response(entry, exchange, coded_size_is_unknown=coded_size_is_unknown)


def assert_same_request(
    entry: Json, exchange: Exchange, server: RecordingServer, *, peer_may_be_unknown: bool = False
) -> None:
    """Assert that an entry's request is the one the server saw; the peer of a broken connection may be unknown."""
    request, seen = entry["request"], exchange.request
    _assert_equal("method", seen.method, request["method"])
    _assert_equal("url", server.url(seen.target), request["url"])
    _assert_equal("request httpVersion", seen.version, request["httpVersion"])
    _assert_equal("request headers", _decoded(seen.headers), pairs(request["headers"]))
    query = parse_qsl(urlsplit(seen.target).query, keep_blank_values=True)
    _assert_equal("queryString", query, pairs(request["queryString"]))
    _assert_equal("request cookies", _cookies(seen.all("cookie")), pairs(request["cookies"]))
    _assert_equal("request headersSize", len(seen.head), request["headersSize"])
    _assert_equal("request bodySize", len(seen.body), request["bodySize"])
    post_data = request.get("postData", {})
    if seen.body:
        mime_type = seen.first("content-type")
        _assert_equal("postData", _expected_body(seen.body, post_data, mime_type), body_of(post_data))
        _assert_equal("postData mimeType", mime_type, post_data["mimeType"])
    else:
        _assert_equal("postData text", "", post_data.get("text", ""))
    peer = {"serverIPAddress": server.host, "_serverPort": server.port, "connection": str(server.port)}
    for key, value in peer.items():
        _assert_equal(key, value, entry.get(key, value if peer_may_be_unknown else None))


def assert_same_response(
    entry: Json, exchange: Exchange, *, head_size_is_unknown: bool = False, coded_size_is_unknown: bool = False
) -> None:
    """Assert that an entry's response is the one the server sent, and that the program read it whole.

    The size of a head that nobody tells is left out of the comparison. A client that does not count the coded bytes of
    a body without announced length leaves their size unknown.
    """
    response, sent = entry["response"], exchange.response
    content = response["content"]
    is_unknown = coded_size_is_unknown and sent.encoded != sent.body and not sent.has_length
    _assert_equal("status", (sent.status, sent.reason), (response["status"], response["statusText"]))
    _assert_equal("response httpVersion", sent.version, response["httpVersion"])
    _assert_equal("response headers", _decoded(sent.headers), pairs(response["headers"]))
    if not head_size_is_unknown:
        _assert_equal("response headersSize", len(sent.head), response["headersSize"])
        # aiohttp does not tell of chunk framing.
        transferred = {len(sent.head) + len(body) + len(sent.upgraded) for body in (sent.wire, sent.encoded)}
        if is_unknown:
            transferred = {len(sent.head)}
        assert response["_transferSize"] in transferred, (
            f"_transferSize: {response['_transferSize']}, not {transferred}"
        )
    _assert_equal("response bodySize", -1 if is_unknown else len(sent.encoded), response["bodySize"])
    _assert_equal("content size", len(sent.body), content["size"])
    _assert_equal("_bodyState", None, content.get("_bodyState"))
    mime_type = next((text_of(value) for name, value in sent.headers if name.lower() == b"content-type"), "")
    mime_type = mime_type or "x-unknown"
    if mime_type.lower().startswith("text/event-stream"):
        mime_type = "text/event-stream"  # Chrome shows no events of any other
    _assert_equal("content mimeType", mime_type, content["mimeType"])
    _assert_equal("content", _expected_body(sent.body, content, mime_type), body_of(content))
    compression = None if is_unknown else len(sent.body) - len(sent.encoded)
    _assert_equal("compression", compression, content.get("compression"))


def assert_between(seen: list[list[float]], instants: list[float]) -> None:
    """Assert that each instant lies between the first two of what the program noted before and after it, in seconds."""
    _assert_equal("number of instants", len(seen), len(instants))
    for (before, after, *_), instant in zip(seen, instants, strict=True):
        is_between = before - CLOCKS_APART_S <= instant <= after + CLOCKS_APART_S
        assert is_between, f"{instant} is not between {before} and {after}"


def _assert_equal(what: str, expected: object, actual: object) -> None:
    """Compare, and say what differs: this module is not one whose assertions pytest explains."""
    assert expected == actual, f"{what}: expected {expected!r}, not {actual!r}"


def text_of(octets: bytes) -> str:
    """Bytes of a head as an entry has to show them: UTF-8 where they are valid UTF-8, else ISO 8859-1."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _decoded(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(text_of(name), text_of(value)) for name, value in headers]


def _cookies(values: list[str]) -> list[tuple[str, str]]:
    crumbs = [crumb.strip().partition("=") for value in values for crumb in value.split(";")]
    return [(name, value) for name, _, value in crumbs]


def _expected_body(body: bytes, holder: Json, mime_type: str) -> bytes | str:
    """The body as an entry has to hold it: text in its own charset, or bytes if the entry chose base64."""
    if holder.get("encoding") == "base64":
        return body
    message = Message()
    message["Content-Type"] = mime_type
    try:
        return body.decode(message.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        # Not text, so the entry should have said base64: bytes never equal its text.
        return body
