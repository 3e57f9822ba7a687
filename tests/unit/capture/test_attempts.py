"""Audit events of `http.client` to attempts: what belongs together, what was repeated, what is somebody else's."""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

from otel_har.capture.attempts import Attempts
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits

URL = urlsplit("http://host/a")
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: h\r\n\r\n"


class _Socket:
    """A socket as far as its descriptor tells."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor


class _Holder:
    """An `http.client` connection, with a socket or without one that can be looked at."""

    def __init__(self, sock: _Socket | None = None) -> None:
        self.sock = sock


class _Events:
    """Tells attempts of events, one nanosecond after the other."""

    def __init__(self) -> None:
        self.attempts = Attempts()
        self.now = 0

    def __call__(self, event: str, *args: Any) -> int:
        self.now += 1
        self.attempts.on_audit_event(event, args, self.now)
        return self.now

    def connect(self, host: str = "host", port: int = 80) -> _Holder:
        """Look a host up, make a socket and connect it; what then holds the socket."""
        self("socket.getaddrinfo", host, port, 0, 1, 0)
        sock = _Socket(100 + self.now)
        self("socket.__new__", sock, 2, 1, 6)
        self("socket.connect", sock, ("10.0.0.1", port))
        return _Holder(sock)

    def send(self, holder: _Holder, *pieces: bytes) -> None:
        """Send pieces."""
        for piece in pieces:
            self("http.client.send", holder, piece)


@pytest.fixture
def events() -> _Events:
    """Events and what became of them."""
    return _Events()


def _exchange(started: int = 0) -> Exchange:
    return Exchange("GET", "http://host/a", started_unix_ns=0, started=started, limits=CaptureLimits())


def test_a_new_connection(events: _Events) -> None:
    """Look-up, connecting and sending follow one another; the end of each is the beginning of the next."""
    holder = events.connect()
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    instants = attempt.instants
    assert [] == repeated
    assert (1, 2) == (instants.dns_started, instants.dns_ended)
    assert (2, 4) == (instants.connect_started, instants.connect_ended)
    assert (4, 4) == (instants.request_started, instants.request_sent)
    assert (None, None) == (instants.tls_started, instants.tls_ended)
    assert GET == attempt.head


def test_an_address_is_not_looked_up(events: _Events) -> None:
    """`getaddrinfo` is called for addresses too, where it looks nothing up."""
    holder = events.connect("127.0.0.1")
    events.send(holder, GET)
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert (None, None, 1) == (
        attempt.instants.dns_started,
        attempt.instants.dns_ended,
        attempt.instants.connect_started,
    )


@pytest.mark.parametrize("host", ["::1", b"127.0.0.1"])
def test_addresses_of_every_form(events: _Events, host: Any) -> None:
    """Addresses come in both families, as text or as bytes."""
    events.connect(host)
    _, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    assert attempt.instants.dns_started is None


def test_tls_is_a_part_of_connecting(events: _Events) -> None:
    """A socket that speaks TLS ends connecting in the narrow sense; the request begins after the handshake."""
    holder = events.connect()
    context = ssl.create_default_context()
    with context.wrap_socket(socket.socket(), server_hostname="h") as tls_socket:
        made = events("socket.__new__", tls_socket, 2, 1, 0)
    events.send(holder, GET)
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert (made, events.now) == (attempt.instants.tls_started, attempt.instants.tls_ended)
    assert (2, events.now) == (attempt.instants.connect_started, attempt.instants.connect_ended)


def test_connect_to_a_proxy_is_a_part_of_connecting(events: _Events) -> None:
    """What is sent to open a tunnel is no request, whether in one piece or in several."""
    holder = events.connect()
    events.send(holder, b"CONNECT a:443 HTTP/1.0\r\n", b"X: y\r\n", b"\r\n")
    events.send(holder, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", GET)
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert GET == attempt.head
    assert events.now == attempt.instants.connect_ended


def test_a_kept_connection(events: _Events) -> None:
    """Over a connection that is open already sending is the first event."""
    holder = _Holder()
    events.send(holder, GET)
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert (None, None) == (attempt.instants.dns_started, attempt.instants.connect_started)
    assert 1 == attempt.instants.request_started


@pytest.mark.parametrize(
    "pieces",
    [
        (POST, b"0123456789"),
        (POST, b"01234", b"56789"),
        (POST, memoryview(b"0123456789")),
        (CHUNKED, b"3\r\nabc\r\n", b"0\r\n\r\n"),
        (CHUNKED, b"3\r\n", b"abc", b"\r\n", b"0\r\n\r\n"),
        (POST, GET[:10]),
    ],
)
def test_a_body_is_sent_after_its_head(events: _Events, pieces: tuple[bytes, ...]) -> None:
    """All pieces of a body are of one attempt, even those that look like a head; the last one ends sending."""
    holder = _Holder()
    events.send(holder, *pieces)
    sent = events.now
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert (1, sent) == (attempt.instants.request_started, attempt.instants.request_sent)
    assert attempt.is_sent


def test_an_iterable_is_sent_with_one_event(events: _Events) -> None:
    """`http.client` tells of an iterable once, whatever its pieces are."""
    holder = _Holder()
    events.send(holder, POST)
    events("http.client.send", holder, [b"01234", b"56789"])
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert attempt.is_sent


def test_a_request_that_is_sent_again(events: _Events) -> None:
    """A second head of the same request is a second attempt, over the same connection or over another."""
    holder = _Holder()
    events.send(holder, GET)
    holder.sock = events.connect().sock
    events.send(holder, GET)
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert [1, 2] == [one.instants.started for one in repeated]
    assert 6 == attempt.instants.request_started


def test_connections_that_failed_before_anything_was_sent(events: _Events) -> None:
    """Each connection to the same place is an attempt; those before the last were repeated."""
    events.connect()
    events.connect()
    holder = events.connect()
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert [1, 4] == [one.instants.started for one in repeated]
    assert [None, None] == [one.instants.connect_ended for one in repeated]


def test_a_look_up_alone_is_no_attempt(events: _Events) -> None:
    """A program may look a host up for reasons of its own, before a new connection as before a kept one."""
    events("socket.getaddrinfo", "host", 80, 0, 1, 0)
    holder = events.connect()
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], 2, 3) == (repeated, attempt.instants.dns_started, attempt.instants.dns_ended)
    events("socket.getaddrinfo", "host", 80, 0, 1, 0)
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], None, None) == (repeated, attempt.instants.dns_started, attempt.instants.connect_started)


def test_a_look_up_between_connecting_and_sending(events: _Events) -> None:
    """A SOCKS client connects to its proxy and then looks the target up: the socket tells what belongs together."""
    holder = events.connect("proxy", 1080)
    events("socket.getaddrinfo", "host", 80, 0, 1, 0)
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], 1, 5) == (repeated, attempt.instants.dns_started, attempt.instants.connect_ended)


def test_tls_behind_such_a_look_up(events: _Events) -> None:
    """TLS goes around the socket that is connected, and is a part of that attempt."""
    holder = events.connect("proxy", 1080)
    events("socket.getaddrinfo", "host", 443, 0, 1, 0)
    with socket.socket() as plain, ssl.create_default_context().wrap_socket(plain, server_hostname="host") as tls:
        started = events("socket.__new__", tls, 2, 1, 0)
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], started, events.now) == (repeated, attempt.instants.tls_started, attempt.instants.tls_ended)


def test_other_sockets_of_the_program(events: _Events) -> None:
    """What connects between the pieces of a body, or before, has nothing to do with the request."""
    events("socket.connect", _Socket(7), "/run/before.sock")
    holder = events.connect()
    events.send(holder, CHUNKED)
    events("socket.__new__", _Socket(8), 1, 1, 0)
    events("socket.connect", _Socket(8), "/run/between.sock")
    events.send(holder, b"3\r\nabc\r\n", b"0\r\n\r\n")
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    exchange = _exchange()
    attempt.describe(exchange)
    assert ([], "10.0.0.1", None) == (repeated, exchange.peer_address, exchange.socket_path)
    assert events.now == attempt.instants.request_sent


def test_a_piece_that_looks_like_the_last(events: _Events) -> None:
    """A line of a table may end in a zero: only the last chunk is the last chunk."""
    holder = _Holder()
    events.send(holder, CHUNKED, b"c\r\n1,foo,10\r\n\r\n", b"5\r\nx,10\r\n", b"0\r\n\r\n")
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], CHUNKED, 4) == (repeated, attempt.head, attempt.instants.request_sent)


def test_what_has_no_request_line_is_no_head(events: _Events) -> None:
    """Whatever else is sent over `http.client` before a request is not taken for one."""
    holder = _Holder()
    events.send(holder, b"PROXY TCP4 1.2.3.4\r\n\r\n", GET)
    _, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert GET == attempt.head


def test_what_else_is_sent_meanwhile_is_not_a_repetition(events: _Events) -> None:
    """Another request from within a body's generator takes nothing from the one that is being sent."""
    holder, other = _Holder(), _Holder()
    events.send(holder, CHUNKED)
    events.connect("elsewhere")
    events.send(other, OTHER)
    events.send(holder, b"3\r\nabc\r\n", b"0\r\n\r\n")
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], CHUNKED) == (repeated, attempt.head)
    assert events.now == attempt.instants.request_sent


