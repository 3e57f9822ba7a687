"""Messages to exporters: what is delivered, what is known again, and what the sender is told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_har.errors import DestinationError, ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.memory import InMemoryHarExporter
from otel_har.har.models import Page, PageTimings
from otel_har.otlp.event import Event, entry_event, parts_of, statistics_event
from otel_har.otlp.logs import Origin, key_values, log_record, request_of
from otel_har.receive.answers import Answer, Verdict
from otel_har.receive.decoding import Arrival, Decoder
from otel_har.receive.delivering import Deliverer
from otel_har.receive.destinations import Destinations, FileDestinations, OneDestination
from otel_har.receive.duplicates import Window
from otel_har.receive.intake import Message, Signal
from otel_har.receive.naming import NameTemplate
from otel_har.receive.parts import Parts
from otel_har.receive.span_room import SpanRoom
from servers.programs import read_checked
from servers.receiving import PAGE, SHOP, TRACE, entry, request, request_of_events, request_of_page

MOST = 1_000_000


class Failing(HarExporter):
    """Fails with each fault in turn, then keeps what it gets."""

    def __init__(self, *faults: Exception | HarExportResult) -> None:
        self._faults = list(faults)
        self.memory = InMemoryHarExporter()

    def export(self, batch: HarBatch) -> HarExportResult:
        """Fail, or keep it."""
        fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, Exception):
            raise fault
        return fault or self.memory.export(batch)

    def shutdown(self, timeout_millis: int = 30_000) -> None:
        """Nothing."""


def deliverer(
    exporter: HarExporter | Destinations, *, wait_s: float | None = None, parts: Parts | None = None
) -> Deliverer:
    """What delivers to an exporter; with spans where they wait."""
    destinations = exporter if isinstance(exporter, Destinations) else OneDestination(exporter)
    decoder = Decoder(MOST, with_spans=wait_s is not None, parts=parts)
    return Deliverer(decoder, destinations, Window(), SpanRoom(wait_s or 0))


def message(of: ExportLogsServiceRequest) -> Message:
    """A request as it comes."""
    return Message(Signal.LOGS, of.SerializeToString())


def urls(exporter: InMemoryHarExporter) -> list[str]:
    """What was delivered."""
    return [one.request.url.rpartition("/")[2] for one in exporter.entries]


def test_delivered() -> None:
    """Entries come as they were sent, with their page, in order of their start."""
    memory = InMemoryHarExporter()
    sent = [entry(2, "two é"), entry(1), entry(3)]
    assert [Answer(Verdict.OK)] == deliverer(memory).deliver([message(request(*sent))])
    assert sorted(sent, key=lambda one: one.started_date_time) == list(memory.entries)
    assert [PAGE] == list(memory.pages)


def test_duplicates() -> None:
    """What comes again, in the same message, in the same group or later, is delivered once, and answered with OK."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    once, twice = message(request(entry(1), entry(1))), message(request(entry(1), entry(2)))
    assert [Answer(Verdict.OK)] * 2 == to.deliver([once, twice])
    assert [Answer(Verdict.OK)] == to.deliver([twice])
    assert (["1", "2"], 2, 4) == (urls(memory), to.tally.entries, to.tally.duplicates)


def test_busy_is_asked_for_again() -> None:
    """What the destination did not take is answered so, and taken when it comes again; pages come with it."""
    failing = Failing(DestinationError("full"))
    to = deliverer(failing)
    assert [Verdict.BUSY] == [answer.verdict for answer in to.deliver([message(request(entry(1)))])]
    assert [Verdict.OK] == [answer.verdict for answer in to.deliver([message(request(entry(1)))])]
    assert (["1"], [PAGE]) == (urls(failing.memory), list(failing.memory.pages))
    assert (1, 0) == (to.tally.entries, to.tally.duplicates)


