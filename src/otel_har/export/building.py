"""Queued items to one batch: entries in order of their start, each page once.

The rule: one record that cannot be built costs that record, not its batch. A batch is bounded by what was built: a body
that the program read compressed is counted so while it waits, and may be a thousand times as long when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.guard import guarded
from otel_har.har.models import Entry, Page
from otel_har.mapping.entries import har_entry, page_from_facts
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.redactor import DEFAULT_REDACTOR, Redactor

QueueItem = HarRecord | PageFacts
# Beyond so many bytes a batch is exported as it is: building and writing it takes a multiple of them.
MAX_BATCH_BYTES = 8 * 1024 * 1024


@guarded("building an entry")
def _entry(record: HarRecord, options: MappingOptions, redactor: Redactor) -> Entry:
    return Entry.model_validate(redactor.entry(har_entry(record, options)))


def _entry_or_less(record: HarRecord, options: MappingOptions, redactor: Redactor) -> Entry | None:
    """The entry; one that cannot be built is what the span tells of it."""
    return _entry(record, options, redactor) or _entry(replace(record, exchange=None), options, redactor)


@guarded("building an entry")
def _last(record: HarRecord, options: MappingOptions, redactor: Redactor) -> tuple[Entry | None, int] | None:
    """The entry as it is written and its length; none where the program's redactor wants it so."""
    entry = _entry_or_less(record, options, redactor)
    if entry is None:
        return None
    last = redactor.last(entry)
    return last, 0 if last is None else _length(last)


@guarded("building a page")
def _page(facts: PageFacts, redactor: Redactor) -> Page:
    page = page_from_facts(facts)
    return page.model_copy(update={"title": redactor.text(page.title)})


def build_batch(
    items: Iterable[QueueItem], options: MappingOptions = DEFAULT_OPTIONS, redactor: Redactor = DEFAULT_REDACTOR
) -> HarBatch:
    """The batch of what was queued; a record that fails to build is left out, logged, and in the statistics.

    Nothing in it is as it was before the redactor saw it. It changes nothing: the same items may be built again.

    Args:
        items: In their order. Those that would make the batch too large are left, where this is an iterator.
        options: The form of the entries.
        redactor: Takes the secrets out of them.
    """
    built_length = 0
    dropped_entries = dropped_bodies = failed_entries = 0
    pages: dict[str, PageFacts] = {}
    entries: list[tuple[int, Entry]] = []
    for item in items:
        if isinstance(item, PageFacts):
            pages[item.id] = item
            continue
        built = _last(item, options, redactor)
        if item.exchange is not None:
            dropped_entries += item.exchange.lost_attempts
            dropped_bodies += item.exchange.has_body_over_budget
        if built is None:
            failed_entries += 1
        elif built[0] is not None:
            pages[item.page.id] = item.page
            entries.append((_started(item), built[0]))
            built_length += built[1]
            if built_length >= MAX_BATCH_BYTES:
                break
    entries.sort(key=_start)
    built_pages = (_page(page, redactor) for page in pages.values())
    statistics = HarStatistics(dropped_entries, dropped_bodies, failed_entries)
    return HarBatch(tuple(filter(None, built_pages)), tuple(entry for _, entry in entries), statistics, redactor.told)


def _length(entry: Entry) -> int:
    """The characters of its texts that may be long."""
    sent, got = entry.request.post_data, entry.response.content
    length = len(got.text or "") + (len(sent.text or "") if sent is not None else 0)
    if sent is not None and sent.params:
        length += sum(len(parameter.value or "") for parameter in sent.params)
    return length + sum(map(_data_length, (entry.web_socket_messages, entry.event_source_messages)))


def _data_length(messages: Any) -> int:
    """That of messages, which the program's redactor may give any form."""
    found = messages if isinstance(messages, list | tuple) else ()
    data = [message.get("data") for message in found if isinstance(message, dict)]
    return sum(len(one) for one in data if isinstance(one, str))


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


def _start(pair: tuple[int, Entry]) -> int:
    return pair[0]
