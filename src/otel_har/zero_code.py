"""What `opentelemetry-instrument` calls: recording without a line in the program.

The rule: nothing here may stop the program or the rest of its instrumentation. Without `--har` nothing happens.

Whose TracerProvider the client spans belong to is decided as late as possible, at the first request: the program's
own or the distribution's, when one was set, which then gets our processor; else one of ours. A provider set early
would make OpenTelemetry refuse the one that the program sets later, and the program's exporters would stay empty.
So that a program without an SDK has spans, and with them pages, all the same, ours is offered to OpenTelemetry
through its own plug-in point, OTEL_PYTHON_TRACER_PROVIDER: it is made when a tracer is first asked for and no
provider was set by then.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Any

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import TracerProvider

from otel_har.environment import OTEL_PYTHON_HAR
from otel_har.errors import OtelHarError
from otel_har.guard import guarded
from otel_har.instrumentor import instrument_anew
from otel_har.processor import HarSpanProcessor
from otel_har.recording import span_processor
from otel_har.settings import settings_from

_PROVIDER_NAME = "otel_har"  # of our entry point in the group opentelemetry_tracer_provider
_logger = logging.getLogger("otel_har")


class _Recording:
    """The recording of this process, attached to a provider once. The first provider is the only one there will be."""

    def __init__(self, processor: HarSpanProcessor) -> None:
        self._processor = processor
        self._provider: object = None
        self._own_provider: TracerProvider | None = None
        self._lock = threading.RLock()

    def resolve(self) -> trace.TracerProvider:
        """The global provider, ours where nobody set one, with the processor."""
        with self._lock:
            provider = trace.get_tracer_provider()
            _withdraw_offer()
            self.attach(provider)
            return provider

    def own_provider(self) -> TracerProvider:
        """The provider that OpenTelemetry is offered: one, whoever asks first."""
        with self._lock:
            if self._own_provider is None:
                self._own_provider = TracerProvider()
                self.attach(self._own_provider)
            return self._own_provider

    def attach(self, provider: object) -> None:
        """Add the processor to the provider, unless it has one already."""
        with self._lock:
            if self._provider is not None:
                return
            self._provider = provider
            if isinstance(provider, TracerProvider):
                provider.add_span_processor(self._processor)
            else:
                _logger.warning(
                    "otel-har: nothing is recorded: %s is no TracerProvider of the OpenTelemetry SDK",
                    type(provider).__qualname__,
                )


_recording: _Recording | None = None


@guarded("preparing the recording")
def pre_instrument() -> None:
    """The entry point `opentelemetry_pre_instrument`: forget what a parent process offered to its own OpenTelemetry."""
    _withdraw_offer()


@guarded("starting the recording")
def post_instrument() -> None:
    """The entry point `opentelemetry_post_instrument`: everything is instrumented; hook what can be recorded."""
    global _recording  # noqa: PLW0603 - the entry points are functions, and a process has one recording
    if not os.environ.get(OTEL_PYTHON_HAR, "").strip() or _recording is not None:
        return
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        _logger.warning("otel-har: nothing is recorded: %s is set", OTEL_SDK_DISABLED)
        return
    settings, problems = settings_from(os.environ)
    for problem in problems:
        _logger.warning("otel-har: %s", problem)
    try:
        processor = span_processor(settings)
    except OtelHarError as fault:
        _logger.error("otel-har: nothing is recorded: %s", fault)  # noqa: TRY400 - one line for a user, no traceback
        return
    _recording = _Recording(processor)
    atexit.register(processor.shutdown)
    provider: trace.TracerProvider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        os.environ.setdefault(OTEL_PYTHON_TRACER_PROVIDER, _PROVIDER_NAME)
        provider = LateTracerProvider(_recording)
    else:
        _recording.attach(provider)
    instrument_anew(provider)


def tracer_provider() -> TracerProvider:
    """The entry point `opentelemetry_tracer_provider`: the SDK's provider, with our processor."""
    return _recording.own_provider() if _recording is not None else TracerProvider()


def _withdraw_offer() -> None:
    """Child processes inherit the environment: they shall decide for themselves, and may lack our entry point."""
    if os.environ.get(OTEL_PYTHON_TRACER_PROVIDER) == _PROVIDER_NAME:
        del os.environ[OTEL_PYTHON_TRACER_PROVIDER]


class LateTracerProvider(trace.TracerProvider):
    """Gives tracers that ask for the global provider at their first span."""

    def __init__(self, recording: _Recording) -> None:
        self._recording = recording

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """A tracer of whichever provider there will be; the arguments are those of OpenTelemetry's own."""
        return LateTracer(self, args, kwargs)

    def tracer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> trace.Tracer:
        """The tracer of the provider that there is now."""
        provider = self._recording.resolve()
        return provider.get_tracer(*args, **kwargs)


class LateTracer(trace.Tracer):
    """A tracer that becomes a real one with its first span."""

    def __init__(self, provider: LateTracerProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._provider = provider
        self._args = args
        self._kwargs = kwargs
        self._real: trace.Tracer | None = None

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span of the real tracer."""
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """Start a span of the real tracer and make it the current one."""
        return self._tracer().start_as_current_span(*args, **kwargs)

    def _tracer(self) -> trace.Tracer:
        if self._real is None:
            self._real = self._provider.tracer(self._args, self._kwargs)
        return self._real
