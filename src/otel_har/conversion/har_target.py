"""`HarTarget`: a HAR file of what was converted.

The rule: where all of it is one HAR file's, it is that file again: `creator`, `comment` and whatever else it had, and
nothing that it had not. Where it is not, the file is of this package's making.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from otel_har.conversion.ledger import DocumentLedger
from otel_har.errors import ExportError
from otel_har.export.files.document import HarDocument
from otel_har.export.files.standing import Standing
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.stream import StreamHarExporter
from otel_har.har.given import given_json, given_value
from otel_har.har.models import Page

_HEAD = b'{"log":{"entries":['
_OWN = "_otel_har"
_PLACES = frozenset({"listStart", "entriesStart", "entriesEnd"})


class Writable(Protocol):
    """Where a file goes."""

    def write(self, data: bytes, /) -> object:
        """Write it."""


class HarTarget(HarExporter):
    """Writes HAR to a stream in which nothing is gone back.

    Args:
        stream: Where it goes; it stays open.
        ledger: Knows what came.
    """

    def __init__(self, stream: Writable, ledger: DocumentLedger) -> None:
        self._stream = stream
        self._ledger = ledger
        self._exporter: HarExporter | None = None

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write the batch."""
        return self._chosen().export(batch)

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Have it in the stream."""
        return self._chosen().force_flush(timeout_millis)

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """End the document."""
        self._chosen().shutdown(timeout_millis)

    def _chosen(self) -> HarExporter:
        if self._exporter is None:
            is_document = self._ledger.is_begun_by_document
            self._exporter = _Document(self._stream, self._ledger) if is_document else StreamHarExporter(self._stream)
        return self._exporter


class _Document(HarExporter):
    """The entries first, as they were given, and then the rest, which is known last."""

    def __init__(self, stream: Writable, ledger: DocumentLedger) -> None:
        self._stream = stream
        self._ledger = ledger
        self._entries = 0
        self._is_begun = False
        self._pages: dict[str, Page] = {}
        self._lost = HarStatistics()

    def export(self, batch: HarBatch) -> HarExportResult:
        for entry in batch.entries:
            self._write((b",\n" if self._entries else b"\n") + given_json(entry))
            self._entries += 1
        self._pages |= {page.id: page for page in batch.pages}
        self._lost += batch.statistics
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - it waits for nothing
        about = None if self._lost else self._ledger.only
        pages = {page.id: page for page in self._ledger.pages} | ({} if about is not None else self._pages)
        self._write(_end(about if about is not None else self._of_our_making(), list(pages.values())))

    def _write(self, data: bytes) -> None:
        try:
            self._stream.write(data if self._is_begun else _HEAD + data)
        except OSError as fault:
            raise ExportError(f"the stream takes no more: {fault}") from fault
        self._is_begun = True

    def _of_our_making(self) -> Mapping[str, Any]:
        """What a file of this package has beside entries and pages."""
        document = HarDocument()
        standing = Standing(uuid.uuid4().hex, len(_HEAD), self._entries, statistics=self._lost)
        begun, ended = document.head() + b"]}}", _HEAD + document.ended(standing).lstrip()
        return {"log": json.loads(begun)["log"] | json.loads(ended)["log"]}


def _end(about: Mapping[str, Any], pages: list[Page]) -> bytes:
    """What follows the entries.

    What a recorder's file tells of where its entries stand is left out: a recorder that goes on with this file has to
    read it, because the log's other members stand behind the entries.
    """
    log = {name: value for name, value in about["log"].items() if name != "entries"}
    if pages:
        log["pages"] = [given_value(page) for page in pages]
    if isinstance(log.get(_OWN), dict):
        log[_OWN] = {name: value for name, value in log[_OWN].items() if name not in _PLACES}
    beside = {name: value for name, value in about.items() if name != "log"}
    return b"\n]" + _further(log) + b"}" + _further(beside) + b"}\n"


def _further(members: Mapping[str, Any]) -> bytes:
    return b"," + given_json(members)[1:-1] if members else b""
