"""What a HAR file that grows tells of itself, behind its entries, and how it is read from there.

The rule: what anybody may have written into the file is looked at before it is believed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from otel_har.export.interfaces import HarStatistics
from otel_har.har.models import Page

_NOT_ALL = "Not all that happened is in this file: "
_OUR_COMMENT = re.compile(re.escape(_NOT_ALL) + r"[^.]*\.")
_POLICIES = ("default", "strict")  # each takes out what the one before does
_MAX_COUNT = 2**53 - 1  # the largest that every reader of JSON has exactly (RFC 8259, 6)


@dataclass(frozen=True, slots=True)
class TextEnd:
    """Where the text of the entries ends, in a document that is packed.

    Attributes:
        length: The byte after the last entry in the unpacked document.
        crc32: The checksum of what is before it.
    """

    length: int = 0
    crc32: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What was recorded, whether it is there still or not.

    Attributes:
        entries: How many entries were added.
        failed_requests: How many of them are of exchanges that failed: without an answer, or broken off.
        lost: What was lost.
    """

    entries: int = 0
    failed_requests: int = 0
    lost: HarStatistics = field(default_factory=HarStatistics)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.entries + other.entries, self.failed_requests + other.failed_requests, self.lost + other.lost
        )

    def __sub__(self, other: Totals) -> Totals:
        return Totals(
            self.entries - other.entries, self.failed_requests - other.failed_requests, self.lost - other.lost
        )


