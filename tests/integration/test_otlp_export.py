"""Entries over OTLP to a real receiver: what the variables say, TLS, and programs that are recorded."""

from __future__ import annotations

import json
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.resources import Resource

from otel_har.errors import DestinationError, SettingError
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.export.otlp import OtlpHarExporter
from otel_har.export.sending.settings import connection_from
from otel_har.har.models import Entry, Request
from otel_har.otlp.event import ENTRY_EVENT
from otel_har.otlp.logs import events_in
from servers.otlp import PROTOCOLS, Receiver, Sender, log_of

if TYPE_CHECKING:
    from servers import InstrumentedRunner, RecordingServer

_BATCH = HarBatch((), (Entry(started_date_time="2030-01-01T00:00:00Z", request=Request(url="http://h.test/1")),))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """One for all tests here."""
    made = Receiver()
    yield made
    made.kill()


def _environ(receiver: Receiver, protocol: str, sender: Sender) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http if protocol == "http/protobuf" else receiver.grpc,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-sender={sender.name},x-kind=a%20b",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_variables(receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, protocol, headers and compression are those of OTEL_EXPORTER_OTLP_*."""
    sender = receiver.sender(protocol)
    for name, value in {**_environ(receiver, protocol, sender), "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}.items():
        monkeypatch.setenv(name, value)
    exporter = OtlpHarExporter()
    assert HarExportResult.SUCCESS is exporter.export(_BATCH)
    exporter.shutdown()
    [headers] = sender.headers
    assert "a b" == headers["x-kind"]
    assert "gzip" in (headers.get("content-encoding") or "gzip")
    if protocol == "http/protobuf":
        assert ["/v1/logs", "gzip", "application/x-protobuf"] == [
            headers[name] for name in (":path", "content-encoding", "content-type")
        ]
    assert headers["user-agent"].startswith("otel-har/")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_variables_for_logs_go_first(receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_LOGS_* go before those for all signals; the endpoint is used as it is."""
    sender = receiver.sender(protocol)
    endpoint = f"{receiver.http}/somewhere/else" if protocol == "http/protobuf" else receiver.grpc
    for name, value in {
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"x-sender={sender.name}",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-kind=none",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }.items():
        monkeypatch.setenv(name, value)
    exporter = OtlpHarExporter(headers={"X-Mine": "1"})
    assert HarExportResult.SUCCESS is exporter.export(_BATCH)
    exporter.shutdown()
    [headers] = sender.headers
    assert ("1", None, None) == (headers["x-mine"], headers.get("x-kind"), headers.get("content-encoding"))
    assert "/somewhere/else" == headers.get(":path", "/somewhere/else")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides show certificates; a receiver whose authority is not trusted gets nothing."""
    authority, stranger = trustme.CA(), trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "stranger.pem").write_bytes(stranger.cert_pem.bytes())
    (tmp_path / "server.pem").write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
    client = authority.issue_cert("client@example.org")
    (tmp_path / "client.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    (tmp_path / "client.key").write_bytes(client.private_key_pem.bytes())
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.configure_cert(context)
    receiver = Receiver(str(tmp_path / "server.pem"), str(tmp_path / "ca.pem"), client=context)
    sender = receiver.sender(protocol)
    for name, value in {
        **_environ(receiver, protocol, sender),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tmp_path / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "client.key"),
        "OTEL_EXPORTER_OTLP_INSECURE": "true",  # the URL's scheme says otherwise, and goes first
    }.items():
        monkeypatch.setenv(name, value)
    exporter = OtlpHarExporter()
    assert HarExportResult.SUCCESS is exporter.export(_BATCH)
    exporter.shutdown()
    assert 1 == len(sender.requests)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", str(tmp_path / "stranger.pem"))
    distrustful = OtlpHarExporter(timeout_millis=2000)
    with pytest.raises(DestinationError):
        distrustful.export(_BATCH)
    distrustful.shutdown()
    receiver.kill()


def test_insecure_without_a_scheme(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the endpoint of gRPC has no scheme, OTEL_EXPORTER_OTLP_INSECURE says whether there is TLS."""
    sender = receiver.sender("grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true")
    exporter = OtlpHarExporter(**{**sender.options, "endpoint": f"localhost:{receiver.ports[1]}"})
    assert HarExportResult.SUCCESS is exporter.export(_BATCH)
    exporter.shutdown()
    assert connection_from({}, protocol="grpc", endpoint="localhost:1").insecure is False


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/json"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "collector:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://["}, r"http://\["),
        ({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"}, "OTEL_EXPORTER_OTLP_CERTIFICATE='/nowhere.pem'"),
        ({"OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY": "/nowhere.key"}, "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY"),
    ],
)
def test_unusable_variables(environ: dict[str, str], told: str) -> None:
    """What cannot be used is refused with its value."""
    with pytest.raises(SettingError, match=told):
        connection_from(environ)


def test_times_and_compression(caplog: pytest.LogCaptureFixture) -> None:
    """The timeout is in milliseconds; one that looks like seconds, and what is no value, is warned of."""
    caplog.set_level(logging.WARNING, "otel_har")
    assert 2.5 == connection_from({"OTEL_EXPORTER_OTLP_TIMEOUT": "2500"}).timeout_s
    assert (
        1.5 == connection_from({"OTEL_EXPORTER_OTLP_TIMEOUT": "5", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1500"}).timeout_s
    )
    assert [] == caplog.messages
    assert 0.01 == connection_from({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}).timeout_s
    assert 10 == connection_from({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}).timeout_s
    assert connection_from({"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}).gzip is False
    assert 3 == len(caplog.messages)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_sent(receiver: Receiver, protocol: str) -> None:
    """Resource, scope and recording go with the entries."""
    sender = receiver.sender(protocol)
    resource = Resource.create({"service.name": "shop", "numbers": [1, 2]})
    exporter = OtlpHarExporter(**sender.options, resource=resource, recording="r1")
    exporter.export(_BATCH)
    exporter.shutdown()
    [(origin, event)] = sender.events
    assert ("shop", [1, 2]) == (origin.resource["service.name"], origin.resource["numbers"])
    assert ("otel_har", "r1", ENTRY_EVENT) == (origin.scope, origin.recording, event.name)


def test_secrets_of_the_resource(receiver: Receiver) -> None:
    """The resource is redacted as the entries are."""
    sender = receiver.sender()
    resource = Resource({"service.name": "shop", "process.command_args": ["app.py", "--password", "hunter2"]})
    exporter = OtlpHarExporter(**sender.options, resource=resource)
    for redaction in (None, "default", "strict"):
        batch = HarBatch((), _BATCH.entries, redaction=redaction)
        assert HarExportResult.SUCCESS is exporter.export(batch)
    exporter.shutdown()
    told = [origin.resource["process.command_args"][-1] for origin, _ in sender.events]
    assert ["hunter2", "[REDACTED]", "[REDACTED]"] == told


PROGRAM = """
    import grpc, requests, urllib3
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
    from harness import BASE
    provider = trace.get_tracer_provider()
    spans = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    kinds = (GrpcInstrumentorClient, RequestsInstrumentor, URLLib3Instrumentor)
    assert all(kind().is_instrumented_by_opentelemetry for kind in kinds)
    for number in range(3):
        requests.get(f"{BASE}/item/{number}").content
        assert provider.force_flush()
    print(len(spans.get_finished_spans()))
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_recorded_program(
    run_instrumented: InstrumentedRunner, server: RecordingServer, receiver: Receiver, protocol: str
) -> None:
    """A program's entries arrive as they stand in the file; what the exporter sends is neither recorded nor traced."""
    sender = receiver.sender(protocol)
    run = run_instrumented(
        PROGRAM,
        "--har_exporter",
        "file,otlp",
        env={**_environ(receiver, protocol, sender), "OTEL_SERVICE_NAME": "shop"},
    )
    assert (0, "") == (run.returncode, run.stderr)
    assert "3" == run.stdout.strip()
    got = sender.log()
    assert [server.url(f"/item/{number}") for number in range(3)] == sorted(
        {entry["request"]["url"] for entry in got["entries"]}
    )
    assert run.entries == got["entries"]
    assert run.pages == got["pages"]
    for origin, event in sender.events:
        assert "shop" == origin.resource["service.name"]
        if event.name == ENTRY_EVENT:
            told = json.loads(str(event.attributes["otel_har.entry.json"]))["_otel"]
            assert (told["traceId"], told["spanId"], 1) == (event.trace_id.hex(), event.span_id.hex(), event.flags)


def test_without_a_file(run_instrumented: InstrumentedRunner, receiver: Receiver) -> None:
    """`--har_exporter otlp` needs no file; a spool takes what the receiver does not, which a later run sends."""
    sender = receiver.sender()
    sender.is_answered({"status": 503}, for_ever=True)
    program = "import requests\nfrom harness import BASE\nrequests.get(BASE + '/json')"
    env = {**_environ(receiver, "http/protobuf", sender), "OTEL_PYTHON_HAR": "", "OTEL_PYTHON_HAR_EXPORTER": "otlp"}
    first = run_instrumented(program, "--har_otlp_spool", "spool", "--har_bsp_export_timeout", "500", env=env)
    assert (0, None) == (first.returncode, first.har)
    assert [] == sender.events
    sender.is_answered()
    second = run_instrumented(program, "--har_otlp_spool", "spool", env=env)
    assert (0, "") == (second.returncode, second.stderr)
    assert 2 == len(sender.log()["entries"])


def test_away_for_the_whole_run(run_instrumented: InstrumentedRunner) -> None:
    """Without a receiver the program runs as ever, and what was lost is told at its end."""
    run = run_instrumented(
        "import requests\nfrom harness import BASE\nprint(requests.get(BASE + '/json').status_code)",
        "--har_exporter",
        "otlp",
        "--har_bsp_export_timeout",
        "700",
        env={"OTEL_PYTHON_HAR": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
    )
    assert (0, "200") == (run.returncode, run.stdout.strip())
    assert "1 entries failed" in run.stderr
    assert "Traceback" not in run.stderr


def test_unusable_protocol(run_instrumented: InstrumentedRunner) -> None:
    """A protocol that is not supported is told in one line, and the file is written."""
    run = run_instrumented(
        "import requests\nfrom harness import BASE\nrequests.get(BASE + '/json')",
        "--har_exporter",
        "file,otlp",
        env={"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    )
    assert 1 == len(run.entries)
    assert "nothing is recorded to otlp: OTLP over 'http/json' is not supported" in run.stderr


def test_spooled_file_is_a_request(receiver: Receiver, tmp_path: Path) -> None:
    """What lies in the spool is what would have been sent."""
    sender = receiver.sender()
    sender.is_answered({"status": 503})
    exporter = OtlpHarExporter(**sender.options, spool=tmp_path)
    exporter.export(_BATCH)
    [path] = tmp_path.glob("*.otlp")
    found = [event for _, event in events_in(ExportLogsServiceRequest.FromString(path.read_bytes()))]
    assert [json.loads(_BATCH.entries[0].to_json())] == log_of(found)["entries"]
    exporter.shutdown()


@pytest.mark.parametrize(
    ("missing", "protocol", "told"),
    [
        ("google.protobuf", "grpc", "it needs otel-har[otlp]"),
        ("grpc", "grpc", "OTLP over grpc needs otel-har[otlp]"),
        ("requests", "http/protobuf", "OTLP over http/protobuf needs otel-har[otlp]"),
    ],
)
def test_without_the_extra(missing: str, protocol: str, told: str) -> None:
    """Where a library is missing, one line says what to install; the other protocol does not need it."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
from otel_har.errors import SettingError
from otel_har.pipeline import exporter_of
from otel_har.settings import settings_from
try:
    exporter_of("otlp", settings_from({{}})[0])
except SettingError as error:
    print(error)
"""
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert told in done.stdout
