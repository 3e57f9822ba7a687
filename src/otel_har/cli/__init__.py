"""The command `otel-har`."""

from otel_har.cli.entry_point import main

__all__ = ["main"]
