"""`LoggingHarExporter`, and `to_har_model` that puts its records together."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from children import PAGE, batch
from otel_har.errors import HarFormatError, SettingError
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.model import to_har_model
from otel_har.har.models import Entry, PageTimings

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Records(logging.Handler):
    """Keeps records, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self.raises = False
        self.fault: BaseException = RuntimeError("handler")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        if self.raises:
            raise self.fault
        self.found.append(vars(record))

    def of(self, field: str) -> list[dict[str, Any]]:
        """The field of each record that has it."""
        return [record[field] for record in self.found if field in record]


@pytest.fixture
def records(request: pytest.FixtureRequest) -> Iterator[_Records]:
    """A handler at a logger with the test's name."""
    logger = logging.getLogger(request.node.name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler := _Records())
    yield handler
    logger.removeHandler(handler)


def test_one_record_for_each_page_and_entry(records: _Records, request: pytest.FixtureRequest) -> None:
    """Page and entries are extra fields of records with the messages and the level of the user's choice."""
    exporter = LoggingHarExporter(
        request.node.name, "info", new_page_message="a page: 100 %s", new_entry_message="an entry"
    )
    exporter.export(batch("1", "2"))
    exporter.export(batch("3"))
    assert ["a page: 100 %s", "an entry", "an entry", "an entry"] == [record["msg"] for record in records.found]
    assert {logging.INFO} == {record["levelno"] for record in records.found}
    assert [json.loads(PAGE.to_json())] == records.of("har_page")
    assert records.of("har_entry") == json.loads(json.dumps(records.of("har_entry")))


def test_changed_page_is_logged_again(records: _Records, request: pytest.FixtureRequest) -> None:
    """A page comes again with its duration; the same once more does not; the model has its last state."""
    exporter = LoggingHarExporter(logging.LoggerAdapter(logging.getLogger(request.node.name), {"mine": 1}))
    exporter.export(batch("1"))
    later = PAGE.model_copy(update={"page_timings": PageTimings(on_load=5)})
    exporter.export(HarBatch((later,), ()))
    exporter.export(HarBatch((later,), ()))
    assert [-1, 5] == [page["pageTimings"]["onLoad"] for page in records.of("har_page")]
    har = to_har_model(records.of("har_page"), records.of("har_entry"))
    assert [5] == [page.page_timings.on_load for page in har.log.pages]


def test_to_har_model_loses_nothing(records: _Records, request: pytest.FixtureRequest) -> None:
    """Entries come back as they were, `_initiator` and foreign fields with them, from dicts and from models."""
    given = batch("1")
    entry = Entry.model_validate(
        {
            **json.loads(given.entries[0].to_json()),
            "_initiator": {"type": "script", "stack": {"callFrames": []}},
            "_x": 1,
        }
    )
    LoggingHarExporter(request.node.name).export(HarBatch(given.pages, (entry,)))
    assert (entry,) == to_har_model(records.of("har_page"), records.of("har_entry")).log.entries
    assert (entry,) == to_har_model(given.pages, [entry]).log.entries
    assert "script" == to_har_model([], records.of("har_entry")).log.entries[0].initiator["type"]


def test_level_that_is_not_enabled(records: _Records, request: pytest.FixtureRequest) -> None:
    """Nothing is logged, and when the level is enabled later an entry's page comes with it."""
    logger = logging.getLogger(request.node.name)
    logger.setLevel(logging.WARNING)
    exporter = LoggingHarExporter(logger)
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert [] == records.found
    logger.setLevel(logging.DEBUG)
    given = batch("2")
    exporter.export(HarBatch((), given.entries))
    assert (1, 1) == (len(records.of("har_page")), len(records.of("har_entry")))


def test_handler_that_raises(records: _Records, request: pytest.FixtureRequest) -> None:
    """A handler that raises hurts nobody: the batch has failed, and the next one is logged with its page."""
    exporter = LoggingHarExporter(request.node.name)
    records.raises = True
    assert HarExportResult.FAILURE is exporter.export(batch("1"))
    records.raises = False
    assert HarExportResult.SUCCESS is exporter.export(batch("2"))
    assert (1, 1) == (len(records.of("har_page")), len(records.of("har_entry")))


def test_default_logger(caplog: pytest.LogCaptureFixture) -> None:
    """Without a logger it is `otel_har.traffic`, at DEBUG."""
    with caplog.at_level(logging.DEBUG, "otel_har.traffic"):
        LoggingHarExporter().export(batch("1"))
    assert [
        ("otel_har.traffic", logging.DEBUG, "new HAR page"),
        ("otel_har.traffic", logging.DEBUG, "new HAR entry"),
    ] == (caplog.record_tuples)


def test_unknown_level() -> None:
    """A level that logging does not know is refused."""
    with pytest.raises(SettingError, match="LOUD"):
        LoggingHarExporter(level="LOUD")


def test_a_handler_that_exits(records: _Records, request: pytest.FixtureRequest) -> None:
    """A handler that would end the program reaches nobody: the entry has failed."""
    records.raises, records.fault = True, SystemExit(3)
    exporter = LoggingHarExporter(request.node.name)
    assert HarExportResult.FAILURE is exporter.export(batch("1"))


@pytest.mark.parametrize(
    ("pages", "entries", "place"),
    [
        ([{"id": "a"}], [], "pages[0]."),
        ([], [batch("1").entries[0], {"x": 1}], "entries[1]."),
        ([], [5], "entries[0]:"),
    ],
)
def test_what_is_no_page_and_no_entry(pages: list[Any], entries: list[Any], place: str) -> None:
    """What was not logged by the exporter is refused, with the place of the first fault."""
    with pytest.raises(HarFormatError) as refused:
        to_har_model(pages, entries)
    assert str(refused.value).startswith(place)
