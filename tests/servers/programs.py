"""Runs programs in child processes, plain and under `opentelemetry-instrument --har`."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from servers.server import unused_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from servers.server import RecordingServer

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
"""The real command, of the environment the tests run in."""

CHILD_TIMEOUT_S = 60.0

_AS_IT_IS = {"OTEL_PYTHON_HAR_REDACT": "none"}
"""What is recorded is compared with what the server saw, byte for byte: redaction is off unless a test asks for it."""

_HARNESS = '''
"""What every program under test starts with: the server's address, and its gates."""

import os
import socket

BASE = os.environ["TEST_BASE"]
CA = os.environ["TEST_CA"]
UNUSED = os.environ["TEST_UNUSED"]


def _control(line):
    with socket.create_connection(("127.0.0.1", int(os.environ["TEST_CONTROL"])), timeout=30) as control:
        control.sendall(line.encode() + b"\\n")
        answer = b""
        while not answer.endswith(b"\\n"):
            answer += control.recv(100)
    if answer != b"ok\\n":
        raise SystemExit(f"{line}: {answer}")


def release(name):
    """Let the server through one gate."""
    _control(f"release {name}")


def wait(name, times=1):
    """Wait until the server has marked something."""
    _control(f"wait {times} {name}")
'''


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """A program that has ended, and what it left behind."""

    returncode: int
    stdout: str
    stderr: str
    har: dict[str, Any] | None
    har_path: Path

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of the file; none if there is no file."""
        return [] if self.har is None else list(self.har["log"]["entries"])

    @property
    def pages(self) -> list[dict[str, Any]]:
        """The pages of the file; none if there is no file."""
        return [] if self.har is None else list(self.har["log"]["pages"])

    def of(self, path: str) -> list[dict[str, Any]]:
        """The entries of one path, whatever their host and query."""
        return [entry for entry in self.entries if urlsplit(entry["request"]["url"]).path == path]


class InstrumentedRunner(Protocol):
    """Runs a program under `opentelemetry-instrument --har <path>` and reads the file."""

    def __call__(  # noqa: PLR0913 - what a test may choose
        self,
        program_source: str,
        *options: str,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        har_path: Path | None = None,
        python_options: Sequence[str] = (),
        server: RecordingServer | None = None,
    ) -> CompletedRun:
        """Write the source beside its harness, run it to its end, and check and parse the HAR file.

        Args:
            program_source: The program; it may import BASE, CA, UNUSED, release and wait from `harness`.
            *options: More options of opentelemetry-instrument.
            env: Added to the environment, which is free of OTEL_* names but OTEL_PYTHON_HAR_REDACT, which is `none`.
            args: Arguments of the program.
            har_path: Instead of out.har in the directory of the test.
            python_options: Options of the interpreter.
            server: Another server than the fixture `server`.
        """


class PlainRunner(Protocol):
    """Runs a program as it is."""

    def __call__(
        self,
        program_source: str,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        python_options: Sequence[str] = (),
        server: RecordingServer | None = None,
    ) -> CompletedRun:
        """Write the source beside its harness and run it to its end; arguments as for `InstrumentedRunner`."""


def run_instrumented_program(  # noqa: PLR0913 - where, and what a test may choose
    default: RecordingServer,
    directory: Path,
    program_source: str,
    *options: str,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    har_path: Path | None = None,
    python_options: Sequence[str] = (),
    server: RecordingServer | None = None,
) -> CompletedRun:
    """What an `InstrumentedRunner` does, in a directory; a path in the environment takes the place of `--har`."""
    har_path = har_path or directory / "out.har"
    by_option = [] if "OTEL_PYTHON_HAR" in (env or {}) else ["--har", str(har_path)]
    program = _write_program(directory / "program", program_source)
    python = [sys.executable, *python_options, str(program), *args]
    command = [str(INSTRUMENT), *by_option, *options, *python]
    return _run(
        command, _environment(server or default, directory, {**_AS_IT_IS, **(env or {})}), program.parent, har_path
    )


def run_plain_program(  # noqa: PLR0913 - where, and what a test may choose
    default: RecordingServer,
    directory: Path,
    program_source: str,
    *,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    python_options: Sequence[str] = (),
    server: RecordingServer | None = None,
) -> CompletedRun:
    """What a `PlainRunner` does, in a directory."""
    program = _write_program(directory / "program", program_source)
    command = [sys.executable, *python_options, str(program), *args]
    return _run(command, _environment(server or default, directory, env), program.parent, directory / "none.har")


def _write_program(directory: Path, source: str) -> Path:
    """Write a program and the harness it imports."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "harness.py").write_text(_HARNESS, encoding="utf-8")
    program = directory / "app.py"
    program.write_text(dedent(source), encoding="utf-8")
    return program


def _environment(server: RecordingServer, directory: Path, extra: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a child: ours without settings for OpenTelemetry, Python or proxies; where the server is."""
    ca_path = directory / "ca.pem"
    ca_path.write_bytes(server.ca_pem)
    foreign = ("OTEL_", "PYTHON", "COVERAGE_", "COV_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
    kept |= {
        "TEST_BASE": server.url(""),
        "TEST_CONTROL": str(server.control_port),
        "TEST_CA": str(ca_path),
        "TEST_UNUSED": f"http://127.0.0.1:{unused_port()}",
        "PYTHONIOENCODING": "utf-8",
    }
    return {**kept, **(extra or {})}


def _run(command: Sequence[str], env: Mapping[str, str], directory: Path, har_path: Path) -> CompletedRun:
    """Run a command to its end, and check and parse the HAR file if there is one."""
    done = subprocess.run(
        command,
        env=dict(env),
        cwd=directory,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    har = read_checked(har_path) if har_path.is_file() else None
    return CompletedRun(done.returncode, done.stdout, done.stderr, har, har_path)


def read_checked(har_path: Path) -> dict[str, Any]:
    """Parse a HAR file which the checker has no complaint about."""
    from otel_har.har.checker import check  # noqa: PLC0415 - the server must be usable without the package under test

    faults = [str(fault) for fault in check(har_path)]
    assert not faults, "\n".join(faults)
    parsed: dict[str, Any] = json.loads(har_text(har_path))
    return parsed


def har_text(har_path: Path) -> bytes:
    """The text of a HAR file, unpacked where its first bytes say that it is packed."""
    data = har_path.read_bytes()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(har_path) as archive:
            return archive.read("har.har")
    return text_of(data)


def text_of(data: bytes) -> bytes:
    """The text of what was read of a file, which may be gzip."""
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
