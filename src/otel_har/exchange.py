"""The facts of one HTTP exchange, as they are noted on the request path.

The rule: noting is cheap and nothing is interpreted here. No library types and no clock: instants come in as
integers, headers as they were met (text or bytes), bodies as the bytes that passed. What the facts mean is the
business of `timings` and `mapping`, in the worker.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType

from otel_har.budget import Charge
from otel_har.duplex import Duplex
from otel_har.guard import caught
from otel_har.limits import CaptureLimits, Interest
from otel_har.message import NOT_SEEN, Body, BodyRule, HeaderText, RawHeaders, memory_of

# What an exchange takes besides texts and bodies, with its record: measured with tracemalloc, on Python 3.11.
_OWN_BYTES = 3 * 1024
USUAL_BYTES = 3 * 1024
"""Of heads, URL and span: most exchanges have less."""
_MAX_TEXT_OVER_BUDGET = 1_000

CallFrame = tuple[str, str, int]
"""A frame of the program's call stack: function name, file name, line number (from 1)."""
CallPlace = tuple[CodeType, int]
"""The same as it was met: the code, and the offset of the instruction that was under way in it."""


def call_frame(frame: CallFrame | CallPlace) -> CallFrame:
    """Function, file and line of a frame as it was met."""
    if len(frame) > 2:  # noqa: PLR2004 - known already
        return frame
    code, offset = frame
    # With the classes and functions that it stands in, where Python knows them (3.11).
    name: str = getattr(code, "co_qualname", code.co_name)
    return name, code.co_filename, _line(code, offset, code.co_linetable)


