"""Starts a receiver of OTLP, tells it how to answer, and reads what it kept."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.otlp.event import (
    ENTRY_EVENT,
    ENTRY_ID,
    PART_COUNT,
    PART_EVENT,
    PART_INDEX,
    REDACTION,
    STATISTICS_EVENT,
    Event,
    counts_of,
    entry_of,
    joined,
    page_of,
)
from otel_har.otlp.logs import Origin, events_in

PROTOCOLS = ("http/protobuf", "grpc")


class Receiver:
    """A process that receives OTLP over both protocols.

    Args:
        files: Certificate and authorities, for a receiver with TLS.
        ports: Those of a receiver before it; free ones by default.
    """

    def __init__(self, *files: str, ports: tuple[int, int] = (0, 0), client: ssl.SSLContext | None = None) -> None:
        script = str(Path(__file__).with_name("otlp_receiver.py"))
        self._process = subprocess.Popen(
            [sys.executable, script, *map(str, ports), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        http_port, grpc_port = self._process.stdout.readline().split()
        self.ports = int(http_port), int(grpc_port)
        self._scheme = "https" if files else "http"
        self._client = client

    def endpoint(self, protocol: str) -> str:
        """The URL for an exporter."""
        return self.http + "/v1/logs" if protocol == "http/protobuf" else self.grpc

    @property
    def http(self) -> str:
        """The base URL over HTTP."""
        return f"{self._scheme}://localhost:{self.ports[0]}"

    @property
    def grpc(self) -> str:
        """The URL over gRPC."""
        return f"{self._scheme}://localhost:{self.ports[1]}"

    def sender(self, protocol: str = "http/protobuf") -> Sender:
        """A new one."""
        return Sender(self, protocol, uuid.uuid4().hex)

    def ask(self, path: str, data: object = None) -> Any:
        """Control it."""
        body = None if data is None else json.dumps(data).encode()
        with urllib.request.urlopen(self.http + path, body, context=self._client) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(20)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


class Sender:
    """One sender, as the receiver sees it.

    Attributes:
        options: What an exporter is made with.
    """

    def __init__(self, receiver: Receiver, protocol: str, name: str) -> None:
        self._receiver = receiver
        self.name = name
        self.options: dict[str, Any] = {
            "protocol": protocol,
            "endpoint": receiver.endpoint(protocol),
            "headers": {"X-Sender": name},
        }

    def at(self, receiver: Receiver) -> Sender:
        """The same, at the receiver's successor."""
        return Sender(receiver, self.options["protocol"], self.name)

    def is_answered(self, *answers: dict[str, Any], **orders: Any) -> None:
        """How it will be answered: one answer after the other, then as usual."""
        self._receiver.ask(f"/control/{self.name}", {"answers": list(answers), **orders})

    @property
    def tried(self) -> int:
        """How many requests came."""
        count: int = self._receiver.ask(f"/kept/{self.name}")["tried"]
        return count

    @property
    def headers(self) -> list[dict[str, str]]:
        """Of each request that was kept."""
        return [one["headers"] for one in self._receiver.ask(f"/kept/{self.name}")["kept"]]

    @property
    def requests(self) -> list[bytes]:
        """Those that were kept."""
        return [base64.b64decode(one["data"]) for one in self._receiver.ask(f"/kept/{self.name}")["kept"]]

    @property
    def events(self) -> list[tuple[Origin, Event]]:
        """In the order of their coming."""
        return [pair for data in self.requests for pair in events_in(ExportLogsServiceRequest.FromString(data))]

    def log(self) -> dict[str, Any]:
        """What was kept, as the log of a HAR file has it."""
        return log_of([event for _, event in self.events])


def log_of(events: list[Event]) -> dict[str, Any]:
    """Events as the log of a HAR file."""
    entries: list[Any] = []
    pages: dict[str, Any] = {}
    lost = 0
    parts: dict[tuple[object, int], dict[object, Event]] = {}
    policies: list[object] = []
    for event in events:
        whole = event
        if event.name == STATISTICS_EVENT:
            lost += counts_of(event).get("dropped_entries", 0)
            continue
        if event.name == PART_EVENT:
            count = int(event.attributes[PART_COUNT])
            found = parts.setdefault((event.attributes[ENTRY_ID], count), {})
            found[event.attributes[PART_INDEX]] = event
            if len(found) < count:
                continue
            whole = joined(list(found.values()))
        if whole.name == ENTRY_EVENT:
            entries.append(json.loads(entry_of(whole).to_json()))
            policies.append(whole.attributes.get(REDACTION))
        page = page_of(whole)
        if page is not None:
            pages[page.id] = json.loads(page.to_json())
    weakest = min(policies, key=(None, "default", "strict").index, default=None)
    return {
        "entries": entries,
        "pages": list(pages.values()),
        "_otel_har": {"statistics": {"droppedEntries": lost}},
        "_redaction": {"policy": weakest},
    }
