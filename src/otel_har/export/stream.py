"""`StreamHarExporter`: a HAR document in any stream.

The rule: where the stream can go back, it holds a whole document after each export, and what cannot be written leaves
the one before. Where it cannot, the document is begun at once and ended at the end, and what the stream took only a
part of is kept until it takes the rest.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.files.document import HarDocument
from otel_har.export.files.standing import Standing
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.export.sink import Sink
from otel_har.forking import call_in_forked_child
from otel_har.har.models import Page

_MAX_INDENT = 16
_RETRY_S = 0.02
# After one of these a stream takes nothing again.
_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EBADF,
        errno.ECONNABORTED,
        errno.ECONNRESET,
        errno.EINVAL,
        errno.ENOTCONN,
        errno.EPERM,
        errno.EPIPE,
        errno.EROFS,
        getattr(errno, "ESHUTDOWN", errno.EPIPE),
    }
)


class StreamHarExporter(HarExporter):
    """Writes a HAR document to a stream: text or binary, seekable or not.

    A seekable stream holds a whole document after each export and each flush, from where it stood: what came behind
    that place is cut off. In any other one, and in standard output and error, entries follow each other as they come,
    and `shutdown` writes the end.

    In a forked child a stream with a file descriptor is the parent's, and the child's entries are refused; one in
    memory is the child's own copy.

    Args:
        stream: Anything that has a `write` for str or for bytes. Text is UTF-8, or else ASCII with JSON's escapes.
        indent: Spaces for each level, 0 to 16; None for one line an entry.
        close: Whether `shutdown` closes the stream.

    Raises:
        SettingError: When it is no stream, or `indent` is out of its range.
    """

    def __init__(self, stream: Any, indent: int | None = None, *, close: bool = False) -> None:
        if indent is not None and not 0 <= indent <= _MAX_INDENT:
            raise SettingError(f"indent must be between 0 and {_MAX_INDENT}, not {indent}")
        self._sink = Sink(stream)
        self._document = HarDocument(indent)
        self._close = close
        self._pages: dict[str, Page] = {}
        self._form: _Form | None = None
        self._ended: str | None = None
        self._shut_down = False
        call_in_forked_child(self._leave_to_parent)

    def export(self, batch: HarBatch) -> HarExportResult:
        """Write the batch.

        Raises:
            DestinationError: When the stream takes nothing for now. A seekable one is as it was before.
            ExportError: When it is closed or broken, or something else was written behind the document.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        pages = self._pages | {page.id: page for page in batch.pages}
        with self._faults():
            self._place().add(batch, pages)
        self._pages = pages
        return HarExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Have everything in the stream, and in a seekable one a whole document, also before the first entry."""
        return not self._shut_down and self._ended is None and self._tried(timeout_millis, last=False)

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """End the document, and close the stream if that was asked for. Idempotent.

        Raises:
            ExportError: When the document could not be ended.
        """
        if self._shut_down:
            return
        self._shut_down = True
        if self._ended is not None:
            return
        try:
            if not self._tried(timeout_millis, last=True):
                raise ExportError("the stream did not take the end of the HAR document")
        finally:
            if self._close:
                with self._faults():
                    self._sink.close()

    def _place(self) -> _Form:
        if self._ended is not None:
            raise ExportError(self._ended)
        if self._form is None:
            start = None if self._sink.is_standard() else self._sink.start()
            if start is None:
                self._form = _Flowing(self._sink, self._document)
            else:
                self._form = _Rewritten(self._sink, self._document, start)
        return self._form

    def _tried(self, timeout_millis: int, *, last: bool) -> bool:
        """Whether the stream took everything within the time."""
        end = time.monotonic() + timeout_millis / 1000
        while True:
            try:
                with self._faults():
                    self._place().finish(last=last)
            except DestinationError:
                if time.monotonic() + _RETRY_S > end:
                    return False
                threading.Event().wait(_RETRY_S)
            else:
                return True

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Faults of the stream as ours: those that pass, and those after which nothing can be written."""
        try:
            yield
        except ExportError:
            raise
        except OSError as fault:
            if fault.errno in _LASTING or isinstance(fault, ValueError):
                self._end(f"the stream takes no more: {fault}", fault)
            error = DestinationError(f"cannot write to the stream: {fault.strerror or fault}")
            error.errno = fault.errno
            raise error from fault
        except ValueError as fault:  # so Python's streams say that they are closed
            self._end(f"the stream takes no more: {fault}", fault)

    def _end(self, reason: str, fault: Exception) -> NoReturn:
        self._ended = reason
        raise ExportError(reason) from fault

    def _leave_to_parent(self) -> None:
        if self._sink.descriptor() is not None:
            self._ended = "the stream is the parent process's"
            self._close = False


