"""The recordings, and the readers that are installed; what is missing skips a test, or fails it where it may not."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumers import install
from consumers.recording import WAYS, Recording, record
from consumers.running import Changed, Read, Reader, require, run_reader


@pytest.fixture(scope="session")
def node_reader() -> Reader:
    """Readers that are npm packages."""
    require(install.missing_npm_packages())
    node = shutil.which("node") or ""
    return lambda script: _reads_once(lambda path: run_reader(node, script, path))


@pytest.fixture(scope="session")
def browser_reader() -> Reader:
    """Readers that run in Chromium; Playwright, an npm package, drives it."""
    require(install.missing_npm_packages() or install.missing_chromium())
    node, browser = shutil.which("node") or "", install.chromium() or ""
    return lambda script: _reads_once(lambda path: run_reader(node, script, path, browser))


@pytest.fixture(scope="session")
def python_reader() -> Reader:
    """Readers that are Python packages, in an environment of their own."""
    require(install.missing_python_packages())
    return lambda script: _reads_once(lambda path: run_reader(str(install.PYTHON), script, path))


def _reads_once(read: Callable[[str], Any]) -> Read:
    """A reader that reads each file once: a recording does not change."""
    cached = functools.cache(read)
    return lambda recording: cached(str(recording.path))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    """The recordings by the names of their ways, each made when it is first asked for."""
    return functools.cache(lambda way: record(tmp_path_factory.mktemp(way), *WAYS[way]))


@pytest.fixture(scope="session", params=WAYS)
def recording(request: pytest.FixtureRequest, recorded: Callable[[str], Recording]) -> Recording:
    """A recording of every case of the program."""
    return recorded(request.param)


@pytest.fixture(scope="session")
def compact(recorded: Callable[[str], Recording]) -> Recording:
    """A recording as it is made without any option of its way."""
    return recorded("compact")


@pytest.fixture
def changed(compact: Recording, tmp_path: Path) -> Changed:
    """Changed copies of the recording: what `change` does to a copy of its log."""
    return lambda change: compact.changed(tmp_path / "changed.har", change)
