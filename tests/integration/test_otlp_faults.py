"""A receiver of OTLP that is away, slow, refuses, is killed and comes back: nothing is lost, nothing comes twice."""

from __future__ import annotations

import base64
import gc
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import HarBatch, HarExportResult, HarStatistics
from otel_har.export.otlp import OtlpHarExporter
from otel_har.export.sending.answers import Later
from otel_har.export.sending.settings import connection_from
from otel_har.export.sending.transport import transport_of
from otel_har.har.models import Content, Entry, Page, Request, Response
from otel_har.otlp.event import PART_EVENT, STATISTICS_EVENT, counts_of
from otel_har.otlp.logs import events_in
from servers.otlp import PROTOCOLS, Receiver, Sender, log_of

_SUCCESS = HarExportResult.SUCCESS


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """One for all tests here."""
    made = Receiver()
    yield made
    made.kill()


@pytest.fixture(params=PROTOCOLS)
def sender(request: pytest.FixtureRequest, receiver: Receiver) -> Sender:
    """A sender over each protocol."""
    return receiver.sender(request.param)


def _entry(name: str, body: str = "") -> Entry:
    return Entry(
        pageref="p",
        started_date_time="2030-01-01T00:00:00.000001Z",
        request=Request(method="GET", url=f"http://h.test/{name}"),
        response=Response(status=200, content=Content(size=len(body), mime_type="text/plain", text=body or None)),
    )


def _batch(*names: str, body: str = "", statistics: HarStatistics | None = None) -> HarBatch:
    page = Page(started_date_time="2030-01-01T00:00:00Z", id="p")
    return HarBatch((page,), tuple(_entry(name, body) for name in names), statistics or HarStatistics())


def _names(log: dict[str, Any]) -> list[str]:
    return [entry["request"]["url"].rpartition("/")[2] for entry in log["entries"]]


def _lost(sender: Sender) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, event in sender.events:
        if event.name == STATISTICS_EVENT:
            for name, count in counts_of(event).items():
                found[name] = found.get(name, 0) + count
    return found


LATER = [
    *({"protocol": "http/protobuf", "status": status} for status in (429, 502, 503, 504)),
    {"protocol": "http/protobuf", "status": 0, "drop": True},
    *(
        {"protocol": "grpc", "status": 0, "code": code}
        for code in ("UNAVAILABLE", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "OUT_OF_RANGE", "DATA_LOSS")
    ),
    {"protocol": "grpc", "status": 0, "code": "RESOURCE_EXHAUSTED"},
]


@pytest.mark.parametrize("answer", LATER, ids=lambda answer: "-".join(map(str, answer.values())))
def test_later(receiver: Receiver, answer: dict[str, Any]) -> None:
    """What the receiver does not take for now is kept by whoever handed it in, and is taken once."""
    sender = receiver.sender(answer["protocol"])
    exporter = OtlpHarExporter(**sender.options)
    sender.is_answered(answer)
    with pytest.raises(DestinationError, match="takes nothing for now"):
        exporter.export(_batch("1", "2"))
    assert exporter.force_flush(1000) is True
    assert [] == sender.requests
    assert _SUCCESS is exporter.export(_batch("1", "2"))
    assert ["1", "2"] == _names(sender.log())
    exporter.shutdown()