@pytest.mark.parametrize("fault", [ExportError("no right"), OSError("bad"), HarExportResult.FAILURE])
def test_failed_is_not_asked_for_again(fault: Exception | HarExportResult) -> None:
    """What failed for good is answered so, and counted."""
    to = deliverer(Failing(fault))
    assert [Verdict.FAILED] == [answer.verdict for answer in to.deliver([message(request(entry(1)))])]
    assert (1, 0, 1) == (to.tally.failed_entries, to.tally.entries, to.tally.refused)


class Picky(HarExporter):
    """Cannot write some entries, and keeps the others."""

    def __init__(self, *poison: str) -> None:
        self._poison = poison
        self.memory = InMemoryHarExporter()
        self.calls = 0

    def export(self, batch: HarBatch) -> HarExportResult:
        """Keep it, if there is no poison in it."""
        self.calls += 1
        if any(one.request.url.rpartition("/")[2] in self._poison for one in batch.entries):
            raise RecursionError
        return self.memory.export(batch)

    def shutdown(self, timeout_millis: int = 30_000) -> None:
        """Nothing."""


def test_what_cannot_be_written() -> None:
    """It is rejected alone: what came with it, in its request and in others, is delivered once."""
    picky = Picky("3", "7", "8")
    to = deliverer(picky)
    messages = [message(request(*(entry(number) for number in numbers))) for numbers in ((1, 2, 3), (4,), (5, 6, 7, 8))]
    messages.append(message(request_of_events(statistics_event({"dropped_entries": 2}, 5))))
    answers = [Answer(Verdict.OK, "an entry cannot be written" if bad else "", bad) for bad in (1, 0, 2, 0)]
    assert answers == to.deliver(messages)
    assert ["1", "2", "4", "5", "6"] == sorted(urls(picky.memory))
    assert (5, 3, 0) == (to.tally.entries, to.tally.failed_entries, to.tally.refused)
    assert HarStatistics(dropped_entries=2) == picky.memory.statistics
    assert [PAGE] == list(picky.memory.pages)
    calls = picky.calls
    assert answers == to.deliver(messages)
    assert (calls, 3) == (picky.calls, to.tally.failed_entries)


def test_an_exporter_that_writes_nothing() -> None:
    """When nothing can be written, however many entries there are, it is not tried for ever."""
    numbers = range(3000)
    picky = Picky(*map(str, numbers))
    to = deliverer(picky)
    answers = to.deliver([message(request(*map(entry, numbers[start : start + 500]))) for start in range(0, 3000, 500)])
    assert (Verdict.FAILED, 3000) == (answers[-1].verdict, to.tally.failed_entries)
    assert picky.calls < 1100


@pytest.mark.parametrize(("levels", "expected"), [(200, 0), (300, 1), (900, 1), (100_000, 1)])
def test_levels(tmp_path: Path, levels: int, expected: int) -> None:
    """An entry or a page with more levels than can be written is rejected when it is read, whatever is written."""
    to = deliverer(OneDestination(FileHarExporter(tmp_path / "out.har")))
    good = entry_event(entry(1), PAGE)
    deep = "[" * levels + "]" * levels
    of_entry = Event(
        "otel_har.entry", {"otel_har.entry.json": f'{str(good.attributes["otel_har.entry.json"])[:-1]},"_x":{deep}}}'}
    )
    of_page = Event(
        "otel_har.page", {"otel_har.page.json": f'{str(good.attributes["otel_har.page.json"])[:-1]},"_x":{deep}}}'}
    )
    answers = to.deliver([message(request_of_events(of_entry, good)), message(request_of_events(of_page))])
    to.close(1000)
    assert [(Verdict.OK, expected)] * 2 == [(answer.verdict, answer.rejected) for answer in answers]
    assert ["1"] * (2 - expected) == _written(tmp_path)["out.har"]


