"""What every `HarExporter` has to keep, whatever its destination. A new exporter is one more case of `CASES`."""

from __future__ import annotations

import functools
import gzip
import io
import json
import logging
import multiprocessing
import os
import sys
import threading
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from journal import JournalExporter, journal_log
from otel_har.errors import DestinationError, ExportError
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.console import ConsoleHarExporter
from otel_har.export.executor import ExecutorHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.model import to_har_model
from otel_har.export.otlp import OtlpHarExporter
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.export.stream import StreamHarExporter
from otel_har.guard import attempted
from otel_har.har.models import Entry, Page, PageTimings, Request
from servers.otlp import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    Log = dict[str, Any]
    Made = tuple[HarExporter, Callable[[], Log]]

PAGES, STATISTICS, WHOLE, PAGES_AT_END = "pages", "statistics", "whole", "pages at the end"
FAULTS, BUGS, REDACTION = "faults", "bugs", "redaction"
EVERYTHING = frozenset({PAGES, STATISTICS, WHOLE, PAGES_AT_END, REDACTION})


@dataclass(frozen=True)
class Case:
    """An exporter, and how to read what it delivered: a log as JSON has it.

    Attributes:
        make: Makes the exporter, for a directory, and what reads.
        shows: What can be read, besides the URLs of the entries; and whether `full` in the directory makes it fail.
        child: What a forked child's entries become: `shared` with the parent's, the child's `own`, or `refused`.
    """

    make: Callable[[Path], Made]
    shows: frozenset[str] = EVERYTHING
    child: str = "own"


_READERS: list[io.RawIOBase] = []


def _log_in(document: bytes) -> Log:
    log: Log = json.loads(document)["log"]
    return log


def _file(directory: Path, indent: int | None = None) -> Made:
    exporter = FileHarExporter(directory / "out.har", indent)
    return exporter, lambda: _log_in(exporter.path.read_bytes())


def _gzip(directory: Path) -> Made:
    exporter = FileHarExporter(directory / "out.har.gz")
    return exporter, lambda: _log_in(gzip.decompress(exporter.path.read_bytes()))


def _zip(directory: Path) -> Made:
    exporter = ArchiveHarExporter(directory / "out.har.zip")

    def read() -> Log:
        exporter.force_flush()
        with zipfile.ZipFile(exporter.path) as archive:
            return _log_in(archive.read("har.har"))

    return exporter, read


def _memory(_: Path) -> Made:
    exporter = InMemoryHarExporter()
    return exporter, lambda: _log_in(exporter.har().to_json())


def _bytes(_: Path) -> Made:
    stream = io.BytesIO(b"before ")
    stream.seek(0, io.SEEK_END)
    return StreamHarExporter(stream), lambda: _log_in(stream.getvalue().removeprefix(b"before ") or _NOTHING)


def _text(_: Path) -> Made:
    stream = io.StringIO()
    return StreamHarExporter(stream, 2), lambda: _log_in(stream.getvalue().encode() or _NOTHING)


def _open_file(directory: Path) -> Made:
    path = directory / "out.har"
    exporter = StreamHarExporter(path.open("w", encoding="ascii"), close=True)
    return exporter, lambda: _log_in(path.read_bytes() or _NOTHING)


def _pipe(_: Path) -> Made:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    reader, got = open(read_end, "rb", 0), bytearray()  # noqa: PTH123, SIM115 - closed with the module
    _READERS.append(reader)

    def read() -> Log:
        got.extend(reader.read() or b"")
        if got.endswith(b"}}\n"):
            return _log_in(bytes(got))
        return _log_in(bytes(got) + b'],"pages":[]}}') if got else _log_in(_NOTHING)

    return StreamHarExporter(open(write_end, "wb"), close=True), read  # noqa: PTH123 - closed by the exporter


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _logging(directory: Path) -> Made:
    logger = logging.getLogger(str(directory))
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler := _Records())

    def read() -> Log:
        found = [vars(record) for record in handler.records]
        pages = [record["har_page"] for record in found if "har_page" in record]
        entries = [record["har_entry"] for record in found if "har_entry" in record]
        return _log_in(to_har_model(pages, entries).to_json())

    return LoggingHarExporter(logger), read


def _console(_: Path) -> Made:
    stream = io.StringIO()

    def read() -> Log:
        urls = [line.split()[6] for line in stream.getvalue().splitlines()]
        return {"entries": [{"request": {"url": url}} for url in urls]}

    return ConsoleHarExporter(stream), read


