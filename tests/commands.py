"""The command `otel-har` as tests call it: within their own process, and as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from otel_har.cli.app import app


def run(command: str, *arguments: str | Path, standard_input: bytes | None = None) -> Result:
    """Run a command within this process."""
    return CliRunner().invoke(app, [command, *map(str, arguments)], input=standard_input)


def spawn(command: str, *arguments: str | Path, standard_input: bytes = b"") -> tuple[int, bytes, str]:
    """Run a command as a process: its status, and what it writes to standard output and standard error."""
    words = [sys.executable, "-m", "otel_har", command, *arguments]
    done = subprocess.run(words, input=standard_input, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()
