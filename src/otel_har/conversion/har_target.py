"""`HarTarget`: a HAR file of what was converted.

The rule: where all of it is one HAR file's, it is that file again: `creator`, `comment` and whatever else it had, and
nothing that it had not. Where it is not, the file is of this package's making.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from otel_har.conversion.ledger import DocumentLedger
from otel_har.errors import ExportError
from otel_har.export.files.document import HarDocument
from otel_har.export.files.standing import Standing, weakest
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
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
    """Writes HAR to a stream in which nothing is gone back. What is known last, as the pages, stands in the end alone.

    Args:
        stream: Where it goes; it stays open.
        ledger: Knows what came.
    """

    def __init__(self, stream: Writable, ledger: DocumentLedger) -> None:
        self._stream = stream
        self._ledger = ledger
        self._document = HarDocument()
        self._head = b""
        self._end = self._entries = 0
        self._pages: dict[str, Page] = {}
        self._last: dict[str, int] = {}
        self._lost = HarStatistics()
        self._policies: set[str | None] = set()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write the batch.

        Raises:
            ExportError: The stream takes no more.
        """
        for entry in batch.entries:
            text = given_json(entry) if self._ledger.is_begun_by_document else entry.to_json()
            self._write((b",\n" if self._entries else b"\n") + text)
            if entry.pageref is not None:
                self._last[entry.pageref] = self._entries
            self._entries += 1
        self._pages |= {page.id: page for page in batch.pages}
        self._lost += batch.statistics
        if batch.entries or batch.pages:
            self._policies.add(batch.redaction)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - it waits for nothing
        """End the document.

        Raises:
            ExportError: The stream takes no more.
        """
        if not self._ledger.is_begun_by_document:
            self._write(b"")
            self._write(self._document.ended(self._standing()))
            return
        about = None if self._lost else self._ledger.only
        pages = {page.id: page for page in self._ledger.pages} | ({} if about is not None else self._pages)
        self._write(_end(about if about is not None else self._of_our_making(), list(pages.values())))

    def _write(self, data: bytes) -> None:
        if not self._head:
            self._head = _HEAD if self._ledger.is_begun_by_document else self._document.head()
            data = self._head + data
        try:
            self._stream.write(data)
        except OSError as fault:
            raise ExportError(f"the stream takes no more: {fault}") from fault
        self._end += len(data)

    def _standing(self) -> Standing:
        start = len(self._head)
        return Standing(
            uuid.uuid4().hex,
            self._end,
            self._entries,
            {name: page for name, page in self._pages.items() if name in self._last},
            self._lost,
            list_start=start,
            entries_start=start,
            last_entries=self._last,
            redaction=weakest(*self._policies) if self._policies else None,
        )

    def _of_our_making(self) -> Mapping[str, Any]:
        """What a file of this package has beside entries and pages."""
        begun = self._document.head() + b"]}}"
        ended = _HEAD + self._document.ended(replace(self._standing(), pages={})).lstrip()
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
