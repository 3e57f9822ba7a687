"""Entries, pages and counts as events of OpenTelemetry, and back: plain Python values.

The rule: the entry is one attribute, JSON text, and nothing of it is lost there. All other attributes are for filters
and for people who read logs: they are not read back. Their names are the semantic conventions' where those have one.

    event                  own attributes
    otel_har.entry         otel_har.entry.json, otel_har.entry.id, otel_har.page.id, otel_har.page.json
    otel_har.part          instead of otel_har.entry.json: otel_har.part.index, otel_har.part.count, otel_har.part.data
    otel_har.page          otel_har.page.id, otel_har.page.json: a page that changed after its entries were sent
    otel_har.document      otel_har.document.json: what a HAR file has beside entries and pages
    otel_har.statistics    otel_har.statistics.dropped_entries ...: what was lost since the last event of that kind

What is made of a HAR file has otel_har.document.id as well, which is the same for all of the file.

A receiver of OTLP may get a record twice: when the answer to a request is lost, the request is sent again. Such records
have the same `otel_har.entry.id`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from otel_har.errors import HarFormatError
from otel_har.har.bodies import without_surrogates
from otel_har.har.models import Content, Entry, Page, PostData
from otel_har.otlp.exact import exact_json

ENTRY_EVENT = "otel_har.entry"
PART_EVENT = "otel_har.part"
PAGE_EVENT = "otel_har.page"
STATISTICS_EVENT = "otel_har.statistics"
DOCUMENT_EVENT = "otel_har.document"

ENTRY_JSON = "otel_har.entry.json"
ENTRY_ID = "otel_har.entry.id"
PAGE_ID = "otel_har.page.id"
PAGE_JSON = "otel_har.page.json"
REDACTION = "otel_har.redaction"
"""The policy by which the entry was redacted, `default` or `strict`; not there where it was not."""
DOCUMENT_ID = "otel_har.document.id"
DOCUMENT_JSON = "otel_har.document.json"
PART_INDEX = "otel_har.part.index"
PART_COUNT = "otel_har.part.count"
PART_DATA = "otel_har.part.data"
_STATISTICS = "otel_har.statistics."

REQUEST_BODY = "http.request.body.content"
RESPONSE_BODY = "http.response.body.content"

Value: TypeAlias = str | int | float | bool | bytes
"""What an attribute of ours may be."""

INFO, WARN = 9, 13
"""OpenTelemetry, "Logs Data Model", SeverityNumber."""

SAMPLED = 1
"""The trace flags of every entry: a span that is not sampled never becomes one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_UNIX_NS = (1 << 63) - 1  # the fields are unsigned; stores of logs have signed ones
_MAX_INTEGER = (1 << 63) - 1
_METHODS = frozenset("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY".split())
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_VERSION = re.compile(r"(?:https?|h)/?(\d(?:\.\d)?)", re.IGNORECASE)
_TEXTUAL = re.compile(r"text/|.*(?:/|\+)(?:json|xml|yaml)$|application/x-www-form-urlencoded$")
_HEX = re.compile(r"[0-9a-fA-F]*")
_TEXT_OF_BODY = 1024  # characters of what is shown to people
_CHARACTER_BYTES = 4  # the most of one in UTF-8


@dataclass(frozen=True, slots=True)
class Event:
    """A log record with an event name.

    Attributes:
        name: The event's name.
        attributes: By name.
        text: What a person reads: the record's body.
        time_unix_ns: When it happened, nanoseconds since the epoch; 0: not known.
        severity: `INFO` or `WARN`.
        trace_id: 16 bytes, or none.
        span_id: 8 bytes, or none.
        flags: W3C trace flags.
    """

    name: str
    attributes: Mapping[str, Value] = field(default_factory=dict)
    text: str = ""
    time_unix_ns: int = 0
    severity: int = INFO
    trace_id: bytes = b""
    span_id: bytes = b""
    flags: int = 0


def entry_event(
    entry: Entry,
    page: Page | None = None,
    *,
    redaction: str | None = None,
    with_bodies: bool = False,
    as_given: bool = False,
) -> Event:
    """The event of an entry. Its id is made from the entry, and so the same whenever the same entry is sent again.

    Args:
        entry: The entry.
        page: Its page.
        redaction: The policy by which it was redacted.
        with_bodies: Whether the bodies are attributes of their own, too, by the semantic conventions' rules.
        as_given: Whether neutral values are left out that stand for what a file lacked.

    Raises:
        ValueError, RecursionError: A custom field of it has no form in JSON.
    """
    text = exact_json(entry, as_given=as_given)
    attributes = _filterable(entry)
    if with_bodies:
        attributes |= _bodies(entry)
    if page is not None:
        attributes |= _of_page(page, as_given=as_given)
    elif entry.pageref:
        attributes[PAGE_ID] = _sendable(entry.pageref)
    if redaction is not None:
        attributes[REDACTION] = redaction
    attributes[ENTRY_ID] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    attributes[ENTRY_JSON] = text
    severity = INFO if entry.response.status else WARN
    return Event(ENTRY_EVENT, attributes, _shown(entry), _unix_ns(entry), severity, *_context(entry.otel))


