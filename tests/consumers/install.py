"""Installs the readers of HAR files that the tests of this directory use, and knows what is missing of them.

    python3 tests/consumers/install.py

The npm packages come into `node_modules`, the Python ones into an environment of their own, `.venv`, both beside this
file, and an OpenTelemetry collector into `.venv-collector`, where there is one for this Python and machine. Chromium is
Debian's, and is installed where this runs as root. Node.js with npm has to be there. What is there already is left
alone. The exit status is 0 when nothing is missing any more.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

HOME = Path(__file__).resolve().parent
NODE_MODULES = HOME / "node_modules"
ENVIRONMENT = HOME / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
COLLECTOR_ENVIRONMENT = HOME / ".venv-collector"

_LOCK = HOME / "package-lock.json"
_REQUIREMENTS = HOME / "requirements.txt"
_COLLECTOR_REQUIREMENTS = HOME / "requirements-collector.txt"
_COLLECTOR_IS_FOR = ((3, 11), "linux", "x86_64")
_OLDEST_NODE = (20, 11)
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_STAMP = ".installed"  # holds the digest of the list of packages that was installed


def missing_node() -> str | None:
    """Say what is missing for the readers that run in Node.js."""
    node = shutil.which("node")
    wanted = ".".join(map(str, _OLDEST_NODE))
    if node is None or shutil.which("npm") is None:
        return f"Node.js {wanted} or newer with npm"
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(map(int, re.findall(r"\d+", told)[:2]))
    return f"Node.js {wanted} or newer (not {told.strip()})" if version < _OLDEST_NODE else None


def missing_npm_packages() -> str | None:
    """Say what is missing for the readers that are npm packages."""
    return missing_node() or (None if _is_stamped(NODE_MODULES, _LOCK) else f"the npm packages of {_LOCK.name}")


def missing_python_packages() -> str | None:
    """Say what is missing for the readers that are Python packages."""
    return None if _is_stamped(ENVIRONMENT, _REQUIREMENTS) else f"the Python packages of {_REQUIREMENTS.name}"


def no_collector_here() -> str | None:
    """Say why there can be no collector, where its package has none: it is made for one kind of machine."""
    here = (sys.version_info[:2], sys.platform, platform.machine())
    return None if here == _COLLECTOR_IS_FOR else f"the collector is for {_COLLECTOR_IS_FOR}, and this is {here}"


def missing_collector() -> str | None:
    """Say what is missing for the tests that send through a collector of OpenTelemetry's."""
    if no_collector_here() or _is_stamped(COLLECTOR_ENVIRONMENT, _COLLECTOR_REQUIREMENTS):
        return None
    return f"the collector of {_COLLECTOR_REQUIREMENTS.name}"


def collector() -> str:
    """The collector's path."""
    return str(next(COLLECTOR_ENVIRONMENT.glob("lib/python*/site-packages/rotel/rotel-agent")))


def missing_chromium() -> str | None:
    """Say what is missing for the readers that run in a browser."""
    return None if chromium() else "Chromium"


def chromium() -> str | None:
    """The browser's path, None where there is none."""
    return next((path for name in _CHROMIUM_NAMES if (path := shutil.which(name))), None)


def _install_npm_packages() -> None:
    if _run([shutil.which("npm") or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]):
        _stamp(NODE_MODULES, _LOCK)


def _install_python_packages() -> None:
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    if _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--requirement", str(_REQUIREMENTS)]):
        _stamp(ENVIRONMENT, _REQUIREMENTS)


def _install_collector() -> None:
    venv.create(COLLECTOR_ENVIRONMENT, clear=True, with_pip=True)
    python = COLLECTOR_ENVIRONMENT / "bin" / "python"
    if _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(_COLLECTOR_REQUIREMENTS)]):
        _stamp(COLLECTOR_ENVIRONMENT, _COLLECTOR_REQUIREMENTS)


def _install_chromium() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    _run([apt, "update", "--quiet=2"])
    _run([apt, "install", "--quiet=2", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"])


def _run(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, cwd=HOME, env=environment, check=False, stdout=sys.stderr).returncode == 0


def _is_stamped(directory: Path, packages: Path) -> bool:
    stamp = directory / _STAMP
    return stamp.is_file() and stamp.read_text("ascii") == _digest(packages)


def _stamp(directory: Path, packages: Path) -> None:
    (directory / _STAMP).write_text(_digest(packages), "ascii")


def _digest(packages: Path) -> str:
    return hashlib.sha256(packages.read_bytes()).hexdigest()


_STEPS: tuple[tuple[Callable[[], str | None], Callable[[], None] | None], ...] = (
    (missing_node, None),
    (missing_npm_packages, _install_npm_packages),
    (missing_python_packages, _install_python_packages),
    (missing_collector, _install_collector),
    (missing_chromium, _install_chromium),
)


def main() -> int:
    """Install what is missing, and say what stays so."""
    still_missing = set()
    for find, install in _STEPS:
        missing = find()
        if missing and install is not None and missing != missing_node():
            sys.stderr.write(f"installing {missing}\n")
            install()
            missing = find()
        if missing:
            still_missing.add(missing)
    for missing in sorted(still_missing):
        sys.stderr.write(f"missing, and not installed: {missing}\n")
    return 1 if still_missing else 0


if __name__ == "__main__":
    sys.exit(main())
