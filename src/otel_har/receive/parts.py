"""Entries that came in parts, put together again.

The rule: parts wait in memory, so for a bounded number of bytes. What waits longest goes first, and is counted.
"""

from __future__ import annotations

from collections import OrderedDict

from otel_har.errors import HarFormatError
from otel_har.otlp.event import ENTRY_ID, PART_COUNT, PART_DATA, PART_INDEX, Event, joined
from otel_har.receive.duplicates import Window

_MAX_PARTS = 10_000


class Parts:
    """Where parts wait for the others of their entry.

    Args:
        max_bytes: The most characters of parts that wait.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[str, dict[int, Event]] = OrderedDict()
        self._bytes = 0
        self._lost = Window()

    @property
    def unfinished_entries(self) -> int:
        """How many entries wait for further parts, or had to go before all were there."""
        return len(self._lost) + sum(name.encode() not in self._lost for name in self._waiting)

    def put(self, part: Event) -> Event | None:
        """Take a part; the whole event once all its parts are there. They stay until they are forgotten.

        Raises:
            HarFormatError: It is no part of an entry.
        """
        entry_id, index, count = (part.attributes.get(name) for name in (ENTRY_ID, PART_INDEX, PART_COUNT))
        if not isinstance(index, int) or not isinstance(count, int) or not 0 <= index < count <= _MAX_PARTS:
            raise HarFormatError("a part of an entry without its place")
        name = str(entry_id)
        parts = self._waiting.setdefault(name, {})
        if index not in parts:
            parts[index] = part
            self._bytes += _length(part)
        if len(parts) == count:
            self._lost.discard(name.encode())
            return joined(list(parts.values()))
        while self._bytes > self._max_bytes:
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            self._lost.add(oldest.encode())
        return None

    def forget(self, entry_id: str) -> None:
        """The entry was delivered; until then a part may come again, alone, because it could not be."""
        self._bytes -= sum(map(_length, self._waiting.pop(entry_id, {}).values()))


def _length(part: Event) -> int:
    return len(str(part.attributes.get(PART_DATA, "")))
