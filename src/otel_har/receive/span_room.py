"""Entries of spans, which wait whether an event of the same span comes.

The rule: an event tells more than its span. Whichever comes first, there is one entry of the two; what waited long
enough alone goes its way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from otel_har.receive.decoding import Arrival
from otel_har.receive.duplicates import Window

DEFAULT_WAIT_S = 10.0
_MAX_WAITING = 10_000
_MAX_CHARACTERS = 32 * 1024 * 1024  # about, of all of them


class SpanRoom:
    """Where the entries of spans wait.

    Args:
        wait_s: How long, seconds.
    """

    def __init__(self, wait_s: float = DEFAULT_WAIT_S) -> None:
        self._wait_s = wait_s
        self._waiting: OrderedDict[bytes, tuple[float, Arrival]] = OrderedDict()
        self._characters = 0
        self._told = Window()  # spans of which an event came

    def sorted_out(self, arrivals: Iterable[Arrival], now_s: float) -> list[Arrival]:
        """What goes on at once; entries of spans stay here."""
        found: list[Arrival] = []
        for arrival in arrivals:
            if not arrival.is_span:
                if arrival.span:
                    self._told.add(arrival.span)
                    self._pop(arrival.span)
                found.append(arrival)
            elif arrival.entry is None:
                found.append(arrival)
            elif arrival.span not in self._told and arrival.span not in self._waiting:
                self._put(arrival, now_s + self._wait_s)
        return found

    def due(self, now_s: float) -> list[Arrival]:
        """Those that waited long enough, or for which there is no more room."""
        found = []
        while self._waiting:
            due_s, arrival = next(iter(self._waiting.values()))
            if due_s > now_s and self._has_room():
                break
            self._pop(arrival.span)
            found.append(arrival)
        return found

    def put_back(self, arrivals: Iterable[Arrival], due_s: float) -> int:
        """Those that were due, and were not taken: they wait until then. For so many there was no room."""
        lost = 0
        for arrival in arrivals:
            if self._has_room():
                self._put(arrival, due_s)
            else:
                lost += 1
        return lost

    def _has_room(self) -> bool:
        return len(self._waiting) <= _MAX_WAITING and self._characters <= _MAX_CHARACTERS

    def _put(self, arrival: Arrival, due_s: float) -> None:
        self._pop(arrival.span)
        self._waiting[arrival.span] = due_s, arrival
        self._characters += _characters(arrival)

    def _pop(self, span: bytes) -> None:
        there = self._waiting.pop(span, None)
        if there is not None:
            self._characters -= _characters(there[1])


def _characters(arrival: Arrival) -> int:
    """About how much an entry of a span says: it has no bodies."""
    return len(repr(arrival.entry.otel)) if arrival.entry is not None else 0
