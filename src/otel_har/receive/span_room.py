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


class SpanRoom:
    """Where the entries of spans wait.

    Args:
        wait_s: How long, seconds.
    """

    def __init__(self, wait_s: float = DEFAULT_WAIT_S) -> None:
        self._wait_s = wait_s
        self._waiting: OrderedDict[bytes, tuple[float, Arrival]] = OrderedDict()
        self._told = Window()  # spans of which an event came

    def sorted_out(self, arrivals: Iterable[Arrival], now_s: float) -> list[Arrival]:
        """What goes on at once; entries of spans stay here."""
        found: list[Arrival] = []
        for arrival in arrivals:
            if not arrival.is_span:
                if arrival.span:
                    self._told.add(arrival.span)
                    self._waiting.pop(arrival.span, None)
                found.append(arrival)
            elif arrival.entry is None:
                found.append(arrival)
            elif arrival.span not in self._told:
                self._waiting.setdefault(arrival.span, (now_s + self._wait_s, arrival))
        return found

    def due(self, now_s: float) -> list[Arrival]:
        """Those that waited long enough, or for which there is no more room."""
        found = []
        while self._waiting:
            due_s, arrival = next(iter(self._waiting.values()))
            if due_s > now_s and len(self._waiting) <= _MAX_WAITING:
                break
            self._waiting.popitem(last=False)
            found.append(arrival)
        return found

    def put_back(self, arrivals: Iterable[Arrival], due_s: float) -> None:
        """Those that were due, and were not taken: they wait until then."""
        for arrival in arrivals:
            self._waiting[arrival.span] = due_s, arrival
