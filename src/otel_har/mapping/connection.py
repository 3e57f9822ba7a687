"""The connection of an exchange to the entry's members that tell of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from otel_har.exchange import Exchange


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
    return connection


def _ip(text: str) -> str | None:
    """An IP address without brackets and zone; None for what is none (a host name, a socket's path)."""
    try:
        return str(ip_address(text.strip("[]").partition("%")[0]))
    except ValueError:
        return None
