"""Facts of a connection to the members of an entry."""

from __future__ import annotations

import pytest

from otel_har.exchange import Exchange, TlsFacts
from otel_har.limits import CaptureLimits
from otel_har.mapping.connection import har_connection


def _exchange() -> Exchange:
    return Exchange("GET", "http://a/", started_unix_ns=0, started=0, limits=CaptureLimits())


def test_nothing_known() -> None:
    """What is not known is left out."""
    assert {} == har_connection(_exchange())


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1"), ("host", None)],
)
def test_addresses(address: str, expected: str | None) -> None:
    """An IP address without brackets and zone; what is none is left out."""
    exchange = _exchange()
    exchange.peer_address, exchange.peer_port = address, 80
    connection = har_connection(exchange)
    assert (expected, "80", 80) == (
        connection.get("serverIPAddress"),
        connection["connection"],
        connection["_serverPort"],
    )


def test_a_unix_socket_and_a_proxy() -> None:
    """A socket's path and a proxy's URL, without its user information."""
    exchange = _exchange()
    exchange.socket_path, exchange.proxy = "/run/s", "http://user:secret@proxy:3128"
    assert {"_socketPath": "/run/s", "_proxy": "http://proxy:3128"} == har_connection(exchange)


@pytest.mark.parametrize(
    ("version", "expected"), [("TLSv1.3", "TLS 1.3"), ("TLSv1", "TLS 1"), ("SSLv3", "SSLv3"), ("other", "other")]
)
def test_versions_of_tls(version: str, expected: str) -> None:
    """Browsers write `TLS 1.3`; what is not known is left out."""
    exchange = _exchange()
    exchange.tls = TlsFacts(version)
    assert {"_securityDetails": {"protocol": expected}} == har_connection(exchange)


def test_tls_details() -> None:
    """All that a verified certificate tells."""
    exchange = _exchange()
    exchange.tls = TlsFacts("TLSv1.2", "AES", "a.test", "An authority", 1, 2)
    details = {"cipher": "AES", "subjectName": "a.test", "issuer": "An authority", "validFrom": 1, "validTo": 2}
    assert {"protocol": "TLS 1.2", **details} == har_connection(exchange)["_securityDetails"]
