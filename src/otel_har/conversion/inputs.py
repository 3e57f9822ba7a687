"""Files of entries in any form: HAR, OTLP's JSON, OTLP's protobuf, rows of a store of logs; plain or gzip.

The rule: what a file is its first bytes tell, not its name. It is read piece by piece, and what is whole of it is given
before what is wrong with it is said. Of several requests one that is none costs itself alone, as long as it is known
where the next one begins.
"""

from __future__ import annotations

import codecs
import itertools
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any, BinaryIO

import ijson  # type: ignore[import-untyped] # it has no types
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_har.conversion.documents import DocumentArrival, about, id_of, of_document
from otel_har.conversion.rows import MARK, event_of_row
from otel_har.errors import HarFormatError
from otel_har.export.weight import text_length
from otel_har.har.attaching import ZIP
from otel_har.har.packing import Readable, beginning, unpacked
from otel_har.har.reader import HarReader
from otel_har.har.source import Utf8Source
from otel_har.har.stream import fed
from otel_har.otlp.event import DOCUMENT_EVENT, DOCUMENT_ID, Event, document_of
from otel_har.otlp.json_form import request_from_value
from otel_har.otlp.logs import Origin, events_in
from otel_har.receive.decoding import Decoded, Decoder, Resource, of_spans, resource_texts

Request = ExportLogsServiceRequest | ExportTraceServiceRequest

_GROUP = 100  # entries
_GROUP_CHARACTERS = 8 * 1024 * 1024
_MOST_BYTES = 1 << 30  # of one request
_CHUNK_BYTES = 1 << 16
_HEAD_BYTES = 4096
_LOGS = frozenset({"resourceLogs", "resource_logs"})
_SPANS = frozenset({"resourceSpans", "resource_spans"})
_OF_OTLP = _LOGS | _SPANS | {"resourceMetrics", "resource_metrics"}
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what no JSON has
_FIRST_MEMBER = re.compile(rb'\s*\{\s*"([^"\\]*)"')
_LENGTH = struct.Struct(">I")  # the collector's `file` exporter: before each message its length
_LARGEST_LENGTH = b"\x09"  # of a length its first byte; what is larger is text
_ZSTD = b"\x28\xb5\x2f\xfd"
_FIELD_1 = b"\x0a"  # the tag of what an export request has
_TRACE_ID_BYTES = 16


class Input:
    """One source of entries.

    Args:
        stream: Its bytes; it stays open.
        decoder: Reads events; parts of entries may stand in several requests.
        resource: Where the entries of a HAR file are from.

    Attributes:
        is_har: Whether it is HAR.
        broken: How many of its requests are none.
        fault: What is wrong with the first of them.

    Raises:
        HarFormatError: It is none of those forms.
    """

    def __init__(self, stream: BinaryIO, decoder: Decoder, resource: Resource) -> None:
        self._decoder = decoder
        self._resource = resource
        self.broken = 0
        self.fault: HarFormatError | None = None
        start = beginning(stream)
        if start.startswith(ZIP) and stream.seekable():
            stream.seek(0)
            self._document = id_of(stream.read(_HEAD_BYTES))
            stream.seek(0)
            self._source: Any = stream
            self.is_har, self._is_json = True, False
            return
        text = unpacked(stream, start)
        head = _head(text)
        self._document = id_of(head[:_HEAD_BYTES])
        self._source = _Joined(head, text)
        first = _FIRST_MEMBER.match(head.removeprefix(codecs.BOM_UTF8))
        name = first[1].decode("utf-8", "replace") if first is not None else "log"
        self._is_json = name in _OF_OTLP or (name != "log" and MARK.search(head) is not None)
        # What is neither is HAR or nothing that is known: its reader says which.
        self.is_har = not self._is_json and not _is_protobuf(head)

    def __iter__(self) -> Iterator[Decoded]:
        if self.is_har:
            yield from self._of_har()
            return
        for found in self._of_json() if self._is_json else self._of_protobuf():
            if isinstance(found, ExportTraceServiceRequest):
                yield of_spans(found)
                continue
            if isinstance(found, ExportLogsServiceRequest):
                events = events_in(found)
            else:
                events = ((Origin(self._resource), event) for event in found)
            for document, some in itertools.groupby(events, _document_of):
                yield self._of_document(document, some)

    def _of_document(self, document: str, events: Iterable[tuple[Origin, Event]]) -> Decoded:
        """Events that were made of one HAR file, or of none."""
        if not document:
            return self._decoder.of_events(events)
        others: list[tuple[Origin, Event]] = []
        abouts: list[DocumentArrival] = []
        for origin, event in events:
            if event.name == DOCUMENT_EVENT:
                abouts.append(
                    DocumentArrival(resource_texts(origin.resource), document=document, about=document_of(event))
                )
            else:
                others.append((origin, event))
        found = self._decoder.of_events(others)
        found.arrivals = [*(of_document(arrival, document) for arrival in found.arrivals), *abouts]
        return found

    def _of_har(self) -> Iterator[Decoded]:
        with HarReader(self._source) as reader:
            found, length = Decoded(), 0
            fault = None
            try:
                for arrival in self._arrivals(reader):
                    found.arrivals.append(arrival)
                    length += text_length(arrival.entry) if arrival.entry is not None else 0
                    if len(found.arrivals) >= _GROUP or length > _GROUP_CHARACTERS:
                        yield found
                        found, length = Decoded(), 0
            except HarFormatError as broken:
                fault = broken
            yield found
            if fault is not None:
                raise fault

    def _arrivals(self, reader: HarReader) -> Iterator[DocumentArrival]:
        """The entries of a file, its pages, and last what it has beside them."""
        made = partial(DocumentArrival, self._resource, document=self._document)
        pages = {page.id: page for page in reader.pages}
        for entry in reader:
            yield made(entry=entry, page=pages.get(entry.pageref or ""))
        for page in reader.pages:
            yield made(page=page)
        yield made(about=about(reader.log, reader.document_members))

    def _of_json(self) -> Iterator[Request | list[Event]]:
        for value in _json_values(self._source):
            name = next(iter(value), "") if isinstance(value, dict) else ""
            if name in _LOGS:
                yield from self._whole(partial(request_from_value, value, ExportLogsServiceRequest()))
            elif name in _SPANS:
                yield from self._whole(partial(request_from_value, value, ExportTraceServiceRequest()))
            elif (event := event_of_row(value)) is not None:
                yield [event]
            elif name == "log":
                raise HarFormatError("'log' begins no export request of OTLP")
            elif name and name not in _OF_OTLP:
                yield [Event("")]  # a row of others: a query for a trace gives all its logs

    def _of_protobuf(self) -> Iterator[Request]:
        for data in _messages(self._source):
            yield from self._whole(partial(_parsed, data))

    def _whole(self, parse: Callable[[], Request]) -> Iterator[Request]:
        """A request, unless it is none; then that is noted."""
        try:
            yield parse()
        except HarFormatError as fault:
            self.broken += 1
            self.fault = self.fault or fault


