"""The first entries of a document: where each ends, when it started, and whose page it is on.

The rule: only what is asked for is read. Bytes are read as ISO 8859-1, in which each is one character, so that a place
in the text is a place in the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from otel_har.errors import HarFormatError
from otel_har.export.files import access
from otel_har.export.files.standing import Standing
from otel_har.har.dates import parse_instant

_CHUNK_BYTES = 16 * 1024
_DECODER = json.JSONDecoder(strict=False)
_BLANKS = re.compile(r"[ \t\r\n]*")
_SEPARATOR = re.compile(r"[ \t\r\n]*,?")


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """One entry.

    Attributes:
        end: The byte after it and its comma.
        started: When it started, seconds since 1970; of an entry that does not say it, long ago.
        page: The id of its page.
    """

    end: int
    started: float
    page: str | None


def entries_in(descriptor: int, start: int, end: int) -> Iterator[FoundEntry]:
    """The entries of a range, up to the first that cannot be read.

    Args:
        descriptor: The file.
        start: Where the first one begins; blanks may stand before it.
        end: The byte after the last one.
    """
    text, at, loaded = "", 0, start
    while True:
        found = _next(text, at, is_all=loaded >= end)
        if found is not None:
            value, at = found
            yield FoundEntry(loaded - len(text) + at, _started(value), _page(value))
            continue
        held = len(text) - at
        chunk = access.read(descriptor, loaded, min(end, loaded + max(_CHUNK_BYTES, held)))
        if not chunk:
            return
        text, at, loaded = text[at:] + chunk.decode("latin-1"), 0, loaded + len(chunk)


def _next(text: str, at: int, *, is_all: bool) -> tuple[Any, int] | None:
    """A value and the place behind its comma; None where there is no whole one."""
    first = _BLANKS.match(text, at)
    try:
        value, stop = _DECODER.raw_decode(text, first.end() if first else at)
    except (ValueError, RecursionError):
        return None
    comma = _SEPARATOR.match(text, stop)
    behind = comma.end() if comma else stop
    return None if behind == len(text) and not is_all else (value, behind)


def _started(entry: Any) -> float:
    started = entry.get("startedDateTime") if isinstance(entry, dict) else None
    try:
        return parse_instant(started).timestamp() if isinstance(started, str) else -math.inf
    except (HarFormatError, OverflowError):
        return -math.inf


def _page(entry: Any) -> str | None:
    page = entry.get("pageref") if isinstance(entry, dict) else None
    # As the other members are read, which are not read as ISO 8859-1.
    return page.encode("latin-1", "ignore").decode("utf-8", "replace") if isinstance(page, str) else None


class Front:
    """The beginning of a document's entries, which moves on as they are dropped.

    Attributes:
        count: How many were dropped.
        start: Where the first one begins that stays.
    """

    def __init__(self, descriptor: int, standing: Standing) -> None:
        self._left = standing.entries
        self._entries = entries_in(descriptor, standing.entries_start, standing.entries_end)
        self._first: FoundEntry | None = None
        self.count = 0
        self.start = standing.entries_start

    def first(self) -> FoundEntry | None:
        """The first entry that stays; None when there is none, or when it cannot be read."""
        if self._first is None and self._left > self.count:
            self._first = next(self._entries, None)
        return self._first

    def drop(self) -> bool:
        """Drop the first entry; whether there was one."""
        first, self._first = self.first(), None
        if first is None:
            return False
        self.count += 1
        self.start = first.end
        return True


def last_entries(descriptor: int, standing: Standing) -> dict[str, int]:
    """The number of each page's last entry, of a document that does not tell it; its entries are all read.

    A page without an entry stays as long as the last of them.
    """
    found = {page: standing.retired + max(0, standing.entries - 1) for page in standing.pages}
    for number, entry in enumerate(entries_in(descriptor, standing.entries_start, standing.entries_end)):
        if entry.page in found:
            found[entry.page] = standing.retired + number
    return found
