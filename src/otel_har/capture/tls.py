"""What a TLS connection is, as Python's `ssl` tells it.

The rule: once for each connection, and nothing that the peer's certificate does not say. A certificate that was not
verified is not shown by `ssl` in a form that can be read; of such a connection the version and the cipher are known.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from otel_har.exchange import TlsFacts
from otel_har.guard import guarded


@guarded("looking at a TLS connection")
def tls_facts(connection: Any) -> TlsFacts | None:
    """The facts of an `ssl.SSLSocket` or `ssl.SSLObject`, or of what looks like one; None for other connections."""
    version = getattr(connection, "version", None)
    protocol = version() if callable(version) else None
    if not isinstance(protocol, str):
        return None
    cipher = connection.cipher() if hasattr(connection, "cipher") else None  # urllib3's pyOpenSSL sockets have none
    certificate = connection.getpeercert() or {}
    alternatives = [value for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    return TlsFacts(
        protocol=protocol,
        cipher=cipher[0] if cipher else None,
        subject_name=_name(certificate.get("subject", ()), "commonName") or next(iter(alternatives), None),
        issuer=_name(certificate.get("issuer", ()), "commonName", "organizationName"),
        valid_from_unix_s=_time(certificate.get("notBefore")),
        valid_to_unix_s=_time(certificate.get("notAfter")),
    )


def _name(distinguished_name: Iterable[Iterable[tuple[str, str]]], *wanted: str) -> str | None:
    """The first wanted part of a distinguished name (RFC 5280, 4.1.2.4), given as `getpeercert` does."""
    parts = {key: value for relative in distinguished_name for key, value in relative}
    return next((parts[key] for key in wanted if key in parts), None)


def _time(text: object) -> int | None:
    return ssl.cert_time_to_seconds(text) if isinstance(text, str) else None