def test_odd_attributes() -> None:
    """An attribute of ours that is something else rejects its record, or says nothing; others are delivered."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    good = entry_event(entry(1), PAGE)
    origin = Origin({"service.name": ["a", {"b": 1}]})
    odd: dict[str, Any] = {**good.attributes, "otel_har.redaction": ["strict"], "otel_har.entry.id": ["x"]}
    records = [log_record(Event("otel_har.entry", odd)), log_record(good)]
    large = Event("otel_har.page", {"otel_har.page.json": f'"{"x" * 70_000}"'})
    many = statistics_event({"dropped_entries": 2**40}, 5)
    records += [log_record(large), log_record(many)]
    (answer,) = to.deliver([message(request_of(records, origin))])
    assert (Verdict.OK, 2, ["1", "1"]) == (answer.verdict, answer.rejected, urls(memory))
    assert HarStatistics() == memory.statistics


def test_entries_without_id() -> None:
    """Entries that say no id are all kept, also equal ones of one request; the same request again adds nothing."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    events = [entry_event(entry(number), PAGE) for number in (1, 2, 2, 3)]
    without = [replace(event, attributes=_without_id(event), trace_id=b"", span_id=b"") for event in events]
    for _ in range(2):
        assert [Answer(Verdict.OK)] == to.deliver([message(request_of_events(*without))])
    assert ["1", "2", "2", "3"] == urls(memory)
    assert (4, 4) == (to.tally.entries, to.tally.duplicates)


def _without_id(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.attributes.items() if name != "otel_har.entry.id"}


@pytest.mark.parametrize(
    ("data", "coding", "is_json", "expected"),
    [
        (b"\xff\xff", "identity", False, Verdict.MALFORMED),
        (b"{", "identity", True, Verdict.MALFORMED),
        (b"[]", "identity", True, Verdict.MALFORMED),
        (b'{"resourceLogs": 5}', "identity", True, Verdict.MALFORMED),
        (b"[" * 100_000, "identity", True, Verdict.MALFORMED),
        (
            b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xy"}]}]}]}',
            "identity",
            True,
            Verdict.MALFORMED,
        ),
        (b"\x1f\x8bx", "gzip", False, Verdict.MALFORMED),
        (bytes(MOST + 1), "identity", False, Verdict.TOO_LARGE),
    ],
)
def test_what_is_no_request(data: bytes, coding: str, is_json: bool, expected: Verdict) -> None:
    """It is refused, and what came with it in other messages is delivered."""
    memory = InMemoryHarExporter()
    answers = deliverer(memory).deliver([Message(Signal.LOGS, data, coding, is_json), message(request(entry(1)))])
    assert [expected, Verdict.OK] == [answer.verdict for answer in answers]
    assert ["1"] == urls(memory)


def test_records_that_are_none() -> None:
    """A broken entry is rejected, a record of others is left, the rest is delivered; the sender is told."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    broken = Event("otel_har.entry", {"otel_har.entry.json": '{"time": "soon"}'})
    (answer,) = to.deliver([message(request_of_events(entry_event(entry(1), PAGE), broken, Event("log")))])
    assert (Verdict.OK, 1, ["1"]) == (answer.verdict, answer.rejected, urls(memory))
    assert "soon" not in answer.text
    assert (1, 1) == (to.tally.failed_entries, to.tally.foreign_records)
    (answer,) = to.deliver([message(request_of_events(Event("log")))])
    assert (Verdict.OK, 0, "1 records are no entries of HAR, and are not kept") == (
        answer.verdict,
        answer.rejected,
        answer.text,
    )


def test_counts() -> None:
    """What senders lost is told once, however often it comes."""
    failing = Failing()
    to = deliverer(failing)
    lost = message(request_of_events(statistics_event({"dropped_entries": 3, "what": 1}, 5)))
    to.deliver([lost])
    to.deliver([lost])
    assert HarStatistics(dropped_entries=3) == failing.memory.statistics == to.tally.statistics


def test_parts() -> None:
    """An entry in parts is one when the last part is there, in any order; a part that comes again is not one more."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    whole = entry(1, "é" * 1000)
    one, two, *rest = parts_of(entry_event(whole, PAGE), 700)
    for parts in ([two], [two, *rest], [one], [one, two, *rest]):
        assert [Answer(Verdict.OK)] == to.deliver([message(request_of_events(*parts))])
    assert ([whole], 1) == (list(memory.entries), to.tally.entries)


