"""Stream objects that note what a program reads through them, and change nothing about it.

The rule: a tap wraps one object of one exchange. It offers what the object offers and nothing more, reads nothing of
its own, and lets every exception pass. Only the program's own calls go through it: what the wrapped object calls on
itself is not seen twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from otel_har.capture.http_client import text_as_sent
from otel_har.capture.proxy import Tap
from otel_har.exchange import Exchange
from otel_har.guard import caught, guarded
from otel_har.message import Body

_MAX_ERROR = 1_000
_MAX_REPEATED = 100
_OCTETS = (bytes, bytearray, memoryview)


class ResponseNotes:
    """Notes the reading of one response body into its exchange, and finishes the exchange at the body's end.

    Everywhere `wire_size_bytes` is what came of the encoded body until then; None leaves what was counted.

    Args:
        exchange: The exchange whose response is read.

    Attributes:
        readings: How often anything was noted of what the program read.
        position: How many bytes the stream had given when it was last looked at, where it says.
        start: The same, when it was looked at for the first time.
        is_plain: Whether the stream is known not to decode what it gives.
        has_coding: Whether the response names a content coding.
        is_left_encoded: Whether its coding is one that the client has no decoder for.
        read_before: How many bytes were counted before the program could read any.
        tell: Gives how many bytes of the encoded body came over the wire; None where nobody counts.
    """

    # Defaults of the class instead of slots: each client has its own. All that a tap knows is here, since setting what
    # is the tap's own is a call each time.
    _interruption: str | None = None
    readings = 0
    position = 0
    start = 0
    is_plain = False
    has_coding = False
    is_left_encoded = False
    read_before = 0
    tell: Callable[[], Any] | None = None

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def chunk(self, data: Any, wire_size_bytes: int | None = None) -> None:
        """The program read these bytes."""
        try:
            if data and not self.exchange.finished:
                body = self.exchange.response_body
                body.note(data, time.perf_counter_ns())
                if wire_size_bytes is not None:
                    body.wire_size_bytes = wire_size_bytes
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting a response body", fault)

    def ended(self, wire_size_bytes: int | None = None) -> None:
        """The program read the body to its end."""
        try:
            exchange = self.exchange
            if not exchange.finished:
                body = exchange.response_body
                body.ended = True
                if wire_size_bytes is not None:
                    body.wire_size_bytes = wire_size_bytes
                exchange.finish(time.perf_counter_ns())
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting the end of a response body", fault)

    @guarded("noting a response left unread")
    def left(self, reason: str, wire_size_bytes: int | None = None) -> None:
        """The program will read no more."""
        if not self.exchange.finished:
            self.exchange.end_reason = reason
            self.exchange.error = self.exchange.error or self._interruption
            self._finish(wire_size_bytes)

    @guarded("noting bytes given back")
    def taken_back(self, count: int) -> None:
        """The program put the last `count` bytes back, to read them again."""
        if not self.exchange.finished:
            self.exchange.response_body.retract(count)

    @guarded("noting an interrupted read")
    def interrupted(self, error: BaseException) -> None:
        """A read was given up; it is what ended the exchange unless the program reads on to the body's end."""
        self._interruption = error_text(error)

    @guarded("noting a failed read")
    def failed(self, error: BaseException, wire_size_bytes: int | None = None, *, lost: bool = False) -> None:
        """Reading raised; the body ends here. What the failed read had got is `lost` where nobody can count it."""
        if not self.exchange.finished:
            self.exchange.error = error_text(error)
            self.exchange.response_body.wire_bytes_lost = lost
            self._finish(wire_size_bytes)

    def _finish(self, wire_size_bytes: int | None) -> None:
        if wire_size_bytes is not None:
            self.exchange.response_body.wire_size_bytes = wire_size_bytes
        self.exchange.finish(time.perf_counter_ns())


def error_text(error: BaseException) -> str:
    """Type and message of an exception, whatever its own `__str__` does."""
    return f"{type(error).__qualname__}: {_message(error) or ''}".rstrip(": ")[:_MAX_ERROR]


