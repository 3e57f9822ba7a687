"""What users of the package have: its names, the pages that are made from the code, and its types."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import otel_har

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
HAND_WRITTEN = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if REFERENCE not in page.parents),
]
PROGRAMS = sorted((ROOT / "tests" / "typing").glob("*.py"))

# A name that is taken away breaks programs; one that comes is a promise. Either is somebody's decision, made here.
PUBLIC = """
    ArchiveHarExporter BackgroundProcessHarExporter BatchHarProcessor BatchSettings CaptureLimits CompositeHarExporter
    ConsoleHarExporter DestinationError ExecutorHarExporter ExportError FileHarExporter FileRecording HarBatch
    HarExportResult HarExporter HarFilter HarFormatError HarInstrumentor HarProcessor HarSpanProcessor HarStatistics
    InMemoryHarExporter LoggingHarExporter MappingOptions ModelRecording NO_REDACTION OtelHarError Recording
    RedactionPolicy Retention Rotation SettingError SimpleHarProcessor StreamHarExporter __version__ record
    record_to_file record_to_logger record_to_model shut_down_on_signals to_har_model
""".split()


def test_the_public_names_are_these() -> None:
    """The package's names are those that were decided on, each once."""
    assert sorted(PUBLIC) == sorted(otel_har.__all__)


@pytest.mark.parametrize("name", otel_har.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    """Each name can be imported, has a docstring, and stands in a page that somebody wrote."""
    value = getattr(otel_har, name)
    assert name.startswith("__") or value.__doc__
    assert name.startswith("__") or [page.name for page in HAND_WRITTEN if name in page.read_text("utf-8")]


@pytest.mark.parametrize("page", ["api.md", "commands.md", "settings.md"])
def test_the_reference_is_what_the_code_gives(page: str) -> None:
    """The committed page is what `python docs/reference/generate.py` writes."""
    made = runpy.run_path(str(REFERENCE / "generate.py"))["pages"]()
    assert {"api.md", "commands.md", "settings.md"} == set(made)
    assert made[page] == (REFERENCE / page).read_text("utf-8")


def test_every_option_of_every_command_is_documented() -> None:
    """Nothing that `--help` tells is missing from the page of the commands."""
    pytest.importorskip("click")
    from otel_har.cli.app import app  # noqa: PLC0415 - the command line is an extra

    page = (REFERENCE / "commands.md").read_text("utf-8")
    options = [name for command in app.commands.values() for one in command.params for name in one.opts if "-" in name]
    assert [] == [name for name in options if not re.search(rf"{re.escape(name)}[ ,`]", page)]


def test_programs_of_users_are_typed(tmp_path: Path) -> None:
    """mypy, strict, agrees with what each program in tests/typing asserts, and finds the mistakes that they mark."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*command, *map(str, PROGRAMS)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert PROGRAMS
    assert (0, f"Success: no issues found in {len(PROGRAMS)} source file{'s' * (len(PROGRAMS) > 1)}\n") == (
        done.returncode,
        done.stdout,
    )