def page_event(page: Page, *, redaction: str | None = None, as_given: bool = False) -> Event:
    """The event of a page that changed after its entries were sent."""
    attributes = _of_page(page, as_given=as_given)
    if redaction is not None:
        attributes[REDACTION] = redaction
    return Event(PAGE_EVENT, attributes, without_surrogates(page.title), _unix_ns(page))


def statistics_event(counts: Mapping[str, int], time_unix_ns: int = 0) -> Event:
    """The event that tells what was lost since the last one of its kind.

    Args:
        counts: By name, as `dropped_entries`; those that are 0 are left out.
        time_unix_ns: Now.
    """
    told: dict[str, Value] = {_STATISTICS + name: count for name, count in counts.items() if count}
    text = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items() if count)
    return Event(STATISTICS_EVENT, told, text, time_unix_ns, WARN)


def document_event(text: str) -> Event:
    """The event of what a HAR file has beside its entries and pages.

    Args:
        text: The file's JSON without these; `pages` is an empty list where it has some.
    """
    return Event(DOCUMENT_EVENT, {DOCUMENT_JSON: text}, "a HAR file")


def document_of(event: Event) -> dict[str, Any]:
    """What an `otel_har.document` tells.

    Raises:
        HarFormatError: It has none.
    """
    found = _json_of(event, DOCUMENT_JSON)
    if not isinstance(found, dict):
        raise HarFormatError(f"the attribute {DOCUMENT_JSON} is no object")
    return found


def entry_of(event: Event) -> Entry:
    """The entry of an `otel_har.entry`.

    Raises:
        HarFormatError: It has none.
        pydantic.ValidationError: It is no entry of HAR.
    """
    return Entry.model_validate(_json_of(event, ENTRY_JSON))


def page_of(event: Event) -> Page | None:
    """The page that came with an entry, or of an `otel_har.page`; None without one.

    Raises:
        HarFormatError: It is no JSON.
        pydantic.ValidationError: It is no page of HAR.
    """
    return Page.model_validate(_json_of(event, PAGE_JSON)) if PAGE_JSON in event.attributes else None


def counts_of(event: Event) -> dict[str, int]:
    """What an `otel_har.statistics` tells, by name."""
    return {
        name.removeprefix(_STATISTICS): value
        for name, value in event.attributes.items()
        if name.startswith(_STATISTICS) and isinstance(value, int) and value > 0
    }


def parts_of(event: Event, max_bytes: int) -> list[Event]:
    """The event of an entry in parts, whose JSON text is at most so many bytes each; each has the other attributes.

    Where it is cut the text and the number of parts say, and nothing else: parts of the same entry that tell the same
    number fit together whoever divided it, and when. Of another number they do not.

    Bodies as attributes of their own are left out: they stand in the JSON text.
    """
    attributes = dict(event.attributes)
    data = str(attributes.pop(ENTRY_JSON)).encode()
    for name in (REQUEST_BODY, RESPONSE_BODY):
        attributes.pop(name, None)
    # A cut goes back to where a character begins, at most 3 bytes.
    count = max(1, math.ceil(len(data) / max(1, max_bytes - _CHARACTER_BYTES)))
    return [
        replace(
            event,
            name=PART_EVENT,
            attributes={**attributes, PART_INDEX: index, PART_COUNT: count, PART_DATA: piece},
        )
        for index, piece in enumerate(_cut(data, count))
    ]


def joined(parts: Sequence[Event]) -> Event:
    """The event of an entry from its parts, in any order; those that came twice count once.

    Raises:
        HarFormatError: A part is missing, or they are not of one entry.
    """
    by_index = {part.attributes.get(PART_INDEX): part for part in parts}
    counts = {part.attributes.get(PART_COUNT) for part in parts}
    ids = {part.attributes.get(ENTRY_ID) for part in parts}
    count = next(iter(counts), None)
    if len(counts) != 1 or len(ids) != 1 or not isinstance(count, int):
        raise HarFormatError("these are not the parts of one entry")
    if set(by_index) != set(range(count)):
        raise HarFormatError(f"there are {len(by_index)} of the {count} parts of an entry")
    ordered = [by_index[index] for index in range(count)]
    attributes = {
        name: value for name, value in ordered[0].attributes.items() if name not in {PART_INDEX, PART_COUNT, PART_DATA}
    }
    attributes[ENTRY_JSON] = "".join(str(part.attributes.get(PART_DATA, "")) for part in ordered)
    return replace(ordered[0], name=ENTRY_EVENT, attributes=attributes)


