"""OTLP over gRPC: one unary call for each request, with the official stub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otel_har.errors import SettingError
from otel_har.export.sending.answers import Answer, Later, Refused, TooLarge, taken, without_secrets
from otel_har.export.sending.settings import Connection
from otel_har.version import __version__

_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_OPTIONS = (
    ("grpc.primary_user_agent", f"otel-har/{__version__}"),
    # A receiver that is back is found again soon: the default waits for up to two minutes, and all channels of the
    # process that have the same server wait together.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)
_CODE = grpc.StatusCode
# OTLP specification, "Failures": the codes that a client may try again.
_LATER = frozenset(
    {
        _CODE.CANCELLED,
        _CODE.DEADLINE_EXCEEDED,
        _CODE.ABORTED,
        _CODE.OUT_OF_RANGE,
        _CODE.UNAVAILABLE,
        _CODE.DATA_LOSS,
    }
)
# What servers say of a message over their limit: grpc's C core and Go with RESOURCE_EXHAUSTED, Rust's tonic with
# OUT_OF_RANGE, grpc-java with either.
_SIZE = re.compile(r"larger than max|too large|exceeds maximum|size limit|message length", re.IGNORECASE)
# gRPC over HTTP/2, "Custom-Metadata"; what is not so every call would refuse.
_NAME, _VALUE = re.compile(r"[0-9a-z_.-]+"), re.compile(r"[ -~]*")
_MIN_TOO_LARGE_BYTES = 1 << 16  # a smaller request that exhausts a resource does not do so by its size


class GrpcTransport:
    """Sends to one server.

    Args:
        connection: Where, and how.

    Raises:
        SettingError: A header cannot be sent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._target = _target(connection.endpoint)
        self._metadata = tuple((name.lower(), value) for name, value in connection.headers.items())
        for name, value in self._metadata:
            if not _NAME.fullmatch(name) or name.endswith("-bin") or not _VALUE.fullmatch(value):
                raise SettingError(
                    f"the header {name!r} cannot be sent over gRPC: see the characters of name and value"
                )
        self._credentials = None if connection.insecure else _credentials(connection)
        self._channel: grpc.Channel | None = None

    def send(self, data: bytes, timeout_s: float) -> Answer:
        """See `Transport`."""
        try:
            return without_secrets(taken(self._export(data, timeout_s)), self._connection.masked)
        except grpc.RpcError as fault:
            call: Any = fault  # what unary calls raise is a `grpc.Call`, too, which its type does not say
            if call.code() is _CODE.UNAVAILABLE:
                self.close()  # a channel that lost its server does not look for it again before its pause is over
            fault.__traceback__ = None  # this frame and it refer to each other: the request would stay in memory
            return without_secrets(_answer(call, len(data)), self._connection.masked)
        except DecodeError as fault:
            return Later(f"no whole answer: {fault}")

    def close(self) -> None:
        """See `Transport`."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def forget(self) -> None:
        """See `Transport`."""
        self._channel = None

    def _export(self, data: bytes, timeout_s: float) -> ExportLogsServiceResponse:
        if self._channel is None:
            compression = grpc.Compression.Gzip if self._connection.gzip else grpc.Compression.NoCompression
            self._channel = (
                grpc.insecure_channel(self._target, _OPTIONS, compression)
                if self._credentials is None
                else grpc.secure_channel(self._target, self._credentials, _OPTIONS, compression)
            )
        # As the generated stub does, but for the serializer: it is serialized already.
        export: Any = self._channel.unary_unary(_METHOD, None, ExportLogsServiceResponse.FromString)
        response: ExportLogsServiceResponse = export(data, timeout=timeout_s, metadata=self._metadata)
        return response


def _answer(fault: grpc.Call, size_bytes: int) -> Answer:
    code, details = fault.code(), fault.details() or ""
    said = f"gRPC {code.name}: {details}"
    if code in {_CODE.RESOURCE_EXHAUSTED, _CODE.OUT_OF_RANGE} and _SIZE.search(details):
        return TooLarge(said)
    delay_s = _retry_delay_s(fault)
    if code is _CODE.RESOURCE_EXHAUSTED:
        # OTLP specification: to be tried again only "if the server signals that the recovery is possible".
        return TooLarge(said) if delay_s is None and size_bytes > _MIN_TOO_LARGE_BYTES else Later(said, delay_s)
    return Later(said, delay_s) if code in _LATER else Refused(said)


def _retry_delay_s(fault: grpc.Call) -> float | None:
    """OTLP specification, "OTLP/gRPC Throttling": RetryInfo in the status's details."""
    for name, value in fault.trailing_metadata() or ():
        if name != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        try:
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
        except DecodeError:
            return None
    return None


def _target(endpoint: str) -> str:
    """What gRPC connects to; its own notations, as `unix:`, are left as they are."""
    return urlsplit(endpoint).netloc if endpoint.lower().startswith(("http://", "https://")) else endpoint


def _credentials(connection: Connection) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        _read(connection.certificate), _read(connection.client_key), _read(connection.client_certificate)
    )


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
