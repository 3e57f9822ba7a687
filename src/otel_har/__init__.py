"""otel-har: a Python program's HTTP traffic, recorded as HAR 1.2 by OpenTelemetry's own means."""

from otel_har.errors import DestinationError, ExportError, HarFormatError, OtelHarError, SettingError
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.console import ConsoleHarExporter
from otel_har.export.executor import ExecutorHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarProcessor, HarStatistics
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.model import to_har_model
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.export.stream import StreamHarExporter
from otel_har.filters import HarFilter
from otel_har.instrumentor import HarInstrumentor
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.processor import HarSpanProcessor
from otel_har.recorder import Recording
from otel_har.recording import FileRecording, ModelRecording, record, record_to_file, record_to_logger, record_to_model
from otel_har.redaction.policy import NO_REDACTION, RedactionPolicy
from otel_har.signals import shut_down_on_signals
from otel_har.version import __version__

__all__ = [
    "NO_REDACTION",
    "ArchiveHarExporter",
    "BackgroundProcessHarExporter",
    "BatchHarProcessor",
    "BatchSettings",
    "CaptureLimits",
    "CompositeHarExporter",
    "ConsoleHarExporter",
    "DestinationError",
    "ExecutorHarExporter",
    "ExportError",
    "FileHarExporter",
    "FileRecording",
    "HarBatch",
    "HarExportResult",
    "HarExporter",
    "HarFilter",
    "HarFormatError",
    "HarInstrumentor",
    "HarProcessor",
    "HarSpanProcessor",
    "HarStatistics",
    "InMemoryHarExporter",
    "LoggingHarExporter",
    "MappingOptions",
    "ModelRecording",
    "OtelHarError",
    "Recording",
    "RedactionPolicy",
    "Retention",
    "Rotation",
    "SettingError",
    "SimpleHarProcessor",
    "StreamHarExporter",
    "__version__",
    "record",
    "record_to_file",
    "record_to_logger",
    "record_to_model",
    "shut_down_on_signals",
    "to_har_model",
]
