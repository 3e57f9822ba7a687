"""The line that `otel-har record` ends with, of files that were written before."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest

from otel_har.cli.summary import Asked, summary
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.export.keeping import Retention, Rotation
from otel_har.har.models import Har
from otel_har.pipeline import file_maker

VALID = Path(__file__).parents[2] / "data" / "har" / "valid.har"
ANSWERED = {"status": 200, "error": None}
ENTRIES = tuple(
    entry.model_copy(update={"response": entry.response.model_copy(update=ANSWERED)})
    for entry in Har.model_validate_json(VALID.read_bytes()).log.entries
)
NOTHING = "otel-har: nothing was recorded: "


def write(path: Path, *, run: str = "run", lost: HarStatistics | None = None, times: int = 1) -> str:
    """A recording's file, with the entries so often; how its size is told."""
    exporter = FileHarExporter(path, recording=run)
    exporter.export(HarBatch((), ENTRIES * times, lost or HarStatistics()))
    exporter.shutdown()
    return f"{path.stat().st_size / 1000:.1f} kB"


def append(path: Path, times: int, **options: Any) -> str:
    """What a run adds to the file that is there; how its size is told."""
    exporter = FileHarExporter(path, recording="run", append=True, **options)
    exporter.export(HarBatch((), ENTRIES * times))
    exporter.shutdown()
    return f"{path.stat().st_size / 1000:.1f} kB"


def line(path: Path, asked: Asked | None = None, *, killed_by: str | None = None) -> str:
    """The line, without colours; of a file that is appended to where what was before is given."""
    found = summary(asked or Asked(path, "run"), {}, append=asked is not None, killed_by=killed_by)
    return click.unstyle(found)


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
    lost = HarStatistics(dropped_entries=4)
    write(tmp_path / "out.har", run="another", times=2, lost=lost)
    write(tmp_path / "out.17.har", run="another")
    asked = Asked.of(tmp_path / "out.har", "run", append=True)
    size = append(tmp_path / "out.har", 1)
    assert f"otel-har: 3 entries, {size}, {tmp_path}/out.har" == line(tmp_path / "out.har", asked)


def test_what_was_appended_to_anothers_file(tmp_path: Path) -> None:
    """How many entries another program wrote is known to nobody without reading the file, and said to be unknown."""
    path = tmp_path / "out.har"
    path.write_bytes(VALID.read_bytes())
    asked = Asked.of(path, "run", append=True)
    size = append(path, 1)
    assert f"otel-har: 6 entries, with those that were there, {size}, {path}" == line(path, asked)


def test_what_was_appended_and_dropped(tmp_path: Path) -> None:
    """What came is counted, whatever retention left of it and of what was before."""
    path = tmp_path / "out.har"
    write(path, run="another", times=5)
    asked = Asked.of(path, "run", append=True)
    size = append(path, 3, retention=Retention(max_entries=4))
    assert f"otel-har: 9 entries, of which 4 stay, {size}, {path}" == line(path, asked)


@pytest.mark.parametrize("name", ["out.har", "out.v1.har", "out.har.gz", "out"])
def test_what_was_dropped_by_retention(tmp_path: Path, name: str) -> None:
    """All that was recorded is counted, also where little of it stays."""
    path = tmp_path / name
    exporter = FileHarExporter(path, recording="run", retention=Retention(max_entries=1))
    exporter.export(HarBatch((), ENTRIES * 3))
    exporter.shutdown()
    assert line(path).startswith("otel-har: 9 entries, of which 1 stays, ")


def test_all_has_aged_out(tmp_path: Path) -> None:
    """A file that has no entry any more was no recording without one."""
    retention = Retention(max_age_seconds=1)
    exporter = FileHarExporter(tmp_path / "out.har", recording="run", retention=retention, clock=lambda: 4e9)
    exporter.export(HarBatch((), ENTRIES * 3))
    exporter.shutdown()
    assert line(tmp_path / "out.har").startswith("otel-har: 9 entries, of which 0 stay, ")


