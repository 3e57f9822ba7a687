"""The connection of an exchange to the entry's members that tell of it."""

from __future__ import annotations

import functools
import re
from ipaddress import ip_address
from typing import Any

from otel_har.exchange import Exchange, TlsFacts
from otel_har.mapping.urls import har_url


def har_connection(exchange: Exchange) -> dict[str, Any]:
    """`serverIPAddress`, `connection` and the extension members beside them, as far as they are known."""
    connection: dict[str, Any] = {}
    if exchange.peer_address is not None and (address := _ip(exchange.peer_address)):
        connection["serverIPAddress"] = address
    if exchange.peer_port is not None:
        connection["connection"] = str(exchange.peer_port)
        connection["_serverPort"] = exchange.peer_port
    if exchange.connection_id is not None:
        connection["_connectionId"] = exchange.connection_id
    if exchange.socket_path is not None:
        connection["_socketPath"] = exchange.socket_path
    if exchange.proxy is not None:
        connection["_proxy"] = har_url(exchange.proxy)
    if exchange.tls is not None:
        connection["_securityDetails"] = _security_details(exchange.tls)
    return connection


def _security_details(tls: TlsFacts) -> dict[str, Any]:
    """Chrome's and Playwright's members; times are seconds since the epoch."""
    details = {
        "protocol": re.sub(r"^TLSv1(?=$|\.)", "TLS 1", tls.protocol),  # as browsers spell it
        "cipher": tls.cipher,
        "subjectName": tls.subject_name,
        "issuer": tls.issuer,
        "validFrom": tls.valid_from_unix_s,
        "validTo": tls.valid_to_unix_s,
    }
    return {name: value for name, value in details.items() if value is not None}


@functools.lru_cache(256)
def _ip(text: str) -> str | None:
    """An IP address without brackets and zone; None for what is none (a host name, a socket's path)."""
    try:
        return str(ip_address(text.strip("[]").partition("%")[0]))
    except ValueError:
        return None
