"""What tells an event from all others, however often it is sent.

The rule: a sender that got no answer sends the same again, so what is the same in all it says is one. An entry that
says no id of its own is known by its text, its time and its span. Whatever the network says, an identity is short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from otel_har.otlp.event import ENTRY_ID, ENTRY_JSON, Event

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


def has_id(event: Event) -> bool:
    """Whether an entry, or a part of one, says an id."""
    return bool(_id(event))


def identity_of(event: Event, number: int = 0) -> bytes:
    """That of an entry, or of the entry that a part is of.

    Args:
        event: The event.
        number: Which one it is of those in a message that are the same and say no id.
    """
    told = _id(event)
    if told:
        return _digest("id", event.trace_id, event.span_id, told)
    text = str(event.attributes.get(ENTRY_JSON, ""))
    return _digest("text", event.trace_id, event.span_id, str(event.time_unix_ns), text, str(number))


def identity_of_counts(event: Event, resource: Mapping[str, str]) -> bytes:
    """That of an event that tells what was lost."""
    told = sorted((name, str(value)) for name, value in event.attributes.items())
    return _digest("counts", str(event.time_unix_ns), repr(told), repr(sorted(resource.items())))


def span_of(event: Event) -> bytes:
    """The trace and the span of an event; empty where it tells none."""
    is_told = len(event.trace_id) == _TRACE_ID_BYTES and len(event.span_id) == _SPAN_ID_BYTES
    return event.trace_id + event.span_id if is_told else b""


def _id(event: Event) -> str:
    told = event.attributes.get(ENTRY_ID)
    return str(told) if isinstance(told, str | int) else ""


def _digest(*facts: str | bytes) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for fact in facts:
        data = fact.encode("utf-8", "surrogatepass") if isinstance(fact, str) else fact
        made.update(b"%d:" % len(data))
        made.update(data)
    return made.digest()