@pytest.mark.parametrize("name", ["out.har", "out.v1.har", "out.{pid}.har", "out.har.gz", "out", "link.har"])
def test_what_was_rotated(tmp_path: Path, name: str) -> None:
    """The numbered files are found whatever the name is like, and what was in those that went is counted."""
    path = tmp_path / name
    if name == "link.har":
        (tmp_path / "files").mkdir()
        path.symlink_to(tmp_path / "files" / "real.har")
    exporter = FileHarExporter(path, recording="run", rotation=Rotation(max_bytes=1, files=2))
    for _ in range(5):
        exporter.export(HarBatch((), ENTRIES))
    exporter.shutdown()
    shown = line(path)
    assert shown.startswith("otel-har: 15 entries, of which 9 stay, ")
    named = exporter.path if name == "out.{pid}.har" else path
    assert shown.endswith(f", {named} and 2 files beside it")


def test_what_was_appended_to_a_rotated_file(tmp_path: Path) -> None:
    """What an earlier run wrote to files that were put aside since is not counted again."""
    path, rotation = tmp_path / "out.har", Rotation(max_bytes=1, files=3)
    for run in ("first", "second"):
        exporter = FileHarExporter(path, recording=run, rotation=rotation, append=True)
        exporter.export(HarBatch((), ENTRIES))
        exporter.shutdown()
    asked = Asked.of(path, "run", append=True)
    append(path, 1, rotation=rotation)
    append(path, 1, rotation=rotation)
    shown = line(path, asked)
    assert shown.startswith("otel-har: 6 entries, ")
    assert shown.endswith(f", {path} and 3 files beside it")


def test_requests_that_failed(tmp_path: Path) -> None:
    """Those without an answer are counted, and so are those whose answer broke off."""
    exporter = FileHarExporter(tmp_path / "out.har", recording="run")
    answered = ENTRIES[0].response
    responses = (answered, answered.model_copy(update={"status": 0}), answered.model_copy(update={"error": "broke"}))
    entries = [ENTRIES[0].model_copy(update={"response": response}) for response in responses]
    exporter.export(HarBatch((), entries))
    exporter.shutdown()
    assert line(tmp_path / "out.har").startswith("otel-har: 3 entries, 2 requests failed, ")


@pytest.mark.skipif(sys.platform == "win32", reason="that needs file locks")
@pytest.mark.parametrize("name", ["out.har", "out.har.zip"])
def test_a_process_that_goes_on_recording(tmp_path: Path, name: str) -> None:
    """What it recorded so far is told as such, and that it does."""
    path = tmp_path / name
    exporter = file_maker(path, recording="run")()
    nothing = f"otel-har: nothing was recorded so far: a process goes on recording to {path}"
    assert nothing == line(path)
    exporter.export(HarBatch((), ENTRIES))
    shown = line(path)
    assert shown.startswith("otel-har: 3 entries so far, ")
    assert shown.endswith(f", {path}.parts/har.har" if name.endswith(".zip") else f", {path}")
    exporter.shutdown()
    assert line(path).endswith(f" kB, {path}")


def test_nothing_was_written_when_it_was_killed(tmp_path: Path) -> None:
    """Then nobody knows whether requests were made."""
    FileHarExporter(tmp_path / "out.har", recording="run").shutdown()
    killed = "otel-har: nothing had been written when it was killed (SIGKILL)"
    assert killed == line(tmp_path / "out.har", killed_by="SIGKILL")


@pytest.mark.skipif(sys.platform == "win32", reason="archives need file locks")
def test_an_archive_that_was_not_made(tmp_path: Path) -> None:
    """After a kill its parts are there: the line says where, and how the archive is made of them."""
    path = tmp_path / "an out.har.zip"
    program = """
        import os, sys
        from otel_har.export.archive import ArchiveHarExporter
        from otel_har.export.interfaces import HarBatch
        from otel_har.har.models import Har

        exporter = ArchiveHarExporter(sys.argv[1], recording="run")
        exporter.export(HarBatch((), Har.model_validate_json(open(sys.argv[2], "rb").read()).log.entries))
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", dedent(program), str(path), str(VALID)], check=True, timeout=60)
    told, _, command = line(path).partition(" of it; this makes it: ")
    size = sum(file.stat().st_size for file in Path(f"{path}.parts").iterdir() if file.is_file()) / 1000
    assert (
        f"otel-har: 3 entries, 1 request failed, {size:.1f} kB, {path}.parts/har.har. {path} was not made" == told
    )  # one of the three failed
    python = f"{shlex.quote(sys.executable)} -m"
    subprocess.run(["/bin/sh", "-c", command.replace("python -m", python)], check=True, timeout=60)
    shutil.rmtree(f"{path}.parts")
    assert f"otel-har: 3 entries, 1 request failed, {path.stat().st_size / 1000:.1f} kB, {path}" == line(path)


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