def test_parts_wait_for_the_destination() -> None:
    """When the destination took nothing the last part alone comes again, and the entry is whole."""
    failing = Failing(DestinationError("full"))
    to = deliverer(failing)
    whole = entry(1, "x" * 1000)
    *first, last = parts_of(entry_event(whole, PAGE), 700)
    to.deliver([message(request_of_events(*first))])
    assert Verdict.BUSY is to.deliver([message(request_of_events(last))])[0].verdict
    assert Verdict.OK is to.deliver([message(request_of_events(last))])[0].verdict
    assert [whole] == list(failing.memory.entries)


def test_parts_of_another_division() -> None:
    """A sender that divides an entry anew under the same id gets it through, into more parts or into other ones.

    What is left of the first division is neither an entry nor lost.
    """
    for sizes in ((700, 300), (700, 690)):
        memory = InMemoryHarExporter()
        to = deliverer(memory)
        whole = entry(1, "".join(map(chr, range(0x100, 0x300))))
        event = entry_event(whole, PAGE)
        first, second = (parts_of(event, size) for size in sizes)
        _deliver(to, request_of_events(first[0]), request_of_events(*second), request_of_events(*first[1:]))
        to.close(1000)
        assert ([whole], 0) == (list(memory.entries), to.tally.failed_entries)


def test_parts_of_a_rejected_entry() -> None:
    """When the entry of parts cannot be read or written they are rejected, and so are those that come later.

    It is one entry that failed.
    """
    for whole, cut in ((entry(1, "x" * 1000), "}"), (entry(2, "x" * 1000), "")):
        picky = Picky("2")
        to = deliverer(picky)
        *first, last = parts_of(entry_event(whole, PAGE), 700)
        data = (
            str(last.attributes["otel_har.part.data"]).removesuffix(cut)
            if cut
            else last.attributes["otel_har.part.data"]
        )
        broken = replace(last, attributes={**last.attributes, "otel_har.part.data": data})
        _deliver(to, request_of_events(*first))
        for number, events in ((1, [broken]), (len(first), first)):
            (answer,) = to.deliver([message(request_of_events(*events))])
            assert (Verdict.OK, number) == (answer.verdict, answer.rejected)
        to.close(1000)
        assert ([], 1) == (urls(picky.memory), to.tally.failed_entries)


def test_parts_without_id() -> None:
    """Parts that do not say of which entry they are are rejected."""
    to = deliverer(InMemoryHarExporter())
    parts = [replace(part, attributes=_without_id(part)) for part in parts_of(entry_event(entry(1), PAGE), 700)]
    (answer,) = to.deliver([message(request_of_events(*parts))])
    assert (Verdict.OK, len(parts)) == (answer.verdict, answer.rejected)


def _two_in_parts() -> list[list[Event]]:
    return [parts_of(entry_event(entry(number, "x" * 1000), PAGE), 700) for number in (1, 2)]


def test_parts_are_bounded() -> None:
    """Parts that wait have room for so many bytes: the oldest go, and are counted."""
    memory = InMemoryHarExporter()
    to = deliverer(memory, parts=Parts(8_000))
    first, second = _two_in_parts()
    _deliver(to, request_of_events(*first[:2]), request_of_events(*second[:2]), request_of_events(*first[2:]))
    to.close(1000)
    assert ([], 2) == (list(memory.entries), to.tally.failed_entries)


def test_parts_that_get_on_are_not_dropped() -> None:
    """As long as an entry gets on, parts of others are asked for again; what had its time goes for them."""
    now_s = 0.0
    memory = InMemoryHarExporter()
    to = deliverer(memory, parts=Parts(8_000, patience_s=60, clock=lambda: now_s))
    first, second = _two_in_parts()
    _deliver(to, request_of_events(*first[:2]))
    now_s = 59
    both = request_of_events(second[0], entry_event(entry(3), PAGE), second[1])
    assert [Verdict.BUSY] == [answer.verdict for answer in to.deliver([message(both)])]
    _deliver(to, request_of_events(*first[2:]))
    _deliver(to, both, request_of_events(first[0]))
    now_s = 119
    third = parts_of(entry_event(entry(4, "x" * 1000), PAGE), 700)
    _deliver(to, request_of_events(*third))
    to.close(1000)
    assert (["3", "1", "4"], 1) == (urls(memory), to.tally.failed_entries)


