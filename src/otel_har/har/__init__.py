"""The HAR 1.2 format: models, streaming reader, checker. Knows nothing of OpenTelemetry."""
