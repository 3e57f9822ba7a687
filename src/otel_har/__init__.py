"""otel-har: a Python program's HTTP traffic, recorded as HAR 1.2 by OpenTelemetry's own means."""

from otel_har.errors import ExportError, HarFormatError, OtelHarError, SettingError
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarProcessor
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.simple import SimpleHarProcessor
from otel_har.instrumentor import HarInstrumentor
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.processor import HarSpanProcessor
from otel_har.redaction.policy import NO_REDACTION, RedactionPolicy
from otel_har.signals import shut_down_on_signals
from otel_har.version import __version__

__all__ = [
    "NO_REDACTION",
    "BatchHarProcessor",
    "BatchSettings",
    "CaptureLimits",
    "ExportError",
    "FileHarExporter",
    "HarBatch",
    "HarExportResult",
    "HarExporter",
    "HarFormatError",
    "HarInstrumentor",
    "HarProcessor",
    "HarSpanProcessor",
    "MappingOptions",
    "OtelHarError",
    "RedactionPolicy",
    "Retention",
    "Rotation",
    "SettingError",
    "SimpleHarProcessor",
    "__version__",
    "shut_down_on_signals",
]
