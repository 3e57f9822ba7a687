"""The facts of one HTTP exchange, as they are noted on the request path.

The rule: noting is cheap and nothing is interpreted here. No library types and no clock: instants come in as
integers, headers as they were met (text or bytes), bodies as the bytes that passed. What the facts mean is the
business of `timings` and `mapping`, in the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from otel_har.arrivals import Arrivals
from otel_har.budget import ByteBudget

DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024
DEFAULT_MAX_QUEUE_BYTES = 64 * 1024 * 1024
DEFAULT_MAX_INITIATOR_FRAMES = 10

_SMALL_CHUNK_BYTES = 1024
_MAX_JOINED_BYTES = 64 * 1024

HeaderText = str | bytes
CallFrame = tuple[str, str, int]
"""A frame of the program's call stack: function name, file name, line number (from 1)."""

RawHeaders = Iterable[tuple[HeaderText, HeaderText]]
"""Header fields in their order. A tuple holds what is known of fields that nobody saw all of."""

BodyState = Literal["whole", "truncated", "partial", "unread", "dropped"]


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """How much of what passes is kept.

    Attributes:
        max_body_bytes: The most bytes kept of one body; a longer body is cut there and says so.
        budget: The bytes that all bodies in flight and in the queue may hold together.
        max_initiator_frames: The most frames of the program's call stack that are noted of a request; 0 for none.
        audit_events: Whether Python's audit events may be listened to, which is for the process and for good.
    """

    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(DEFAULT_MAX_QUEUE_BYTES))
    max_initiator_frames: int = DEFAULT_MAX_INITIATOR_FRAMES
    audit_events: bool = True


class Body:
    """The bytes of one message body, noted as they pass, kept up to a limit.

    Attributes:
        size_bytes: How many bytes passed, kept or not.
        encoded: True when the noted bytes still carry the message's Content-Encoding.
        ended: True when the end of the body was seen.
        arrivals: When the pieces that passed came; only what a program reads has them.
        wire_size_bytes: How many bytes of the encoded body came over the wire, without chunk framing; None: unknown.
        wire_bytes_lost: True when more came than anyone counted: `wire_size_bytes` is the least it can be.
        framing_bytes: The bytes of the chunked transfer coding around them; 0 without it, or when not known.
        trailers: The trailer fields (RFC 9110, 6.5).
    """

    __slots__ = (
        "_chunks",
        "_kept_bytes",
        "_limits",
        "arrivals",
        "encoded",
        "ended",
        "framing_bytes",
        "size_bytes",
        "trailers",
        "wire_bytes_lost",
        "wire_size_bytes",
    )

    def __init__(self, limits: CaptureLimits) -> None:
        self._limits = limits
        self._chunks: list[bytes | bytearray] = []
        self._kept_bytes = 0
        self.size_bytes = 0
        self.encoded = False
        self.ended = False
        self.arrivals = Arrivals()
        self.wire_size_bytes: int | None = None
        self.wire_bytes_lost = False
        self.framing_bytes = 0
        self.trailers: RawHeaders = ()

    def note(self, chunk: bytes | bytearray | memoryview) -> None:
        """Note bytes that pass."""
        length = chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        was_whole = self._kept_bytes == self.size_bytes
        self.size_bytes += length
        if not was_whole or not length:  # behind a gap nothing more is kept: what is kept is a prefix
            return
        room = self._limits.max_body_bytes - self._kept_bytes
        kept = bytes(chunk) if length <= room else bytes(memoryview(chunk).cast("B")[:room])
        if kept and self._limits.budget.take(len(kept)):
            self._keep(kept)

    def _keep(self, chunk: bytes) -> None:
        """Small chunks are put together: each object of its own would take more memory than its bytes."""
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _MAX_JOINED_BYTES:
            last += chunk
        else:
            self._chunks.append(bytearray(chunk) if len(chunk) < _SMALL_CHUNK_BYTES else chunk)
        self._kept_bytes += len(chunk)

    def retract(self, count: int) -> None:
        """Take back the last `count` bytes: the program returned them to the stream."""
        self.size_bytes = max(0, self.size_bytes - count)
        surplus = self._kept_bytes - self.size_bytes
        while surplus > 0:
            last = self._chunks.pop()
            kept = last[: max(0, len(last) - surplus)]
            if kept:
                self._chunks.append(kept)
            self._release(len(last) - len(kept))
            surplus -= len(last) - len(kept)
        self.arrivals.retract(self.size_bytes)
        self.ended = False

    def renewed(self) -> Body:
        """Another body with what was noted here, which begins anew."""
        other = Body(self._limits)
        other.encoded, other.ended, other.size_bytes = self.encoded, self.ended, self.size_bytes
        other.wire_size_bytes = self.wire_size_bytes
        other._chunks, other._kept_bytes = self._chunks, self._kept_bytes
        self._chunks, self._kept_bytes, self.size_bytes, self.ended = [], 0, 0, False
        return other

    def clear(self) -> None:
        """Forget everything: the body is sent once more from its start."""
        self._chunks.clear()
        self._release(self._kept_bytes)
        self.arrivals.clear()
        self.size_bytes = 0
        self.ended = False

    def kept(self) -> bytes:
        """The bytes that were kept, a prefix of those that passed."""
        return b"".join(self._chunks)

    @property
    def limit_bytes(self) -> int:
        """The most bytes that are kept."""
        return self._limits.max_body_bytes

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept."""
        return self._kept_bytes

    @property
    def state(self) -> BodyState:
        """What is held of the body; only `whole` is all of it."""
        if self._kept_bytes < self.size_bytes:
            return "truncated" if self._kept_bytes else "dropped"
        if self.ended:
            return "whole"
        return "partial" if self.size_bytes else "unread"

    def _release(self, count: int) -> None:
        self._kept_bytes -= count
        self._limits.budget.give_back(count)

    def __del__(self) -> None:
        if self._kept_bytes:
            self._limits.budget.give_back(self._kept_bytes)


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a connection's TLS is, told by the client's own TLS library.

    Attributes:
        protocol: The version as Python's `ssl` names it (`TLSv1.3`).
        cipher: The cipher suite's name; None when unknown.
        subject_name: The common name of the certificate's subject; None when unknown.
        issuer: The common name of its issuer, or the organisation's; None when unknown.
        valid_from_unix_s, valid_to_unix_s: The certificate's validity, seconds since the epoch; None when unknown.
    """

    protocol: str
    cipher: str | None = None
    subject_name: str | None = None
    issuer: str | None = None
    valid_from_unix_s: int | None = None
    valid_to_unix_s: int | None = None


