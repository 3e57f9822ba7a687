"""What stands in a HAR file that grows: how it is composed, and how any process reads where it goes on.

The rule: the file tells of itself. The last member of `log` is `_otel_har`, and the last member of that is the place
where the entries end, so a process that did not write the file finds it from the file's last bytes, without reading
the rest.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.har.models import Browser, Creator, Page
from otel_har.har.writer import HarLayout
from otel_har.version import __version__

_FOOTER_BYTES = 4096  # the place stands within the last so many bytes, indented and followed by blanks too
_PLACE = re.compile(rb'"entriesEnd":\s*(\d{1,18})\s*\}\s*\}\s*\}\s*\Z')
_NOT_ALL = "Not all that happened is in this file: "
_OUR_COMMENT = re.compile(re.escape(_NOT_ALL) + r"[^.]*\.")
_POLICIES = ("default", "strict")  # each takes out what the one before does
_MAX_COUNT = 2**53 - 1  # the largest that every reader of JSON has exactly (RFC 8259, 6)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a document holds, without its entries.

    Attributes:
        recording: The name of the recording, the same for every process that takes part in it.
        entries_end: The byte after the last entry, or after the list's opening bracket.
        entries: How many entries there are.
        pages: By their ids, in the order of their coming.
        statistics: What was lost.
        comment: What somebody else said of the recording.
        redaction: The policy by which all entries and pages were redacted, at least; None where that is not known.
    """

    recording: str
    entries_end: int
    entries: int = 0
    pages: Mapping[str, Page] = field(default_factory=dict)
    statistics: HarStatistics = field(default_factory=HarStatistics)
    comment: str | None = None
    redaction: str | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """One addition to a document.

    Attributes:
        entries: The bytes to put where the entries ended.
        tail: The bytes after them, which end the document.
        standing: What the document holds then.
    """

    entries: bytes
    tail: bytes
    standing: Standing


class HarDocument:
    """The form of one recording's document.

    Args:
        indent: Spaces for each level; None for one line an entry.
    """

    def __init__(self, indent: int | None = None) -> None:
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

    def new(self, recording: str) -> Growth:
        """A document without entries; its head stands in `entries`."""
        head = self.head()
        standing = Standing(recording, len(head))
        return Growth(head, self._tail(standing), standing)

    def grown(self, standing: Standing, batch: HarBatch, known_pages: Mapping[str, Page]) -> Growth:
        """The document with a batch more.

        Args:
            standing: What it holds.
            batch: Entries, pages and counts.
            known_pages: Every page that was delivered, also those that had no entry by then: a page of which no entry
                was written is not written either, because readers take it that a page has one.
        """
        added = self._layout.entries(batch.entries, first=not standing.entries)
        after = replace(
            standing,
            entries_end=standing.entries_end + len(added),
            entries=standing.entries + len(batch.entries),
            pages=_with_pages(standing.pages, batch, known_pages),
            statistics=standing.statistics + batch.statistics,
            redaction=_redaction_with(standing, batch),
        )
        return Growth(added, self._tail(after), after)

    def ended(self, standing: Standing) -> bytes:
        """What ends a document that holds this."""
        return self._tail(standing)

    def _tail(self, standing: Standing) -> bytes:
        lost = standing.statistics
        about = {
            "recording": standing.recording,
            "statistics": {
                "entries": standing.entries,
                "droppedEntries": lost.dropped_entries,
                "droppedBodies": lost.dropped_bodies,
                "failedEntries": lost.failed_entries,
                "failedExports": lost.failed_exports,
            },
            "entriesEnd": standing.entries_end,
        }
        told = standing.redaction and {"policy": standing.redaction}
        members = {"comment": _comment(standing), "_redaction": told, "_otel_har": about}
        return self._layout.tail(standing.pages.values(), members)