def _composite(_: Path) -> Made:
    first, second = InMemoryHarExporter(), InMemoryHarExporter()

    def read() -> Log:
        assert first.har() == second.har()
        return _log_in(first.har().to_json())

    return CompositeHarExporter(first, second), read


def _in_threads(directory: Path) -> Made:
    exporter, read = _file(directory)
    return ExecutorHarExporter(exporter, ThreadPoolExecutor(2), shut_executor_down=True), read


@functools.cache
def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module", autouse=True)
def _pool_ends() -> Iterator[None]:
    yield
    _pool().shutdown()
    _receiver().kill()
    for reader in _READERS:
        reader.close()


def _in_pool(directory: Path) -> Made:
    path = directory / "out.har"
    exporter = ExecutorHarExporter(functools.partial(FileHarExporter, path), _pool())
    return exporter, lambda: _log_in(path.read_bytes() if path.exists() else _NOTHING)


def _in_process(directory: Path) -> Made:
    path = directory / "out.har"
    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path))
    return exporter, lambda: _log_in(path.read_bytes())


def _custom(directory: Path) -> Made:
    return JournalExporter(directory), lambda: journal_log(directory)


def _custom_in_composite(directory: Path) -> Made:
    return CompositeHarExporter(JournalExporter(directory)), lambda: journal_log(directory)


def _custom_in(executor: Callable[[], Executor]) -> Callable[[Path], Made]:
    def make(directory: Path) -> Made:
        made = ExecutorHarExporter(functools.partial(JournalExporter, directory), executor())
        return made, lambda: journal_log(directory)

    return make


def _custom_in_process(directory: Path) -> Made:
    made = BackgroundProcessHarExporter(functools.partial(JournalExporter, directory))
    return made, lambda: journal_log(directory)


class _Stream(io.BytesIO):
    """Takes nothing while there is a file `full`."""

    def __init__(self, directory: Path, *, is_seekable: bool) -> None:
        super().__init__()
        self._directory = directory
        self._is_seekable = is_seekable

    def seekable(self) -> bool:
        return self._is_seekable

    def write(self, data: Any) -> int:
        if (self._directory / "full").exists():
            raise OSError(28, "full")
        return super().write(data)


def _faulty_stream(directory: Path) -> Made:
    stream = _Stream(directory, is_seekable=True)
    return StreamHarExporter(stream), lambda: _log_in(stream.getvalue() or _NOTHING)


def _faulty_flow(directory: Path) -> Made:
    stream = _Stream(directory, is_seekable=False)

    def read() -> Log:
        got = stream.getvalue()
        return _log_in(got if not got or got.endswith(b"}}\n") else got + b'],"pages":[]}}') if got else {"entries": []}

    return StreamHarExporter(stream), read


@functools.cache
def _receiver() -> Receiver:
    return Receiver()


def _otlp(protocol: str) -> Callable[[Path], Made]:
    def make(directory: Path) -> Made:
        sender = _receiver().sender(protocol)
        sender.is_answered(full=str(directory / "full"))
        return OtlpHarExporter(**sender.options), sender.log

    return make


_NOTHING = b'{"log":{"entries":[],"pages":[]}}'
_FAULTY = EVERYTHING | {FAULTS}
_BUGGY = _FAULTY - {REDACTION} | {BUGS}
_FLOWS = EVERYTHING - {PAGES}

CASES = {
    "file": Case(_file, child="shared"),
    "file, indented": Case(lambda directory: _file(directory, 2), child="shared"),
    "gzip": Case(_gzip, child="shared"),
    "zip": Case(_zip, child="shared"),
    "memory": Case(_memory),
    "stream of bytes": Case(_bytes),
    "stream of text, indented": Case(_text),
    "stream of a file": Case(_open_file, child="refused"),
    "stream of a pipe": Case(_pipe, _FLOWS, "refused"),
    "stream with faults": Case(_faulty_stream, _FAULTY),
    "stream with faults, not seekable": Case(_faulty_flow, _FLOWS | {FAULTS}),
    "logging": Case(_logging, EVERYTHING - {STATISTICS, REDACTION}),
    "console": Case(_console, frozenset()),
    "composite": Case(_composite),
    "executor of threads": Case(_in_threads, child="shared"),
    "executor of processes": Case(_in_pool, child="shared"),
    "background process": Case(_in_process, child="shared"),
    "OTLP over HTTP": Case(_otlp("http/protobuf"), _FAULTY, child="shared"),
    "OTLP over gRPC": Case(_otlp("grpc"), _FAULTY, child="shared"),
    "custom": Case(_custom, _BUGGY, "shared"),
    "custom, in a composite": Case(_custom_in_composite, _BUGGY, "shared"),
    "custom, in threads": Case(_custom_in(lambda: ThreadPoolExecutor(1)), _BUGGY, "shared"),
    "custom, in processes": Case(_custom_in(_pool), _BUGGY, "shared"),
    "custom, in a background process": Case(_custom_in_process, _BUGGY, "shared"),
}


