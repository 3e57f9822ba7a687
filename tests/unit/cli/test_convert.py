"""`otel-har convert`: OTLP to HAR and back, in every form, whole and broken."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import commands
from otel_har.har.models import Entry
from otel_har.har.reader import load
from otel_har.otlp.event import ENTRY_EVENT, ENTRY_JSON, Event, entry_event, page_event, parts_of
from otel_har.otlp.json_form import json_from_request
from servers.programs import read_checked
from servers.receiving import PAGE, entry, receiving, request, request_of_events

ROOT = Path(__file__).parents[3]
VALID = ROOT / "tests" / "data" / "har" / "valid.har"
ENTRIES = [entry(number, "é" * number) for number in range(1, 6)]
REQUESTS = [request(*ENTRIES[:2]), request(*ENTRIES[2:]), request_of_events(Event("a log"))]
LINES = b"".join(json_from_request(one) + b"\n" for one in REQUESTS)
PRETTY = b"".join(json.dumps(json.loads(line), indent=1).encode() for line in LINES.splitlines())
FRAMES = b"".join(struct.pack(">I", one.ByteSize()) + one.SerializeToString() for one in REQUESTS)
run = partial(commands.run, "convert")


def entries(path: Path) -> list[Entry]:
    """What a file has, which the checker has no complaint about."""
    read_checked(path)
    return list(load(path).log.entries)


@pytest.mark.parametrize(
    "data",
    [
        LINES,
        PRETTY,
        b"\xef\xbb\xbf" + LINES,
        gzip.compress(LINES, mtime=0),
        FRAMES,
        gzip.compress(FRAMES[:100], mtime=0) + gzip.compress(FRAMES[100:], mtime=0),
        request(*ENTRIES).SerializeToString(),
    ],
)
@pytest.mark.parametrize("name", ["out.har", "out.har.gz", "out.zip"])
def test_to_har(tmp_path: Path, data: bytes, name: str) -> None:
    """OTLP in each form is HAR, in each form, whatever the name of the file says."""
    source, output = tmp_path / "x.har", tmp_path / name
    source.write_bytes(data)
    done = run(source, output)
    assert (0, f"{output}: 5 entries") == (done.exit_code, done.output.partition(",")[0].strip())
    assert sorted(ENTRIES, key=lambda one: one.started_date_time) == entries(output)
    assert (PAGE,) == load(output).log.pages


def test_standard_streams() -> None:
    """A dash is standard input and output, each a pipe; what is said goes to standard error."""
    command = [sys.executable, "-m", "otel_har", "convert", "-", "-"]
    done = subprocess.run(command, input=VALID.read_bytes(), capture_output=True, check=False, timeout=60)
    assert (0, b"-: 3 entries\n") == (done.returncode, done.stderr)
    again = subprocess.run(command, input=done.stdout, capture_output=True, check=False, timeout=60)
    assert (0, b"-: 3 entries\n") == (again.returncode, again.stderr)
    assert 3 == again.stdout.count(b'"startedDateTime"') - again.stdout.count(b'"pageTimings"')


@pytest.mark.parametrize("cut", [LINES[:-200], FRAMES[:-5], FRAMES[:-5] + b"", LINES + b"x", LINES + b'{"log": {}}'])
def test_broken(tmp_path: Path, cut: bytes) -> None:
    """Of a file that is cut, or has something else in its end, what is whole is converted, and the fault is said."""
    (tmp_path / "in").write_bytes(cut)
    done = run(tmp_path / "in", tmp_path / "out.har")
    assert 1 == done.exit_code
    assert f"otel-har: {tmp_path / 'in'}: " in done.output
    assert ENTRIES[:2] == entries(tmp_path / "out.har")[:2]


@pytest.mark.parametrize("data", [b"", b"x", b"[1]", b"\x28\xb5\x2f\xfd", b"\0\0\0\5\x28\xb5\x2f\xfd", b"\x0a\xff"])
def test_nothing(tmp_path: Path, data: bytes) -> None:
    """What is nothing of the kind makes no file."""
    (tmp_path / "in").write_bytes(data)
    done = run(tmp_path / "in", tmp_path / "out.har")
    assert (1, False) == (done.exit_code, (tmp_path / "out.har").exists()), done.output


def test_several(tmp_path: Path) -> None:
    """Several sources are one; what is in two of them is there once, and parts of an entry may be in two."""
    first, second, *rest = parts_of(entry_event(entry(9, "x" * 1000), PAGE), 800)
    ended = PAGE.model_copy(
        update={"title": "renamed", "page_timings": PAGE.page_timings.model_copy(update={"on_load": 7})}
    )
    (tmp_path / "a").write_bytes(LINES + json_from_request(request_of_events(first)))
    (tmp_path / "b").write_bytes(LINES + json_from_request(request_of_events(second, *rest, page_event(ended))))
    done = run(tmp_path / "a", tmp_path / "b", tmp_path / "out.har")
    assert (0, f"{tmp_path / 'out.har'}: 6 entries, 5 came twice, 2 records of others\n") == (
        done.exit_code,
        done.output,
    )
    assert 6 == len(entries(tmp_path / "out.har"))
    assert (ended,) == load(tmp_path / "out.har").log.pages


def test_rows(tmp_path: Path) -> None:
    """What a query of a store of logs gives is read, with texts for numbers and other names for attributes."""
    whole = [entry_event(one, PAGE) for one in ENTRIES[:2]] + parts_of(entry_event(ENTRIES[2], PAGE), 800)
    texts = [{name: str(one) for name, one in event.attributes.items()} for event in whole]
    clickhouse = [{"TraceId": "x", "LogAttributes": text} for text in texts]
    loki = [{"labels": {name.replace(".", "_"): one for name, one in texts[0].items()}, "line": ""}]
    (tmp_path / "in").write_text("\n".join(map(json.dumps, [*clickhouse, *loki])))
    done = run(tmp_path / "in", tmp_path / "out.har")
    assert (0, f"{tmp_path / 'out.har'}: 3 entries, 1 came twice\n") == (done.exit_code, done.output)
    assert ENTRIES[:3] == entries(tmp_path / "out.har")
    assert (PAGE,) == load(tmp_path / "out.har").log.pages


def framed(data: bytes) -> bytes:
    """A message as the collector writes it."""
    return struct.pack(">I", len(data)) + data


FIRST, *FURTHER = (one.SerializeToString() for one in REQUESTS)


@pytest.mark.parametrize(
    "data",
    [
        LINES.replace(b"\n", b'\n{"resourceLogs": 5}\n{"resourceSpans": 5}\n', 1),
        b"".join(map(framed, [FIRST, b"\x0a\xff", b"\x0a\xfe", *FURTHER])),
    ],
)
def test_request_that_is_none(tmp_path: Path, data: bytes) -> None:
    """A request that is none among others costs itself alone, and is said."""
    (tmp_path / "in").write_bytes(data)
    done = run(tmp_path / "in", tmp_path / "out.har")
    assert 1 == done.exit_code
    assert f"otel-har: {tmp_path / 'in'}: no export request" in done.output
    assert ", and 1 more" in done.output
    assert ENTRIES == entries(tmp_path / "out.har")


def test_protobuf_like_text(tmp_path: Path) -> None:
    """A request of protobuf that begins with a line feed and a brace, as JSON may, is none of JSON."""
    whole = ExportTraceServiceRequest()
    span = whole.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, kind=3)
    for name, value in (("http.request.method", "GET"), ("url.full", "http://a/")):
        span.attributes.add(key=name).value.string_value = value
    span.name = "x" * (0x7B - whole.resource_spans[0].ByteSize() - 2)
    data = whole.SerializeToString()
    assert b"\n{" == data[:2]
    (tmp_path / "in").write_bytes(data)
    assert 0 == run(tmp_path / "in", tmp_path / "out.har", "--to", "har").exit_code
    assert ["http://a/"] == [one.request.url for one in entries(tmp_path / "out.har")]


def test_har_that_names_us_first(tmp_path: Path) -> None:
    """A HAR file whose first member is not its log is HAR, also where it names this package there."""
    (tmp_path / "in").write_text(json.dumps({"_by": "otel_har"} | json.loads(VALID.read_text("utf-8"))))
    done = run(tmp_path / "in", tmp_path / "out.har", "--to", "har")
    assert (0, f"{tmp_path / 'out.har'}: 3 entries\n") == (done.exit_code, done.output)


def test_rows_of_others(tmp_path: Path) -> None:
    """A query for a trace gives its other logs, too, and stores have numbers beyond 64 bits."""
    ours = [
        {"Hash": 2**64 - 1, "Share": 0.5, "LogAttributes": dict(entry_event(one).attributes)} for one in ENTRIES[:2]
    ]
    others = [{"Hash": 10**30, "LogAttributes": {"a": "b"}, "Body": "shopping"}, {"labels": {}, "line": "x"}]
    rows = [ours[0], *others, ours[1]]
    (tmp_path / "in").write_text("\n".join(map(json.dumps, rows)))
    done = run(tmp_path / "in", tmp_path / "out.har")
    assert (0, f"{tmp_path / 'out.har'}: 2 entries, 2 records of others\n") == (done.exit_code, done.output)
    assert ENTRIES[:2] == entries(tmp_path / "out.har")


def test_why_an_entry_fails(tmp_path: Path) -> None:
    """Of the records that cannot be read the first one's reason is said."""
    (tmp_path / "in").write_bytes(json_from_request(request_of_events(entry_event(ENTRIES[0]), Event(ENTRY_EVENT))))
    done = run(tmp_path / "in", tmp_path / "out.har")
    reason = (
        f"otel-har: {tmp_path / 'in'}: otel_har.entry: an event otel_har.entry without the attribute {ENTRY_JSON}\n"
    )
    assert (1, f"{tmp_path / 'out.har'}: 1 entry, 1 failed\n{reason}") == (done.exit_code, done.output)


