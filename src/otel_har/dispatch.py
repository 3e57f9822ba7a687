"""Where recordings come and go: the one span processor of ours that the program's tracer providers have.

The rule: a provider takes a span processor and never gives one back, so there is one in a process, and it hands spans
to whatever recordings there are at the time. What becomes of a provider is no recording's end.

The global provider is the program's to set, before a recording begins, in the midst of one or never: see
`shared_provider`. Others that the program names are watched besides.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from typing import cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler

from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded, warn_once
from otel_har.processor import HarSpanProcessor
from otel_har.shared_provider import SharedTracerProvider

_logger = logging.getLogger("otel_har")


class SpanDispatcher(SpanProcessor):
    """Hands spans to the recordings that there are. It changes them for none: each sees what it joined in time for."""

    def __init__(self) -> None:
        self._members: tuple[tuple[HarSpanProcessor, Callable[[], bool] | None], ...] = ()
        self._providers: weakref.WeakSet[trace.TracerProvider] = weakref.WeakSet()
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def add(self, processor: HarSpanProcessor, concerns: Callable[[], bool] | None = None) -> None:
        """Hand spans to a recording from now on.

        Args:
            processor: The recording's.
            concerns: Tells, where a span starts, whether the recording wants it; without it, it wants all.
        """
        with self._lock:
            self._members = (*self._members, (processor, concerns))

    def remove(self, processor: HarSpanProcessor) -> None:
        """Hand no spans to a recording any more."""
        with self._lock:
            self._members = tuple(member for member in self._members if member[0] is not processor)

    def watch(self, provider: trace.TracerProvider) -> bool:
        """See the spans of a provider; False for one that takes no span processors.

        Not only the SDK's own class takes them: other distributions wrap that.
        """
        add_span_processor = cast(
            "Callable[[SpanProcessor], None] | None", getattr(provider, "add_span_processor", None)
        )
        if add_span_processor is None:
            return False
        with self._lock:
            if provider not in self._providers:
                _tell_of_sampler(provider)
                self._providers.add(provider)
                add_span_processor(self)
        return True

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Hand the span to each recording that it concerns."""
        for processor, concerns in self._members:
            if concerns is None or concerns():
                processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Tell each recording."""
        for processor, _ in self._members:
            processor.on_end(span)

    def shutdown(self) -> None:
        """A provider's end: write what there is, each recording in the time that it has for that."""
        for processor, _ in self._members:
            processor.force_flush(int(processor.export_timeout_millis))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush every recording.

        Returns:
            False when one of them could not within the time.
        """
        flushed = [processor.force_flush(timeout_millis) for processor, _ in self._members]
        return all(flushed)


@guarded("looking at the sampler")
def _tell_of_sampler(provider: trace.TracerProvider) -> None:
    """Say it where no span will ever be sampled: without one there is no entry."""
    sampler = getattr(provider, "sampler", None)
    if isinstance(sampler, Sampler) and sampler.get_description() == ALWAYS_OFF.get_description():
        warn_once("nothing is recorded: the tracer provider's sampler drops every span (always_off)")


DISPATCHER = SpanDispatcher()
"""The process's own."""


def watch_global_provider() -> None:
    """See the spans of the global provider, whichever it is by then."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        own = TracerProvider(shutdown_on_exit=False)
        atexit.register(own.shutdown)  # of the processors that the program may add to it
        DISPATCHER.watch(own)
        SharedTracerProvider(own, on_adopted=watch_provider).make_global()
    elif not isinstance(provider, SharedTracerProvider):
        watch_provider(provider)


def watch_provider(provider: trace.TracerProvider) -> None:
    """See the spans of a provider; one that does not let us is told."""
    if not DISPATCHER.watch(provider):
        _logger.warning(
            "otel-har: nothing is recorded from here on: %s takes no span processors", type(provider).__qualname__
        )
