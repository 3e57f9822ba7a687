"""Requests of OTLP with entries, a receiver in this process, and the command and a collector in theirs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.har.models import Content, Entry, Page, Request, Response, Timings
from otel_har.otlp.event import Event, entry_event, page_event
from otel_har.otlp.logs import Origin, log_record, request_of

PATIENCE_S = 30.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGE = Page(started_date_time="2026-01-31T10:00:00.000000Z", id=f"trace_{TRACE}", title="checkout")
SHOP = Origin({"service.name": "shop", "host.name": "one", "service.instance.id": "a"})


def entry(number: int, body: str = "", *, trace: str = TRACE, page: str | None = None) -> Entry:
    """One exchange of many."""
    return Entry(
        pageref=page or f"trace_{trace}",
        started_date_time=f"2026-01-31T10:00:{number % 60:02}.{number:06}Z",
        time=1,
        request=Request(method="GET", url=f"http://shop.test/{number}", http_version="HTTP/1.1", headers_size=-1),
        response=Response(
            status=200,
            http_version="HTTP/1.1",
            content=Content(size=len(body.encode()), mime_type="text/plain", text=body),
            body_size=len(body.encode()),
        ),
        timings=Timings(wait=1),
        otel={"traceId": trace, "spanId": f"{number + 1:016x}", "scope": "test", "status": {"code": "UNSET"}},
    )


def request(*entries: Entry, page: Page = PAGE, origin: Origin = SHOP) -> ExportLogsServiceRequest:
    """A request with the events of entries."""
    return request_of([log_record(entry_event(one, page)) for one in entries], origin)


def request_of_events(*events: Event, origin: Origin = SHOP) -> ExportLogsServiceRequest:
    """A request with events."""
    return request_of([log_record(event) for event in events], origin)


def request_of_page(page: Page, origin: Origin = SHOP) -> ExportLogsServiceRequest:
    """A request with a page that changed."""
    return request_of_events(page_event(page), origin=origin)


class Command:
    """A process that listens and says so.

    Args:
        arguments: The command.
        said: What its line has when it listens.
        environment: Its environment; this process's by default.
    """

    def __init__(self, arguments: Sequence[str], said: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.lines: list[str] = []
        self._said = said
        self._listens = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listens.wait(PATIENCE_S), self.lines

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))
                if self._said in line:
                    self._listens.set()
        self._listens.set()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end: the status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status


class Receiving(Command):
    """`otel-har receive`, at ports that the system chose.

    Attributes:
        grpc: HOST:PORT.
        http: HOST:PORT.
    """

    def __init__(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        listen = ["--listen", "grpc://127.0.0.1:0", "--listen", "http://127.0.0.1:0"]
        command = [sys.executable, "-m", "otel_har", "receive", *listen, *map(str, arguments)]
        super().__init__(command, "listening at", environment)
        told = next((line for line in self.lines if "listening at" in line), "")
        found = dict(re.findall(r"(grpc|http)://(\S+)", told))
        assert {"grpc", "http"} == set(found), self.lines
        self.grpc, self.http = found["grpc"], found["http"]

    @property
    def summary(self) -> str:
        """Its last line."""
        return self.lines[-1]


@contextmanager
def receiving(*arguments: str | Path, environment: dict[str, str] | None = None) -> Iterator[Receiving]:
    """The command, ended at the end."""
    command = Receiving(*arguments, environment=environment)
    try:
        yield command
    finally:
        command.end()