def test_trace(tmp_path: Path) -> None:
    """The entries of one trace can be had alone."""
    other = "1" * 32
    (tmp_path / "in").write_bytes(json_from_request(request(*ENTRIES, entry(7, trace=other))))
    assert 0 == run("--trace", other.upper(), tmp_path / "in", tmp_path / "out.har").exit_code
    assert ["http://shop.test/7"] == [one.request.url for one in entries(tmp_path / "out.har")]


def test_collector(tmp_path: Path) -> None:
    """A HAR file goes into a collector, over both protocols; what was there before comes no second time."""
    out = tmp_path / "out.har"
    with receiving(out) as receiver:
        for url in (f"otlp+http://{receiver.http}", f"otlp+grpc://{receiver.grpc}"):
            done = run("--resource", "service.name=shop", VALID, url)
            assert (0, f"{url}: 3 entries\n") == (done.exit_code, done.output)
    assert list(load(VALID).log.entries) == list(load(out).log.entries)
    assert "otel-har: 3 entries in 2 requests, 3 came twice" == receiver.summary


def test_wrong_usage(tmp_path: Path) -> None:
    """What cannot be used is said."""
    out = str(tmp_path / "out.har")
    cases = {
        (str(tmp_path / "none"), out): "none: No such file or directory",
        (str(VALID), "otlp+ftp://x"): "a collector is otlp+http://",
        ("--resource", "x", str(VALID), out): "NAME=VALUE",
        (str(VALID), str(tmp_path / "none" / "x.har")): "no such directory",
    }
    for arguments, expected in cases.items():
        done = run(*arguments)
        assert (2, True) == (done.exit_code, expected in done.output), done.output