@guarded("reading an exception's message")
def _message(error: BaseException) -> str:
    return str(error)


class RequestBodyNotes:
    """Notes what a client reads of one request body, into the body of the hop that is being sent.

    Args:
        body: The body of the first hop.
    """

    __slots__ = ("_repeated", "body")

    def __init__(self, body: Body) -> None:
        self.body = body
        self._repeated: list[Body] = []

    @guarded("noting a request body")
    def chunk(self, data: Any) -> None:
        """The client read this to send it; what is no bytes and cannot become them the client refuses itself."""
        if isinstance(data, str):
            data = str.encode(data, "utf-8", "replace")
        if isinstance(data, _OCTETS) and data:
            self.body.note(data)

    @guarded("noting a request body")
    def read(self, data: Any) -> None:
        """The client read this from a file to send it."""
        self.chunk(text_as_sent(data) if isinstance(data, str) else data)

    def ended(self) -> None:
        """The client read the body to its end."""
        self.body.ended = True

    def failed(self) -> None:
        """Reading raised. Clients send what they have read before they read on: so much went out, and no more will."""
        self.body.wire_size_bytes = self.body.size_bytes

    @guarded("noting a repeated request body")
    def rewound(self) -> None:
        """The client will send the body once more; what it sent already is kept for whoever knows of that attempt."""
        if self.body.size_bytes:
            self._repeated.append(self.body.moved_out())
            del self._repeated[:-_MAX_REPEATED]
        self.body.clear()
        self.body.wire_size_bytes = None

    def take_repeated(self) -> Body | None:
        """What was sent of the body before it was rewound, the oldest first; None when there is no more."""
        return self._repeated.pop(0) if self._repeated else None


# What a client calls to read a file object, and the method here that makes the call a noting one.
_NOTING_REQUEST = {
    "read": "_self_noting_read",
    "readline": "_self_noting_readline",
    "seek": "_self_noting_seek",
}


class RequestBodyTap(Tap):
    """A request body given as an iterable or a file object."""

    __slots__ = ("_self_notes",)
    _self_special: ClassVar[dict[str, str]] = {"__iter__": "_self_iter", "__next__": "_self_next"}

    def __init__(self, wrapped: Any, notes: RequestBodyNotes) -> None:
        super().__init__(wrapped)
        self._self_notes = notes

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        noting = _NOTING_REQUEST.get(name)
        return value if noting is None else getattr(self, noting)(value)

    def _self_iter(self) -> Iterator[Any]:
        try:
            iterator = iter(self.__wrapped__)
        except BaseException:
            self._self_notes.failed()
            raise
        tap: Any = self if iterator is self.__wrapped__ else RequestBodyTap(iterator, self._self_notes)
        noting: Iterator[Any] = tap
        return noting

    def _self_next(self) -> Any:
        try:
            chunk = next(self.__wrapped__)
        except StopIteration:
            self._self_notes.ended()
            raise
        except BaseException:
            self._self_notes.failed()
            raise
        self._self_notes.chunk(chunk)
        return chunk

    def _self_read(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            data = read(*args, **kwargs)
        except BaseException:
            self._self_notes.failed()
            raise
        self._self_notes.read(data)
        return data

    def _self_noting_read(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def noting_read(*args: Any, **kwargs: Any) -> Any:
            data = self._self_read(read, *args, **kwargs)
            size = next(iter((*args, *kwargs.values())), None)
            if size is None or (isinstance(size, int) and size < 0) or (not data and size):
                self._self_notes.ended()
            return data

        return noting_read

    def _self_noting_readline(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def noting_readline(*args: Any, **kwargs: Any) -> Any:
            line = self._self_read(read, *args, **kwargs)
            if not line:
                self._self_notes.ended()
            return line

        return noting_readline

    def _self_noting_seek(self, seek: Callable[..., Any]) -> Callable[..., Any]:
        def noting_seek(*args: Any, **kwargs: Any) -> Any:
            position = seek(*args, **kwargs)
            self._self_notes.rewound()
            return position

        return noting_seek
