"""Any exchange gives an entry that the checker accepts and that reads back as it is."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zlib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_har.budget import ByteBudget
from otel_har.exchange import Exchange, TlsFacts
from otel_har.export.background.messages import packed, unpacked
from otel_har.export.building import build_batch
from otel_har.export.file import FileHarExporter
from otel_har.export.written import written, written_of
from otel_har.har.checker import check
from otel_har.har.models import Browser, Creator, Entry
from otel_har.har.reader import load
from otel_har.har.writer import HarLayout
from otel_har.limits import CaptureLimits
from otel_har.mapping.entries import entry_from_record, har_entry, page_from_facts
from otel_har.record import HarRecord, PageFacts, SpanFacts

any_exchange = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
to_a_file = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

START_NS = 1_900_000_000_000_000_000

# Any text, lone surrogates included: what `surrogateescape` gives, and what a program may hand in.
any_text = st.text(st.characters(), max_size=20) | st.binary(max_size=20).map(
    lambda data: data.decode("utf-8", "surrogateescape")
)
any_octets = st.binary(max_size=20)
charsets = st.sampled_from(
    [
        "utf-8",
        "UTF8",
        "latin-1",
        "ascii",
        "utf-16",
        "utf-16-le",
        "utf-32",
        "utf-7",
        "utf-8-sig",
        "cp1252",
        "shift_jis",
        "gb18030",
        "big5",
        "iso-2022-jp",
        "hz",
        "potato",
        "hex",
        "zlib",
        "rot13",
        "idna",
        "punycode",
        "",
        "utf-8; charset=latin-1",
        '"utf-8"',
    ]
)
content_types = st.one_of(
    st.builds("{}; charset={}".format, st.sampled_from(["text/plain", "image/png", "application/json", ""]), charsets),
    st.sampled_from(["text/plain", "image/png", "application/json", "Text/HTML", "", "application/octet-stream"]),
    st.sampled_from(["text/event-stream", "TEXT/Event-Stream; charset=latin-1"]),
    any_text,
)
codings = st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "", "x"])
header_names = st.sampled_from(
    ["Set-Cookie", "Cookie", "Location", "location", "Content-Length", "Content-Encoding", "Host", "X"]
)
header_values = st.one_of(
    any_text,
    any_octets,
    st.builds("{}={}; Max-Age={}; Expires={}; Path={}".format, any_text, any_text, st.integers(), any_text, any_text),
    st.integers().map(str),
)
headers = st.lists(st.tuples(header_names | any_text | any_octets, header_values), max_size=6)
bodies = st.one_of(
    st.binary(max_size=60),
    any_text.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=60).map(gzip.compress),
    st.binary(max_size=60).map(zlib.compress),
    st.text(max_size=20).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.lists(st.sampled_from([b"data", b"id", b":", b"\n", b"\r\n", b"\n\n", b"\xff"]), max_size=20).map(b"".join),
)
url_parts = st.sampled_from(
    [
        "http://",
        "https://",
        "//",
        "example.test",
        "user:pass@",
        "[::1]",
        "[",
        "]",
        ":80",
        "/",
        "?a=b&a",
        "#",
        "ä",
        " ",
        "%",
    ]
)
urls = st.lists(url_parts | any_text, max_size=6).map("".join) | any_text.map("http://example.test/".__add__)
span_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | any_text | any_octets,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
span_names = st.sampled_from(
    [
        "http.request.method",
        "http.method",
        "url.full",
        "http.url",
        "http.response.status_code",
        "http.status_code",
        "network.protocol.version",
        "server.address",
        "server.port",
        "network.peer.address",
        "network.peer.port",
        "http.request.body.size",
        "http.response.body.size",
        "http.target",
        "http.scheme",
        "error.type",
        "http.request.header.cookie",
        "http.response.header.set_cookie",
    ]
)
unix_s = st.none() | st.integers(-(2**40), 2**40)
tls_facts = st.builds(
    TlsFacts,
    protocol=any_text,
    cipher=st.none() | any_text,
    subject_name=st.none() | any_text,
    issuer=st.none() | any_text,
    valid_from_unix_s=unix_s,
    valid_to_unix_s=unix_s,
)
instants = st.none() | st.integers(-(10**12), 10**12)
INSTANTS = (
    "queue_started",
    "queue_ended",
    "dns_started",
    "dns_ended",
    "connect_started",
    "connect_ended",
    "tls_started",
    "tls_ended",
    "request_started",
    "request_sent",
    "response_started",
)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Any exchange that a capture could have noted, and many that none would."""
    budget = ByteBudget(draw(st.sampled_from([0, 10, 1_000_000])))
    limits = CaptureLimits(draw(st.sampled_from([0, 1, 5, 17, 1_000])), budget)
    start = draw(st.integers(0, 2**62))
    exchange = Exchange(draw(any_text), draw(urls), started_unix_ns=start, started=0, limits=limits)
    for name in INSTANTS:
        setattr(exchange.instants, name, draw(instants))
    exchange.request_headers = [("Content-Type", draw(content_types)), *draw(headers)]
    _fill(draw, exchange.request_body)
    exchange.request_http_version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2"]) | any_text)
    exchange.status = draw(st.none() | st.integers(100, 599))
    exchange.reason = draw(any_text)
    exchange.http_version = draw(st.none() | st.just("HTTP/1.1") | any_text)
    exchange.response_headers = [
        ("Content-Type", draw(content_types)),
        ("Content-Encoding", draw(codings)),
        *draw(headers),
    ]
    _fill(draw, exchange.response_body)
    exchange.peer_address = draw(st.none() | any_text | st.ip_addresses().map(str))
    exchange.peer_port = draw(st.none() | st.integers(0, 65_535))
    exchange.connection_id = draw(st.none() | any_text)
    exchange.request_head = draw(st.none() | any_octets | st.just(b"GET / HTTP/1.1\r\nA: b\r\n c\r\nD\r\n\r\n"))
    exchange.socket_path = draw(st.none() | any_text)
    exchange.proxy = draw(st.none() | urls)
    exchange.tls = draw(st.none() | tls_facts)
    exchange.initiator = draw(st.lists(st.tuples(any_text, any_text, st.integers(0, 10**6)), max_size=3))
    exchange.error = draw(st.none() | any_text)
    exchange.end_reason = draw(st.none() | any_text)
    if draw(st.booleans()):
        exchange.finish(draw(st.integers(-(10**12), 10**12)))
    return exchange