def test_what_a_hook_sent_before_is_not_a_repetition(events: _Events) -> None:
    """A request of a program's hook has another request line than the one that is answered."""
    holder, other = _Holder(), _Holder()
    other.sock = events.connect("elsewhere").sock
    events.send(other, OTHER)
    events.connect("another")
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], GET) == (repeated, attempt.head)


def test_an_answer_over_a_connection_that_is_not_known(events: _Events) -> None:
    """Without the connection the last request that was sent is the one that is answered."""
    events.send(_Holder(), OTHER)
    events.send(_Holder(), GET)
    _, attempt = events.attempts.take(None)
    assert attempt is not None
    assert GET == attempt.head


def test_an_answer_that_nobody_asked_for(events: _Events) -> None:
    """An adapter that does not use `http.client` leaves nothing to go by."""
    assert ([], None) == events.attempts.take(_Holder())
    events.connect()
    assert ([], None) == events.attempts.take(_Holder())
    assert ([], None) == events.attempts.take_unanswered(URL)


def test_no_answer(events: _Events) -> None:
    """The last attempt is the one that failed, those before it were repeated."""
    events.connect()
    events.connect()
    repeated, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    assert [1] == [one.instants.started for one in repeated]
    assert 4 == attempt.instants.started


def test_each_answer_takes_its_attempts(events: _Events) -> None:
    """What one hop sent is not looked at for the next."""
    holder = _Holder()
    events.send(holder, GET)
    events.attempts.take(holder)
    events.send(holder, GET)
    repeated, attempt = events.attempts.take(holder)
    assert attempt is not None
    assert ([], 2) == (repeated, attempt.instants.started)


