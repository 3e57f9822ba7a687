"""A tap for aiohttp's `response.content`.

The rule is that of `streams`. The end of the body is where the program has taken the last byte of a stream that has
come to its end. A cancelled read is no end: the program may read on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter_ns
from typing import Any, ClassVar

from otel_har.capture.proxy import Tap
from otel_har.capture.streams import ResponseNotes
from otel_har.guard import caught, guarded
from otel_har.message import RawHeaders, SomeHeaders
from otel_har.waiting import Finalising

# What the program and aiohttp call on the stream, and the method here that makes the call a noting one.
_NOTING = {
    "iter_any": "_self_noting_iteration",
    "iter_chunked": "_self_noting_iteration",
    "iter_chunks": "_self_noting_iteration",
    "read_nowait": "_self_noting_read_nowait",
    "readany": "_self_noting_read",
    "readchunk": "_self_noting_read",
    "readexactly": "_self_noting_read",
    "readline": "_self_noting_read",
    "readuntil": "_self_noting_read",
}
_NOT_TOLD = -1
_LOST = "a read that was given up took the others along"


_set = object.__setattr__


class ContentTap(Tap):
    """Stands for one response's StreamReader.

    `unread_data` is the stream's own, because it warns whoever calls it: that bytes were put back is seen by the
    stream's position.

    Args:
        wrapped: The stream.
        notes: Where what passes is noted.
        is_plain: Whether the stream does not decode what it gives; by default what the header fields tell.
    """

    __slots__ = ("_self_notes",)
    _self_plain: ClassVar[tuple[str, ...]] = ("exception",)  # what aiohttp asks for at each response's end
    _self_special: ClassVar[dict[str, str]] = {"__aiter__": "_self_aiter"}

    def __init__(self, wrapped: Any, notes: ResponseNotes, *, is_plain: bool | None = None) -> None:
        _set(self, "__wrapped__", wrapped)
        _set(self, "_self_notes", notes)
        notes.position = notes.start = getattr(wrapped, "_cursor", 0)
        exchange = notes.exchange
        if is_plain is None:
            is_plain = exchange.response_body.encoded or has_no_coding(exchange.response_headers)
        notes.is_plain = is_plain

    def __getattr__(self, name: str) -> Any:
        """Every attribute is the stream's own, so that one it lacks is missing here too."""
        value = getattr(self.__wrapped__, name)
        noting = _NOTING.get(name)
        return value if noting is None else getattr(self, noting)(value)

    # What is called of nearly every response; found without `__getattr__`.

    @property
    def read(self) -> Callable[..., Awaitable[Any]]:
        """As the stream's own."""
        return self._self_noting_read(self.__wrapped__.read)

    @property
    def set_exception(self) -> Callable[..., None]:
        """As the stream's own, by which aiohttp closes it: the program lets go of the response, or it broke."""
        set_exception: Callable[..., None] = self.__wrapped__.set_exception
        return set_exception if self._self_notes.exchange.finished else self._self_noting_exception(set_exception)

    def _self_aiter(self) -> AsyncIterator[bytes]:
        return _NotingIterator(self.__wrapped__.__aiter__(), self)

    def __del__(self) -> None:
        """The program let go of the response."""
        try:
            if self._self_notes.exchange.finished:  # nearly always
                return
            with Finalising():
                self._self_left("the response was dropped before its end")
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting a response left unread", fault)

    def _self_noting_read(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def noting_read(*args: Any, **kwargs: Any) -> Any:
            try:
                data = await read(*args, **kwargs)
            except BaseException as error:
                self._self_failed(error)
                raise
            self._self_note(data)
            return data

        return noting_read

    def _self_noting_iteration(self, iterate: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        def noting_iteration(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            return _NotingIterator(iterate(*args, **kwargs), self)

        return noting_iteration

    def _self_noting_read_nowait(self, read: Callable[..., bytes]) -> Callable[..., bytes]:
        def noting_read(*args: Any, **kwargs: Any) -> bytes:
            data = read(*args, **kwargs)
            self._self_note(data)
            return data

        return noting_read

    def _self_noting_exception(self, set_exception: Callable[..., None]) -> Callable[..., None]:
        def noting_exception(*args: Any, **kwargs: Any) -> None:
            set_exception(*args, **kwargs)
            if not self._self_notes.exchange.finished:
                self._self_left("closed before its end")

        return noting_exception

    def _self_note(self, data: Any) -> None:
        """Bytes, or the pair of bytes and a flag that `readchunk` gives."""
        try:
            notes, wrapped = self._self_notes, self.__wrapped__
            exchange = notes.exchange
            if exchange.finished:
                return
            size = received_bytes(wrapped, notes.is_plain)
            chunk = data[0] if isinstance(data, tuple) else data
            position = notes.position + len(chunk)
            if getattr(wrapped, "_cursor", None) == position:  # as nearly always
                notes.position = position
            else:
                self._self_take_back(len(chunk))
            body = exchange.response_body
            if chunk:
                body.note(chunk, perf_counter_ns())
                if size is not None:
                    body.wire_size_bytes = size
            if wrapped.at_eof():
                if body.size_bytes < wrapped.total_bytes - notes.start:
                    body.has_gaps = True
                    notes.left(_LOST, size)
                else:
                    notes.ended(size)
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting what was read", fault)

    def _self_take_back(self, given: int) -> None:
        """Take back what the program returned to the stream since it was last looked at, before it gave some bytes."""
        notes = self._self_notes
        position = getattr(self.__wrapped__, "_cursor", notes.position + given)
        returned = notes.position - (position - given)
        if returned > 0:
            notes.taken_back(returned)
        notes.position = position

    @guarded("noting a failed read")
    def _self_failed(self, error: BaseException) -> None:
        """A stream that broke ends here; after a cancelled or refused read the program may read on."""
        notes = self._self_notes
        if isinstance(error, asyncio.IncompleteReadError):
            self._self_note(error.partial)
            return
        self._self_take_back(0)
        if self.__wrapped__.exception() is not None:
            notes.failed(error, self._self_wire_size())
        else:
            notes.interrupted(error)

    @guarded("noting a response left unread")
    def _self_left(self, reason: str) -> None:
        self._self_take_back(0)
        self._self_notes.left(reason, self._self_wire_size())

    def _self_wire_size(self) -> int | None:
        return received_bytes(self.__wrapped__, self._self_notes.is_plain)


def has_no_coding(headers: RawHeaders) -> bool:
    """Whether all header fields are known and none names a content coding."""
    return not isinstance(headers, SomeHeaders) and not any(
        name.lower() in {"content-encoding", b"content-encoding"} for name, _ in headers
    )


def received_bytes(content: Any, is_plain: bool) -> int | None:
    """What came of an encoded body, without chunk framing, whether the program has read it or not.

    The stream counts the encoded bytes where it decodes; what it does not decode came as it was.

    Args:
        content: The StreamReader of a response.
        is_plain: True when the stream is known not to decode.

    Returns:
        None where it decodes and aiohttp, 3.12 and before, does not count.
    """
    compressed: int | None = getattr(content, "total_compressed_bytes", _NOT_TOLD)
    if compressed is None or (compressed == _NOT_TOLD and is_plain):
        total: int = content.total_bytes
        return total
    return None if compressed == _NOT_TOLD else compressed


class _NotingIterator:
    """An iterator over a stream, noting what it gives."""

    __slots__ = ("_iterator", "_tap")

    def __init__(self, iterator: AsyncIterator[Any], tap: ContentTap) -> None:
        self._iterator = iterator
        self._tap = tap

    def __aiter__(self) -> _NotingIterator:
        return self

    async def __anext__(self) -> Any:
        try:
            data = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._tap._self_note(b"")  # noqa: SLF001 - a part of the tap
            raise
        except BaseException as error:
            self._tap._self_failed(error)  # noqa: SLF001 - a part of the tap
            raise
        self._tap._self_note(data)  # noqa: SLF001 - a part of the tap
        return data
