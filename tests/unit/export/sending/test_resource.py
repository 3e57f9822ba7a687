"""A resource loses its secrets, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from otel_har.export.sending.resource import redacted_resource
from otel_har.redaction.policy import Mode, RedactionPolicy
from otel_har.redaction.redactor import Redactor

_HARMLESS: dict[str, Any] = {
    "service.name": "shop",
    "service.version": "2.0.1+5f3a",
    "service.instance.id": "627cc493-f310-47de-96bd-71410b7dec09",
    "host.name": "web-1",
    "host.id": "0123456789abcdef0123456789abcdef",
    "container.id": "0123456789abcdef" * 4,
    "process.pid": 55,
    "telemetry.sdk.name": "opentelemetry",
    "flags": [True, 1.5],
}
_SECRET = "hunter2"  # noqa: S105 - it is looked for


@pytest.mark.parametrize("mode", ["default", "strict"])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "process.command_args",
            ("app.py", "--password", _SECRET, "x y"),
            ["app.py", "--password", "[REDACTED]", "x y"],
        ),
        ("process.command_args", ("app.py", f"--token={_SECRET}"), ["app.py", "--token=[REDACTED]"]),
        ("process.command_line", f"app.py --password {_SECRET}", "app.py --password [REDACTED]"),
        ("api.key", _SECRET, "[REDACTED]"),
        ("db.url", f"postgres://me:{_SECRET}@db/x", "postgres://me:%5BREDACTED%5D@db/x"),
    ],
)
def test_secrets(mode: Mode, name: str, value: object, expected: object) -> None:
    """What is a secret in an entry is one in a resource, by the rules that entries are redacted by."""
    redactor = Redactor(RedactionPolicy(mode))
    assert {**_HARMLESS, name: expected} == redacted_resource({**_HARMLESS, name: value}, redactor)


def test_names_of_a_policy() -> None:
    """A policy's own names count."""
    redactor = Redactor(RedactionPolicy(fields=("tenant",), keep=("api.key",)))
    given = {"tenant": "x1", "api.key": "public", "process.command_args": ["--tenant", "x1"]}
    expected = {**given, "tenant": "[REDACTED]", "process.command_args": ["--tenant", "[REDACTED]"]}
    assert expected == redacted_resource(given, redactor)


def test_without_redaction() -> None:
    """Where nothing is redacted the resource is as it was."""
    given = {**_HARMLESS, "process.command_args": ("--password", _SECRET)}
    assert given == redacted_resource(given, Redactor(RedactionPolicy("none")))
