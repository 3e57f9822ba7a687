"""The metrics: named after OpenTelemetry's own, read from the counts when somebody asks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from otel_har.budget import ByteBudget
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult
from otel_har.export.simple import SimpleHarProcessor
from otel_har.limits import CaptureLimits
from otel_har.testing import InMemoryHarExporter
from records import record_of

PATIENCE_S = 20.0
PATIENCE_MS = 20_000
BATCH = "batch_har_processor"


class _Meters:
    """A provider of the program's, and what its reader reads."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def read(self) -> dict[tuple[str, str, str], float]:
        """Each value by its name, its component without the number, and its `error.type`."""
        data = self._reader.get_metrics_data()
        values: dict[tuple[str, str, str], float] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ():
            for point in metric.data.data_points:
                assert isinstance(point, NumberDataPoint)
                attributes: dict[str, Any] = dict(point.attributes or {})
                component = attributes["otel.component.name"].partition("/")[0]
                assert component == attributes["otel.component.type"]
                key = (metric.name.removeprefix("otel_har."), component, attributes.get("error.type", ""))
                values[key] = values.get(key, 0) + point.value
        return values


class _Held(InMemoryHarExporter):
    """Waits at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Wait, then keep the batch."""
        self.entered.release()
        self.gate.wait(PATIENCE_S)
        return super().export(batch)


def test_queue_and_counts() -> None:
    """The queue's state while an export is under way, and what became of everything after it."""
    meters, exporter = _Meters(), _Held()
    settings = BatchSettings(schedule_delay_millis=3_600_000, max_queue_size=3, max_export_batch_size=2)
    processor = BatchHarProcessor(exporter, settings, meter_provider=meters.provider)
    full = CaptureLimits(budget=ByteBudget(1))
    for _ in range(2):
        processor.on_record(record_of(limits=full, body=b"xyz"))
    assert exporter.entered.acquire(timeout=PATIENCE_S)
    for _ in range(3):
        processor.on_record(record_of())
    seen = meters.read()
    assert (1, 3, 2) == (
        seen["processor.entry.queue.size", BATCH, ""],
        seen["processor.entry.queue.capacity", BATCH, ""],
        seen["exporter.entry.inflight", BATCH, ""],
    )
    exporter.gate.set()
    processor.shutdown()
    assert {
        ("processor.entry.queue.size", BATCH, ""): 0,
        ("processor.entry.queue.capacity", BATCH, ""): 3,
        ("exporter.entry.inflight", BATCH, ""): 0,
        ("processor.entry.processed", BATCH, ""): 3,
        ("processor.entry.processed", BATCH, "queue_full"): 2,
        ("processor.entry.processed", BATCH, "build_failed"): 0,
        ("processor.entry.filtered", BATCH, ""): 0,
        ("processor.body.dropped", BATCH, "queue_full"): 2,
        ("exporter.entry.exported", BATCH, ""): 3,
        ("exporter.export.failed", BATCH, ""): 0,
    } == meters.read()


class _Failing(HarExporter):
    """Refuses everything."""

    def export(self, batch: HarBatch) -> HarExportResult:
        """Refuse."""
        del batch
        return HarExportResult.FAILURE

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Hold nothing."""


def test_failed_entries() -> None:
    """What the exporter refused is processed, and exported with an `error.type`."""
    meters = _Meters()
    processor = SimpleHarProcessor(_Failing(), meter_provider=meters.provider)
    processor.on_record(record_of())
    seen = meters.read()
    assert (1, 0, 1, 1) == (
        seen["processor.entry.processed", "simple_har_processor", ""],
        seen["exporter.entry.exported", "simple_har_processor", ""],
        seen["exporter.entry.exported", "simple_har_processor", "_OTHER"],
        seen["exporter.export.failed", "simple_har_processor", ""],
    )
    assert ("processor.entry.queue.size", "simple_har_processor", "") not in seen
    processor.shutdown()


def test_several_processors_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """Each processor has its own series; the instruments exist once, and nobody is warned of another's."""
    meters = _Meters()
    processors = [SimpleHarProcessor(InMemoryHarExporter(), meter_provider=meters.provider) for _ in range(3)]
    processors[0].on_record(record_of())
    assert 1 == meters.read()["exporter.entry.exported", "simple_har_processor", ""]
    data = meters._reader.get_metrics_data()
    assert data is not None
    names = {
        (point.attributes or {})["otel.component.name"]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    assert 3 == len(names)
    assert [] == caplog.records


def test_processor_that_is_gone_is_not_told() -> None:
    """Metrics keep no processor alive."""
    meters = _Meters()
    processor = SimpleHarProcessor(InMemoryHarExporter(), meter_provider=meters.provider)
    assert {} != meters.read()
    processor.shutdown()
    del processor
    gc.collect()
    assert {} == meters.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_global_provider_that_is_set_later() -> None:
    """A program's own provider has the metrics, though it is set after the first processor; a child has its own."""
    source = """
        import os
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from otel_har import SimpleHarProcessor
        from otel_har.testing import InMemoryHarExporter
        from otel_har.exchange import Exchange
        from otel_har.limits import CaptureLimits
        from otel_har.record import HarRecord, PageFacts, SpanFacts

        span = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)

        def record(processor):
            exchange = Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits())
            processor.on_record(HarRecord(exchange, span, PageFacts("run", "run", 1)))

        first = SimpleHarProcessor(InMemoryHarExporter())
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        second = SimpleHarProcessor(InMemoryHarExporter())

        def exported():
            [scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics
            [metric] = [one for one in scope.metrics if one.name == "otel_har.exporter.entry.exported"]
            return [point.value for point in metric.data.data_points]

        for processor in (first, second, second):
            record(processor)
        print(sorted(exported()), flush=True)
        pid = os.fork()
        if pid == 0:
            record(first)
            print(sorted(exported()), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(source)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "", "[1, 2]\n[0, 1]\n") == (done.returncode, done.stderr, done.stdout)
