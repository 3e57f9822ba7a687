"""Facts to HAR: pure functions, no clock, no I/O, nothing of OpenTelemetry or of a client library."""
