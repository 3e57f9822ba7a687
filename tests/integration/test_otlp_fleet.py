"""From programs over OpenTelemetry's collector to `otel-har receive`, and to the same HAR as written at once.

`TEST_FLEET_ENTRIES=5000` has the program make so many requests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import RecordingServer
from servers.collector import Collector, require_collector
from servers.programs import INSTRUMENT, read_checked
from servers.receiving import PATIENCE_S, Receiving

_MOST_FLUSHES = 10
ENTRIES = int(os.environ.get("TEST_FLEET_ENTRIES", "500"))

_PROGRAM = """
import sys
import requests
from opentelemetry import trace

base, session = sys.argv[1], requests.Session()
number = 0
sizes = [0, 1, 100, 10_000, 3_000]
large = {7: 8 << 20, 100: (4 << 20) - 1000}
for line in sys.stdin:
    if line == "flush\\n":
        print(trace.get_tracer_provider().force_flush(120_000), flush=True)
        continue
    for _ in range(int(line)):
        size = large.get(number, sizes[number % 5] if number % 50 else 300_000)
        if number % 3:
            session.get(f"{base}/bytes/{size}?{number}")
        else:
            session.post(f"{base}/echo?{number}", data=bytes(size))
        number += 1
    print("done", flush=True)
"""


class Program:
    """A program that records to a file and over OTLP at once, and makes requests when told so."""

    def __init__(self, server: RecordingServer, directory: Path, environment: dict[str, str]) -> None:
        self.har = directory / "direct.har"
        path = directory / "app.py"
        path.write_text(_PROGRAM, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "COV"))}
        settings = {
            "OTEL_PYTHON_HAR_REDACT": "none",
            "OTEL_PYTHON_HAR_EXPORTER": "file,otlp",
            "OTEL_PYTHON_HAR_MAX_BODY_BYTES": str(16 << 20),
            "OTEL_PYTHON_HAR_MAX_QUEUE_BYTES": str(256 << 20),
            "OTEL_PYTHON_HAR_OTLP_SPOOL": str(directory / "spool"),
            "OTEL_SERVICE_NAME": "shop",
            **environment,
        }
        self._process = subprocess.Popen(
            [str(INSTRUMENT), "--har", str(self.har), sys.executable, str(path), server.url("")],
            env=kept | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self._errors += lines

    def make(self, requests: int) -> None:
        """Have it make requests, and wait until it has."""
        assert "done" == self._told(str(requests))

    def flush(self) -> None:
        """Have it send what waits, also in its spool: without that it waits there for the next entry.

        A flush says False when an export failed before it; nothing that waits is lost by that.
        """
        told = [self._told("flush")]
        while told[-1] != "True":
            assert len(told) < _MOST_FLUSHES, told
            told.append(self._told("flush"))

    def _told(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> list[str]:
        """Let it end by itself: what it wrote to standard error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert 0 == self._process.wait(PATIENCE_S * 4)
        self._reader.join()
        self._process.stdout.close()
        return self._errors

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._reader.join()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a collector that sends to a receiver."""
    require_collector()
    made: list[Collector] = []

    def start(target: str, protocol: str, *options: str) -> Collector:
        made.append(Collector(target, protocol, tmp_path, *options))
        made[0].start()
        return made[0]

    yield start
    for one in made:
        one.end(signal.SIGKILL)


def _by_url(log: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {entry["request"]["url"]: entry for entry in log["entries"]}
    assert len(found) == len(log["entries"])
    return found


def _same(direct: dict[str, Any], received: dict[str, Any]) -> None:
    """Entry for entry the same, page for page, and nothing was lost."""
    expected, actual = _by_url(direct), _by_url(received)
    assert sorted(expected) == sorted(actual)
    assert [] == [url for url, entry in expected.items() if entry != actual[url]]
    assert direct["pages"] == received["pages"]
    assert direct["_otel_har"]["statistics"] == received["_otel_har"]["statistics"]


def _environment(protocol: str, collector: Collector) -> dict[str, str]:
    grpc = protocol == "grpc"
    return {
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc" if grpc else "http/protobuf",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://{collector.grpc}" if grpc else f"http://{collector.http}/v1/logs",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "gzip",
    }


@pytest.mark.parametrize(("protocol", "entries"), [("grpc", ENTRIES), ("http", ENTRIES // 4)])
def test_over_a_collector(
    server: RecordingServer, tmp_path: Path, collector: Callable[..., Collector], protocol: str, entries: int
) -> None:
    """What comes over a collector that is ended and killed in the middle is what is written at once.

    Ended it delivers what it took. Killed it is when it had delivered: it keeps in memory what it took, and tells its
    sender before.
    """
    path = tmp_path / "received.har"
    receiver = Receiving(path)
    between = collector(receiver.grpc if protocol == "grpc" else receiver.http, protocol)
    program = Program(server, tmp_path, _environment(protocol, between))
    try:
        program.make(entries // 4)
        between.end(signal.SIGTERM)
        program.make(entries // 4)
        between.start()
        program.make(entries // 4)
        program.flush()
        _wait_for(path, entries // 4 * 3)
        between.end(signal.SIGKILL)
        program.make(entries - entries // 4 * 3)
        between.start()
        program.flush()
        program.end()
        between.end(signal.SIGTERM)
    finally:
        program.kill()
        receiver.end()
    _same(read_checked(program.har)["log"], read_checked(path)["log"])
    assert receiver.summary.startswith(f"otel-har: {entries} entries in ")


_FRONT = """
import sys
import requests
from opentelemetry import trace

