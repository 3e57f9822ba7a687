"""Redaction of whole runs: the settings of `opentelemetry-instrument`, and what their processes have in common."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers import InstrumentedRunner

DEFAULT = ("--har_redact", "default")
SECRET = "s3cr3t-Passw0rd-9f"  # noqa: S105 - what the tests look for
_FAMILY = f"""
    import os, subprocess, sys
    import requests
    from harness import BASE
    salt = os.environ["_OTEL_HAR_SALT"]
    requests.post(BASE + "/json?s=" + salt, headers={{"X-Api-Key": "{SECRET}"}}, json=dict(os.environ), timeout=10)
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, __file__, "child"], check=True)
        if os.fork() == 0:
            requests.get(BASE + "/json", headers={{"X-Api-Key": "{SECRET}"}}, timeout=10)
            sys.exit()
        os.wait()
        print(salt)
"""


def _marks(entries: list[dict[str, Any]]) -> list[str]:
    fields = [field for entry in entries for field in entry["request"]["headers"] if field["name"] == "X-Api-Key"]
    return re.findall(r"\[REDACTED:[0-9a-f]{12}\]", json.dumps(fields))


def test_hashes_of_a_run(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """Equal secrets have equal marks in all processes of a run and others in another; the salt is nowhere."""
    marks = []
    for name in ("one.har", "other.har"):
        run = run_instrumented(_FAMILY, *DEFAULT, "--har_redact_hashes", "true", har_path=tmp_path / name)
        salt = run.stdout.strip()
        assert (0, "", 3, 64) == (run.returncode, run.stderr, len(run.entries), len(salt))
        written = run.har_path.read_text()
        assert [] == [text for text in (SECRET, salt) if text in written]
        found = _marks(run.entries)
        assert (3, 1) == (len(found), len(set(found)))
        marks.append(found[0])
    assert marks[0] != marks[1]


def test_hashes_of_a_recording_within_another(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """A command that the program starts and that records to a file of its own has another salt."""
    source = f"""
        import os, subprocess, sys
        import requests
        from harness import BASE
        requests.get(BASE + "/json", headers={{"X-Api-Key": "{SECRET}"}}, timeout=10)
        if len(sys.argv) == 1:
            command = [os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument"), "--har", "inner.har"]
            subprocess.run([*command, sys.executable, __file__, "child"], check=True)
    """
    run = run_instrumented(source, *DEFAULT, "--har_redact_hashes", "true", har_path=tmp_path / "outer.har")
    assert (0, "") == (run.returncode, run.stderr)
    [inner] = tmp_path.rglob("inner.har")
    marks = _marks(run.entries) + _marks(json.loads(inner.read_text())["log"]["entries"])
    assert (2, 2) == (len(marks), len(set(marks)))


def test_a_redactor_of_the_program(run_instrumented: InstrumentedRunner) -> None:
    """A function of a module beside the program sees what is redacted already; one that raises lets nothing out."""
    source = f"""
        import sys, types
        import requests
        from harness import BASE
        module = types.ModuleType("ours")
        def last(entry):
            if entry.request.url.endswith("/numbers"):
                raise LookupError(entry.request.url)
            if "again" in entry.request.url:
                return None
            return entry.model_copy(update={{"comment": entry.request.headers[-2].value}})
        module.last = last
        sys.modules["ours"] = module
        for path in ("/json", "/json?again", "/numbers"):
            requests.get(BASE + path, headers={{"X-Api-Key": "{SECRET}"}}, timeout=10)
    """
    run = run_instrumented(source, *DEFAULT, "--har_redactor", "ours:last")
    assert 0 == run.returncode
    assert 1 == run.stderr.count("the program's redactor failed (LookupError)")
    seen, failed = run.entries
    assert "[REDACTED]" == seen["comment"]
    assert {"policy": "default", "rules": ["failed"]} == failed["_redaction"]
    assert {"[REDACTED]"} == {field["value"] for field in failed["request"]["headers"]}
    assert "text" not in failed["response"]["content"]
    assert SECRET not in run.har_path.read_text()


def test_settings(run_instrumented: InstrumentedRunner) -> None:
    """Options and OpenTelemetry's own variable reach the file; a policy that is unknown is the strict one."""
    source = """
        import requests
        from harness import BASE
        requests.post(BASE + "/json?lot=lot-value", json={"fur": "fur-value"}, timeout=10,
            headers={"X-Pet": "pet-value", "X-Vet-Id": "vet-value", "X-Api-Key": "key-value", "X-Odd": "odd-value"})
    """
    sanitized = {"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "x-odd,.*vet.*"}

    def left(*options: str) -> set[str]:
        run = run_instrumented(source, *options, env=sanitized)
        assert 0 == run.returncode
        return set(re.findall(r"(\w+)-value", json.dumps(run.entries)))

    assert {"pet", "lot", "fur"} == left(*DEFAULT)
    assert {"key"} == left(
        *DEFAULT,
        *("--har_redact_headers", "X-Pet", "--har_redact_queries", "lot"),
        *("--har_redact_fields", "fur", "--har_redact_keep", "X-Api-Key"),
    )
    assert {"pet", "vet", "lot", "fur", "key", "odd"} == left("--har_redact", "none")
    assert left("--har_redact", "sometimes") <= {"lot"}
