"""What is missing of the readers is told, and what is installed comes from wherever packages come from here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consumers import install
from consumers.running import require


def test_what_is_missing_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of a reader that is not there is skipped, and says which."""
    monkeypatch.delenv("TEST_CONSUMERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Chromium is missing"):
        require("Chromium")


def test_what_is_missing_fails_where_nothing_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything has to be installed, a reader that is not there fails the test."""
    monkeypatch.setenv("TEST_CONSUMERS", "required")
    with pytest.raises(pytest.fail.Exception, match="Chromium is missing"):
        require("Chromium")


def test_what_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of a reader that is there runs."""
    monkeypatch.setenv("TEST_CONSUMERS", "required")
    require(None)


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine without Node.js and Chromium both are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (install.missing_npm_packages() or "").startswith("Node.js")
    assert "Chromium" == install.missing_chromium()


def test_the_lock_file_names_no_registry() -> None:
    """The packages of the lock file are told by version and digest, not by an address."""
    packages = json.loads((install.HOME / "package-lock.json").read_text("utf-8"))["packages"]
    assert len(packages) > 1
    assert [] == [name for name, package in packages.items() if "resolved" in package]
    assert [""] == [name for name, package in packages.items() if "integrity" not in package]


def test_continuous_integration_has_every_reader() -> None:
    """`.ci/run` installs the readers, and does not skip a test for want of one."""
    lines = (install.HOME.parents[1] / ".ci" / "run").read_text("utf-8").splitlines()
    assert "python3 tests/consumers/install.py" in lines
    assert any(line.startswith("export TEST_CONSUMERS=required") for line in lines)
