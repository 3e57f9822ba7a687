"""`otel-har receive` as a process: what it says, what it writes, how it ends."""

from __future__ import annotations

import gzip
import os
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.cli.app import app
from otel_har.otlp.event import Event, entry_event
from otel_har.otlp.json_form import json_from_request
from otel_har.otlp.logs import Origin
from servers.programs import read_checked
from servers.receiving import PAGE, SHOP, Receiving, entry, receiving, request, request_of_events

TOKEN = {"OTEL_HAR_RECEIVE_TOKEN": "let me in"}


def send(receiver: Receiving, number: int, origin: Origin = SHOP, token: str = "") -> int:
    """Send an entry over HTTP, as JSON: the status."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    body = gzip.compress(json_from_request(request(entry(number), origin=origin)))
    asked = urllib.request.Request(f"http://{receiver.http}/v1/logs", body, headers)
    try:
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - the test's
            return int(answer.status)
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code


def urls(path: Path) -> list[str]:
    """What a file has."""
    return [one["request"]["url"].rpartition("/")[2] for one in read_checked(path)["log"]["entries"]]


def refused(*arguments: str) -> str:
    """What it says when it does not start, in this process."""
    done = CliRunner().invoke(app, ["receive", *arguments])
    assert 2 == done.exit_code, done.output
    return done.output.strip().splitlines()[-1]


def test_answered_is_written(tmp_path: Path) -> None:
    """When a request is answered with OK its entries are in the file: killed then, the receiver has lost nothing.

    One that starts again goes on with the file; `--new` begins it anew.
    """
    path = tmp_path / "out.har"
    for number, options in ((1, []), (2, []), (3, ["--new"])):
        receiver = Receiving(*options, path)
        assert 200 == send(receiver, number)
        written = urls(path)
        assert -signal.SIGKILL == receiver.end(signal.SIGKILL)
        assert (["1"], ["1", "2"], ["3"])[number - 1] == written == urls(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end(tmp_path: Path, number: int) -> None:
    """Asked to end it answers those who wait, closes the files and says what it did, by service here."""
    with receiving("--split", "service", tmp_path / "out.har") as receiver:
        origins = [Origin({"service.name": name}) for name in ("shop", "../stock")]
        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(lambda index: send(receiver, index, origins[index % 2]), range(40)))
        assert [200] * 40 == statuses
        assert 200 == send(receiver, 0)
        assert 0 == receiver.end(number)
    names = sorted(path.name for path in tmp_path.glob("*.har"))
    assert (2, "out.shop.har") == (len(names), names[1])
    assert {str(index) for index in range(0, 40, 2)} == set(urls(tmp_path / "out.shop.har"))
    assert 20 == len(urls(tmp_path / names[0]))
    assert receiver.summary == "otel-har: 40 entries in 41 requests, 1 came twice"


def test_rotated(tmp_path: Path) -> None:
    """Rotated by size, also over a second run: each file is whole and has the pages of its entries, all are there.

    Of a limited file the newest entries are left, with their pages.
    """
    path = tmp_path / "out.har"
    for start in (0, 12):
        with receiving("--split", "service", "--rotate-bytes", "8000", path) as receiver:
            assert [200] * 12 == [send_of_trace(receiver, number) for number in range(start, start + 12)]
    files = sorted(tmp_path.glob("out.shop*.har"))
    assert {"out.shop.har", "out.shop.1.har", "out.shop.2.har"} <= {one.name for one in files}
    logs = [read_checked(one)["log"] for one in files]
    for log in logs:
        assert {one["pageref"] for one in log["entries"]} == {page["id"] for page in log["pages"]}
        assert {"checkout"} == {page["title"] for page in log["pages"]}
    assert [str(number) for number in range(24)] == sorted((url for one in files for url in urls(one)), key=int)
    assert 0 == receiver.end()

    with receiving("--max-entries", "5", tmp_path / "limited.har") as receiver:
        assert [200] * 9 == [send_of_trace(receiver, number) for number in range(9)]
    log = read_checked(tmp_path / "limited.har")["log"]
    assert ["4", "5", "6", "7", "8"] == urls(tmp_path / "limited.har")
    assert {one["pageref"] for one in log["entries"]} == {page["id"] for page in log["pages"]}


def send_of_trace(receiver: Receiving, number: int) -> int:
    """Send one of four entries of a trace, with the trace's page, as protobuf: the status."""
    trace = f"{number // 4 + 1:032x}"
    page = PAGE.model_copy(update={"id": f"trace_{trace}"})
    return post(receiver, request(entry(number, "x" * 500, trace=trace), page=page))


