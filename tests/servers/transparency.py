"""Runs a program plain and recorded, and compares all that it and the server could see.

Each run has a server of its own, so that gates and marks start anew; its port and the addresses of objects are taken
out of what is compared.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers.programs import CompletedRun, run_instrumented_program, run_plain_program
from servers.server import RecordingServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def _neutral(run: CompletedRun, server: RecordingServer) -> tuple[int, list[str], list[str]]:
    def neutral(text: str) -> list[str]:
        text = re.sub(rf"(\b|port=){server.port}\b", "PORT", text)
        text = re.sub(r"127\.0\.0\.1(:|', )\d+|port=\d+", "UNUSED", text)
        return re.sub(r"0x[0-9a-f]+", "0x", text).splitlines()

    return run.returncode, neutral(run.stdout), neutral(run.stderr)


def _seen(server: RecordingServer) -> list[tuple[object, ...]]:
    """What a server saw of each request, and of each WebSocket; how much came of a body that broke off is chance."""
    return [
        (
            seen.request.method,
            seen.request.target,
            re.sub(rb"[0-9a-f]{32}", b"BOUNDARY", seen.request.body) if seen.request.is_whole else None,
            seen.messages,
        )
        for seen in server.exchanges
    ]


def _differences(plain: tuple[int, list[str], list[str]], recorded: tuple[int, list[str], list[str]]) -> list[str]:
    """The lines, of the exit code, of stdout and of stderr, that are only in one of two runs."""
    before, after = ([f"exit code {code}", *out, "stderr:", *errors] for code, out, errors in (plain, recorded))
    return list(difflib.unified_diff(before, after, "plain", "recorded", lineterm="", n=0))


@dataclass(frozen=True, slots=True)
class BothRuns:
    """What a program did and said, plain and recorded; the recorded run with its server, which still runs."""

    run: CompletedRun
    server: RecordingServer
    plain: tuple[int, list[str], list[str]]
    plain_requests: list[tuple[object, ...]]

    def assert_no_difference(self) -> None:
        """Assert that neither the program nor its server could tell which is which."""
        assert 0 == self.plain[0], self.plain[2]
        assert self.plain[1]
        differences = _differences(self.plain, _neutral(self.run, self.server))
        assert not differences, "\n".join(differences)
        # In no order: the server notes a request that was broken off when it hears of that, be it after the next one.
        seen = Counter(map(repr, _seen(self.server)))
        before = Counter(map(repr, self.plain_requests))
        assert (Counter(), Counter()) == (before - seen, seen - before)
        assert [] == self.server.gates.expired


@contextmanager
def both_runs(
    directory: Path,
    source: str,
    *,
    python_options: Sequence[str] = (),
    args: Sequence[str] = (),
    tls: bool = False,
) -> Iterator[BothRuns]:
    """Run a program plain, then recorded, each with a server of its own."""
    with RecordingServer(tls=tls) as server:
        run = run_plain_program(server, directory, source, args=args, python_options=python_options)
        plain, plain_requests = _neutral(run, server), _seen(server)
    with RecordingServer(tls=tls) as server:
        run = run_instrumented_program(server, directory, source, args=args, python_options=python_options)
        yield BothRuns(run, server, plain, plain_requests)


def assert_no_difference(
    directory: Path, source: str, *, python_options: Sequence[str] = (), tls: bool = False
) -> None:
    """Run a program plain and recorded, and assert that neither it nor its server could tell which is which."""
    with both_runs(directory, source, python_options=python_options, tls=tls) as runs:
        runs.assert_no_difference()
