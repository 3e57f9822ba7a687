"""A receiver of OTLP, a process of its own: over HTTP and gRPC, it keeps what it gets and answers as it is told.

Whoever sends says with the header `x-sender` who it is; what it sent, and how it is answered, is kept for each sender.
What outlives the receiver stands in the file of `x-journal`, a request in base64 on each line.
Run as `python otlp_receiver.py PORT_HTTP PORT_GRPC [CERTIFICATE AUTHORITIES]`; it prints its two ports.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import ssl
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)


class Senders:
    """What each sender sent, and how it is to be answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.kept: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.orders: dict[str, dict[str, Any]] = defaultdict(dict)
        self.tried: dict[str, int] = defaultdict(int)
        self.released = threading.Event()

    def answer(self, sender: str, data: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """The next answer: what is not refused is kept."""
        with self._lock:
            self.tried[sender] += 1
            orders = self.orders[sender]
            if os.path.exists(orders.get("full", "")):  # noqa: PTH110 - "" is no path
                return {"status": 503, "code": "UNAVAILABLE", "message": "full"}
            if 0 < orders.get("limit", 0) < len(data):
                return {"status": 413, "code": "RESOURCE_EXHAUSTED", "message": "too large for it"}
            answers = orders.get("answers") or [{}]
            answer: dict[str, Any] = answers[0] if len(answers) == 1 and orders.get("for_ever") else answers.pop(0)
            if answer.get("status", 200) == 200 or answer.get("keep"):
                told = {"data": base64.b64encode(data).decode(), "headers": headers}
                self.kept[sender].append(told)
                if "x-journal" in headers:
                    with Path(headers["x-journal"]).open("a") as journal:
                        journal.write(f"{told['data']}\n")
        if answer.get("stall"):
            self.released.wait(60)
        return answer


SENDERS = Senders()


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        sender = self.path.rpartition("/")[2]
        self._reply(200, json.dumps({"kept": SENDERS.kept[sender], "tried": SENDERS.tried[sender]}).encode())

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/control/"):
            SENDERS.orders[self.path.rpartition("/")[2]] = json.loads(data)
            self._reply(200, b"{}")
        elif self.path == "/release":
            SENDERS.released.set()
            self._reply(200, b"{}")
        else:
            self._export(data)

    def _export(self, data: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()} | {":path": self.path}
        if headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        answer = SENDERS.answer(headers.get("x-sender", ""), data, headers)
        if answer.get("drop"):
            self.close_connection = True
            return
        status = answer.get("status", 200)
        body = _response(answer) if status == 200 else Status(message=answer.get("message", ""))
        extra = {"Retry-After": answer["retry_after"]} if "retry_after" in answer else {}
        self._reply(status, body.SerializeToString(), extra)

    def _reply(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Grpc(LogsServiceServicer):
    def Export(self, request: ExportLogsServiceRequest, context: Any) -> ExportLogsServiceResponse:  # noqa: N802 - gRPC's
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        answer = SENDERS.answer(headers.get("x-sender", ""), request.SerializeToString(), headers)
        if answer.get("status", 200) == 200:
            return _response(answer)
        if "retry_after" in answer:
            detail = AnyMessage()
            detail.Pack(RetryInfo(retry_delay=Duration(seconds=int(answer["retry_after"]))))
            status = Status(code=8, message="wait", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode[answer["code"]], answer.get("message", ""))
        raise AssertionError  # abort raises


def _response(answer: dict[str, Any]) -> ExportLogsServiceResponse:
    partial = ExportLogsPartialSuccess(
        rejected_log_records=answer.get("rejected", 0), error_message=answer.get("message", "")
    )
    return ExportLogsServiceResponse(partial_success=partial)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""


def main(http_port: int, grpc_port: int, *files: str) -> None:
    """Serve until standard input ends."""
    server = _Server(("127.0.0.1", http_port), _Http)
    calls = grpc.server(ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
    add_LogsServiceServicer_to_server(_Grpc(), calls)  # type: ignore[no-untyped-call] # generated
    if files:
        certificate, authorities = files
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        pem = Path(certificate).read_bytes()
        credentials = grpc.ssl_server_credentials(
            [(pem, pem)], Path(authorities).read_bytes(), require_client_auth=True
        )
        bound = calls.add_secure_port(f"127.0.0.1:{grpc_port}", credentials)
    else:
        bound = calls.add_insecure_port(f"127.0.0.1:{grpc_port}")
    calls.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], bound, flush=True)  # noqa: T201 - to who started it
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    calls.stop(0)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
