"""Files whose entries do not stay for ever: entries with a start and a size, a clock, and what is in a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from children import names_in
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.har.models import Entry, Page, Request, Response
from servers.programs import har_text, read_checked

if TYPE_CHECKING:
    from pathlib import Path

    from otel_har.export.file import FileHarExporter

_DAY = 1_900_000_000

FORMS = {
    "swapped": ("out.har", None),
    "swapped, indented": ("out.har", 2),
    # There is no room beside a name of this length.
    "in place": ("x" * 244 + ".har", None),
    "in place, indented": ("x" * 244 + ".har", 2),
}

PACKED_FORMS = {
    "packed": ("out.har.gz", None),
    "packed, indented": ("out.har.gz", 2),
    "packed, in place": ("x" * 241 + ".har.gz", None),
}


class Clock:
    """A clock that a test sets; seconds of a certain day."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time, seconds since 1970."""
        return _DAY + self.now


class SharedClock:
    """A clock that several processes go by: the seconds stand in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set(0)

    def set(self, now: float) -> None:
        """Set it."""
        self._path.write_text(f"{now}")

    def __call__(self) -> float:
        """The time, seconds since 1970."""
        return _DAY + float(self._path.read_text())


def entry(name: object, started: float = 0, page: str = "run", size: int = 0) -> Entry:
    """An entry that started at some second of the clock's day, and has so many bytes more."""
    return Entry(
        pageref=page,
        started_date_time=datetime.fromtimestamp(_DAY + started, timezone.utc).isoformat(),
        request=Request(method="GET", url=f"http://h.test/{name}", http_version="HTTP/1.1"),
        response=Response(transfer_size=0, error=f"none{_unlike_others(name, size)}"),
    )


def batch(*entries: Entry) -> HarBatch:
    """The entries with their pages."""
    pages = dict.fromkeys(entry.pageref for entry in entries if entry.pageref is not None)
    return HarBatch(
        tuple(Page(started_date_time="2030-01-01T00:00:00Z", id=page, title=page) for page in pages), entries
    )


def _unlike_others(name: object, length: int) -> str:
    """Text that packing makes half as long, and no shorter."""
    return hashlib.shake_256(str(name).encode()).hexdigest((length + 1) // 2)[:length]


def log_of(path: Path) -> dict[str, Any]:
    """The log of a file."""
    log: dict[str, Any] = json.loads(har_text(path))["log"]
    return log


def read(path: Path) -> tuple[list[str], list[str]]:
    """The names of the entries and the ids of the pages, of a file that the checker has no complaint about."""
    log: dict[str, Any] = read_checked(path)["log"]
    assert len(log["entries"]) == log["_otel_har"]["statistics"]["entries"]
    return names_in(log), [page["id"] for page in log["pages"]]


POLICIES: tuple[tuple[str | None, ...], ...] = (("strict", "strict"), ("strict", "default"), ("strict", None))
"""Redactions, the second not stricter than the first."""


def tells_all(exporter: FileHarExporter, policies: tuple[str | None, ...]) -> None:
    """Check that a file tells of entries that went, too: what was lost with them, and how they were redacted."""
    for number in range(40):
        lost = HarStatistics(dropped_entries=1)
        exporter.export(replace(batch(entry(number, size=9_000)), statistics=lost, redaction=policies[number % 2]))
    log = log_of(exporter.path)
    assert (40, policies[1]) == (
        log["_otel_har"]["statistics"]["droppedEntries"],
        log.get("_redaction", {}).get("policy"),
    )
    assert "40 exchanges were dropped" in log["comment"]
