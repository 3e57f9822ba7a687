"""Entries to their destinations, and what each sender is told.

The rule: an entry counts as delivered, and is known again, when its exporter has taken it. A sender is told OK when all
that it sent is. What the destination may take later is asked for again; what was delivered of it is not delivered
twice. Where an entry cannot be written, whatever is done to it, it is rejected alone: what came with it is found out by
delivering again in halves.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from otel_har.errors import DestinationError
from otel_har.export.files.standing import weakest
from otel_har.export.interfaces import HarBatch, HarExportResult, HarStatistics
from otel_har.guard import attempted, report
from otel_har.receive.answers import Answer, Verdict
from otel_har.receive.decoding import Arrival, Decoded, Decoder
from otel_har.receive.destinations import Destinations
from otel_har.receive.duplicates import Window
from otel_har.receive.inflating import BrokenMessageError, MessageTooLargeError
from otel_har.receive.intake import Message
from otel_har.receive.span_room import SpanRoom

_RETRY_S = 2
_UPKEEP_S = 1.0
_MAX_PAGES = 1000
_WORST_FIRST = (Verdict.FAILED, Verdict.BUSY)
_MOST_MISSES = 1000  # in a row: then it is the exporter that is broken
_UNWRITABLE = Answer(Verdict.OK, "an entry cannot be written", rejected=1)
_FAILED = Answer(Verdict.FAILED, "the destination failed")
_UNREADABLE = Answer(Verdict.FAILED, "the receiver could not read it")
_NO_ROOM_FOR_PARTS = Answer(Verdict.BUSY, "too many parts of entries wait for others", retry_after_s=_RETRY_S)


@dataclass(slots=True)
class Tally:
    """What became of all that came.

    Attributes:
        entries: Delivered.
        duplicates: Came again.
        failed_entries: Were not delivered, and will not come again, or could not be read.
        foreign_records: Were not of this recorder's.
        messages: Export requests.
        refused: Of them, those that were not taken or not delivered.
        statistics: What senders lost.
    """

    entries: int = 0
    duplicates: int = 0
    failed_entries: int = 0
    foreign_records: int = 0
    messages: int = 0
    refused: int = 0
    statistics: HarStatistics = field(default_factory=HarStatistics)


class Deliverer:
    """Delivers messages, on one thread.

    Args:
        decoder: Reads them.
        destinations: Where entries go.
        window: Knows what was delivered.
        spans: Where entries of spans wait, whether an event of the same span comes.
    """

    def __init__(self, decoder: Decoder, destinations: Destinations, window: Window, spans: SpanRoom) -> None:
        self._decoder = decoder
        self._destinations = destinations
        self._window = window
        self._spans = spans
        self._rejected = Window()
        self._upkeep_due_s = 0.0
        self._untold = HarStatistics()
        self._pages: OrderedDict[str, Arrival] = OrderedDict()  # that came alone, lately
        self.tally = Tally()

    def deliver(self, messages: Sequence[Message]) -> Sequence[Answer]:
        """Deliver messages together: for each what is said to its sender. With none, do what time brings."""
        now_s = time.monotonic()
        if not messages or now_s >= self._upkeep_due_s:
            self._upkeep_due_s = now_s + _UPKEEP_S
            self._destinations.upkeep()
        answers = self.take([self._read(message) for message in messages])
        self.tally.messages += len(messages)
        self.tally.refused += sum(answer.verdict is not Verdict.OK for answer in answers)
        return answers

    def take(self, read: Sequence[Decoded | Answer]) -> Sequence[Answer]:
        """Deliver what messages had; what was answered already stays so."""
        now_s = time.monotonic()
        for found in read:
            if isinstance(found, Decoded):
                self.tally.failed_entries += found.rejected
                self.tally.foreign_records += found.foreign
                found.arrivals = self._spans.sorted_out(found.arrivals, now_s)
        due = self._spans.due(now_s)
        verdicts = self._delivered(
            [one for found in read if isinstance(found, Decoded) for one in found.arrivals] + due
        )
        busy = {key for key, answer in verdicts.items() if answer.verdict is Verdict.BUSY}
        waiting_again = (one for one in due if id(one) in busy)
        self.tally.failed_entries += self._spans.put_back(waiting_again, now_s + _RETRY_S)
        return [self._answer(found, verdicts) for found in read]

    def close(self, timeout_millis: int) -> None:
        """Deliver what waits, and shut the exporters down."""
        self._delivered(self._spans.due(float("inf")))
        self.tally.failed_entries += self._decoder.parts.unfinished_entries
        self._destinations.close(timeout_millis)

    def _read(self, message: Message) -> Decoded | Answer:
        made = attempted(partial(self._decoder.decoded, message))
        if isinstance(made, Decoded):
            return made
        if isinstance(made, MessageTooLargeError):
            return Answer(Verdict.TOO_LARGE, str(made))
        if isinstance(made, BrokenMessageError):
            return Answer(Verdict.MALFORMED, str(made))
        report("reading a message", made)
        return _UNREADABLE

    def _delivered(self, arrivals: Iterable[Arrival]) -> dict[int, Answer]:
        """Deliver; what became of each that was not delivered, by the arrival's `id`."""
        verdicts: dict[int, Answer] = {}
        lots: dict[str, list[Arrival]] = {}
        firsts: dict[bytes, Arrival] = {}
        copies: list[tuple[Arrival, Arrival]] = []
        for arrival in sorted(arrivals, key=_has_entry):  # a page that is told alone is known before its entries
            if arrival.identity in self._rejected:
                verdicts[id(arrival)] = _UNWRITABLE
                continue
            if arrival.identity in self._window:
                self._was_delivered(arrival)
            elif arrival.identity in firsts:
                copies.append((arrival, firsts[arrival.identity]))
            else:
                if arrival.identity:
                    firsts[arrival.identity] = arrival
                fault = attempted(partial(self._put, arrival, lots))
                if fault is not None:
                    verdicts |= self._rejected_for(fault, [arrival])
                continue
            self.tally.duplicates += arrival.entry is not None
        for name, lot in lots.items():
            verdicts |= self._lot_delivered(name, lot)
        verdicts.update((id(copy), verdicts[id(first)]) for copy, first in copies if id(first) in verdicts)
        return verdicts

    def _put(self, arrival: Arrival, lots: dict[str, list[Arrival]]) -> None:
        """Put it to what goes to the same destination.

        Where entries of one resource have many, a page goes where its entries go, and counts go anywhere.
        """
        destinations = self._destinations
        if arrival.entry is not None or not destinations.is_by_entry:
            lot = lots.setdefault(destinations.name(arrival.resource, arrival.entry), [])
            page = self._pages.get(arrival.entry.pageref or "") if arrival.entry is not None else None
            lot.extend([page, arrival] if page is not None else [arrival])
            return
        self._untold += arrival.statistics
        self._was_delivered(arrival)
        if arrival.page is not None:
            self._pages[arrival.page.id] = arrival
            if len(self._pages) > _MAX_PAGES:
                self._pages.popitem(last=False)
            for name in destinations.knowing(arrival.page.id):
                lots.setdefault(name, []).append(arrival)

    def _lot_delivered(self, name: str, lot: list[Arrival]) -> dict[int, Answer]:
        """Deliver to one destination, in halves where some of it cannot be written."""
        verdicts: dict[int, Answer] = {}
        waiting = [lot]
        misses = 0
        while waiting:
            part = waiting.pop()
            made = attempted(partial(self._exported, name, part))
            if made is HarExportResult.SUCCESS:
                self._were_delivered(part)
                misses = 0
            elif _is_of_destination(made) or misses > _MOST_MISSES:  # nor would it take the rest
                return verdicts | self._failed(made, [*part, *(one for further in waiting for one in further)])
            elif len(part) > 1:
                misses += 1
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                misses += 1
                verdicts |= self._rejected_for(made, part)
        return verdicts

    def _failed(self, made: object, lot: list[Arrival]) -> dict[int, Answer]:
        """What the destination did not take."""
        if isinstance(made, BaseException):
            report("delivering", made)
        if isinstance(made, DestinationError):
            answer = Answer(Verdict.BUSY, "the destination takes nothing for now", retry_after_s=_RETRY_S)
        else:
            answer = _FAILED
            self.tally.failed_entries += sum(arrival.entry is not None for arrival in lot)
        return dict.fromkeys(map(id, lot), answer)

    def _rejected_for(self, made: object, lot: list[Arrival]) -> dict[int, Answer]:
        """What nobody can write."""
        if isinstance(made, BaseException):
            report("writing an entry", made)
        for arrival in lot:
            self.tally.failed_entries += arrival.entry is not None
            if arrival.identity:
                self._rejected.add(arrival.identity)
            if arrival.parts_of is not None:
                self._decoder.parts.refuse(arrival.parts_of)
        return dict.fromkeys(map(id, lot), _UNWRITABLE)

    def _exported(self, name: str, lot: list[Arrival]) -> HarExportResult:
        destination = self._destinations.destination(name)
        pages, entries = destination.pages.entered(lot)
        lost = sum((arrival.statistics for arrival in lot), self._untold)
        if not (pages or entries or lost):
            return HarExportResult.SUCCESS
        told = [arrival.redaction for arrival in lot if arrival.entry is not None or arrival.page is not None]
        batch = HarBatch(tuple(pages), tuple(entries), lost, weakest(*told) if told else None)
        result = HarExportResult.FAILURE
        try:
            result = destination.exporter.export(batch)
        finally:
            if result is not HarExportResult.SUCCESS:
                destination.pages.take_back(pages)
        if result is HarExportResult.SUCCESS:
            self.tally.statistics += lost
            self._untold = HarStatistics()
        return result

    def _were_delivered(self, lot: list[Arrival]) -> None:
        for arrival in lot:
            self._was_delivered(arrival)
            self.tally.entries += arrival.entry is not None

    def _was_delivered(self, arrival: Arrival) -> None:
        if arrival.identity:
            self._window.add(arrival.identity)
        if arrival.parts_of is not None:
            self._decoder.parts.settle(arrival.parts_of)

    def _answer(self, found: Decoded | Answer, verdicts: dict[int, Answer]) -> Answer:
        if isinstance(found, Answer):
            return found
        told = [verdicts[id(arrival)] for arrival in found.arrivals if id(arrival) in verdicts]
        bad = [answer for answer in told if answer.verdict is not Verdict.OK]
        if found.is_without_room:
            bad.append(_NO_ROOM_FOR_PARTS)
        if bad:
            return min(bad, key=lambda answer: _WORST_FIRST.index(answer.verdict))
        rejected = found.rejected + found.rejected_parts + sum(answer.rejected for answer in told)
        text = found.fault or next((answer.text for answer in told), "")
        if found.foreign and not text:
            text = f"{found.foreign} records are no entries of HAR, and are not kept"
        return Answer(Verdict.OK, text, rejected)


def _has_entry(arrival: Arrival) -> bool:
    return arrival.entry is not None


def _is_of_destination(made: object) -> bool:
    """Whether it is the destination that failed, and not what it got."""
    return isinstance(made, OSError | HarExportResult)
