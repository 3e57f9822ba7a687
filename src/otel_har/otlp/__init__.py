"""Entries as OpenTelemetry events and back: pure, no input or output."""
