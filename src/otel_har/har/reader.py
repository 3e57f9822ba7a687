"""Reads HAR files of any producer and any size, one entry at a time.

    with HarReader("huge.har") as reader:
        for entry in reader:
            ...

Needs ijson, the extra `reader`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from otel_har.errors import HarFormatError
from otel_har.har.faults import describe, member
from otel_har.har.models import Browser, Creator, Entry, Har, HarModel, Log, Page
from otel_har.har.source import Source
from otel_har.har.stream import HarStream, RawEntry, RawMember

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HarReader", "load"]

_Model = TypeVar("_Model", bound=HarModel)


class HarReader:
    """Iterates over the entries of a HAR; what else the log has is known as far as the file has been read.

    Memory holds one entry, and what the file has outside of `log.entries`. Producers are free in the order of members,
    and those that write while they record put `pages` after the entries, so `log` and its shortcuts (`version`,
    `creator`...) give what stands before the entries when asked before the iteration, and everything after it
    (`is_complete`). To copy a file at bounded memory, write the entries first and the rest of the log after them.

    Args:
        source: A path, or a stream of bytes such as `sys.stdin.buffer`. A stream is left open.

    Attributes:
        is_complete: Whether the document was read to its end.

    Raises:
        OSError: The path cannot be opened or read.
        ValueError: While reading: the reader was closed before.
        HarFormatError: While reading (iterating, or asking for `log`): not JSON, not a HAR, cut off, or a part that no
            tolerance helps. Entries before the fault are delivered first; asking again raises the same error again.
    """

    def __init__(self, source: Source) -> None:
        self._stream = HarStream(source)
        self._pieces = iter(self._stream)
        self._ahead: RawEntry | None = None
        self._fault: HarFormatError | None = None
        self._members: dict[str, Any] = {}
        self._document_members: dict[str, Any] = {}
        self._log: Log | None = None
        self._is_closed = False
        self.is_complete = False

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading, and close the file if it was opened here. Closing twice is harmless."""
        self._is_closed = True
        self._stream.close()

    def __iter__(self) -> Iterator[Entry]:
        while (raw := self._next_entry()) is not None:
            self._ahead = None
            yield self._validated(Entry, raw.value, f"log.entries[{raw.index}]")

    @property
    def log(self) -> Log:
        """The log without its entries, as far as known: what stands before the entries, all after the iteration."""
        self._ahead = self._next_entry()
        if self._log is None:
            self._log = self._validated(Log, self._members, "log")
        return self._log

    @property
    def version(self) -> str:
        """The version of the format, as in `log`."""
        return self.log.version

    @property
    def creator(self) -> Creator:
        """The application that wrote the file, as in `log`."""
        return self.log.creator

    @property
    def browser(self) -> Browser | None:
        """The user agent that was recorded, as in `log`."""
        return self.log.browser

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages, as in `log`; `()` as long as they were not met."""
        return self.log.pages

    @property
    def comment(self) -> str | None:
        """The comment of the log, as in `log`."""
        return self.log.comment

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The custom fields of the log, as in `log`."""
        return self.log.extensions

    @property
    def document_members(self) -> Mapping[str, Any]:
        """Foreign members beside `log`, by name, as far as known."""
        return MappingProxyType(self._document_members)

    def _next_entry(self) -> RawEntry | None:
        """Return the next entry, which stays the next until taken, having read what stands before it."""
        if self._ahead is not None or self.is_complete:
            return self._ahead
        if self._fault is not None:
            raise self._fault
        if self._is_closed:
            raise ValueError("the reader was closed before the end of the document")
        try:
            for piece in self._pieces:
                if isinstance(piece, RawEntry):
                    return piece
                self._remember(piece)
        except HarFormatError as fault:
            self._fault = fault
            raise
        self.is_complete = True
        return None

    def _remember(self, piece: RawMember) -> None:
        if piece.parent:
            if piece.name == "entries" and piece.value is not None:
                raise HarFormatError(f"expected an array, found {describe(piece.value)}", "log.entries")
            self._members[piece.name] = piece.value
            self._log = None
        else:
            self._document_members[piece.name] = piece.value

    def _validated(self, model: type[_Model], value: Any, place: str) -> _Model:
        try:
            # By HAR's names only: a foreign member that happens to have a Python name is a foreign member.
            return model.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            self._fault = _format_error(error, place)
            raise self._fault from error


def load(source: Source) -> Har:
    """Read a whole HAR into memory.

    Args:
        source: A path, or a stream of bytes, which is left open.

    Raises:
        OSError: The path cannot be opened or read.
        HarFormatError: The document is not JSON, not a HAR, or cut off.
    """
    with HarReader(source) as reader:
        entries = tuple(reader)
        return Har(log=reader.log.model_copy(update={"entries": entries}), **reader.document_members)


def _format_error(error: ValidationError, place: str) -> HarFormatError:
    """Say in our words where a value is that no tolerance helps, and what it is."""
    first = error.errors(include_url=False)[0]
    for part in first["loc"]:
        if isinstance(part, int):
            place = f"{place}[{part}]"
        elif part not in {"int", "float"}:
            # These are the branches of a number's type, not members.
            place = member(place, part)
    if first["type"] == "missing":
        return HarFormatError("is missing", place)
    return HarFormatError(f"{first['msg'][0].lower()}{first['msg'][1:]}, found {describe(first['input'])}", place)
