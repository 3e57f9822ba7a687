"""The environments of the recorders that cannot share one with the package: made once, in a directory that stays.

`uv` makes them where it is on the PATH, `venv` and `pip` otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MADE = "made.txt"  # what was installed; written last
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Wanted:
    """An environment.

    Attributes:
        name: Its name, and that of its directory.
        requirements: What is installed.
        pythons: The minor versions of Python 3 that will do, the best first; none: any.
    """

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[int, ...] = ()


HARLEM = Wanted("harlem", ("harlem==0.2.0a2", "requests"), (11, 10))
MITMPROXY = Wanted("mitmproxy", ("mitmproxy>=10.1",), (13, 12, 11, 10))


class EnvironmentUnavailableError(RuntimeError):
    """An environment could not be made: there is no fitting Python, or the packages could not be installed."""


def default_directory() -> Path:
    """Where environments stay: below the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "otel-har-benchmarks")


def made(wanted: Wanted, directory: Path) -> Path:
    """The environment's interpreter; the environment is made where there is none yet.

    Raises:
        EnvironmentUnavailableError: It cannot be had.
    """
    place = directory.absolute() / wanted.name
    interpreter, mark = place / "bin" / "python", place / _MADE
    if mark.is_file() and mark.read_text() == "\n".join(wanted.requirements):
        return interpreter
    faults = []
    for python in _pythons(wanted):
        shutil.rmtree(place, ignore_errors=True)
        try:
            for command in _commands(python, place, wanted.requirements):
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)  # noqa: S603 - ours
        except (OSError, subprocess.SubprocessError) as fault:
            faults.append(f"{fault} {getattr(fault, 'stderr', '') or ''}".strip())
        else:
            mark.write_text("\n".join(wanted.requirements))
            return interpreter
    raise EnvironmentUnavailableError("; ".join(faults) or f"{wanted.name} needs Python 3.{wanted.pythons}")


def _pythons(wanted: Wanted) -> Iterator[str]:
    """Interpreters that will do: this one first, since all are to be measured with the same."""
    if not wanted.pythons or sys.version_info.minor in wanted.pythons:
        yield sys.executable
    for minor in wanted.pythons:
        found = shutil.which(f"python3.{minor}")
        if found is not None and minor != sys.version_info.minor:
            yield found


def _commands(python: str, place: Path, requirements: Sequence[str]) -> list[list[str]]:
    interpreter = str(place / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        install = [uv, "pip", "install", "--quiet", "--python", interpreter, *requirements]
        return [[uv, "venv", "--quiet", "--python", python, str(place)], install]
    install = [interpreter, "-m", "pip", "install", "--quiet", *requirements]
    return [[python, "-m", "venv", str(place)], install]