def test_attempts_are_bounded(events: _Events) -> None:
    """A program that sends on and on within one request takes no more memory for it."""
    holder = _Holder()
    for _ in range(1_000):
        events.send(holder, GET)
    repeated, _ = events.attempts.take(holder)
    assert 99 == len(repeated)


def test_what_is_no_head_is_bounded(events: _Events) -> None:
    """A client that speaks something else over `http.client` takes no more memory for it."""
    holder = _Holder()
    for _ in range(40):
        events.send(holder, bytes(1_000_000))
    _, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    assert attempt.head is None
    assert len(attempt._unfinished) <= 1024 * 1024


def test_an_attempt_describes_an_exchange(events: _Events) -> None:
    """The exchange gets the instants, the head and the address, and keeps its own beginning."""
    events.now = 10
    events.connect(port=8080)
    _, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    exchange = _exchange(started=5)
    attempt.describe(exchange)
    assert (5, 11, 12) == (exchange.instants.started, exchange.instants.dns_started, exchange.instants.connect_started)
    assert ("10.0.0.1", 8080, None) == (exchange.peer_address, exchange.peer_port, exchange.connection_id)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://host/a", True), ("http://host/b", False), ("http://host/a?q", False)],
)
def test_where_an_attempt_went(events: _Events, url: str, *, expected: bool) -> None:
    """What was sent tells by its target."""
    events.connect()
    events.send(_Holder(), GET)
    _, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    assert expected is attempt.is_at(urlsplit(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://host/x", True), ("http://host:80/x", True), ("http://other/a", False), ("http://host:81/x", False)],
)
def test_where_an_attempt_was_to_go(events: _Events, url: str, *, expected: bool) -> None:
    """What was never sent tells by the host that was looked up."""
    events.connect()
    _, attempt = events.attempts.take_unanswered(URL)
    assert attempt is not None
    assert expected is attempt.is_at(urlsplit(url))


def test_attempts_beyond_the_limit_are_counted(events: _Events) -> None:
    """Of a request that is sent again and again the last attempts are kept, with one head; the others are counted."""
    for _ in range(130):
        holder = events.connect()
        events.send(holder, bytes(bytearray(GET)))
    repeated, last = events.attempts.take(holder)
    assert last is not None
    assert (99, 30) == (len(repeated), last.lost_before)
    assert 1 == len({id(one.head) for one in [*repeated, last]})
