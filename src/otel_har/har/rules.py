"""What the values of one entry have to mean, one function per rule.

A rule gets an entry as parsed, and the place of it; it yields the faults. It looks only at values of the right type:
that others are missing or of another type is the business of `structure`. `ENTRY_RULES` at the end is the list.
"""

import ipaddress
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from otel_har.errors import HarFormatError
from otel_har.har.bodies import body_bytes
from otel_har.har.dates import has_offset, parse_instant
from otel_har.har.faults import Fault, describe

__all__ = ["ENTRY_RULES", "started_date_time"]

_Faults: TypeAlias = Iterator[Fault]
_Rule: TypeAlias = Callable[[dict[str, Any], str], _Faults]

_REQUIRED_PHASES = ("send", "wait", "receive")
_OPTIONAL_PHASES = ("blocked", "dns", "connect", "ssl")
_SUMMED_PHASES = ("blocked", "dns", "connect", "send", "wait", "receive")
_TOLERANCE_MS = 0.01
_TOLERANCE_RELATIVE = 1e-9

_SCHEMES_WITH_HOST = frozenset({"http", "https", "ws", "wss"})
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_STATUSES = range(100, 1000)


def started_date_time(holder: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "Date and time stamp of the request start (ISO 8601 - YYYY-MM-DDThh:mm:ss.sTZD)"."""
    text = _text(holder, "startedDateTime")
    if text is None:
        return
    if fault := _date_fault(text, f"{place}.startedDateTime"):
        yield fault
    elif not has_offset(text):
        yield Fault(f"{place}.startedDateTime", f"has no offset from UTC: {describe(text)}", "date")


def phases(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "The send, wait and receive timings are not optional and must have non-negative values"; others: -1."""
    timings = _object(entry, "timings")
    for name in _REQUIRED_PHASES:
        value = _number(timings, name)
        if value is not None and value < 0:
            yield Fault(f"{place}.timings.{name}", f"is negative: {value}", "timing")
    for name in _OPTIONAL_PHASES:
        value = _number(timings, name)
        if value is not None and value < 0 and value != -1:
            yield Fault(f"{place}.timings.{name}", f"is neither -1 (did not apply) nor a duration: {value}", "timing")


def ssl_in_connect(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "If this field is defined then the time is also included in the connect field"."""
    timings = _object(entry, "timings")
    ssl, connect = _number(timings, "ssl"), _number(timings, "connect")
    if ssl is None or connect is None or ssl < 0:
        return
    if connect < 0:
        yield Fault(f"{place}.timings.ssl", f"is {ssl} although connect did not apply", "ssl")
    elif ssl > connect and not _are_close(ssl, connect):
        yield Fault(f"{place}.timings.ssl", f"{ssl} is more than connect, which includes it: {connect}", "ssl")


def time_is_sum(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "entry.time == entry.timings.blocked + dns + connect + send + wait + receive", without those of -1."""
    timings, time = _object(entry, "timings"), _number(entry, "time")
    values = {name: _number(timings, name) for name in _SUMMED_PHASES}
    if time is None or any(values[name] is None for name in _REQUIRED_PHASES):
        return
    total = math.fsum(value for value in values.values() if value is not None and value > 0)
    if not _are_close(time, total):
        yield Fault(f"{place}.time", f"{time} is not the sum of the timings (ssl is part of connect): {total}", "time")


def sizes(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "Set to -1 if the info is not available"; below that nothing has a meaning."""
    for path in (("request",), ("response",), ("response", "content")):
        for name in ("size",) if path[-1] == "content" else ("headersSize", "bodySize"):
            value = _number(_object(entry, *path), name)
            if value is not None and value < -1:
                yield Fault(".".join((place, *path, name)), f"is below -1 (not known): {value}", "size")


def content(entry: dict[str, Any], place: str) -> _Faults:
    """The text of a response decodes, and `size` is the length of what it decodes to, unless it is not the whole."""
    body = _object(entry, "response", "content")
    text, size, encoding = _text(body, "text"), _number(body, "size"), _text(body, "encoding")
    if text is None:
        return
    try:
        length = len(body_bytes(text, encoding))
    except HarFormatError as error:
        yield _encoding_fault(error, f"{place}.response.content", encoding)
        return
    # `_bodyState` says that the text was cut, or never read, `_redaction` that it was changed: size is as it was.
    if size is None or size == length or body.get("_bodyState") is not None or "_redaction" in entry:
        return
    # A mimeType may be bare, as browsers write it: then the header field has the charset.
    types = (_text(body, "mimeType") or "", _content_type(_object(entry, "response")))
    if encoding or all(size != _length_in_charset(text, content_type) for content_type in types):
        yield Fault(f"{place}.response.content.size", f"{size} is not the length of the decoded text: {length}", "size")


def compression(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2 on compression: "Number of bytes saved"; on bodySize: `response.bodySize` + compression is the size."""
    response, body = _object(entry, "response"), _object(entry, "response", "content")
    saved, size, wire = _number(body, "compression"), _number(body, "size"), _number(response, "bodySize")
    if saved is None or size is None or wire is None or size < 0 or wire < 0:
        return
    if saved != size - wire:
        yield Fault(
            f"{place}.response.content.compression",
            f"{saved} is not size - bodySize: {size} - {wire}",
            "compression",
        )


def post_data(entry: dict[str, Any], place: str) -> _Faults:
    """`postData.encoding`, proposed for HAR 1.3, is base64, and the text is that."""
    body = _object(entry, "request", "postData")
    text, encoding = _text(body, "text"), _text(body, "encoding")
    if text is None:
        return
    try:
        body_bytes(text, encoding)
    except HarFormatError as error:
        yield _encoding_fault(error, f"{place}.request.postData", encoding)


def urls(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "url [string] - Absolute URL of the request (fragments are not included)"; redirectURL the like."""
    url = _text(_object(entry, "request"), "url")
    if url is not None:
        at = f"{place}.request.url"
        if not _is_absolute(url):
            yield Fault(at, f"is not an absolute URL: {describe(url)}", "url")
        # RFC 3986, section 2: a URI is made of ASCII, everything else is percent-encoded.
        if not _VISIBLE_ASCII.fullmatch(url):
            yield Fault(at, f"has characters that are not percent-encoded: {describe(url)}", "url")
        if "#" in url:
            yield Fault(at, f"has a fragment: {describe(url)}", "url")
    target = _text(_object(entry, "response"), "redirectURL")
    if target and not _is_absolute(target):
        yield Fault(f"{place}.response.redirectURL", f"is neither empty nor absolute: {describe(target)}", "url")


def status(entry: dict[str, Any], place: str) -> _Faults:
    """RFC 9110, section 15: "a three-digit integer code"; 0: there was no response."""
    code = _number(_object(entry, "response"), "status")
    if isinstance(code, int) and code not in _STATUSES and code != 0:
        yield Fault(f"{place}.response.status", f"is neither 0 nor of three digits: {code}", "status")


def no_response(entry: dict[str, Any], place: str) -> _Faults:
    """A request without a response looks as Chrome writes it; anything else makes importers fail or show nonsense."""
    response = _object(entry, "response")
    if _number(response, "status") != 0:
        return
    at = f"{place}.response"
    expected = {"statusText": "", "cookies": [], "headers": [], "headersSize": -1, "bodySize": -1}
    for name, value in expected.items():
        # Of another type: the structure's fault.
        if isinstance(response.get(name), type(value)) and response[name] != value:
            yield _unanswered_fault(f"{at}.{name}", value, response[name])
    body = _object(entry, "response", "content")
    for name, value in {"size": 0, "mimeType": "x-unknown"}.items():
        if isinstance(body.get(name), type(value)) and body[name] != value:
            yield _unanswered_fault(f"{at}.content.{name}", value, body[name])
    if response.get("_transferSize") != 0:
        yield _unanswered_fault(f"{at}._transferSize", 0, response.get("_transferSize"))
    if not _text(response, "_error"):
        yield Fault(f"{at}._error", "does not say why there is no response (status 0)", "no-response")


def server_ip_address(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "IP address of the server that was connected (result of DNS resolution)"; left out when not known."""
    text = _text(entry, "serverIPAddress")
    if text is None:
        return
    try:
        ipaddress.ip_address(text)
    except ValueError:
        hint = ", write it without brackets" if text.startswith("[") else ""
        yield Fault(f"{place}.serverIPAddress", f"is not an IP address{hint}: {describe(text)}", "ip-address")


def connection(entry: dict[str, Any], place: str) -> _Faults:
    """Chrome shows it behind the address as a port, haralyzer computes with it: decimal digits."""
    text = _text(entry, "connection")
    if text is not None and not (text.isascii() and text.isdigit()):
        yield Fault(f"{place}.connection", f"is not a port number: {describe(text)}", "connection")


def cookie_dates(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: "expires [string, optional] - Cookie expiration time. (ISO 8601 ...)"."""
    for side in ("request", "response"):
        cookies = _object(entry, side).get("cookies")
        for index, cookie in enumerate(cookies if isinstance(cookies, list) else ()):
            text = _text(cookie, "expires") if isinstance(cookie, dict) else None
            if text is not None and (fault := _date_fault(text, f"{place}.{side}.cookies[{index}].expires")):
                yield fault


def cache_dates(entry: dict[str, Any], place: str) -> _Faults:
    """HAR 1.2: `expires` and `lastAccess` are dates; empty ones, as in the specification's example, say nothing."""
    for state in ("beforeRequest", "afterRequest"):
        for name in ("expires", "lastAccess"):
            text = _text(_object(entry, "cache", state), name)
            if text and (fault := _date_fault(text, f"{place}.cache.{state}.{name}")):
                yield fault


def chunks(entry: dict[str, Any], place: str) -> _Faults:
    """PerfCascade draws `_chunks` at their `ts`, milliseconds, and stumbles over what is no object."""
    for at, chunk in _items(entry, "_chunks", place):
        if not isinstance(chunk, dict):
            yield Fault(at, f"is not an object: {describe(chunk)}", "chunk")
            continue
        size = _number(chunk, "bytes")
        if _number(chunk, "ts") is None:
            yield Fault(f"{at}.ts", f"is not a number: {describe(chunk.get('ts'))}", "chunk")
        if size is None or size < 0:
            yield Fault(f"{at}.bytes", f"is not a size: {describe(chunk.get('bytes'))}", "chunk")


def event_source_messages(entry: dict[str, Any], place: str) -> _Faults:
    """Chrome leaves out a message without time, name or id, and rejects the file for one that is no object.

    Its export "sanitized" leaves out `data`.
    """
    for at, message in _items(entry, "_eventSourceMessages", place):
        if not isinstance(message, dict):
            yield Fault(at, f"is not an object: {describe(message)}", "event")
            continue
        if _number(message, "time") is None:
            yield Fault(f"{at}.time", f"is not a number: {describe(message.get('time'))}", "event")
        for name in ("eventName", "eventId", "data"):
            if not isinstance(message.get(name, "" if name == "data" else None), str):
                yield Fault(f"{at}.{name}", f"is not a string: {describe(message.get(name))}", "event")


def _items(entry: dict[str, Any], name: str, place: str) -> Iterator[tuple[str, Any]]:
    """Place and value of each item; a null has its fault already."""
    found = entry.get(name)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if item is not None:
            yield f"{place}.{name}[{index}]", item


def _object(holder: dict[str, Any], *path: str) -> dict[str, Any]:
    value: Any = holder
    for name in path:
        value = value.get(name)
        if not isinstance(value, dict):
            return {}
    return value  # type: ignore[no-any-return] # an object, checked in the loop


def _text(holder: dict[str, Any], name: str) -> str | None:
    value = holder.get(name)
    return value if isinstance(value, str) else None


def _number(holder: dict[str, Any], name: str) -> int | float | None:
    """A number that can be reckoned with: not one beyond what a float holds, which JSON may well have."""
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -sys.float_info.max <= value <= sys.float_info.max else None


def _content_type(response: dict[str, Any]) -> str:
    fields = response.get("headers")
    for field in fields if isinstance(fields, list) else ():
        if isinstance(field, dict) and (_text(field, "name") or "").lower() == "content-type":
            return _text(field, "value") or ""
    return ""


def _are_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_TOLERANCE_RELATIVE, abs_tol=_TOLERANCE_MS)


def _date_fault(text: str, place: str) -> Fault | None:
    try:
        parse_instant(text)
    except HarFormatError as error:
        return Fault(place, f"is {error.message}", "date")
    return None


def _encoding_fault(error: HarFormatError, place: str, encoding: str | None) -> Fault:
    if (encoding or "").lower() == "base64":
        return Fault(f"{place}.text", f"is {error.message}", "body")
    return Fault(f"{place}.encoding", f"is an {error.message}", "body")


def _length_in_charset(text: str, mime_type: str) -> int | None:
    """Return the length before the text was transcoded to UTF-8: `size` may be that of what was received."""
    match = _CHARSET.search(mime_type)
    try:
        return len(text.encode(match[1])) if match else None
    except (LookupError, UnicodeError):
        return None


def _is_absolute(url: str) -> bool:
    """RFC 3986, section 4.3, where a scheme that names a host has one: `about:blank` and `data:` are absolute."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme) and (bool(parts.hostname) or parts.scheme not in _SCHEMES_WITH_HOST)


def _unanswered_fault(place: str, expected: Any, found: Any) -> Fault:
    words = "an empty array" if expected == [] else describe(expected)
    return Fault(place, f"is not {words} although there was no response (status 0): {describe(found)}", "no-response")


ENTRY_RULES: tuple[_Rule, ...] = (
    started_date_time,
    phases,
    ssl_in_connect,
    time_is_sum,
    urls,
    status,
    no_response,
    sizes,
    content,
    compression,
    post_data,
    cookie_dates,
    cache_dates,
    server_ip_address,
    connection,
    chunks,
    event_source_messages,
)
