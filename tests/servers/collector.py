"""A real collector of OpenTelemetry's, between programs and `otel-har receive`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from consumers import install
from consumers.running import require
from servers.receiving import PATIENCE_S, Command
from servers.server import unused_port


class Collector:
    """`rotel-agent`, at two ports that stay its own when it is started again.

    Args:
        target: Where it sends what it gets: HOST:PORT.
        protocol: `grpc` or `http`.
        directory: For its process's number.
        options: More of its options.
    """

    def __init__(self, target: str, protocol: str, directory: Path, *options: str) -> None:
        self.grpc, self.http = (f"127.0.0.1:{unused_port()}" for _ in range(2))
        self._command = [
            install.collector(),
            "start",
            *("--pid-file", str(directory / "collector.pid"), "--exporter", "otlp"),
            *("--otlp-grpc-endpoint", self.grpc, "--otlp-http-endpoint", self.http),
            *("--otlp-exporter-protocol", protocol, "--otlp-exporter-endpoint", f"http://{target}"),
            *("--otlp-grpc-max-recv-msg-size-mib", "64", "--otlp-exporter-retry-initial-backoff", "200ms"),
            *("--otlp-exporter-request-timeout", "30s", *options),
        ]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTEL")}
        self._running: Command | None = None

    def start(self) -> None:
        """Have it run and listen."""
        self._running = Command(self._command, "Starting Rotel", self._environment)
        for address in (self.grpc, self.http):  # it says so before it listens
            _wait_for(address)

    @property
    def process(self) -> int | None:
        """The number of its process, as long as it runs."""
        return None if self._running is None else self._running.process.pid

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, or kill it."""
        if self._running is not None:
            self._running.end(number)
            self._running = None


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S * 20)):
        try:
            with socket.create_connection((host, int(port)), PATIENCE_S):
                return
        except ConnectionRefusedError:
            waiting.wait(0.05)
    raise AssertionError(f"nobody listens at {address}")


def require_collector() -> None:
    """Skip where there is no collector for this machine, or none was installed."""
    reason = install.no_collector_here()
    if reason:
        pytest.skip(reason)
    require(install.missing_collector())
