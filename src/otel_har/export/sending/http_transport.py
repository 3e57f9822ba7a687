"""OTLP over HTTP: one POST for each request, with `requests`, as the official exporter has it."""

from __future__ import annotations

import gzip
import itertools
import math
import time
from email.utils import parsedate_to_datetime

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otel_har.errors import SettingError
from otel_har.export.sending.answers import Answer, Later, Refused, Taken, TooLarge, taken, without_secrets
from otel_har.export.sending.http_deadline import DeadlineAdapter, ending_at
from otel_har.export.sending.settings import Connection
from otel_har.version import __version__

_PIECE_BYTES, _MAX_PIECES = 1 << 12, 16  # of an answer: more than that is none of OTLP's
_TOO_LARGE = 413
# OTLP specification, "Retryable Response Codes"; it has every other status for one that is not.
_LATER = frozenset({429, 502, 503, 504})
_OK = range(200, 300)
_COMPRESS_LEVEL = 6


class HttpTransport:
    """Sends to one URL.

    Args:
        connection: Where, and how.

    Raises:
        SettingError: A header cannot be sent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._headers = {
            "content-type": "application/x-protobuf",
            "user-agent": f"otel-har/{__version__}",
            **connection.headers,
        }
        if connection.gzip:
            self._headers["content-encoding"] = "gzip"
        try:
            requests.Request("POST", connection.endpoint, headers=self._headers).prepare()
        except (requests.RequestException, ValueError) as fault:
            raise SettingError(f"nothing can be sent to {connection.shown!r}: {connection.masked(fault)}") from None
        self._session: requests.Session | None = None

    def send(self, data: bytes, timeout_s: float) -> Answer:
        """See `Transport`."""
        end = time.monotonic() + timeout_s
        if self._connection.gzip:
            data = gzip.compress(data, _COMPRESS_LEVEL)
        try:
            with ending_at(end):
                return self._exchanged(data, timeout_s)
        except (requests.RequestException, OSError) as fault:
            _let_go(fault)
            return Later(f"no answer from {self._connection.shown}: {self._connection.masked(fault)}")

    def close(self) -> None:
        """See `Transport`."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def forget(self) -> None:
        """See `Transport`. A descriptor that a child closes stays the parent's."""
        self.close()

    def _exchanged(self, data: bytes, timeout_s: float) -> Answer:
        with self._opened().post(
            self._connection.endpoint,
            data=data,
            headers=self._headers,
            timeout=timeout_s,
            verify=self._connection.certificate,  # of a session's REQUESTS_CA_BUNDLE would take the place
            allow_redirects=False,
            stream=True,
        ) as response:
            body = b"".join(itertools.islice(response.iter_content(_PIECE_BYTES), _MAX_PIECES))
            return without_secrets(_answer(response, body), self._connection.masked)

    def _opened(self) -> requests.Session:
        if self._session is None:
            session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, DeadlineAdapter())
            session.auth = _as_it_is
            connection = self._connection
            if connection.client_certificate:
                certificate, key = connection.client_certificate, connection.client_key
                session.cert = (certificate, key) if key else certificate
            self._session = session
        return self._session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Who sends is said by the settings alone: without it requests puts what ~/.netrc has for the host in their place.

    What else a session takes from the environment, above all the proxies, counts.
    """
    return request


def _let_go(fault: BaseException) -> None:
    """Of the request that failed: urllib3's frames refer to what they raised, and it to them.

    Without this each request that found nobody would be held until Python's collector looks for cycles, which it does
    by the number of objects, not by their size.
    """
    found: BaseException | None = fault
    while found is not None:
        found.__traceback__ = None
        found = found.__context__


def _answer(response: requests.Response, body: bytes) -> Answer:
    status = response.status_code
    if status in _OK:
        return _taken(body)
    said = f"HTTP {status} {response.reason or ''}".rstrip() + _message(body)
    if status == _TOO_LARGE:
        return TooLarge(said)
    if status in _LATER:
        return Later(said, _retry_after_s(response.headers.get("retry-after")))
    return Refused(said)


def _taken(body: bytes) -> Taken:
    """An answer that is none of OTLP's, as of a proxy, says nothing of records."""
    try:
        return taken(ExportLogsServiceResponse.FromString(body))
    except DecodeError:
        return Taken()


def _message(body: bytes) -> str:
    """OTLP specification: "The response body for all HTTP 4xx and HTTP 5xx responses MUST be a ... Status message"."""
    try:
        message = Status.FromString(body).message
    except DecodeError:
        return ""
    return f": {message}" if message else ""


def _retry_after_s(value: str | None) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