def test_parts_of_a_large_entry() -> None:
    """An entry that has no room alone is rejected, with all its parts, and others have the room."""
    memory = InMemoryHarExporter()
    to = deliverer(memory, parts=Parts(8_000))
    large = parts_of(entry_event(entry(1, "x" * 8_000), PAGE), 700)
    answers = to.deliver([message(request_of_events(part)) for part in large])
    assert ({Verdict.OK}, {0, 1}) == ({one.verdict for one in answers}, {one.rejected for one in answers})
    _deliver(to, request_of_events(*_two_in_parts()[1]))
    to.close(1000)
    assert (["2"], 1) == (urls(memory), to.tally.failed_entries)


def test_parts_without_data_are_bounded() -> None:
    """All that a part has counts: what is not needed of it is not kept."""
    to = deliverer(InMemoryHarExporter(), parts=Parts(100_000))
    tracemalloc.start()
    try:
        for number in range(300):
            attributes: dict[str, Any] = {
                "otel_har.entry.id": str(number),
                "url.full": "u" * 50_000,
                "otel_har.part.index": 0,
            }
            part = Event("otel_har.part", {**attributes, "otel_har.part.count": 2, "otel_har.part.data": ""})
            _deliver(to, request_of_events(part))
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
    to.close(1000)
    assert 300 == to.tally.failed_entries


def test_pages_of_two_services() -> None:
    """Two services in one trace have one page: that of the span that began first, with its duration."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    later = PAGE.model_copy(
        update={"title": "stock", "started_date_time": "2026-01-31T10:00:01Z", "page_timings": PageTimings(on_load=1)}
    )
    ended = PAGE.model_copy(update={"page_timings": PageTimings(on_load=2000)})
    stock = Origin({"service.name": "stock"})
    to.deliver([message(request(entry(2), page=later, origin=stock))])
    to.deliver([message(request(entry(1)))])
    to.deliver([message(request_of_page(later, stock)), message(request_of_page(ended))])
    assert ([ended], {PAGE.id}) == (list(memory.pages), {one.pageref for one in memory.entries})


def test_pages_of_runs() -> None:
    """Programs whose runs have the same id have a page each; that of the first keeps its id."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    run = Page(started_date_time="2026-01-31T10:00:00Z", id="run_1", title="python app.py")
    other = Origin({"service.name": "shop", "host.name": "two"})
    for number, origin in ((1, SHOP), (2, other), (3, SHOP), (4, other)):
        to.deliver([message(request(entry(number, page="run_1"), page=run, origin=origin))])
    pages = [one.pageref for one in memory.entries]
    assert (pages[0], pages[1]) == (pages[2], pages[3])
    assert {"run_1", pages[1]} == {page.id for page in memory.pages}
    assert ("run_1", 2) == (pages[0], len(set(pages)))


def test_many_pages() -> None:
    """Beyond the limit entries share one page."""
    memory = InMemoryHarExporter()
    destinations = OneDestination(memory, max_pages=3)
    to = deliverer(destinations)
    for number in range(5):
        page = PAGE.model_copy(update={"id": f"trace_{number}"})
        to.deliver([message(request(entry(number, page=page.id), page=page))])
    assert ["trace_0", "trace_1", "others", "others", "others"] == [one.pageref for one in memory.entries]
    assert ["trace_0", "trace_1", "others"] == [page.id for page in memory.pages]


