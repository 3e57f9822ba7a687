"""How a body came, piece by piece, to the entry's extension members that tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from otel_har.exchange import Exchange
from otel_har.mapping.bodies import decode_content
from otel_har.mapping.event_stream import MEDIA_TYPE, ServerSentEvent, server_sent_events
from otel_har.mapping.headers import Fields

_MOST_CHUNKS = 1_000
_MOST_MESSAGES = 10_000
_MOST_ID_CHARACTERS = 4 * 1024 * 1024  # of all together: an id that came once is written with each message behind it
_NS_PER_MS = 1e6
_NS_PER_S = 1e9


def har_streaming(exchange: Exchange, response: dict[str, Any], page_started_unix_ns: int) -> dict[str, Any]:
    """`_chunks` and `_eventSourceMessages`.

    Args:
        exchange: The facts.
        response: The exchange's `response` object.
        page_started_unix_ns: When the entry's page started, nanoseconds since the Unix epoch.
    """
    content = response["content"]
    members: dict[str, Any] = {}
    if content["mimeType"] == MEDIA_TYPE:
        messages, is_cut = _messages(exchange)
        if messages:
            members["_eventSourceMessages"] = messages
        if is_cut:
            members["comment"] = f"_eventSourceMessages: the first {len(messages)}"
    chunks = _chunks(exchange, page_started_unix_ns)
    if len(chunks) > 1:
        members["_chunks"] = chunks
    return members


def _chunks(exchange: Exchange, page_started_unix_ns: int) -> list[dict[str, Any]]:
    """The pieces in which the program received the body, as PerfCascade draws them.

    Its `Chunk`: `ts`, a float, milliseconds since the page's start, where the time axis has its zero; `bytes`, an
    integer. Its `bytes` are those of the encoded data; here they are those that the program got, and their sum is
    the length of what it read.
    """
    clock_to_page_ns = exchange.started_unix_ns - exchange.instants.started - page_started_unix_ns
    chunks, begin = [], 0
    for instant, offset in exchange.response_body.arrivals.merged(_MOST_CHUNKS):
        chunks.append({"ts": round((instant + clock_to_page_ns) / _NS_PER_MS, 3), "bytes": offset - begin})
        begin = offset
    return chunks


def _messages(exchange: Exchange) -> tuple[list[dict[str, Any]], bool]:
    """Chrome's `_eventSourceMessages`, and whether there are more of them; `time` in seconds since the epoch.

    Chrome's import leaves out a message that lacks its time, name or id.
    """
    body = exchange.response_body
    # The bytes: `content.text` may be in another charset, but events are UTF-8.
    stream, coding = body.kept(), ", ".join(Fields(exchange.response_headers).values("content-encoding"))
    is_coded = body.encoded and bool(coding)
    if is_coded:
        decoded = decode_content(stream, coding, body.limit_bytes)
        stream = b"" if decoded is None else decoded.data
    events = server_sent_events(stream)
    # Offsets in what the program decoded itself say nothing of the events: only that all have come in the end.
    pieces = list(body.arrivals)[-1:] if is_coded else body.arrivals
    clock_to_unix_ns = exchange.started_unix_ns - exchange.instants.started
    messages: list[dict[str, Any]] = []
    id_characters = 0
    for event, instant in _with_arrivals(events, pieces, exchange.instants.started):
        id_characters += len(event.id)
        if len(messages) == _MOST_MESSAGES or id_characters > _MOST_ID_CHARACTERS:
            return messages, True
        messages.append(
            {
                "time": round((instant + clock_to_unix_ns) / _NS_PER_S, 6),
                "eventName": event.name,
                "eventId": event.id,
                "data": event.data,
            }
        )
    return messages, False


def _with_arrivals(
    events: Iterable[ServerSentEvent], pieces: Iterable[tuple[int, int]], started: int
) -> Iterator[tuple[ServerSentEvent, int]]:
    """Each event with the instant at which the piece came that completed it."""
    coming = iter(pieces)
    instant, offset = started, 0
    for event in events:
        while offset < event.end:
            instant, offset = next(coming, (instant, event.end))
        yield event, instant
