"""One pass over the JSON of a HAR file in bounded memory: entry by entry, everything else as it comes.

The reader (models) and the checker (plain values) stand on this. The parser is ijson's; it hands over single events,
and values are put together from them here, since none of ijson's ready-made ways gives the entries one at a time and
the other members of the log in the same pass, before or after the entries.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from otel_har.errors import HarFormatError
from otel_har.har.faults import MAXIMUM_DEPTH, describe, member
from otel_har.har.source import Source, Utf8Source

try:
    import ijson  # type: ignore[import-untyped] # it ships no types
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "reading HAR files needs ijson: pip install 'otel-har[reader]'", name="ijson"
    ) from missing

__all__ = ["HarStream", "RawEntry", "RawMember"]

_Event = tuple[str, Any]

_KINDS = {"start_map": "an object", "start_array": "an array", "null": "null"}

_CONTAINERS: dict[str, type[dict[str, Any]] | type[list[Any]]] = {"start_map": dict, "start_array": list}
_ENDS = frozenset({"end_map", "end_array"})


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One element of `log.entries` as parsed: integers are int, other numbers float."""

    index: int
    value: Any


@dataclass(frozen=True, slots=True)
class RawMember:
    """Any other member, of the log (`parent` is `log`) or of the document itself (`parent` is empty)."""

    parent: str
    name: str
    value: Any


class HarStream:
    """Iterates over the members and entries of a HAR in the order of the file.

    Args:
        source: The path or the stream of bytes.

    Attributes:
        source: The source, with what its bytes told about themselves.
        duplicates: Places of names found twice in one object since the list was last cleared. The last one counts.
        has_entries: Whether `log.entries` was met as an array.

    Raises:
        HarFormatError: While iterating: the document is not JSON, ends too early, or has no `log` object. What stands
            before the fault is delivered first.
    """

    def __init__(self, source: Source) -> None:
        self.source = Utf8Source(source)
        self.duplicates: list[str] = []
        self.has_entries = False
        self._place = ""
        self._events = self._parse()

    def close(self) -> None:
        """Stop, and close the file if it was opened here."""
        self._events.close()
        self.source.close()

    def __iter__(self) -> Iterator[RawEntry | RawMember]:
        event, value = next(self._events)
        if event != "start_map":
            raise HarFormatError(f"not a HAR: expected an object, found {_KINDS.get(event) or describe(value)}")
        has_log = False
        for name in self._names(""):
            event, value = next(self._events)
            if name == "log" and event == "start_map":
                has_log = True
                yield from self._log()
            else:
                yield RawMember("", name, self._build(event, value))
        # Whatever follows the document is an error of the parser, which it can only raise when asked to go on.
        for _ in self._events:
            pass
        if not has_log:
            raise HarFormatError("not a HAR: there is no log object")

    def _log(self) -> Iterator[RawEntry | RawMember]:
        index = 0
        for name in self._names("log"):
            event, value = next(self._events)
            if name == "entries" and event == "start_array":
                self.has_entries = True
                for event, value in self._events:
                    if event == "end_array":
                        break
                    self._place = f"log.entries[{index}]"
                    yield RawEntry(index, self.source.inlined(self._build(event, value)))
                    index += 1
            else:
                yield RawMember("log", name, self._build(event, value))

    def _names(self, place: str) -> Iterator[str]:
        """Yield the names of an object's members; whoever asks has to take the value before the next."""
        seen = set()
        self._place = place
        for event, name in self._events:
            if event == "end_map":
                return
            self._place = member(place, name)
            if name in seen:
                self.duplicates.append(self._place)
            seen.add(name)
            yield name
            self._place = place

    def _build(self, event: str, value: Any) -> Any:
        """Put together the value that begins with an event."""
        if event not in _CONTAINERS:
            return _number(value) if event == "number" else value
        growing = _GrowingValue(_CONTAINERS[event](), self._place)
        try:
            for event, value in self._events:  # noqa: PLR1704 - the first event is done with
                if event == "map_key":
                    growing.name = value
                    if value in growing.container:
                        self.duplicates.append(growing.place())
                elif event in _CONTAINERS:
                    growing.open(_CONTAINERS[event]())
                elif event not in _ENDS:
                    growing.put(_number(value) if event == "number" else value)
                elif growing.close():
                    break
        except HarFormatError as error:
            raise HarFormatError(error.message, growing.place()) from error.__cause__
        return growing.root

    def _parse(self) -> Generator[_Event]:
        """Yield the parser's events, all those before a fault too; end with an error, or with the document."""
        events = ijson.sendable_list()
        # Numbers as int or Decimal: asked for floats, yajl refuses integers beyond 64 bits.
        parser = ijson.basic_parse_coro(events)
        try:
            for chunk in self.source:
                fault = fed(parser, chunk, events)
                yield from events
                events.clear()
                if fault is not None:
                    raise self._not_json(fault) from fault
            fault = fed(parser, None, events)
            yield from events
            if fault is not None:
                raise self._cut_off() from fault
        finally:
            self.source.close()

    def _not_json(self, fault: Exception) -> HarFormatError:
        # yajl: the cause, an excerpt, an arrow to where in the excerpt. The Python parser: one line.
        cause, _, excerpt = str(fault).partition("\n")
        excerpt = excerpt.partition("\n")[0].strip()
        near = f", near {describe(excerpt)}" if excerpt else ""
        return HarFormatError(f"not JSON: {cause.strip().rstrip('.')}{near}", self._place)

    def _cut_off(self) -> HarFormatError:
        if not self.source.bytes_read:
            return HarFormatError("not a HAR: there is nothing in it")
        return HarFormatError(f"not JSON: it ends too early, after {self.source.bytes_read} bytes", self._place)


