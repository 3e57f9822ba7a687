"""What Python's audit events tell of the requests that `http.client` sends: one attempt for each time it sends one.

The rule: only what an event says is noted, and the end of a step is the beginning of the next, since audit events have
no ends. Whatever else the program looks up, connects and sends meanwhile raises the same events: a connection is that
of a request when the request is sent over its socket, and a head is recognised by its place, the first thing sent on a
new connection or after a whole request, and by its request line.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from typing import Any
from urllib.parse import SplitResult

from otel_har.capture.audit_events import GETADDRINFO, HTTP_CLIENT_SEND, SOCKET_CONNECT
from otel_har.capture.connections import Connection, connection_of
from otel_har.capture.urllib3_response import proxy_of
from otel_har.exchange import Exchange, Instants

_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_MAX_ATTEMPTS = 100  # what is beyond is a program that sends on and on within one request
_CHUNKED = -1
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_HEAD_BYTES = 1024 * 1024
_REQUEST_LINE = re.compile(rb"[!-~]+ [^\r\n]+ HTTP/\d\.\d\r\n")  # RFC 9112, 3; a target as it may be sent


class Attempt:
    """One time that a request was sent, or was to be sent.

    Attributes:
        place: Host and port that were looked up; None over a connection that was open already.
        instants: When things happened.
        holder: The `http.client` connection that it was sent on.
        connection: What is known of the connection.
        head: The request line and the header fields as they were sent; None when it never came to that.
        lost_before: How many attempts at the same request came before those that are kept.
    """

    # Defaults of the class instead of slots: one is made for each exchange, and most have a few of them.
    place: tuple[object, object] | None = None
    holder: object = None
    connection: Connection | None = None
    head: bytes | None = None
    lost_before = 0
    _addresses: dict[int, object] | None = None
    _unfinished = b""
    _body_left: int | None = None  # as announced, which is not looked at before anybody asks

    def __init__(self, started: int) -> None:
        self.instants = Instants(started)

    @property
    def is_sent(self) -> bool:
        """Whether the request was sent to its end."""
        return self.head is not None and self._left() == 0

    @property
    def is_connected(self) -> bool:
        """Whether a socket was connected, or was to be."""
        return bool(self._addresses)

    def describe(self, exchange: Exchange) -> None:
        """Note in the exchange what is known of this attempt; when the exchange itself started stays."""
        instants, noted = self.instants, exchange.instants.started
        if noted < instants.started:  # noqa: PLR1730 - `min` is a call, and this is for each exchange
            instants.started = noted
        exchange.instants = instants
        exchange.request_head = self.head
        exchange.proxy = proxy_of(self.holder)
        if self.connection is not None:
            self.connection.describe(exchange)

    def is_at(self, url: SplitResult) -> bool:
        """Whether the attempt was at a URL: its target was asked for, or at least its host was looked up."""
        if self.head is not None:
            target = self.head.split(b" ", 2)[1].decode("latin-1")
            return target.endswith(f"{url.path or '/'}?{url.query}" if url.query else url.path or "/")
        return self.place == (url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme))

    def goes_through(self, descriptor: int) -> bool:
        """Whether a socket was connected for this attempt that has the descriptor, maybe with TLS around it by now."""
        return descriptor >= 0 and self._addresses is not None and descriptor in self._addresses

    def looking_up(self, place: tuple[object, object], at: int) -> None:
        """A host is about to be looked up; an address needs no look-up."""
        self.place = place
        if _is_name(place[0]):
            self.instants.dns_started = at
        else:
            self.instants.connect_started = at

    def socket_made(self, sock: object, at: int) -> None:
        """A socket for an address that was found, or one around it that speaks TLS."""
        instants = self.instants
        if instants.dns_started is not None and instants.dns_ended is None:
            instants.dns_ended = instants.connect_started = at
        if isinstance(sock, ssl.SSLSocket):
            instants.tls_started = at  # the last one counts: the first may be with a proxy

    def connecting(self, descriptor: int, address: object, at: int) -> None:
        """A socket is about to connect; of several addresses the last one is the one that counts."""
        if self._addresses is None:
            self._addresses = {}
        self._addresses[descriptor] = address
        self.connection = Connection.to(address)
        if self.instants.connect_started is None:
            self.instants.connect_started = at

    def sending(self, holder: Any, data: Any, at: int) -> None:
        """`http.client` is about to send."""
        if self.head is not None:
            self.instants.request_sent = at
            self._count(data)
            return
        self.holder = holder
        head = self._unfinished + bytes(data) if self._unfinished or type(data) is not bytes else data
        if not head.endswith(_END_OF_HEAD):
            self._unfinished = head[:_MAX_HEAD_BYTES]  # what is longer than that is no head
            return
        if self._unfinished:
            self._unfinished = b""
        if not _REQUEST_LINE.match(head) or head.startswith(b"CONNECT "):  # that is to a proxy: a part of connecting
            return
        instants = self.instants
        instants.request_started = instants.request_sent = at
        if instants.connect_started is not None:
            instants.connect_ended = at
        if instants.tls_started is not None:
            instants.tls_ended = at
        self.head = head
        sock = getattr(holder, "sock", None)
        if sock is not None:
            connection = self.connection = connection_of(holder, sock)
            address = self._addresses.get(_descriptor(sock)) if self._addresses is not None else None
            if address is not None:  # through SOCKS, the socket itself says that it is connected to the target
                connection.note_peer(address)

    def _left(self) -> int:
        if self._body_left is None:
            self._body_left = _announced_body(self.head) if self.head is not None else 0
        return self._body_left

    def _count(self, data: Any) -> None:
        left = self._left()
        if left == _CHUNKED:
            # requests 2.28 hands on text, which http.client refuses.
            if not isinstance(data, str) and len(data) == len(_LAST_CHUNK) and bytes(data) == _LAST_CHUNK:
                self._body_left = 0
            return
        try:
            with memoryview(data) as octets:
                self._body_left = max(0, left - octets.nbytes)
        except TypeError:  # an iterable, which `http.client` sends piece by piece without a further word
            self._body_left = 0


class Attempts:
    """The attempts at one exchange, in their order.

    A client repeats a request when a kept connection turns out to be closed, or because it was told to (urllib3's
    `Retry`). Whatever else the program sends meanwhile in the same context is here too, until it is sorted out.
    """

    __slots__ = ("_attempts",)

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []

    def on_audit_event(self, event: str, args: tuple[Any, ...], at: int) -> None:
        """Note one of Python's audit events."""
        if event == HTTP_CLIENT_SEND:
            if self._attempts:
                self._sending(args[0], args[1], at)
            else:  # over a connection that is open already, as most requests are: nothing to find it among
                attempt = Attempt(at)
                self._attempts.append(attempt)
                attempt.sending(args[0], args[1], at)
        elif event == GETADDRINFO:
            self._new(at).looking_up((args[0], args[1]), at)
        elif event == SOCKET_CONNECT:
            self._connecting(at).connecting(_descriptor(args[0]), args[1], at)
        elif self._attempts:
            self._socket_made(args[0], at)

    def __bool__(self) -> bool:
        return bool(self._attempts)

    def take(self, holder: object) -> tuple[list[Attempt], Attempt | None]:
        """The attempt that a response belongs to, and those before it that were repeated by it; then start anew.

        Args:
            holder: The `http.client` connection that the response came over; None where that is not known.
        """
        attempts, self._attempts = self._attempts, []
        if len(attempts) == 1 and attempts[0].head is not None and (holder is None or attempts[0].holder is holder):
            return [], attempts[0]
        answered = next(
            (one for one in reversed(attempts) if one.head is not None and (holder is None or one.holder is holder)),
            None,
        )
        return _with_repeated(attempts, answered)

    def take_unanswered(self, url: SplitResult) -> tuple[list[Attempt], Attempt | None]:
        """The last attempt at a URL, to which no response came, and those before it that it repeated.

        Behind a proxy the look-up is the proxy's: then it is the last of all that connected. What only looked up counts
        where nothing did more.
        """
        attempts, self._attempts = self._attempts, []
        connected = [one for one in attempts[::-1] if one.head is not None or one.is_connected]
        candidates = connected or attempts[::-1]
        first = candidates[0] if candidates else None
        return _with_repeated(attempts, next((one for one in candidates if one.is_at(url)), first))

    def _socket_made(self, sock: object, at: int) -> None:
        attempt = self._attempts[-1]
        if isinstance(sock, ssl.SSLSocket):  # it goes around one that is connected, whatever was looked up since
            reached = (one for one in reversed(self._attempts) if one.is_connected or one.head is not None)
            attempt = next(reached, attempt)
        if attempt.head is None:
            attempt.socket_made(sock, at)

    def _sending(self, holder: Any, data: Any, at: int) -> None:
        latest = self._attempts[-1] if self._attempts else None
        if latest is not None and latest.holder is holder and not latest.is_sent:
            attempt = latest
        else:
            # The rest of a body may be sent after something else was, from within what gives the body.
            attempt = self._under_way(holder) or self._connected_for(holder) or self._new(at)
        had_head = attempt.head is not None
        attempt.sending(holder, data, at)
        if attempt.head is not None and not had_head:  # a request that is sent again has the same head: hold it once
            attempt.head = next(one.head for one in self._attempts if one.head == attempt.head)

    def _under_way(self, holder: object) -> Attempt | None:
        return next((one for one in self._attempts if one.holder is holder and not one.is_sent), None)

    def _connected_for(self, holder: Any) -> Attempt | None:
        """The attempt whose socket the holder has; over a kept connection, sending is the first that is heard of it."""
        descriptor = _descriptor(getattr(holder, "sock", None))
        return next(
            (one for one in reversed(self._attempts) if one.head is None and one.goes_through(descriptor)), None
        )

    def _connecting(self, at: int) -> Attempt:
        """The attempt that looked up an address last, or a new one for a socket that needed no look-up."""
        latest = self._attempts[-1] if self._attempts else None
        return latest if latest is not None and latest.head is None else self._new(at)

    def _new(self, at: int) -> Attempt:
        attempt = Attempt(at)
        self._attempts.append(attempt)
        if len(self._attempts) > _MAX_ATTEMPTS:
            lost = self._attempts.pop(0)
            successor = next((one for one in self._attempts if _is_repeated_by(one, lost)), None)
            if successor is not None:
                successor.lost_before += lost.lost_before + 1
        return attempt