@dataclass
class Subject:
    """The exporter under test."""

    exporter: HarExporter
    log: Callable[[], Log]
    case: Case
    directory: Path

    @property
    def paths(self) -> list[str]:
        """The path of each entry that was delivered."""
        return [entry["request"]["url"].rpartition("/")[2] for entry in self.log()["entries"]]

    @property
    def pages(self) -> list[tuple[str, float]]:
        """Id and duration of each page that was delivered."""
        return [(page["id"], page["pageTimings"]["onLoad"]) for page in self.log()["pages"]]

    def has_to_show(self, what: str) -> None:
        """Skip the test where that cannot be seen."""
        if what not in self.case.shows:
            pytest.skip(f"shows no {what}")


_FAULTY_ONLY = {name for name in CASES if name.startswith("custom, ")}


@pytest.fixture(params=[name for name, case in CASES.items() if FAULTS in case.shows])
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each exporter that can be made to fail."""
    yield from _subject(request.param, tmp_path)


@pytest.fixture(params=[name for name in CASES if name not in _FAULTY_ONLY])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each exporter in turn."""
    yield from _subject(request.param, tmp_path)


def _subject(name: str, tmp_path: Path) -> Iterator[Subject]:
    case = CASES[name]
    made = Subject(*case.make(tmp_path), case, tmp_path)
    yield made
    made.exporter.shutdown()


def _page(name: str = "run", on_load: float = -1) -> Page:
    return Page(started_date_time="2030-01-01T00:00:00Z", id=name, page_timings=PageTimings(on_load=on_load))


def _batch(*paths: str, page: Page | None = None) -> HarBatch:
    page = page or _page()
    return HarBatch(
        (page,),
        tuple(
            Entry(
                pageref=page.id,
                started_date_time="2030-01-01T00:00:00Z",
                request=Request(method="GET", url=f"http://h.test/{path}"),
            )
            for path in paths
        ),
    )


def test_order(subject: Subject) -> None:
    """Entries are delivered once each, in the order in which they came."""
    for paths in (("1", "2"), ("3",), ("3", "0")):
        assert HarExportResult.SUCCESS is subject.exporter.export(_batch(*paths))
    assert subject.exporter.force_flush(20_000) is True
    assert ["1", "2", "3", "3", "0"] == subject.paths


def test_entries_are_whole(subject: Subject) -> None:
    """What is delivered is what was handed in."""
    subject.has_to_show(WHOLE)
    batch = _batch("1")
    subject.exporter.export(batch)
    subject.exporter.force_flush(20_000)
    [entry] = subject.log()["entries"]
    assert json.loads(batch.entries[0].to_json()) == entry


def test_nothing(subject: Subject) -> None:
    """An empty batch is no failure and delivers nothing."""
    assert HarExportResult.SUCCESS is subject.exporter.export(HarBatch((), ()))
    assert [] == subject.paths
    assert "pages" not in subject.log() or [] == subject.pages


def test_counts_alone(subject: Subject) -> None:
    """A batch of nothing but counts is taken, and changes no entry."""
    subject.exporter.export(_batch("1"))
    assert HarExportResult.SUCCESS is subject.exporter.export(HarBatch((), (), HarStatistics(1, 2, 3, 4)))
    assert ["1"] == subject.paths


def test_statistics(subject: Subject) -> None:
    """What was lost adds up, from batch to batch."""
    subject.has_to_show(STATISTICS)
    subject.exporter.export(HarBatch((), (), HarStatistics(dropped_entries=2)))
    batch = _batch("1")
    subject.exporter.export(HarBatch(batch.pages, batch.entries, HarStatistics(dropped_entries=3)))
    subject.exporter.shutdown(20_000)
    assert 5 == subject.log()["_otel_har"]["statistics"]["droppedEntries"]


def test_redaction(subject: Subject) -> None:
    """A document tells by which policy all of it was redacted: the weakest of those of its batches."""
    subject.has_to_show(REDACTION)
    for redaction, path in (("strict", "1"), ("default", "2"), ("strict", "3")):
        batch = _batch(path)
        subject.exporter.export(HarBatch(batch.pages, batch.entries, redaction=redaction))
    subject.exporter.shutdown(20_000)
    assert {"policy": "default"} == subject.log()["_redaction"]


