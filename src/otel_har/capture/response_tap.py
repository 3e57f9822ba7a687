"""A tap for the response streams of urllib3's shape, which requests hands to programs as `response.raw`.

The rule is that of `streams`. The end of the body is where the program sees it: an empty read, a read of everything,
an exhausted iterator, or the last byte of a body of known length.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from json import loads
from time import perf_counter_ns
from typing import Any, ClassVar

from otel_har.capture.pieces import NotedPieces
from otel_har.capture.proxy import Tap
from otel_har.capture.reads import amount, asked, breaks, cut_off_bytes, is_left_encoded
from otel_har.capture.streams import ResponseNotes
from otel_har.guard import caught, guarded
from otel_har.waiting import Finalising

# What the program calls to read, and the method here that notes what the call got.
_NOTED = {
    "read": "_self_note_read",
    "read1": "_self_note_read1",
    "readinto": "_self_note_readinto",
    "readline": "_self_note_lines",
    "readlines": "_self_note_lines",
}
# What else it calls to read or to leave, and the method here that makes the call a noting one. `release_conn` is none:
# it closes nothing, and the program may read on.
_NOTING = {
    "close": "_self_noting_leave",
    "drain_conn": "_self_noting_leave",
    "json": "_self_noting_json",
    "read_chunked": "_self_noting_iteration",
}
_CLOSED = "closed before its end"
_LOST = "bytes came that no read of the response's stream returned"


_set = object.__setattr__


class ResponseTap(Tap):
    """Stands for one response's stream.

    A program may put something of its own in the place of a method, which calls that method (`functools.partial`), and
    the stream's own methods call what stands there. Then one call goes through here twice: the inner one counts.
    """

    __slots__ = ("_self_notes",)
    # Where requests looks for cookies, three times; what OpenTelemetry asks for.
    _self_plain: ClassVar[tuple[str, ...]] = ("_original_response", "version")
    _self_special: ClassVar[dict[str, str]] = {
        "__enter__": "_self_enter",
        "__exit__": "_self_exit",
        "__iter__": "_self_iter",
        "__next__": "_self_next",
    }

    def __init__(self, wrapped: Any, notes: ResponseNotes) -> None:
        _set(self, "__wrapped__", wrapped)
        _set(self, "_self_notes", notes)
        try:
            headers = getattr(wrapped, "headers", None)
            if headers is not None and "content-encoding" in headers:
                notes.has_coding = True
                notes.is_left_encoded = is_left_encoded(wrapped)
            if not getattr(wrapped, "chunked", False):
                notes.tell = getattr(wrapped, "tell", None)
                if self._self_wire_size():
                    self._self_note_read_before()
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("looking at a response", fault)

    @property
    def stream(self) -> Callable[..., Iterator[bytes]]:
        """As the stream's own, which is what nearly all bodies are read with; found without `__getattr__`."""
        return self._self_noting_iteration(self.__wrapped__.stream)

    def __getattr__(self, name: str) -> Any:
        """Every attribute is the stream's own, so that one it lacks is missing here too."""
        if name == "data":
            return self._self_data()
        value = getattr(self.__wrapped__, name)
        noting = _NOTING.get(name)
        if noting is not None:
            return getattr(self, noting)(value)
        note = _NOTED.get(name)
        return value if note is None else self._self_noting(value, getattr(self, note))

    def __del__(self) -> None:
        """The program let go of the response."""
        try:
            if self._self_notes.exchange.finished:  # nearly always
                return
            with Finalising():
                self._self_left("the response was dropped before its end")
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting a response left unread", fault)

    def _self_iter(self) -> Iterator[bytes]:
        iterator = iter(self.__wrapped__)
        if iterator is self.__wrapped__:
            return self
        decoded = hasattr(self.__wrapped__, "stream")  # urllib3 iterates over lines of the decoded body
        return self._self_noted(iterator, decoded=decoded)

    def _self_next(self) -> bytes:
        line: bytes = self._self_call(self.__wrapped__.__next__, self._self_note_lines, (), {})
        return line

    def _self_enter(self) -> ResponseTap:
        self.__wrapped__.__enter__()
        return self

    def _self_exit(self, *exception: object) -> Any:
        self._self_look_beneath()
        try:
            return self.__wrapped__.__exit__(*exception)
        finally:
            self._self_left(_CLOSED, looked=True)

    def _self_noting(self, read: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def noting_read(*args: Any, **kwargs: Any) -> Any:
            return self._self_call(read, note, args, kwargs)

        return noting_read

    def _self_noting_iteration(self, iterate: Callable[..., Iterable[bytes]]) -> Callable[..., Iterator[bytes]]:
        def noting_iteration(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            decoded = asked(args, kwargs)
            if decoded is None and getattr(self.__wrapped__, "chunked", False):
                decoded = False  # urllib3 takes the stream's own setting in reads, but not for chunked bodies here
            return self._self_noted(iterate(*args, **kwargs), decoded=decoded)

        return noting_iteration

    def _self_noting_leave(self, leave: Callable[..., Any]) -> Callable[..., Any]:
        def noting_leave(*args: Any, **kwargs: Any) -> Any:
            self._self_look_beneath()  # before the stream reads what is left, to use its connection again
            try:
                return leave(*args, **kwargs)
            finally:
                self._self_left(_CLOSED, looked=True)

        return noting_leave

    def _self_data(self) -> Any:
        return self._self_call(lambda: self.__wrapped__.data, self._self_note_read, (), {})

    def _self_noting_json(self, _json: Callable[[], Any]) -> Callable[[], Any]:
        def noting_json() -> Any:
            return loads(self._self_data().decode("utf-8"))  # as urllib3 does; it would read what is gone

        return noting_json

    def _self_noted(self, chunks: Iterable[bytes], *, decoded: bool | None) -> Generator[bytes, Any, None]:
        """The pieces, each noted; what the program throws into the generator it throws into the stream's."""
        notes = self._self_notes
        yield from NotedPieces(iter(chunks), notes, self, decoded)
        if not notes.exchange.finished:
            self._self_end()

    def _self_call(self, read: Callable[..., Any], note: Callable[..., None], args: Any, kwargs: Any) -> Any:
        notes = self._self_notes
        readings = notes.readings
        try:
            got = read(*args, **kwargs)
        except StopIteration:
            self._self_end()
            raise
        except BaseException as error:
            self._self_failed(error)
            raise
        if readings == notes.readings:
            note(got, args, kwargs)
        return got

    @guarded("noting a read")
    def _self_note_read(self, data: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What a `read` got; one without an amount got everything."""
        wanted = amount(args, kwargs)
        self._self_got(data, data if wanted else None, decoded=asked(args, kwargs))
        if wanted is None or wanted < 0:
            self._self_end()

    @guarded("noting a read")
    def _self_note_read1(self, data: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """`read1` returns what is there: without an amount it is still not everything."""
        self._self_got(data, None if amount(args, kwargs) == 0 else data, decoded=asked(args, kwargs))

    @guarded("noting lines")
    def _self_note_lines(self, lines: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        is_iterated = isinstance(lines, list) and hasattr(self.__wrapped__, "stream")  # and so decoded
        self._self_got(lines, lines, decoded=is_iterated or None)
        if isinstance(lines, list) and not any((*args, *kwargs.values())):  # without a hint it is all lines
            self._self_end()

    @guarded("noting a filled buffer")
    def _self_note_readinto(self, count: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        view = memoryview(next(iter((*args, *kwargs.values())))).cast("B")
        self._self_got(bytes(view[:count]), count if len(view) else None, decoded=None)

    def _self_got(self, data: Any, got: object, *, decoded: bool | None) -> None:  # noqa: C901 - a call is dearer
        """Note what a call of the program got, and the body's end where this is it.

        The end is a read that got nothing from a connection that has nothing more, or the last byte of a body of known
        length. urllib3 counts such a body down; that of an encoded one says nothing: its decoder may hold more.

        Args:
            data: Bytes, or a list of lines.
            got: What tells the end by being empty; None when nothing was asked for.
            decoded: Whether the content coding was removed; None for the stream's own setting.
        """
        try:
            notes, wrapped = self._self_notes, self.__wrapped__
            exchange = notes.exchange
            notes.readings += 1
            if exchange.finished:
                return
            size = self._self_wire_size()
            body = exchange.response_body
            if data:
                if decoded is None:
                    decoded = bool(getattr(wrapped, "decode_content", False))
                body.encoded = notes.is_left_encoded or not decoded
                body.note(b"".join(data) if isinstance(data, list) else data, perf_counter_ns())
                if size is not None:
                    body.wire_size_bytes = size
            if got is not None and not got:
                if self._self_is_exhausted():
                    self._self_end()
            elif getattr(wrapped, "length_remaining", None) == 0 and (body.encoded or not notes.has_coding):
                if size == body.size_bytes and not body.has_gaps:
                    notes.ended(size)
                elif size is None or size == body.size_bytes:  # as long as announced, but something passed by
                    self._self_end()
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting what was read", fault)

    def _self_is_exhausted(self) -> bool:
        """urllib3 1.26 gets nothing, too, where its decoder makes nothing yet of what it read."""
        is_closed = getattr(self.__wrapped__, "isclosed", None)
        return is_closed is None or bool(is_closed())

    @guarded("noting the end of a body")
    def _self_end(self) -> None:
        if self._self_notes.exchange.finished:
            return
        self._self_look_beneath(at_end=True)
        if self._self_notes.exchange.response_body.has_gaps:
            self._self_left(_LOST, looked=True)
        else:
            self._self_notes.ended(self._self_wire_size())

    @guarded("noting a response left unread")
    def _self_left(self, reason: str, *, looked: bool = False) -> None:
        notes = self._self_notes
        if notes.exchange.finished:
            return
        if not looked:
            self._self_look_beneath()
        size = self._self_wire_size()
        if notes.exchange.response_body.has_gaps:
            reason = _LOST
            size = None if size is None else size + self._self_bytes_beneath()
        notes.left(reason, size)

    @guarded("looking for bytes that passed by")
    def _self_look_beneath(self, *, at_end: bool = False) -> None:
        """Whether bytes came that no read returned, as far as anybody counts that.

        The program may read from `_original_response`, or a read that failed may lose what it had got. What urllib3 has
        taken and the program has not got from it yet, nobody knows before the end; but where the program asked it for
        nothing, urllib3 has taken nothing.
        """
        notes, wrapped = self._self_notes, self.__wrapped__
        if notes.exchange.finished or not hasattr(wrapped, "length_remaining"):
            return
        body = notes.exchange.response_body
        came = body.wire_size_bytes if getattr(wrapped, "chunked", False) else self._self_wire_size()
        is_unasked = notes.readings == 0 and getattr(wrapped, "chunked", False)
        if is_unasked or (at_end and self._self_is_plain()):
            body.has_gaps = (came or 0) > body.size_bytes
        body.has_gaps = body.has_gaps or self._self_bytes_beneath() > 0

    def _self_bytes_beneath(self) -> int:
        """By how much http.client has less left of a body of known length than urllib3 thinks."""
        left = getattr(getattr(self.__wrapped__, "_original_response", None), "length", None)
        expected = getattr(self.__wrapped__, "length_remaining", None)
        return expected - left if isinstance(left, int) and isinstance(expected, int) else 0

    @guarded("noting a failed read")
    def _self_failed(self, error: BaseException) -> None:
        """A stream that broke ends here; after a read that was refused the program may read on."""
        if not breaks(error) and not self._self_is_cut():
            self._self_notes.interrupted(error)
            return
        size = self._self_wire_size()
        cut_off = cut_off_bytes(error)
        self._self_look_beneath()
        if size is not None:
            size += (cut_off or 0) + self._self_bytes_beneath()
        self._self_notes.failed(error, size, lost=cut_off is None)

    @guarded("noting an abandoned iteration")
    def _self_abandoned(self) -> None:
        """The program threw an exception of its own into an iteration: urllib3 closes a chunked body then."""
        if self._self_is_cut():
            self._self_left(_CLOSED)

    def _self_is_cut(self) -> bool:
        """Whether the stream was closed before its end, so that nobody can read on: urllib3 does so at most errors."""
        isclosed = getattr(self.__wrapped__, "isclosed", None)
        is_closed = isclosed() if isclosed is not None else getattr(self.__wrapped__, "closed", False)
        return bool(is_closed) and getattr(self.__wrapped__, "length_remaining", None) != 0

    def _self_is_plain(self) -> bool:
        """Whether the bytes that are read are those of the wire."""
        notes = self._self_notes
        return notes.exchange.response_body.encoded or not notes.has_coding

    @guarded("looking for what was read before")
    def _self_note_read_before(self) -> None:
        """What an adapter read and put back for the program to read, as caches do, urllib3 counts twice."""
        counted = self._self_wire_size()
        left = getattr(self.__wrapped__, "length_remaining", None)
        if counted and isinstance(left, int):
            length = str((getattr(self.__wrapped__, "headers", None) or {}).get("content-length"))
            expected = int(length) if length.isascii() and length.isdigit() else left
            self._self_notes.read_before = max(0, counted + left - expected)

    def _self_wire_size(self) -> int | None:
        """urllib3's `tell`: bytes taken from the connection so far, which it does not count in chunked bodies."""
        notes = self._self_notes
        tell = notes.tell
        if tell is None:
            return None
        try:
            size = tell()
        except (OSError, ValueError):  # closed, or not seekable
            return None
        return size - notes.read_before if isinstance(size, int) else None
