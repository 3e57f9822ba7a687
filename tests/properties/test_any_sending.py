"""Whatever a receiver answers, each entry reaches it once or is counted, and no request is over the limit."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.export.sending.answers import Answer, Later, Refused, Taken, TooLarge
from otel_har.export.sending.limits import MIN_REQUEST_BYTES
from otel_har.export.sending.sender import Records, Sender
from otel_har.har.models import Content, Entry, Request, Response
from otel_har.otlp.event import ENTRY_EVENT, ENTRY_ID, PART_EVENT, Event, entry_event, joined
from otel_har.otlp.logs import Origin, events_in, log_record

_ORIGIN = Origin({"service.name": "s"})
_ANSWERS = st.sampled_from(["taken", "later", "refused", "smaller"])


class _Transport:
    """Takes requests up to a limit, and answers as it is told, then takes everything."""

    def __init__(self, answers: list[str], limit_bytes: int) -> None:
        self._answers = answers
        self._limit_bytes = limit_bytes
        self.taken: list[Event] = []
        self.refused: list[Event] = []
        self.largest_bytes = 0

    def send(self, data: bytes, timeout_s: float) -> Answer:
        assert timeout_s > 0
        self.largest_bytes = max(self.largest_bytes, len(data))
        answer = self._answers.pop(0) if self._answers else "taken"
        if answer == "smaller":
            self._limit_bytes = max(MIN_REQUEST_BYTES * 2, self._limit_bytes // 2)
        if len(data) > self._limit_bytes:
            return TooLarge("too large")
        if answer == "later":
            return Later("later")
        events = [event for _, event in events_in(ExportLogsServiceRequest.FromString(data))]
        if answer == "refused":
            self.refused += events
            return Refused("no")
        self.taken += events
        return Taken()

    def close(self) -> None:
        """Nothing is open."""

    def forget(self) -> None:
        """Nothing is open."""


def _entry(number: int, size: int) -> Entry:
    return Entry(
        started_date_time="2030-01-01T00:00:00Z",
        time=number,
        request=Request(url="http://h.test/"),
        response=Response(status=200, content=Content(text="ä" * size)),
    )


def _whole(events: list[Event]) -> list[object]:
    """The ids of entries all of which is there, in the order in which they became whole."""
    found: list[object] = []
    parts: dict[tuple[object, object], list[Event]] = {}
    for event in events:
        if event.name == ENTRY_EVENT:
            found.append(event.attributes[ENTRY_ID])
        elif event.name == PART_EVENT:
            count = event.attributes["otel_har.part.count"]
            some = parts.setdefault((event.attributes[ENTRY_ID], count), [])
            some.append(event)
            if {one.attributes["otel_har.part.index"] for one in some} == set(range(int(count))):
                found.append(joined(some).attributes[ENTRY_ID])
                parts.clear()
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 100_000), max_size=8),
    st.lists(_ANSWERS, max_size=8),
    st.integers(MIN_REQUEST_BYTES, 200_000),
    st.integers(MIN_REQUEST_BYTES * 2, 400_000),
)
def test_any_answers(sizes: list[int], answers: list[str], limit_bytes: int, of_receiver_bytes: int) -> None:
    """What is taken comes once and in order; what is missing was refused, and is counted."""
    transport = _Transport(answers, of_receiver_bytes)
    sender = Sender(transport, limit_bytes, 10)
    events = [entry_event(_entry(number, size)) for number, size in enumerate(sizes)]
    records: Records = deque(map(log_record, events))
    while sender.send(records, _ORIGIN) is not None:
        pass
    ids = [event.attributes[ENTRY_ID] for event in events]
    whole = _whole(transport.taken)
    refused = {event.attributes[ENTRY_ID] for event in transport.refused}
    assert [name for name in ids if name not in refused] == whole
    assert len(refused) == sender.lost_entries
    assert transport.largest_bytes <= limit_bytes


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 100_000), max_size=5), st.integers(MIN_REQUEST_BYTES * 2, 400_000))
def test_laid_out_and_sent_again(sizes: list[int], of_receiver_bytes: int) -> None:
    """What was laid out for later reaches a receiver with a smaller limit whole; what alone is over it is cut later."""
    sender = Sender(_Transport([], 0), 150_000, 10)
    events = [entry_event(_entry(number, size)) for number, size in enumerate(sizes)]
    laid_out = list(sender.laid_out(deque(map(log_record, events)), _ORIGIN))
    assert all(len(data) <= 150_000 or entries == 1 for data, entries in laid_out)
    assert len(events) == sum(entries for _, entries in laid_out)
    transport = _Transport([], of_receiver_bytes)
    again = Sender(transport, 200_000, 10)
    assert [b""] * len(laid_out) == [again.send_again(data) for data, _ in laid_out]
    assert [event.attributes[ENTRY_ID] for event in events] == _whole(transport.taken)