@functools.lru_cache(1_000)
def _line(code: CodeType, offset: int, _table: bytes) -> int:
    """The line of an instruction (PEP 626); that of the whole function for what has none.

    Most requests of a program are made at a few places. Nothing but the line is kept of them: code of another file, or
    class, may be equal. So may, in Python 3.10, code with other lines: the table tells them apart.
    """
    lines = (line for start, end, line in code.co_lines() if start <= offset < end and line is not None)
    return next(lines, code.co_firstlineno)


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

    # Defaults of the class instead of slots: most exchanges have a few of them.
    queue_started: int | None = None
    queue_ended: int | None = None
    dns_started: int | None = None
    dns_ended: int | None = None
    connect_started: int | None = None
    connect_ended: int | None = None
    tls_started: int | None = None
    tls_ended: int | None = None
    request_started: int | None = None
    request_sent: int | None = None
    response_started: int | None = None
    finished: int | None = None

    def __init__(self, started: int) -> None:
        self.started = started


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
            client does not show them. Where it is there it counts, and `request_headers` need not be.
        request_head_size: Its size, where the client shows no more than that; None where it does not.
        request_http_version: As the request line writes it (`HTTP/1.1`).
        http_version: As the status line writes it; None while there is no response.
        peer_address, peer_port: The socket's other end; None when unknown.
        connection_id: The same text for exchanges over the same connection.
        socket_path: The Unix socket that the connection goes to; None for other sockets.
        proxy: The URL of the proxy that the exchange went through; None without one.
        tls: What is known of the connection's TLS; None without TLS.
        initiator: The frames of the program that made the request, the innermost first.
        duplex: What passed over the connection after it became a WebSocket; None where it did not.
        error: What went wrong, in words; None when nothing did.
        end_reason: Why an unread or partial body ends here, in words.
        is_over_budget: True when there was no room for the heads: they are not kept, and no entry is made.
        lost_attempts: How often the request was sent before, beyond what is noted of one request.
        interest: How much of it can be of use to anyone.
    """

    # Defaults of the class instead of slots, as above.
    request_http_version = "HTTP/1.1"
    request_head: bytes | None = None
    request_head_size: int | None = None
    request_headers: RawHeaders = NOT_SEEN
    response_headers: RawHeaders = NOT_SEEN
    status: int | None = None
    reason: HeaderText = ""
    http_version: str | None = None
    peer_address: str | None = None
    peer_port: int | None = None
    connection_id: str | None = None
    socket_path: str | None = None
    proxy: str | None = None
    tls: TlsFacts | None = None
    initiator: Sequence[CallFrame | CallPlace] = ()
    duplex: Duplex | None = None
    error: str | None = None
    end_reason: str | None = None
    finished = False
    is_over_budget = False
    lost_attempts = 0
    interest = Interest.ALL
    _head_bytes = 0
    _span_bytes = 0

    def __init__(self, method: str, url: str, *, started_unix_ns: int, started: int, limits: CaptureLimits) -> None:
        self.method = method
        self.url = url
        self.started_unix_ns = started_unix_ns
        self.instants = Instants(started)
        self.request_body = Body(limits)
        self.response_body = Body(limits)
        self._charge = Charge(limits.budget)
        self._listeners: list[Callable[[Exchange], None]] = []

    @property
    def held_bytes(self) -> int:
        """About how many bytes are held: bodies, what passed over an upgraded connection, heads and the facts."""
        held_bytes = self._charge.taken_bytes + self.request_body.kept_bytes + self.response_body.kept_bytes
        if self.duplex is not None:
            held_bytes += self.duplex.sent.held_bytes + self.duplex.received.held_bytes
        return held_bytes

    @property
    def has_body_over_budget(self) -> bool:
        """Whether a body, or what passed over an upgraded connection, is not whole because of what others hold."""
        if self.request_body.is_over_budget or self.response_body.is_over_budget:
            return True
        duplex = self.duplex
        return duplex is not None and (duplex.sent.body.is_over_budget or duplex.received.body.is_over_budget)

    def charge(self) -> None:
        """Take the room for what was noted of the heads since the last time; without it let go of them."""
        try:
            if self.interest is Interest.NOTHING:  # nobody will ask for them
                self._let_go_of_heads()
                return
            self._head_bytes = self._counted_head_bytes()
            if self.is_over_budget or not self._has_room():
                self.is_over_budget = True
                self.url = self.url[:_MAX_TEXT_OVER_BUDGET]
                self._let_go_of_heads()
                self.error = self.error[:_MAX_TEXT_OVER_BUDGET] if self.error is not None else None
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("accounting for an exchange", fault)

    def reserve(self) -> None:
        """Take the room that most exchanges need, before anybody counts what is noted of this one."""
        if self.interest is not Interest.NOTHING and not self._has_room():
            self.is_over_budget = True

    def hold_span(self, count: int) -> bool:
        """Take the room for what the exchange's span tells, in bytes; False where there is none."""
        self._span_bytes = count
        return self._has_room()

    def _has_room(self) -> bool:
        """Room is taken at once for as much as most exchanges take with their spans: the account is asked once."""
        total_bytes = _OWN_BYTES + max(USUAL_BYTES, self._head_bytes + self._span_bytes)
        return total_bytes <= self._charge.taken_bytes or self._charge.raise_to(total_bytes)

    def _let_go_of_heads(self) -> None:
        self.request_head = None
        self.request_headers = self.response_headers = self.response_body.trailers = NOT_SEEN
        self.reason = ""

    def limit_to(self, interest: Interest) -> None:
        """Note no more than is of use; said before any of its bodies passes."""
        self.interest = interest
        self.request_body.rule = self.response_body.rule = "all" if interest is Interest.ALL else "none"

    def under(self, request_rule: BodyRule, response_rule: BodyRule) -> Exchange:
        """The same exchange with its bodies as they are under rules; what it holds stays this one's."""
        other = copy.copy(self)
        other.request_body = self.request_body.under(request_rule)
        other.response_body = self.response_body.under(response_rule)
        return other

    def _counted_head_bytes(self) -> int:
        count = len(self.url)
        # Versions and what is noted of a certificate are short, whatever a server sends.
        if self.reason and isinstance(self.reason, str | bytes):  # an adapter of the program's own may say anything
            count += len(self.reason)
        if self.request_head is not None:
            count += len(self.request_head)
        if self.error is not None:
            count += len(self.error)
        for fields in (self.request_headers, self.response_headers, self.response_body.trailers):
            if fields:
                count += memory_of(fields)
        return count

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
        if self.response_body.trailers or self.error:
            self.charge()
        self.finished = True
        if self._listeners:
            self._notify()

    def __getstate__(self) -> dict[str, object]:
        """What another process can know of it: the facts, not who waits for them here."""
        state = vars(self) | {"initiator": tuple(map(call_frame, self.initiator))}
        del state["_charge"], state["_listeners"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._charge = Charge(self.request_body.budget)
        self._listeners = []

    def _notify(self) -> None:
        while True:
            try:
                listener = self._listeners.pop()
            except IndexError:
                return
            listener(self)
