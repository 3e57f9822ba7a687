"""What stands in a HAR file that grows: how it is composed, and how any process reads where it goes on.

The rule: the file tells of itself. The last member of `log` is `_otel_har`, and the last member of that is the place
where the entries end, so a process that did not write the file finds it from the file's last bytes, without reading
the rest.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otel_har.errors import SettingError
from otel_har.export.files import access
from otel_har.export.files.standing import (
    Growth,
    Series,
    Standing,
    comment_on,
    counts,
    standing_of_tail,
    told_series,
    weakest,
)
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Browser, Creator, Page
from otel_har.har.writer import HarLayout
from otel_har.version import __version__

_MAX_INDENT = 16
FOOTER_BYTES = 4096  # the place stands within the last so many bytes, indented and followed by blanks too
_PLACE = re.compile(rb'"entriesEnd":\s*(\d{1,18})\s*\}\s*\}\s*\}\s*\Z')


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The text of a file.

    Attributes:
        descriptor: Where it is.
        is_whole: Whether the file is packed as it should be, to its end.
        is_source: Whether it is in the file itself.
    """

    descriptor: int
    is_whole: bool = True
    is_source: bool = True


class HarDocument:
    """The form of one recording's document.

    Args:
        indent: Spaces for each level, 0 to 16; None for one line an entry.

    Attributes:
        is_packed: Whether the file has not the text itself.
        beginnings: How files begin that may be such a document, blanks apart.

    Raises:
        SettingError: When `indent` is out of its range.
    """

    is_packed = False
    beginnings: tuple[bytes, ...] = (b"{",)

    def __init__(self, indent: int | None = None) -> None:
        if indent is not None and not 0 <= indent <= _MAX_INDENT:
            raise SettingError(f"indent must be between 0 and {_MAX_INDENT}, not {indent}")
        self._layout = HarLayout(
            Creator(name="otel-har", version=__version__),
            Browser(name=platform.python_implementation(), version=platform.python_version()),
            indent,
        )

    def head(self, others: Mapping[str, Any] | None = None, beside: Mapping[str, Any] | None = None) -> bytes:
        """What comes before the entries.

        Args:
            others: Members that the log is to have as well, or instead of ours, such as another `creator`.
            beside: Members that the document is to have beside the log.
        """
        return self._layout.head(others, beside)

    def new(self, recording: str, series: Series | None = None) -> Growth:
        """A document without entries; its head stands in `entries`."""
        head = self.head()
        start = len(head)
        return self._growth(head, Standing(recording, 0, list_start=start, entries_start=start, series=series))

    def grown(self, standing: Standing, batch: HarBatch, known_pages: Mapping[str, Page]) -> Growth:
        """The document with a batch more.

        Args:
            standing: What it holds.
            batch: Entries, pages and counts.
            known_pages: Every page that was delivered, also those that had no entry by then: a page of which no entry
                was written is not written either, because readers take it that a page has one.
        """
        entries = list(batch.written(self._layout.indent))
        added = self._layout.entries((entry.text for entry in entries), first=not standing.entries)
        number = standing.retired + standing.entries
        last = {entry.pageref: number + index for index, entry in enumerate(entries) if entry.pageref is not None}
        after = replace(
            standing,
            entries=standing.entries + len(entries),
            pages=_with_pages(standing.pages, last, batch.pages, known_pages),
            statistics=standing.statistics + batch.statistics,
            failed_requests=standing.failed_requests + sum(entry.has_failed for entry in entries),
            last_entries={**standing.last_entries, **last},
            redaction=_redaction_with(standing, batch),
        )
        return self._growth(added, after)

    def ended(self, standing: Standing) -> bytes:
        """What ends a document that holds this."""
        return self._tail(standing, {"entriesEnd": standing.entries_end})

    def filled(self, growth: Growth, length: int) -> bytes:
        """The bytes of an addition, made up to a length with blanks behind the document."""
        data = growth.entries + growth.tail
        return data + b" " * (length - len(data))

    def begun(self, target: int, head: bytes, source: int, entries: tuple[int, int], standing: Standing) -> Standing:
        """Write a document up to the end of its entries to an empty file.

        Args:
            target: The file, a descriptor.
            head: What comes before the entries.
            source: Where they are, a descriptor.
            entries: Where they begin and end there.
            standing: What the document holds.

        Returns:
            The same, with the place where the entries end.

        Raises:
            OSError: When the target does not take it.
        """
        access.written(target, head, 0)
        access.copied(source, target, *entries, to=len(head))
        return standing

    @contextmanager
    def unpacked(
        self,
        source: int,
        directory: Path | None,  # noqa: ARG002 - nothing is packed
        most_bytes: int | None = None,  # noqa: ARG002 - as above
    ) -> Iterator[Unpacked]:
        """The text of a file, as far as it can be read.

        Args:
            source: A descriptor.
            directory: Where it may stand meanwhile, the system's own for such by default.
            most_bytes: How much of it is asked for, about; all by default.
        """
        yield Unpacked(source)

    def read_standing(self, descriptor: int) -> Standing | None:
        """What the document in a file holds; None where it is not a whole document of ours.

        Raises:
            OSError: When the file cannot be read.
        """
        size = os.fstat(descriptor).st_size
        found = _PLACE.search(access.read(descriptor, max(0, size - FOOTER_BYTES), size))
        if found is None:
            return None
        place = int(found[1])
        if not 0 < place < size:
            return None
        before, standing = (
            access.read(descriptor, place - 1, place),
            standing_of_tail(access.read(descriptor, place, size), place),
        )
        if standing is None or before not in (b"[", b"}", b" "):
            return None
        if before == b" " and (standing.entries or standing.entries_start != place):
            return None
        is_right = _begins_where_it_says(descriptor, standing)
        return standing if is_right else replace(standing, list_start=0, entries_start=0)

    def _growth(self, added: bytes, standing: Standing) -> Growth:
        """An addition to what is told of the document but for the place where the entries end."""
        after = replace(standing, entries_end=standing.entries_end + len(added))
        return Growth(added, self.ended(after), after)

    def _tail(self, standing: Standing, place: Mapping[str, Any]) -> bytes:
        about = {
            "recording": standing.recording,
            "statistics": counts(standing.entries, standing.statistics),
            "retiredEntries": standing.retired,
            "lastEntries": {page: last for page, last in standing.last_entries.items() if page in standing.pages},
            **({"failedRequests": standing.failed_requests} if standing.failed_requests else {}),
            **told_series(standing.series),
            "listStart": standing.list_start,
            "entriesStart": standing.entries_start,
            **place,
        }
        told = standing.redaction and {"policy": standing.redaction}
        members = {"comment": _comment(standing), "_redaction": told, "_otel_har": about}
        return self._layout.tail(standing.pages.values(), members)


