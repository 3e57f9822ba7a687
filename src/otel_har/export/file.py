"""`FileHarExporter`: a HAR file that is whole at every instant and that all processes of a recording write.

The rule: here it is decided which file a process writes, and how; what an addition is decides `document`, how it gets
into the file `swapped` and `in_place`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import LOCK_SECONDS, Claim, GrowingFile, TakenError, not_now
from otel_har.export.files.in_place import InPlaceFile
from otel_har.export.files.packed import document_for
from otel_har.export.files.place import LASTING, Place
from otel_har.export.files.room import RoomError
from otel_har.export.files.standing import Growth, Standing
from otel_har.export.files.swapped import SwappedFile
from otel_har.export.files.upkeep import Life
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.export.keeping import Retention, Rotation
from otel_har.forking import call_in_forked_child
from otel_har.har.models import Page

_START_SECONDS = 1.0  # so long the program's start waits for others that write the file
_MOST_READ_AT_START = 4 * 1024 * 1024  # bytes of a file to append to; a larger one is read with the first entry
_USUAL_RATIO = 16  # of text to what it is packed to
_logger = logging.getLogger("otel_har")


class FileHarExporter(HarExporter):
    """Writes entries to a HAR file, which is a complete document at every instant.

    The file is replaced with each addition (`rename`), so a reader sees the one or the other and a process that is
    killed leaves it whole. Forked children and other processes of the same recording add to the same file. Of another
    recording's file this one keeps away while that is at work, and writes `NAME.PID.har` beside it, where PID is the
    number of the recording's first process.

    A name that ends in `.gz` makes the file gzip, as complete at every instant: one member, to which is added.

    The file is readable by its owner only (mode 0600) where this exporter creates it: traffic holds secrets. While it
    is recorded there is a hidden directory `.NAME.otel-har` beside it, with a second copy.

    Args:
        path: The file; its directory must exist. `{pid}` in its name stands for the number of the process that
            writes: then each process has a file of its own.
        indent: Spaces for each level, 0 to 16; None for one line an entry.
        append: Go on with the HAR file that is there, whoever wrote it, be it whole or cut; others may do so at the
            same time. Otherwise the file starts anew.
        recording: A name that processes have in common which write one file together: the first one starts it anew,
            the others go on with it. A random one by default.
        first_process: The number of the first of them, after which a file beside is named; this one by default.
        retention: Which entries stay in the file; all by default.
        rotation: When the file becomes `NAME.1.har` and is begun anew; never by default.
        clock: The time that they go by, seconds since 1970.

    Raises:
        ExportError: When the file cannot be opened for writing: no directory, no permission, no regular file,
            somebody else's file in a directory that others may write to; or when what is there cannot be appended to.
            Of a file of more than 4 MiB that may show with the first entry only, which then goes to a file beside.
        SettingError: When `indent` is out of its range; when entries are to be dropped from a packed file that can
            only be written in place, as all are on Windows.
    """

    def __init__(  # noqa: PLR0913 - one for each setting
        self,
        path: str | os.PathLike[str],
        indent: int | None = None,
        *,
        append: bool = False,
        recording: str | None = None,
        first_process: int | None = None,
        retention: Retention | None = None,
        rotation: Rotation | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = Place(path, recording, first_process, append=append)
        self._document = document_for(self._place.asked, indent)
        self._life = Life(retention, rotation, clock)
        self._shut_down = False
        self._pages: dict[str, Page] = {}
        self._file: GrowingFile | None = None
        most_read = _MOST_READ_AT_START // (_USUAL_RATIO if self._document.is_packed else 1)
        try:
            if not append or access.looked_over(self.path, self._document.beginnings) <= most_read:
                self._file = self._opened(self.path, self._place.claim, _START_SECONDS)
        except (DestinationError, TakenError):  # there may be nothing to record: what is to be done waits for that
            self._place.leave_alone()
        call_in_forked_child(self._go_on_in_child)

    @property
    def path(self) -> Path:
        """The file that is written, absolute."""
        return self._place.path

    def export(self, batch: HarBatch) -> HarExportResult:
        """Add the batch to the file.

        Raises:
            DestinationError: When the file does not take it now; it is then as it was before.
            ExportError: When the file is not this process's to write, and beside it it may make none.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        pages = self._pages | {page.id: page for page in batch.pages}

        def grown(standing: Standing) -> Growth:
            return self._document.grown(standing, batch, pages)

        if batch.entries or batch.pages or batch.statistics:
            try:
                self._file_of_this_process().add(grown)
            except TakenError as taken:
                self._file_beside(str(taken)).add(grown)
        self._pages = pages
        return HarExportResult.SUCCESS

    @property
    def needs_upkeep(self) -> bool:
        """Whether there is a limit of time, or a class has an upkeep of its own."""
        return self._life.goes_by_time or type(self).upkeep is not FileHarExporter.upkeep

    def upkeep(self) -> None:
        """Drop what is too old by now, and put the file aside when its time has come.

        Raises:
            ExportError: When the file does not take that now.
        """
        if not self._shut_down and self._file is not None and self._life.clock() >= self._file.due:
            self._file.tend()

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:  # noqa: ARG002 - a turn is waited for briefly
        """Do the `upkeep`; nothing is held back here."""
        self._tend_if_possible()
        return True

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - a turn is waited for briefly
        """Let the file go. Idempotent."""
        self._tend_if_possible()
        self._shut_down = True
        if self._file is not None:
            self._file.close()
            self._file = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process that gets this goes on with the recording, as a forked child does."""
        state = {**self.__dict__, "_file": None, "_pages": {}}
        return _gone_on_with, (type(self), state)

    def _tend_if_possible(self) -> None:
        with contextlib.suppress(ExportError):  # what it takes no longer stays as it is
            self.upkeep()

    def _go_on_in_child(self) -> None:
        """In a forked child: locks and descriptors are the parent's. The file is opened again when it is needed."""
        self._place.go_on_in_child()
        file, self._file = self._file, None
        if file is not None:
            file.forget()

    def _file_of_this_process(self) -> GrowingFile:
        if self._file is None:
            with self._place.opening():
                self._file = self._opened(self.path, self._place.claim)
        return self._file

    def _file_beside(self, reason: str) -> GrowingFile:
        """The file of this recording beside the one that was asked for, begun by whichever process comes first."""
        self._place.leave_alone()
        if self._file is not None:
            self._file.close()
            self._file = None
        claim = Claim(self._place.claim.recording, may_replace=False)
        for path in self._place.beside():
            # It may be of a further recording of that process, or of an earlier one.
            if not _is_free_for(path, self._document, claim):
                continue
            try:
                self._file = self._opened(path, claim)
            except TakenError:
                continue
            except ExportError as fault:
                if fault.errno in LASTING:
                    raise
                raise not_now(path, fault) from fault
            self._place.path, self._place.claim = path, claim
            _logger.warning("otel-har: %s, writing %s", reason, path)
            return self._file
        raise DestinationError(f"cannot write to {self._place.asked}, nor to a file beside it: {reason}")

    def _opened(self, path: Path, claim: Claim, patience_s: float = LOCK_SECONDS) -> GrowingFile:
        """The file, written in the best way that its filesystem has."""
        real = access.resolved(path)
        if sys.platform != "win32":
            try:
                return SwappedFile(real, self._document, claim, life=self._life, patience_s=patience_s)
            except RoomError as fault:
                _logger.debug("otel-har: %s is written in place: %s", path, fault)
        return InPlaceFile(real, self._document, claim, life=self._life)


def _gone_on_with(kind: type[FileHarExporter], state: dict[str, Any]) -> FileHarExporter:
    """What was an exporter in another process: the file is opened again when it is needed."""
    exporter = kind.__new__(kind)
    exporter.__dict__.update(state)
    exporter._go_on_in_child()  # noqa: SLF001 - its own class's
    call_in_forked_child(exporter._go_on_in_child)  # noqa: SLF001 - as above
    return exporter


def _is_free_for(path: Path, document: HarDocument, claim: Claim) -> bool:
    """Whether nothing has a name but, at most, the recording's own file."""
    if not os.path.lexists(path):
        return True
    try:
        with access.closing(access.opened(path, os.O_RDONLY)) as there:
            standing = document.read_standing(there)
    except OSError:
        return False
    return standing is not None and claim.continues(standing)