def post(receiver: Receiving, sent: ExportLogsServiceRequest) -> int:
    """Send a request as protobuf: the status."""
    url, headers = f"http://{receiver.http}/v1/logs", {"Content-Type": "application/x-protobuf"}
    asked = urllib.request.Request(url, sent.SerializeToString(), headers)
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - the test's
        return int(answer.status)


def test_midnight(tmp_path: Path) -> None:
    """By day an entry is in the file of its start in UTC, also one that comes late."""
    with receiving("--split", "day", tmp_path / "out.har") as receiver:
        for number, started in enumerate(("01-31T23:59:59.999Z", "02-01T00:00:00.000Z", "01-31T23:00:00.000Z")):
            one = entry(number).model_copy(update={"started_date_time": f"2026-{started}"})
            assert 200 == post(receiver, request(one))
    assert ["0", "2"] == sorted(urls(tmp_path / "out.2026-01-31.har"))
    assert ["1"] == urls(tmp_path / "out.2026-02-01.har")


def test_poison(tmp_path: Path) -> None:
    """An entry that nobody can write is rejected; all others are in the file, whatever they came with."""
    path = tmp_path / "out.har"
    good = entry_event(entry(0), PAGE)
    text = str(good.attributes["otel_har.entry.json"])[:-1] + ',"_x":' + "[" * 900 + "]" * 900 + "}"
    poison = Event("otel_har.entry", {"otel_har.entry.id": "poison", "otel_har.entry.json": text})
    with receiving(path) as receiver, ThreadPoolExecutor(8) as threads:
        requests = [
            request_of_events(poison, entry_event(entry(number), PAGE)) if number % 5 == 0 else request(entry(number))
            for number in range(20)
        ]
        assert [200] * 20 == list(threads.map(lambda one: post(receiver, one), requests))
        assert 1 == receiver.end()
    assert {str(number) for number in range(20)} == set(urls(path))
    assert "otel-har: 20 entries in 20 requests, 4 failed" == receiver.summary


def test_token(tmp_path: Path) -> None:
    """The token comes from the environment or a file; without it nothing is taken."""
    path = tmp_path / "out.har"
    with receiving(path, environment={**os.environ, **TOKEN}) as receiver:
        assert (401, 401, 200) == tuple(send(receiver, 1, token=token) for token in ("", "x", "let me in"))
    (tmp_path / "token").write_text("of a file\n", "utf-8")
    with receiving("--token-file", tmp_path / "token", path) as receiver:
        assert (401, 200) == tuple(send(receiver, 2, token=token) for token in ("let me in", "of a file"))
    assert ["1", "2"] == urls(path)


def test_outside(tmp_path: Path) -> None:
    """It listens to this host alone; told otherwise it says a word, unless there is a token."""
    line = "otel-har: whoever reaches http://0.0.0.0:0 may send entries: there is no token (--token-file)"
    for environment, expected in ((dict(os.environ), [line]), ({**os.environ, **TOKEN}, [])):
        with receiving("--listen", "http://0.0.0.0:0", tmp_path / "out.har", environment=environment) as receiver:
            told = receiver.lines[0]
        assert expected == ([told] if "listening" not in told else [])


def test_console(tmp_path: Path) -> None:
    """Entries go to any exporter, to several at once."""
    path = tmp_path / "out.har"
    with receiving("--exporter", "console,file", path) as receiver:
        assert 200 == send(receiver, 7)
    assert ["7"] == urls(path)
    assert any("http://shop.test/7" in line for line in receiver.lines)


def test_what_cannot_be(tmp_path: Path) -> None:
    """What cannot be used is said at once, and the process ends."""
    out = str(tmp_path / "out.har")
    with receiving(out) as receiver:
        address = f"http://{receiver.http}"
        other = str(tmp_path / "other.har")
        assert "address already in use" in refused("--listen", address, other)
        assert refused("--listen", f"grpc://{receiver.grpc}", other).startswith("otel-har: ")
    assert "otel-har: there must be an OUT" == refused()
    assert "otel-har: say grpc:// or http:// before the address '127.0.0.1:80'" == refused(
        "--listen", "127.0.0.1:80", out
    )
    assert "no directory" in refused(str(tmp_path / "none" / "{day}.har"))
    assert "its directory" in refused(str(tmp_path / "{day}" / "out.har"))
    assert "otel-har: TLS needs --tls-cert and --tls-key" == refused("--tls-cert", out, out)
    assert "there is no exporter 'sql'" in refused("--exporter", "sql")
    assert refused("--token-file", str(tmp_path / "none"), out).startswith("otel-har: ")
