"""A tap for the response streams of urllib3's shape, which requests hands to programs as `response.raw`.

The rule is that of `streams`. The end of the body is where the program sees it: an empty read, a read of everything,
an exhausted iterator, or the last byte of a body of known length.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from http.client import IncompleteRead
from json import loads
from typing import TYPE_CHECKING, Any

from otel_har.capture.streams import ResponseNotes, Tap
from otel_har.guard import guarded

if TYPE_CHECKING:
    from typing_extensions import Self

# What the program calls to read or to leave, and the method here that makes the call a noting one.
_NOTING = {
    "close": "_self_noting_leave",
    "drain_conn": "_self_noting_leave",
    "json": "_self_noting_json",
    "read": "_self_noting_read",
    "read1": "_self_noting_read1",
    "read_chunked": "_self_noting_iteration",
    "readinto": "_self_noting_readinto",
    "readline": "_self_noting_lines",
    "readlines": "_self_noting_lines",
    "release_conn": "_self_noting_leave",
    "stream": "_self_noting_iteration",
}


class ResponseTap(Tap):
    """Stands for one response's stream; `_self_` is wrapt's prefix for what belongs to the proxy itself."""

    def __init__(self, wrapped: Any, notes: ResponseNotes) -> None:
        super().__init__(wrapped)
        self._self_notes = notes

    def __getattr__(self, name: str) -> Any:
        """Every attribute is the stream's own, so that one it lacks is missing here too."""
        if name == "data":
            return self._self_data()
        value = getattr(self.__wrapped__, name)
        noting = _NOTING.get(name)
        return value if noting is None else getattr(self, noting)(value)

    def __iter__(self) -> Iterator[bytes]:
        decoded = hasattr(self.__wrapped__, "stream")  # urllib3 iterates over lines of the decoded body
        return self._self_noted(iter(self.__wrapped__), decoded=decoded)

    def __next__(self) -> bytes:
        line: bytes = self._self_attempt(self.__wrapped__.__next__)
        self._self_got(line, line, decoded=None)
        return line

    def __enter__(self) -> Self:
        self.__wrapped__.__enter__()
        return self

    def __exit__(self, *exception: object) -> Any:
        try:
            return self.__wrapped__.__exit__(*exception)
        finally:
            self._self_left("closed before its end")

    def __del__(self) -> None:
        """The program let go of the response."""
        self._self_left("the response was dropped before its end")

    def _self_noting_read(self, read: Callable[..., bytes]) -> Callable[..., bytes]:
        def noting_read(*args: Any, **kwargs: Any) -> bytes:
            data: bytes = self._self_attempt(read, *args, **kwargs)
            self._self_read(data, args, kwargs)
            return data

        return noting_read

    def _self_noting_read1(self, read1: Callable[..., bytes]) -> Callable[..., bytes]:
        """`read1` returns what is there: without an amount it is still not everything."""

        def noting_read1(*args: Any, **kwargs: Any) -> bytes:
            data: bytes = self._self_attempt(read1, *args, **kwargs)
            self._self_got(data, None if _amount(args, kwargs) == 0 else data, decoded=_asked(args, kwargs))
            return data

        return noting_read1

    def _self_noting_iteration(self, iterate: Callable[..., Iterable[bytes]]) -> Callable[..., Iterator[bytes]]:
        def noting_iteration(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            decoded = _asked(args, kwargs)
            if decoded is None and getattr(self.__wrapped__, "chunked", False):
                decoded = False  # urllib3 takes the stream's own setting in reads, but not for chunked bodies here
            return self._self_noted(iterate(*args, **kwargs), decoded=decoded)

        return noting_iteration

    def _self_noting_lines(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def noting_lines(*args: Any, **kwargs: Any) -> Any:
            lines = self._self_attempt(read, *args, **kwargs)
            is_iterated = isinstance(lines, list) and hasattr(self.__wrapped__, "stream")  # and so decoded
            self._self_got(lines, lines, decoded=is_iterated or None)
            if isinstance(lines, list) and not any((*args, *kwargs.values())):  # without a hint it is all lines
                self._self_end()
            return lines

        return noting_lines

    def _self_noting_readinto(self, readinto: Callable[[Any], int]) -> Callable[[Any], int]:
        def noting_readinto(buffer: Any) -> int:
            count: int = self._self_attempt(readinto, buffer)
            self._self_filled(buffer, count)
            return count

        return noting_readinto

    def _self_noting_leave(self, leave: Callable[..., Any]) -> Callable[..., Any]:
        def noting_leave(*args: Any, **kwargs: Any) -> Any:
            try:
                return leave(*args, **kwargs)
            finally:
                self._self_left("closed before its end")

        return noting_leave

    def _self_data(self) -> Any:
        data = self._self_attempt(lambda: self.__wrapped__.data)
        self._self_read(data, (), {})
        return data

    def _self_noting_json(self, _json: Callable[[], Any]) -> Callable[[], Any]:
        def noting_json() -> Any:
            return loads(self._self_data().decode("utf-8"))  # as urllib3 does; it would read what is gone

        return noting_json

    def _self_noted(self, chunks: Iterable[bytes], *, decoded: bool | None) -> Generator[bytes, None, None]:
        try:
            for chunk in chunks:
                self._self_got(chunk, None, decoded=decoded)
                yield chunk
        except GeneratorExit:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
            raise
        except BaseException as error:
            self._self_failed(error)
            raise
        self._self_end()

    def _self_attempt(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return read(*args, **kwargs)
        except StopIteration:
            self._self_end()
            raise
        except BaseException as error:
            self._self_failed(error)
            raise

    @guarded("noting a read")
    def _self_read(self, data: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What a `read` got; one without an amount got everything."""
        amount = _amount(args, kwargs)
        self._self_got(data, data if amount else None, decoded=_asked(args, kwargs))
        if amount is None or amount < 0:
            self._self_end()

    @guarded("noting a filled buffer")
    def _self_filled(self, buffer: Any, count: int) -> None:
        view = memoryview(buffer).cast("B")
        self._self_got(bytes(view[:count]), count if len(view) else None, decoded=None)

    @guarded("noting what was read")
    def _self_got(self, data: Any, got: object, *, decoded: bool | None) -> None:
        """Note what a call of the program got, and the body's end where this is it.

        The end is a read that got nothing from a connection that has nothing more, or the last byte of a body of known
        length. urllib3 counts such a body down; that of an encoded one says nothing: its decoder may hold more.

        Args:
            data: Bytes, or a list of lines.
            got: What tells the end by being empty; None when nothing was asked for.
            decoded: Whether the content coding was removed; None for the stream's own setting.
        """
        self._self_note(data, decoded=decoded)
        if got is not None and not got:
            if self._self_is_exhausted():
                self._self_end()
        else:
            self._self_end_at_last_byte()

    def _self_is_exhausted(self) -> bool:
        """urllib3 1.26 gets nothing, too, where its decoder makes nothing yet of what it read."""
        is_closed = getattr(self.__wrapped__, "isclosed", None)
        return is_closed is None or bool(is_closed())

    def _self_end_at_last_byte(self) -> None:
        if getattr(self.__wrapped__, "length_remaining", None) == 0 and self._self_is_plain():
            size = self._self_wire_size()
            if size is None or size == self._self_notes.exchange.response_body.size_bytes:
                self._self_end()

    @guarded("noting what was read")
    def _self_note(self, data: Any, *, decoded: bool | None) -> None:
        if decoded is None:
            decoded = bool(getattr(self.__wrapped__, "decode_content", False))
        self._self_notes.exchange.response_body.encoded = not decoded
        self._self_notes.chunk(b"".join(data) if isinstance(data, list) else data, self._self_wire_size())

    @guarded("noting the end of a body")
    def _self_end(self) -> None:
        self._self_notes.ended(self._self_wire_size())

    @guarded("noting a response left unread")
    def _self_left(self, reason: str) -> None:
        self._self_notes.left(reason, self._self_wire_size())

    @guarded("noting a failed read")
    def _self_failed(self, error: BaseException) -> None:
        size = self._self_wire_size()
        cut_off = _cut_off_bytes(error)
        if size is not None and cut_off:
            size += cut_off
        self._self_notes.failed(error, size, lost=cut_off is None)

    def _self_is_plain(self) -> bool:
        """Whether the bytes that are read are those of the wire."""
        headers = getattr(self.__wrapped__, "headers", None) or {}
        return self._self_notes.exchange.response_body.encoded or "content-encoding" not in headers

    def _self_wire_size(self) -> int | None:
        """urllib3's `tell`: bytes taken from the connection so far, which it does not count in chunked bodies."""
        wrapped = self.__wrapped__
        tell = None if getattr(wrapped, "chunked", False) else getattr(wrapped, "tell", None)
        try:
            size = tell() if tell is not None else None
        except (OSError, ValueError):  # closed, or not seekable
            return None
        return size if isinstance(size, int) else None


def _cut_off_bytes(error: BaseException) -> int | None:
    """What a failed read had got before the connection ended, and `tell` does not count; None where it is lost.

    A read of the connection's buffered file that raises, at a time-out or a reset, takes along what it had got.
    http.client hands it on where the connection just ended.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) or not isinstance(cause, Exception):
            return None
        if isinstance(cause, IncompleteRead) and isinstance(cause.partial, bytes):
            return len(cause.partial)
        cause = cause.__cause__ or cause.__context__
    return 0


def _amount(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """How much a read asks for: `amt` to urllib3, `size` to a file."""
    return args[0] if args else kwargs.get("amt", kwargs.get("size"))


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
    """Whether a read asks to remove the content coding; None when it does not say."""
    asked = args[1] if len(args) > 1 else kwargs.get("decode_content")
    return None if asked is None else bool(asked)
