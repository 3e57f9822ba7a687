"""The variables of OpenTelemetry's OTLP exporters: OTEL_EXPORTER_OTLP_* and, before these, OTEL_EXPORTER_OTLP_LOGS_*.

The rule is the specification's, "OpenTelemetry Protocol Exporter": what is set for logs goes before what is set for all
signals, an empty value is an unset one, and the timeout is in milliseconds. (OpenTelemetry's own Python exporters take
it as seconds; a value below one second is warned of.)
"""

from __future__ import annotations

import base64
import logging
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias, cast, get_args
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from opentelemetry.util.re import parse_env_headers

from otel_har.errors import SettingError

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]

_PREFIXES = ("OTEL_EXPORTER_OTLP_LOGS_", "OTEL_EXPORTER_OTLP_")
_DEFAULT_TIMEOUT_MILLIS = 10_000
_USERINFO = re.compile(r"(?:(?<=://)|^(?![^@]*://)).*@", re.DOTALL)
_QUERY = re.compile(r"(?<=\?)[^#]+", re.DOTALL)
_HIDDEN = "***"
# RFC 9110, 5.1 and 5.5: what else stands there no client sends, and one of them says so with the value.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_logger = logging.getLogger("otel_har")


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a receiver.

    Attributes:
        protocol: `http/protobuf` or `grpc`.
        endpoint: A URL without user and password; for gRPC without a path.
        headers: Sent with each request.
        gzip: Whether requests are compressed.
        timeout_s: Of one request, seconds.
        insecure: For gRPC: whether the connection is without TLS.
        certificate: A file with the certificates of the authorities to trust; the system's by default.
        client_certificate: A file with the client's own certificates.
        client_key: A file with the key to these.
    """

    protocol: Protocol
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    gzip: bool = False
    timeout_s: float = _DEFAULT_TIMEOUT_MILLIS / 1000
    insecure: bool = False
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def shown(self) -> str:
        """The endpoint for messages, without the values of its query: some receivers want their key there."""
        return shown_url(self.endpoint)

    def masked(self, said: object) -> str:
        """What an exception or a receiver says, without the same, and without the values of headers."""
        text = str(said)
        credentials = (value.partition(" ")[2] for value in self.headers.values())  # what follows `Bearer`
        for secret in (urlsplit(self.endpoint).query, *self.headers.values(), *credentials):
            for written in (secret, repr(secret)[1:-1]):
                text = text.replace(written, _HIDDEN) if written else text
        return text


def connection_from(
    environ: Mapping[str, str] = os.environ,
    *,
    protocol: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_millis: float | None = None,
) -> Connection:
    """What the variables say, and the arguments instead of some of them.

    Args:
        environ: The variables.
        protocol: Instead of the variable.
        endpoint: The same; for HTTP the whole URL, with its path.
        headers: Sent beside those of the variable, or instead of those of the same names.
        timeout_millis: Instead of the variable, milliseconds.

    Raises:
        SettingError: Something of it cannot be used.
    """
    variables = _Variables(environ)
    named = (protocol or variables.get("PROTOCOL") or "http/protobuf").strip().lower()
    if named not in get_args(Protocol):
        raise SettingError(f"OTLP over {named!r} is not supported; there are {', '.join(get_args(Protocol))}")
    is_grpc = named == "grpc"
    url, userinfo = _divided(endpoint or (_grpc_endpoint(variables) if is_grpc else _http_endpoint(variables)))
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not is_grpc and scheme not in {"http", "https"}:
        raise SettingError(f"the endpoint {shown_url(url)!r} is no URL of HTTP")
    is_insecure = is_grpc and (scheme == "http" or (scheme != "https" and variables.is_true("INSECURE")))
    return Connection(
        cast("Protocol", named),
        url,
        userinfo | _sendable(variables.headers() | {name.lower(): value for name, value in (headers or {}).items()}),
        variables.has_gzip(),
        variables.timeout_s() if timeout_millis is None else timeout_millis / 1000,
        is_insecure,
        *_tls_files(variables, is_grpc=is_grpc, is_used=scheme != "http" and not is_insecure),
    )


class _Variables:
    """The variables, those for logs first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def name(self, name: str) -> str | None:
        """The variable that says it."""
        return next((prefix + name for prefix in _PREFIXES if self._environ.get(prefix + name, "").strip()), None)

    def get(self, name: str) -> str | None:
        variable = self.name(name)
        return None if variable is None else self._environ[variable].strip()

    def is_true(self, name: str) -> bool:
        return (self.get(name) or "").lower() == "true"

    def headers(self) -> dict[str, str]:
        return dict(parse_env_headers(self.get("HEADERS") or "", liberal=True))

    def has_gzip(self) -> bool:
        value = (self.get("COMPRESSION") or "none").lower()
        if value not in {"none", "gzip"}:
            _logger.warning("otel-har: %s=%r is ignored: it may be gzip or none", self.name("COMPRESSION"), value)
        return value == "gzip"

    def timeout_s(self) -> float:
        value = self.get("TIMEOUT")
        try:
            millis = float(value) if value is not None else _DEFAULT_TIMEOUT_MILLIS
        except ValueError:
            millis = -1
        if not 0 < millis < float("inf"):
            _logger.warning("otel-har: %s=%r is ignored: it is no time in milliseconds", self.name("TIMEOUT"), value)
            millis = _DEFAULT_TIMEOUT_MILLIS
        elif millis < 1000:  # noqa: PLR2004 - a second
            _logger.warning("otel-har: %s=%s is taken as milliseconds", self.name("TIMEOUT"), value)
        return millis / 1000

    def file(self, name: str) -> str | None:
        path = self.get(name)
        if path is not None:
            try:
                Path(path).open("rb").close()
            except OSError as fault:
                raise SettingError(f"{self.name(name)}={path!r} cannot be read: {fault.strerror}") from fault
        return path


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SettingError(f"the header {name!r} has characters that no header may have")
    return headers


