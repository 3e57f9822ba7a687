"""`HarInstrumentor`: hooks our captures into the OpenTelemetry instrumentations of the client libraries.

The rule: a client is hooked through its own instrumentor and nothing else. What was instrumented before without our
hooks is left alone and said so, unless whoever calls says that it may be instrumented anew. `opentelemetry-instrument`
gives the instrumentors no hooks, so what it did may be done anew at any time.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Collection, Mapping
from types import FrameType, ModuleType
from typing import Any

from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISABLED_INSTRUMENTATIONS
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # untyped module
from opentelemetry.trace import TracerProvider

from otel_har.errors import SettingError
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded, warn_once

_logger = logging.getLogger("otel_har")
_REFUSALS = logging.getLogger("opentelemetry.instrumentation.instrumentor")

# The name under which OpenTelemetry lists the instrumentation, and our module for it.
CAPTURES: Mapping[str, str] = {
    "requests": "otel_har.capture.requests",
    "aiohttp-client": "otel_har.capture.aiohttp",
}


class HarInstrumentor(BaseInstrumentor):  # type: ignore[misc] # of an untyped module, see above
    """Instruments requests and aiohttp so that HAR processors see headers, bodies and phases.

    Arguments of `instrument()`:

    * `tracer_provider`, `meter_provider`: passed to each client's instrumentor; the global ones by default.
    * `clients`: the names of those to instrument, `requests` and `aiohttp-client`; all by default.
    * `requests`, `aiohttp_client`: mappings of further arguments for that client's instrumentor. A `request_hook` and
      `trace_configs` among them are called together with ours.

    `instrument()` raises SettingError for an unknown name.

    A client library that is not installed is left out. One that was instrumented before is left as it is, with a
    warning: its exchanges become entries from their spans alone, without headers and bodies.
    """

    def instrument(self, **kwargs: Any) -> Any:
        """Instrument the clients; see above. What a recording instrumented for its own time is done anew, to stay."""
        HOOKS.leave_to_program()
        return super().instrument(**kwargs)

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing: clients that are not installed are left out."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._instrumented: list[BaseInstrumentor] = []
        of_clients = {name: kwargs.pop(name.replace("-", "_"), {}) for name in CAPTURES}
        clients = tuple(kwargs.pop("clients", CAPTURES))
        unknown = [name for name in clients if name not in CAPTURES]
        if unknown:
            raise SettingError(f"no client named {unknown[0]!r} can be recorded; there are {', '.join(CAPTURES)}")
        for name in clients:
            capture = _imported(name)
            if capture is None:
                continue
            client = capture.instrumentor()
            if client.is_instrumented_by_opentelemetry:
                _logger.warning(
                    "otel-har: %s was instrumented before, without otel-har's hooks: its headers and bodies are not "
                    "recorded. Call HarInstrumentor().instrument() first, or uninstrument %s before it",
                    name,
                    type(client).__name__,
                )
                continue
            client.instrument(**kwargs, **capture.hooks(**of_clients[name]))
            self._instrumented.append(client)

    def _uninstrument(self, **_: Any) -> None:
        """Undo what `instrument` did, and nothing that others did."""
        for client in self._instrumented:
            if client.is_instrumented_by_opentelemetry:
                client.uninstrument()
        self._instrumented = []


def instrument_anew(tracer_provider: TracerProvider | None = None) -> None:
    """Instrument the clients that can be hooked, and are instrumented now, once more with our hooks.

    A client that the user left out (OTEL_PYTHON_DISABLED_INSTRUMENTATIONS) stays left out.
    """
    instrumented, left_out = [], []
    for name in CAPTURES:
        capture = _imported(name)
        if capture is not None and capture.instrumentor().is_instrumented_by_opentelemetry:
            capture.instrumentor().uninstrument()
            instrumented.append(name)
        elif capture is not None:
            left_out.append(name)
    disabled = os.environ.get(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS, "").strip()
    if left_out and not instrumented and disabled:
        names = " and ".join(left_out)
        warn_once(f"nothing of {names} is recorded: {OTEL_PYTHON_DISABLED_INSTRUMENTATIONS}={disabled}")
    HarInstrumentor().instrument(tracer_provider=tracer_provider, clients=instrumented, skip_dep_check=True)


class HooksInUse:
    """The clients' hooks, for as long as any recording uses them.

    What is instrumented already stays as it is, and stays so when the last recording has ended. What the program
    instruments meanwhile is instrumented as it asks for, with our hooks besides, and stays so without them.
    """

    def __init__(self) -> None:
        self.is_auto_instrumented = False
        """Whether `opentelemetry-instrument` instrumented this program."""
        self._users = 0
        self._is_ours = False
        self._asked: list[tuple[BaseInstrumentor, dict[str, Any]]] = []
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def take(self, tracer_provider: TracerProvider | None = None) -> None:
        """One more recording uses the hooks."""
        with self._lock:
            if not HarInstrumentor().is_instrumented_by_opentelemetry:
                if self.is_auto_instrumented:
                    instrument_anew(tracer_provider)
                else:
                    HarInstrumentor().instrument(tracer_provider=tracer_provider, skip_dep_check=True)
                    self._is_ours = True
                    _REFUSALS.addFilter(_notice)
            self._users += 1

    def give_back(self) -> None:
        """One recording less; after the last one the clients are as the program has them."""
        with self._lock:
            self._users -= 1
            if not self._users and self._is_ours:
                self._end()
                for client, kwargs in self._asked:
                    client.instrument(**kwargs)
                self._asked = []

    def leave_to_program(self) -> None:
        """The program is about to instrument all clients with our hooks, for good."""
        with self._lock:
            if self._is_ours:
                self._end()
                self._asked = []

    def take_over(self, client: BaseInstrumentor, kwargs: dict[str, Any]) -> bool:
        """The program instruments a client that is ours for now; False where it is not."""
        captures = [capture for capture in map(_imported, CAPTURES) if capture is not None]
        with self._lock:
            capture = next((one for one in captures if self._is_ours and one.instrumentor() is client), None)
            if capture is None:
                return False
            self._asked.append((client, kwargs))
            client.uninstrument()
            client.instrument(**capture.hooks(**kwargs))
            return True

    def _end(self) -> None:
        self._is_ours = False
        _REFUSALS.removeFilter(_notice)
        if HarInstrumentor().is_instrumented_by_opentelemetry:
            HarInstrumentor().uninstrument()


HOOKS = HooksInUse()


def _notice(record: logging.LogRecord) -> bool:
    """Whether a warning is to be seen that a client is instrumented already: not where the program gets what it wants.

    The record does not carry the call's arguments, its frame does.
    """
    return record.levelno != logging.WARNING or _taken_over() is not True


@guarded("instrumenting a client as the program asks for")
def _taken_over() -> bool:
    """Find the refusing call, and do what it was to do."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the call is some frames up
    while frame is not None and not (
        frame.f_code.co_name == "instrument" and isinstance(frame.f_locals.get("self"), BaseInstrumentor)
    ):
        frame = frame.f_back
    return frame is not None and HOOKS.take_over(frame.f_locals["self"], dict(frame.f_locals.get("kwargs") or {}))


def _imported(name: str) -> ModuleType | None:
    """The capture of a client; None where the client library is not installed."""
    try:
        return importlib.import_module(CAPTURES[name])
    except ImportError as missing:
        _logger.debug("otel-har: %s is not recorded: %s", name, missing)
        return None
