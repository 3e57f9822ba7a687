"""Runs a program plain and recorded, and compares all that it and the server could see.

Each run has a server of its own, so that gates and marks start anew; its port and the addresses of objects are taken
out of what is compared.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from servers.programs import CompletedRun, run_instrumented_program, run_plain_program
from servers.server import RecordingServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def _neutral(run: CompletedRun, server: RecordingServer) -> tuple[int, list[str], list[str]]:
    def neutral(text: str) -> list[str]:
        text = re.sub(rf"(\b|port=){server.port}\b", "PORT", text)
        text = re.sub(r"127\.0\.0\.1(:|', )\d+|port=\d+", "UNUSED", text)
        return re.sub(r"0x[0-9a-f]+", "0x", text).splitlines()

    return run.returncode, neutral(run.stdout), neutral(run.stderr)


def _seen(server: RecordingServer) -> list[tuple[object, ...]]:
    """What a server saw of each request, and of each WebSocket."""
    return [(seen.request.method, seen.request.target, seen.request.body, seen.messages) for seen in server.exchanges]


def _differences(plain: tuple[int, list[str], list[str]], recorded: tuple[int, list[str], list[str]]) -> list[str]:
    """The lines, of the exit code, of stdout and of stderr, that are only in one of two runs."""
    before, after = ([f"exit code {code}", *out, "stderr:", *errors] for code, out, errors in (plain, recorded))
    return list(difflib.unified_diff(before, after, "plain", "recorded", lineterm="", n=0))


def assert_no_difference(
    directory: Path, source: str, *, python_options: Sequence[str] = (), tls: bool = False
) -> None:
    """Run a program plain and recorded, and assert that neither it nor its server could tell which is which."""
    with RecordingServer(tls=tls) as server:
        plain = _neutral(run_plain_program(server, directory, source, python_options=python_options), server)
        plain_requests = _seen(server)
    assert 0 == plain[0], plain[2]
    assert plain[1]
    with RecordingServer(tls=tls) as server:
        recorded = run_instrumented_program(server, directory, source, python_options=python_options)
        differences = _differences(plain, _neutral(recorded, server))
        assert not differences, "\n".join(differences)
        assert plain_requests == _seen(server)
        assert [] == server.gates.expired
