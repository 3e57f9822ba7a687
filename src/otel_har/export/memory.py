"""`InMemoryHarExporter`: entries as models, in the program itself.

The rule: what it gives out is a copy of its lists, so that whoever reads it need not know who writes meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque

from otel_har.errors import SettingError
from otel_har.export.files.standing import weakest
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.model import har_model
from otel_har.forking import call_in_forked_child
from otel_har.har.models import Entry, Har, Page


class InMemoryHarExporter(HarExporter):
    """Keeps what is exported. May be read from any thread at any time, also after `shutdown`.

    A forked child has its own copy from then on.

    Args:
        max_entries: The most entries that are kept: then the oldest go, and count as dropped. None keeps all.

    Raises:
        SettingError: When `max_entries` is less than 1.
    """

    def __init__(self, max_entries: int | None = None) -> None:
        if max_entries is not None and max_entries < 1:
            raise SettingError(f"max_entries must be at least 1, not {max_entries}")
        self._entries: deque[Entry] = deque(maxlen=max_entries)
        self._pages: dict[str, Page] = {}
        self._lost = HarStatistics()
        self._redaction: str | None = None  # of all of it
        self._shut_down = False
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    @property
    def entries(self) -> list[Entry]:
        """Every entry that is kept, in the order of export."""
        with self._lock:
            return list(self._entries)

    @property
    def pages(self) -> list[Page]:
        """The pages that have an entry, in their latest state."""
        with self._lock:
            used = {entry.pageref for entry in self._entries}
            return [page for page in self._pages.values() if page.id in used]

    @property
    def statistics(self) -> HarStatistics:
        """What was lost, in the recording and here."""
        with self._lock:
            return self._lost

    def har(self) -> Har:
        """Everything as one HAR document."""
        with self._lock:
            return har_model(self.pages, self._entries, self._lost, self._redaction)

    def clear(self) -> None:
        """Forget entries and counts; pages of traces that go on stay known."""
        with self._lock:
            self._entries.clear()
            self._lost = HarStatistics()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep the batch; after `shutdown` it is refused."""
        with self._lock:
            if self._shut_down:
                return HarExportResult.FAILURE
            self._pages.update({page.id: page for page in batch.pages})
            is_first = not self._entries and not self._lost.dropped_entries
            if batch.entries or is_first:
                self._redaction = batch.redaction if is_first else weakest(self._redaction, batch.redaction)
            too_many = self._too_many(len(batch.entries))
            self._entries.extend(batch.entries)
            self._lost = self._lost + batch.statistics + HarStatistics(dropped_entries=too_many)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - nothing waits here
        """Refuse further batches; what was kept stays."""
        self._shut_down = True

    def _too_many(self, added: int) -> int:
        most = self._entries.maxlen
        return 0 if most is None else max(0, len(self._entries) + added - most)
