"""What carries requests of OTLP, by the protocol. Only that one's library is loaded."""

from __future__ import annotations

from otel_har.errors import SettingError
from otel_har.export.sending.answers import Transport
from otel_har.export.sending.settings import Connection


def transport_of(connection: Connection) -> Transport:
    """What carries the requests of a connection.

    Raises:
        SettingError: The connection cannot be, or its library is missing.
    """
    try:
        if connection.protocol == "grpc":
            from otel_har.export.sending import grpc_transport  # noqa: PLC0415 - see above

            return grpc_transport.GrpcTransport(connection)
        from otel_har.export.sending import http_transport  # noqa: PLC0415 - see above

        return http_transport.HttpTransport(connection)
    except ImportError as missing:
        raise SettingError(f"OTLP over {connection.protocol} needs otel-har[otlp]: {missing}") from missing
