"""The global TracerProvider of a program that has set none when its recording starts.

The rule: it is the program's provider as soon as the program sets one, and the recorder's own until then. Both are
needed: without a global provider the program's own spans would not exist, and with them its pages; but OpenTelemetry
lets a global provider be set once, and would refuse the program's, whose exporters would then stay empty.

OpenTelemetry tells of a refused provider in a warning. A logging filter of ours, where the program's provider arrives,
takes it over and lets the warning go: nothing was refused. Where the program has switched that logger off altogether
(`logging.disable`, or a `dictConfig` that disables existing loggers), the recorder's own provider stays the global one.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import wrapt
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util._decorator import _agnosticcontextmanager

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
        tracer: trace.Tracer
        if self._self_is_adopted:
            tracer = self.__wrapped__.get_tracer(*args, **kwargs)
        else:
            tracer = cast("trace.Tracer", FollowingTracer(self, args, kwargs))  # to isinstance it is one
        return tracer

    def adopt(self, provider: Any) -> bool:
        """Become the program's provider; False for any but the first one, which OpenTelemetry would refuse too."""
        with self._self_lock:
            if self._self_is_adopted or provider is self:
                return False
            self._self_is_adopted = True
            self._self_on_adopted(provider)
            self.__wrapped__ = provider
        return True

    def make_global(self) -> None:
        """Set this as the global provider, and watch for the program's."""
        provider: Any = self  # a TracerProvider to isinstance, not to the type checker
        trace.set_tracer_provider(provider)
        logger = logging.getLogger(trace.__name__)
        logger.addFilter(_RefusedProviders(self, logger))
        if not logger.level:  # a root logger that is set to errors only would keep the warning from the filter
            logger.setLevel(logging.WARNING)


class FollowingTracer(wrapt.ObjectProxy):  # type: ignore[type-arg] # generic in wrapt's stubs only
    """A tracer of the provider that there is when it is used."""

    def __init__(self, shared: SharedTracerProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        provider = shared.__wrapped__
        super().__init__(provider.get_tracer(*args, **kwargs))
        self._self_shared = shared
        self._self_provider = provider
        self._self_args = args
        self._self_kwargs = kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # wrapt asks for some of its own while it changes what is wrapped
            return getattr(self.__wrapped__, name)
        return getattr(self._self_current(), name)

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span of the tracer that there is now."""
        return self._self_current().start_span(*args, **kwargs)

    @_agnosticcontextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[trace.Span]:
        """Start a span of the tracer that there is now and make it the current one; each time, as a decorator too."""
        with self._self_current().start_as_current_span(*args, **kwargs) as span:
            yield span

    def _self_current(self) -> trace.Tracer:
        provider = self._self_shared.__wrapped__
        if provider is not self._self_provider:
            self.__wrapped__ = provider.get_tracer(*self._self_args, **self._self_kwargs)
            self._self_provider = provider
        tracer: trace.Tracer = self.__wrapped__
        return tracer


class _RefusedProviders(logging.Filter):
    """Takes a provider over that OpenTelemetry is about to call refused."""

    def __init__(self, shared: SharedTracerProvider, logger: logging.Logger) -> None:
        super().__init__()
        self._shared = shared
        self._logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the warning when its provider was taken over, and what the program's own levels would have kept back."""
        if self._take_over(record) is True:
            return False
        parent = self._logger.parent
        return parent is None or record.levelno >= parent.getEffectiveLevel()

    @guarded("taking over the program's tracer provider")
    def _take_over(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return False
        frame = sys._getframe()  # noqa: SLF001 - the record does not carry the provider, the refusing call does
        while frame.f_code.co_name != _REFUSING_FUNCTION:
            if frame.f_back is None:
                return False
            frame = frame.f_back
        provider = frame.f_locals.get(_REFUSED_ARGUMENT)
        return isinstance(provider, trace.TracerProvider) and self._shared.adopt(provider)
