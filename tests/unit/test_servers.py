"""The recording server itself, spoken to by real clients."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from servers import RecordingServer, unused_port
from servers.odd_answers import ODD_ANSWERS
from servers.routes import CHUNKS, PNG, ROUTES, TEXT
from servers.rude import RUDE, rude_servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


def _exchange(server: RecordingServer, request: bytes) -> bytes:
    """Send raw bytes and read until the server closes, which `Connection: close` makes it do."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


def _get(server: RecordingServer, path: str) -> bytes:
    return _exchange(server, f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())


def test_it_records_the_request_as_it_arrived(server: RecordingServer) -> None:
    """Head, method, target, headers in order with duplicates, and body are the bytes that were sent."""
    head = b"POST /item/1?a=%20b&a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:2\r\n"
    head += b"Content-Length: 3\r\nConnection: close\r\n\r\n"
    _exchange(server, head + b"abc")
    [exchange] = server.exchanges
    assert (head, b"abc") == (exchange.request.head, exchange.request.body)
    assert ("POST", "/item/1?a=%20b&a", "HTTP/1.1") == (
        exchange.request.method,
        exchange.request.target,
        exchange.request.version,
    )
    assert [(b"Host", b"x"), (b"X-A", b"1"), (b"x-a", b"2")] == exchange.request.headers[:3]
    assert "/item/1" == exchange.request.path
    assert ["1", "2"] == exchange.request.all("x-a")


