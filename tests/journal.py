"""An exporter of somebody else's, which other processes can make: what it does next, a test tells by files."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from otel_har.errors import DestinationError
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult


class JournalExporter(HarExporter):
    """Appends a line for each batch to a file of a directory.

    There, a file `full` has it take nothing for now, `bug` has it raise, `killed` has its process killed (once),
    `hangs` has it never return.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shut_down = False

    def export(self, batch: HarBatch) -> HarExportResult:
        """Append the batch, or fail as told."""
        if self._shut_down:
            return HarExportResult.FAILURE
        self._obey()
        self._write(
            {
                "pid": os.getpid(),
                "pages": [json.loads(page.to_json()) for page in batch.pages],
                "entries": [json.loads(entry.to_json()) for entry in batch.entries],
                "lost": batch.statistics.dropped_entries,
            }
        )
        return HarExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Note the call."""
        self._obey()
        self._write({"flushed": timeout_millis > 0})
        return True

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Note the call."""
        if not self._shut_down:
            self._shut_down = True
            self._write({"shut_down": timeout_millis > 0})

    def _obey(self) -> None:
        if (self._directory / "full").exists():
            raise DestinationError(errno.ENOSPC, "full")
        if (self._directory / "bug").exists():
            raise RuntimeError("bug")
        if (self._directory / "killed").exists():
            (self._directory / "killed").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (self._directory / "always killed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (self._directory / "hangs").exists():
            threading.Event().wait(0.01)

    def _write(self, line: dict[str, Any]) -> None:
        with (self._directory / "journal").open("a") as journal:
            journal.write(json.dumps(line) + "\n")


def make_nothing() -> HarExporter:
    """Makes no exporter."""
    raise ValueError("no luck")


def lines(directory: Path) -> list[dict[str, Any]]:
    """All that a journal says."""
    journal = directory / "journal"
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def journal_log(directory: Path) -> dict[str, Any]:
    """What a journal's batches come to, as a log of a HAR file has it."""
    pages: dict[str, Any] = {}
    entries: list[Any] = []
    lost = 0
    for line in lines(directory):
        pages.update({page["id"]: page for page in line.get("pages", ())})
        entries.extend(line.get("entries", ()))
        lost += line.get("lost", 0)
    used = {entry["pageref"] for entry in entries}
    return {
        "pages": [page for name, page in pages.items() if name in used],
        "entries": entries,
        "_otel_har": {"statistics": {"droppedEntries": lost}},
    }
