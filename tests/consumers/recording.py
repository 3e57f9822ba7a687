"""The recordings that every reader is given: one program, run once for each way of writing the file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import RecordingServer
from servers.programs import run_instrumented_program

Json = dict[str, Any]

PROGRAM = Path(__file__).with_name("program.py")

WAYS: dict[str, tuple[str, ...]] = {
    "compact": (),
    "indented": ("--har_indent", "2"),
    "forms": ("--har_params", "always"),
    "limited": ("--har_max_body_bytes", "8", "--har_max_pages", "3"),
    "redacted": ("--har_redact", "default", "--har_params", "always"),
    "strict": ("--har_redact", "strict", "--har_redact_keep", "by"),  # by which the URLs of the clients differ
}
"""The options of each recording, beside `--har`; nothing is redacted unless one of them says so."""


@dataclass(frozen=True)
class Recording:
    """A HAR file, and what is in it."""

    path: Path
    log: Json

    @property
    def entries(self) -> list[Json]:
        """The entries, in the order of the file."""
        return list(self.log["entries"])

    @property
    def pages(self) -> list[Json]:
        """The pages, in the order of the file."""
        return list(self.log["pages"])

    def entries_of(self, page: Json) -> list[Json]:
        """The entries of a page, in the order of the file."""
        return [entry for entry in self.entries if entry["pageref"] == page["id"]]

    def changed(self, path: Path, change: Callable[[Json], object]) -> Recording:
        """A copy, as another file, of which `change` has changed the log."""
        log = copy.deepcopy(self.log)
        change(log)
        path.write_text(json.dumps({"log": log}), "utf-8")
        return Recording(path, log)


def record(directory: Path, *options: str, name: str = "out.har") -> Recording:
    """Run the program to its end under the real command, its servers being shut down by then."""
    with RecordingServer() as server, RecordingServer(tls=True) as tls_server:
        authority = directory / "authority.pem"
        authority.write_bytes(tls_server.ca_pem)
        env = {"TEST_TLS_BASE": tls_server.url(""), "TEST_TLS_CA": str(authority)}
        source = PROGRAM.read_text("utf-8")
        run = run_instrumented_program(server, directory, source, *options, env=env, har_path=directory / name)
        assert [] == server.gates.expired
    assert (0, "", "") == (run.returncode, run.stdout, run.stderr)
    assert run.har is not None
    return Recording(run.har_path, run.har["log"])
