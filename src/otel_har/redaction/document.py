"""A HAR document of any producer, gone through once: its entries and other members, with the bytes between them.

The rule: memory holds one entry or member. What is not changed is copied byte for byte.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, cast

from otel_har.errors import HarFormatError
from otel_har.har.attaching import attached
from otel_har.har.faults import member
from otel_har.har.source import Source, Utf8Source
from otel_har.har.window import BrokenError, JsonWindow
from otel_har.redaction.exact import ExactJson, dumped
from otel_har.redaction.redactor import TOLD, Redactor, stricter

_ENTRIES = "log.entries"
_RECORDER = "_otel_har"
_STARTS = ("listStart", "entriesStart")
_END = "entriesEnd"


@dataclass(slots=True)
class RedactionReport:
    """What a redaction did.

    Attributes:
        entries: How many entries there are.
        changed: How many of them are not as they were.
        rules: In how many entries and other members each rule acted.
    """

    entries: int = 0
    changed: int = 0
    rules: Counter[str] = field(default_factory=Counter)


class Kind(enum.Enum):
    """What a part is."""

    ENTRY = "entry"
    MEMBER = "member"
    ENTRIES = "entries"
    """The bracket that opens the list of entries."""
    END = "end"
    """Whatever stands between the last member of the log and its closing."""


@dataclass(frozen=True, slots=True)
class Part:
    """An entry, a member, or what stands where something may be put in.

    Attributes:
        kind: What it is.
        before: The bytes behind the part before: of a member up to its name, else up to its value.
        parent: The place of what it is in: `log.entries`, `log`, or empty for the document.
        name: Its name; of an entry, its index.
        key: The bytes of a member's name and the colon behind it.
        raw: The bytes of the value, UTF-8.
    """

    kind: Kind
    before: bytes
    parent: str
    name: str = ""
    key: bytes = b""
    raw: bytes = b""

    @property
    def place(self) -> str:
        """Its place in the document."""
        return f"{_ENTRIES}[{self.name}]" if self.kind is Kind.ENTRY else member(self.parent, self.name)

    @property
    def blanks(self) -> bytes:
        """The blanks before a member's name or a closing: a line end and the indentation, where there are such."""
        return self.before[len(self.before.rstrip()) :]


class Parts:
    """Goes through a document.

    Args:
        source: A path, or a stream of bytes, which is left open.

    Attributes:
        rest: After the iteration, the bytes behind the last part.

    Raises:
        OSError: When it cannot be read.
        HarFormatError: While iterating: it is no HAR, or not to its end. What stands before is delivered first.
    """

    def __init__(self, source: Source) -> None:
        self._source = Utf8Source(source)
        self._tape = _Tape(self._source)
        self._place = ""
        self._gap = b""
        self.rest = b""

    def close(self) -> None:
        """Close what was opened here."""
        self._source.close()

    def inlined(self, entry: Any) -> Any:
        """An entry's value with those bodies that are files of their own in the same archive."""
        return self._source.inlined(entry)

    def __iter__(self) -> Iterator[Part]:
        try:
            yield from self._document(JsonWindow(cast("BinaryIO", self._tape), tells_text=False))
        except BrokenError as broken:
            raise HarFormatError(broken.message, self._place) from None

    def _document(self, window: JsonWindow) -> Iterator[Part]:
        if window.peek() != "{":
            raise HarFormatError("not a HAR: there is no object in it")
        has_log = False
        for name in self._names(window, ""):
            if name == "log" and window.peek() == "{":
                has_log = True
                yield from self._log(window)
            else:
                yield self._member(window, "", name)
        if window.peek():
            raise HarFormatError("not JSON: there is something behind its end")
        if not has_log:
            raise HarFormatError("not a HAR: there is no log object")
        self.rest = self._taken(window.offset)

    def _log(self, window: JsonWindow) -> Iterator[Part]:
        for name in self._names(window, "log"):
            if name == "entries" and window.peek() == "[":
                window.take("[")
                yield Part(Kind.ENTRIES, self._taken(window.offset), "log", name)
                index = 0
                while not _ends(window, "]", is_first=not index):
                    yield self._entry(window, str(index))
                    index += 1
            else:
                yield self._member(window, "log", name)
        yield Part(Kind.END, self._taken(window.offset - 1), "log")

    def _names(self, window: JsonWindow, place: str) -> Iterator[str]:
        """The names of an object's members; whoever asks has to take the value before the next."""
        window.take("{")
        is_first = True
        while not _ends(window, "}", is_first=is_first):
            self._place = place
            if window.peek() != '"':
                window.take('"')
            self._gap += self._tape.cut(window.offset)
            window.value()
            name = window.last_value()
            self._place = member(place, name)
            window.take(":")
            yield name
            is_first = False

    def _entry(self, window: JsonWindow, index: str) -> Part:
        self._place = f"{_ENTRIES}[{index}]"
        window.peek()
        before = self._taken(window.offset)
        window.value()
        return Part(Kind.ENTRY, before, _ENTRIES, index, raw=self._tape.cut(window.offset))

    def _member(self, window: JsonWindow, parent: str, name: str) -> Part:
        window.peek()
        before, self._gap = self._gap, b""
        key = self._tape.cut(window.offset)
        window.value()
        return Part(Kind.MEMBER, before, parent, name, key, self._tape.cut(window.offset))

    def _taken(self, end: int) -> bytes:
        """What was not delivered yet, up to an offset."""
        taken, self._gap = self._gap + self._tape.cut(end), b""
        return taken


