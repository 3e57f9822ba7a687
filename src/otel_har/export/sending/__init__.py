"""What sends OTLP: requests of bounded size, over HTTP or gRPC, and a spool for what is not taken."""
