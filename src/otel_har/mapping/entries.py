"""A record to a HAR entry, by the profile that every consumer accepts.

The rule: pure, and total. Any facts give an entry that the checker accepts; what is not known is -1 or left out,
never guessed, and what is missing of a body is said.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta, timezone
from typing import Any

from otel_har.har.models import Entry, Page, PageTimings
from otel_har.mapping.connection import har_connection
from otel_har.mapping.event_stream import MEDIA_TYPE
from otel_har.mapping.headers import Headers
from otel_har.mapping.initiator import har_initiator
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.mapping.otel import har_otel
from otel_har.mapping.request import har_request
from otel_har.mapping.response import har_response
from otel_har.mapping.spans import exchange_from_span
from otel_har.mapping.streaming import har_streaming
from otel_har.mapping.timings import phases
from otel_har.mapping.websocket import har_websocket, known_instants, with_frames
from otel_har.record import HarRecord, PageFacts

_NO_HOOK = "from the span's attributes: no hook captured this exchange"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_MICROSECOND = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
_LAST_MICROSECOND = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)


def entry_from_record(record: HarRecord, options: MappingOptions = DEFAULT_OPTIONS) -> Entry:
    """The entry of one exchange, or of a span alone where no hook captured one."""
    return Entry.model_validate(har_entry(record, options))


def har_entry(record: HarRecord, options: MappingOptions = DEFAULT_OPTIONS) -> dict[str, Any]:
    """The same as JSON has it."""
    hooked = record.exchange is not None
    exchange = record.exchange if record.exchange is not None else exchange_from_span(record.span)
    taken = phases(known_instants(exchange))
    request = har_request(exchange, options)
    response = with_frames(har_response(exchange, record.span, taken), exchange)
    streaming = har_streaming(exchange, response, record.page.started_unix_ns)
    websocket = har_websocket(exchange)
    entry: dict[str, Any] = {
        "pageref": record.page.id,
        "startedDateTime": iso_8601(exchange.started_unix_ns),
        "time": taken.total_ms,
        "request": request,
        "response": response,
        "cache": {},
        "timings": taken.as_har(),
        **har_connection(exchange),
        **har_initiator(exchange.initiator),
        "_resourceType": _resource_type(request["headers"], response["content"]),
        **streaming,
        **websocket,
        "_otel": har_otel(record.span, record.process),
    }
    comments = [members["comment"] for members in (streaming, websocket) if "comment" in members]
    comments += [] if hooked else [_NO_HOOK]
    if comments:
        entry["comment"] = "; ".join(comments)
    return entry


def page_from_facts(facts: PageFacts) -> Page:
    """The page of a trace, or of the program's run."""
    return Page(
        started_date_time=iso_8601(facts.started_unix_ns),
        id=facts.id,
        title=facts.title,
        page_timings=PageTimings(on_content_load=-1, on_load=facts.on_load_ms),
    )


def iso_8601(unix_ns: int) -> str:
    """A point in time as HAR writes it: ISO 8601, UTC, microseconds."""
    microseconds = min(max(unix_ns // 1000, _FIRST_MICROSECOND), _LAST_MICROSECOND)
    return f"{_second(microseconds // 1_000_000)}.{microseconds % 1_000_000:06d}Z"


@functools.lru_cache(64)
def _second(unix_s: int) -> str:
    """Many entries start within one second."""
    return (_EPOCH + timedelta(seconds=unix_s)).isoformat(timespec="seconds").removesuffix("+00:00")


def _resource_type(request_headers: Headers, content: dict[str, Any]) -> str:
    """Chrome's name for the kind of exchange; what asks for a WebSocket is one, whatever the answer."""
    for header in request_headers:
        if header["name"].lower() == "upgrade":
            if header["value"].lower() == "websocket":
                return "websocket"
            break
    return "eventsource" if content["mimeType"] == MEDIA_TYPE else "fetch"
