"""A recording server, and runners of real programs in child processes."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers import RecordingServer
from servers.filesystems import Filesystems
from servers.programs import run_instrumented_program, run_plain_program
from servers.recorded import Nursery, RecordedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import InstrumentedRunner, PlainRunner


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server; nobody may have waited in vain at its gates."""
    with RecordingServer() as running:
        yield running
        assert [] == running.gates.expired


@pytest.fixture
def tls_server() -> Iterator[RecordingServer]:
    """A server behind TLS."""
    with RecordingServer(tls=True) as running:
        yield running


@pytest.fixture
def run_instrumented(server: RecordingServer, tmp_path: Path) -> InstrumentedRunner:
    """Runs programs under `opentelemetry-instrument --har`."""
    return functools.partial(run_instrumented_program, server, tmp_path)


@pytest.fixture
def run_plain(server: RecordingServer, tmp_path: Path) -> PlainRunner:
    """Runs programs as they are."""
    return functools.partial(run_plain_program, server, tmp_path)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process with everything imported, to fork recorded ones from."""
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def filesystems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filesystems]:
    """Mounts filesystems."""
    filesystems = Filesystems(tmp_path_factory.mktemp("filesystems"))
    yield filesystems
    filesystems.close()


@pytest.fixture
def new_process(nursery: Nursery, server: RecordingServer) -> Iterator[Callable[[], RecordedProcess]]:
    """Gives a recorded process each time it is called; they end with the test. Ask for `filesystems` before it."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(nursery.fork(server))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can get to."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
