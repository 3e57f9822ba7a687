"""Mends HAR files that were cut off or overwritten: keeps what is whole, and closes the document behind it.

The policy:

- Every entry that is whole is kept, in its order, byte for byte. So are the other members of the log, and the pages.
- Pages are kept as they are, but not those whose entries were all lost: PerfCascade fails on a page without an entry.
  A page that was lost while entries of it were not is put in again: its id, the time of its earliest entry, and a title
  that says so.
- What readers fail without and a log does not have because it was cut (`version`, `creator`, `browser`, `pages`,
  `entries`) is put in: of a creator that is cut itself as much as is there of its name and version, else `unknown`.
- A byte order mark goes: RFC 8259, section 8.1, "MUST NOT add a byte order mark".
- What is whole JSON is whole: what its values mean is the checker's business.
"""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError
from pydantic_core import from_json

from otel_har.errors import HarFormatError
from otel_har.har.dates import has_offset, parse_instant
from otel_har.har.faults import Fault
from otel_har.har.models import Browser, Creator, Page
from otel_har.har.source import Source
from otel_har.har.survey import Container, FoundPage, PageList, Walk

__all__ = ["LOST_PAGE_TITLE", "Mending", "RepairReport", "Survey", "find_damage", "repair", "survey"]

LOST_PAGE_TITLE = "(this page was lost when the file was cut off)"
"""The title of pages that were lost and put in again."""