def test_pages_without_entries() -> None:
    """A page that no entry is of takes no place of others; one that is told before its first entry is not forgotten."""
    memory = InMemoryHarExporter()
    to = deliverer(OneDestination(memory, max_pages=2))
    pages = [PAGE.model_copy(update={"id": f"trace_{number}", "title": f"title {number}"}) for number in range(5)]
    for page in pages:
        to.deliver([message(request_of_page(page))])
    unnamed = pages[3].model_copy(update={"title": "3"})
    to.deliver([message(request(entry(1, page="trace_3"), page=unnamed))])
    assert ([pages[3]], ["trace_3"]) == (list(memory.pages), [one.pageref for one in memory.entries])


def _files(path: Path, split: str, **options: Any) -> FileDestinations:
    make: Callable[[Path, bool], HarExporter] = lambda path, append: FileHarExporter(path, append=append)  # noqa: E731
    return FileDestinations(NameTemplate(str(path), split), make, **options)


def _written(directory: Path) -> dict[str, list[str]]:
    return {
        path.name: [one["request"]["url"].rpartition("/")[2] for one in read_checked(path)["log"]["entries"]]
        for path in sorted(directory.glob("*.har"))
    }


def _deliver(to: Deliverer, *requests: ExportLogsServiceRequest) -> None:
    answers: Sequence[Answer] = to.deliver([message(one) for one in requests])
    assert [Verdict.OK] * len(requests) == [answer.verdict for answer in answers]


def test_split_by_service(tmp_path: Path) -> None:
    """Each service has a file; a receiver that starts again goes on with them."""
    stock = Origin({"service.name": "../stock"})
    for start in (0, 10):
        to = deliverer(_files(tmp_path / "out.har", "service"))
        _deliver(to, request(entry(start + 1)), request(entry(start + 2), origin=stock), request(entry(start + 3)))
        to.close(1000)
    names = list(_written(tmp_path))
    assert ({"1", "3", "11", "13"}, {"2", "12"}) == tuple(map(set, _written(tmp_path).values()))[::-1]
    assert "out.shop.har" in names


def test_split_by_trace(tmp_path: Path) -> None:
    """Each trace has a file; a page that changes goes to the one of its trace, also when it is told before."""
    to = deliverer(_files(tmp_path / "out.har", "trace"))
    other = TRACE.replace("0af", "1af")
    pages = [Page(started_date_time="2026-01-31T10:00:00Z", id=f"trace_{one}", title=one) for one in (TRACE, other)]
    ended = [page.model_copy(update={"page_timings": PageTimings(on_load=5)}) for page in pages]
    _deliver(to, request(entry(1), page=pages[0]), request_of_page(ended[0]))
    _deliver(to, request_of_page(ended[1]), request(entry(2, trace=other), page=pages[1]))
    to.close(1000)
    assert {f"out.{TRACE}.har": ["1"], f"out.{other}.har": ["2"]} == _written(tmp_path)
    logs = [read_checked(path)["log"] for path in sorted(tmp_path.glob("*.har"))]
    assert [5, 5] == [log["pages"][0]["pageTimings"]["onLoad"] for log in logs]


def test_many_files(tmp_path: Path) -> None:
    """Beyond the limit entries share one more file."""
    to = deliverer(_files(tmp_path / "out.har", "service", max_files=2))
    for number in range(4):
        _deliver(to, request(entry(number), origin=Origin({"service.name": f"s{number}"})))
    to.close(1000)
    assert {"out.others.har": ["2", "3"], "out.s0.har": ["0"], "out.s1.har": ["1"]} == _written(tmp_path)


def test_what_time_brings(tmp_path: Path) -> None:
    """What is too old goes from all files that are open, also when nothing comes."""
    now_s = entry(1).started_at.timestamp()

    def make(path: Path, append: bool) -> HarExporter:
        return FileHarExporter(path, append=append, retention=Retention(max_age_seconds=10), clock=lambda: now_s)

    to = deliverer(FileDestinations(NameTemplate(str(tmp_path / "out.har"), "service"), make))
    _deliver(to, request(entry(1)), request(entry(2), origin=Origin({"service.name": "stock"})))
    assert {"out.shop.har": ["1"], "out.stock.har": ["2"]} == _written(tmp_path)
    now_s += 20
    to.deliver([])
    assert {"out.shop.har": [], "out.stock.har": []} == _written(tmp_path)
    to.close(1000)


