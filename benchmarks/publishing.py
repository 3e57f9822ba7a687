"""Puts what a benchmark printed into a page of the documentation, so that every figure there was printed by a command.

<!-- begin: NAME -->
... is replaced ...
<!-- end: NAME -->
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_VERSIONS = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
"""


def published(page: str, name: str, text: str) -> str:
    """The page with another block of that name.

    Raises:
        ValueError: It has no such block.
    """
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no block {name!r} between {begin} and {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def publish(path: Path, name: str, text: str) -> None:
    """Put a text into a page.

    Raises:
        ValueError: The page has no such block.
    """
    path.write_text(published(path.read_text(), name, text))


def circumstances(*others: str, packages: Mapping[str, Sequence[str]] | None = None) -> str:
    """One line that says where figures were made: Python, processors, and releases of packages.

    Args:
        others: What else is to be said.
        packages: By interpreters, the names of those packages; those that are not installed are left out.
    """
    releases = [line for python, names in (packages or {}).items() for line in _releases(python, names)]
    parts = [f"Python {platform.python_version()}", f"{os.cpu_count()} processors", *others, *releases]
    return ", ".join(parts) + "."


def own(*names: str) -> dict[str, Sequence[str]]:
    """Packages of this environment, for `circumstances`."""
    return {sys.executable: names}


def _releases(python: str, names: Sequence[str]) -> list[str]:
    command = [python, "-c", _VERSIONS, *names]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603 - ours
