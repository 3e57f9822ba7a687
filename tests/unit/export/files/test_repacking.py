"""Entries that are dropped from a packed file: no limit is passed, and little is packed anew."""

from __future__ import annotations

import gzip
import sys
from typing import TYPE_CHECKING, Any

import pytest

from children import completed
from lives import PACKED_FORMS, POLICIES, Clock, batch, entry, log_of, read, tells_all
from otel_har.errors import SettingError
from otel_har.export.file import FileHarExporter
from otel_har.export.keeping import Retention, Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from children import Child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written in place there")


@pytest.fixture(params=[None, 2], ids=["lines", "indented"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., FileHarExporter]]:
    """Makes exporters for one file, and shuts them down."""
    made = []

    def make_one(retention: Retention | None, **arguments: Any) -> FileHarExporter:
        made.append(FileHarExporter(tmp_path / "out.har.gz", request.param, retention=retention, **arguments))
        return made[-1]

    yield make_one
    for exporter in made:
        exporter.shutdown()
    assert [tmp_path / "out.har.gz"] == list(tmp_path.iterdir())


def _names(start: int, end: int) -> list[str]:
    return [str(number) for number in range(start, end)]


def test_number_of_entries(make: Callable[..., FileHarExporter]) -> None:
    """Never more; three quarters stay when something goes, and the pages with them."""
    exporter = make(Retention(max_entries=8))
    for number in range(40):
        exporter.export(batch(entry(number, page=f"page{number // 4}")))
        names, pages = read(exporter.path)
        assert min(number + 1, 6) <= len(names) <= 8
        assert _names(number + 1 - len(names), number + 1) == names
        assert list(dict.fromkeys(f"page{int(name) // 4}" for name in names)) == pages
        assert number + 1 - len(names) == log_of(exporter.path)["_otel_har"]["retiredEntries"]


@pytest.mark.parametrize("policies", POLICIES)
def test_what_is_told(make: Callable[..., FileHarExporter], policies: tuple[str | None, ...]) -> None:
    """Statistics count what was lost with entries that went, too; the redaction is the weakest that there was."""
    tells_all(make(Retention(max_entries=5)), policies)


def test_batch_of_more_than_may_stay(make: Callable[..., FileHarExporter]) -> None:
    """What is too much at once goes at once, and one entry stays where only one may."""
    exporter = make(Retention(max_entries=1))
    exporter.export(batch(*(entry(number, page=f"page{number}") for number in range(7))))
    assert (["6"], ["page6"]) == read(exporter.path)
    exporter.export(batch(entry(7)))
    assert (["7"], ["run"]) == read(exporter.path)


def test_bytes(make: Callable[..., FileHarExporter]) -> None:
    """The packed file has no more bytes than it may; one entry that is larger stays alone."""
    exporter = make(Retention(max_bytes=20_000))
    for number in range(60):
        exporter.export(batch(entry(number, size=number * 370 % 5_000)))
        names, _ = read(exporter.path)
        assert _names(number + 1 - len(names), number + 1) == names
        assert exporter.path.stat().st_size <= 20_000
    assert len(names) >= 5
    exporter.export(batch(entry("large", size=100_000)))
    assert (["large"], ["run"]) == read(exporter.path)
    exporter.export(batch(entry("next")))
    assert (["next"], ["run"]) == read(exporter.path)


def test_what_packs_well_goes_too(make: Callable[..., FileHarExporter]) -> None:
    """Where the entries that stay are those that cannot be packed, as many go as must."""
    exporter = make(Retention(max_bytes=20_000))
    well = entry("well")
    for number in range(10):
        exporter.export(batch(well.model_copy(update={"comment": "x" * 50_000})))
        exporter.export(batch(entry(number, size=6_000)))
        assert exporter.path.stat().st_size <= 20_000
        assert str(number) == read(exporter.path)[0][-1]


def test_age(make: Callable[..., FileHarExporter]) -> None:
    """None stays longer; what has three quarters of the age goes with what must, and nothing else does."""
    clock = Clock()
    exporter = make(Retention(max_age_seconds=20), clock=clock)
    for second in range(70):
        clock.now = second
        exporter.export(batch(entry(second, second, page=f"page{second}")))
        names, pages = read(exporter.path)
        assert _names(second + 1 - len(names), second + 1) == names
        assert [f"page{name}" for name in names] == pages
        assert min(second + 1, 16) <= len(names) <= 21
    clock.now = 200
    exporter.export(batch(entry("late", 150)))
    assert ([], []) == read(exporter.path)
    exporter.export(batch(entry("next", 200)))
    assert (["next"], ["run"]) == read(exporter.path)


