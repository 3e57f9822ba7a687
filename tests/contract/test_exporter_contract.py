"""What every `HarExporter` has to keep, whatever its destination. A new exporter is one more case of `CASES`."""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.har.models import Entry, Page, PageTimings, Request
from otel_har.testing import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Case:
    """An exporter, and how to read what it delivered: a log as JSON has it."""

    make: Callable[[Path], HarExporter]
    read: Callable[[Any], dict[str, Any]]


def _read_file(exporter: FileHarExporter) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(exporter.path.read_bytes())["log"]
    return log


def _read_gzip(exporter: FileHarExporter) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(gzip.decompress(exporter.path.read_bytes()))["log"]
    return log


def _read_archive(exporter: ArchiveHarExporter) -> dict[str, Any]:
    exporter.force_flush()
    with zipfile.ZipFile(exporter.path) as archive:
        log: dict[str, Any] = json.loads(archive.read("har.har"))["log"]
    return log


def _read_memory(exporter: InMemoryHarExporter) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(exporter.har().to_json())["log"]
    return log


CASES = {
    "file": Case(lambda directory: FileHarExporter(directory / "out.har"), _read_file),
    "file, indented": Case(lambda directory: FileHarExporter(directory / "out.har", 2), _read_file),
    "gzip": Case(lambda directory: FileHarExporter(directory / "out.har.gz"), _read_gzip),
    "zip": Case(lambda directory: ArchiveHarExporter(directory / "out.har.zip"), _read_archive),
    "memory": Case(lambda _: InMemoryHarExporter(), _read_memory),
}


@dataclass
class Subject:
    """The exporter under test."""

    exporter: HarExporter
    case: Case

    @property
    def paths(self) -> list[str]:
        """The path of each entry that was delivered."""
        entries = self.case.read(self.exporter)["entries"]
        return [entry["request"]["url"].rpartition("/")[2] for entry in entries]

    @property
    def pages(self) -> list[tuple[str, float]]:
        """Id and duration of each page that was delivered."""
        pages = self.case.read(self.exporter)["pages"]
        return [(page["id"], page["pageTimings"]["onLoad"]) for page in pages]


@pytest.fixture(params=CASES)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each exporter in turn."""
    case = CASES[request.param]
    made = Subject(case.make(tmp_path), case)
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
    batch = _batch("1")
    subject.exporter.export(batch)
    subject.exporter.force_flush(20_000)
    [entry] = subject.case.read(subject.exporter)["entries"]
    assert json.loads(batch.entries[0].to_json()) == entry


def test_nothing(subject: Subject) -> None:
    """An empty batch is no failure and delivers nothing."""
    assert HarExportResult.SUCCESS is subject.exporter.export(HarBatch((), ()))
    assert ([], []) == (subject.paths, subject.pages)


def test_counts_alone(subject: Subject) -> None:
    """A batch of nothing but counts is taken, and changes no entry."""
    subject.exporter.export(_batch("1"))
    assert HarExportResult.SUCCESS is subject.exporter.export(HarBatch((), (), HarStatistics(1, 2, 3, 4)))
    assert ["1"] == subject.paths


def test_page_replaces_the_one_of_its_id(subject: Subject) -> None:
    """A page is delivered in its last state, once."""
    subject.exporter.export(_batch("1", page=_page("one")))
    subject.exporter.export(_batch("2", page=_page("two")))
    subject.exporter.export(HarBatch((_page("one", 5),), ()))
    subject.exporter.export(_batch("3", page=_page("one", 7)))
    subject.exporter.force_flush(20_000)
    assert [("one", 7), ("two", -1)] == subject.pages


def test_page_without_entry_is_not_delivered(subject: Subject) -> None:
    """A page that changed although none of its entries was delivered is left out: every page has an entry."""
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
    of_both = (
        ["child"] if isinstance(subject.exporter, FileHarExporter | ArchiveHarExporter) else []
    )  # memory is not shared
    assert ["before", *of_both] == subject.paths
    assert HarExportResult.SUCCESS is subject.exporter.export(_batch("after"))
    assert ["before", *of_both, "after"] == subject.paths


def _child(subject: Subject) -> int:
    """The child's exit status: 0 when its entry was delivered; nothing may leave here but by `os._exit`."""
    try:
        result = subject.exporter.export(_batch("child"))
        delivered = subject.paths[-1:] == ["child"]
        subject.exporter.shutdown()
    except BaseException:  # noqa: BLE001 - the child must not go on with the tests
        return 2
    return 0 if result is HarExportResult.SUCCESS and delivered else 1
