"""What of a HAR file is whole: its entries and pages, and where the bytes of them are.

The rule: whatever stands before the first fault and is whole is kept, byte for byte. Behind a fault that is not the end
of the file the search goes on for what looks like an entry: a machine that crashes leaves blocks of zeros in the middle
of a file, too, and a recorder that writes a NaN spoils one entry and no other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias, TypeGuard

from otel_har.errors import HarFormatError
from otel_har.har.bodies import without_surrogates
from otel_har.har.faults import MAXIMUM_DEPTH, Fault, member
from otel_har.har.window import BrokenError, JsonWindow, TooDeepError

__all__ = ["Container", "FoundPage", "PageList", "Piece", "Walk"]

# An entry behind a fault is not looked for in what is longer: what never ends would be read to the end of the file.
_LONGEST_FOUND_BYTES = 64 << 20
# How often bytes behind a fault are looked at again, each time as the beginning of something else.
_EFFORT = 16
_FREE_EFFORT_BYTES = 1 << 20
_MOST_FAULTS = 100
_BEGUN_DOCUMENT = re.compile(rb'\s*("(l(o(g("(\s*(:\s*)?)?)?)?)?)?)?')
_BEGUN_BYTES = 256


@dataclass(slots=True)
class Container:
    """An object or array of the document that is being read.

    Attributes:
        kind: `document`, `log`, `entries` or `pages`.
        items: How many members or elements it has so far, with one that is still open.
        names: The names of the members.
        member: The name of the member that is being read; None between two.
    """

    kind: str
    items: int = 0
    names: set[str] = field(default_factory=set)
    member: str | None = None


Piece: TypeAlias = tuple[int, int] | bytes | Container
"""A part of a mended document: bytes of the source from one offset to another, new ones, or what a log lacks."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page: its value, where it ends, and where the blanks before it begin."""

    value: Any
    start: int
    end: int

    @property
    def id(self) -> str | None:
        """The page's id; None if it has none."""
        found = self.value.get("id") if isinstance(self.value, dict) else None
        return without_surrogates(found) if isinstance(found, str) else None


@dataclass(slots=True)
class PageList:
    """An array of pages: from behind its bracket to behind its last whole page."""

    start: int
    end: int
    pages: list[FoundPage] = field(default_factory=list)


