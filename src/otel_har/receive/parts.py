"""Entries that came in parts, put together again.

The rule: parts wait in memory, so for a bounded number of bytes, all that a part takes counted. Who was told OK for a
part is not robbed of it for a newcomer: newcomers have to come again, as long as those that wait get on. The entry that
waits longest always has room for its next part, so that some entry gets whole.

A sender may divide an entry anew, because what it sent was too large: the parts of each division are for themselves.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from otel_har.errors import HarFormatError
from otel_har.otlp.event import ENTRY_ID, PAGE_ID, PAGE_JSON, PART_COUNT, PART_DATA, PART_INDEX, REDACTION, Event
from otel_har.receive.duplicates import Window

PATIENCE_S = 60.0
"""So long an entry may wait for its next part when others need the room, seconds."""

_MAX_PARTS = 10_000
_BYTES_BESIDE = 1_000  # what a part takes beside its texts
_KEPT = (ENTRY_ID, PAGE_ID, PAGE_JSON, REDACTION, PART_INDEX, PART_COUNT, PART_DATA)
_logger = logging.getLogger("otel_har")


class PartsFullError(Exception):
    """There is no room for a part now."""


class RefusedPartError(HarFormatError):
    """A part of an entry that was refused before."""


@dataclass(slots=True)
class _Unfinished:
    """An entry that waits for parts, by the number of parts that it was divided into."""

    divisions: dict[int, dict[int, Event]] = field(default_factory=dict)
    size_bytes: int = 0
    came_s: float = 0.0


class Parts:
    """Where parts wait for the others of their entry.

    Args:
        max_bytes: The most bytes in memory of parts that wait; the entry that waits longest may have as many again.
        patience_s: So long an entry may wait for its next part when others need the room, seconds. Until then there is
            no room for others; with 0 there always is.
        clock: The time that it goes by, seconds.
    """

    def __init__(self, max_bytes: int, *, patience_s: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._clock = clock
        self._waiting: OrderedDict[bytes, _Unfinished] = OrderedDict()
        self._bytes = 0
        self._lost = Window()
        self._done = Window()
        self._refused = Window()

    @property
    def unfinished_entries(self) -> int:
        """How many entries wait for further parts, or had to go before all were there."""
        return len(self._lost) + sum(key not in self._lost for key in self._waiting)

    def put(self, key: bytes, part: Event) -> Sequence[Event] | None:
        """Take a part; all parts of the entry once they are there. They stay until the entry is settled.

        Args:
            key: The identity of its entry.
            part: The part.

        Raises:
            HarFormatError: It is no part of an entry, or the entry is too large.
            RefusedPartError: The entry was refused before.
            PartsFullError: There is no room now.
        """
        index, count = _place(part)
        if key in self._refused:
            raise RefusedPartError("a part of an entry that was refused")
        if key in self._done:
            return None
        part = _slim(part)
        size_bytes = _size(part)
        self._drop_other_division(key, part, index, count)
        division = self._waiting[key].divisions.get(count, {}) if key in self._waiting else {}
        if index not in division:
            self._make_room(key, size_bytes)
            unfinished = self._waiting.setdefault(key, _Unfinished())
            division = unfinished.divisions.setdefault(count, {})
            division[index] = part
            unfinished.size_bytes += size_bytes
            self._bytes += size_bytes
        self._waiting[key].came_s = self._clock()
        if len(division) < count:
            return None
        self._lost.discard(key)
        return list(division.values())

    def settle(self, key: bytes) -> None:
        """The entry was delivered; until then a part may come again, alone, because it could not be."""
        self._forget(key)
        self._done.add(key)

    def refuse(self, key: bytes) -> None:
        """The entry cannot be taken: neither will further parts of it."""
        self._forget(key)
        self._refused.add(key)

    def _forget(self, key: bytes) -> None:
        unfinished = self._waiting.pop(key, None)
        if unfinished is not None:
            self._bytes -= unfinished.size_bytes

    def _drop_other_division(self, key: bytes, part: Event, index: int, count: int) -> None:
        """What an entry was divided into before, by another size that happened to give as many parts."""
        unfinished = self._waiting.get(key)
        there = unfinished.divisions.get(count, {}).get(index) if unfinished is not None else None
        if unfinished is None or there is None or there.attributes.get(PART_DATA) == part.attributes.get(PART_DATA):
            return
        size_bytes = sum(map(_size, unfinished.divisions.pop(count).values()))
        unfinished.size_bytes -= size_bytes
        self._bytes -= size_bytes

    def _make_room(self, key: bytes, size_bytes: int) -> None:
        now_s = self._clock()
        while self._bytes + size_bytes > self._max_bytes:
            oldest, unfinished = next(iter(self._waiting.items()), (key, None))
            if unfinished is None or oldest == key:
                break
            if now_s - unfinished.came_s < self._patience_s:
                raise PartsFullError
            self._drop(oldest)
        own = self._waiting.get(key)
        if size_bytes + (own.size_bytes if own is not None else 0) > self._max_bytes:
            self.refuse(key)
            raise HarFormatError(f"an entry in parts takes more than {self._max_bytes} bytes")

    def _drop(self, key: bytes) -> None:
        if not len(self._lost):
            _logger.warning("otel-har: an entry is lost: its parts did not all come (further ones are only counted)")
        self._forget(key)
        self._lost.add(key)


def _place(part: Event) -> tuple[int, int]:
    index, count = part.attributes.get(PART_INDEX), part.attributes.get(PART_COUNT)
    if not isinstance(index, int) or not isinstance(count, int) or not 0 <= index < count <= _MAX_PARTS:
        raise HarFormatError("a part of an entry without its place")
    return index, count


def _slim(part: Event) -> Event:
    """A part without what is not read back."""
    kept = {name: value for name in _KEPT if isinstance(value := part.attributes.get(name), str | int)}
    return replace(part, attributes=kept, text="", trace_id=part.trace_id[:16], span_id=part.span_id[:8])


def _size(part: Event) -> int:
    return _BYTES_BESIDE + sum(sys.getsizeof(value) for value in part.attributes.values())