@pytest.mark.parametrize("end", ["upkeep", "force_flush", "shutdown"])
def test_idle_recorder(make: Callable[..., FileHarExporter], end: str) -> None:
    """What is too old goes without an addition, also from a file that another process wrote."""
    clock = Clock()
    first = make(Retention(max_age_seconds=10), clock=clock, recording="run")
    exporter = make(Retention(max_age_seconds=10), clock=clock, recording="run")
    first.export(batch(entry("a", 0), entry("b", 5)))
    exporter.export(batch(entry("c", 6)))
    clock.now = 10
    before = exporter.path.read_bytes()
    exporter.upkeep()
    assert before == exporter.path.read_bytes()
    clock.now = 12
    getattr(exporter, end)()
    assert (["b", "c"], ["run"]) == read(exporter.path)


def test_going_on_with_a_file(make: Callable[..., FileHarExporter]) -> None:
    """One that kept everything, or was packed by another program, is brought within the limits."""
    exporter = make(None)
    for number in range(9):
        exporter.export(batch(entry(number)))
    exporter.shutdown()
    for packed_elsewhere in (False, True):
        if packed_elsewhere:
            exporter.path.write_bytes(gzip.compress(gzip.decompress(exporter.path.read_bytes())))
        exporter = make(Retention(max_entries=4), append=True)
        exporter.export(batch(entry("a"), entry("b")))
        names, pages = read(exporter.path)
        assert (["a", "b"], ["run"], 3) == (names[-2:], pages, len(names))
        exporter.shutdown()


def test_several_processes(tmp_path: Path) -> None:
    """Each drops what others wrote, also one that came late and one that keeps everything."""
    path = tmp_path / "out.har.gz"
    exporters = [
        FileHarExporter(path, recording="run", retention=retention)
        for retention in (Retention(max_entries=4), Retention(max_entries=4), None)
    ]
    for number in range(30):
        exporters[number % 3].export(batch(entry(number, page=f"page{number}")))
        names, pages = read(path)
        assert _names(number + 1 - len(names), number + 1) == names
        assert [f"page{name}" for name in names] == pages
        assert min(number + 1, 3) <= len(names) <= (4 if number % 3 < 2 else 5)

    def join(_: Child) -> None:
        late = FileHarExporter(path, recording="run", retention=Retention(max_entries=2))
        late.export(batch(entry("late")))
        late.shutdown()

    completed(join)
    assert ["late"] == read(path)[0]
    for exporter in exporters:
        exporter.shutdown()
    assert [path] == list(tmp_path.iterdir())


def test_with_rotation(make: Callable[..., FileHarExporter]) -> None:
    """Retention holds for the file that is written; what was put aside stays as it was."""
    clock = Clock()
    exporter = make(Retention(max_entries=4), rotation=Rotation(max_seconds=10), clock=clock)
    for number in range(7):
        clock.now = number * 2.5
        exporter.export(batch(entry(number)))
    aside = exporter.path.with_name("out.1.har.gz")
    assert [_names(4, 7), _names(0, 4)] == [read(exporter.path)[0], read(aside)[0]]
    aside.unlink()


def test_where_it_cannot_be_replaced(tmp_path: Path) -> None:
    """A packed file that can only be written in place has no retention, and that is told at once."""
    path = tmp_path / PACKED_FORMS["packed, in place"][0]
    with pytest.raises(SettingError, match=r"entries cannot be dropped from .*: it is packed, and can only be written"):
        FileHarExporter(path, retention=Retention(max_entries=1))
    assert [] == list(tmp_path.iterdir())


def test_cost(tmp_path: Path) -> None:
    """What is written for an addition does not depend on how many entries stay."""

    def written(most: int) -> int:
        exporter = FileHarExporter(tmp_path / f"{most}.har.gz", retention=Retention(max_entries=most))
        total = 0
        for number in range(4 * most):
            before = exporter.path.stat()
            exporter.export(batch(entry(number, size=100)))
            after = exporter.path.stat()
            total += after.st_size if after.st_size < before.st_size else after.st_size - before.st_size
        exporter.shutdown()
        return total // (4 * most)

    assert written(400) < 2 * written(40)