class _GrowingValue:
    """A container being filled, and the way down to the place where it grows."""

    __slots__ = ("_open", "_root_place", "container", "name", "root")

    def __init__(self, root: Any, place: str) -> None:
        self.root = self.container = root
        self.name: str | None = None
        self._root_place = place
        self._open: list[tuple[Any, str | None]] = []

    def put(self, value: Any) -> None:
        if type(self.container) is list:
            self.container.append(value)
        else:
            self.container[self.name] = value

    def open(self, container: Any) -> None:
        if len(self._open) >= MAXIMUM_DEPTH:
            raise HarFormatError(f"nested deeper than {MAXIMUM_DEPTH} levels")
        self.put(container)
        self._open.append((self.container, self.name))
        self.container, self.name = container, None

    def close(self) -> bool:
        """End the container; true when it was the root."""
        if not self._open:
            return True
        self.container, self.name = self._open.pop()
        return False

    def place(self) -> str:
        """Return the place of the value that was put last, or whose name was read last."""
        place = self._root_place
        for container, name in [*self._open, (self.container, self.name)]:
            if type(container) is list:
                place = f"{place}[{max(len(container) - 1, 0)}]"
            elif name is not None:
                place = member(place, name)
        return place


def fed(parser: Any, chunk: bytes | None, events: list[Any]) -> Exception | None:
    """Give the parser a chunk, or None for the end, and return what it found wrong instead of raising it."""
    try:
        if chunk is None:
            parser.close()
        else:
            parser.send(chunk)
    except (ijson.JSONError, ValueError) as fault:
        return fault
    except InvalidOperation:
        return ValueError("a number beyond what decimal arithmetic holds")
    except SystemError as fault:
        # An integer of more digits than Python converts: ijson leaves its event behind, with a null pointer in it.
        del events[-1:]
        return fault.__cause__ if isinstance(fault.__cause__, Exception) else fault
    return None


def _number(value: int | Decimal) -> int | float:
    return value if type(value) is int else float(value)