def _document_of(told: tuple[Origin, Event]) -> str:
    document = told[1].attributes.get(DOCUMENT_ID)
    return document if isinstance(document, str) else ""


class _Joined:
    """A stream whose beginning was read already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many, some as long as there are any."""
        if not self._start:
            self._start = self._rest.read(size)
        piece, self._start = self._start[:size], self._start[size:]
        return piece

    def exactly(self, size: int) -> bytes:
        """So many bytes, or what is left."""
        pieces = []
        while size > 0 and (piece := self.read(min(size, _CHUNK_BYTES))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _head(stream: Readable) -> bytes:
    """The first bytes, enough to tell what they are."""
    head = stream.read(_CHUNK_BYTES)
    while 0 < len(head) < _HEAD_BYTES and (more := stream.read(_CHUNK_BYTES)):
        head += more
    return head


def _json_values(stream: _Joined) -> Iterator[Any]:
    """The JSON texts of a stream, one after the other, on one line each or not."""
    values = ijson.sendable_list()
    # Numbers as int or Decimal: asked for floats, yajl refuses integers beyond 64 bits, which stores do have.
    parser = ijson.items_coro(values, "", multiple_values=True)
    source = Utf8Source(stream)  # type: ignore[arg-type] # of a stream it only reads
    chunks = iter(source)
    is_last = False
    while not is_last:
        chunk = next(chunks, None)
        is_last = chunk is None
        fault = fed(parser, chunk, values)
        yield from map(_with_floats, values)
        values.clear()
        if fault is not None:
            cause = "it ends too early" if is_last else str(fault).partition("\n")[0]
            raise HarFormatError(f"not JSON to its end: {cause}")


def _with_floats(value: Any) -> Any:
    """A parsed JSON text with floats for its decimals; it is changed."""
    root = [value]
    waiting: list[Any] = [root]
    while waiting:
        container = waiting.pop()
        members = container.items() if isinstance(container, dict) else enumerate(container)
        for name, one in members:
            if isinstance(one, Decimal):
                container[name] = float(one)
            elif isinstance(one, dict | list):
                waiting.append(one)
    return root[0]


def _is_framed(head: bytes) -> bool:
    """Whether messages follow each other as the collector writes them: each with its length before it."""
    return head[:1] < _LARGEST_LENGTH and head[4:5] == _FIELD_1


def _is_protobuf(head: bytes) -> bool:
    """Whether it is one request, or several."""
    if head[4:8] == _ZSTD:
        raise HarFormatError("it is compressed with zstd: unpack it, or have the collector write it without")
    # A line feed is white space before JSON, too, and a length may look like its brace.
    return _is_framed(head) or (
        head[:1] == _FIELD_1 and (head.lstrip()[:1] != b"{" or _CONTROL.search(head) is not None)
    )


def _messages(stream: _Joined) -> Iterator[bytes]:
    """The messages of a file, without what is between them."""
    head = stream.read(_HEAD_BYTES)
    stream = _Joined(head, stream)
    if not _is_framed(head):
        yield _whole(stream, _MOST_BYTES + 1, least=0)
        return
    while prefix := stream.exactly(_LENGTH.size):
        yield _whole(stream, _LENGTH.unpack(prefix)[0] if len(prefix) == _LENGTH.size else _MOST_BYTES)


def _whole(stream: _Joined, size: int, least: int | None = None) -> bytes:
    data = stream.exactly(min(size, _MOST_BYTES + 1))
    if len(data) > _MOST_BYTES:
        raise HarFormatError(f"a request has more than {_MOST_BYTES} bytes")
    if len(data) < (size if least is None else least):
        raise HarFormatError("a request is not whole: it ends too early")
    return data


def _parsed(data: bytes) -> Request:
    """A request of traces, if it has a span, and of logs otherwise: protobuf does not say which it is.

    The first field of a log record is a number where that of a span is its trace.
    """
    try:
        traces = ExportTraceServiceRequest.FromString(data)
    except DecodeError:
        pass
    else:
        scopes = (scope for one in traces.resource_spans for scope in one.scope_spans)
        if any(len(span.trace_id) == _TRACE_ID_BYTES for scope in scopes for span in scope.spans):
            return traces
    try:
        return ExportLogsServiceRequest.FromString(data)
    except DecodeError as fault:
        raise HarFormatError(f"no export request of OTLP: {fault}") from None