with trace.get_tracer("front").start_as_current_span("checkout"):
    assert "5 left" == requests.get(sys.argv[1] + "/stock").text
"""

_STOCK = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from opentelemetry import propagate, trace


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        context = propagate.extract(dict(self.headers))
        with trace.get_tracer("stock").start_as_current_span("GET /stock", context, trace.SpanKind.SERVER):
            requests.get(sys.argv[1] + "/bytes/3")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"5 left")


with HTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_port, flush=True)
    server.handle_request()
"""


def _service(directory: Path, name: str, source: str, url: str, receiver: Receiving) -> subprocess.Popen[str]:
    path = directory / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "COV"))}
    settings = {
        "OTEL_PYTHON_HAR_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://{receiver.http}/v1/logs",
        "OTEL_SERVICE_NAME": name,
    }
    command = [str(INSTRUMENT), sys.executable, str(path), url]
    return subprocess.Popen(command, env=kept | settings, stdout=subprocess.PIPE, text=True)


def test_two_services(server: RecordingServer, tmp_path: Path) -> None:
    """Two services of which one calls the other have one HAR: one page, named by the first, and both sides by trace."""
    path = tmp_path / "out.har"
    receiver = Receiving(path)
    try:
        with _service(tmp_path, "stock", _STOCK, server.url(""), receiver) as stock:
            assert stock.stdout is not None
            url = f"http://127.0.0.1:{stock.stdout.readline().strip()}"
            with _service(tmp_path, "front", _FRONT, url, receiver) as front:
                assert (0, 0) == (front.wait(PATIENCE_S), stock.wait(PATIENCE_S))
    finally:
        receiver.end()
    log = read_checked(path)["log"]
    (page,) = log["pages"]
    by_path = {entry["request"]["url"].rpartition(":")[2].partition("/")[2]: entry for entry in log["entries"]}
    assert {"stock", "bytes/3"} == set(by_path)
    assert ("checkout", {page["id"]}) == (page["title"], {entry["pageref"] for entry in log["entries"]})
    assert page["pageTimings"]["onLoad"] > 0
    assert 1 == len({entry["_otel"]["traceId"] for entry in log["entries"]})


def _wait_for(path: Path, entries: int) -> None:
    """Until the file has so many entries."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S * 10)):
        if path.exists() and path.read_bytes().count(b'"startedDateTime"') > entries:
            return
        waiting.wait(0.1)
    raise AssertionError(f"not {entries} entries in {PATIENCE_S} s")
