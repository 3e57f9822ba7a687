"""Entries that a background process makes: the same ones, of the same records, with the same account."""

from __future__ import annotations

import functools
import gzip
import http
import itertools
import os
import pickle
import re
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from children import names
from journal import JournalExporter, lines
from otel_har.errors import DestinationError
from otel_har.exchange import Exchange
from otel_har.export.background.messages import packed, unpacked
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.elsewhere import EntryForm
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarProcessor, HarStatistics
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.filters import EVERYTHING, HarFilter
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import DEFAULT_OPTIONS
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.redaction.policy import DEFAULT_POLICY, RedactionPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_har.har.models import Entry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")

PATIENCE_MS = 30_000
NEVER_MS = 3_600_000
PAGE = PageFacts("run", "run", 1_900_000_000_000_000_000)
SPAN = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)
FORM = EntryForm(DEFAULT_OPTIONS, DEFAULT_POLICY, EVERYTHING)
SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be in a file
IN_BATCHES: Callable[..., HarProcessor] = functools.partial(
    BatchHarProcessor, settings=BatchSettings(schedule_delay_millis=NEVER_MS)
)

_starts = itertools.count(PAGE.started_unix_ns)


class Word(str):
    """A text of the program's own kind."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Odd:
    """No value: it says what it is, here."""

    def __str__(self) -> str:
        return "odd"

    def __len__(self) -> int:
        return 3


def _record(path: str, *, body: bytes = b"", **facts: Any) -> HarRecord:
    exchange = Exchange(
        "GET", f"http://h.test/{path}", started_unix_ns=next(_starts), started=1, limits=CaptureLimits()
    )
    exchange.status = 200
    for name, value in facts.items():
        setattr(exchange, name, value)
    exchange.response_body.note(body)
    exchange.response_body.ended = True
    exchange.finish(2)
    return HarRecord(exchange, SPAN, PAGE)


@dataclass
class _Recorder:
    """A processor whose exporter is a journal's, in a process of its own."""

    processor: Any
    exporter: BackgroundProcessHarExporter
    directory: Path

    def record(self, *records: HarRecord) -> bool:
        """Record them, and flush."""
        for record in records:
            self.processor.on_record(record)
        flushed: bool = self.processor.force_flush(PATIENCE_MS)
        return flushed

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Those of the journal."""
        return [entry for line in lines(self.directory) for entry in line.get("entries", ())]

    @property
    def paths(self) -> list[str]:
        """The last parts of their URLs."""
        return [entry["request"]["url"].rpartition("/")[2] for entry in self.entries]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., _Recorder]]:
    """Makes such a recorder; it is shut down at the end."""
    made: list[HarProcessor] = []

    def make(kind: Callable[..., HarProcessor] = IN_BATCHES, **options: Any) -> _Recorder:
        exporter = BackgroundProcessHarExporter(functools.partial(JournalExporter, tmp_path))
        made.append(kind(exporter, **options))
        return _Recorder(made[-1], exporter, tmp_path)

    yield make
    for processor in made:
        processor.shutdown()


@pytest.mark.parametrize("kind", [SimpleHarProcessor, IN_BATCHES])
def test_entries_are_made_there(make: Callable[..., _Recorder], kind: Callable[..., HarProcessor]) -> None:
    """They are there, redacted and in order."""
    recorder = make(kind)
    body = f'{{"password": "{SECRET}"}}'.encode()
    headers = [(b"Content-Type", b"application/json")]
    is_done = recorder.record(*(_record(str(number), body=body, response_headers=headers) for number in range(200)))
    assert (True, [str(number) for number in range(200)]) == (is_done, recorder.paths)
    assert {'{"password": "[REDACTED]"}'} == {entry["response"]["content"]["text"] for entry in recorder.entries}


def test_answer_tells_what_was_made(make: Callable[..., _Recorder]) -> None:
    """The process that answers has made the entries itself: of records, not of entries of this one."""
    exporter = make().exporter
    answer = exporter.export_records([_record("1"), PAGE, _record("2")], FORM, HarStatistics(dropped_entries=3))
    assert answer is not None
    assert answer.made is not None
    assert (3, 2, 0, False) == (
        answer.made.taken,
        answer.made.entries,
        answer.made.filtered_entries,
        answer.made.is_empty,
    )


def test_the_same_file(tmp_path: Path) -> None:
    """A file made by the process is the one that is made here, but for the process that is told of."""
    records = [_record(str(number), body=b"x" * number) for number in range(5)]
    texts = []
    for name, make in (("here", FileHarExporter), ("there", _in_process)):
        path = tmp_path / f"{name}.har"
        processor = BatchHarProcessor(make(path))
        for record in records:
            processor.on_record(record)
        processor.shutdown()
        texts.append(path.read_text().partition('"entries"')[2].partition('"_otel_har"')[0])
    assert texts[0] == texts[1]
    assert ["0", "1", "2", "3", "4"] == names(tmp_path / "there.har")


def _in_process(path: Path) -> BackgroundProcessHarExporter:
    return BackgroundProcessHarExporter(functools.partial(FileHarExporter, path))


def test_texts_and_numbers_of_other_classes() -> None:
    """They cross as what they are, whatever their classes make of them; no class has to be there."""
    record = _record("x", status=http.HTTPStatus.OK, response_headers=[(Word("Name"), Word("value"))])
    packet = packed([record])
    assert (False, False) == (b"Word" in packet, b"HTTPStatus" in packet)
    [there] = unpacked(packet)
    assert isinstance(there, HarRecord)
    assert there.exchange is not None
    assert [[("Name", "value")], 200] == [there.exchange.response_headers, there.exchange.status]


class Lying:
    """It says that it is Python's own, and what to do where it arrives."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return eval, ("1",)