def _with_pages(
    pages: Mapping[str, Page], referred: Iterable[str], changed: Iterable[Page], known_pages: Mapping[str, Page]
) -> dict[str, Page]:
    """The pages that have an entry, in their latest state."""
    after = dict(pages)
    for pageref in referred:
        if pageref in known_pages:
            after.setdefault(pageref, known_pages[pageref])
    for page in changed:
        old = after.get(page.id)
        if old is not None and not _is_older(page, old):
            after[page.id] = page
    return after


def _redaction_with(standing: Standing, batch: HarBatch) -> str | None:
    """What holds of all entries: processes with different policies may write one file, and then the least does."""
    if not standing.entries and not standing.pages:
        return batch.redaction
    if not batch.entries and not batch.pages:
        return standing.redaction
    return weakest(standing.redaction, batch.redaction)


def _is_older(page: Page, than: Page) -> bool:
    """Whether a process tells of a page what it was before another one saw it end."""
    return page.page_timings.on_load == -1 != than.page_timings.on_load


def _comment(standing: Standing) -> str | None:
    """What a person who opens the file must know, after what others said."""
    ours = comment_on(standing.statistics)
    return " ".join(said for said in (standing.comment, ours) if said) or None


def _begins_where_it_says(descriptor: int, standing: Standing) -> bool:
    """Whether there is a bracket where the list is told to begin, and where the first entry does what may be there."""
    start, first = standing.list_start, standing.entries_start
    if not 0 < start <= first <= standing.entries_end or access.read(descriptor, start - 1, start) != b"[":
        return False
    # A comma where a process was killed in place, before it blanked what goes.
    return first == start or access.read(descriptor, first - 1, first) in (b" ", b",")
