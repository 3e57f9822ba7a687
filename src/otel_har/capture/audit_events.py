"""Python's own audit events (PEP 578), for what nobody has a callback for: look-up, connect, TLS, send, exec.

The rule: an audit hook is never removed, and the interpreter calls it for every event of the process. So it is one
look-up for the events of others, it is installed once and only when a recording asks for it, and it raises nothing: an
exception of an audit hook aborts what is audited. Events find their exchange by the current capture, a context variable
as the current span is one: that tells threads, tasks and greenlets apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from otel_har import correlation
from otel_har.guard import caught

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


def _make_hook(
    caught: Callable[[str, BaseException], None] = caught,
) -> Callable[[str, tuple[Any, ...]], None]:
    """The hook, with all that it needs: it outlives this module's names, which are gone when the interpreter ends."""
    wanted, current, now, is_finalizing = _EVENTS, correlation.current_key, time.perf_counter_ns, sys.is_finalizing
    captures, before_exec = correlation.open_captures, _before_exec

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in wanted or is_finalizing():
            return
        try:
            if event == EXEC:
                for function in before_exec:
                    function()
                return
            key = current.get()
            capture = captures.get(key) if key is not None else None
            if capture is not None and capture.on_audit_event is not None:
                capture.on_audit_event(event, args, now())
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting an audit event", fault)

    return hook