def _fill(draw: st.DrawFn, body: Any) -> None:
    for chunk in draw(st.lists(bodies, max_size=2)):
        body.note(chunk)
        body.arrivals.note(draw(st.integers(-(10**12), 10**12)), body.size_bytes)
    body.framing_bytes = draw(st.integers(0, 100))
    body.wire_bytes_lost = draw(st.booleans())
    body.trailers = draw(headers)
    body.encoded = draw(st.booleans())
    body.ended = draw(st.booleans())
    body.wire_size_bytes = draw(st.none() | st.integers(0, 10**6))


spans = st.builds(
    SpanFacts,
    trace_id=st.just("1" * 32),
    span_id=st.just("2" * 16),
    parent_span_id=st.none() | st.just("3" * 16),
    scope=any_text,
    start_unix_ns=st.integers(0, 2**62),
    end_unix_ns=st.none() | st.integers(0, 2**62),
    status_code=st.sampled_from(["UNSET", "OK", "ERROR"]),
    status_description=st.none() | any_text,
    attributes=st.dictionaries(span_names | any_text, span_values, max_size=8),
    exception=st.none() | any_text,
)
pages = st.builds(
    PageFacts,
    id=st.just("page"),
    title=any_text,
    started_unix_ns=st.integers(0, 2**62),
    on_load_ms=st.just(-1) | st.floats(0, 1e12),
)
records = st.builds(HarRecord, exchange=exchanges(), span=spans, page=pages)
records_of_spans = st.builds(HarRecord, exchange=st.none(), span=spans, page=pages)


