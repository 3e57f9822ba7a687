"""What is whole of a HAR file that was cut, changed by somebody or made by another program, so as to go on with it.

The rule: entries are kept byte for byte. What stands before and after them is laid out anew in the form of ours, where
pages come last; members of the log and of the document that are not of ours are kept.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from otel_har.errors import HarFormatError
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.standing import Standing, standing_from
from otel_har.har.models import Page
from otel_har.har.repair import Survey, repair, survey

_ENTRIES = re.compile(rb'"entries"\s*:\s*\[')
_MAX_HEAD_BYTES = 64 * 1024 * 1024
_MAX_TRIES = 100
_CLOSING = b"]}}"
_NO_DATE = "1970-01-01T00:00:00Z"  # as in a repair: readers reject a page without one
_OF_OURS = frozenset({"entries", "pages", "comment", "_redaction", "_otel_har"})


@dataclass(frozen=True, slots=True)
class Salvage:
    """A document that can be made of a file.

    Attributes:
        source: Where its entries are, a descriptor.
        start: The byte where they begin.
        end: The byte where they end.
        head: What comes before them.
        standing: What the document holds.
        is_whole: Whether the file is whole JSON as it is.
        is_in_place: Whether all of this but what comes after the entries stands where it belongs in the file.
        is_text: Whether the source has the text; if not, it has the document as it is to be, up to `end`.
    """

    source: int
    start: int
    end: int
    head: bytes
    standing: Standing
    is_whole: bool = True
    is_in_place: bool = True
    is_text: bool = True

    def copy(self, target: int, document: HarDocument) -> Standing:
        """Write the document to an empty file; what it holds there.

        Raises:
            OSError: When the target does not take it.
        """
        standing = self.standing
        if self.is_text:
            standing = document.begun(target, self.head, self.source, (self.start, self.end), standing)
        else:
            access.copied(self.source, target, 0, self.end)
        access.written(target, document.ended(standing), standing.entries_end)
        return standing


def whole(source: int, standing: Standing) -> Salvage:
    """A document of ours that is as it should be."""
    return Salvage(source, 0, standing.entries_end, b"", standing, is_text=False)


@contextmanager
def salvaged(
    source: int, document: HarDocument, recording: str, directory: Path | None = None
) -> Iterator[Salvage | None]:
    """What there is of a file that can be gone on with; None when it is no HAR.

    Args:
        source: A descriptor.
        document: The form of the document to be.
        recording: The name that the document is to have, unless it has one.
        directory: Where a copy may stand meanwhile, of a file that must be repaired; the system's own for such by
            default.

    Raises:
        OSError: When the file cannot be read.
    """
    with document.unpacked(source, directory) as text, os.fdopen(os.dup(text.descriptor), "rb") as stream:
        found = _surveyed(stream)
        if found is None:
            yield None
        elif found.is_whole:
            salvage = _salvage(text.descriptor, found, document, recording)
            yield salvage and replace(
                salvage,
                is_whole=text.is_whole,
                is_in_place=text.is_source and _begins_with(text.descriptor, salvage.start, salvage.head),
            )
        else:
            with tempfile.TemporaryFile(dir=directory) as copy:
                stream.seek(0)
                repair(stream, copy)  # with the pages that were lost, too
                copy.flush()
                salvage = _salvage(copy.fileno(), _surveyed(copy), document, recording)
                is_in_place = salvage is not None and not found.has_gaps and salvage.end == found.entries_end
                yield salvage and replace(
                    salvage,
                    is_whole=False,
                    is_in_place=is_in_place
                    and text.is_source
                    and _begins_with(text.descriptor, salvage.start, salvage.head),
                )


def list_start(source: int, end: int) -> int | None:
    """The byte after the bracket that opens a whole document's list of entries; None where it is not to be found.

    Args:
        source: A descriptor.
        end: Where the entries end.
    """
    return _before_entries(access.read(source, 0, min(end, _MAX_HEAD_BYTES)))[0]


def _begins_with(source: int, start: int, head: bytes) -> bool:
    return start == len(head) and access.read(source, 0, start) == head


def _surveyed(stream: BinaryIO) -> Survey | None:
    stream.seek(0)
    try:
        return survey(stream)
    except HarFormatError:
        return None


def _salvage(source: int, found: Survey | None, document: HarDocument, recording: str) -> Salvage | None:
    end = None if found is None else found.entries_end
    if found is None or end is None:
        return None
    head = access.read(source, 0, min(end, _MAX_HEAD_BYTES))
    start, before = _before_entries(head)
    if start is None:
        return None
    after = _document(b'{"log":{"entries":[' + access.read(source, end, found.size_bytes)) or {"log": {}}
    members = before["log"] | after["log"]
    beside = {name: value for name, value in (before | after).items() if name != "log"}
    new_head = document.head({name: value for name, value in members.items() if name not in _OF_OURS}, beside)
    told = standing_from(members, recording)
    standing = replace(
        told,
        entries_end=len(new_head) + end - start,
        list_start=len(new_head),
        entries_start=len(new_head),
        entries=found.entries,
        pages={page.id: page for page in (*_undated(members.get("pages")), *found.pages)},
    )
    return Salvage(source, start, end, new_head, standing)


def _undated(pages: object) -> Iterator[Page]:
    """The pages that are no models, with a date that says nothing: entries may refer to them."""
    for page in pages if isinstance(pages, list) else ():
        identity = page.get("id") if isinstance(page, dict) else None
        if isinstance(identity, str):
            yield Page(started_date_time=_NO_DATE, id=identity, title=str(page.get("title", "")))


def _before_entries(head: bytes) -> tuple[int | None, dict[str, Any]]:
    """Where the entries begin, and the document before them."""
    for _, match in zip(range(_MAX_TRIES), _ENTRIES.finditer(head), strict=False):
        document = _document(head[: match.end()] + _CLOSING)
        if document is not None and document["log"].get("entries") == []:
            return match.end(), document
    return None, {}


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
        log = document["log"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(log, dict) else None
