"""What `otel-har convert` does with its options."""

from __future__ import annotations

import contextlib
import errno
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import click
from opentelemetry.sdk.resources import Resource

from otel_har.cli.check import count
from otel_har.conversion.inputs import Input
from otel_har.conversion.requests_exporter import RequestsExporter
from otel_har.errors import HarFormatError, OtelHarError, SettingError
from otel_har.export.files.room import is_recorded
from otel_har.export.interfaces import HarExporter
from otel_har.export.otlp import OtlpHarExporter
from otel_har.export.stream import StreamHarExporter
from otel_har.har.attaching import ArchiveWriter, is_named_zip
from otel_har.har.replacing import rewrite_stream
from otel_har.receive.answers import Verdict
from otel_har.receive.decoding import Decoded, Decoder
from otel_har.receive.delivering import Deliverer, Tally
from otel_har.receive.destinations import OneDestination
from otel_har.receive.duplicates import Window
from otel_har.receive.span_room import SpanRoom

__all__ = ["run"]

_EXIT_BROKEN = 1
_EXIT_UNUSABLE = 2
_STANDARD_STREAM = "-"
_URL_PREFIX = "otlp+"
_PROTOCOLS = {"http": "http/protobuf", "https": "http/protobuf", "grpc": "grpc", "grpcs": "grpc"}
_MOST_BYTES = 1 << 30
_MAX_PAGES = 1_000_000
_PATIENCE_MILLIS = 60_000


def run(  # noqa: PLR0913 - one for each option
    sources: Sequence[str],
    output: str,
    *,
    form: str | None,
    traces: Sequence[str],
    no_spans: bool,
    attributes: Sequence[str],
) -> None:
    """Convert; the arguments are the command's options.

    Raises:
        click.exceptions.Exit: With the command's status, where that is not 0.
    """
    try:
        conversion = _Conversion(
            sources, _resource(attributes), frozenset(map(str.lower, traces)), with_spans=not no_spans
        )
        tally = conversion.to(output, form)
    except BrokenPipeError:
        raise  # whoever reads our output went away: click ends the command quietly
    except HarFormatError as fault:  # and nothing of it is whole
        raise _exit(_EXIT_BROKEN, str(fault)) from None
    except OSError as fault:
        name = f"{click.format_filename(fault.filename)}: " if isinstance(fault.filename, str) else ""
        raise _exit(_EXIT_UNUSABLE, f"{name}{fault.strerror or fault}") from None
    except OtelHarError as fault:
        raise _exit(_EXIT_UNUSABLE, str(fault)) from None
    click.echo(f"{click.format_filename(output)}: {_line(tally)}", err=output == _STANDARD_STREAM)
    for broken in conversion.faults:
        click.echo(f"otel-har: {broken}", err=True)
    if tally.failed_entries or conversion.faults:
        raise click.exceptions.Exit(_EXIT_BROKEN)


def _exit(status: int, text: str) -> click.exceptions.Exit:
    click.echo(f"otel-har: {text}", err=True)
    return click.exceptions.Exit(status)


