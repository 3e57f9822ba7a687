"""The line that `otel-har record` ends with, of files that were written before."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from otel_har.cli.summary import Asked, summary
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.har.models import Har

VALID = Path(__file__).parents[2] / "data" / "har" / "valid.har"
ENTRIES = Har.model_validate_json(VALID.read_bytes()).log.entries
NOTHING = "otel-har: nothing was recorded: "


def write(path: Path, *, run: str = "run", lost: HarStatistics | None = None, times: int = 1) -> str:
    """A recording's file, with the entries so often; how its size is told."""
    exporter = FileHarExporter(path, recording=run)
    exporter.export(HarBatch((), ENTRIES * times, lost or HarStatistics()))
    exporter.shutdown()
    return f"{path.stat().st_size / 1000:.1f} kB"


def line(path: Path, *, append: bool = False, before: int = 0) -> str:
    """The line, without colours."""
    return click.unstyle(summary(Asked(path, "run", before), {}, append=append))


def test_what_was_recorded(tmp_path: Path) -> None:
    """Entries, size and file."""
    size = write(tmp_path / "out.har")
    assert f"otel-har: 3 entries, {size}, {tmp_path}/out.har" == line(tmp_path / "out.har")


def test_a_large_file(tmp_path: Path) -> None:
    """The unit is such that the number is short."""
    write(tmp_path / "out.har", times=1000)
    size = (tmp_path / "out.har").stat().st_size / 1_000_000
    assert f"otel-har: 3000 entries, {size:.1f} MB, {tmp_path}/out.har" == line(tmp_path / "out.har")


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (HarStatistics(dropped_entries=2), "2 dropped (too many waited to be written)"),
        (HarStatistics(failed_entries=1), "1 not written"),
        (HarStatistics(dropped_bodies=1), "1 body left out or cut"),
        (HarStatistics(failed_exports=4), None),
        (HarStatistics(1, 2, 3), "1 dropped (too many waited to be written), 3 not written, 2 bodies left out or cut"),
    ],
)
def test_what_is_not_in_the_file_is_told(tmp_path: Path, lost: HarStatistics, told: str | None) -> None:
    """Exchanges and bodies that were lost are counted; an attempt that was made good later is nothing lost."""
    size = write(tmp_path / "out.har", lost=lost)
    parts = ["3 entries", *([told] if told else []), size, str(tmp_path / "out.har")]
    assert f"otel-har: {', '.join(parts)}" == line(tmp_path / "out.har")


def test_files_of_one_recording_are_one(tmp_path: Path) -> None:
    """Files beside it belong to the recording, or to another one, and then they are left out."""
    write(tmp_path / "out.har")
    write(tmp_path / "out.17.har")
    write(tmp_path / "out.18.har", run="another")
    size = sum((tmp_path / name).stat().st_size for name in ("out.har", "out.17.har")) / 1000
    assert f"otel-har: 6 entries, {size:.1f} kB, {tmp_path}/out.har and 1 file beside it" == line(tmp_path / "out.har")


def test_what_was_appended(tmp_path: Path) -> None:
    """Of a file that another recording began, what came to it is counted."""
    size = write(tmp_path / "out.har", run="another", times=3)
    write(tmp_path / "out.17.har", run="another")
    shown = line(tmp_path / "out.har", append=True, before=6)
    assert f"otel-har: 3 entries, {size}, {tmp_path}/out.har" == shown


def test_a_file_of_another_recording_is_not_taken_for_it(tmp_path: Path) -> None:
    """A file that was there before, or that is no HAR of ours, is nothing that was recorded."""
    reason = "no Python that has otel-har took part; it must be installed in the program's own environment"
    assert f"{NOTHING}{reason}" == line(tmp_path / "out.har")
    write(tmp_path / "out.har", run="another")
    assert f"{NOTHING}{reason}" == line(tmp_path / "out.har")
    (tmp_path / "out.har").write_bytes(VALID.read_bytes())
    assert f"{NOTHING}{reason}" == line(tmp_path / "out.har")


def test_a_recording_without_an_exchange(tmp_path: Path) -> None:
    """A file that was begun and has no entry is told with what may be the reason."""
    FileHarExporter(tmp_path / "out.har", recording="run").shutdown()
    assert f"{NOTHING}no request was made with requests or aiohttp" == line(tmp_path / "out.har")