def _json_of(event: Event, name: str) -> Any:
    text = event.attributes.get(name)
    if not isinstance(text, str):
        raise HarFormatError(f"an event {event.name} without the attribute {name}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise HarFormatError(f"the attribute {name} is no JSON: {fault}") from fault


def _of_page(page: Page, *, as_given: bool) -> dict[str, Value]:
    return {PAGE_ID: without_surrogates(page.id), PAGE_JSON: exact_json(page, as_given=as_given)}


def _filterable(entry: Entry) -> dict[str, Value]:
    """What semantic conventions for HTTP client spans say of the exchange; what is not known is left out."""
    request, response = entry.request, entry.response
    method = request.method.upper()
    found: dict[str, Any] = {"http.request.method": method if method in _METHODS else "_OTHER"}
    if request.method != found["http.request.method"]:
        found["http.request.method_original"] = request.method
    found["url.full"] = request.url
    found |= _server(request.url)
    found["http.response.status_code"] = response.status or None
    found["error.type"] = _error_type(entry)
    found["http.request.body.size"] = request.body_size
    found["http.response.body.size"] = response.body_size
    found["network.protocol.version"] = _version(response.http_version or request.http_version)
    found["network.peer.address"] = entry.server_ip_address
    found["network.peer.port"] = entry.server_port
    return {name: value for name, raw in found.items() if (value := _simple(raw)) is not None}


def _simple(value: object) -> str | int | None:
    """A text or a count as protobuf takes it; None for what is not known."""
    if isinstance(value, str):
        return _sendable(value) or None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_INTEGER:
        return int(value)
    return None


def _sendable(text: str) -> str:
    """A text that protobuf takes."""
    return text if text.isascii() else without_surrogates(text)


def _server(url: str) -> dict[str, object]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    return {"server.address": parts.hostname, "server.port": port}


def _version(http_version: str) -> str | None:
    """`HTTP/1.1` is 1.1, `h2` and `HTTP/2.0` are 2."""
    found = _VERSION.fullmatch(http_version)
    if found is None:
        return None
    return found[1] if found[1].startswith("1") else found[1].removesuffix(".0")


def _error_type(entry: Entry) -> str | None:
    """Semantic conventions, HTTP client span: the status where it is an error, the exception's type otherwise."""
    of_span = entry.otel.get("attributes") if isinstance(entry.otel, dict) else None
    told = of_span.get("error.type") if isinstance(of_span, dict) else None
    if isinstance(told, str) and told:
        return told
    status = entry.response.status
    if status >= 400:  # noqa: PLR2004 - the first status of an error (RFC 9110, 15)
        return str(status)
    return None if status and entry.response.error is None else "_OTHER"


def _context(otel: object) -> tuple[bytes, bytes, int]:
    """Trace id, span id and flags; none unless both ids are what they should be."""
    if not isinstance(otel, dict):
        return b"", b"", 0
    trace_id, span_id = _identifier(otel.get("traceId"), 16), _identifier(otel.get("spanId"), 8)
    return (trace_id, span_id, SAMPLED) if trace_id and span_id else (b"", b"", 0)


def _identifier(value: object, size: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * size or not _HEX.fullmatch(value):
        return b""
    found = bytes.fromhex(value)
    return found if any(found) else b""


def _bodies(entry: Entry) -> dict[str, Value]:
    sent = entry.request.post_data
    found = {REQUEST_BODY: _body(sent), RESPONSE_BODY: _body(entry.response.content)}
    return {name: value for name, value in found.items() if value is not None}


def _body(part: PostData | Content | None) -> str | bytes | None:
    """A body by the semantic conventions: text if it is textual, bytes otherwise, never base64 in text."""
    if part is None or not part.text:
        return None
    if not part.encoding and _is_textual(part.mime_type):
        return without_surrogates(part.text)
    try:
        return part.body()
    except HarFormatError:
        return None


def _is_textual(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    return _TEXTUAL.match(media_type.strip().lower()) is not None or "charset=" in parameters.lower()


def _shown(entry: Entry) -> str:
    outcome = entry.response.status or _error_type(entry)
    return _sendable(f"{entry.request.method} {entry.request.url[:_TEXT_OF_BODY]} {outcome}")


def _unix_ns(model: Entry | Page) -> int:
    try:
        found = (model.started_at - _EPOCH) // timedelta(microseconds=1) * 1000
    except (HarFormatError, OverflowError):
        return 0
    return found if 0 <= found <= _MAX_UNIX_NS else 0


def _cut(data: bytes, count: int) -> Iterator[str]:
    """So many texts, about as long as each other: no character is cut."""
    start = 0
    for index in range(1, count + 1):
        end = len(data) * index // count
        while end < len(data) and data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte within a character of UTF-8
            end -= 1
        yield data[start:end].decode()
        start = end