def _document(record: HarRecord, entry: Entry, indent: int | None = None) -> bytes:
    layout = HarLayout(Creator(name="test", version="1"), Browser(name="test", version="1"), indent)
    return (
        layout.head()
        + layout.entries([entry.to_json(indent)], first=True)
        + layout.tail([page_from_facts(record.page)])
    )


def _assert_good(record: HarRecord, indent: int | None = None) -> None:
    """The entry has no fault, and reading gives it back as it was written."""
    entry = entry_from_record(record)
    document = _document(record, entry, indent)
    assert [] == [str(fault) for fault in check(io.BytesIO(document))]
    [read] = load(io.BytesIO(document)).log.entries
    assert Entry.model_validate(json.loads(entry.to_json())) == read
    assert json.loads(entry.to_json()) == json.loads(read.to_json())
    text = written(har_entry(record))  # without a model, as a processor does it
    assert json.loads(entry.to_json()) == json.loads((text or written_of(entry)).text)


@any_exchange
@given(records, st.sampled_from([None, 0, 2]))
def test_any_exchange(record: HarRecord, indent: int | None) -> None:
    """Whatever a capture noted, the entry is one that every reader takes."""
    _assert_good(record, indent)


@any_exchange
@given(records)
def test_any_exchange_elsewhere(record: HarRecord) -> None:
    """What another process gets of an exchange gives the entry that it gives here."""
    [there] = unpacked(packed([record]))
    assert isinstance(there, HarRecord)
    assert har_entry(record) == har_entry(there)
    assert record.exchange is not None
    assert there.exchange is not None
    assert record.exchange.response_body.kept_bytes == there.exchange.response_body.kept_bytes


@any_exchange
@given(records_of_spans)
def test_any_span(record: HarRecord) -> None:
    """Whatever a client span has for attributes, the entry is one that every reader takes."""
    _assert_good(record)


@any_exchange
@given(bodies, content_types)
@example(b"\xff\xfea\x00", "text/plain; charset=utf-16")
@example(b"a\x00b\x00", "text/plain; charset=utf-16")
@example(b"\x80", "text/event-stream; charset=latin-1")
def test_whole_body_comes_back(data: bytes, content_type: str) -> None:
    """A whole body without coding is the same bytes in its own charset, in UTF-8, or from base64."""
    limits = CaptureLimits()
    exchange = Exchange("GET", "http://example.test/", started_unix_ns=START_NS, started=0, limits=limits)
    exchange.status = 200
    exchange.response_headers = [("Content-Type", content_type)]
    exchange.response_body.note(data)
    exchange.response_body.ended = True
    exchange.finish(1)
    span = SpanFacts("1" * 32, "2" * 16, None, "", START_NS, None, "UNSET", None, {}, None)
    content = entry_from_record(HarRecord(exchange, span, PageFacts("p", "p", START_NS))).response.content
    assert len(data) == content.size
    if not data:
        return
    body = content.body()
    assert body is not None
    if body != data:
        assert content.encoding is None
        charset = content_type.lower().rpartition("charset=")[2].strip(' "')
        assert data == (content.text or "").encode(charset)


@to_a_file
@given(st.lists(records, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_any_exchanges_in_a_file(batch: list[HarRecord], indent: int | None) -> None:
    """Batches of any exchanges, one after the other, make a file without a fault; none of them is lost."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "out.har"
        exporter = FileHarExporter(path, indent)
        try:
            for record in batch:
                exporter.export(build_batch([record]))
                exporter.export(build_batch([record.page]))
                assert [] == [str(fault) for fault in check(path)]
        finally:
            exporter.shutdown()
        assert len(batch) == len(load(path).log.entries)
