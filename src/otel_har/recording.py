"""The composition root: settings to a processor that records.

The rule: this is the one place that knows which exporter, which processor and which limits belong together.
"""

from __future__ import annotations

from otel_har.budget import ByteBudget
from otel_har.errors import SettingError
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.file import FileHarExporter
from otel_har.limits import CaptureLimits
from otel_har.processor import HarSpanProcessor
from otel_har.settings import HarSettings


def span_processor(
    settings: HarSettings,
    *,
    recording: str | None = None,
    first_process: int | None = None,
    salt: bytes | None = None,
) -> HarSpanProcessor:
    """A span processor that records to the settings' file, through a batch processor.

    Args:
        settings: The settings; `path` must be set.
        recording: A name that processes have in common which write one file together.
        first_process: The number of the first of them, this one by default.
        salt: What they salt the hashes of redacted values with; a random one by default.

    Raises:
        SettingError: When the settings name no file.
        ExportError: When the file cannot be written.
    """
    if settings.path is None:
        raise SettingError("no HAR file is set")
    exporter = FileHarExporter(
        settings.path,
        settings.indent,
        append=settings.append,
        recording=recording,
        first_process=first_process,
        retention=settings.retention,
        rotation=settings.rotation,
    )
    return HarSpanProcessor(
        BatchHarProcessor(exporter, settings.batch, options=settings.options, redaction=settings.redaction(salt)),
        limits=CaptureLimits(
            settings.max_body_bytes,
            ByteBudget(settings.max_queue_bytes),
            max_initiator_frames=settings.initiator_frames,
            audit_events=settings.audit_events,
        ),
        max_pages=settings.max_pages,
    )
