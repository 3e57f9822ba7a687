"""The tests over the supported Pythons, and the lowest and the latest releases of what the package builds on.

`nox` runs them all, `nox -s 'tests-3.12(lowest)'` one of them; what stands behind `--` goes to pytest, where
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
nox.options.sessions = ["tests", "urllib3", "uvloop"]

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
PYTHONS = nox.project.python_versions({"project": PROJECT})
RUN_TIME_EXTRAS = ("requests", "aiohttp", "brotli", "otlp", "reader", "cli")
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
}


@nox.session(python=PYTHONS)
@nox.parametrize("versions", ["lowest", "latest"], ids=["lowest", "latest"])
def tests(session: nox.Session, versions: str) -> None:
    """Run the tests with the lowest or the latest releases."""
    _install(session, VERSIONS[versions])
    _run(session)


@nox.session(python=PYTHONS[-1])
def urllib3(session: nox.Session) -> None:
    """Run the tests with the latest requests over urllib3 1.26, which other packages may hold back."""
    _install(session, ["urllib3<2"])
    _run(session)


@nox.session(python=PYTHONS[-1])
def uvloop(session: nox.Session) -> None:
    """Run the tests, and all programs that they start, on uvloop's event loop."""
    _install(session, [], "uvloop")
    purelib = session.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", silent=True)
    # A .pth file with an import is run by every Python of the environment (the `site` module's documentation).
    line = "import asyncio, uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n"
    Path(str(purelib).strip(), "every_loop.pth").write_text(line, encoding="utf-8")
    _run(session)


def _install(session: nox.Session, constraints: list[str], *more: str) -> None:
    """Install the package with what its tests need, under constraints that name the releases."""
    file = Path(session.create_tmp()) / "constraints.txt"
    file.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    session.install("--constraint", str(file), "-e", ".[test]", *more)


def _run(session: nox.Session) -> None:
    """Run the tests; say first with what."""
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
