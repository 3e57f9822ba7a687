"""More answers of a recording server: those that take their time, and redirects to anywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

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


MORE_ROUTES = {"delay": delay, "redirect-to": redirect_to, "trickle": trickle}