@dataclass(frozen=True, slots=True)
class Series:
    """What a file that is rotated tells of itself.

    Attributes:
        name: The file's name while it is recorded.
        begun: When it was begun, seconds since 1970.
        before: What was recorded to the files that were put aside before it.
    """

    name: str
    begun: float
    before: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a document holds, without its entries.

    Attributes:
        recording: The name of the recording, the same for every process that takes part in it.
        entries_end: The byte of the file after the last entry, or after the list's opening bracket.
        entries: How many entries there are.
        pages: By their ids, in the order of their coming.
        statistics: What was lost.
        comment: What somebody else said of the recording.
        list_start: The byte after the list's opening bracket; 0 where the document does not tell it.
        entries_start: The byte where the first entry begins; there are blanks before it, where entries were dropped.
        retired: How many entries were dropped from the beginning.
        failed_requests: How many entries, of all that were ever added, are of exchanges that failed.
        last_entries: The number of each page's last entry, of all that were ever added, from 0.
        series: What was to be known of the files that this one is rotated with; none without rotation.
        redaction: The policy by which all entries and pages were redacted, at least; None where that is not known.
        text: The same place in the text, where the file has it packed.
    """

    recording: str
    entries_end: int
    entries: int = 0
    pages: Mapping[str, Page] = field(default_factory=dict)
    statistics: HarStatistics = field(default_factory=HarStatistics)
    comment: str | None = None
    list_start: int = 0
    entries_start: int = 0
    retired: int = 0
    failed_requests: int = 0
    last_entries: Mapping[str, int] = field(default_factory=dict)
    series: Series | None = None
    redaction: str | None = None
    text: TextEnd | None = None

    @property
    def total(self) -> Totals:
        """What was recorded to this file, and to those of its series that were put aside before it."""
        own = Totals(self.retired + self.entries, self.failed_requests, self.statistics)
        return own if self.series is None else self.series.before + own


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


def retired(standing: Standing, count: int, start: int) -> Standing:
    """What a document holds without its first entries, and without the pages of which no entry is left.

    Args:
        standing: What it holds; its `last_entries` must have all its pages.
        count: How many entries go.
        start: Where the first entry begins that stays.
    """
    first = standing.retired + count
    last = {page: number for page, number in standing.last_entries.items() if number >= first}
    return replace(
        standing,
        entries=standing.entries - count,
        entries_start=start,
        retired=first,
        pages={name: page for name, page in standing.pages.items() if name in last},
        last_entries=last,
    )


def together(standing: Standing) -> Standing:
    """What a document holds whose entries begin where its list does."""
    start = standing.list_start
    return replace(standing, entries_start=start, entries_end=start + standing.entries_end - standing.entries_start)


def weakest(*redactions: str | None) -> str | None:
    """The policy that holds of all that several hold of."""
    return next((policy for policy in (None, *_POLICIES) if policy in redactions), None)


def counts(entries: int, lost: HarStatistics) -> dict[str, int]:
    """The counts of a recording as its document has them."""
    return {
        "entries": entries,
        "droppedEntries": lost.dropped_entries,
        "droppedBodies": lost.dropped_bodies,
        "failedEntries": lost.failed_entries,
        "failedExports": lost.failed_exports,
    }


def told_series(series: Series | None) -> dict[str, Any]:
    """What a document tells of the files that it is rotated with."""
    if series is None:
        return {}
    before = series.before
    told = {"name": series.name, "begun": series.begun}
    if before != Totals():
        told["before"] = {**counts(before.entries, before.lost), "failedRequests": before.failed_requests}
    return {"series": told}


def comment_on(lost: HarStatistics) -> str | None:
    """What a person must know of what is missing."""
    whats = (
        (lost.dropped_entries, "exchanges were dropped, because too many waited to be written"),
        (lost.dropped_bodies, "bodies were left out or cut, because those that waited held too many bytes"),
        (lost.failed_entries, "exchanges could not be written"),
    )
    told = [f"{count} {what}" for count, what in whats if count]
    return f"{_NOT_ALL}{'; '.join(told)}." if told else None


def _comment_of_others(comment: object) -> str | None:
    """A comment without the sentence that was ours."""
    return _OUR_COMMENT.sub("", comment).strip() or None if isinstance(comment, str) else None


def standing_of_tail(tail: bytes, entries_end: int) -> Standing | None:
    """What a document holds, from what is behind its entries; None where that is not of ours."""
    # The tail closes a list of entries and the objects around it: opened so, it is a document of its own.
    log = _parsed(b'{"log":{"entries":[' + tail)
    return None if log is None else _standing(log, entries_end)


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
    about = log["_otel_har"]
    return replace(
        told,
        entries_end=place,
        entries=entries,
        pages={page.id: page for page in pages},
        list_start=_count(about.get("listStart")) or 0,
        entries_start=_count(about.get("entriesStart")) or 0,
        last_entries=_numbers(about.get("lastEntries")),
        series=_series(about.get("series")),
    )


def _numbers(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    counts = {name: _count(number) for name, number in value.items()}
    return {name: number for name, number in counts.items() if number is not None}


def _series(value: object) -> Series | None:
    if not isinstance(value, dict):
        return None
    name, begun = value.get("name"), value.get("begun")
    if not isinstance(name, str) or isinstance(begun, bool) or not isinstance(begun, int | float):
        return None
    return Series(name, begun, _totals(value.get("before"))) if math.isfinite(begun) else None


def _totals(told: object) -> Totals:
    by_name = told if isinstance(told, dict) else {}
    return Totals(_count(by_name.get("entries")) or 0, _count(by_name.get("failedRequests")) or 0, _lost(by_name))


def _lost(by_name: dict[str, Any]) -> HarStatistics:
    names = ("droppedEntries", "droppedBodies", "failedEntries", "failedExports")
    return HarStatistics(*(_count(by_name.get(name)) or 0 for name in names))


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
    return Standing(
        str(about.get("recording", recording)),
        0,
        statistics=_lost(told if isinstance(told, dict) else {}),
        comment=comment,
        redaction=redaction,
        retired=_count(about.get("retiredEntries")) or 0,
        failed_requests=_count(about.get("failedRequests")) or 0,
    )


def _redaction_of(told: object) -> str | None:
    policy = told.get("policy") if isinstance(told, dict) else None
    return policy if isinstance(policy, str) and policy in _POLICIES else None


def _count(value: object) -> int | None:
    """A count that may be one: anybody can write into the file."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MAX_COUNT else None
