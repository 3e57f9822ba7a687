"""What `otel-har convert` does with its options."""

from __future__ import annotations

import contextlib
import errno
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

import click

from otel_har.cli.check import count
from otel_har.conversion.documents import DocumentArrival, DocumentEvents, of_no_document
from otel_har.conversion.event_targets import Collector, EventTarget, Lines
from otel_har.conversion.har_target import HarTarget, Writable
from otel_har.conversion.inputs import Input
from otel_har.conversion.ledger import DocumentLedger
from otel_har.conversion.requests_exporter import RequestsExporter
from otel_har.errors import HarFormatError, OtelHarError, SettingError
from otel_har.export.files.room import is_recorded
from otel_har.export.interfaces import HarExporter
from otel_har.export.sending.settings import shown_url
from otel_har.har.attaching import ArchiveWriter, is_named_zip
from otel_har.har.models import Entry
from otel_har.har.replacing import rewrite_stream
from otel_har.receive.answers import Verdict
from otel_har.receive.decoding import Decoded, Decoder, Resource
from otel_har.receive.delivering import Deliverer, Tally
from otel_har.receive.destinations import Destination, Destinations
from otel_har.receive.duplicates import Window
from otel_har.receive.span_room import SpanRoom

__all__ = ["run"]

_EXIT_BROKEN = 1
_EXIT_UNUSABLE = 2
_STANDARD_STREAM = "-"
_URL_PREFIX = "otlp+"
_PROTOCOLS = {"http": "http/protobuf", "https": "http/protobuf", "grpc": "grpc", "grpcs": "grpc"}
_MOST_BYTES = 1 << 30
_MAX_PAGES = 100_000  # they are in memory, 3 kB each or so
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
    name = shown_url(output) if output.startswith(_URL_PREFIX) else click.format_filename(output)
    click.echo(f"{name}: {_line(tally)}", err=output == _STANDARD_STREAM)
    for broken in conversion.faults:
        click.echo(f"otel-har: {broken}", err=True)
    for source, reason in conversion.reasons.items():
        click.echo(f"otel-har: {click.format_filename(source)}: {reason}", err=True)
    if tally.failed_entries or conversion.faults:
        raise click.exceptions.Exit(_EXIT_BROKEN)


def _exit(status: int, text: str) -> click.exceptions.Exit:
    click.echo(f"otel-har: {text}", err=True)
    return click.exceptions.Exit(status)


