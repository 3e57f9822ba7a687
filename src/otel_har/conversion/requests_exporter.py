"""`RequestsExporter`: entries as events, to wherever events go."""

from __future__ import annotations

import time
from dataclasses import asdict

from otel_har.conversion.event_targets import EventTarget
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.har.models import Page
from otel_har.otlp.event import Event, entry_event, page_event, statistics_event


class RequestsExporter(HarExporter):
    """Makes events of entries; each tells its page.

    Args:
        target: Where they go; it stays open.
    """

    def __init__(self, target: EventTarget) -> None:
        self._target = target
        self._pages: dict[str, Page] = {}

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write a batch."""
        self._pages |= {page.id: page for page in batch.pages}
        policy = batch.redaction
        events: list[Event] = [
            entry_event(entry, self._pages.get(entry.pageref or ""), redaction=policy) for entry in batch.entries
        ]
        carried = {entry.pageref for entry in batch.entries}
        events += [page_event(page, redaction=policy) for page in batch.pages if page.id not in carried]
        if batch.statistics:
            events.append(statistics_event(asdict(batch.statistics), time.time_ns()))
        self._target.write(events)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Nothing is held."""
