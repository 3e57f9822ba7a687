"""Messages as they come to entries, pages and counts with where they are from.

The rule: what comes from the network may be anything. One record that cannot be read costs that record, and is told to
the sender; what is not ours is counted and left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from otel_har.errors import HarFormatError
from otel_har.export.interfaces import HarStatistics
from otel_har.guard import attempted, report
from otel_har.har.models import Entry, HarModel, Page
from otel_har.otlp.event import (
    DOCUMENT_EVENT,
    ENTRY_EVENT,
    ENTRY_JSON,
    PAGE_EVENT,
    PAGE_JSON,
    PART_EVENT,
    REDACTION,
    STATISTICS_EVENT,
    Event,
    counts_of,
    entry_of,
    joined,
    page_of,
)
from otel_har.otlp.json_form import request_from_json
from otel_har.otlp.logs import Origin, events_in
from otel_har.otlp.traces import entries_of_spans
from otel_har.receive.counting import check_json, check_protobuf
from otel_har.receive.depth import MOST_LEVELS, is_too_deep
from otel_har.receive.identity import has_id, identity_of, identity_of_counts, span_of
from otel_har.receive.inflating import BrokenMessageError, inflated
from otel_har.receive.intake import Message, Signal
from otel_har.receive.parts import Parts, PartsFullError, RefusedPartError

Resource = Mapping[str, str]
_COUNTS = frozenset(HarStatistics.__dataclass_fields__)
_MOST_OF_PAGE = 65_536  # characters of its JSON: pages are kept in memory
_MOST_COUNT = 1_000_000_000  # of what is lost between two events that tell of it: more is not to be believed


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that came.

    Attributes:
        resource: Where it comes from: the resource's attributes as texts.
        identity: The same whenever it is sent again, and else never.
        entry: An entry, if it is one.
        page: Its page, or one that changed.
        statistics: What was lost.
        redaction: The policy by which it was redacted.
        is_span: Whether it was a span, of which an event may tell more.
        span: The entry's trace and span, if it tells them.
        parts_of: The identity of an entry that came in parts, which may be forgotten once it is delivered.
    """

    resource: Resource
    identity: bytes = b""
    entry: Entry | None = None
    page: Page | None = None
    statistics: HarStatistics = field(default_factory=HarStatistics)
    redaction: str | None = None
    is_span: bool = False
    span: bytes = b""
    parts_of: bytes | None = None