class _Conversion:
    """From sources to an exporter.

    Attributes:
        faults: What is wrong with sources that are broken; what is whole of them is converted.
        reasons: Why the first record failed that could not be read, by source.
    """

    def __init__(
        self, sources: Sequence[str], resource: dict[str, str], traces: frozenset[str], *, with_spans: bool
    ) -> None:
        self._sources = sources
        self._resource = resource
        self._traces = traces
        self._decoder = Decoder(_MOST_BYTES, with_spans=with_spans)
        self._with_spans = with_spans
        self._events = DocumentEvents()
        self.faults: list[HarFormatError] = []
        self.reasons: dict[str, str] = {}

    def to(self, output: str, form: str | None) -> Tally:
        """Convert to a path or a collector."""
        with contextlib.ExitStack() as opened:
            inputs = self._inputs(opened)
            first_name, first = next(inputs)
            is_to_har = (not first.is_har) if form is None else form == "har"
            chain = _chain((first_name, first), inputs)
            if output.startswith(_URL_PREFIX):
                return self._to_otlp(chain, self._collector(output))
            if output == _STANDARD_STREAM:
                return self._write(chain, sys.stdout.buffer, is_to_har=is_to_har)
            if is_recorded(Path(output).resolve()):
                raise OSError(errno.EBUSY, "a process records to it", output)

            def rewrite(_: BinaryIO, target: BinaryIO) -> Tally:
                if not is_named_zip(output):
                    return self._write(chain, target, is_to_har=is_to_har)
                with ArchiveWriter(target) as archive:
                    return self._to_har(chain, archive)

            return rewrite_stream(io.BytesIO(), output, rewrite)

    def _inputs(self, opened: contextlib.ExitStack) -> Iterator[tuple[str, Input]]:
        for name in self._sources:
            stream = sys.stdin.buffer
            if name != _STANDARD_STREAM:
                stream = opened.enter_context(Path(name).open("rb"))  # noqa: SIM115 - the stack closes it
            yield name, Input(stream, self._decoder, self._resource)

    def _collector(self, url: str) -> EventTarget:
        scheme, _, rest = url.removeprefix(_URL_PREFIX).partition("://")
        protocol = _PROTOCOLS.get(scheme)
        if protocol is None:
            raise SettingError("a collector is otlp+http://, otlp+https:// or otlp+grpc://HOST:PORT")
        endpoint = f"{scheme.replace('grpc', 'http')}://{rest}"
        if protocol != "grpc" and urlsplit(endpoint).path in {"", "/"}:
            endpoint = urlunsplit(urlsplit(endpoint)._replace(path="/v1/logs"))
        return Collector(protocol, endpoint, self._resource)

    def _write(self, inputs: Iterator[tuple[str, Input]], target: BinaryIO, *, is_to_har: bool) -> Tally:
        if is_to_har:
            return self._to_har(inputs, target)
        return self._to_otlp(inputs, Lines(target, self._resource))

    def _to_har(self, inputs: Iterator[tuple[str, Input]], stream: Writable) -> Tally:
        ledger = DocumentLedger(_MAX_PAGES)
        return self._run(inputs, HarTarget(stream, ledger), ledger, None)

    def _to_otlp(self, inputs: Iterator[tuple[str, Input]], target: EventTarget) -> Tally:
        try:
            tally = self._run(inputs, RequestsExporter(target), DocumentLedger(_MAX_PAGES), target)
        finally:
            target.close()
        if target.lost_entries:
            self.faults.append(HarFormatError(f"{target.lost_entries} entries were refused: {target.fault}"))
            tally.entries -= target.lost_entries
            tally.failed_entries += target.lost_entries
        return tally

    def _run(
        self,
        inputs: Iterator[tuple[str, Input]],
        exporter: HarExporter,
        ledger: DocumentLedger,
        target: EventTarget | None,
    ) -> Tally:
        deliverer = Deliverer(self._decoder, _Destination(exporter, ledger), Window(), SpanRoom(float("inf")))
        for name, source in inputs:
            try:
                for found in map(self._wanted, source):
                    if found.fault:
                        self.reasons.setdefault(name, found.fault)
                    if target is not None:
                        self._pass_on(found, target, deliverer.tally)
                    self._deliver(deliverer, found)
            except HarFormatError as fault:
                self._note(name, fault)
            if source.fault is not None:
                further = f", and {source.broken - 1} more" if source.broken > 1 else ""
                self._note(name, HarFormatError(f"{source.fault.message}{further}", source.fault.place))
        if self.faults and not deliverer.tally.entries:
            raise self.faults[0]
        deliverer.close(_PATIENCE_MILLIS)
        return deliverer.tally

    def _note(self, name: str, fault: HarFormatError) -> None:
        self.faults.append(HarFormatError(fault.message, f"{click.format_filename(name)}: {fault.place}".rstrip(": ")))

    def _pass_on(self, found: Decoded, target: EventTarget, tally: Tally) -> None:
        """What is of a HAR file goes into OTLP as it is there."""
        arrivals = [arrival for arrival in found.arrivals if isinstance(arrival, DocumentArrival)]
        target.write(self._events.of(arrivals))
        tally.entries += sum(arrival.entry is not None for arrival in arrivals)
        found.arrivals = [arrival for arrival in found.arrivals if not isinstance(arrival, DocumentArrival)]

    def _deliver(self, deliverer: Deliverer, found: Decoded) -> None:
        (answer,) = deliverer.take([found])
        if answer.verdict is not Verdict.OK:
            raise OSError(errno.EIO, answer.text)

    def _wanted(self, found: Decoded) -> Decoded:
        """Without what was not asked for. A part of a file is another file."""
        if self._with_spans and not self._traces:
            return found
        arrivals = [
            of_no_document(arrival) if self._traces else arrival
            for arrival in found.arrivals
            if (self._with_spans or not arrival.is_span)
            and (not self._traces or arrival.entry is None or _trace(arrival.entry.otel) in self._traces)
        ]
        return replace(found, arrivals=arrivals)


class _Destination(Destinations):
    """The only one."""

    def __init__(self, exporter: HarExporter, ledger: DocumentLedger) -> None:
        self._destination = Destination(exporter, ledger)

    def name(self, resource: Resource, entry: Entry | None) -> str:  # noqa: ARG002 - there is one
        return ""

    def destination(self, name: str) -> Destination:  # noqa: ARG002 - there is one
        return self._destination

    def upkeep(self) -> None:
        """Time brings nothing."""

    def close(self, timeout_millis: int) -> None:
        self._destination.exporter.shutdown(timeout_millis)


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