def test_destination_takes_nothing_for_now(faulty: Subject) -> None:
    """What was not taken is not there, and is taken later, once; what was there before stays."""
    faulty.exporter.export(_batch("1"))
    flag = faulty.directory / "full"
    flag.touch()
    with pytest.raises(DestinationError, match="full"):
        faulty.exporter.export(_batch("2", "3"))
    with pytest.raises(DestinationError, match="full"):
        faulty.exporter.export(_batch("2"))
    flag.unlink()
    assert ["1"] == faulty.paths
    assert HarExportResult.SUCCESS is faulty.exporter.export(_batch("2", "3"))
    faulty.exporter.force_flush(20_000)
    assert ["1", "2", "3"] == faulty.paths


def test_fault_of_the_exporter(faulty: Subject) -> None:
    """What an exporter raises costs the batch, and the next one is taken."""
    faulty.has_to_show(BUGS)
    (faulty.directory / "bug").touch()
    outcome = attempted(lambda: faulty.exporter.export(_batch("1")))
    assert outcome is HarExportResult.FAILURE or (
        isinstance(outcome, ExportError | RuntimeError) and "bug" in str(outcome)
    )
    (faulty.directory / "bug").unlink()
    assert HarExportResult.SUCCESS is faulty.exporter.export(_batch("2"))
    assert ["2"] == faulty.paths


def test_page_replaces_the_one_of_its_id(subject: Subject) -> None:
    """A page is delivered in its last state, once."""
    subject.has_to_show(PAGES_AT_END)
    subject.exporter.export(_batch("1", page=_page("one")))
    subject.exporter.export(_batch("2", page=_page("two")))
    subject.exporter.export(HarBatch((_page("one", 5),), ()))
    subject.exporter.export(_batch("3", page=_page("one", 7)))
    subject.exporter.shutdown(20_000)
    assert [("one", 7), ("two", -1)] == subject.pages


def test_page_without_entry_is_not_delivered(subject: Subject) -> None:
    """A page that changed although none of its entries was delivered is left out: every page has an entry."""
    subject.has_to_show(PAGES)
    subject.exporter.export(_batch("1", page=_page("one")))
    subject.exporter.export(HarBatch((_page("lonely", 5),), ()))
    assert [("one", -1)] == subject.pages
    subject.exporter.export(_batch("2", page=_page("lonely", 6)))
    assert [("one", -1), ("lonely", 6)] == subject.pages


def test_flush_of_nothing(subject: Subject) -> None:
    """Flushing an exporter that holds nothing is done."""
    assert subject.exporter.force_flush(20_000) is True


def test_shut_down_twice(subject: Subject) -> None:
    """A second shutdown does nothing; what was delivered stays."""
    subject.exporter.export(_batch("1"))
    subject.exporter.shutdown(20_000)
    subject.exporter.shutdown(20_000)
    assert ["1"] == subject.paths


def test_export_after_shutdown(subject: Subject) -> None:
    """After shutdown a batch is refused and nothing changes."""
    subject.exporter.shutdown()
    assert HarExportResult.FAILURE is subject.exporter.export(_batch("1"))
    assert [] == subject.paths


def test_any_thread(subject: Subject) -> None:
    """An exporter is called from one thread after another."""
    for path in ("1", "2", "3"):
        thread = threading.Thread(target=subject.exporter.export, args=(_batch(path),))
        thread.start()
        thread.join(20)
    assert ["1", "2", "3"] == subject.paths


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child(subject: Subject) -> None:
    """In a child the exporter delivers what the child exports, and the parent's delivery is not disturbed."""
    subject.exporter.export(_batch("before"))
    pid = os.fork()
    if pid == 0:
        os._exit(_child(subject))
    _, status = os.waitpid(pid, 0)
    assert 0 == status
    of_both = ["child"] if subject.case.child == "shared" else []
    assert ["before", *of_both] == subject.paths
    assert HarExportResult.SUCCESS is subject.exporter.export(_batch("after"))
    assert ["before", *of_both, "after"] == subject.paths


def _child(subject: Subject) -> int:
    """The child's exit status: 0 when its entry was delivered; nothing may leave here but by `os._exit`."""
    sys.settrace(None)
    try:
        if subject.case.child == "refused":
            with pytest.raises(ExportError):
                subject.exporter.export(_batch("child"))
            subject.exporter.shutdown()
            return 0
        result = subject.exporter.export(_batch("child"))
        delivered = subject.paths[-1:] == ["child"]
        subject.exporter.shutdown()
    except BaseException:  # noqa: BLE001 - the child must not go on with the tests
        return 2
    return 0 if result is HarExportResult.SUCCESS and delivered else 1
