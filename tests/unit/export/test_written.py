"""Entries that are written already, and become models when they are looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.export.written import WrittenEntries, WrittenEntry, written, written_of
from otel_har.har.models import Entry, Request

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = Entry(
    started_date_time="2030-01-02T03:04:05Z", pageref="p", request=Request(method="GET", url="http://a/\u20ac")
)
TEXT = written_of(ENTRY)


def test_models_are_those_of_the_text() -> None:
    """A model is the same as that which was written, and made once."""
    entries = WrittenEntries([TEXT, ENTRY])
    assert (2, [ENTRY, ENTRY]) == (len(entries), list(entries))
    assert entries[0] is entries[0]
    assert (ENTRY, (ENTRY, ENTRY)) == (entries[-1], entries[0:2])


def test_equality_is_that_of_the_models() -> None:
    """Batches of texts and of models are equal where their entries are."""
    texts, models = HarBatch((), WrittenEntries([TEXT])), HarBatch((), (ENTRY,))
    assert (True, True, False) == (texts == models, models == texts, texts == HarBatch((), ()))
    assert hash(texts.entries) == hash(models.entries)


def test_texts_are_written_as_models_are() -> None:
    """`HarBatch.written` gives the same of texts and of models, with and without an indent."""
    for indent in (None, 2):
        expected = [WrittenEntry("p", ENTRY.to_json(indent), has_failed=True)] * 2
        assert expected == list(HarBatch((), WrittenEntries([TEXT, ENTRY])).written(indent))
        assert expected == list(HarBatch((), (ENTRY, ENTRY)).written(indent))


def test_what_takes_more_than_writing_is_not_written() -> None:
    """A lone surrogate is what models see to."""
    assert written({"pageref": "p", "comment": "\ud800"}) is None
    assert {"pageref": "p", "time": 1.5} == json.loads((written({"pageref": "p", "time": 1.5}) or TEXT).text)


def test_who_writes_needs_no_model(tmp_path: Path) -> None:
    """A file takes the text of entries, and tells how many requests failed, without making a model of one."""
    answered = written({"pageref": "p", "response": {"status": 200}})
    broken = written({"pageref": "p", "response": {"status": 200, "_error": "reset"}})
    assert answered is not None
    assert broken is not None
    entries = NoModels([answered, broken, TEXT])
    exporter = FileHarExporter(tmp_path / "out.har")
    exporter.export(HarBatch((), entries))
    exporter.shutdown()
    assert 2 == json.loads((tmp_path / "out.har").read_bytes())["log"]["_otel_har"]["failedRequests"]


class NoModels(WrittenEntries):
    """Fails where a model is asked for."""

    def __getitem__(self, index: Any) -> Any:
        """No model."""
        raise AssertionError(index)
