"""`ArchiveHarExporter`: a zip archive with a HAR and each body as a file of its own, as Playwright records them.

The rule: here it is decided which archive a process records; what is on the disk meanwhile `parts` decides.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from otel_har.errors import DestinationError, ExportError, HarFormatError
from otel_har.export.file import FileHarExporter
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import LOCK_SECONDS, TakenError, not_now
from otel_har.export.files.parts import PARTS, Parts
from otel_har.export.files.place import LASTING, Place
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.forking import call_in_forked_child
from otel_har.har.attaching import body_name
from otel_har.har.models import Content, Entry, Page, PostData

_START_SECONDS = 1.0
_logger = logging.getLogger("otel_har")


class ArchiveHarExporter(HarExporter):
    """Writes entries to a zip archive: `har.har`, and each body as a file of its own, equal ones once.

    The form is that of Playwright's `recordHar` (`content: "attach"`), whose `routeFromHAR` takes the archive: a body
    is called by its SHA-1 and the extension of its media type, and `_file` of `content` or `postData` has that name in
    the place of `text`. Empty bodies stay in the HAR.

    While it is recorded there is a directory `NAME.parts` beside the archive, for its owner only, with what the archive
    is made of: a HAR that is complete at every instant, and the bodies. The archive is made of it by `force_flush` and
    by the shutdown of the last process that records, which removes the directory. After a kill the directory stays,
    and is a recording itself, which Playwright and `otel-har check` read. The next recording of the name puts it aside
    as `NAME.parts.old`, in the place of an earlier one; one with `append` goes on with it.

    Args:
        path: The archive; its directory must exist. `{pid}` in its name stands for the number of the process.
        indent: Spaces for each level of the HAR, 0 to 16; None for one line an entry.
        append: Go on with the archive that is there. Otherwise it starts anew.
        recording: A name that processes have in common which write one archive together.
        first_process: The number of the first of them, after which an archive beside is named; this one by default.

    Raises:
        ExportError: When the archive cannot be written or appended to; also on Windows, and on filesystems without
            file locks.
        SettingError: When `indent` is out of its range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        indent: int | None = None,
        *,
        append: bool = False,
        recording: str | None = None,
        first_process: int | None = None,
    ) -> None:
        HarDocument(indent)  # an indent out of its range is told at once
        self._indent = indent
        self._place = Place(path, recording, first_process, append=append)
        self._pages: dict[str, Page] = {}
        self._shut_down = False
        self._parts: Parts | None = None
        try:
            self._parts = self._opened(self.path, _START_SECONDS)
        except (DestinationError, TakenError):  # there may be nothing to record: what is to be done waits for that
            self._place.leave_alone()
        call_in_forked_child(self._go_on_in_child)

    @property
    def path(self) -> Path:
        """The archive that is written, absolute."""
        return self._place.path

    @property
    def parts(self) -> Path:
        """The directory with what is recorded, until the archive is made."""
        return self.path.with_name(f"{self.path.name}{PARTS}")

    def export(self, batch: HarBatch) -> HarExportResult:
        """Add the batch to what the archive is made of.

        Raises:
            DestinationError: When it is not taken now; no entry of it was written.
            ExportError: When the archive is not this process's to write, and beside it it may make none.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        if not (batch.entries or batch.pages or batch.statistics):
            return HarExportResult.SUCCESS
        pages = self._pages | {page.id: page for page in batch.pages}
        bodies: dict[str, bytes] = {}
        entries = tuple(_attached(entry, bodies) for entry in batch.entries)
        named = {entry.pageref for entry in entries} | {page.id for page in batch.pages}
        parted = replace(batch, pages=tuple(page for page in pages.values() if page.id in named), entries=entries)
        try:
            result = self._parts_of_this_process().add(parted, bodies)
        except TakenError as taken:
            result = self._parts_beside(str(taken)).add(parted, bodies)
        self._pages = pages
        return result

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Make the archive of all that was recorded so far.

        Returns:
            False when that was not possible.
        """
        return self._parts is None or self._parts.pack(timeout_millis / 1000)

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Take part no longer; the last process makes the archive. Idempotent."""
        self._shut_down = True
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.close(timeout_millis / 1000)

    def _go_on_in_child(self) -> None:
        """In a forked child: locks are the parent's."""
        self._place.go_on_in_child()
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.forget()

    def _opened(self, path: Path, patience_s: float = LOCK_SECONDS) -> Parts:
        return Parts(access.resolved(path), self._place.claim, self._har, patience_s)

    def _har(self, path: Path) -> HarExporter:
        """What writes the HAR. Whose the directory is was settled: whatever is in it is gone on with."""
        recording, first_process = self._place.claim.recording, self._place.first_process
        return FileHarExporter(path, self._indent, append=True, recording=recording, first_process=first_process)

    def _parts_of_this_process(self) -> Parts:
        if self._parts is None:
            with self._place.opening():
                self._parts = self._opened(self.path)
        return self._parts

    def _parts_beside(self, reason: str) -> Parts:
        """The archive of this recording beside the one that was asked for."""
        self.shutdown()
        self._shut_down = False
        self._place.leave()
        for path in self._place.beside():
            try:
                self._parts = self._opened(path)
            except TakenError:
                continue
            except ExportError as fault:
                if fault.errno in LASTING:
                    raise
                raise not_now(path, fault) from fault
            self._place.path = path
            _logger.warning("otel-har: %s, writing %s", reason, path)
            return self._parts
        raise ExportError(f"cannot write to {self._place.asked}, nor to an archive beside it: {reason}")


def _attached(entry: Entry, bodies: dict[str, bytes]) -> Entry:
    """The entry without its bodies, which are put to the others by their names."""
    post_data, content = entry.request.post_data, entry.response.content
    if post_data is not None and (name := _put(post_data, bodies)):
        post_data = post_data.model_copy(update={"text": "", "encoding": None, "file": name})
        entry = entry.model_copy(update={"request": entry.request.model_copy(update={"post_data": post_data})})
    if name := _put(content, bodies):
        content = content.model_copy(update={"text": None, "encoding": None, "file": name})
        entry = entry.model_copy(update={"response": entry.response.model_copy(update={"content": content})})
    return entry


def _put(held: Content | PostData, bodies: dict[str, bytes]) -> str | None:
    try:
        body = held.body()
    except HarFormatError:  # it is not what it claims to be: it stays where it is
        return None
    if not body:
        return None
    name = body_name(body, held.mime_type)
    bodies[name] = body
    return name