class Instants:
    """When things happened, in nanoseconds of one monotonic clock; None where it did not happen or is not known."""

    __slots__ = (
        "connect_ended",
        "connect_started",
        "dns_ended",
        "dns_started",
        "finished",
        "queue_ended",
        "queue_started",
        "request_sent",
        "request_started",
        "response_started",
        "started",
        "tls_ended",
        "tls_started",
    )

    def __init__(self, started: int) -> None:
        self.started = started
        self.queue_started: int | None = None
        self.queue_ended: int | None = None
        self.dns_started: int | None = None
        self.dns_ended: int | None = None
        self.connect_started: int | None = None
        self.connect_ended: int | None = None
        self.tls_started: int | None = None
        self.tls_ended: int | None = None
        self.request_started: int | None = None
        self.request_sent: int | None = None
        self.response_started: int | None = None
        self.finished: int | None = None


class Exchange:
    """One request and what came of it. A redirect hop is an exchange of its own.

    It is filled in by the hooks of one client and read by the worker. It is finished once: when its body ended, or
    when it is known that nothing more will come.

    Attributes:
        method: The request method.
        url: The absolute URL as the client built it.
        started_unix_ns: The start of the exchange, nanoseconds since the Unix epoch.
        status: The status code; None while there is no response.
        request_head: The request line and the header fields as they were sent, through the blank line; None where the
            client does not show them.
        request_http_version: As the request line writes it (`HTTP/1.1`).
        http_version: As the status line writes it; None while there is no response.
        peer_address, peer_port: The socket's other end; None when unknown.
        connection_id: The same text for exchanges over the same connection.
        socket_path: The Unix socket that the connection goes to; None for other sockets.
        proxy: The URL of the proxy that the exchange went through; None without one.
        tls: What is known of the connection's TLS; None without TLS.
        initiator: The frames of the program that made the request, the innermost first.
        resource_type: Chrome's name for the kind of exchange; None for a plain one.
        error: What went wrong, in words; None when nothing did.
        end_reason: Why an unread or partial body ends here, in words.
    """

    __slots__ = (
        "_listeners",
        "connection_id",
        "end_reason",
        "error",
        "finished",
        "http_version",
        "initiator",
        "instants",
        "method",
        "peer_address",
        "peer_port",
        "proxy",
        "reason",
        "request_body",
        "request_head",
        "request_headers",
        "request_http_version",
        "resource_type",
        "response_body",
        "response_headers",
        "socket_path",
        "started_unix_ns",
        "status",
        "tls",
        "url",
    )

    def __init__(self, method: str, url: str, *, started_unix_ns: int, started: int, limits: CaptureLimits) -> None:
        self.method = method
        self.url = url
        self.started_unix_ns = started_unix_ns
        self.instants = Instants(started)
        self.request_http_version = "HTTP/1.1"
        self.request_head: bytes | None = None
        self.request_headers: RawHeaders = ()
        self.request_body = Body(limits)
        self.response_body = Body(limits)
        self.response_headers: RawHeaders = ()
        self.status: int | None = None
        self.reason: HeaderText = ""
        self.http_version: str | None = None
        self.peer_address: str | None = None
        self.peer_port: int | None = None
        self.connection_id: str | None = None
        self.socket_path: str | None = None
        self.proxy: str | None = None
        self.tls: TlsFacts | None = None
        self.initiator: Sequence[CallFrame] = ()
        self.resource_type: str | None = None
        self.error: str | None = None
        self.end_reason: str | None = None
        self.finished = False
        self._listeners: list[Callable[[Exchange], None]] = []

    @property
    def kept_bytes(self) -> int:
        """How many bytes of both bodies are kept."""
        return self.request_body.kept_bytes + self.response_body.kept_bytes

    def when_finished(self, listener: Callable[[Exchange], None]) -> None:
        """Call `listener` once the exchange is finished; at once when it is already.

        Threads may race here without a lock: the listener is in the list before `finished` is read, `finished` is
        set before the list is, and `list.pop` hands each listener to one caller only.
        """
        self._listeners.append(listener)
        if self.finished:
            self._notify()

    def finish(self, at: int) -> None:
        """Say that nothing more will be noted; the first call counts."""
        if self.finished:
            return
        self.instants.finished = at
        self.finished = True
        self._notify()

    def _notify(self) -> None:
        while True:
            try:
                listener = self._listeners.pop()
            except IndexError:
                return
            listener(self)
