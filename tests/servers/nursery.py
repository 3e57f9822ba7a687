"""A program that has imported everything and forks a child for each connection it gets; a child records as it is told.

Started by `servers.recorded`. It has one thread, so forking it is safe, and a child costs milliseconds.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - or each child would; and other users may not read it
import contextlib
import gc
import itertools
import json
import logging
import os
import pkgutil
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any

import requests
from opentelemetry.sdk.trace import TracerProvider

import otel_har.capture.requests  # noqa: F401 - as above
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.file import FileHarExporter
from otel_har.instrumentor import HarInstrumentor
from otel_har.processor import HarSpanProcessor


class _Messages(logging.Handler):
    """Keeps what our logger says."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.all.append(f"{record.levelname} {record.getMessage()}")


class Recorder:
    """What a child can be told to do: each public method is an order."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._messages = _Messages()
        self._session = requests.Session()
        self._session.trust_env = False  # it would look for a netrc before each request
        logger = logging.getLogger("otel_har")
        logger.addHandler(self._messages)
        logger.propagate = False

    def begin(
        self,
        path: str,
        *,
        append: bool = False,
        recording: str | None = None,
        indent: int | None = None,
        **settings: Any,
    ) -> None:
        """Begin to record to a file; the settings are those of `BatchSettings`."""
        self._exporter = FileHarExporter(path, indent, append=append, recording=recording)
        self._processor = HarSpanProcessor(BatchHarProcessor(self._exporter, BatchSettings(**settings)))
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        HarInstrumentor().instrument(tracer_provider=provider, clients=["requests"])

    def get(self, *urls: str) -> float:
        """Request the URLs one after the other; the longest time that one of them took, seconds."""
        longest = 0.0
        for url in urls:
            started = time.monotonic()
            if not self._session.get(url).ok:
                raise SystemExit(url)
            longest = max(longest, time.monotonic() - started)
        return longest

    def flush(self, timeout_millis: int = 20_000) -> bool:
        """Whether everything was exported."""
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> float:
        """End the recording; how long that took, seconds."""
        started = time.monotonic()
        self._processor.shutdown()
        return time.monotonic() - started

    def path(self) -> str:
        """The file that is written."""
        return str(self._exporter.path)

    def logged(self) -> list[str]:
        """What our logger said since this was asked last."""
        said, self._messages.all = self._messages.all, []
        return said

    def do(self, name: str, *args: Any) -> Any:
        """Call a function of the standard library, as in `os:setuid`."""
        return pkgutil.resolve_name(name)(*args)

    def exhaust_descriptors(self) -> None:
        """Open files until the system gives no more."""
        self._hoard: list[int] = []
        with contextlib.suppress(OSError):
            while True:
                self._hoard.append(os.dup(self._channel.fileno()))

    def free_descriptors(self) -> None:
        """Close the files of `exhaust_descriptors`."""
        while self._hoard:
            os.close(self._hoard.pop())

    def run_on(self, urls: list[str]) -> None:
        """Record exchanges without end, and tell after each flush how many are put by."""
        for number in itertools.count(1):
            self._session.get(f"{urls[number % len(urls)]}{number}")
            if number % 3 == 0 and self.flush():
                self._tell(number)

    def die_at_call(self, number: int) -> None:
        """Be killed before that call of the operating system which this thread and later ones make from now on."""
        calls = itertools.count(1)

        def count(_frame: object, event: str, function: object) -> None:
            is_system = event == "c_call" and getattr(function, "__module__", None) in {"posix", "fcntl"}
            if is_system and function is not os.fspath and next(calls) == number:
                signal.raise_signal(signal.SIGKILL)

        threading.setprofile(count)
        sys.setprofile(count)

    def _tell(self, value: object) -> None:
        self._channel.sendall(json.dumps(value).encode() + b"\n")

    def serve(self) -> None:
        """Carry out orders until the other side hangs up."""
        self._tell(os.getpid())
        for line in self._channel.makefile("r", encoding="utf-8"):
            order, args, settings = json.loads(line)
            try:
                answer = {"value": getattr(self, order)(*args, **settings)}
            except BaseException as fault:  # noqa: BLE001 - the test is told whatever went wrong
                answer = {"fault": f"{type(fault).__name__}: {fault}", "trace": traceback.format_exc()}
            self._tell(answer)


def main(control: socket.socket) -> None:
    """Fork a child for each connection that comes over the control socket."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            with contextlib.suppress(OSError):  # the test has gone
                Recorder(socket.socket(fileno=descriptors[0])).serve()
            os._exit(0)
        os.close(descriptors[0])


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