class _Conversion:
    """From sources to an exporter.

    Attributes:
        faults: What is wrong with sources that are broken; what is whole of them is converted.
    """

    def __init__(
        self, sources: Sequence[str], resource: dict[str, str], traces: frozenset[str], *, with_spans: bool
    ) -> None:
        self._sources = sources
        self._resource = resource
        self._traces = traces
        self._decoder = Decoder(_MOST_BYTES, with_spans=with_spans)
        self._with_spans = with_spans
        self.faults: list[HarFormatError] = []

    def to(self, output: str, form: str | None) -> Tally:
        """Convert to a path or a collector."""
        with contextlib.ExitStack() as opened:
            inputs = self._inputs(opened)
            first_name, first = next(inputs)
            is_to_har = (not first.is_har) if form is None else form == "har"
            chain = _chain((first_name, first), inputs)
            if output.startswith(_URL_PREFIX):
                return self._run(chain, self._collector(output))
            if output == _STANDARD_STREAM:
                return self._write(chain, sys.stdout.buffer, is_to_har=is_to_har)
            if is_recorded(Path(output).resolve()):
                raise OSError(errno.EBUSY, "a process records to it", output)

            def rewrite(_: BinaryIO, target: BinaryIO) -> Tally:
                if not is_named_zip(output):
                    return self._write(chain, target, is_to_har=is_to_har)
                with ArchiveWriter(target) as archive:
                    return self._run(chain, StreamHarExporter(archive))

            return rewrite_stream(io.BytesIO(), output, rewrite)

    def _inputs(self, opened: contextlib.ExitStack) -> Iterator[tuple[str, Input]]:
        for name in self._sources:
            stream = sys.stdin.buffer
            if name != _STANDARD_STREAM:
                stream = opened.enter_context(Path(name).open("rb"))  # noqa: SIM115 - the stack closes it
            yield name, Input(stream, self._decoder, self._resource)

    def _collector(self, url: str) -> HarExporter:
        scheme, _, rest = url.removeprefix(_URL_PREFIX).partition("://")
        protocol = _PROTOCOLS.get(scheme)
        if protocol is None:
            raise SettingError(f"a collector is otlp+http://, otlp+https:// or otlp+grpc://HOST:PORT, not {url!r}")
        endpoint = f"{scheme.replace('grpc', 'http')}://{rest}"
        if protocol != "grpc" and urlsplit(endpoint).path in {"", "/"}:
            endpoint = f"{endpoint.rstrip('/')}/v1/logs"
        resource = Resource(self._resource) if self._resource else None
        return OtlpHarExporter(protocol=protocol, endpoint=endpoint, resource=resource)

    def _write(self, inputs: Iterator[tuple[str, Input]], target: BinaryIO, *, is_to_har: bool) -> Tally:
        exporter = StreamHarExporter(_Flowing(target)) if is_to_har else RequestsExporter(target, self._resource)
        return self._run(inputs, exporter)

    def _run(self, inputs: Iterator[tuple[str, Input]], exporter: HarExporter) -> Tally:
        deliverer = Deliverer(self._decoder, OneDestination(exporter, _MAX_PAGES), Window(), SpanRoom(float("inf")))
        flush: Callable[[], object] = lambda: exporter.force_flush(_PATIENCE_MILLIS)  # noqa: E731 - of a collector
        for name, source in inputs:
            try:
                for found in source:
                    self._deliver(deliverer, self._wanted(found), flush)
            except HarFormatError as fault:
                self.faults.append(
                    HarFormatError(fault.message, f"{click.format_filename(name)}: {fault.place}".rstrip(": "))
                )
        if self.faults and not deliverer.tally.entries:
            raise self.faults[0]
        deliverer.close(_PATIENCE_MILLIS)
        return deliverer.tally

    def _deliver(self, deliverer: Deliverer, found: Decoded, flush: Callable[[], object]) -> None:
        (answer,) = deliverer.take([found])
        if answer.verdict is Verdict.BUSY:
            flush()
            (answer,) = deliverer.take([replace(found, rejected=0, foreign=0)])
        if answer.verdict is not Verdict.OK:
            raise OSError(errno.EIO, answer.text)

    def _wanted(self, found: Decoded) -> Decoded:
        """Without what was not asked for."""
        if self._with_spans and not self._traces:
            return found
        arrivals = [
            arrival
            for arrival in found.arrivals
            if (self._with_spans or not arrival.is_span)
            and (not self._traces or arrival.entry is None or _trace(arrival.entry.otel) in self._traces)
        ]
        return replace(found, arrivals=arrivals)


class _Flowing:
    """A stream in which nothing is gone back: what is written stays."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def write(self, data: bytes, /) -> None:
        """Write it."""
        self._target.write(data)

    def flush(self) -> None:
        """Have it written."""
        self._target.flush()


def _chain(first: tuple[str, Input], others: Iterator[tuple[str, Input]]) -> Iterator[tuple[str, Input]]:
    yield first
    yield from others


def _trace(otel: object) -> str:
    return str(otel.get("traceId", "")) if isinstance(otel, dict) else ""


def _resource(attributes: Sequence[str]) -> dict[str, str]:
    made = {}
    for attribute in attributes:
        name, sign, value = attribute.partition("=")
        if not sign or not name:
            raise SettingError(f"a resource attribute is NAME=VALUE, not {attribute!r}")
        made[name] = value
    return made


def _line(tally: Tally) -> str:
    others = (
        (tally.duplicates, "came twice"),
        (tally.failed_entries, "failed"),
        (tally.foreign_records, "records of others"),
    )
    said = [count(tally.entries, "entry", "entries"), *(f"{number} {what}" for number, what in others if number)]
    return ", ".join(said)
