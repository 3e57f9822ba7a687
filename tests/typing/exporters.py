"""Exporters and pipelines as users write them: what mypy makes of them. It is read, and not run."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import TracerProvider
from typing_extensions import assert_type

from otel_har import (
    BatchHarProcessor,
    BatchSettings,
    ExportError,
    FileHarExporter,
    HarBatch,
    HarExporter,
    HarExportResult,
    HarInstrumentor,
    HarSpanProcessor,
    MappingOptions,
    SettingError,
    SimpleHarProcessor,
    record,
    shut_down_on_signals,
)
from otel_har.har.models import Entry, Page


class Urls(HarExporter):
    """Keeps what was asked for."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def export(self, batch: HarBatch) -> HarExportResult:
        assert_type(batch.entries, Sequence[Entry])
        assert_type(batch.pages, Sequence[Page])
        self.urls += [entry.request.url for entry in batch.entries]
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = 1_000) -> None:
        self.urls.clear()


class Wrong(HarExporter):
    """Gives no result."""

    def export(self, batch: HarBatch) -> None:  # type: ignore[override]
        """Forget it."""

    def shutdown(self, timeout_millis: int = 1_000) -> None:
        """Nothing to do."""


def pipelines() -> None:
    exporter = Urls()
    processor = BatchHarProcessor(exporter, BatchSettings(max_queue_size=10), options=MappingOptions(params="never"))
    spans = HarSpanProcessor(processor)
    provider = TracerProvider()
    provider.add_span_processor(spans)
    HarInstrumentor().instrument(tracer_provider=provider)
    for number in shut_down_on_signals(spans):
        assert_type(number.name, str)
    HarSpanProcessor(SimpleHarProcessor(FileHarExporter("out.har", indent=2)))


def recorded() -> None:
    with record(Urls, Urls()):
        pass
    record(Urls, lambda: FileHarExporter("out.har"))


def errors() -> None:
    try:
        FileHarExporter("out.har")
    except SettingError as fault:
        assert_type(fault, SettingError)
        wrong: ValueError = fault
        raise wrong from None
    except ExportError as fault:
        assert_type(fault.errno, int | None)


def mistakes() -> None:
    """Each is an error of mypy's."""
    MappingOptions(params="sometimes")  # type: ignore[arg-type]
    HarExporter()  # type: ignore[abstract]
    record(Wrong, len)  # type: ignore[arg-type]
    BatchHarProcessor("out.har")  # type: ignore[arg-type]
