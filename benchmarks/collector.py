"""What a collector and the receiver take: entries a second, CPU and bytes an entry.

    python tests/consumers/install.py && python benchmarks/collector.py

Requests of 100 entries go over gRPC from this process to the collector of `tests/consumers`, which sends them to
`otel-har receive`. CPU is that of each process, as the system counts it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import grpc

from otel_har.har.models import Entry, Header
from servers.collector import Collector
from servers.receiving import Receiving, entry, request

_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_TICKS = os.sysconf("SC_CLK_TCK")
_A_REQUEST = 100


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _entry(number: int, body_bytes: int) -> Entry:
    made = entry(number, "x" * body_bytes)
    headers = tuple(Header(name=f"X-Header-{index}", value="a value like many") for index in range(12))
    asked = made.request.model_copy(update={"headers": headers})
    return made.model_copy(update={"request": asked, "response": made.response.model_copy(update={"headers": headers})})


def _measure(entries: int, body_bytes: int, *, with_collector: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "out.har"
        receiver = Receiving(path)
        collector = Collector(receiver.grpc, "grpc", Path(directory), "--logs-batch-max-size", "200")
        if with_collector:
            collector.start()
        made = [_entry(number, body_bytes) for number in range(entries)]
        messages = [
            request(*made[start : start + _A_REQUEST]).SerializeToString() for start in range(0, entries, _A_REQUEST)
        ]
        target = collector.grpc if with_collector else receiver.grpc
        of_start = _cpu_s(receiver.process.pid)  # of its imports
        started = time.monotonic()
        with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(4) as threads:
            list(threads.map(channel.unary_unary(_EXPORT), messages))
        accepted_s = time.monotonic() - started
        waiting = threading.Event()
        while path.read_bytes().count(b'"startedDateTime"') <= entries:
            waiting.wait(0.2)
        done_s = time.monotonic() - started
        cpu = f"receiver {1e6 * (_cpu_s(receiver.process.pid) - of_start) / entries:.0f} us CPU an entry"
        if with_collector and collector.process is not None:
            cpu += f", collector {1e6 * _cpu_s(collector.process) / entries:.0f} us"
        size = sum(map(len, messages)) / entries
        print(
            f"{entries} entries, bodies of {body_bytes} B, {'over the collector' if with_collector else 'directly'}: "
            f"{size:.0f} B an entry as OTLP, {path.stat().st_size / entries:.0f} B in the file; "
            f"accepted {entries / accepted_s:.0f}/s, in the file {entries / done_s:.0f}/s; {cpu}"
        )
        collector.end()
        receiver.end()


if __name__ == "__main__":
    for body_bytes, entries in ((0, 10_000), (2_000, 10_000), (20_000, 2_000)):
        for with_collector in (False, True):
            _measure(entries, body_bytes, with_collector=with_collector)
