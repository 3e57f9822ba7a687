"""Python's own audit events (PEP 578), for what nobody has a callback for: look-up, connect, TLS, send, exec.

The rule: an audit hook is never removed, and the interpreter calls it for every event of the process. So it is one
look-up for the events of others, it is installed once and only when a recording asks for it, and it raises nothing: an
exception of an audit hook aborts what is audited. Events find their exchange by the current span, which is what tells
threads, tasks and greenlets apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import get_current_span

from otel_har import correlation
from otel_har.guard import guarded

GETADDRINFO = "socket.getaddrinfo"
SOCKET_NEW = "socket.__new__"
SOCKET_CONNECT = "socket.connect"
HTTP_CLIENT_SEND = "http.client.send"
EXEC = "os.exec"

_EVENTS = frozenset({GETADDRINFO, SOCKET_NEW, SOCKET_CONNECT, HTTP_CLIENT_SEND, EXEC})
_installed = False
_before_exec: list[Callable[[], object]] = []


def install() -> None:
    """Install the hook, once for the process and for good."""
    global _installed  # noqa: PLW0603 - as the hook itself, of the whole process
    if not _installed:
        _installed = True
        sys.addaudithook(_make_hook())


def call_before_exec(function: Callable[[], object]) -> None:
    """Call it, once the hook is installed, each time when the process is about to become another program (`os.exec*`).

    Forked children call it, too; so does a search of the program along the path, for each place.
    """
    _before_exec.append(function)


@guarded("noting an audit event")
def _hand_on(event: str, args: tuple[Any, ...]) -> None:
    if event == EXEC:
        for function in _before_exec:
            function()
        return
    now = time.perf_counter_ns()
    capture = correlation.find(get_current_span())
    if capture is not None and capture.on_audit_event is not None:
        capture.on_audit_event(event, args, now)


def _make_hook() -> Callable[[str, tuple[Any, ...]], None]:
    """The hook, with all that it needs: it outlives this module's names, which are gone when the interpreter ends."""
    wanted, hand_on, is_finalizing = _EVENTS, _hand_on, sys.is_finalizing

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in wanted and not is_finalizing():
            hand_on(event, args)

    return hook