class Walk:
    """Goes once through a document, to its end or as far as it can be understood.

    Args:
        stream: The bytes, from the beginning; at the end they must be there once more (`seek`).

    Attributes:
        creator: The bytes of a creator that is cut; None otherwise.
        entries: How many whole entries there are.
        entries_end: Where the last whole entry ends, or else where the array of them begins; None: it does not.
        faults: What was found to be wrong, the first hundred of it. None: the document is whole.
        has_log: Whether there is a log, or the beginning of one.
        gaps: How many faults there are with entries behind them.
        kept: What to keep: bytes of the source, what joins them, and each log that lost something, before its closing.
        open: What is open at the end: nothing, or outermost first what a fault left open.
        page_lists: The pages.
        references: Each page referred to, with the earliest `startedDateTime` of its entries, in any form.

    Raises:
        HarFormatError: It is no HAR, and not the beginning of one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._window = JsonWindow(stream)
        self.creator: bytes | None = None
        self.entries = 0
        self.entries_end: int | None = None
        self.faults: list[Fault] = []
        self.gaps = 0
        self.kept: list[Piece] = []
        self.open: list[Container] = []
        self.page_lists: list[PageList] = []
        self.references: dict[str, str | None] = {}
        self.has_log = False
        self._kept_from = self._whole_end = self._window.start
        if self._window.peek() != "{":
            self._no_har()
        try:
            self._document()
        except BrokenError as broken:
            self._note(broken)
            if not self.has_log:
                self._begun(broken)
        self.kept.append((self._kept_from, self._whole_end))

    def _no_har(self) -> None:
        try:
            self._window.take("{")
        except BrokenError as broken:
            raise HarFormatError(f"not a HAR: {broken.message}", f"byte {broken.offset}") from None

    def _begun(self, broken: BrokenError) -> None:
        """A document that ends before its log may be anything, unless there is nothing but the beginning of one."""
        if self.open[-1].items or not _BEGUN_DOCUMENT.fullmatch(self._text_before_zeros()):
            raise HarFormatError(f"not a HAR: {broken.message}, and no log before that", f"byte {broken.offset}")

    def _text_before_zeros(self) -> bytes:
        """What is left of the file, without the zeros at its end, or the beginning of that if it is long."""
        self._stream.seek(self._whole_end)
        text, zeros = b"", b""
        while len(text) < _BEGUN_BYTES and (chunk := self._stream.read(_BEGUN_BYTES)):
            if begun := chunk.rstrip(b"\0"):
                text += zeros + begun
                zeros = b""
            if len(begun) < len(chunk):
                zeros = b"\0"  # one is as good as many
        return text

    def _document(self) -> None:
        document = self._enter("document", "{")
        for name in self._names(document):
            if name == "log" and self._window.peek() == "{":
                self.has_log = True
                self._log()
            else:
                self._value()
        if not self.has_log:
            raise HarFormatError("not a HAR: there is no log object")
        rest = self._window.peek()
        self._whole_end = self._window.offset  # with the blanks behind it
        if rest:
            self._window.take("")

    def _log(self) -> None:
        log = self._enter("log", "{")
        is_in_entries = False
        while True:
            try:
                if is_in_entries:
                    self._go_on_with_entries()
                self._log_members(log)
            except BrokenError as broken:
                if not self._recovers(log, broken):
                    raise
                is_in_entries = True
            else:
                return

    def _log_members(self, log: Container) -> None:
        for name in self._names(log):
            first = self._window.peek()
            if name == "entries" and first == "[":
                self._enter("entries", "[")
                self.entries_end = self.entries_end if self.entries else self._whole_end
                self._go_on_with_entries()
            elif name == "pages" and first == "[":
                self._pages()
            elif name == "creator":
                self._creator()
            else:
                self._value()

    def _creator(self) -> None:
        try:
            self._value()
        except BrokenError:
            self.creator = self._window.last_bytes()
            raise

    def _go_on_with_entries(self) -> None:
        for value in self._elements(MAXIMUM_DEPTH):
            self._entry(value)

    def _entry(self, value: Any) -> None:
        """Count the entry that was taken last."""
        self._is_whole()
        self.entries += 1
        self.entries_end = self._whole_end
        if not isinstance(value, dict):
            return
        reference, started = value.get("pageref"), value.get("startedDateTime")
        if not isinstance(reference, str):
            return
        if not reference.isascii():
            reference = without_surrogates(self._window.last_value()["pageref"])
        started = started if isinstance(started, str) else None
        known = self.references.setdefault(reference, started)
        # As texts: one producer writes one form, in which the earlier is the smaller.
        if started is not None and (known is None or started < known):
            self.references[reference] = started

    def _pages(self) -> None:
        self._enter("pages", "[")
        found = PageList(self._whole_end, self._whole_end)
        self.page_lists.append(found)
        # The reader counts the list of them as a level.
        for _ in self._elements(MAXIMUM_DEPTH - 1):
            self._is_whole()
            found.end = self._whole_end
            found.pages.append(FoundPage(self._window.last_value(), self._window.value_offset, found.end))

    def _value(self) -> None:
        if not isinstance(self._window.value(), str | dict | list) and self._window.peek() not in tuple(",}"):
            self._window.take(",}")  # a number that goes on as something else is not whole
        self._is_whole()

    def _enter(self, kind: str, opening: str) -> Container:
        """Begin a container, which counts as an item of the one around it from here on."""
        self._window.take(opening)
        self._is_whole()
        container = Container(kind)
        self.open.append(container)
        return container

    def _leave(self) -> None:
        self.open.pop()
        self._whole_end = self._window.offset

    def _is_whole(self) -> None:
        """Keep everything up to here, which ends an item of the innermost container or begins one."""
        self._whole_end = self._window.offset
        for container in self.open[-1:]:
            container.items += 1
            if container.member is not None:
                container.names.add(container.member)

    def _names(self, container: Container) -> Iterator[str]:
        """Yield the names of an object's members; whoever asks has to take the value before the next."""
        while not self._ends(container, "}"):
            if self._window.peek() != '"':
                self._window.take('"')
            name = self._window.value()
            self._window.take(":")
            container.member = name
            yield name
            container.member = None

    def _elements(self, maximum_depth: int) -> Iterator[Any]:
        """Yield the elements of the innermost array that are still to come; whoever asks counts them."""
        container = self.open[-1]
        while not self._ends(container, "]"):
            yield self._window.value(maximum_depth)

    def _ends(self, container: Container, closing: str) -> bool:
        """Take what stands before a further item, or what closes the container."""
        if container.items:
            closes = self._window.take("," + closing) == closing
        elif closes := self._window.peek() == closing:
            self._window.take(closing)
        if closes:
            self._leave()
            if self.gaps and container.kind == "log":
                # Before its closing: it may have lost more than entries.
                self.kept += [(self._kept_from, self._whole_end - 1), container]
                self._kept_from = self._whole_end - 1
        return closes

    def _place(self) -> str:
        """The place of what is being read; entries count from those that are kept."""
        container = self.open[-1] if self.open else Container("document")
        if container.kind == "entries":
            return f"log.entries[{self.entries}]"
        if container.kind == "pages":
            return f"log.pages[{container.items}]"
        parent = "" if container.kind == "document" else container.kind
        return (member(parent, container.member) if container.member is not None else parent) or "document"

    def _note(self, broken: BrokenError) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(self._place(), broken.message, "cut" if broken.is_end else "broken"))

    def _recovers(self, log: Container, broken: BrokenError) -> bool:
        """Go on with the next entry behind a fault; false: there is none, or none is wanted."""
        is_in_entries = self.open[-1].kind == "entries"
        if broken.is_end or ("entries" in log.names and not is_in_entries):
            return False
        fault_at = max(broken.offset, self._window.offset)
        if isinstance(broken, TooDeepError) and fault_at == broken.offset:
            return False  # so deep that Python's scanner gave up: where it ends is not known
        found = self._next_entry(fault_at)
        if found is None:
            return False
        self._note(broken)
        self.gaps += 1
        self.kept += [(self._kept_from, self._whole_end), self._joint(log)]
        self._kept_from = self._window.value_offset
        self._entry(found)
        return True

    def _joint(self, log: Container) -> bytes:
        """What leads from what is open to the next entry, which then is open."""
        if self.open[-1].kind == "entries":
            return b",\n" if self.open[-1].items else b"\n"
        closing = b""
        if self.open[-1] is not log:
            self.open.pop()
            closing = b"]"
        comma = b"," if log.items else b""
        log.member = "entries"
        self._is_whole()
        self.open.append(Container("entries"))
        return closing + comma + b'\n"entries":[\n'

    def _next_entry(self, offset: int) -> dict[str, Any] | None:
        """Take the next thing at the offset or behind it that is an entry; None: there is none."""
        begin, effort = offset, 0
        while self._window.seek_object(offset):
            start = self._window.offset
            if effort > _FREE_EFFORT_BYTES + _EFFORT * (start - begin):
                return None
            try:
                value = self._window.value(maximum_bytes=_LONGEST_FOUND_BYTES)
            except BrokenError as broken:
                taken = self._window.offset - start
                if isinstance(broken, TooDeepError) and not taken:
                    return None
                effort += max(taken, broken.offset - start)
                offset = start + (taken or 1)
                continue
            if _is_entry(value):
                return value
            offset = self._window.offset
        return None


def _is_entry(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value has what no reader can do without: when the request was made, and the request."""
    return isinstance(value, dict) and isinstance(value.get("request"), dict) and "startedDateTime" in value
