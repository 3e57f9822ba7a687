"""Runs the readers, each a process of its own that prints JSON, where they are installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumers.recording import Recording

Read = Callable[[Recording], Any]
"""Has a recording read, and returns what the reader made of it."""

Reader = Callable[[str], Read]
"""Takes the name of a script of `readers`."""

Change = Callable[[dict[str, Any]], object]
"""Changes the log of a HAR document, or an entry of it."""

Changed = Callable[[Change], Recording]
"""Makes a changed copy of a recording."""

READERS = Path(__file__).with_name("readers")
PATIENCE_S = 120.0
"""How long a reader may take; nothing that works comes near it."""


class ReaderFailed(Exception):  # noqa: N818 - what happened, to a reader
    """A reader could not read a file; the message is what it wrote on standard error."""


def run_reader(interpreter: str, script: str, *arguments: str) -> Any:
    """Run a script of `readers` and return what it printed.

    Raises:
        ReaderFailed: It failed.
    """
    command = [interpreter, str(READERS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise ReaderFailed(done.stderr)
    return json.loads(done.stdout)


def require(missing: str | None) -> None:
    """Skip the test where a reader is missing; fail where TEST_CONSUMERS=required says that none may be."""
    if missing is None:
        return
    reason = f"{missing} is missing: python3 tests/consumers/install.py installs it, or says why it cannot"
    if os.environ.get("TEST_CONSUMERS") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