def test_it_decodes_a_chunked_request(server: RecordingServer) -> None:
    """A chunked body is recorded without its framing, and with it."""
    wire = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    _exchange(server, b"POST /item/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + wire)
    [exchange] = server.exchanges
    assert b"abcde" == exchange.request.body
    assert wire == exchange.request.wire_body


def test_it_tells_a_client_to_continue(server: RecordingServer) -> None:
    """A request with `Expect: 100-continue` gets its interim answer first."""
    request = b"POST /item/1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    assert _exchange(server, request).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_it_records_the_response_as_it_was_sent(server: RecordingServer) -> None:
    """What the client received is head and wire body of the record; `body` is the text behind the coding."""
    received = _get(server, "/gzip")
    response = server.exchanges[0].response
    assert received == response.head + response.wire
    assert (200, "OK", "HTTP/1.1") == (response.status, response.reason, response.version)
    assert TEXT.encode() == response.body == gzip.decompress(response.encoded)


@pytest.mark.parametrize(
    "name", sorted(set(ROUTES) - {"silence", "hang", "hang-chunks", "reset", "reset-mid-body", "odd", "drip"})
)
def test_every_route_sends_what_it_records(server: RecordingServer, name: str) -> None:
    """Each route's record is what came over the wire."""
    argument = {"bytes": "300", "events": "plain", "status": "404", "redirect": "2"}.get(name, "1")
    received = _get(server, f"/{name}/{argument}")
    response = server.exchanges[0].response
    assert received == response.head + response.wire


@pytest.mark.parametrize("name", sorted(name for name, odd in ODD_ANSWERS.items() if odd.ending != "reset"))
def test_every_odd_answer_is_sent_as_it_stands_in_the_table(server: RecordingServer, name: str) -> None:
    """The record of an odd answer is what came over the wire, interim answers included, and what the table has."""
    odd = ODD_ANSWERS[name]
    received = _get(server, f"/odd/{name}")
    response = server.exchanges[0].response
    assert received == response.interim + response.head + response.wire
    assert (odd.head, odd.encoded, odd.body) == (response.head, response.encoded, response.body)


def test_a_folded_header_is_one_header(server: RecordingServer) -> None:
    """What a receiver reads of folded lines is what the record says of them."""
    _get(server, "/odd/folded")
    assert (b"X-Folded", b"one two three") == server.exchanges[0].response.headers[0]


@pytest.mark.parametrize(("phase", "seen"), [("head", b""), ("body", b"0123456789")])
def test_a_request_is_interrupted(server: RecordingServer, phase: str, seen: bytes) -> None:
    """The server breaks the connection while the request is under way, and knows how much it has read."""
    request = f"POST /interrupted/{phase}-reset HTTP/1.1\r\nContent-Length: 20\r\n\r\n".encode()
    with pytest.raises(ConnectionResetError):
        _exchange(server, request + b"0123456789")
    assert [seen] == [exchange.request.body for exchange in server.exchanges]


@pytest.mark.parametrize("framing", ["unframed", "length", "chunked"])
def test_a_drip_comes_piece_by_piece(server: RecordingServer, framing: str) -> None:
    """Each framing's record is what came over the wire."""
    for _ in CHUNKS[1:]:
        server.gates.release("a")
    received = _get(server, f"/drip/{framing}?gate=a")
    response = server.exchanges[0].response
    assert received == response.interim + response.head + response.wire
    assert b"".join(CHUNKS) == response.body


@pytest.mark.parametrize("name", RUDE)
def test_a_rude_server_breaks_the_connection(name: str) -> None:
    """Whatever a client sends, no answer comes that a client could take for one."""
    with rude_servers() as urls, socket.create_connection(("127.0.0.1", int(urls[name].rpartition(":")[2]))) as client:
        client.sendall(b"hello")
        try:
            received = client.recv(100)
        except ConnectionResetError:
            received = b""
        assert received in {
            b"",
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        }


def test_an_unknown_route_is_404(server: RecordingServer) -> None:
    """A path without a route says so."""
    assert _get(server, "/nowhere").startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_a_connection_is_kept_alive_and_numbered(server: RecordingServer) -> None:
    """Two requests over one connection share its number, a third over a new one does not."""
    client = http.client.HTTPConnection(server.host, server.port, timeout=20)
    for _ in range(2):
        client.request("GET", "/json")
        client.getresponse().read()
    client.close()
    _get(server, "/binary")
    assert [1, 1, 2] == [exchange.connection for exchange in server.exchanges]
    assert PNG == server.of("/binary")[0].response.body


def test_no_body_follows_head_and_204(server: RecordingServer) -> None:
    """The answers to HEAD and of 204 end with their head."""
    head = _exchange(server, b"HEAD /json HTTP/1.1\r\nConnection: close\r\n\r\n")
    empty = _get(server, "/empty")
    assert head.endswith(b"\r\n\r\n")
    assert b"HTTP/1.1 204 No Content\r\n\r\n" == empty


def test_a_chunk_waits_for_its_gate(server: RecordingServer) -> None:
    """The first chunk is there before the second was released."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(b"GET /stream?gate=g HTTP/1.1\r\nConnection: close\r\n\r\n")
        received = b""
        while CHUNKS[0] not in received:
            received += connection.recv(65536)
        assert CHUNKS[1] not in received
        server.gates.release("g")
        server.gates.release("g")
        while data := connection.recv(65536):
            received += data
    assert received.endswith(b"0\r\n\r\n")
    assert b"".join(CHUNKS) == server.exchanges[0].response.body


def test_a_reset_is_a_reset(server: RecordingServer) -> None:
    """The route /reset sends RST, not FIN."""
    with pytest.raises(ConnectionResetError):
        _get(server, "/reset")


def test_a_reset_inside_the_body_comes_after_the_gate(server: RecordingServer) -> None:
    """The client has had half of the body when the connection is reset."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(b"GET /reset-mid-body?gate=g HTTP/1.1\r\n\r\n")
        received = b""
        while not received.endswith(b"ten bytes."):
            received += connection.recv(65536)
        server.gates.release("g")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_marks_tell_what_has_happened(server: RecordingServer) -> None:
    """A request that gets no answer is marked as arrived, and as closed once the client is gone."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(b"GET /silence HTTP/1.1\r\n\r\n")
        assert server.gates.wait("arrived /silence")
    assert server.gates.wait("closed /silence")


def test_the_control_port_opens_gates(server: RecordingServer) -> None:
    """A line on the control port releases a gate, another waits for a mark."""
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(_get(server, "/slow-headers?gate=g")))
    asking.start()
    with socket.create_connection((server.host, server.control_port), timeout=20) as control:
        control.sendall(b"wait 1 arrived /slow-headers\nrelease g\n")
        asking.join(20)
        assert b"ok\nok\n" == control.recv(3) + control.recv(3)
    assert answers[0].endswith(b"at last")


def test_tls_is_trusted_with_its_authority() -> None:
    """A client that trusts the server's authority talks to it."""
    with RecordingServer(tls=True) as server:
        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        client = http.client.HTTPSConnection(server.host, server.port, context=context, timeout=20)
        client.request("GET", "/json")
        assert 200 == client.getresponse().status
        client.close()
        assert server.url("/json") == f"https://127.0.0.1:{server.port}/json"


def test_digest_is_asked_for_and_accepted(server: RecordingServer) -> None:
    """The first answer is a challenge, one with digest credentials is let in."""
    assert b"WWW-Authenticate: Digest " in _get(server, "/digest")
    request = b"GET /digest HTTP/1.1\r\nAuthorization: Digest username=x\r\nConnection: close\r\n\r\n"
    assert _exchange(server, request).endswith(b"welcome")


def test_nobody_listens_on_an_unused_port() -> None:
    """A connection to an unused port is refused."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", unused_port()), timeout=20)


def test_a_server_that_does_not_run_has_no_port() -> None:
    """Asking for the port outside the `with` statement is an error."""
    with pytest.raises(RuntimeError, match="does not run"):
        _ = RecordingServer().port