def _with_pages(pages: Mapping[str, Page], batch: HarBatch, known_pages: Mapping[str, Page]) -> dict[str, Page]:
    """The pages that have an entry, in their latest state."""
    after = dict(pages)
    for entry in batch.entries:
        if entry.pageref is not None and entry.pageref in known_pages:
            after.setdefault(entry.pageref, known_pages[entry.pageref])
    for page in batch.pages:
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
    both = {standing.redaction, batch.redaction}
    return next((policy for policy in (None, *_POLICIES) if policy in both), None)


def _is_older(page: Page, than: Page) -> bool:
    """Whether a process tells of a page what it was before another one saw it end."""
    return page.page_timings.on_load == -1 != than.page_timings.on_load


def _comment(standing: Standing) -> str | None:
    """What a person who opens the file must know, after what others said."""
    lost = standing.statistics
    counts = (
        (lost.dropped_entries, "exchanges were dropped, because too many waited to be written"),
        (lost.dropped_bodies, "bodies were left out or cut, because those that waited held too many bytes"),
        (lost.failed_entries, "exchanges could not be written"),
    )
    told = [f"{count} {what}" for count, what in counts if count]
    ours = [f"{_NOT_ALL}{'; '.join(told)}."] if told else []
    return " ".join(([standing.comment] if standing.comment else []) + ours) or None


def _comment_of_others(comment: object) -> str | None:
    """A comment without the sentence that was ours."""
    return _OUR_COMMENT.sub("", comment).strip() or None if isinstance(comment, str) else None


def read_standing(descriptor: int) -> Standing | None:
    """What the document in a file holds; None where it is not a whole document of ours.

    Raises:
        OSError: When the file cannot be read.
    """
    size = os.fstat(descriptor).st_size
    found = _PLACE.search(read(descriptor, max(0, size - _FOOTER_BYTES), size))
    if found is None:
        return None
    place = int(found[1])
    if not 0 < place < size:
        return None
    before, tail = read(descriptor, place - 1, place), read(descriptor, place, size)
    # The tail closes a list of entries and the objects around it: opened so, it is a document of its own.
    log = _parsed(b'{"log":{"entries":[' + tail)
    return _standing(log, place) if before in b"[}" and log is not None else None


def _parsed(document: bytes) -> dict[str, Any] | None:
    try:
        log = json.loads(document)["log"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return log if isinstance(log, dict) else None


def _standing(log: dict[str, Any], place: int) -> Standing | None:
    try:
        told = standing_from(log, log["_otel_har"]["recording"])
        entries = _count(log["_otel_har"]["statistics"]["entries"])
        pages = [Page.model_validate(page) for page in log.get("pages", [])]
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
    if entries is None:
        return None
    return replace(told, entries_end=place, entries=entries, pages={page.id: page for page in pages})


def standing_from(log: Mapping[str, Any], recording: str) -> Standing:
    """The recording and the counts that the members of a log tell of, as far as they do.

    Args:
        log: The members.
        recording: The recording, where they do not tell it.
    """
    about = log.get("_otel_har")
    comment = _comment_of_others(log.get("comment"))
    redaction = _redaction_of(log.get("_redaction"))
    if not isinstance(about, dict):
        return Standing(recording, 0, comment=comment, redaction=redaction)
    told = about.get("statistics")
    counts = told if isinstance(told, dict) else {}
    names = ("droppedEntries", "droppedBodies", "failedEntries", "failedExports")
    lost = HarStatistics(*(_count(counts.get(name)) or 0 for name in names))
    name = str(about.get("recording", recording))
    return Standing(name, 0, statistics=lost, comment=comment, redaction=redaction)


def _redaction_of(told: object) -> str | None:
    policy = told.get("policy") if isinstance(told, dict) else None
    return policy if isinstance(policy, str) and policy in _POLICIES else None


def _count(value: object) -> int | None:
    """A count that may be one: anybody can write into the file."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MAX_COUNT else None


def read(descriptor: int, start: int, end: int) -> bytes:
    """The bytes of a range; fewer where the file ends before it."""
    os.lseek(descriptor, start, os.SEEK_SET)
    parts = []
    while start < end:
        part = os.read(descriptor, end - start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)
