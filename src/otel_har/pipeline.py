"""The composition root: settings to a processor that records.

The rule: this is the one place that knows which exporter, which processor and which limits belong together.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from otel_har.budget import ByteBudget
from otel_har.errors import SettingError
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.console import ConsoleHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarExporter, HarProcessor
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.export.registry import exporter_named
from otel_har.export.remote import MakeExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.filters import HarFilter
from otel_har.har.attaching import is_named_zip
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.processor import HarSpanProcessor
from otel_har.redaction.policy import RedactionPolicy
from otel_har.settings import HarSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PipelineOptions(TypedDict, total=False):
    """What may be other than in the settings.

    Attributes:
        redaction: What is taken out of the entries.
        filter: Which exchanges become entries, and which bodies are kept.
        limits: How much of each body is kept, and of all of them together.
        mapping: The form of the entries.
        batch: Queue, delay and batch sizes.
        max_pages: The most pages; traces beyond it share the page of the program's run.
        title: Gives the title of that page; the command line by default.
    """

    redaction: RedactionPolicy
    filter: HarFilter
    limits: CaptureLimits
    mapping: MappingOptions
    batch: BatchSettings
    max_pages: int
    title: Callable[[], str]


def span_processor(
    settings: HarSettings,
    exporter: HarExporter | None = None,
    *,
    is_synchronous: bool | None = None,
    **options: Unpack[PipelineOptions],
) -> HarSpanProcessor:
    """A span processor whose entries go to an exporter.

    Args:
        settings: The settings.
        exporter: Where the entries go; where the settings say by default.
        is_synchronous: Export each exchange on the thread that completes it, instead of on a thread of its own; as the
            settings say by default.
        options: What is to be other than in the settings.

    Raises:
        SettingError: When the settings name no exporter that there is, or leave out what it needs.
        ExportError: When its destination cannot be used.
    """
    if exporter is None:
        exporter = exporter_to_all([exporter_of(name, settings) for name in settings.exporters])
    limits = options.get("limits") or CaptureLimits(
        settings.max_body_bytes,
        ByteBudget(settings.max_queue_bytes),
        max_initiator_frames=settings.initiator_frames,
        audit_events=settings.audit_events,
    )
    if is_synchronous is None:
        is_synchronous = settings.is_synchronous
    return HarSpanProcessor(
        _har_processor(settings, exporter, is_synchronous, options),
        limits=limits,
        max_pages=options.get("max_pages", settings.max_pages),
        title=options.get("title"),
    )


class FileOptions(TypedDict, total=False):
    """The arguments that `FileHarExporter` and `ArchiveHarExporter` have in common."""

    indent: int | None
    append: bool
    recording: str | None
    first_process: int | None


def file_maker(
    path: str | os.PathLike[str],
    *,
    retention: Retention | None = None,
    rotation: Rotation | None = None,
    **options: Unpack[FileOptions],
) -> MakeExporter:
    """What makes the exporter to a file, by the ending of its name, in this process or another one.

    Raises:
        SettingError: When the form of the file has no such option.
    """
    if not is_named_zip(os.fspath(path)):
        return partial(FileHarExporter, path, retention=retention, rotation=rotation, **options)
    asked = "retention" if retention else "rotation" if rotation is not None else None
    if asked is not None:
        raise SettingError(f"{os.fspath(path)}: a zip archive has no {asked}, .har and .har.gz have")
    return partial(ArchiveHarExporter, path, **options)


def exporter_of(
    name: str, settings: HarSettings, *, recording: str | None = None, first_process: int | None = None
) -> HarExporter:
    """The exporter of a name.

    Args:
        name: `file`, `otlp`, `console`, `logging`, or that of an entry point of the group `otel_har_exporter`.
        settings: The settings; for `file` its `path` must be set.
        recording: A name that processes have in common which write one file together.
        first_process: The number of the first of them, this one by default.

    Raises:
        SettingError: When there is none of that name, or its settings are missing.
        ExportError: When its destination cannot be used.
    """

    def to_file() -> HarExporter:
        if settings.path is None:
            raise SettingError("no HAR file is set")
        make = file_maker(
            settings.path,
            indent=settings.indent,
            append=settings.append,
            recording=recording or uuid.uuid4().hex,
            first_process=first_process,
            retention=settings.retention,
            rotation=settings.rotation,
        )
        return BackgroundProcessHarExporter(make) if settings.in_background == "process" else make()

    builtins: dict[str, Callable[[], HarExporter]] = {
        "file": to_file,
        "console": ConsoleHarExporter,
        "logging": LoggingHarExporter,
        "otlp": partial(_otlp_exporter, settings, recording),
    }
    return exporter_named(name, builtins)


def _otlp_exporter(settings: HarSettings, recording: str | None) -> HarExporter:
    try:
        from otel_har.export.otlp import OtlpHarExporter  # noqa: PLC0415 - what it needs is an extra
    except ImportError as missing:
        raise SettingError(f"it needs otel-har[otlp]: {missing}") from missing
    return OtlpHarExporter(
        max_request_bytes=settings.otlp_max_request_bytes,
        with_bodies=settings.otlp_bodies,
        redaction=settings.redaction(),
        recording=recording,
        spool=settings.otlp_spool,
        max_spool_bytes=settings.otlp_max_spool_bytes,
    )


def exporter_to_all(exporters: Sequence[HarExporter]) -> HarExporter:
    """One exporter to all of these."""
    return exporters[0] if len(exporters) == 1 else CompositeHarExporter(*exporters)


def _har_processor(
    settings: HarSettings,
    exporter: HarExporter,
    is_synchronous: bool,
    options: PipelineOptions,
) -> HarProcessor:
    mapping = options.get("mapping", settings.options)
    redaction = options.get("redaction") or settings.redaction()
    kept = options.get("filter", settings.filter)
    batch = options.get("batch", settings.batch)
    if is_synchronous:
        return SimpleHarProcessor(
            exporter,
            options=mapping,
            redaction=redaction,
            filter=kept,
            export_timeout_millis=batch.export_timeout_millis,
        )
    return BatchHarProcessor(exporter, batch, options=mapping, redaction=redaction, filter=kept)
