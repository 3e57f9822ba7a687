"""For tests of programs that record: an exporter that keeps everything in memory."""

from otel_har.export.memory import InMemoryHarExporter

__all__ = ["InMemoryHarExporter"]
