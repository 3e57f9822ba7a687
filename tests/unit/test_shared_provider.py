"""The global provider that becomes the program's."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer, TracerProvider
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
    record_filter = _RefusedProviders(
        SharedTracerProvider(_provider()[0], lambda _: None), logging.getLogger("tests.refused")
    )
    other = logging.LogRecord("opentelemetry.trace", logging.WARNING, __file__, 1, "other", (), None, func="other")
    alike = logging.LogRecord("x", logging.WARNING, __file__, 1, "alike", (), None, func="_set_tracer_provider")
    assert [True, True] == [record_filter.filter(other), record_filter.filter(alike)]


def test_tracer_has_what_the_sdks_tracer_has() -> None:
    """A tracer that follows is the SDK's to isinstance, and its attributes are those of the provider there is now."""
    own, theirs = _provider()[0], _provider()[0]
    shared = SharedTracerProvider(own, lambda _: None)
    tracer: Any = shared.get_tracer("early")
    assert isinstance(tracer, Tracer)
    assert own.resource is tracer.resource
    shared.adopt(theirs)
    assert theirs.resource is tracer.resource
    assert Tracer is type(shared.get_tracer("late"))


def test_decorator_made_early_follows() -> None:
    """`@tracer.start_as_current_span` at module level makes its spans with the provider of the time of the call."""
    own, (theirs, their_spans) = _provider()[0], _provider()
    shared = SharedTracerProvider(own, lambda _: None)

    @shared.get_tracer("early").start_as_current_span("work")
    def work() -> str:
        return "done"

    shared.adopt(theirs)
    assert ["done", "done"] == [work(), work()]
    assert ["work", "work"] == _names(their_spans)


def test_it_does_not_adopt_itself() -> None:
    """Setting the global provider again as the global provider changes nothing."""
    shared = SharedTracerProvider(_provider()[0], lambda _: None)
    assert not shared.adopt(shared)
    assert shared.adopt(_provider()[0])