def _descriptors() -> int:
    """How many files are open in this process, where the system tells."""
    there = Path("/proc/self/fd")
    return len(list(there.iterdir())) if there.is_dir() else 0


def test_rotated_among_many_files(tmp_path: Path) -> None:
    """A file that was closed for others, and is rotated when it is open again, has the pages of its entries.

    No more files are open at a time than may be.
    """

    def make(path: Path, append: bool) -> HarExporter:
        return FileHarExporter(path, append=append, rotation=Rotation(max_bytes=5_000))

    to = deliverer(FileDestinations(NameTemplate(str(tmp_path / "out.har"), "service"), make))
    others = [request(entry(1000 + number), origin=Origin({"service.name": f"s{number}"})) for number in range(70)]
    _deliver(to, request(entry(0)))
    before = _descriptors()
    for number in range(1, 9):
        _deliver(to, *(others if number == 3 else []), request(entry(number, "x" * 500)))
    after = _descriptors()
    assert after - before < 64 * 8
    to.close(1000)
    logs = [read_checked(path)["log"] for path in tmp_path.glob("out.shop*.har")]
    assert len(logs) > 1
    assert [str(number) for number in range(9)] == sorted(
        one["request"]["url"].rpartition("/")[2] for log in logs for one in log["entries"]
    )
    assert [[PAGE.id]] * len(logs) == [[page["id"] for page in log["pages"]] for log in logs]
    assert 70 == len(list(tmp_path.glob("out.s[0-9]*.har")))


def _spans(*numbers: int) -> Message:
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add()
    resource.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource.scope_spans.add().spans
    for number in numbers:
        span = spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=(number + 1).to_bytes(8, "big"),
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=1_769_853_600_000_000_000 + number,
            end_time_unix_nano=1_769_853_601_000_000_000,
        )
        span.attributes.extend(key_values({"http.request.method": "GET", "url.full": f"http://shop.test/span{number}"}))
    return Message(Signal.TRACES, made.SerializeToString())


def test_spans() -> None:
    """A span is an entry unless an event of it comes, before it or while it waits; what waits is there at the end."""
    memory = InMemoryHarExporter()
    to = deliverer(memory, wait_s=3600)
    to.deliver([message(request(entry(1)))])
    to.deliver([_spans(1, 2, 3)])
    to.deliver([message(request(entry(2)))])
    assert ["1", "2"] == urls(memory)
    to.close(1000)
    assert ["1", "2", "span3"] == urls(memory)


def test_spans_that_waited() -> None:
    """A span that waited long enough goes its way; when the destination takes nothing it waits again."""
    failing = Failing(DestinationError("full"))
    to = deliverer(failing, wait_s=1e-9)
    to.deliver([_spans(1)])
    to.deliver([])
    assert [] == urls(failing.memory)
    to.close(1000)
    assert ["span1"] == urls(failing.memory)


def test_spans_that_say_much() -> None:
    """Spans that wait have so much room: the oldest go early; those that nobody takes then are lost, and counted."""
    room = SpanRoom(3600)
    large = [entry(number).model_copy(update={"otel": {"x": "x" * 12_000_000}}) for number in range(4)]
    spans = [Arrival({}, entry=one, is_span=True, span=b"%d" % number) for number, one in enumerate(large)]
    assert [] == room.sorted_out(spans[:2], 0)
    assert [] == room.due(0)
    room.sorted_out(spans[2:], 0)
    due = room.due(0)
    assert spans[:2] == due
    assert 1 == room.put_back(due, 10)
    assert [spans[2], spans[3], spans[0]] == room.due(float("inf"))
    assert [] == room.due(float("inf"))


def test_spans_that_are_not_wanted() -> None:
    """Without the option spans are left."""
    memory = InMemoryHarExporter()
    to = deliverer(memory)
    assert [Answer(Verdict.OK)] == to.deliver([_spans(1)])
    to.close(1000)
    assert [] == urls(memory)