def _tls_files(variables: _Variables, *, is_grpc: bool, is_used: bool) -> tuple[str | None, str | None, str | None]:
    """The files of the authorities, the client's certificates and its key, seen to be what they should be.

    gRPC aborts the whole process where it has only one of the latter two. For HTTP both may be in one file.
    """
    authorities, certificate, key = (variables.file(name) for name in ("CERTIFICATE", *_PAIR))
    if key is not None and certificate is None:
        raise SettingError(f"{variables.name('CLIENT_KEY')} is set, and {_PREFIXES[1]}CLIENT_CERTIFICATE is not")
    if is_grpc and certificate is not None and key is None:
        raise SettingError(f"{variables.name('CLIENT_CERTIFICATE')} is set, and {_PREFIXES[1]}CLIENT_KEY is not")
    if is_used:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        variable = variables.name("CERTIFICATE")
        try:
            if authorities is not None:
                context.load_verify_locations(authorities)
            variable = variables.name("CLIENT_CERTIFICATE")
            if certificate is not None:
                context.load_cert_chain(certificate, key, _no_password)
        except (OSError, ValueError) as fault:
            raise SettingError(f"{variable} cannot be used: {fault}") from fault
    return authorities, certificate, key


_PAIR = ("CLIENT_CERTIFICATE", "CLIENT_KEY")


def _no_password() -> NoReturn:
    raise ValueError("its key is encrypted")


def _http_endpoint(variables: _Variables) -> str:
    """Specification: the endpoint for a signal is used as it is, the other one is the base of `v1/logs`."""
    name = variables.name("ENDPOINT")
    url = variables.get("ENDPOINT") or "http://localhost:4318"
    if name == _PREFIXES[0] + "ENDPOINT":
        return url
    base, sign, query = url.partition("?")
    return base.rstrip("/") + "/v1/logs" + sign + query


def _grpc_endpoint(variables: _Variables) -> str:
    return variables.get("ENDPOINT") or "http://localhost:4317"


def _divided(url: str) -> tuple[str, dict[str, str]]:
    """A URL without user and password, and the header that says these (RFC 7617)."""
    try:
        parts = urlsplit(url) if "://" in url else SplitResult("", "", url, "", "")
        user, password = (unquote(one or "") for one in (parts.username, parts.password))
        if not user and not password:
            return url, {}
    except ValueError:
        raise SettingError(f"the endpoint {shown_url(url)!r} is no URL") from None
    told = base64.b64encode(f"{user}:{password}".encode()).decode()
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), {"authorization": f"Basic {told}"}


def shown_url(url: str) -> str:
    """A URL for messages: what may be secret in it is hidden.

    Args:
        url: Any text that may be one.
    """
    return _QUERY.sub(_HIDDEN, _USERINFO.sub(f"{_HIDDEN}@", url))
