"""The tests over the supported Pythons, and the lowest and the latest releases of what the package builds on.

`nox -s tests` runs them all, `nox -s 'tests-3.12(lowest)'` one of them; what stands behind `--` goes to pytest, where
paths of tests take the place of all.
The lowest releases are read from pyproject.toml: what it declares is what is run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
PYTHONS = nox.project.python_versions({"project": PROJECT})
RUN_TIME_EXTRAS = ("requests", "aiohttp", "brotli", "reader", "cli")
# Not the tests of scale, of other people's readers, and of the source, which one environment tells as well as many.
TESTS = ("tests/unit", "tests/contract", "tests/properties", "tests/integration")
TESTS_OPTIONS = ("--ignore=tests/integration/test_scale.py", "-p", "no:cacheprovider", "-q")


def _declared() -> list[Requirement]:
    """What the package needs at run time, with every extra that users may ask for."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in RUN_TIME_EXTRAS for line in extras[extra])]
    return [one for one in map(Requirement, lines) if one.name != PROJECT["name"]]


def _lower_bound(declared: Requirement) -> str:
    """The requirement of the lowest release that a declared one allows; ValueError where it names none."""
    [bound] = [one.version for one in declared.specifier if one.operator == ">="]
    marker = f"; {declared.marker}" if declared.marker else ""
    return f"{declared.name}=={bound}{marker}"


VERSIONS = {
    "lowest": [_lower_bound(declared) for declared in _declared()],
    "latest": [],
    "urllib3-1.26": ["urllib3<2"],
}


@nox.session(python=PYTHONS)
@nox.parametrize("versions", ["lowest", "latest"], ids=["lowest", "latest"])
def tests(session: nox.Session, versions: str) -> None:
    """Run the tests with the lowest or the latest releases."""
    _run(session, VERSIONS[versions])


@nox.session(python=PYTHONS)
def urllib3(session: nox.Session) -> None:
    """Run the tests with the latest requests over the old urllib3, which other packages may hold back."""
    _run(session, VERSIONS["urllib3-1.26"])


def _run(session: nox.Session, constraints: list[str]) -> None:
    """Install the package and run its tests, under constraints that name the releases."""
    file = Path(session.create_tmp()) / "constraints.txt"
    file.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    session.install("--constraint", str(file), "-e", ".[test]")
    session.run(
        "python",
        "-c",
        "import importlib.metadata as m, sys; [print(name, m.version(name)) for name in sys.argv[1:]]",
        *(one.name for one in _declared()),
        "urllib3",
    )
    names_tests = any(Path(argument.partition("::")[0]).exists() for argument in session.posargs)
    # The tests' own sockets need short paths: not nox's directory for temporary files.
    session.env["TMPDIR"] = tempfile.gettempdir()
    session.run("python", "-m", "pytest", *TESTS_OPTIONS, *(() if names_tests else TESTS), *session.posargs)
