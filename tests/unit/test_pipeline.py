"""What the settings make of a pipeline."""

from __future__ import annotations

import threading
import time

import pytest

from otel_har.dispatch import SpanDispatcher
from otel_har.errors import DestinationError
from otel_har.exchange import Exchange
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.limits import CaptureLimits
from otel_har.pipeline import span_processor
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.settings import HarSettings


class _Refusing(HarExporter):
    """Takes nothing for now, for ever."""

    def __init__(self) -> None:
        self.attempts = 0

    def export(self, batch: HarBatch) -> HarExportResult:
        """Refuse it."""
        assert batch.entries
        self.attempts += 1
        raise DestinationError(28, "No space left on device")

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Hold nothing."""


def _record() -> HarRecord:
    exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())
    return HarRecord(
        exchange, SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None), PageFacts("", "", 1)
    )


@pytest.mark.parametrize("live", [True, False])
def test_the_end_takes_no_longer_than_the_settings_say(*, live: bool) -> None:
    """`OTEL_PYTHON_HAR_BSP_EXPORT_TIMEOUT` bounds how long a destination is tried, whoever writes."""
    exporter = _Refusing()
    processor = span_processor(HarSettings(live=live, export_timeout_millis=500), exporter)
    processor._processor.on_record(_record())
    assert 500 == processor.export_timeout_millis
    began = time.monotonic()
    processor.shutdown()
    assert 1 < exporter.attempts
    assert 1.0 > time.monotonic() - began


def test_a_providers_end_takes_no_longer_than_the_settings_say() -> None:
    """A provider that the program shuts down waits so long for a destination that hangs, and not 30 seconds."""
    gate = threading.Event()

    class Hanging(_Refusing):
        def export(self, batch: HarBatch) -> HarExportResult:
            assert batch.entries
            gate.wait(20)
            return HarExportResult.SUCCESS

    processor = span_processor(HarSettings(export_timeout_millis=300), Hanging())
    dispatcher = SpanDispatcher()
    dispatcher.add(processor)
    processor._processor.on_record(_record())
    began = time.monotonic()
    dispatcher.shutdown()
    assert 5.0 > time.monotonic() - began
    gate.set()
    processor.shutdown()