def _ends(window: JsonWindow, closing: str, *, is_first: bool) -> bool:
    """Take what stands before a further item, or what closes the container."""
    if not is_first:
        return window.take("," + closing) == closing
    if window.peek() != closing:
        return False
    window.take(closing)
    return True


class _Tape:
    """The bytes of a source, as read, until they are cut off."""

    def __init__(self, source: Utf8Source) -> None:
        self._chunks = iter(source)
        self._held = bytearray()
        self._start = 0

    def read(self, size: int) -> bytes:
        """The next bytes, as a stream has them: about as many as are asked for."""
        chunk = bytearray()
        while len(chunk) < size and (more := next(self._chunks, b"")):
            chunk += more
        self._held += chunk
        return bytes(chunk)

    def cut(self, end: int) -> bytes:
        """Everything that was not cut off yet, up to an offset."""
        length = end - self._start
        taken = bytes(self._held[:length])
        del self._held[:length]
        self._start += length
        return taken


class Target(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> Any:
        """Write them."""


def redact_document(
    source: Source, target: Target, redactor: Redactor, attach: Callable[[str, bytes], None] | None = None
) -> RedactionReport:
    """Write a HAR without its secrets.

    The log tells so in a member `_redaction`, with the policy's mode. Everything else stays what it is and where it is.
    The result is UTF-8 without a byte order mark; half characters (lone surrogates) become U+FFFD.

    Args:
        source: A path, or a stream of bytes, which is left open.
        target: Where it goes. After an error it has the beginning.
        redactor: The policy at work.
        attach: Takes the bodies, redacted, each with the name of its file; without it they are in the document, also
            those that an archive has as files.

    Raises:
        OSError: It cannot be read or written.
        HarFormatError: It is no HAR, or not to its end.
    """
    parts = Parts(source)
    try:
        return _Rewriting(target, redactor, attach).write(parts)
    finally:
        parts.close()


class _Rewriting:
    """One document on its way."""

    def __init__(self, target: Target, redactor: Redactor, attach: Callable[[str, bytes], None] | None) -> None:
        self._target = target
        self._attach = attach
        self._redactor = redactor
        self._report = RedactionReport()
        self._written = self._list_start = self._entries_end = 0
        self._has_told = False
        self._members = 0
        self._blanks = b""

    def write(self, parts: Parts) -> RedactionReport:
        """Write all of it."""
        for part in parts:
            if part.kind is Kind.ENTRY:
                self._put(part.before, self._entry(part, parts))
                self._entries_end = self._written
            elif part.kind is Kind.ENTRIES:
                self._put(part.before)
                self._members += 1
                self._list_start = self._entries_end = self._written
            elif part.kind is Kind.END:
                self._put(part.before.rstrip(), b"" if self._has_told else self._told_at_the_end(), part.blanks)
            else:
                self._member(part)
        self._put(parts.rest)
        return self._report

    def _put(self, *data: bytes) -> None:
        for one in data:
            self._target.write(one)
            self._written += len(one)

    def _entry(self, part: Part, parts: Parts) -> bytes:
        exact = ExactJson(part.raw.decode())
        whole = parts.inlined(exact.value)
        if isinstance(whole, dict):
            value, rules = self._redactor.entry_and_rules(whole)
        else:
            value, rules = self._redactor.member_and_rules("entries", exact.value)
        self._report.entries += 1
        self._report.changed += value != whole
        self._report.rules.update(rules)
        if self._attach is not None:
            value = attached(value, self._attach)
        is_same = self._attach is None and whole is exact.value
        return (exact.changed(value) if is_same else dumped(value)).encode()

    def _member(self, part: Part) -> None:
        exact = ExactJson(part.raw.decode())
        is_logs = part.parent == "log"
        if is_logs and part.name == TOLD:
            self._has_told = True
            told = exact.value.get("policy") if isinstance(exact.value, dict) else None
            self._put(part.before, part.key, exact.changed(self._told(told)).encode())
        else:
            value, rules = self._redactor.member_and_rules(part.name, exact.value)
            self._report.rules.update(rules)
            if is_logs and part.name == _RECORDER:
                value = self._with_place(value)
                self._tell_before(part)
            else:
                self._put(part.before)
            self._put(part.key, exact.changed(value).encode())
        if is_logs:
            self._members += 1
            self._blanks = part.blanks

    def _told(self, before: Any = None) -> dict[str, str]:
        return {"policy": stricter(self._redactor.policy.mode, before)}

    def _tell_before(self, part: Part) -> None:
        """A recorder that goes on with the file looks for its own member at the end: it stays the last."""
        self._put(part.before)
        if not self._has_told:
            self._has_told = True
            self._put(self._telling(part.blanks), b",", part.blanks)

    def _told_at_the_end(self) -> bytes:
        return (b"," if self._members else b"") + self._blanks + self._telling(self._blanks)

    def _telling(self, blanks: bytes) -> bytes:
        return f'"{TOLD}":{" " if blanks else ""}{dumped(self._told())}'.encode()

    def _with_place(self, value: Any) -> Any:
        """The recorder's own member, with the places where the entries begin and end now."""
        if isinstance(value, dict) and isinstance(value.get(_END), int):
            starts = {name: self._list_start for name in _STARTS if name in value}
            return {**value, **starts, _END: self._entries_end}
        return value