Lying.__module__ = "builtins"


@pytest.mark.parametrize("value", [Odd(), os.getpid, Odd, {"a": [Odd()]}, Lying(), Lying, eval])
def test_what_is_no_value(value: object) -> None:
    """Objects, functions and classes of the program do not cross: another process would have to import it."""
    with pytest.raises(pickle.PicklingError, match="is no value"):
        packed([_record("x", reason=value)])


def test_form_with_names_of_other_classes() -> None:
    """Names that are to be redacted may be of an enum of the program's: no class of it has to be there."""
    redaction = RedactionPolicy(headers=(Word("x-name"),), header_patterns=(re.compile("^x-"),))
    packet = packed(EntryForm(DEFAULT_OPTIONS, redaction, HarFilter((Word("*/api/*"),))))
    form = unpacked(packet)
    assert (False, [str]) == (b"Word" in packet, [type(name) for name in form.redaction.headers])
    assert (("x-name",), ("*/api/*",)) == (form.redaction.headers, form.filter.include_urls)
    assert redaction.header_patterns == form.redaction.header_patterns


def test_records_that_take_too_long(tmp_path: Path) -> None:
    """They are given away once, made here the next time, and the ones after them are given away again."""
    make = functools.partial(JournalExporter, tmp_path)
    exporter = BackgroundProcessHarExporter(make, timeout_seconds=3)
    (tmp_path / "hangs").touch()
    with pytest.raises(DestinationError, match="did not answer in time"):
        exporter.export_records([_record("1")], FORM, HarStatistics())
    (tmp_path / "hangs").unlink()
    assert exporter.export_records([_record("1")], FORM, HarStatistics()) is None
    assert exporter.export_records([_record("2")], FORM, HarStatistics()) is not None
    exporter.shutdown()
    assert [1] == [len(line["entries"]) for line in lines(tmp_path) if "entries" in line]


def test_records_that_cannot_be_given_away(make: Callable[..., _Recorder]) -> None:
    """What an adapter put into an exchange may be no value: its entry is made here, and nothing is lost."""
    recorder = make()
    assert recorder.record(_record("1"), _record("2", response_headers=[(Odd(), Odd())]), _record("3"))
    assert (["1", "2", "3"], HarStatistics()) == (recorder.paths, recorder.processor.measured().account.statistics)


def test_program_sees_entries_here(make: Callable[..., _Recorder]) -> None:
    """A predicate and a redactor of the program are called in the program."""
    seen: list[tuple[str, int]] = []

    def note(entry: Entry) -> bool:
        seen.append((entry.request.url[-1], os.getpid()))
        return entry.request.url[-1] != "2"

    def redact(entry: Entry) -> Entry:
        seen.append(("redacted", os.getpid()))
        return entry

    recorder = make(filter=HarFilter(predicate=note), redaction=RedactionPolicy(redactor=redact))
    assert recorder.record(_record("1"), _record("2"))
    assert ["1"] == recorder.paths
    assert {("1", os.getpid()), ("2", os.getpid()), ("redacted", os.getpid())} == set(seen)


def test_filter_and_its_account(make: Callable[..., _Recorder]) -> None:
    """What is left out there counts here as left out; a batch of nothing else is none."""
    recorder = make(filter=HarFilter(statuses="404", bodies="none"))
    assert recorder.record(_record("1"), _record("2", status=404, body=b"x"), _record("3"))
    assert recorder.record(_record("4"))
    account = recorder.processor.measured().account
    assert (["2"], 3, 1) == (recorder.paths, account.filtered_entries, account.exported_entries)
    assert "excluded" == recorder.entries[0]["response"]["content"]["_bodyState"]
    assert 1 == sum("entries" in line for line in lines(recorder.directory))


