"""Where a receiver listens: `grpc://127.0.0.1:4317`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from otel_har.errors import SettingError

_PORTS = {4317: "grpc", 4318: "http"}


@dataclass(frozen=True, slots=True)
class Address:
    """A protocol, a host and a port.

    Attributes:
        protocol: `grpc` or `http`.
        host: A name or an address, without brackets.
        port: The port; 0: any.
    """

    protocol: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this host reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def at(self, port: int) -> Address:
        """The same at another port."""
        return replace(self, port=port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}"


DEFAULT_ADDRESSES = (Address("grpc", "127.0.0.1", 4317), Address("http", "127.0.0.1", 4318))


def address_of(text: str) -> Address:
    """The address that a text means: `HOST:PORT`, with `grpc://` or `http://` before it where the port is not OTLP's.

    Raises:
        SettingError: It means none.
    """
    given = text if "://" in text else f"//{text}"
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        port = None
    if port is None or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username:
        raise SettingError(f"an address is HOST:PORT, as in 127.0.0.1:4317, not {text!r}")
    protocol = parts.scheme or _PORTS.get(port, "")
    if protocol not in {"grpc", "http"}:
        raise SettingError(f"say grpc:// or http:// before the address {text!r}")
    return Address(protocol, parts.hostname, port)
