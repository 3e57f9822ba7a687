"""Where events go that are made by a conversion: a file, or a collector."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from typing import BinaryIO, Protocol

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk.resources import Resource

from otel_har.errors import ExportError
from otel_har.export.sending.limits import DEFAULT_MAX_REQUEST_BYTES
from otel_har.export.sending.sender import Records, Sender
from otel_har.export.sending.settings import connection_from
from otel_har.export.sending.transport import transport_of
from otel_har.otlp.event import Event
from otel_har.otlp.json_form import json_from_request
from otel_har.otlp.logs import Origin, log_record, record_bytes, request_of
from otel_har.version import __version__

_LINE_BYTES = 4 * 1024 * 1024
_PATIENCE_S = 60.0
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 2.0


class EventTarget(Protocol):
    """Where events go."""

    @property
    def lost_entries(self) -> int:
        """How many entries it will never have."""

    @property
    def fault(self) -> str:
        """Why."""

    def write(self, events: Iterable[Event]) -> None:
        """Take events.

        Raises:
            ExportError, OSError: It takes no more.
        """

    def close(self) -> None:
        """Close what was opened."""


class Lines:
    """Lines of OTLP's JSON, as the collector's `file` exporter writes them.

    Each is a request, of at most 4 MiB where it has more than one event.

    Args:
        target: Where they go; it stays open.
        resource: Where the entries are from.
    """

    lost_entries = 0
    fault = ""

    def __init__(self, target: BinaryIO, resource: Mapping[str, str]) -> None:
        self._target = target
        self._origin = Origin(resource, scope_version=__version__)

    def write(self, events: Iterable[Event]) -> None:
        """Write events."""
        waiting: list[LogRecord] = []
        size_bytes = 0
        for record in map(log_record, events):
            size = record_bytes(record)
            if waiting and size_bytes + size > _LINE_BYTES:
                self._write(waiting)
                waiting, size_bytes = [], 0
            waiting.append(record)
            size_bytes += size
        if waiting:
            self._write(waiting)

    def close(self) -> None:
        """Nothing was opened."""

    def _write(self, records: Iterable[LogRecord]) -> None:
        self._target.write(json_from_request(request_of(records, self._origin)) + b"\n")


class Collector:
    """A receiver of OTLP, which is waited for as long as it takes nothing, up to a minute.

    Args:
        protocol: `http/protobuf` or `grpc`.
        endpoint: Its URL.
        resource: Where the entries are from; by default what the variables say.

    Raises:
        SettingError: It cannot be one.
    """

    def __init__(self, protocol: str, endpoint: str, resource: Mapping[str, str]) -> None:
        self._connection = connection_from(protocol=protocol, endpoint=endpoint)
        self._transport = transport_of(self._connection)
        self._sender = Sender(self._transport, DEFAULT_MAX_REQUEST_BYTES, self._connection.timeout_s)
        told = Resource(resource) if resource else Resource.create()
        self._origin = Origin(
            dict(told.attributes), told.schema_url, scope_version=__version__, recording=uuid.uuid4().hex
        )

    @property
    def lost_entries(self) -> int:
        """How many entries it refused for good."""
        return self._sender.lost_entries

    @property
    def fault(self) -> str:
        """What it said last of those."""
        return self._sender.fault

    def write(self, events: Iterable[Event]) -> None:
        """Send events.

        Raises:
            ExportError: It takes nothing.
        """
        now = time.time_ns()
        records: Records = deque(log_record(event, now) for event in events)
        end = time.monotonic() + _PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        left = len(records)
        while (later := self._sender.send(records, self._origin, end)) is not None:
            if len(records) < left:
                left, end, pause_s = len(records), time.monotonic() + _PATIENCE_S, _FIRST_PAUSE_S
            asked_s = max(pause_s, self._sender.not_before - time.monotonic())
            if time.monotonic() + asked_s > end:
                raise ExportError(f"{self._connection.shown} takes nothing: {later.message}")
            threading.Event().wait(asked_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
