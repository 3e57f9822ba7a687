"""For tests of programs that record, and for our own: an exporter that keeps everything in memory."""

from __future__ import annotations

import platform

from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.har.models import Browser, Creator, Entry, Har, Log, Page
from otel_har.version import __version__


class InMemoryHarExporter(HarExporter):
    """Keeps what is exported.

    Attributes:
        entries: Every entry, in the order of export.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._pages: dict[str, Page] = {}
        self._shut_down = False

    @property
    def pages(self) -> list[Page]:
        """The pages that have an entry, in their latest state."""
        used = {entry.pageref for entry in self.entries}
        return [page for page in self._pages.values() if page.id in used]

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep the batch; after `shutdown` it is refused."""
        if self._shut_down:
            return HarExportResult.FAILURE
        self._pages.update({page.id: page for page in batch.pages})
        self.entries.extend(batch.entries)
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - nothing waits here
        """Refuse further batches; what was kept stays."""
        self._shut_down = True

    def har(self) -> Har:
        """Everything as one HAR document."""
        return Har(
            log=Log(
                version="1.2",
                creator=Creator(name="otel-har", version=__version__),
                browser=Browser(name=platform.python_implementation(), version=platform.python_version()),
                pages=tuple(self.pages),
                entries=tuple(self.entries),
            )
        )
