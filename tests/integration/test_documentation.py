"""Every command and every example of the documentation does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.util.http import OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS

from otel_har.har.checker import check
from otel_har.settings import HarSettings
from servers.otlp import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import RecordingServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in _FENCE.findall(page.read_text()) if name == language]


PYTHON_BLOCKS = [(page.name, block) for page in PAGES for block in _blocks(page, "python")]


def _run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False)


def _title(block: str) -> str:
    """That of an example's only page."""
    named = re.search(r'start_as_current_span\("(\w+)"\)', block)
    return named[1] if named else "example.py"


@pytest.fixture(scope="module")
def otlp_receiver() -> Iterator[Receiver]:
    """What the examples send entries to."""
    receiver = Receiver()
    yield receiver
    receiver.kill()


@pytest.mark.parametrize(("page", "block"), PYTHON_BLOCKS, ids=[page for page, _ in PYTHON_BLOCKS])
def test_every_python_example_runs(
    page: str, block: str, tmp_path: Path, server: RecordingServer, otlp_receiver: Receiver
) -> None:
    """A pasted example runs without a word on standard error, and its HAR file is without faults."""
    assert page
    program = tmp_path / "example.py"
    source = block.replace("https://example.org/", server.url("/json"))
    program.write_text(source.replace("http://localhost:4318", otlp_receiver.http))
    result = _run([sys.executable, "-W", "error", str(program)], tmp_path)
    assert (0, "") == (result.returncode, result.stderr)
    recording = tmp_path / "out.har"
    if "FileHarExporter" in block or "record_to_file(" in block:
        assert [] == list(check(recording))
        log = json.loads(recording.read_text())["log"]
        assert [_title(block)] == [entry_page["title"] for entry_page in log["pages"]]
        assert [server.url("/json")] == [entry["request"]["url"] for entry in log["entries"]]


def test_the_main_command_of_the_readme_records_the_shop(tmp_path: Path) -> None:
    """The README's first command, after its installation, records six exchanges on two pages without a fault."""
    command = _blocks(ROOT / "README.md", "sh")[0]
    steps = [step.split() for step in command.strip().split(" && ")]
    assert ["python3", ".venv/bin/pip"] == [step[0] for step in steps[:2]]
    binaries = Path(sys.executable).parent
    outputs = []
    for step in steps[2:]:
        resolved = [
            str(binaries / word.removeprefix(".venv/bin/"))
            if word.startswith(".venv/bin/")
            else str(ROOT / word)
            if word.startswith("docs/")
            else word
            for word in step
        ]
        result = _run(resolved, tmp_path)
        assert (0, "") == (result.returncode, result.stderr)
        outputs.append(result.stdout)
    assert "1 file, 5 entries: no faults\n" == outputs[-1]
    log = json.loads((tmp_path / "out.har").read_text())["log"]
    assert ["shopping", "paying"] == [page["title"] for page in log["pages"]]
    assert [302, 200, 201, 402, 0] == [entry["response"]["status"] for entry in log["entries"]]


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    """The README's second command stands in `.ci/run` word for word."""
    command = _blocks(ROOT / "README.md", "sh")[1].strip()
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of settings names each variable, its option and its default."""
    table = (ROOT / "docs" / "settings.md").read_text()
    for field in HarSettings.model_fields.values():
        if field.alias == OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS:  # OpenTelemetry's, without option
            assert f"| `{field.alias}` | " in table
            continue
        option = (field.alias or "").removeprefix("OTEL_PYTHON_").lower()
        value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "" if value in (None, "") else f"{str(value).lower()} "
        assert f"| `{field.alias}` | `--{option}` | {default}| " in table


def test_every_extra_is_documented() -> None:
    """The table of extras names each extra that users may ask for."""
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"bench", "lint", "test"}
    page = (ROOT / "docs" / "getting-started.md").read_text()
    assert set() == {extra for extra in extras if f"`{extra}`" not in page}


def test_every_fault_has_its_test() -> None:
    """Each row of the table of faults names tests, and each of them is there."""
    table = (ROOT / "docs" / "faults.md").read_text()
    rows = [row for row in re.findall(r"^\|(.*)\|$", table, re.MULTILINE) if not row.startswith((" fault", "---"))]
    assert len(rows) > 40
    assert [] == [row for row in rows if 4 != row.count("|") + 1 or "::" not in row.rpartition("|")[2]]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    assert len(named) == table.count("::")
    missing = [(path, name) for path, name in named if f"def {name}(" not in _text(ROOT / path)]
    assert [] == missing


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
