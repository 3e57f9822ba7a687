"""Checks a HAR against HAR 1.2 and against what its readers need: the structure, and what the values mean.

Works on the JSON as it stands, not on the models, which fill in what is missing. Memory holds one entry, the pages, and
the set of page references, so that files of gigabytes can be checked.

The rules: `structure` has the tables of what has to be there, `rules` those for the values of one entry; here is what
concerns the document and several entries at once. The order of the entries is no fault: HAR 1.2 only prefers them
sorted, and readers sort.
"""

from collections.abc import Iterator
from typing import Any

from otel_har.errors import HarFormatError
from otel_har.har.faults import DOCUMENT, Fault, describe, member
from otel_har.har.rules import ENTRY_RULES, started_date_time
from otel_har.har.source import Source
from otel_har.har.stream import HarStream, RawEntry, RawMember
from otel_har.har.structure import (
    BROWSER,
    COMMENT,
    CREATOR,
    ENTRY,
    PAGES,
    VERSION,
    Shape,
    structure_faults,
    value_faults,
)

__all__ = ["DOCUMENT", "Checker", "check"]

_MEMBERS: dict[str, Shape] = {
    "version": VERSION,
    "creator": CREATOR,
    "browser": BROWSER,
    "pages": PAGES,
    "comment": COMMENT,
}
_REQUIRED = ("version", "creator", "browser", "pages")


def check(source: Source) -> Iterator[Fault]:
    """Yield the faults of a HAR as they are found; none: it is good.

    Args:
        source: A path, or a stream of bytes, which is left open.

    Raises:
        OSError: The path cannot be opened or read. Whatever is wrong with the document itself is a fault.
    """
    return iter(Checker(source))


class Checker:
    """Iterates, once, over the faults of a HAR and counts its entries meanwhile.

    Args:
        source: A path, or a stream of bytes, which is left open.

    Attributes:
        entries: How many entries were met so far.

    Raises:
        OSError: The path cannot be opened or, while iterating, not be read.
    """

    def __init__(self, source: Source) -> None:
        self._stream = HarStream(source)
        self.entries = 0
        self._seen: set[str] = set()
        # None: there is no array of pages, a fault of its own from which nothing follows.
        self._has_pages: bool | None = None
        # Each page id with the index of its page.
        self._page_ids: dict[str, int] = {}
        # Each page referred to, with the first place where it is.
        self._page_references: dict[str, str] = {}

    def __iter__(self) -> Iterator[Fault]:
        try:
            yield from self._faults()
        finally:
            self._stream.close()

    def _faults(self) -> Iterator[Fault]:
        try:
            for piece in self._stream:
                yield from self._entry(piece) if isinstance(piece, RawEntry) else self._member(piece)
                yield from self._duplicates()
        except HarFormatError as error:
            # What follows the fault is not known, so nothing can be said to be missing.
            yield Fault(error.place or DOCUMENT, error.message, "unreadable")
        else:
            yield from self._whole()
        yield from self._bytes()

    def _entry(self, piece: RawEntry) -> Iterator[Fault]:
        self.entries += 1
        place, entry = f"log.entries[{piece.index}]", piece.value
        yield from value_faults(entry, place)
        yield from structure_faults(entry, ENTRY, place)
        if isinstance(entry, dict):
            for rule in ENTRY_RULES:
                yield from rule(entry, place)
            if isinstance(entry.get("pageref"), str):
                self._page_references.setdefault(entry["pageref"], f"{place}.pageref")

    def _member(self, piece: RawMember) -> Iterator[Fault]:
        place = member(piece.parent, piece.name)
        yield from value_faults(piece.value, place)
        if not piece.parent:
            return
        self._seen.add(piece.name)
        if piece.name == "entries" and piece.value is not None:
            yield Fault(place, f"is not an array: {describe(piece.value)}", "type")
        elif piece.name in _MEMBERS:
            yield from structure_faults(piece.value, _MEMBERS[piece.name], place)
        if piece.name == "version" and isinstance(piece.value, str) and piece.value != "1.2":
            # Safari compares exactly this.
            yield Fault(place, f'is not "1.2": {describe(piece.value)}', "version")
        elif piece.name == "pages" and isinstance(piece.value, list):
            self._has_pages = bool(piece.value)
            yield from self._pages(piece.value)

    def _pages(self, pages: list[Any]) -> Iterator[Fault]:
        for index, page in enumerate(pages):
            place = f"log.pages[{index}]"
            if not isinstance(page, dict):
                continue
            identity = page.get("id")
            if isinstance(identity, str) and self._page_ids.setdefault(identity, index) != index:
                yield Fault(f"{place}.id", f"is the id of another page, too: {describe(identity)}", "page-id")
            yield from started_date_time(page, place)

    def _duplicates(self) -> Iterator[Fault]:
        for place in self._stream.duplicates:
            yield Fault(place, "stands twice in one object, and readers differ in which of the two counts", "duplicate")
        self._stream.duplicates.clear()

    def _whole(self) -> Iterator[Fault]:
        """Yield what only the end of the document tells."""
        yield from self._duplicates()
        for name in _REQUIRED:
            if name not in self._seen:
                yield Fault(f"log.{name}", "is missing", "missing")
        if not self._stream.has_entries and "entries" not in self._seen:
            yield Fault("log.entries", "is missing", "missing")
        if self._has_pages is not None and self.entries:
            yield from self._page_use()

    def _page_use(self) -> Iterator[Fault]:
        """PerfCascade hides entries without a page, and fails on a page without entries."""
        if not self._has_pages:
            yield Fault("log.pages", "is empty although there are entries", "pages")
            return
        for identity, place in self._page_references.items():
            if identity not in self._page_ids:
                yield Fault(place, f"is the id of no page: {describe(identity)}", "pageref")
        for identity, index in self._page_ids.items():
            if identity not in self._page_references:
                yield Fault(f"log.pages[{index}]", f"has no entry: {describe(identity)}", "page-unused")

    def _bytes(self) -> Iterator[Fault]:
        """RFC 8259, section 8.1: UTF-8, and "MUST NOT add a byte order mark"."""
        if self._stream.source.has_byte_order_mark:
            yield Fault(DOCUMENT, f"begins with a byte order mark ({self._stream.source.encoding})", "encoding")
        if self._stream.source.has_undecodable_bytes:
            yield Fault(DOCUMENT, f"has bytes that are not {self._stream.source.encoding.upper()}", "encoding")
