"""What is made of a HAR file in OTLP, so that the same file can be made of it again.

The rule: an entry is sent as the file has it, in the file's order, marked with the id of the file. The pages follow in
their order, and last the event `otel_har.document` with everything else that the file has: its `creator`, `browser` and
`comment`, custom members. Entries that are equal have ids of their own, by how often they came.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from otel_har.har.models import Har, Log
from otel_har.otlp.event import DOCUMENT_ID, ENTRY_ID, Event, document_event, entry_event, page_event
from otel_har.otlp.exact import exact_json
from otel_har.receive.decoding import Arrival

_MAX_KNOWN = 100_000  # as many entries as a receiver knows again


@dataclass(frozen=True, slots=True)
class DocumentArrival(Arrival):
    """Something of a HAR file.

    Attributes:
        document: The id of the file.
        about: What it has beside entries and pages, its JSON, if it is that.
    """

    document: str = ""
    about: Mapping[str, Any] | None = None


_OF_ARRIVAL = tuple(one.name for one in fields(Arrival))


def of_document(arrival: Arrival, document: str) -> DocumentArrival:
    """What arrived, as something of a file."""
    return DocumentArrival(**{name: getattr(arrival, name) for name in _OF_ARRIVAL}, document=document)


def of_no_document(arrival: Arrival) -> Arrival:
    """What arrived, without the file that it is of."""
    return Arrival(**{name: getattr(arrival, name) for name in _OF_ARRIVAL})


def id_of(beginning: bytes) -> str:
    """The id of a file that begins so: the same when it is converted again."""
    return hashlib.blake2b(beginning, digest_size=16).hexdigest()


def about(log: Log, beside: Mapping[str, Any]) -> dict[str, Any]:
    """What a file has beside entries and pages.

    Args:
        log: Its log.
        beside: What it has beside the log.
    """
    found: dict[str, Any] = json.loads(exact_json(Har(log=log, **beside), as_given=True))
    if found["log"].get("pages"):
        found["log"]["pages"] = []
    return found


class DocumentEvents:
    """Makes events of what files have."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, int] = OrderedDict()

    def of(self, arrivals: Iterable[DocumentArrival]) -> Iterator[Event]:
        """The events, in their order."""
        for arrival in arrivals:
            event = self._event(arrival)
            if event is not None:
                yield replace(event, attributes={**event.attributes, DOCUMENT_ID: arrival.document})

    def _event(self, arrival: DocumentArrival) -> Event | None:
        if arrival.entry is not None:
            return self._told_apart(
                entry_event(arrival.entry, arrival.page, redaction=arrival.redaction, as_given=True)
            )
        if arrival.page is not None:
            return page_event(arrival.page, redaction=arrival.redaction, as_given=True)
        return None if arrival.about is None else document_event(json.dumps(arrival.about, separators=(",", ":")))

    def _told_apart(self, event: Event) -> Event:
        """With another id, where an entry like this came before."""
        name = str(event.attributes[ENTRY_ID])
        before = self._known.pop(name, 0)
        self._known[name] = before + 1
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return replace(event, attributes={**event.attributes, ENTRY_ID: f"{name}-{before}"}) if before else event
