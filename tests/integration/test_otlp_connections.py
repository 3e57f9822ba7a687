"""How the OTLP exporter connects: certificates, time, and who it says that it is."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.export.otlp import OtlpHarExporter
from otel_har.export.sending.settings import connection_from
from otel_har.har.models import Entry, Request
from servers.otlp import PROTOCOLS, Receiver
from servers.server import unused_port

_BATCH = HarBatch((), (Entry(started_date_time="2030-01-01T00:00:00Z", request=Request(url="http://h.test/")),))
_SECRET = "hunter2"  # noqa: S105 - it is looked for
_PIECES = 200


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """One for all tests here."""
    made = Receiver()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a client's certificate, its key, another key, and something that is neither."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    client, other = (authority.issue_cert(f"{name}@example.org") for name in ("client", "other"))
    (directory / "client.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    (directory / "client.key").write_bytes(client.private_key_pem.bytes())
    (directory / "other.key").write_bytes(other.private_key_pem.bytes())
    (directory / "both.pem").write_bytes(client.private_key_and_cert_chain_pem.bytes())
    (directory / "text").write_text("no certificate\n")
    return directory


@pytest.mark.parametrize(
    ("protocol", "pair", "told"),
    [
        ("grpc", ("client.pem", None), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set"),
        ("grpc", ("both.pem", None), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set"),
        ("grpc", (None, "client.key"), "OTEL_EXPORTER_OTLP_CLIENT_KEY is set"),
        ("http/protobuf", (None, "client.key"), "OTEL_EXPORTER_OTLP_CLIENT_KEY is set"),
        ("http/protobuf", ("client.pem", None), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE cannot be used"),
        *[
            (protocol, pair, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE cannot be used")
            for protocol in PROTOCOLS
            for pair in (("client.pem", "other.key"), ("text", "client.key"), ("client.pem", "text"))
        ],
    ],
)
def test_unusable_certificates(
    files: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, pair: tuple[str | None, str | None], told: str
) -> None:
    """Half of a pair, or files that do not fit, are refused with the variable's name: gRPC would abort the process."""
    for name, file in zip(("CLIENT_CERTIFICATE", "CLIENT_KEY"), pair, strict=True):
        if file is not None:
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(files / file))
    with pytest.raises(SettingError, match=told):
        OtlpHarExporter(protocol=protocol, endpoint="https://localhost:1")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unusable_authorities(files: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """A file of authorities that has none is refused at once; where there is no TLS nobody reads it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(files / "text"))
    with pytest.raises(SettingError, match="OTEL_EXPORTER_OTLP_CERTIFICATE cannot be used"):
        OtlpHarExporter(protocol=protocol, endpoint="https://localhost:1")
    OtlpHarExporter(protocol=protocol, endpoint="http://localhost:1").shutdown()


def test_certificate_and_key_in_one_file(files: Path) -> None:
    """Over HTTP a certificate may have its key beside it."""
    environ = {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(files / "both.pem")}
    connection = connection_from(environ, endpoint="https://localhost:1")
    assert (str(files / "both.pem"), None) == (connection.client_certificate, connection.client_key)


class _Dripping:
    """A server that begins an answer and goes on with it byte by byte, until nobody listens."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.pieces = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        connected, _ = self._server.accept()
        waiting = threading.Event()
        with self._server, connected:
            try:
                connected.recv(1 << 16)
                connected.sendall(self._start)
                while self.pieces < _PIECES:
                    connected.sendall(b"x")
                    self.pieces += 1
                    waiting.wait(0.05)
            except OSError:
                return


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_answer_that_drips(start: bytes) -> None:
    """The time of a request is that of the whole answer, also where each of its bytes comes in time."""
    server = _Dripping(start)
    exporter = OtlpHarExporter(endpoint=f"http://127.0.0.1:{server.port}/v1/logs", timeout_millis=300)
    with pytest.raises(DestinationError, match="no answer"):
        exporter.export(_BATCH)
    exporter.shutdown()
    server.thread.join(20)
    assert server.pieces < _PIECES


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_that_hangs(protocol: str, scheme: str, tmp_path: Path) -> None:
    """A server that accepts and says nothing costs a request its time, and a flush and a shutdown theirs."""
    port = unused_port()
    options: dict[str, Any] = {"protocol": protocol, "endpoint": f"{scheme}://127.0.0.1:{port}"}
    patient = OtlpHarExporter(**options, timeout_millis=60_000, spool=tmp_path)
    assert HarExportResult.SUCCESS is patient.export(_BATCH)
    with socket.create_server(("127.0.0.1", port)):
        impatient = OtlpHarExporter(**options, timeout_millis=200)
        started = time.monotonic()
        with pytest.raises(DestinationError):
            impatient.export(_BATCH)
        impatient.shutdown()
        assert patient.force_flush(200) is False
        patient.shutdown(200)
        assert time.monotonic() - started < 10


def test_netrc(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ~/.netrc has for the host takes the place of nothing, and adds nothing."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login user password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    sender = receiver.sender()
    for headers in ({"Authorization": "Bearer mine"}, {}):
        exporter = OtlpHarExporter(**{**sender.options, "headers": {**sender.options["headers"], **headers}})
        assert HarExportResult.SUCCESS is exporter.export(_BATCH)
        exporter.shutdown()
    assert ["Bearer mine", None] == [headers.get("authorization") for headers in sender.headers]


def test_proxy_of_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is used."""
    sender = receiver.sender()
    monkeypatch.setenv("HTTP_PROXY", receiver.http)
    monkeypatch.setenv("http_proxy", receiver.http)
    exporter = OtlpHarExporter(**{**sender.options, "endpoint": "http://collector.invalid/v1/logs"})
    assert HarExportResult.SUCCESS is exporter.export(_BATCH)
    exporter.shutdown()
    assert ["http://collector.invalid/v1/logs"] == [headers[":path"] for headers in sender.headers]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_user_and_password(receiver: Receiver, protocol: str) -> None:
    """User and password of the endpoint are a header; one that is given goes before."""
    sender = receiver.sender(protocol)
    endpoint = sender.options["endpoint"].replace("://", f"://us%40er:{_SECRET}@")
    for headers in ({}, {"authorization": "Bearer mine"}):
        options = {**sender.options, "endpoint": endpoint, "headers": {**sender.options["headers"], **headers}}
        exporter = OtlpHarExporter(**options)
        assert HarExportResult.SUCCESS is exporter.export(_BATCH)
        exporter.shutdown()
    basic = "Basic " + base64.b64encode(f"us@er:{_SECRET}".encode()).decode()
    assert [basic, "Bearer mine"] == [headers["authorization"] for headers in sender.headers]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("query", ["", f"?api_key={_SECRET}"])
def test_secrets_in_messages(protocol: str, query: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is said of an endpoint has neither its password nor its query."""
    endpoint = f"http://user:{_SECRET}@127.0.0.1:{unused_port()}/v1/logs{query if protocol != 'grpc' else ''}"
    exporter = OtlpHarExporter(protocol=protocol, endpoint=endpoint, timeout_millis=1000, max_request_bytes=1 << 14)
    with pytest.raises(DestinationError) as raised:
        exporter.export(_BATCH)
    exporter._held.extend(exporter._records(_BATCH, {})[0])  # as when some requests were taken
    with pytest.raises(ExportError) as ended:
        exporter.shutdown(100)
    assert [] == [text for text in (str(raised.value), str(ended.value), *caplog.messages) if _SECRET in text]
    for wrong in (f"ftp://u:{_SECRET}@h", f"u:{_SECRET}@h", f"http://u:{_SECRET}@[h", f"http://u:{_SECRET}@h:x"):
        with pytest.raises(SettingError) as refused:
            OtlpHarExporter(endpoint=wrong)
        assert _SECRET not in str(refused.value)


def test_secrets_in_answers() -> None:
    """What a receiver says may repeat the token that it refuses; what is told of it does not."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reason = f"HTTP/1.1 401 no such token: {_SECRET}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        def answer() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(1 << 16)
                connected.sendall(reason.encode())

        answering = threading.Thread(target=answer)
        answering.start()
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/logs"
        exporter = OtlpHarExporter(endpoint=endpoint, headers={"authorization": f"Bearer {_SECRET}"})
        with pytest.raises(ExportError, match=re.escape("no such token: ***")):
            exporter.export(_BATCH)
        answering.join()
    exporter.shutdown()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("name", "value"), [("a b", _SECRET), ("x-token", f"{_SECRET}\n"), ("x-token", f"{_SECRET}\u20ac")]
)
def test_headers_that_cannot_be_sent(protocol: str, name: str, value: str) -> None:
    """A header that no request can have is refused at once, and its value is in no message."""
    with pytest.raises(SettingError) as refused:
        OtlpHarExporter(protocol=protocol, endpoint="http://127.0.0.1:1", headers={name: value})
    assert _SECRET not in str(refused.value)


def test_endpoint_with_a_query() -> None:
    """The path of the signal goes before the query of the endpoint for all signals."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h.test:4318/base/?x=1"}
    connection = connection_from(environ)
    assert ("http://h.test:4318/base/v1/logs?x=1", "http://h.test:4318/base/v1/logs?***") == (
        connection.endpoint,
        connection.shown,
    )
