"""What the single pieces of a recording cost, each beside a yardstick of the same run: with pyperf.

Run it from the project's directory as `python -m benchmarks.pieces [--quiet] [--fast] [-o PATH] [--docs PAGE]`; all
options but the last are pyperf's. The
times are CPU times: the machine may have other work.

The exchange in memory is one of requests whose adapter answers without a network: what is left is the client, the
instrumentation and the hooks. What http.client tells on the way is not in it; `benchmarks.instructions` has that.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyperf
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from benchmarks.compare.table import aligned, number
from benchmarks.publishing import publish
from benchmarks.server import json_body, server
from otel_har import FileHarExporter, HarInstrumentor, HarProcessor, HarSpanProcessor
from otel_har.export.building import build_batch
from otel_har.export.interfaces import HarBatch
from otel_har.export.written import WrittenEntries, written
from otel_har.mapping.entries import har_entry
from otel_har.record import HarRecord, PageFacts
from otel_har.redaction.redactor import DEFAULT_REDACTOR

_SIZE = 2_000
_BATCH = 100
_MOST_IN_FILE = 50  # batches
_LIMIT = 3.0

_Timed: TypeAlias = "Callable[[int], float]"
"""Does something so many times; CPU seconds."""


class _Keeping(HarProcessor):
    """Keeps the records; or, as the name of a piece says, nothing."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self.records: list[HarRecord] = []

    def on_record(self, record: HarRecord) -> None:
        """One more."""
        if self._keeps:
            self.records.append(record)

    def on_page(self, page: PageFacts) -> None:
        """Of no use."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - the port's
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: int = 0) -> None:
        """Nothing is held."""


@contextlib.contextmanager
def _instrumented(recorder: str, *, keeps: bool = False) -> Iterator[tuple[TracerProvider, _Keeping]]:
    """Requests is instrumented as a recorder has it: `nothing`, `otel` or `otel-har`."""
    provider, keeping = TracerProvider(shutdown_on_exit=False), _Keeping(keeps=keeps)
    instrumentor: Any = {"otel": RequestsInstrumentor, "otel-har": HarInstrumentor}.get(recorder, lambda: None)()
    provider.add_span_processor(HarSpanProcessor(keeping) if recorder == "otel-har" else SpanProcessor())
    if instrumentor is not None:
        instrumentor.instrument(tracer_provider=provider)
    try:
        yield provider, keeping
    finally:
        if instrumentor is not None:
            instrumentor.uninstrument()
        provider.shutdown()


@cache
def _records() -> tuple[HarRecord, ...]:
    """What a recorded program has noted of real exchanges."""
    with server() as url, _instrumented("otel-har", keeps=True) as (_, keeping), requests.Session() as session:
        for count in range(_BATCH):
            session.get(f"{url}/{_SIZE}?n={count}", timeout=10)
        return tuple(keeping.records)


@cache
def _batch() -> HarBatch:
    return build_batch(_records())


@cache
def _plain_entries() -> list[Any]:
    """The same entries as dictionaries, as orjson takes them."""
    return [orjson.loads(entry.to_json()) for entry in _batch().entries]


class _Adapter(HTTPAdapter):
    """Answers without a network."""

    _body = json_body(_SIZE)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override] # all by name
        """The answer."""
        raw = HTTPResponse(
            io.BytesIO(self._body), {"Content-Type": "application/json"}, 200, preload_content=False, reason="OK"
        )
        return self.build_response(request, raw)


def _exchange(recorder: str, loops: int) -> float:
    with _instrumented(recorder), requests.Session() as session:
        session.mount("http://", _Adapter())
        session.get("http://h.test/")
        started = time.process_time()
        for _ in range(loops):
            session.get("http://h.test/")
        return time.process_time() - started


def _span(recorder: str, loops: int) -> float:
    attributes: dict[str, Any] = {
        "http.request.method": "GET",
        "url.full": "http://h.test/",
        "http.response.status_code": 200,
    }
    with _instrumented(recorder) as (provider, _):
        tracer = provider.get_tracer("benchmark")
        started = time.process_time()
        for _ in range(loops):
            tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes).end()
        return time.process_time() - started


def _each(work: Callable[[Any], object], things: Callable[[], Any]) -> _Timed:
    """Work on each of a hundred things."""

    def timed(loops: int) -> float:
        prepared = list(things())
        started = time.process_time()
        for _ in range(loops):
            for thing in prepared:
                work(thing)
        return time.process_time() - started

    return timed


def _whole(work: Callable[[Any], object], thing: Callable[[], Any]) -> _Timed:
    """Work on a hundred things at once."""
    return _each(work, lambda: [thing()])


def _serialise_with_orjson(entries: list[Any]) -> bytes:
    return b",\n".join(map(orjson.dumps, entries))


def _append(loops: int) -> float:
    """Batches to a file, which is begun anew before it gets large."""
    batch, redacted, taken = _batch(), _redacted(), 0.0
    while loops > 0:
        with tempfile.TemporaryDirectory() as directory:
            exporter = FileHarExporter(Path(directory, "out.har"))
            exporter.export(batch)
            started = time.process_time()
            for _ in range(min(loops, _MOST_IN_FILE)):
                entries = WrittenEntries(one for entry in redacted if (one := written(entry)) is not None)
                exporter.export(replace(batch, entries=entries))
            taken += time.process_time() - started
            exporter.shutdown()
        loops -= _MOST_IN_FILE
    return taken


def _append_with_orjson(loops: int) -> float:
    """The same entries, dumped and written to a file."""
    entries, taken = _plain_entries(), 0.0
    while loops > 0:
        with tempfile.TemporaryFile(buffering=0) as file:
            started = time.process_time()
            for _ in range(min(loops, _MOST_IN_FILE)):
                os.write(file.fileno(), _serialise_with_orjson(entries))
            taken += time.process_time() - started
        loops -= _MOST_IN_FILE
    return taken


def _mapped() -> list[Any]:
    return [har_entry(record) for record in _records()]


def _redacted() -> list[Any]:
    return [DEFAULT_REDACTOR.entry(entry) for entry in _mapped()]


_PIECES: Mapping[str, tuple[_Timed, int, str | None]] = {
    "exchange in memory, nothing": (partial(_exchange, "nothing"), 1, None),
    "exchange in memory, OpenTelemetry alone": (partial(_exchange, "otel"), 1, None),
    "exchange in memory, otel-har (hooks and join)": (
        partial(_exchange, "otel-har"),
        1,
        "exchange in memory, OpenTelemetry alone",
    ),
    "client span, OpenTelemetry alone": (partial(_span, "otel"), 1, None),
    "client span, otel-har (join alone)": (partial(_span, "otel-har"), 1, "client span, OpenTelemetry alone"),
    "serialise with orjson": (_whole(_serialise_with_orjson, _plain_entries), _BATCH, None),
    "map": (_each(har_entry, _records), _BATCH, "serialise with orjson"),
    "redact": (_each(DEFAULT_REDACTOR.entry, _mapped), _BATCH, "serialise with orjson"),
    "map, redact, serialise": (_whole(build_batch, _records), _BATCH, "serialise with orjson"),
    "serialise": (_each(written, _redacted), _BATCH, "serialise with orjson"),
    "serialise with orjson, write": (_append_with_orjson, _BATCH, None),
    "serialise, append to the file": (_append, _BATCH, "serialise with orjson, write"),
}
"""By its name: what it does, how often that is in one call, and its yardstick."""


def main() -> None:
    """Measure, and print what each piece costs beside its yardstick."""
    runner = pyperf.Runner(processes=5, values=3, program_args=("-m", "benchmarks.pieces"))
    runner.argparser.add_argument("--docs", type=Path, metavar="PAGE")
    found: dict[str, float] = {}
    for name, (timed, inner, _) in _PIECES.items():
        benchmark = runner.bench_time_func(name, timed, inner_loops=inner)
        if benchmark is not None and benchmark.get_nvalue():
            found[name] = benchmark.median()
    if runner.args.worker or len(found) < len(_PIECES):
        return
    rows = [["for each entry, CPU us", "median", "beside", "its yardstick"]]
    rows += [
        [name, number(found[name] * 1e6, ",.1f"), *_beside(name, yardstick, found)]
        for name, (_, _, yardstick) in _PIECES.items()
    ]
    text = f"{aligned(rows)}\n\n{_verdict(found)}"
    print(f"\n{text}")
    if runner.args.docs is not None:
        publish(runner.args.docs, "pieces", text)


def _beside(name: str, yardstick: str | None, found: Mapping[str, float]) -> list[str]:
    return ["-", "-"] if yardstick is None else [number(found[name] / found[yardstick], ".2f"), yardstick]


def _verdict(found: Mapping[str, float]) -> str:
    ratio = found["serialise, append to the file"] / found["serialise with orjson, write"]
    held = "held" if ratio <= _LIMIT else "NOT HELD"
    return (
        f"serialising and appending beside orjson and the write: {ratio:.2f} times, at most {_LIMIT:.2f} times: {held}"
    )


if __name__ == "__main__":
    main()