@dataclass(slots=True)
class Decoded:
    """What a message had.

    Attributes:
        arrivals: What is to be delivered.
        rejected: How many records were ours and could not be read.
        rejected_parts: How many further ones were parts of entries that had been rejected before.
        fault: What was wrong with the first of them.
        foreign: How many records were not ours.
        is_without_room: Whether there was a part for which there is no room now.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    rejected: int = 0
    rejected_parts: int = 0
    fault: str = ""
    foreign: int = 0
    is_without_room: bool = False


class Decoder:
    """Reads messages.

    Args:
        most_bytes: The most bytes of one, decompressed.
        with_spans: Whether spans become entries.
        parts: Where parts of entries wait for the others.
    """

    def __init__(self, most_bytes: int, *, with_spans: bool, parts: Parts | None = None) -> None:
        self._most_bytes = most_bytes
        self._with_spans = with_spans
        self.parts = parts or Parts(most_bytes)

    def decoded(self, message: Message) -> Decoded:
        """What a message has.

        Raises:
            MessageTooLargeError: It has too many bytes, or too many records.
            BrokenMessageError: It is not an export request.
        """
        if message.signal is Signal.METRICS:
            return Decoded()
        data = inflated(message.data, message.coding, self._most_bytes)
        if message.signal is Signal.LOGS:
            return self.of_logs(_parsed(data, ExportLogsServiceRequest(), is_json=message.is_json))
        request = _parsed(data, ExportTraceServiceRequest(), is_json=message.is_json)
        return of_spans(request) if self._with_spans else Decoded()

    def of_logs(self, request: ExportLogsServiceRequest) -> Decoded:
        """What a request with log records has."""
        return self.of_events(events_in(request))

    def of_events(self, events: Iterable[tuple[Origin, Event]]) -> Decoded:
        """What events have, with where they come from."""
        found = Decoded()
        texts: tuple[Mapping[str, Any], Resource] = {}, {}
        same: Counter[bytes] = Counter()
        for origin, event in events:
            if texts[0] is not origin.resource:
                texts = origin.resource, resource_texts(origin.resource)
            arrival = attempted(partial(self._arrival, event, texts[1], same))
            if isinstance(arrival, BaseException):
                _note(arrival, event, found)
            elif arrival is not None:
                found.arrivals.append(arrival)
            elif event.name not in {PART_EVENT, DOCUMENT_EVENT}:
                found.foreign += 1
        return found

    def _arrival(self, event: Event, resource: Resource, same: Counter[bytes]) -> Arrival | None:
        if event.name == PART_EVENT:
            return self._of_part(event, resource, same)
        redaction = event.attributes.get(REDACTION)
        told = redaction if isinstance(redaction, str) and redaction in {"default", "strict"} else None
        if event.name == ENTRY_EVENT:
            entry = entry_of(event)
            _must_be_flat(entry, event, ENTRY_JSON)
            identity = identity_of(event)
            if not has_id(event):
                same[identity] += 1
                identity = identity_of(event, same[identity])
            return Arrival(resource, identity, entry, _page(event), redaction=told, span=span_of(event))
        if event.name == PAGE_EVENT:
            return Arrival(resource, page=_page(event), redaction=told)
        if event.name == STATISTICS_EVENT:
            return Arrival(resource, identity_of_counts(event, resource), statistics=_statistics(event))
        return None

    def _of_part(self, event: Event, resource: Resource, same: Counter[bytes]) -> Arrival | None:
        if not has_id(event):
            raise HarFormatError("a part of an entry without the entry's id")
        key = identity_of(event)
        found = self.parts.put(key, event)
        if found is None:
            return None
        try:
            arrival = self._arrival(joined(found), resource, same)
        except Exception:
            self.parts.refuse(key)
            raise
        return replace(arrival, parts_of=key) if arrival is not None else None


def _note(fault: BaseException, event: Event, found: Decoded) -> None:
    """Note why a record was not taken."""
    if isinstance(fault, PartsFullError):
        found.is_without_room = True
        return
    if not isinstance(fault, HarFormatError | ValidationError | RecursionError):
        report("reading a record", fault)
    if isinstance(fault, RefusedPartError):
        found.rejected_parts += 1
    else:
        found.rejected += 1
    found.fault = found.fault or f"{event.name}: {_short(fault)}"


def _page(event: Event) -> Page | None:
    if len(str(event.attributes.get(PAGE_JSON, ""))) > _MOST_OF_PAGE:
        raise HarFormatError(f"a page of more than {_MOST_OF_PAGE} characters")
    page = page_of(event)
    if page is not None:
        _must_be_flat(page, event, PAGE_JSON)
    return page


def _must_be_flat(model: HarModel, event: Event, name: str) -> None:
    if is_too_deep(model, str(event.attributes[name])):
        raise HarFormatError(f"it has more than {MOST_LEVELS} levels of objects and lists")


def _statistics(event: Event) -> HarStatistics:
    counts = {name: value for name, value in counts_of(event).items() if name in _COUNTS}
    if any(value > _MOST_COUNT for value in counts.values()):
        raise HarFormatError(f"a count of more than {_MOST_COUNT}")
    return HarStatistics(**counts)


def of_spans(request: ExportTraceServiceRequest) -> Decoded:
    """What a request with spans has; a span that does not fit in an entry is left out."""
    found = Decoded()
    for told in entries_of_spans(request):
        otel: Any = told.entry.otel if told.entry is not None else {}
        span = bytes.fromhex(otel["traceId"] + otel["spanId"]) if otel else b""
        found.arrivals.append(
            Arrival(resource_texts(told.resource), b"span:" + span, told.entry, told.page, is_span=True, span=span)
        )
    return found


def resource_texts(resource: Mapping[str, Any]) -> Resource:
    """The attributes of a resource that are plain values, as texts."""
    return {name: str(value) for name, value in resource.items() if isinstance(value, str | int | float)}


def _parsed(data: bytes, request: Any, *, is_json: bool) -> Any:
    try:
        if is_json:
            check_json(data)
            return request_from_json(data, request)
        check_protobuf(data, request.DESCRIPTOR)
        request.ParseFromString(data)
    except (HarFormatError, DecodeError) as fault:
        raise BrokenMessageError(f"no export request: {_short(fault)}") from None
    return request


def _short(fault: BaseException) -> str:
    """What is wrong, in one line and without the values: it goes into others' logs."""
    if isinstance(fault, ValidationError):
        first = fault.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(fault, HarFormatError | DecodeError):
        return str(fault).partition("\n")[0][:200]
    return type(fault).__name__
