"""Answers that take their time: how slow a server is, is a thing to be recorded like any other."""

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


SLOW_ROUTES = {"delay": delay, "trickle": trickle}