REFUSED = [
    *({"protocol": "http/protobuf", "status": status} for status in (302, 400, 401, 403, 404, 500)),
    *(
        {"protocol": "grpc", "status": 0, "code": code}
        for code in ("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "INTERNAL")
    ),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: "-".join(map(str, answer.values())))
def test_refused(receiver: Receiver, answer: dict[str, Any]) -> None:
    """What is refused for good costs the batch, with the receiver's words, and the next batch is sent."""
    sender = receiver.sender(answer["protocol"])
    exporter = OtlpHarExporter(**sender.options)
    sender.is_answered({**answer, "message": "no such tenant"})
    with pytest.raises(ExportError, match="no such tenant") as raised:
        exporter.export(_batch("1"))
    assert not isinstance(raised.value, DestinationError)
    assert exporter.force_flush() is False
    assert exporter.force_flush() is True
    assert 1 == sender.tried
    assert _SUCCESS is exporter.export(_batch("2"))
    assert ["2"] == _names(sender.log())
    exporter.shutdown()


def test_retry_after(sender: Sender) -> None:
    """Before the time that the receiver asked for nothing is sent, also by a flush."""
    exporter = OtlpHarExporter(**sender.options)
    refusal = {"status": 429, "code": "RESOURCE_EXHAUSTED", "retry_after": "3600"}
    sender.is_answered(refusal)
    for _ in range(2):
        with pytest.raises(DestinationError, match="takes nothing for now"):
            exporter.export(_batch("1"))
    assert 1 == sender.tried
    exporter.shutdown()


def test_retry_after_is_over(sender: Sender) -> None:
    """A flush sends what is held as soon as the receiver's time is over, and says so."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=20_000)
    sender.is_answered({}, {"status": 503, "code": "UNAVAILABLE", "retry_after": "1"})
    assert _SUCCESS is exporter.export(_batch("1", "2", body="x" * 15_000))
    assert exporter.force_flush(100) is False
    assert ["1"] == _names(sender.log())
    assert exporter.force_flush(10_000) is True
    assert ["1", "2"] == _names(sender.log())
    exporter.shutdown()


def test_too_large_for_receiver(sender: Sender) -> None:
    """A batch that the receiver finds too large goes in smaller requests, and the next one at once in such."""
    exporter = OtlpHarExporter(**sender.options)
    sender.is_answered(limit=100_000)
    names = [str(number) for number in range(40)]
    assert _SUCCESS is exporter.export(_batch(*names, body="x" * 10_000))
    assert names == _names(sender.log())
    tried, kept = sender.tried, len(sender.requests)
    assert tried > kept
    assert _SUCCESS is exporter.export(_batch(*names, body="x" * 10_000))
    assert names * 2 == _names(sender.log())
    assert sender.tried - tried == len(sender.requests) - kept
    exporter.shutdown()


def test_limit_of_grpc_itself(receiver: Receiver) -> None:
    """A server of gRPC that takes 4 MiB and says no more than RESOURCE_EXHAUSTED gets it all in smaller requests."""
    sender = receiver.sender("grpc")
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=20_000_000)
    body = "x" * 9_000_000
    assert _SUCCESS is exporter.export(_batch("1", body=body))
    [entry] = sender.log()["entries"]
    assert body == entry["response"]["content"]["text"]
    exporter.shutdown()


def test_large_entry(sender: Sender) -> None:
    """An entry over the limit goes in parts, each of which has what filters ask for; nothing of it is lost."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=1 << 16, with_bodies=True)
    batch = _batch("0", "1", "2", body="ä€😀" * 20_000)
    assert _SUCCESS is exporter.export(batch)
    assert [json.loads(entry.to_json()) for entry in batch.entries] == sender.log()["entries"]
    parts = [event for _, event in sender.events]
    assert {PART_EVENT} == {part.name for part in parts}
    assert {200} == {part.attributes["http.response.status_code"] for part in parts}
    assert all(len(data) <= 1 << 16 for data in sender.requests)
    exporter.shutdown()


def test_parts_that_are_too_large(sender: Sender) -> None:
    """Where also a part is too large, the entry is cut into smaller ones."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=1 << 20)
    sender.is_answered(limit=60_000)
    batch = _batch("0", "1", body="x" * 3_000_000)
    assert _SUCCESS is exporter.export(batch)
    assert [json.loads(entry.to_json()) for entry in batch.entries] == sender.log()["entries"]
    exporter.shutdown()


def test_part_that_is_too_large_after_others(sender: Sender) -> None:
    """Where a part is too large and others were taken, all of the entry is divided anew, and told apart."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=1 << 20)
    too_large = {"status": 413, "code": "RESOURCE_EXHAUSTED", "message": "larger than max"}
    sender.is_answered({}, {}, too_large)
    batch = _batch("0", "1", body="x" * 3_000_000)
    assert _SUCCESS is exporter.export(batch)
    assert exporter.force_flush() is True
    assert [json.loads(entry.to_json()) for entry in batch.entries] == sender.log()["entries"]
    exporter.shutdown()


def test_part_that_is_refused(sender: Sender) -> None:
    """An entry one of whose parts is refused is lost, counted once, and no more of it is sent."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=1 << 20)
    sender.is_answered({}, {"status": 400, "code": "INVALID_ARGUMENT", "message": "not this one"})
    assert _SUCCESS is exporter.export(_batch("0", body="x" * 3_000_000))
    assert exporter.force_flush() is False
    exporter.shutdown()
    assert [[PART_EVENT], [STATISTICS_EVENT]] == [
        [event.name for _, event in events_in(ExportLogsServiceRequest.FromString(data))] for data in sender.requests
    ]
    assert {"failed_entries": 1} == _lost(sender)


@pytest.mark.parametrize("limit", [1 << 20, 700_000])
def test_spool_of_an_entry_in_parts(sender: Sender, tmp_path: Path, limit: int) -> None:
    """An entry waits whole until its last part is taken: another process, of another limit, sends it from the start."""
    sender.is_answered({"status": 503, "code": "UNAVAILABLE"}, for_ever=True)
    batch = _batch("0", body="ä" * 1_500_000)
    first = OtlpHarExporter(**sender.options, spool=tmp_path, max_request_bytes=1 << 20)
    assert _SUCCESS is first.export(batch)
    away = {"status": 503, "code": "UNAVAILABLE"}
    sender.is_answered({}, {}, *[away] * 3)
    assert first.force_flush(100) is False
    first.shutdown(100)
    assert 1 == len(_spooled(tmp_path))
    sender.is_answered()
    second = OtlpHarExporter(**sender.options, spool=tmp_path, max_request_bytes=limit)
    assert second.force_flush(10_000) is True
    second.shutdown()
    assert [json.loads(entry.to_json()) for entry in batch.entries] == sender.log()["entries"]
    assert [] == _spooled(tmp_path)


def test_part_of_a_batch_is_taken(sender: Sender) -> None:
    """What was taken of a batch is not sent again: the rest goes before the next batch, which waits for it."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=20_000)
    away = {"status": 503, "code": "UNAVAILABLE"}
    sender.is_answered({}, away, away)
    assert _SUCCESS is exporter.export(_batch("1", "2", "3", body="x" * 15_000))
    with pytest.raises(DestinationError):
        exporter.export(_batch("4"))
    assert ["1"] == _names(sender.log())
    assert _SUCCESS is exporter.export(_batch("4"))
    assert ["1", "2", "3", "4"] == _names(sender.log())
    exporter.shutdown()


def test_partial_success(sender: Sender) -> None:
    """Records that the receiver rejects are not sent again, which is told."""
    exporter = OtlpHarExporter(**sender.options)
    sender.is_answered({"rejected": 1, "message": "one is too old"})
    assert _SUCCESS is exporter.export(_batch("1", "2"))
    assert exporter.force_flush() is False
    assert _SUCCESS is exporter.export(_batch("3"))
    assert {"failed_entries": 1} == _lost(sender)
    assert ["1", "2", "3"] == _names(sender.log())
    exporter.shutdown()


def test_some_requests_refused(sender: Sender) -> None:
    """Of a batch in several requests one that is refused costs its own entries, which is told at the end."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=20_000)
    sender.is_answered({}, {"status": 400, "code": "INVALID_ARGUMENT", "message": "not this one"})
    assert _SUCCESS is exporter.export(_batch("1", "2", "3", body="x" * 15_000))
    exporter.shutdown()
    assert ["1", "3"] == _names(sender.log())
    assert {"failed_entries": 1} == _lost(sender)


def test_slow(sender: Sender) -> None:
    """A receiver that does not answer within the time costs that time, and what it got comes again with the same id."""
    exporter = OtlpHarExporter(**sender.options, timeout_millis=300)
    sender.is_answered({"stall": True, "keep": True})
    with pytest.raises(DestinationError):
        exporter.export(_batch("1"))
    assert _SUCCESS is exporter.export(_batch("1"))
    ids = [event.attributes["otel_har.entry.id"] for _, event in sender.events]
    assert 2 == len(ids)
    assert 1 == len(set(ids))
    exporter.shutdown()


def test_shutdown_with_a_rest(sender: Sender) -> None:
    """What is held at the end and not taken is told, and shutdown takes no longer than it may."""
    exporter = OtlpHarExporter(**sender.options, max_request_bytes=20_000)
    sender.is_answered({}, *[{"status": 503, "code": "UNAVAILABLE"}] * 50)
    assert _SUCCESS is exporter.export(_batch("1", "2", "3", body="x" * 15_000))
    with pytest.raises(ExportError, match="2 entries were not sent"):
        exporter.shutdown(300)
    exporter.shutdown()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_and_restarted(protocol: str) -> None:
    """While the receiver is away nothing is lost, and once it is back on its port all goes on."""
    first = Receiver()
    sender = first.sender(protocol)
    exporter = OtlpHarExporter(**sender.options)
    assert _SUCCESS is exporter.export(_batch("1"))
    log = sender.log()
    first.kill()
    with pytest.raises(DestinationError):
        exporter.export(_batch("2"))
    second = Receiver(ports=first.ports)
    again = sender.at(second)
    _until_taken(exporter, _batch("2"))
    assert ["1", "2"] == _names(log) + _names(again.log())
    exporter.shutdown()
    second.kill()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_back_at_once(protocol: str) -> None:
    """A receiver that is back is found with the next request, however often it was looked for in vain."""
    first = Receiver()
    sender = first.sender(protocol)
    exporter = OtlpHarExporter(**sender.options)
    assert _SUCCESS is exporter.export(_batch("1"))
    first.kill()
    for _ in range(20):
        with pytest.raises(DestinationError):
            exporter.export(_batch("2"))
    second = Receiver(ports=first.ports)
    assert _SUCCESS is exporter.export(_batch("2"))
    assert ["2"] == _names(sender.at(second).log())
    exporter.shutdown()
    second.kill()


def _until_taken(exporter: OtlpHarExporter, batch: HarBatch) -> None:
    """As a processor does; gRPC looks for a server again after a moment."""
    for _ in range(600):
        try:
            assert _SUCCESS is exporter.export(batch)
        except DestinationError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail("the receiver is back, and nothing is sent to it")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_in_the_middle(protocol: str, tmp_path: Path) -> None:
    """Killed while it takes one batch after the other, and restarted, the receiver has each entry, by its id once."""
    journal = tmp_path / "journal"
    first = Receiver()
    sender = first.sender(protocol)
    headers = {**sender.options["headers"], "x-journal": str(journal)}
    exporter = OtlpHarExporter(**{**sender.options, "headers": headers}, max_request_bytes=40_000, timeout_millis=2000)
    names = [str(number) for number in range(200)]
    is_under_way = threading.Event()

    def work() -> None:
        for place in range(0, len(names), 5):
            _until_taken(exporter, _batch(*names[place : place + 5], body="x" * 10_000))
            if place == 50:
                is_under_way.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert is_under_way.wait(20)
    first.kill()
    second = Receiver(ports=first.ports)
    worker.join(60)
    assert exporter.force_flush(10_000) is True
    exporter.shutdown()
    second.kill()
    requests = [base64.b64decode(line) for line in journal.read_text().splitlines()]
    events = [event for data in requests for _, event in events_in(ExportLogsServiceRequest.FromString(data))]
    by_id = {event.attributes["otel_har.entry.id"]: event for event in events}
    assert names == _names(log_of(list(by_id.values())))


# The spool


def _spooled(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.otlp"))


def test_spool(sender: Sender, tmp_path: Path) -> None:
    """What the receiver does not take waits on the disk, in order, and a flush says so until all is sent."""
    spool = tmp_path / "spool"
    exporter = OtlpHarExporter(**sender.options, spool=spool)
    away = {"status": 503, "code": "UNAVAILABLE"}
    sender.is_answered(away, away)
    for name in "123":
        assert _SUCCESS is exporter.export(_batch(name))
    assert exporter.force_flush(50) is False
    assert 3 == len(_spooled(spool))
    assert {0o600} == {path.stat().st_mode & 0o777 for path in spool.iterdir()}
    assert 0o700 == spool.stat().st_mode & 0o777
    assert exporter.force_flush(10_000) is True
    assert _SUCCESS is exporter.export(_batch("4"))
    assert ["1", "2", "3", "4"] == _names(sender.log())
    assert [] == _spooled(spool)
    exporter.shutdown()


def test_spool_outlives_its_process(sender: Sender, tmp_path: Path) -> None:
    """What a process left, another one sends before its own."""
    sender.is_answered({"status": 503, "code": "UNAVAILABLE"}, for_ever=True)
    first = OtlpHarExporter(**sender.options, spool=tmp_path)
    assert _SUCCESS is first.export(_batch("1", body="x" * 50_000))
    first.shutdown(100)
    sender.is_answered()
    second = OtlpHarExporter(**sender.options, spool=tmp_path)
    assert _SUCCESS is second.export(_batch("2"))
    assert ["1", "2"] == _names(sender.log())
    second.shutdown()


def test_spool_is_bounded(sender: Sender, tmp_path: Path) -> None:
    """Beyond its size the oldest go, which is counted and told."""
    sender.is_answered({"status": 503, "code": "UNAVAILABLE"}, for_ever=True)
    exporter = OtlpHarExporter(**sender.options, spool=tmp_path, max_spool_bytes=35_000)
    for name in "12345":
        assert _SUCCESS is exporter.export(_batch(name, body="x" * 10_000))
    assert exporter.force_flush(50) is False
    assert sum((tmp_path / name).stat().st_size for name in _spooled(tmp_path)) <= 35_000
    sender.is_answered()
    assert exporter.force_flush(10_000) is True
    exporter.shutdown()
    assert ["3", "4", "5"] == _names(sender.log())
    assert {"dropped_entries": 2} == _lost(sender)


def test_spool_of_larger_requests(sender: Sender, tmp_path: Path) -> None:
    """What is too large for the receiver that is back goes in smaller requests."""
    sender.is_answered({"status": 503, "code": "UNAVAILABLE"}, for_ever=True)
    exporter = OtlpHarExporter(**sender.options, spool=tmp_path)
    batch = _batch("1", "2", "3", body="x" * 100_000)
    assert _SUCCESS is exporter.export(batch)
    sender.is_answered(limit=70_000)
    assert exporter.force_flush(10_000) is True
    assert [json.loads(entry.to_json()) for entry in batch.entries] == sender.log()["entries"]
    exporter.shutdown()


def test_spool_and_receiver_take_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """Where neither takes anything, whoever handed it in keeps it."""
    sender = receiver.sender()
    sender.is_answered({"status": 503}, for_ever=True)
    spool = tmp_path / "spool"
    exporter = OtlpHarExporter(**sender.options, spool=spool)
    for path in spool.iterdir():
        path.unlink()
    spool.rmdir()
    with pytest.raises(DestinationError, match="neither"):
        exporter.export(_batch("1"))
    spool.mkdir()
    sender.is_answered()
    assert _SUCCESS is exporter.export(_batch("1"))
    assert exporter.force_flush(10_000) is True
    assert ["1"] == _names(sender.log())
    exporter.shutdown()


@pytest.mark.skipif(sys.platform == "win32", reason="there are neither owners nor modes")
@pytest.mark.parametrize("change", ["mode", "owner", "link", "directory"])
def test_spool_with_a_strange_file(
    receiver: Receiver, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that another user owns or may write to is not sent, told once, and holds nothing up."""
    if change == "owner" and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    sender = receiver.sender()
    sender.is_answered({"status": 503}, for_ever=True)
    first = OtlpHarExporter(**sender.options, spool=tmp_path)
    assert [_SUCCESS, _SUCCESS] == [first.export(_batch(name)) for name in "12"]
    first.shutdown(100)
    strange = tmp_path / _spooled(tmp_path)[0]
    if change == "mode":
        strange.chmod(0o620)
    elif change == "owner":
        os.chown(strange, 12345, -1)
    elif change == "link":
        strange.rename(tmp_path / "elsewhere")
        strange.symlink_to(tmp_path / "elsewhere")
    else:
        strange.unlink()
        strange.mkdir()
    sender.is_answered()
    second = OtlpHarExporter(**sender.options, spool=tmp_path)
    assert second.force_flush(10_000) is True
    second.shutdown()
    assert ["2"] == _names(sender.log())
    assert [True] == [strange.name in text for text in caplog.messages if "is not sent" in text]
    assert [strange.name] == _spooled(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_spool_of_several_processes(receiver: Receiver, tmp_path: Path) -> None:
    """Processes that share a spool send each request once, whoever wrote it."""
    sender = receiver.sender()
    sender.is_answered({"status": 503}, for_ever=True)
    children = [_forked(lambda number=number: _fill(sender, tmp_path, number)) for number in range(4)]
    assert [0] * 4 == [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert 20 == len(_spooled(tmp_path))
    sender.is_answered()
    children = [_forked(lambda: _flush(sender, tmp_path)) for _ in range(4)]
    # A flush whose turn it is not says that not all is sent.
    assert {0} <= {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children} <= {0, 1}
    assert [f"{child}-{number}" for child in range(4) for number in range(5)] == sorted(_names(sender.log()))


def _forked(work: Any) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os._exit(work())
    finally:
        os._exit(9)


def _fill(sender: Sender, directory: Path, number: int) -> int:
    exporter = OtlpHarExporter(**sender.options, spool=directory)
    results = {exporter.export(_batch(f"{number}-{turn}")) for turn in range(5)}
    return 0 if results == {_SUCCESS} else 1


def _flush(sender: Sender, directory: Path) -> int:
    return 0 if OtlpHarExporter(**sender.options, spool=directory).force_flush(20_000) else 1


def test_spool_that_cannot_be(tmp_path: Path) -> None:
    """A spool where a file stands is refused when the exporter is made, with its name."""
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(ExportError, match="file"):
        OtlpHarExporter(spool=place)


def test_request_of_no_size() -> None:
    """A limit in which no entry has room is refused."""
    with pytest.raises(SettingError, match="100 bytes is too small"):
        OtlpHarExporter(max_request_bytes=100)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_failed_request_is_let_go(protocol: str) -> None:
    """A request that found nobody is not held until Python's collector comes: there may be many, of megabytes each."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        path = "" if protocol == "grpc" else "/v1/logs"
        connection = connection_from(
            protocol=protocol,
            endpoint=f"http://127.0.0.1:{nobody.getsockname()[1]}{path}",
            headers={},
            timeout_millis=5000,
        )
        transport = transport_of(connection)
        data = bytes(1000)
        held = sys.getrefcount(data)
        gc.disable()
        try:
            assert isinstance(transport.send(data, 5.0), Later)
            assert held == sys.getrefcount(data)
        finally:
            gc.enable()
            transport.close()


def test_log_of_nothing() -> None:
    """The tests' own reader finds nothing in nothing."""
    assert [] == log_of([])["entries"]
