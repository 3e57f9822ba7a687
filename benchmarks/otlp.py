"""What OTLP costs beside a file: entries a second, and CPU of the program for each entry, as ratios in one run.

Run it as `python benchmarks/otlp.py`. The receiver is a process of its own that takes everything and keeps nothing.
Then: what the entry costs as one attribute of text, of bytes, or as a map; and what an entry costs in parts, beside one
of the same size in one piece.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter
from otel_har.export.otlp import OtlpHarExporter
from otel_har.har.models import Content, Entry, Header, Page, PostData, Request, Response
from otel_har.otlp.event import ENTRY_JSON, Event
from otel_har.otlp.exact import exact_json
from otel_har.otlp.logs import Origin, log_record, request_of

_ROUNDS = 7
_BATCH = 200
_PAGE = Page(started_date_time="2030-01-01T00:00:00Z", id="run", title="benchmark")
_HEADERS = tuple(Header(name=f"X-Header-{number}", value="v" * 20) for number in range(12))

_RECEIVER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import threading
import grpc

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")

web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
calls = grpc.server(ThreadPoolExecutor(2))
calls.add_generic_rpc_handlers((Calls(),))
port = calls.add_insecure_port("127.0.0.1:0")
calls.start()
threading.Thread(target=web.serve_forever, daemon=True).start()
print(web.server_address[1], port, flush=True)
sys.stdin.read()
"""


def _entry(body_bytes: int) -> Entry:
    body = json.dumps([{"id": number, "name": "a name", "ok": True} for number in range(body_bytes // 42)])
    body = body if body_bytes else ""
    return Entry(
        pageref="run",
        started_date_time="2030-01-01T00:00:00.123456Z",
        time=12.5,
        request=Request(
            method="POST",
            url="https://api.example.org/v1/items?q=1",
            http_version="HTTP/1.1",
            headers=_HEADERS,
            post_data=PostData(mime_type="application/json", text=body),
        ),
        response=Response(
            status=200,
            http_version="HTTP/1.1",
            headers=_HEADERS,
            content=Content(size=len(body), mime_type="application/json", text=body),
        ),
        otel={"traceId": "1" * 32, "spanId": "2" * 16, "attributes": {"http.request.method": "POST"}},
    )


def _costs(export: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of this process's CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    export()
    return time.perf_counter() - wall, time.process_time() - cpu


def _exporters(directory: Path, receiver: tuple[int, int]) -> dict[str, HarExporter]:
    web, calls = receiver
    return {
        "file": FileHarExporter(directory / "out.har"),
        "OTLP over HTTP": OtlpHarExporter(protocol="http/protobuf", endpoint=f"http://127.0.0.1:{web}/v1/logs"),
        "OTLP over gRPC": OtlpHarExporter(protocol="grpc", endpoint=f"http://127.0.0.1:{calls}"),
    }


def _compare(receiver: tuple[int, int], body_bytes: int) -> None:
    batch = HarBatch((_PAGE,), (_entry(body_bytes),) * _BATCH)
    with tempfile.TemporaryDirectory() as directory:
        exporters = _exporters(Path(directory), receiver)
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in exporters}
        for _ in range(_ROUNDS):
            for name, exporter in exporters.items():  # in turns, so that all have the same machine
                costs[name].append(_costs(lambda exporter=exporter: exporter.export(batch)))  # type: ignore[misc] # a default binds it
        for exporter in exporters.values():
            exporter.shutdown()
    medians = {
        name: [statistics.median(column) for column in zip(*taken, strict=True)] for name, taken in costs.items()
    }
    print(f"two bodies of {body_bytes:,} bytes")
    base = medians["file"]
    for name, (wall, cpu) in medians.items():
        print(
            f"  {name:16}{_BATCH / wall:9,.0f} entries/s ({wall / base[0]:5.2f} x the time)"
            f"{cpu / _BATCH * 1e6:8.0f} us CPU an entry ({cpu / base[1]:5.2f} x)"
        )


def _forms() -> None:
    origin = Origin({"service.name": "s"})
    for body_bytes in (0, 20_000):
        entry = _entry(body_bytes)
        forms: dict[str, Callable[[], object]] = {
            "text": lambda entry=entry: exact_json(entry),  # type: ignore[misc] # a default binds it
            "bytes": lambda entry=entry: exact_json(entry).encode(),  # type: ignore[misc] # the same
            "map": lambda entry=entry: entry.model_dump(),  # type: ignore[misc] # the same
        }
        costs = {}
        for name, form in forms.items():

            def encode(form: Callable[[], object] = form) -> bytes:
                event = Event("e", {ENTRY_JSON: form()})  # type: ignore[dict-item] # a map is none of ours
                data: bytes = request_of([log_record(event)], origin).SerializeToString()
                return data

            taken = [_costs(lambda encode=encode: [encode() for _ in range(100)])[1] / 100 for _ in range(_ROUNDS)]  # type: ignore[misc] # the same
            costs[name] = statistics.median(taken), len(encode())
        for name, (cpu, size) in costs.items():
            print(f"  {body_bytes:6,} byte bodies as {name:6}{cpu / costs['text'][0]:6.2f} x the CPU, {size:7,} bytes")


def _parts(receiver: tuple[int, int]) -> None:
    endpoint = f"http://127.0.0.1:{receiver[0]}/v1/logs"
    batch = HarBatch((_PAGE,), (_entry(8_000_000),))
    whole = OtlpHarExporter(protocol="http/protobuf", endpoint=endpoint, max_request_bytes=1 << 30)
    parts = OtlpHarExporter(protocol="http/protobuf", endpoint=endpoint)
    taken = [
        [_costs(lambda exporter=exporter: exporter.export(batch))[1] for exporter in (whole, parts)]  # type: ignore[misc] # the same
        for _ in range(_ROUNDS)
    ]
    ratio = statistics.median(in_parts / in_one for in_one, in_parts in taken)
    print(f"  an entry of 16 MB in parts of 4 MiB, beside one piece: {ratio:.2f} x the CPU")


def main() -> None:
    """Measure and print."""
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", _RECEIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - for the type
    web, calls = map(int, process.stdout.readline().split())
    try:
        for body_bytes in (0, 2_000, 20_000):
            _compare((web, calls), body_bytes)
        print("the entry as one attribute")
        _forms()
        _parts((web, calls))
    finally:
        process.kill()


if __name__ == "__main__":
    main()
