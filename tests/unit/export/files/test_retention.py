"""Entries that are dropped from the file's beginning: which, and what is left of the file."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from children import completed
from lives import FORMS, POLICIES, Clock, batch, entry, read, tells_all
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.file import FileHarExporter
from otel_har.export.files import oldest
from otel_har.export.keeping import Retention
from otel_har.redaction.document import redact_document
from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from children import Child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and forks of POSIX")


@pytest.fixture(params=FORMS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., FileHarExporter]]:
    """Makes exporters for one file, and shuts them down."""
    made = []
    name, indent = FORMS[request.param]

    def make_one(retention: Retention | None, **arguments: Any) -> FileHarExporter:
        made.append(FileHarExporter(tmp_path / name, indent, retention=retention, **arguments))
        return made[-1]

    yield make_one
    for exporter in made:
        exporter.shutdown()


@pytest.mark.parametrize("size", [0, 9_000])
def test_number_of_entries(make: Callable[..., FileHarExporter], size: int) -> None:
    """The last so many entries are there after each addition, and their pages; blanks take no more than as much."""
    exporter = make(Retention(max_entries=5))
    for number in range(40):
        exporter.export(batch(entry(number, page=f"page{number // 4}", size=size)))
        kept = range(max(0, number - 4), number + 1)
        pages = list(dict.fromkeys(f"page{one // 4}" for one in kept))
        assert ([str(one) for one in kept], pages) == read(exporter.path)
        assert exporter.path.stat().st_size < 2 * 6 * (size + 500) + 64 * 1024
    log = json.loads(exporter.path.read_bytes())["log"]
    assert 35 == log["_otel_har"]["retiredEntries"]


@pytest.mark.parametrize("policies", POLICIES)
def test_what_is_told(make: Callable[..., FileHarExporter], policies: tuple[str | None, ...]) -> None:
    """Statistics count what was lost with entries that went, too; the redaction is the weakest that there was."""
    tells_all(make(Retention(max_entries=5)), policies)


def test_batch_of_more_than_may_stay(make: Callable[..., FileHarExporter]) -> None:
    """What is too much at once goes at once, also when nothing of what was there stays."""
    exporter = make(Retention(max_entries=2))
    exporter.export(batch(*(entry(number, page=f"page{number}") for number in range(7))))
    assert (["5", "6"], ["page5", "page6"]) == read(exporter.path)
    exporter.export(batch(*(entry(number) for number in range(7, 10))))
    assert (["8", "9"], ["run"]) == read(exporter.path)


def test_bytes(make: Callable[..., FileHarExporter]) -> None:
    """The whole file has no more bytes than it may, and not much less; one entry that is larger stays alone."""
    exporter = make(Retention(max_bytes=20_000))
    least = 20_000
    for number in range(60):
        exporter.export(batch(entry(number, size=number * 37 % 1_000)))
        kept, _ = read(exporter.path)
        assert [str(one) for one in range(number + 1 - len(kept), number + 1)] == kept
        assert exporter.path.stat().st_size <= 20_000
        if len(kept) <= number:
            least = min(least, exporter.path.stat().st_size)
    assert least > 20_000 * (0.3 if "x" in exporter.path.name else 0.6)
    exporter.export(batch(entry("large", size=50_000)))
    assert (["large"], ["run"]) == read(exporter.path)
    exporter.export(batch(entry("small")))
    assert (["small"], ["run"]) == read(exporter.path)
    assert exporter.path.stat().st_size <= 20_000


def test_age(make: Callable[..., FileHarExporter]) -> None:
    """What started too long ago goes with the next addition, in the order of the file, and all of it if need be."""
    clock = Clock()
    exporter = make(Retention(max_age_seconds=10), clock=clock)
    for second in range(0, 20, 4):
        clock.now = second
        exporter.export(batch(entry(second, second, page=f"page{second}")))
    assert (["8", "12", "16"], ["page8", "page12", "page16"]) == read(exporter.path)
    clock.now = 100
    exporter.export(batch(entry("late", 50)))
    assert ([], []) == read(exporter.path)
    exporter.export(batch(entry("next", 100)))
    assert (["next"], ["run"]) == read(exporter.path)


def test_long_exchange_stays_behind_those_that_began_after_it(make: Callable[..., FileHarExporter]) -> None:
    """An entry stays as long as one before it, so never longer than the age after it was written."""
    clock = Clock()
    exporter = make(Retention(max_age_seconds=10), clock=clock)
    exporter.export(batch(entry("short", 8), entry("long", 0)))
    clock.now = 15
    exporter.upkeep()
    assert (["short", "long"], ["run"]) == read(exporter.path)
    clock.now = 18.5
    exporter.upkeep()
    assert ([], []) == read(exporter.path)


@pytest.mark.parametrize("end", ["upkeep", "force_flush", "shutdown"])
def test_idle_recorder(make: Callable[..., FileHarExporter], end: str) -> None:
    """What is too old goes without an addition: when the processor has nothing to do, at a flush, and at the end."""
    clock = Clock()
    exporter = make(Retention(max_age_seconds=10), clock=clock)
    exporter.export(batch(entry("a", 0), entry("b", 5)))
    clock.now = 9
    before = exporter.path.read_bytes()
    exporter.upkeep()
    assert before == exporter.path.read_bytes()
    clock.now = 12
    getattr(exporter, end)()
    assert (["b"], ["run"]) == read(exporter.path)


def test_worker_without_work(tmp_path: Path) -> None:
    """A batch processor lets its exporter do that each schedule delay."""
    written, upkept = os.pipe()

    class Exporter(FileHarExporter):
        def upkeep(self) -> None:
            os.write(upkept, b".")

    processor = BatchHarProcessor(Exporter(tmp_path / "out.har"), BatchSettings(schedule_delay_millis=1))
    assert processor.force_flush()
    assert b"..." == os.read(written, 1) + os.read(written, 1) + os.read(written, 1)
    processor.shutdown()
    os.close(written)
    os.close(upkept)


def test_page_that_comes_again(make: Callable[..., FileHarExporter]) -> None:
    """A page that went is there again with a further entry of it."""
    exporter = make(Retention(max_entries=1))
    for name, page in (("a", "one"), ("b", "two"), ("c", "one")):
        exporter.export(batch(entry(name, page=page)))
        assert ([name], [page]) == read(exporter.path)


@pytest.mark.parametrize("indent", [None, 2])
def test_appending_to_what_others_wrote(tmp_path: Path, indent: int | None) -> None:
    """Of a file that was made by another program its own entries go first, and its pages with them."""
    path = tmp_path / "out.har"
    entries = [json.loads(entry(f"x{number}", page=f"ä{number // 2}").to_json()) for number in range(4)]
    pages = [
        {"id": f"ä{number}", "title": "", "startedDateTime": "2030-01-01T00:00:00Z", "pageTimings": {}}
        for number in range(2)
    ]
    creator = {"name": "x", "version": "1"}
    log = {"version": "1.2", "creator": creator, "_own": 1, "pages": pages, "entries": entries}
    path.write_text(json.dumps({"log": log}, ensure_ascii=False, indent=1))
    exporter = FileHarExporter(path, indent, append=True, retention=Retention(max_entries=4))
    steps = [
        (["x1", "x2", "x3", "0"], ["ä0", "ä1", "run"]),
        (["x2", "x3", "0", "1"], ["ä1", "run"]),
        (["x3", "0", "1", "2"], ["ä1", "run"]),
        (["0", "1", "2", "3"], ["run"]),
    ]
    for number, expected in enumerate(steps):
        exporter.export(batch(entry(number)))
        assert expected == read(path)
    exporter.shutdown()
    assert 1 == json.loads(path.read_bytes())["log"]["_own"]


def test_going_on_with_a_redacted_file(make: Callable[..., FileHarExporter]) -> None:
    """A file whose places are others, because it was redacted, tells them; one that does not is read."""
    exporter = make(Retention(max_entries=3))
    for number in range(6):
        exporter.export(batch(entry(f"{number}?password=secret")))
    exporter.shutdown()
    for forget in (False, True):
        source = exporter.path.with_name("source")
        source.write_bytes(exporter.path.read_bytes())
        with exporter.path.open("wb") as target:
            redact_document(source, target, Redactor(RedactionPolicy()))
        source.unlink()
        if forget:
            text = exporter.path.read_text().replace('"listStart"', '"listXtart"').replace('"lastEntries"', '"lastX"')
            exporter.path.write_text(text)
        exporter = make(Retention(max_entries=3), append=True)
        exporter.export(batch(entry("a"), entry("b")))
        names, pages = read(exporter.path)
        assert (["a", "b"], ["run"]) == (names[-2:], pages)
        assert 3 == len(names)
        exporter.shutdown()


def test_several_processes(tmp_path: Path) -> None:
    """Each drops what others wrote, also one that came late and one that keeps everything."""
    path = tmp_path / "out.har"
    exporters = [
        FileHarExporter(path, recording="run", retention=retention)
        for retention in (Retention(max_entries=3), Retention(max_entries=3), None)
    ]
    for number in range(30):
        exporters[number % 3].export(batch(entry(number, page=f"page{number}", size=5_000)))
        least = 3 if number % 3 < 2 else 4
        kept = range(max(0, number + 1 - least), number + 1)
        assert ([str(one) for one in kept], [f"page{one}" for one in kept]) == read(path)

    def join(_: Child) -> None:
        late = FileHarExporter(path, recording="run", retention=Retention(max_entries=2))
        late.export(batch(entry("late")))
        late.shutdown()

    completed(join)
    assert ["29", "late"] == read(path)[0]
    for exporter in exporters:
        exporter.shutdown()
    assert [path] == list(tmp_path.iterdir())


def test_entries_of_any_size_are_found(tmp_path: Path) -> None:
    """Each entry is found with its end, its start and its page, wherever a piece of the file ends."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    for number in range(60):
        exporter.export(batch(entry(f"ä{number}", number, page=f"seite-ä{number}", size=number * number * 13)))
    exporter.shutdown()
    about = json.loads(path.read_bytes())["log"]["_otel_har"]
    with path.open("rb") as stream:
        found = list(oldest.entries_in(stream.fileno(), about["entriesStart"], about["entriesEnd"]))
    assert [f"seite-ä{number}" for number in range(60)] == [one.page for one in found]
    assert [1_900_000_000.0 + number for number in range(60)] == [one.started for one in found]
    data = path.read_bytes()
    assert b"," * 59 == b"".join(data[one.end - 1 : one.end] for one in found[:-1])
    assert about["entriesEnd"] == found[-1].end


def test_entries_that_say_no_date(tmp_path: Path) -> None:
    """What does not say when it started counts as old; what is no entry at all is none that is dropped for it."""
    path = tmp_path / "entries"
    path.write_text('{"startedDateTime":"never"} , {"startedDateTime":7},[1],{"a":"\ufffd}"} , {"cut":')
    with path.open("rb") as stream:
        found = list(oldest.entries_in(stream.fileno(), 0, path.stat().st_size))
    assert [float("-inf")] * 4 == [one.started for one in found]
    assert [None] * 4 == [one.page for one in found]
