"""The global TracerProvider of a program that has set none when its recording starts.

The rule: it is the program's provider as soon as the program sets one, and the recorder's own until then. Both are
needed: without a global provider the program's own spans would not exist, and with them its pages; but OpenTelemetry
lets a global provider be set once, and would refuse the program's, whose exporters would then stay empty.

OpenTelemetry tells of a refused provider in a warning. A logging filter of ours, where the program's provider arrives,
takes it over and lets the warning go: nothing was refused. Where warnings are switched off altogether, the recorder's
own provider stays the global one.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otel_har.guard import guarded

_REFUSING_FUNCTION = "_set_tracer_provider"  # of opentelemetry.trace, which logs the refusal
_REFUSED_ARGUMENT = "tracer_provider"


class SharedTracerProvider(wrapt.ObjectProxy):  # type: ignore[type-arg] # generic in wrapt's stubs only
    """Stands for the provider that there is now. Tracers that it gave out follow the change, at their next span.

    `_self_` is wrapt's prefix for what belongs to the proxy itself.

    Args:
        own: The recorder's provider.
        on_adopted: Called with the program's provider, once.
    """

    def __init__(self, own: TracerProvider, on_adopted: Callable[[trace.TracerProvider], None]) -> None:
        super().__init__(own)
        self._self_on_adopted = on_adopted
        self._self_is_adopted = False
        self._self_lock = threading.Lock()

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """A tracer of whichever provider there is; the arguments are those of OpenTelemetry's own."""
        return FollowingTracer(self, args, kwargs)

    def adopt(self, provider: trace.TracerProvider) -> bool:
        """Become the program's provider; False for any but the first one, which OpenTelemetry would refuse too."""
        with self._self_lock:
            if self._self_is_adopted:
                return False
            self._self_is_adopted = True
        self._self_on_adopted(provider)
        self.__wrapped__ = provider
        return True

    def make_global(self) -> None:
        """Set this as the global provider, and watch for the program's."""
        provider: Any = self  # a TracerProvider to isinstance, not to the type checker
        trace.set_tracer_provider(provider)
        logging.getLogger(trace.__name__).addFilter(_RefusedProviders(self))


class FollowingTracer(trace.Tracer):
    """A tracer of the provider that there is when a span starts."""

    def __init__(self, shared: SharedTracerProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._shared = shared
        self._args = args
        self._kwargs = kwargs
        self._provider: object = None
        self._tracer: trace.Tracer = trace.NoOpTracer()

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span of the tracer that there is now."""
        return self._current().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span of the tracer that there is now, and make it the current one."""
        return self._current().start_as_current_span(*args, **kwargs)

    def _current(self) -> trace.Tracer:
        provider = self._shared.__wrapped__
        if provider is not self._provider:
            self._tracer = provider.get_tracer(*self._args, **self._kwargs)
            self._provider = provider
        return self._tracer


class _RefusedProviders(logging.Filter):
    """Takes a provider over that OpenTelemetry is about to call refused."""

    def __init__(self, shared: SharedTracerProvider) -> None:
        super().__init__()
        self._shared = shared

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the warning when its provider was taken over."""
        return self._take_over(record) is not True

    @guarded("taking over the program's tracer provider")
    def _take_over(self, record: logging.LogRecord) -> bool:
        if record.funcName != _REFUSING_FUNCTION:
            return False
        frame = sys._getframe()  # noqa: SLF001 - the record does not carry the provider, the refusing call does
        while frame.f_code.co_name != _REFUSING_FUNCTION:
            if frame.f_back is None:
                return False
            frame = frame.f_back
        provider = frame.f_locals.get(_REFUSED_ARGUMENT)
        return isinstance(provider, trace.TracerProvider) and self._shared.adopt(provider)
