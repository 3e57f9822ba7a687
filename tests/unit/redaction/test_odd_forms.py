"""Entries of producers that write HAR's lists in forms of their own: their secrets go, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

SECRET = "Zq9xKw7Lm3Tp"  # noqa: S105 - what must go
MARK = "[REDACTED]"
STRICT = RedactionPolicy("strict")


def _redacted(value: Any, policy: RedactionPolicy | None = None) -> Any:
    redacted = Redactor(policy or RedactionPolicy()).entry({"request": value})
    return redacted["request"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"headers": [f"Authorization: Bearer {SECRET}"]}, {"headers": [f"Authorization: Bearer {MARK}"]}),
        ({"headers": [f"X-Api-Key:{SECRET}", "Accept: a"]}, {"headers": [f"X-Api-Key:{MARK}", "Accept: a"]}),
        ({"headers": [["X-Api-Key", SECRET]]}, {"headers": [["X-Api-Key", MARK]]}),
        ({"headers": {"X-Api-Key": SECRET}}, {"headers": {"X-Api-Key": MARK}}),
        ({"headers": {"authorization": [f"Bearer {SECRET}"]}}, {"headers": {"authorization": [f"Bearer {MARK}"]}}),
        ({"headers": [{"Name": "X-Api-Key", "Value": SECRET}]}, {"headers": [{"Name": "X-Api-Key", "Value": MARK}]}),
        ({"headers": [{"name": "X-Api-Key", "value": 81726354}]}, {"headers": [{"name": "X-Api-Key", "value": MARK}]}),
        ({"headers": [{"name": "Age", "value": 81726354}]}, {"headers": [{"name": "Age", "value": 81726354}]}),
        (
            {"headers": [{"name": "X-Api-Key", "value": [SECRET]}]},
            {"headers": [{"name": "X-Api-Key", "value": [MARK]}]},
        ),
        ({"cookies": [{"name": "sid", "value": 81726354}]}, {"cookies": [{"name": "sid", "value": MARK}]}),
        ({"cookies": [f"sid={SECRET}"]}, {"cookies": [f"sid={MARK}"]}),
        ({"cookies": {"sid": SECRET}}, {"cookies": {"sid": MARK}}),
        (
            {"cookies": [{"NAME": "sid", "VALUE": SECRET, "path": "/"}]},
            {"cookies": [{"NAME": "sid", "VALUE": MARK, "path": "/"}]},
        ),
        (
            {"queryString": [{"name": "api_key", "value": 81726354}]},
            {"queryString": [{"name": "api_key", "value": MARK}]},
        ),
        ({"queryString": [f"api_key={SECRET}"]}, {"queryString": [f"api_key={MARK}"]}),
        ({"queryString": {"api_key": SECRET, "a": 1}}, {"queryString": {"api_key": MARK, "a": 1}}),
        ({"params": [f"password={SECRET}", 5, None]}, {"params": [f"password={MARK}", 5, None]}),
        (
            {"_webSocketMessages": ['{"password": "' + SECRET + '"}']},
            {"_webSocketMessages": ['{"password": "' + MARK + '"}']},
        ),
        (
            {"_webSocketMessages": [{"type": "send", "data": {"password": SECRET, "n": [1]}}]},
            {"_webSocketMessages": [{"type": "send", "data": {"password": MARK, "n": [1]}}]},
        ),
        ({"_webSocketMessages": [{"data": 5}, {"data": None}]}, {"_webSocketMessages": [{"data": 5}, {"data": None}]}),
        ({"_eventSourceMessages": [[f"password={SECRET}"]]}, {"_eventSourceMessages": [[f"password={MARK}"]]}),
    ],
)
def test_forms_of_others(given: Any, expected: Any) -> None:
    """The values go, names and everything else stay, in their order."""
    assert (expected, json.dumps(expected)) == (_redacted(given), json.dumps(_redacted(given)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"headers": [f"X-Any: {SECRET}", "Accept: a"]}, {"headers": [f"X-Any: {MARK}", "Accept: a"]}),
        ({"headers": [SECRET]}, {"headers": [MARK]}),
        ({"headers": [["X-Any", SECRET]]}, {"headers": [["X-Any", MARK]]}),
        ({"headers": {"X-Any": SECRET, "Accept": "a"}}, {"headers": {"X-Any": MARK, "Accept": "a"}}),
        ({"headers": [{"Name": "X-Any", "Value": 5}]}, {"headers": [{"Name": "X-Any", "Value": MARK}]}),
        ({"queryString": [f"any={SECRET}"]}, {"queryString": [f"any={MARK}"]}),
        ({"queryString": {"any": [SECRET]}}, {"queryString": {"any": [MARK]}}),
        ({"_webSocketMessages": [f"any {SECRET}"]}, {"_webSocketMessages": [""]}),
        ({"_webSocketMessages": [{"data": {"any": SECRET}}]}, {"_webSocketMessages": [{"data": ""}]}),
        ({"postData": {"mimeType": "a/b", "text": {"any": SECRET}}}, {"postData": {"mimeType": "a/b", "text": ""}}),
    ],
)
def test_strict(given: Any, expected: Any) -> None:
    """Strict lets no value of another form pass either."""
    assert expected == _redacted(given, STRICT)
