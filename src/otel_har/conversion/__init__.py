"""HAR to OTLP, OTLP to HAR: files, and a collector."""
