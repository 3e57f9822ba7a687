"""`RedactionPolicy` made in code: what cannot be what somebody meant is refused, and not taken for something weaker."""

from __future__ import annotations

import re
from typing import Any

import pytest

from otel_har.errors import SettingError
from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "Strict"}, "mode is one of 'default', 'none', 'strict', not 'Strict'"),
        ({"mode": None}, "mode is one of 'default', 'none', 'strict', not None"),
        ({"mode": ["strict"]}, "mode is one of 'default', 'none', 'strict', not ['strict']"),
        ({"headers": "X-Tenant"}, "headers are several names, not one text"),
        ({"queries": b"lot"}, "queries are several names, not one text"),
        ({"fields": 5}, "fields are names, not int"),
        ({"fields": None}, "fields are names, not NoneType"),
        ({"keep": ("a", 5)}, "keep: each name is a text, not int"),
        ({"header_patterns": "x"}, "header_patterns are several names, not one text"),
        ({"header_patterns": ("(",)}, "header_patterns: no regular expression"),
        ({"header_patterns": (re.compile(b"x"),)}, "header_patterns: each is a regular expression of text"),
        ({"header_patterns": (5,)}, "header_patterns: each is a regular expression of text, not int"),
        ({"salt": "abc"}, "salt is bytes, at least one, not str"),
        ({"salt": b""}, "salt is bytes, at least one"),
        ({"redactor": "package.module:function"}, "redactor is a function, not str"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    """It is told which argument it is, as a `SettingError`, which is a `ValueError`."""
    with pytest.raises(SettingError, match=re.escape(message)):
        RedactionPolicy(**arguments)
    assert issubclass(SettingError, ValueError)


def test_what_is_taken() -> None:
    """Any collection of names, and patterns as text, which are compiled as the environment's are."""
    several: Any = ["X-Pet"]
    patterns: Any = ("vet", re.compile("zoo"))
    policy = RedactionPolicy(headers=several, fields=(name for name in ("fur",)), header_patterns=patterns)  # type: ignore[arg-type] # any iterable is taken
    assert (("X-Pet",), ("fur",)) == (policy.headers, policy.fields)
    fields = ("X-Pet", "X-Vet", "x-zoo", "X-Zoo")
    entry = {"request": {"headers": [{"name": name, "value": "value"} for name in fields]}}
    redacted = Redactor(policy).entry(entry)
    assert ["[REDACTED]"] * 3 + ["value"] == [field["value"] for field in redacted["request"]["headers"]]
