"""`RequestsExporter`: entries as lines of OTLP's JSON, as the collector's `file` exporter writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import BinaryIO

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.otlp.event import Event, entry_event, page_event, statistics_event
from otel_har.otlp.json_form import json_from_request
from otel_har.otlp.logs import Origin, log_record, record_bytes, request_of
from otel_har.version import __version__

_LINE_BYTES = 4 * 1024 * 1024


class RequestsExporter(HarExporter):
    """Writes a request a line, of at most 4 MiB where it has more than one entry.

    Args:
        target: Where they go; it stays open.
        resource: Where the entries are from.
    """

    def __init__(self, target: BinaryIO, resource: Mapping[str, str]) -> None:
        self._target = target
        self._origin = Origin(resource, scope_version=__version__)

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write a batch."""
        pages = {page.id: page for page in batch.pages}
        policy = batch.redaction
        events = [entry_event(entry, pages.pop(entry.pageref or "", None), redaction=policy) for entry in batch.entries]
        events += [page_event(page, redaction=policy) for page in pages.values()]
        if batch.statistics:
            events.append(statistics_event(asdict(batch.statistics)))
        self._write(events)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Nothing is held."""

    def _write(self, events: list[Event]) -> None:
        waiting: list[LogRecord] = []
        size_bytes = 0
        for record in map(log_record, events):
            size = record_bytes(record)
            if waiting and size_bytes + size > _LINE_BYTES:
                self._target.write(json_from_request(request_of(waiting, self._origin)) + b"\n")
                waiting, size_bytes = [], 0
            waiting.append(record)
            size_bytes += size
        if waiting:
            self._target.write(json_from_request(request_of(waiting, self._origin)) + b"\n")
