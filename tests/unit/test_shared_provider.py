"""The global provider that becomes the program's."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_har.shared_provider import SharedTracerProvider, _RefusedProviders


def _provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def _names(exporter: InMemorySpanExporter) -> list[str]:
    return [span.name for span in exporter.get_finished_spans()]


def test_tracers_follow_the_provider() -> None:
    """A tracer that was given out before makes its next span with the adopted provider."""
    (own, own_spans), (theirs, their_spans) = _provider(), _provider()
    adopted: list[trace.TracerProvider] = []
    shared: Any = SharedTracerProvider(own, adopted.append)
    tracer = shared.get_tracer("early")
    tracer.start_span("before").end()
    assert shared.adopt(theirs)
    with tracer.start_as_current_span("after"):
        assert theirs == shared
    assert (["before"], ["after"], [theirs]) == (_names(own_spans), _names(their_spans), adopted)


def test_only_the_first_provider_is_adopted() -> None:
    """A second provider is refused, as OpenTelemetry does."""
    shared: Any = SharedTracerProvider(_provider()[0], lambda _: None)
    first = _provider()[0]
    assert [True, False] == [shared.adopt(first), shared.adopt(_provider()[0])]
    assert first == shared


def test_it_is_an_sdk_provider() -> None:
    """Code that asks whether the SDK is configured gets a yes."""
    assert isinstance(SharedTracerProvider(_provider()[0], lambda _: None), TracerProvider)


def test_other_warnings_pass() -> None:
    """The filter lets every record through that does not tell of a refused provider."""
    record_filter = _RefusedProviders(SharedTracerProvider(_provider()[0], lambda _: None))
    other = logging.LogRecord("opentelemetry.trace", logging.WARNING, __file__, 1, "other", (), None, func="other")
    alike = logging.LogRecord("x", logging.WARNING, __file__, 1, "alike", (), None, func="_set_tracer_provider")
    assert [True, True] == [record_filter.filter(other), record_filter.filter(alike)]
