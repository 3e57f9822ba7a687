"""The sizes of OTLP's requests that a setting may choose, for those who do not load what sends them."""

# gRPC receivers take 4 MiB unless told otherwise (grpc's own default, and the collector's). The margin is for what a
# collector on the way adds to a request: attributes of the resource, records' own.
DEFAULT_MAX_REQUEST_BYTES = 4 * 1024 * 1024 - 64 * 1024
MIN_REQUEST_BYTES = 16 * 1024

DEFAULT_MAX_SPOOL_BYTES = 256 * 1024 * 1024
