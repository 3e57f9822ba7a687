"""TLS connections as Python's `ssl` tells of them, over real handshakes."""

from __future__ import annotations

import socket
import ssl
import threading

import trustme

from otel_har.capture.tls import tls_facts
from otel_har.exchange import TlsFacts


def _facts(*names: str, common_name: str | None = None, verified: bool = True) -> TlsFacts | None:
    authority = trustme.CA(organization_name="An authority")
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, common_name=common_name).configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    if not verified:
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
    plain_client, plain_server = socket.socketpair()
    ended = threading.Event()

    def serve() -> None:
        with server_context.wrap_socket(plain_server, server_side=True):
            ended.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    with client_context.wrap_socket(plain_client, server_hostname=names[0]) as client:
        facts = tls_facts(client)
    ended.set()
    thread.join()
    return facts


def test_a_verified_certificate() -> None:
    """Version, cipher, the names of subject and issuer, and the validity."""
    facts = _facts("a.test", common_name="The server")
    assert facts is not None
    assert ("TLSv1.3", "The server", "An authority") == (facts.protocol, facts.subject_name, facts.issuer)
    assert facts.cipher is not None
    assert facts.valid_from_unix_s is not None
    assert facts.valid_to_unix_s is not None
    assert facts.valid_from_unix_s < facts.valid_to_unix_s


def test_a_subject_without_a_common_name() -> None:
    """Then the first alternative name says who it is, a host or an address."""
    assert "a.test" == getattr(_facts("a.test", "b.test"), "subject_name", None)
    assert "127.0.0.1" == getattr(_facts("127.0.0.1"), "subject_name", None)


def test_an_unverified_certificate() -> None:
    """Version and cipher are known, nothing of the certificate is."""
    facts = _facts("a.test", verified=False)
    assert facts is not None
    assert TlsFacts("TLSv1.3", facts.cipher) == facts


def test_no_tls() -> None:
    """Plain sockets and no socket at all have none."""
    with socket.socket() as plain:
        assert tls_facts(plain) is None
    assert tls_facts(None) is None


def test_before_the_handshake() -> None:
    """A TLS socket that has not shaken hands has no version yet."""
    with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="a") as early:
        assert tls_facts(early) is None
