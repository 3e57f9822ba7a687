"""Records to a receiver, in requests below its limit.

The rule: of every record it is known what became of it. What the receiver took leaves the queue, what it refused for
good leaves it and is counted, and what it may take later stays, in its order.

An entry that alone is over the limit goes in parts, each a record of its own, which lose nothing: a body that is cut
to the limit would lose all of a download but its beginning, and costs as much. What reads logs without knowing parts
sees all that filters ask for in each of them. Whoever holds such an entry, a queue or a file of the spool, holds it
whole until the last part is taken: should a part be too large, or the process begin anew, all of it is divided anew.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_har.export.sending.answers import Answer, Later, Refused, Taken, TooLarge, Transport
from otel_har.export.sending.limits import MIN_REQUEST_BYTES
from otel_har.otlp.event import ENTRY_EVENT, ENTRY_ID, ENTRY_JSON, Event, parts_of
from otel_har.otlp.logs import (
    Origin,
    empty_bytes,
    event_of,
    log_record,
    origins_in,
    record_bytes,
    request_of,
)

_PART_FRAME_BYTES = 256  # index, count and data of a part, without the data's own bytes
_MIN_PART_BYTES = 1024
_TRY_MORE_AFTER = 64  # requests that were taken: a limit that was found may have been another one's
_MAX_PAUSE_S = 300.0

Records = deque[LogRecord]


class Sender:
    """Sends records, one request at a time.

    Args:
        transport: Carries the requests.
        max_request_bytes: The most bytes of a request, before compression.
        timeout_s: How long one request may take, seconds.

    Attributes:
        taken_records: Records that the receiver took.
        lost_entries: Entries that it refused for good.
        fault: What it said last of those.
        not_before: When to send again, on the monotonic clock.
    """

    def __init__(self, transport: Transport, max_request_bytes: int, timeout_s: float) -> None:
        self.transport = transport
        self._max_bytes = self._limit_bytes = max_request_bytes
        self._timeout_s = timeout_s
        self._since_limit = 0
        self._division: _Division | None = None
        self.taken_records = 0
        self.lost_entries = 0
        self.fault = ""
        self.not_before = 0.0

    def send(self, records: Records, origin: Origin, end: float | None = None) -> Later | None:
        """Send records, those that the receiver took or refused for good leave the queue.

        Args:
            records: What to send.
            origin: Where they come from.
            end: When to stop, on the monotonic clock.

        Returns:
            Why the rest stays, if it does.
        """
        while records:
            if self._is_divided(records[0], origin):
                later = self._send_in_parts(records, origin, end)
                if later is not None:
                    return later
                continue
            later = self._may_not(end)
            if later is not None:
                return later
            count = self._fitting(records, origin)
            data = request_of(itertools.islice(records, count), origin).SerializeToString()
            answer = self._sent(data, end)
            if isinstance(answer, Later):
                return answer
            if isinstance(answer, TooLarge):
                self._learn_limit(len(data), origin, itertools.islice(records, count))
                if len(data) > MIN_REQUEST_BYTES:
                    continue
            self._account(answer, [records.popleft() for _ in range(count)])
        return None

    def send_again(self, data: bytes, end: float | None = None) -> bytes:
        """Send a request that was laid out before; what of it stays, for later."""
        answer: Answer = TooLarge("")
        if len(data) <= self._limit_bytes:
            answer = self._may_not(end) or self._sent(data, end)
        if isinstance(answer, Later):
            return data
        try:
            found = list(origins_in(ExportLogsServiceRequest.FromString(data)))
        except DecodeError:
            self.fault = "a file in the spool is no request of OTLP"
            return b""
        if not isinstance(answer, TooLarge):
            self._account(answer, [record for _, records in found for record in records])
            return b""
        rest = []
        for origin, some in found:
            if len(data) <= self._limit_bytes:
                self._learn_limit(len(data), origin, some)
            records = deque(some)
            self.send(records, origin, end)
            if records:
                rest.append(request_of(records, origin).SerializeToString())
        return b"".join(rest)  # messages of protobuf that follow each other are one: repeated fields add up

    def laid_out(self, records: Records, origin: Origin) -> Iterable[tuple[bytes, int]]:
        """Records as requests, each with the number of its entries; they leave the queue when the next is asked for.

        A record that alone is over the limit is a request, too: it is divided when it is sent.
        """
        while records:
            some = list(itertools.islice(records, max(1, self._fitting(records, origin))))
            yield request_of(some, origin).SerializeToString(), entries_in(some)
            for _ in some:
                records.popleft()

    def _is_divided(self, record: LogRecord, origin: Origin) -> bool:
        """Whether a record goes in parts: one of which some were sent does to its end."""
        if self._division is not None and not self._division.is_of(record):
            self._division = None
        return self._division is not None or empty_bytes(origin) + record_bytes(record) > self._limit_bytes

    def _send_in_parts(self, records: Records, origin: Origin, end: float | None) -> Later | None:
        """Send the first record in parts. It stays until the last one is taken, to be divided anew where need be."""
        whole = records[0]
        if self._division is None:
            event = event_of(whole)
            self._division = _Division(event, deque(self._parts(event, whole, origin)))
        answer: Answer = Refused("an entry does not fit into a request")
        for part in self._division.left():
            later = self._may_not(end)
            if later is not None:
                return later
            record = log_record(part, whole.observed_time_unix_nano)
            data = request_of([record], origin).SerializeToString()
            answer = self._sent(data, end)
            if isinstance(answer, Later):
                return answer
            if isinstance(answer, TooLarge) and len(data) > MIN_REQUEST_BYTES:
                self._learn_limit(len(data), origin, [record])
                self._division = None
                return None
            if not isinstance(answer, Taken) or answer.rejected:
                break
            self._note_taken(1)
        self._division = None
        records.popleft()
        if not isinstance(answer, Taken) or answer.rejected:
            self._lose([whole], answer.message or "a part of an entry was rejected")
        return None

    def _parts(self, event: Event, record: LogRecord, origin: Origin) -> list[Event]:
        """The parts of a record; none where it is no entry, or has no room in a request."""
        if event.name != ENTRY_EVENT:
            return []
        bare = replace(event, attributes={n: v for n, v in event.attributes.items() if n not in _LONG})
        taken = record_bytes(log_record(bare, record.observed_time_unix_nano)) + _PART_FRAME_BYTES
        room = self._limit_bytes - empty_bytes(origin) - taken
        return parts_of(event, room) if room >= _MIN_PART_BYTES else []

    def _may_not(self, end: float | None) -> Later | None:
        now = time.monotonic()
        if now < self.not_before:
            return Later("the receiver asked not to be sent anything for now", self.not_before - now)
        return Later("the time is over") if end is not None and now >= end else None

    def _sent(self, data: bytes, end: float | None) -> Taken | TooLarge | Later | Refused:
        left_s = self._timeout_s if end is None else min(self._timeout_s, end - time.monotonic())
        answer = self.transport.send(data, max(0.001, left_s))
        if isinstance(answer, Later) and answer.delay_s is not None:
            self.not_before = time.monotonic() + min(answer.delay_s, _MAX_PAUSE_S)
        return answer

    def _fitting(self, records: Records, origin: Origin) -> int:
        """How many records fit into one request, from the first on."""
        size = empty_bytes(origin)
        count = 0
        for record in records:
            size += record_bytes(record)
            if size > self._limit_bytes:
                break
            count += 1
        return count

    def _learn_limit(self, refused_bytes: int, origin: Origin, records: Iterable[LogRecord]) -> None:
        """Of several records fewer may be taken; only one that is refused alone has to be divided."""
        alone = empty_bytes(origin) + max(map(record_bytes, records))
        half = max(MIN_REQUEST_BYTES, min(self._limit_bytes, refused_bytes) // 2)
        self._limit_bytes = max(half, alone) if alone < refused_bytes else half
        self._since_limit = 0

    def _account(self, answer: Taken | TooLarge | Refused, records: list[LogRecord]) -> None:
        if isinstance(answer, Taken):
            rejected = min(answer.rejected, len(records))
            self._note_taken(len(records) - rejected)
            if rejected:
                self._lose(records, answer.message or "some records were rejected", rejected)
        else:
            self._lose(records, answer.message)

    def _note_taken(self, records: int) -> None:
        self.taken_records += records
        self._since_limit += 1
        if self._since_limit >= _TRY_MORE_AFTER:
            self._limit_bytes = min(self._max_bytes, 2 * self._limit_bytes)
            self._since_limit = 0

    def _lose(self, records: Iterable[LogRecord], fault: str, most: int | None = None) -> None:
        lost = entries_in(records)
        self.lost_entries += lost if most is None else min(most, lost)
        self.fault = fault


class _Division:
    """An entry some parts of which may have been sent.

    Args:
        event: The whole.
        parts: Its parts.
    """

    def __init__(self, event: Event, parts: deque[Event]) -> None:
        self._event = event
        self._parts = parts

    def is_of(self, record: LogRecord) -> bool:
        """Whether it is of this record, which may have been made anew from the same entry."""
        found = event_of(record)
        return all(found.attributes.get(name) == self._event.attributes.get(name) for name in (ENTRY_ID, ENTRY_JSON))

    def left(self) -> Iterator[Event]:
        """The parts that are still to be sent, each of which was when the next one is asked for."""
        while self._parts:
            yield self._parts[0]
            self._parts.popleft()


_LONG = frozenset({ENTRY_JSON, "http.request.body.content", "http.response.body.content"})


def entries_in(records: Iterable[LogRecord]) -> int:
    """How many of the records are entries."""
    return sum(record.event_name == ENTRY_EVENT for record in records)
