"""The name that `--har` gives decides the file's form, for a program and its children."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from otel_har.har.reader import load
from servers.programs import run_instrumented_program

if TYPE_CHECKING:
    from pathlib import Path

    from servers import RecordingServer

_PROGRAM = """
import os
import subprocess
import sys

import requests

from harness import BASE

requests.post(BASE + "/echo", data="from the parent")
if len(sys.argv) == 1:
    subprocess.run([sys.executable, *sys.orig_argv[1:], "child"], check=True)
    if os.fork() == 0:
        requests.post(BASE + "/echo", data="from the fork")
        sys.exit()
    os.wait()
requests.post(BASE + "/echo", data="from the parent")
"""


@pytest.mark.parametrize(("name", "beginning"), [("out.har.gz", b"\x1f\x8b"), ("out.har.zip", b"PK")])
def test_form(tmp_path: Path, server: RecordingServer, name: str, beginning: bytes) -> None:
    """Every request of every process is in the one file, in that form, and nothing is left beside it."""
    run = run_instrumented_program(server, tmp_path, _PROGRAM, har_path=tmp_path / name)
    assert (0, "", "") == (run.returncode, run.stdout, run.stderr)
    assert beginning == run.har_path.read_bytes()[:2]
    bodies = [entry.request.post_data.body() for entry in load(run.har_path).log.entries if entry.request.post_data]
    assert [b"from the parent"] * 4 + [b"from the fork"] == sorted(filter(None, bodies), reverse=True)
    assert [name] == [entry.name for entry in tmp_path.iterdir() if "har" in entry.name]
    if name.endswith(".zip"):
        with zipfile.ZipFile(run.har_path) as archive:
            assert sum(archive.read(body) == b"from the parent" for body in archive.namelist()) == 1