def test_destination_that_takes_nothing(make: Callable[..., _Recorder], tmp_path: Path) -> None:
    """The records come again, in their order, and are made once more."""
    recorder = make()
    (tmp_path / "full").touch()
    assert recorder.record(_record("1"), _record("2")) is False
    (tmp_path / "full").unlink()
    assert recorder.record(_record("3")) is True
    account = recorder.processor.measured().account
    assert (["1", "2", "3"], 3, HarStatistics(failed_exports=1)) == (
        recorder.paths,
        account.exported_entries,
        account.statistics,
    )


def test_exporter_that_fails(make: Callable[..., _Recorder], tmp_path: Path) -> None:
    """The entries that were made are lost, and counted; the next ones are not."""
    recorder = make(filter=HarFilter(exclude_urls="*/left-out"))
    (tmp_path / "bug").touch()
    recorder.record(_record("1"), _record("left-out"), _record("2"))
    (tmp_path / "bug").unlink()
    recorder.record(_record("3"))
    account = recorder.processor.measured().account
    assert (["3"], 1, HarStatistics(failed_entries=2, failed_exports=1)) == (
        recorder.paths,
        account.filtered_entries,
        account.statistics,
    )


def test_what_was_lost_is_told(make: Callable[..., _Recorder]) -> None:
    """The counts of this process reach the exporter with the next batch, once."""
    recorder = make(settings=BatchSettings(max_queue_size=1, schedule_delay_millis=NEVER_MS))
    recorder.processor._account.drop()
    recorder.record(_record("1"))
    recorder.record(_record("2"))
    assert [1, 0] == [line["lost"] for line in lines(recorder.directory) if "lost" in line]


def test_process_that_is_killed(make: Callable[..., _Recorder], tmp_path: Path) -> None:
    """The next one gets the same records, and how entries are made of them."""
    recorder = make(redaction=RedactionPolicy("strict"))
    recorder.record(_record("1?a=b"))
    (tmp_path / "killed").touch()
    assert recorder.record(_record("2?a=b")) is True
    os.kill(recorder.exporter.pid or 0, signal.SIGKILL)
    assert recorder.record(_record("3?a=b")) is True
    assert ["1?a=%5BREDACTED%5D", "2?a=%5BREDACTED%5D", "3?a=%5BREDACTED%5D"] == recorder.paths


def test_records_that_become_large(make: Callable[..., _Recorder]) -> None:
    """A batch is cut by what its entries come to; what is left comes with the next one, and none is lost."""
    body = gzip.compress(bytes(9_000_000))
    headers = [(b"Content-Encoding", b"gzip"), (b"Content-Type", b"text/plain")]
    records = [_record(str(number), body=body, response_headers=headers) for number in range(3)]
    for record in records:
        assert record.exchange is not None
        record.exchange.response_body.encoded = True
    recorder = make()
    assert recorder.record(*records) is True
    sizes = [len(line["entries"]) for line in lines(recorder.directory) if "entries" in line]
    assert (["0", "1", "2"], [1, 1, 1]) == (recorder.paths, sizes)


@pytest.mark.parametrize("kind", [SimpleHarProcessor, IN_BATCHES])
def test_batches_are_small(make: Callable[..., _Recorder], tmp_path: Path, kind: Callable[..., HarProcessor]) -> None:
    """To give records away takes the interpreter for as long as there are records: never for many at once."""
    recorder = make(kind)
    (tmp_path / "full").touch()
    recorder.record(*(_record(str(number)) for number in range(299)))
    (tmp_path / "full").unlink()
    assert recorder.record(_record("299")) is True
    assert [str(number) for number in range(300)] == recorder.paths
    sizes = [len(line["entries"]) for line in lines(recorder.directory) if "entries" in line]
    assert (300, True) == (sum(sizes), max(sizes) <= 64)


@pytest.mark.parametrize(
    ("form", "is_of_values"),
    [
        (FORM, True),
        (EntryForm(DEFAULT_OPTIONS, RedactionPolicy("strict", headers=("x",), hashes=True), EVERYTHING), True),
        (EntryForm(DEFAULT_OPTIONS, DEFAULT_POLICY, HarFilter("*/api/*", methods="GET", bodies="text")), True),
        (EntryForm(DEFAULT_OPTIONS, RedactionPolicy(redactor=lambda entry: entry), EVERYTHING), False),
        (EntryForm(DEFAULT_OPTIONS, DEFAULT_POLICY, HarFilter(predicate="package.module:function")), False),
        (EntryForm(DEFAULT_OPTIONS, DEFAULT_POLICY, type("OwnFilter", (HarFilter,), {})()), False),
    ],
)
def test_form_of_values(form: EntryForm, *, is_of_values: bool) -> None:
    """A form that another process can have is one without the program's own functions and classes."""
    assert is_of_values == form.is_of_values
    if is_of_values:
        assert form == pickle.loads(pickle.dumps(form))  # noqa: S301 - just made