class _Form(ABC):
    """A document in a stream. What its methods raise says that they may be called again."""

    def __init__(self, sink: Sink, document: HarDocument) -> None:
        self._sink = sink
        self._document = document
        self._recording = uuid.uuid4().hex

    @abstractmethod
    def add(self, batch: HarBatch, pages: Mapping[str, Page]) -> None:
        """Add a batch: when it raises, nothing of it is there."""

    @abstractmethod
    def finish(self, *, last: bool) -> None:
        """Have everything in the stream; with `last` the end of the document, too."""


class _Rewritten(_Form):
    """The end of the document is written anew with each addition."""

    def __init__(self, sink: Sink, document: HarDocument, start: Any) -> None:
        super().__init__(sink, document)
        self._place = start  # where the next entries go
        new = document.new(self._recording)
        self._standing, self._head, self._tail = new.standing, new.entries, b""
        self._end: Any = None  # of the document, where it is known to be whole

    def add(self, batch: HarBatch, pages: Mapping[str, Page]) -> None:
        growth = self._document.grown(self._standing, batch, pages)
        self._write(growth.entries, growth.tail, growth.standing)

    def finish(self, *, last: bool) -> None:
        if self._end is None:
            self._write(b"", self._document.ended(self._standing), self._standing)
        if last:  # whoever reads on, or writes on, does so behind it
            self._sink.end()

    def _write(self, entries: bytes, tail: bytes, standing: Standing) -> None:
        if self._end is not None and self._sink.end() != self._end:
            raise ExportError("something else was written into the stream: it is left as it is")
        self._end = None
        try:
            place, end = self._laid_out(self._sink.prepared(self._head + entries), tail)
        except OSError:
            self._restore()
            raise
        self._place, self._end = place, end
        self._standing, self._head, self._tail = standing, b"", tail

    def _laid_out(self, entries: bytes, tail: bytes) -> tuple[Any, Any]:
        self._sink.go(self._place)
        for _ in self._sink.write_all(entries):
            pass
        place = self._sink.place()
        for _ in self._sink.write_all(self._sink.prepared(tail)):
            pass
        self._sink.flush()
        self._sink.cut()
        return place, self._sink.end()

    def _restore(self) -> None:
        """What stood there before. Should that fail, too, the next addition is written over it all the same."""
        with contextlib.suppress(OSError):
            _, end = self._laid_out(b"", self._tail)
            self._end = end if self._tail else None


class _Flowing(_Form):
    """What is written stays: the end comes last."""

    def __init__(self, sink: Sink, document: HarDocument) -> None:
        super().__init__(sink, document)
        new = document.new(self._recording)
        self._standing, self._head = new.standing, new.entries
        self._rest, self._taken = b"", 0  # what was begun, and how much of it the stream has
        self._has_end = False

    def add(self, batch: HarBatch, pages: Mapping[str, Page]) -> None:
        self._drain()
        growth = self._document.grown(self._standing, batch, pages)
        self._begin(self._head + growth.entries)
        self._standing, self._head = growth.standing, b""

    def finish(self, *, last: bool) -> None:
        self._drain()
        if last and not self._has_end:
            self._begin(self._head + self._document.ended(self._standing))
            self._head, self._has_end = b"", True
            self._drain()
        self._sink.flush()

    def _begin(self, data: bytes) -> None:
        """Write it. When the stream takes nothing of it, it is forgotten; when a part, the rest is kept."""
        self._rest, self._taken = self._sink.prepared(data), 0
        try:
            self._drain()
            self._flush_if_it_can()
        except OSError as fault:
            if not self._taken:
                self._rest = b""
                raise
            if fault.errno in _LASTING:
                raise

    def _drain(self) -> None:
        for taken in self._sink.write_all(self._rest, self._taken):
            self._taken = taken
        self._rest, self._taken = b"", 0

    def _flush_if_it_can(self) -> None:
        try:
            self._sink.flush()
        except OSError as fault:  # the stream has it, and writes it later
            if fault.errno in _LASTING:
                raise
