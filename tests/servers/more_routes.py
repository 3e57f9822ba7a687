"""More answers of a recording server: those that take their time, redirects to anywhere, a WebSocket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from servers.channel import Disconnected
from servers.websocket import converse

if TYPE_CHECKING:
    from servers.routes import Call


def delay(call: Call) -> None:
    """Answer after so many milliseconds."""
    time.sleep(int(call.argument) / 1000)
    call.reply(b"late", [("Content-Type", "text/plain")])


def trickle(call: Call) -> None:
    """Answer at once, and send the second half of the body after so many milliseconds."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", "20")])
    call.channel.send_body(b"ten bytes.")
    time.sleep(int(call.argument) / 1000)
    call.channel.send_body(b"ten bytes.")


def redirect_to(call: Call) -> None:
    """Redirect to the URL that is the query."""
    call.reply(b"elsewhere", [("Location", call.request.target.partition("?")[2])], status=302)


def websocket(call: Call) -> None:
    """Become a WebSocket that echoes, and does what `servers.websocket` says; the query has the handshake's manner."""
    if call.request.first("upgrade").lower() != "websocket":
        call.reply(b"a WebSocket only", [("Upgrade", "websocket"), ("Content-Type", "text/plain")], status=426)
        return
    converse(call.request, call.channel, call.gates, call.query)
    raise Disconnected


def big(call: Call) -> None:
    """Answer with header fields of so many bytes altogether, none of which is too long for a client."""
    size_bytes = int(call.argument)
    fields = [(f"X-{number}", "y" * 60_000) for number in range(min(90, size_bytes // 60_000))]
    call.reply(b"big", [("Content-Type", "text/plain"), *fields])


MORE_ROUTES = {"big": big, "delay": delay, "redirect-to": redirect_to, "trickle": trickle, "websocket": websocket}
