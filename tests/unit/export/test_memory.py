"""`InMemoryHarExporter` beyond what every exporter does."""

from __future__ import annotations

import threading

import pytest

import otel_har
import otel_har.testing
from children import batch
from otel_har.errors import SettingError
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.export.memory import InMemoryHarExporter


def _names(exporter: InMemoryHarExporter) -> list[str]:
    return [entry.request.url.rpartition("/")[2] for entry in exporter.entries]


def test_bounded() -> None:
    """The newest entries are kept; how many went is told, in the document, too."""
    exporter = InMemoryHarExporter(2)
    exporter.export(batch("1", "2", "3"))
    exporter.export(batch("4"))
    assert ["3", "4"] == _names(exporter)
    assert HarStatistics(dropped_entries=2) == exporter.statistics
    log = exporter.har().log
    assert "2 exchanges were dropped" in str(log.comment)
    assert {"entries": 2, "droppedEntries": 2} == dict(list(log.extensions["_otel_har"]["statistics"].items())[:2])


def test_clear() -> None:
    """Entries and counts are forgotten; the page of a later entry is still known."""
    exporter = InMemoryHarExporter()
    given = batch("1", "2")
    exporter.export(HarBatch(given.pages, given.entries[:1], HarStatistics(1)))
    exporter.clear()
    assert ([], [], HarStatistics()) == (exporter.entries, exporter.pages, exporter.statistics)
    exporter.export(HarBatch((), given.entries[1:]))
    assert ["run"] == [page.id for page in exporter.har().log.pages]


def test_what_is_given_out_is_a_copy() -> None:
    """Whoever changes the lists changes nothing here."""
    exporter = InMemoryHarExporter()
    exporter.export(batch("1"))
    exporter.entries.clear()
    exporter.pages.clear()
    assert (["1"], 1) == (_names(exporter), len(exporter.pages))


def test_read_while_it_is_written() -> None:
    """A document that is made meanwhile has each page of its entries."""
    exporter, done = InMemoryHarExporter(50), threading.Event()

    def write() -> None:
        for number in range(300):
            exporter.export(batch(str(number)))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    torn = []
    while not done.is_set():
        log = exporter.har().log
        torn += [1 for entry in log.entries if entry.pageref not in {page.id for page in log.pages}]
    writer.join()
    assert ([], 50) == (torn, len(exporter.entries))


def test_names_it_has() -> None:
    """It is public, and still where tests of programs import it from."""
    assert otel_har.InMemoryHarExporter is otel_har.testing.InMemoryHarExporter


def test_bound_out_of_range() -> None:
    """A bound of nothing is refused."""
    with pytest.raises(SettingError, match="0"):
        InMemoryHarExporter(0)
