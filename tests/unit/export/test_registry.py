"""Exporters by their names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from otel_har.errors import ExportError, SettingError
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.registry import exporter_named, exporter_of_names

if TYPE_CHECKING:
    from pathlib import Path

    from otel_har.export.interfaces import HarExporter

_MADE: list[InMemoryHarExporter] = []


def _memory() -> HarExporter:
    _MADE.append(InMemoryHarExporter())
    return _MADE[-1]


def _broken() -> HarExporter:
    raise ExportError("no such directory")


BUILTINS = {"memory": _memory, "broken": _broken}


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, with entry points, as an installation has it."""
    (tmp_path / "theirs.py").write_text(
        "from otel_har import InMemoryHarExporter\n"
        "class Theirs(InMemoryHarExporter):\n"
        "    pass\n"
        "def bug():\n"
        "    raise KeyError('oops')\n"
        "def leave():\n"
        "    raise SystemExit(3)\n"
        "def other():\n"
        "    return 5\n"
    )
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    places = {
        "theirs": "Theirs",
        "bug": "bug",
        "leave": "leave",
        "other": "other",
        "missing": "missing",
        "memory": "bug",
    }
    points = "".join(f"{name} = theirs:{place}\n" for name, place in places.items())
    (metadata / "entry_points.txt").write_text(f"[otel_har_exporter]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "theirs", raising=False)


@pytest.mark.usefixtures("_package")
def test_names(caplog: pytest.LogCaptureFixture) -> None:
    """Built-in names in any case, and entry points; a built-in name is nobody else's, which is told."""
    assert type(exporter_named("Memory", BUILTINS)) is InMemoryHarExporter
    assert ["otel-har: the exporter memory (theirs:bug) is not used: a built-in one has its name"] == caplog.messages
    assert "Theirs" == type(exporter_named("theirs", BUILTINS)).__name__


@pytest.mark.usefixtures("_package")
def test_several() -> None:
    """Several names make one exporter that gives to all; a name twice is one."""
    assert type(exporter_of_names(" memory, memory ,", BUILTINS)) is InMemoryHarExporter
    exporter = exporter_of_names(["memory", "theirs"], BUILTINS)
    assert isinstance(exporter, CompositeHarExporter)
    assert HarExportResult.SUCCESS is exporter.export(HarBatch((), ()))


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"no exporter 'nothing'; there are broken, bug, leave, memory, missing, other, theirs"),
        ("bug", r"'bug' \(theirs:bug\) cannot be made: KeyError: 'oops'"),
        ("leave", r"'leave' \(theirs:leave\) cannot be made: SystemExit: 3"),
        ("missing", r"'missing' \(theirs:missing\) cannot be made: AttributeError"),
        ("other", r"'other' \(theirs:other\) is no HarExporter"),
        ("", "no exporter is named"),
        (" , ", "no exporter is named"),
    ],
)
def test_what_is_wrong_with_a_name(name: str, message: str) -> None:
    """Each fault of a name is one clear error that names it."""
    with pytest.raises(SettingError, match=message):
        exporter_of_names(name, BUILTINS)


def test_what_was_made_before_a_fault_is_shut_down() -> None:
    """Where the second exporter cannot be made the first one is not left behind; its own error says why."""
    with pytest.raises(ExportError, match="no such directory"):
        exporter_of_names("memory,broken", BUILTINS)
    assert HarExportResult.FAILURE is _MADE[-1].export(HarBatch((), ()))