def _with_repeated(attempts: list[Attempt], last: Attempt | None) -> tuple[list[Attempt], Attempt | None]:
    """The attempts that the last one repeated, and the last one."""
    before = [] if last is None else attempts[: attempts.index(last)]
    repeated = [one for one in before if last is not None and _is_repeated_by(last, one)]
    if last is not None:
        last.lost_before += sum(one.lost_before for one in repeated)
    return repeated, last


def _is_repeated_by(later: Attempt, earlier: Attempt) -> bool:
    """Whether two attempts are at the same request: with the same request line, or connecting to the same place.

    A look-up alone is no attempt: programs look up hosts for reasons of their own.
    """
    if earlier.head is not None:
        return later.head is None or earlier.head.partition(b"\r\n")[0] == later.head.partition(b"\r\n")[0]
    return earlier.is_connected and earlier.place is not None and earlier.place == later.place


def _descriptor(sock: object) -> int:
    """The socket's file descriptor; -1 without one."""
    fileno = getattr(sock, "fileno", None)
    try:
        return int(fileno()) if fileno is not None else -1
    except (OSError, TypeError, ValueError):
        return -1


def _announced_body(head: bytes) -> int:
    """How many bytes of body follow a head (RFC 9112, 6); `_CHUNKED` when they come in chunks."""
    lowered = head.lower()
    if b"\r\ntransfer-encoding:" in lowered:
        return _CHUNKED
    _, found, rest = lowered.partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    return int(length) if found and length.isdigit() else 0


def _is_name(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode("ascii") if isinstance(host, bytes) else str(host))
    except ValueError:
        return True
    return False