_UNKNOWN = "unknown"
_NO_DATE = "1970-01-01T00:00:00Z"
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Survey:
    """What a HAR file has that is whole.

    Attributes:
        entries: How many whole entries.
        entries_end: The offset directly behind the last whole entry; without one, directly behind the bracket that
            begins the entries; None without that.
        faults: Why it is not whole itself, in the order of the file; none: it is. The code of a fault is `cut` where
            the file ends too early, `broken` where there is something else than JSON. At most a hundred.
        has_gaps: Whether there are whole entries behind a fault. Where there are not, a file that has
            `entries_end` is mended by going on there.
        pages: The pages as models, those without `startedDateTime` left out.
        size_bytes: The size of the file.
    """

    entries: int
    entries_end: int | None
    faults: tuple[Fault, ...]
    has_gaps: bool
    pages: tuple[Page, ...]
    size_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did.

    Attributes:
        found: What there was before.
        bytes_left_out: How many bytes of the file are not part of the mended one.
        pages_left_out: How many whole pages are not: their entries were all lost.
        pages_rebuilt: How many pages were put in again.
    """

    found: Survey
    bytes_left_out: int = 0
    pages_left_out: int = 0
    pages_rebuilt: int = 0


def survey(source: Source) -> Survey:
    """Find what of a HAR is whole, in one pass, in memory for one entry and the pages.

    Args:
        source: A path, or a stream of bytes that can be sought in; it is left open.

    Raises:
        OSError: It cannot be opened or read.
        HarFormatError: It is no HAR, and not the beginning of one.
    """
    with _opened(source) as stream:
        return _survey(Walk(stream), _size(stream))


def find_damage(source: Source) -> Survey | None:
    """Do as `survey` does; None: the file is whole."""
    found = survey(source)
    return None if found.is_whole else found


def repair(source: BinaryIO, target: BinaryIO) -> RepairReport:
    """Write a HAR's mended copy; of one that is whole, its copy.

    Args:
        source: The bytes; the stream must be one that can be sought in, and stays open.
        target: Where they go.

    Raises:
        OSError: It cannot be read or written.
        HarFormatError: It is no HAR, and not the beginning of one. Nothing was written.
    """
    return Mending(source).write(target)


class Mending:
    """A repair in two steps: what there is to do, then doing it.

    Args:
        source: The bytes; the stream must be one that can be sought in, and stays open.

    Attributes:
        found: What there is now.

    Raises:
        OSError: It cannot be read.
        HarFormatError: It is no HAR, and not the beginning of one.
    """

    def __init__(self, source: BinaryIO) -> None:
        size = _size(source)
        walk = Walk(source)
        self.found = _survey(walk, size)
        self._source = source
        self._walk = walk
        self._pages_left_out = 0
        self._is_log_whole = not walk.gaps and all(container.kind != "log" for container in walk.open)
        self._rebuilt = [] if self._is_log_whole else list(self._lost_pages())

    def write(self, target: BinaryIO) -> RepairReport:
        """Write the mended copy; of a file that is whole, its copy.

        Raises:
            OSError: The source cannot be read or the target not be written.
        """
        if self.found.is_whole:
            _write([(0, self.found.size_bytes)], self._source, target)
            return RepairReport(self.found)
        pieces = list(self._pieces())
        _write(pieces, self._source, target)
        copied = sum(piece[1] - piece[0] for piece in pieces if isinstance(piece, tuple))
        left_out = self.found.size_bytes - copied
        return RepairReport(self.found, left_out, self._pages_left_out, len(self._rebuilt))

    def _lost_pages(self) -> Iterator[bytes]:
        walk = self._walk
        logs = [one for one in (*walk.open, *walk.kept) if isinstance(one, Container) and one.kind == "log"]
        has_place = bool(walk.page_lists) or any("pages" not in log.names for log in logs)
        there = {page.id for pages in walk.page_lists for page in pages.pages}
        for identity, started in walk.references.items() if has_place else ():
            if identity not in there:
                page = Page(started_date_time=_date(started), id=identity, title=LOST_PAGE_TITLE)
                yield page.to_json()

    def _pieces(self) -> Iterator[tuple[int, int] | bytes]:
        """Yield the pieces in order."""
        walk = self._walk
        lists = iter(walk.page_lists)
        pages = next(lists, None)
        for piece in walk.kept:
            if isinstance(piece, Container):
                yield from self._added(piece)
                continue
            if isinstance(piece, bytes):
                yield piece
                continue
            start, end = piece
            while pages is not None and pages.end <= end:
                yield (start, pages.start)
                yield from self._page_list(pages, is_last=pages is walk.page_lists[-1])
                start = pages.end
                pages = next(lists, None)
            yield (start, end)
        yield self._closing()

    def _page_list(self, pages: PageList, *, is_last: bool) -> Iterator[tuple[int, int] | bytes]:
        """What stands in the place of the pages: they themselves, as long as all of them stay."""
        wanted = [page for page in pages.pages if self._is_wanted(page)]
        dropped = len(pages.pages) - len(wanted)
        self._pages_left_out += dropped
        if not dropped:
            yield (pages.start, pages.end)
        else:
            for index, page in enumerate(wanted):
                yield b",\n" if index else b"\n"
                yield (page.start, page.end)
        if is_last:
            for index, lost in enumerate(self._rebuilt, len(wanted)):
                yield (b",\n" if index else b"\n") + lost

    def _is_wanted(self, page: FoundPage) -> bool:
        is_used = page.id is None or page.id in self._walk.references
        return is_used or self._is_log_whole or not self._walk.entries

    def _closing(self) -> bytes:
        """What closes everything that is open, with what the log lacks."""
        parts: list[bytes] = []
        for container in reversed(self._walk.open):
            if container.kind == "log":
                parts += [*self._added(container), b"}"]
            elif container.kind == "document":
                parts += [] if self._walk.has_log else [b'"log":{', *self._added(Container("log")), b"}"]
                parts += [b"}\n"]
            else:
                parts.append(b"\n]" if container.items else b"]")
        return b"".join(parts)

    def _added(self, log: Container) -> Iterator[bytes]:
        missing = {
            "version": b'"1.2"',
            "creator": _cut_creator(self._walk.creator).to_json(),
            "browser": Browser(name=_UNKNOWN, version="").to_json(),
            "pages": b"[" + b",".join(b"\n" + page for page in self._rebuilt) + b"]",
            "entries": b"[]",
        }
        separator = b",\n" if log.items else b"\n"
        for name, value in missing.items():
            if name not in log.names:
                yield separator + b'"' + name.encode() + b'":' + value
                separator = b",\n"


def _survey(walk: Walk, size: int) -> Survey:
    return Survey(
        entries=walk.entries,
        entries_end=walk.entries_end,
        faults=tuple(walk.faults),
        has_gaps=walk.gaps > 0,
        pages=tuple(_models(page.value for pages in walk.page_lists for page in pages.pages)),
        size_bytes=size,
    )


def _models(values: Iterable[Any]) -> Iterator[Page]:
    for value in values:
        try:
            yield Page.model_validate(value, by_alias=True, by_name=False)
        except ValidationError:
            continue


def _date(text: str | None) -> str:
    """The date, or one that says nothing: a page without a date is rejected by most readers."""
    try:
        parse_instant(text or "")
    except HarFormatError:
        return _NO_DATE
    return text if text and has_offset(text) else _NO_DATE


def _cut_creator(cut: bytes | None) -> Creator:
    """Read what there is of a creator that is cut."""
    try:
        found = from_json((cut or b"").partition(b"\0")[0], allow_partial=True)
    except ValueError:
        found = None
    facts = found if isinstance(found, dict) else {}
    name, version = facts.get("name"), facts.get("version")
    return Creator(
        name=name if isinstance(name, str) else _UNKNOWN,
        version=version if isinstance(version, str) else "",
    )


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            yield stream
    else:
        yield source


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def _write(pieces: Iterable[tuple[int, int] | bytes], source: BinaryIO, target: BinaryIO) -> None:
    for piece in pieces:
        if isinstance(piece, bytes):
            target.write(piece)
            continue
        at, end = piece
        source.seek(at)
        while at < end and (chunk := source.read(min(_COPY_BYTES, end - at))):
            target.write(chunk)
            at += len(chunk)
        if at < end:
            raise OSError("the file was made shorter meanwhile")
