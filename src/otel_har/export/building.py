"""Queued items to one batch: entries in order of their start, each page once.

The rule: one record that cannot be built costs that record, not its batch. A batch is bounded by what was built: a body
that the program read compressed is counted so while it waits, and may be a thousand times as long when it is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from otel_har.export.interfaces import HarBatch, HarStatistics, QueueItem
from otel_har.export.pacing import pause
from otel_har.export.remote import Made
from otel_har.export.weight import text_length
from otel_har.export.written import WrittenEntries, WrittenEntry, written
from otel_har.filters import EVERYTHING, HarFilter
from otel_har.guard import guarded
from otel_har.har.models import Entry, Page
from otel_har.mapping.entries import har_entry, page_from_facts
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.redactor import DEFAULT_REDACTOR, Redactor

# Beyond so many bytes a batch is exported as it is: building and writing it takes a multiple of them.
MAX_BATCH_BYTES = 8 * 1024 * 1024


@guarded("building an entry")
def _entry(
    record: HarRecord, options: MappingOptions, redactor: Redactor, har_filter: HarFilter
) -> WrittenEntry | Entry:
    """The entry, a model where the program is to see it."""
    entry = redactor.entry(har_entry(har_filter.limited(record), options))
    text = None if redactor.shows_entries or har_filter.sees_entries else written(entry)
    return Entry.model_validate(entry) if text is None else text


def _entry_or_less(
    record: HarRecord, options: MappingOptions, redactor: Redactor, har_filter: HarFilter
) -> WrittenEntry | Entry | None:
    """The entry; one that cannot be built is what the span tells of it."""
    form = options, redactor, har_filter
    return _entry(record, *form) or _entry(record.of(None), *form)


@guarded("building a page")
def _page(facts: PageFacts, redactor: Redactor) -> Page:
    page = page_from_facts(facts)
    return page.model_copy(update={"title": redactor.text(page.title)})


@dataclass(frozen=True, slots=True)
class Built:
    """A batch, and what was left out of it on purpose.

    Attributes:
        batch: The batch.
        filtered_entries: How many exchanges the filter left out.
    """

    batch: HarBatch
    filtered_entries: int


def build_batch(
    items: Iterable[QueueItem], options: MappingOptions = DEFAULT_OPTIONS, redactor: Redactor = DEFAULT_REDACTOR
) -> HarBatch:
    """The batch of what was queued, without a filter; see `build`."""
    return build(items, options, redactor).batch


def build(
    items: Iterable[QueueItem],
    options: MappingOptions = DEFAULT_OPTIONS,
    redactor: Redactor = DEFAULT_REDACTOR,
    har_filter: HarFilter = EVERYTHING,
) -> Built:
    """The batch of what was queued; a record that fails to build is left out, logged, and in the statistics.

    Nothing in it is as it was before the redactor saw it. It changes nothing: the same items may be built again.

    Args:
        items: In their order. Those that would make the batch too large are left, where this is an iterator.
        options: The form of the entries.
        redactor: Takes the secrets out of them.
        har_filter: What becomes no entry.
    """
    building = _Building(options, redactor, har_filter)
    for item in items:
        if isinstance(item, PageFacts):
            building.pages[item.id] = item
            continue
        building.take(item)
        if building.length >= MAX_BATCH_BYTES:
            break
    return building.built()


class _Building:
    """A batch that is being built.

    Attributes:
        pages: Those of it, by id.
        length: The characters of its texts that may be long.
    """

    def __init__(self, options: MappingOptions, redactor: Redactor, har_filter: HarFilter) -> None:
        self._form = options, redactor, har_filter
        self._redactor = redactor
        self._filter = har_filter
        self.pages: dict[str, PageFacts] = {}
        self._entries: list[tuple[int, WrittenEntry | Entry]] = []
        self.length = 0
        self._dropped_entries = self._dropped_bodies = self._failed_entries = self._filtered_entries = 0

    def take(self, record: HarRecord) -> None:
        """One more record."""
        if record.exchange is not None:
            self._dropped_entries += record.exchange.lost_attempts
        if not self._filter.lets_in(record):
            self._filtered_entries += 1
            return
        if record.exchange is not None:
            self._dropped_bodies += record.exchange.has_body_over_budget
        built = self._entry(record)
        if built is None:
            self._failed_entries += 1
            return
        last, length = built
        if last is None:
            return
        if isinstance(last, Entry) and not self._filter.lets_in_entry(last):
            self._filtered_entries += 1
            return
        self.pages[record.page.id] = record.page
        self._entries.append((_started(record), last))
        self.length += length

    @guarded("building an entry")
    def _entry(self, record: HarRecord) -> tuple[WrittenEntry | Entry | None, int] | None:
        """The entry as it is written and its length; none where the program's redactor wants it so."""
        entry = _entry_or_less(record, *self._form)
        if entry is None:
            return None
        if not isinstance(entry, Entry):
            return entry, len(entry.text)
        last = self._redactor.last(entry)
        return last, 0 if last is None else text_length(last)

    def built(self) -> Built:
        """The batch, in its order."""
        self._entries.sort(key=_start)
        pages = (_page(page, self._redactor) for page in self.pages.values())
        statistics = HarStatistics(self._dropped_entries, self._dropped_bodies, self._failed_entries)
        entries = WrittenEntries(entry for _, entry in self._entries)
        batch = HarBatch(tuple(filter(None, pages)), entries, statistics, self._redactor.told)
        return Built(batch, self._filtered_entries)


def taken_from(left: deque[QueueItem]) -> Iterator[QueueItem]:
    """The items, each taken out as it is asked for; the worker's pauses are between them."""
    while left:
        yield left.popleft()
        pause()


def made_of(built: Built, taken: int, told: HarStatistics) -> Made:
    """What there is to say of a batch.

    Args:
        built: The batch.
        taken: How many items became part of it.
        told: All that it tells to be lost.
    """
    batch = built.batch
    is_empty = built.filtered_entries > 0 and not (batch.pages or batch.entries or told)
    return Made(taken, len(batch.entries), built.filtered_entries, batch.statistics, is_empty)


def records_of(items: Iterable[QueueItem]) -> int:
    """How many of the items are to be entries; others may be adding to them meanwhile."""
    return sum(isinstance(item, HarRecord) for item in list(items))


def losses_of(items: Iterable[QueueItem]) -> HarStatistics:
    """What the items would tell of others in the statistics of their batch, besides becoming entries themselves."""
    exchanges = [item.exchange for item in list(items) if isinstance(item, HarRecord) and item.exchange is not None]
    lost_attempts = sum(exchange.lost_attempts for exchange in exchanges)
    return HarStatistics(lost_attempts, sum(exchange.has_body_over_budget for exchange in exchanges))


def _started(record: HarRecord) -> int:
    return record.exchange.started_unix_ns if record.exchange is not None else record.span.start_unix_ns


def _start(pair: tuple[int, WrittenEntry | Entry]) -> int:
    return pair[0]
