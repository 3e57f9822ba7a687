"""Records to a receiver, in requests below its limit.

The rule: of every record it is known what became of it. What the receiver took leaves the queue, what it refused for
good leaves it and is counted, and what it may take later stays, in its order.

An entry that alone is over the limit goes in parts, each a record of its own, which lose nothing: a body that is cut
to the limit would lose all of a download but its beginning, and costs as much. What reads logs without knowing parts
sees all that filters ask for in each of them.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_har.errors import HarFormatError
from otel_har.export.otlp_answers import Later, Refused, Taken, TooLarge, Transport
from otel_har.export.otlp_limits import MIN_REQUEST_BYTES
from otel_har.otlp.event import ENTRY_EVENT, ENTRY_ID, ENTRY_JSON, PART_EVENT, PART_INDEX, Event, joined, parts_of
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
        self._last_lost: str | None = None
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
            later = self._may_not(end)
            if later is not None:
                return later
            count = self._fitting(records, origin)
            if not count:
                self._divide(records, origin)
                continue
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
            self._learn_limit(len(data), origin, some)
            records = deque(some)
            self.send(records, origin, end)
            if records:
                rest.append(request_of(records, origin).SerializeToString())
        return b"".join(rest)  # messages of protobuf that follow each other are one: repeated fields add up

    def laid_out(self, records: Records, origin: Origin) -> Iterable[tuple[bytes, int]]:
        """Records as requests, each with the number of its entries; they leave the queue when the next is asked for."""
        while records:
            count = self._fitting(records, origin)
            if not count:
                self._divide(records, origin)
                continue
            some = list(itertools.islice(records, count))
            yield request_of(some, origin).SerializeToString(), len(_ids(some))
            for _ in some:
                records.popleft()

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
            self.taken_records += len(records) - rejected
            self._since_limit += 1
            if self._since_limit >= _TRY_MORE_AFTER:
                self._limit_bytes = min(self._max_bytes, 2 * self._limit_bytes)
                self._since_limit = 0
            if rejected:
                self._lose(records, answer.message or "some records were rejected", rejected)
        else:
            self._lose(records, answer.message)

    def _lose(self, records: Iterable[LogRecord], fault: str, most: int | None = None) -> None:
        """Count the entries that are lost; one whose parts are refused one by one counts once."""
        ids = _ids(records)
        if self._last_lost is not None:
            ids.pop(self._last_lost, None)
        self._last_lost = next((key for key in reversed(ids) if isinstance(key, str)), self._last_lost)
        self.lost_entries += len(ids) if most is None else min(most, len(ids))
        self.fault = fault

    def _divide(self, records: Records, origin: Origin) -> None:
        """Put smaller records in the place of the first, which alone is over the limit."""
        first = records.popleft()
        event = event_of(first)
        whole: Event | None = event if event.name == ENTRY_EVENT else None
        others: list[LogRecord] = []
        if event.name == PART_EVENT:
            others = _of_same_entry(records, event)
            whole = _whole([event, *map(event_of, others)])
        pieces = self._pieces(whole, first.observed_time_unix_nano, origin) if whole is not None else []
        if not pieces:
            self._lose([first, *others], "an entry does not fit into a request")
        records.extendleft(reversed(pieces))

    def _pieces(self, event: Event, observed_unix_ns: int, origin: Origin) -> list[LogRecord]:
        bare = replace(event, attributes={n: v for n, v in event.attributes.items() if n not in _LONG})
        taken = empty_bytes(origin) + record_bytes(log_record(bare, observed_unix_ns)) + _PART_FRAME_BYTES
        room = self._limit_bytes - taken
        if room < _MIN_PART_BYTES:
            return []
        return [log_record(part, observed_unix_ns) for part in parts_of(event, room)]


_LONG = frozenset({ENTRY_JSON, "http.request.body.content", "http.response.body.content"})


def entries_in(records: Iterable[LogRecord]) -> int:
    """How many entries there are, in whole or in part."""
    return len(_ids(records))


def _ids(records: Iterable[LogRecord]) -> dict[int | str, None]:
    """A key for each entry, in their order: its place, or where it comes in parts its id."""
    found: dict[int | str, None] = {}
    for index, record in enumerate(records):
        if record.event_name == ENTRY_EVENT:
            found[index] = None
        elif record.event_name == PART_EVENT:
            found[str(event_of(record).attributes.get(ENTRY_ID))] = None
    return found


def _of_same_entry(records: Records, part: Event) -> list[LogRecord]:
    """The parts that follow, of the same entry; they leave the queue."""
    found = []
    while records and records[0].event_name == PART_EVENT:
        if event_of(records[0]).attributes.get(ENTRY_ID) != part.attributes.get(ENTRY_ID):
            break
        found.append(records.popleft())
    return found


def _whole(parts: list[Event]) -> Event | None:
    """The entry, where none of its parts was sent yet."""
    try:
        return joined(parts) if parts[0].attributes.get(PART_INDEX) == 0 else None
    except HarFormatError:
        return None
