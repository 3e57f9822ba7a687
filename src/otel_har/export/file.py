"""`FileHarExporter`: a HAR file that is complete after every export.

The rule: an export is one write at the place where the entries end: the new entries and the tail that closes the
document. Its cost depends on the new entries and on the number of pages, never on what was written before. What is
written never gets shorter (blanks after the document make up for a shorter tail), so nothing is ever cut off.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import platform
import stat
import sys
from pathlib import Path

from otel_har.errors import ExportError, SettingError
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.har.models import Browser, Creator, Page
from otel_har.har.writer import HarLayout
from otel_har.version import __version__

if sys.platform != "win32":  # Windows has no advisory locks of this kind
    import fcntl

_MAX_INDENT = 16
_logger = logging.getLogger("otel_har")


class FileHarExporter(HarExporter):
    """Writes entries to a HAR file, which starts anew with this exporter.

    The file is readable by its owner only (mode 0600) where this exporter creates it: traffic holds secrets. While
    another process records to the same path, and in a forked child, the file is `NAME.PID.har` beside it.

    Args:
        path: The file; its directory must exist.
        indent: Spaces for each level, 0 to 16; None for one line an entry.
        beside: Write `NAME.PID.har` beside the file in any case: it is another process's, be that at work or done.

    Raises:
        ExportError: When the file cannot be opened for writing: no directory, no permission, no regular file.
        SettingError: When `indent` is out of its range.
    """

    def __init__(self, path: str | os.PathLike[str], indent: int | None = None, *, beside: bool = False) -> None:
        if indent is not None and not 0 <= indent <= _MAX_INDENT:
            raise SettingError(f"indent must be between 0 and {_MAX_INDENT}, not {indent}")
        self._asked_path = Path(path).expanduser().absolute()
        self._layout = HarLayout(
            Creator(name="otel-har", version=__version__),
            Browser(name=platform.python_implementation(), version=platform.python_version()),
            indent,
        )
        self._shut_down = False
        self._pages: dict[str, Page] = {}
        self._used_pages: set[str] = set()
        self._is_empty = True
        self._pid: int | None = None
        self._path = self._asked_path
        self._file: io.FileIO | None = None
        self._tells_other_path = not beside
        if not beside:
            file = _opened(self._path)
            if _locked(file):
                self._file = file
                self._start_document(file)
            else:  # this process may well have nothing to record: its own file waits for the first entry
                file.close()

    @property
    def path(self) -> Path:
        """The file that is written, absolute."""
        return self._path

    def export(self, batch: HarBatch) -> HarExportResult:
        """Add the batch's entries and write the document's end anew.

        Raises:
            ExportError: When the disk does not take it; the file is then put back to what it was before.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        file = self._file_of_this_process()
        pages = self._pages | {page.id: page for page in batch.pages}
        used = self._used_pages | {entry.pageref for entry in batch.entries if entry.pageref is not None}
        entries = self._layout.entries(batch.entries, first=self._is_empty)
        # A page whose entries were all dropped is not written: readers take it that a page has one.
        self._write(file, entries, [page for page in pages.values() if page.id in used])
        self._pages, self._used_pages = pages, used
        self._is_empty = self._is_empty and not batch.entries
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - nothing waits here
        """Close the file. Idempotent."""
        self._shut_down = True
        if self._file is not None:
            self._file.close()

    def _file_of_this_process(self) -> io.FileIO:
        """The open file; one beside it when another process records to it, a forked child's parent for instance."""
        if self._file is not None and self._pid == os.getpid():
            return self._file
        if self._file is not None:
            self._file.close()  # a duplicate of the parent's: the file and its lock stay the parent's
        self._path, file = _opened_beside(self._asked_path)
        self._file = file
        _logger.log(
            logging.WARNING if self._pid is None and self._tells_other_path else logging.INFO,
            "otel-har: another process records to %s, writing %s",
            self._asked_path,
            self._path,
        )
        self._start_document(file)
        return file

    def _start_document(self, file: io.FileIO) -> None:
        self._pid = os.getpid()
        self._pages = {}
        self._used_pages = set()
        self._is_empty = True
        self._entries_end = 0
        self._length = 0
        try:
            file.truncate(0)
            self._write(file, self._layout.head(), [])
        except OSError as fault:
            file.close()
            raise ExportError(f"cannot write the HAR file {self._path}: {fault.strerror or fault}") from fault

    def _write(self, file: io.FileIO, added: bytes, pages: list[Page]) -> None:
        """Write `added` where the entries end, and the tail after it, in one call."""
        tail = self._layout.tail(pages)
        document_end = self._entries_end + len(added) + len(tail)
        blanks = b" " * max(0, self._length - document_end)
        try:
            _write_at(file, self._entries_end, added + tail + blanks)
        except OSError as fault:
            self._restore(file)
            raise ExportError(f"cannot write to {self._path}: {fault.strerror or fault}") from fault
        self._entries_end += len(added)
        self._length = document_end + len(blanks)

    def _restore(self, file: io.FileIO) -> None:
        """Close the document again where it ended before a write that failed half-way."""
        tail = self._layout.tail(page for page in self._pages.values() if page.id in self._used_pages)
        with contextlib.suppress(OSError):
            _write_at(file, self._entries_end, tail)
            file.truncate(self._entries_end + len(tail))
            self._length = self._entries_end + len(tail)


def _write_at(file: io.FileIO, position: int, data: bytes) -> None:
    file.seek(position)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _opened_beside(path: Path) -> tuple[Path, io.FileIO]:
    """A file of this process beside the one that was asked for."""
    for number in itertools.count(1):
        suffix = f"{os.getpid()}" if number == 1 else f"{os.getpid()}.{number}"
        beside = path.with_name(f"{path.stem}.{suffix}{path.suffix}")
        file = _opened(beside)
        if _locked(file) and not os.fstat(file.fileno()).st_size:
            return beside, file
        file.close()  # a further recording of this process, or of an earlier one with its number
    raise AssertionError("itertools.count ends")


def _opened(path: Path) -> io.FileIO:
    """The file for reading and writing, its content untouched; created for its owner only."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except (OSError, ValueError) as fault:  # ValueError: a path that no file can have
        raise ExportError(f"cannot write the HAR file {path}: {getattr(fault, 'strerror', fault)}") from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ExportError(f"cannot write the HAR file {path}: it is not a regular file")
    return io.FileIO(descriptor, "r+")


def _locked(file: io.FileIO) -> bool:
    """Whether this process now is the file's only recorder; True where there are no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a filesystem without locks
        return True
    return True
