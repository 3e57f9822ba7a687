"""The proxy that an exchange of aiohttp went through, as far as a response or an error tells of it.

The rule: without user information, which is no part of a target (RFC 9110, 4.2.4).
"""

from __future__ import annotations

from typing import Any

from otel_har.exchange import Exchange
from otel_har.guard import guarded
from otel_har.message import SomeHeaders


def note_proxy(exchange: Exchange, response: Any, connection: Any) -> None:
    """The key of a connection tells the proxy; a connection that is back in the pool already is not to be had.

    Then another port than the URL's is the sign that there was one, and that the request line may have the whole URL
    (RFC 9112, 3.2.2). Newer releases of aiohttp count what they wrote, which is the head where no framing is around
    the body.

    Args:
        exchange: The exchange, whose peer is noted already.
        response: aiohttp's.
        connection: The response's; None once it is back in the pool.
    """
    key = getattr(connection, "_key", None)
    if key is not None:
        exchange.proxy = str(key.proxy.origin()) if key.proxy is not None else None
    elif response.url.scheme == "http" and exchange.peer_port not in {None, response.url.port}:
        written_bytes = getattr(response, "_output_size", 0)
        if written_bytes and "Transfer-Encoding" not in response.request_info.headers:
            exchange.request_head_size = written_bytes - exchange.request_body.size_bytes
        else:
            exchange.request_headers = SomeHeaders(exchange.request_headers)


@guarded("looking for the proxy of a failed request")
def note_proxy_of_failure(exchange: Exchange, error: BaseException) -> None:
    """Errors of connecting tell where to: a proxy that was not reached, refused, or led to what could not be trusted.

    Args:
        exchange: The exchange that failed.
        error: What the program gets.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    told: Any = error
    key: Any = getattr(error, "_conn_key", None)
    if "ClientHttpProxyError" in kinds:
        exchange.proxy = str(told.request_info.real_url.origin())
    elif "ClientProxyConnectionError" in kinds:
        scheme = "https" if getattr(key, "is_ssl", False) else "http"
        host = f"[{told.host}]" if ":" in told.host else told.host
        exchange.proxy = f"{scheme}://{host}:{told.port}"
    elif getattr(key, "proxy", None) is not None:
        exchange.proxy = str(key.proxy.origin())
