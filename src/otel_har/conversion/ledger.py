"""Pages and entries as a HAR file that is converted to has them.

The rule: what was a HAR file before is as it was there: entries in their order and without a page where they had none,
pages in their order, also those without entries. Where two files have pages of the same id, those of the second get
another one; a trace is one page, whichever files tell of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from otel_har.conversion.documents import DocumentArrival
from otel_har.har.models import Entry, Page
from otel_har.receive.decoding import Arrival
from otel_har.receive.ledger import PageLedger

_OF_TRACE = "trace_"


class DocumentLedger(PageLedger):
    """Knows the pages of the file, and what it is to have beside entries and pages.

    Args:
        max_pages: The most pages of what was no HAR file.

    Attributes:
        abouts: What the files that were read have beside entries and pages, by their ids.
        is_mixed: Whether there was anything that is of no file.
        is_begun_by_document: Whether the first thing that came is of a file; None as long as nothing came.
    """

    def __init__(self, max_pages: int) -> None:
        super().__init__(max_pages)
        self.abouts: dict[str, Mapping[str, Any]] = {}
        self.is_mixed = False
        self.is_begun_by_document: bool | None = None
        self._of_entries: dict[str, Page] = {}
        self._alone: dict[str, Page] = {}
        self._owners: dict[str, str] = {}
        self._documents: dict[str, None] = {}

    @property
    def pages(self) -> list[Page]:
        """Those of files: in the order in which they were told for themselves, then what only entries told of."""
        further = (page for name, page in self._of_entries.items() if name not in self._alone)
        return [*self._alone.values(), *further]

    @property
    def only(self) -> Mapping[str, Any] | None:
        """What the only file that was read has beside entries and pages; None where there was not just one."""
        is_one = len(self._documents) == 1 and not self.is_mixed
        return next(iter(self.abouts.values()), None) if is_one else None

    def entered(self, arrivals: Iterable[Arrival]) -> tuple[list[Page], list[Entry]]:
        """Pages to write and entries, with the ids that they have in this file."""
        entries: list[Entry] = []
        pages: dict[str, Page] = {}
        others: list[Arrival] = []
        for arrival in arrivals:
            if self.is_begun_by_document is None:
                self.is_begun_by_document = isinstance(arrival, DocumentArrival)
            if isinstance(arrival, DocumentArrival):
                entries += self._of_document(arrival, pages)
            else:
                others.append(arrival)
        self.is_mixed = self.is_mixed or bool(others)
        changed, further = super().entered(others)
        return [*pages.values(), *changed], entries + [self._complete(entry) for entry in further]

    def _complete(self, entry: Entry) -> Entry:
        """Where a file is written as it was given, the rest has all of its members, too."""
        return Entry.model_validate_json(entry.to_json()) if self.is_begun_by_document else entry

    def _of_document(self, arrival: DocumentArrival, pages: dict[str, Page]) -> list[Entry]:
        """The entry, if it is one; its page is added to those that were told."""
        self._documents[arrival.document] = None
        if arrival.about is not None:
            self.abouts[arrival.document] = arrival.about
        entry, page = arrival.entry, arrival.page
        if page is not None:
            page_id = self._id(arrival.document, page.id)
            pages[page_id] = page if page_id == page.id else page.model_copy(update={"id": page_id})
            (self._alone if entry is None else self._of_entries)[page_id] = pages[page_id]
        if entry is None:
            return []
        if entry.pageref is not None and (page_id := self._id(arrival.document, entry.pageref)) != entry.pageref:
            entry = entry.model_copy(update={"pageref": page_id})
        return [entry]

    def _id(self, document: str, page_id: str) -> str:
        owner = self._owners.setdefault(page_id, document)
        if page_id.startswith(_OF_TRACE) or (owner == document and page_id not in self):
            return page_id
        return f"{page_id}_{hashlib.sha256(document.encode('utf-8', 'replace')).hexdigest()[:8]}"
