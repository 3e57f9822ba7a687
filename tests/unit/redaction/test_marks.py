"""What was redacted stays what it is: a mark is no secret, and is never taken apart."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import pytest

from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

SALT = b"0123456789abcdef"
HASHES = RedactionPolicy(hashes=True, salt=SALT)
TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"  # noqa: S105 - of nobody
MARKS = ["[REDACTED]", "[REDACTED:0123456789ab]"]


def _written(mark: str) -> list[str]:
    percent = quote(mark, safe="")
    return [mark, percent, percent.lower().replace("redacted", "REDACTED"), quote(percent, safe="")]


@pytest.mark.parametrize("mark", [written for mark in MARKS for written in _written(mark)])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "token={}",
        "https://h.test/?next=https%3A%2F%2F{}%3Ax-oauth-basic%40h",
        "https://{}:x@h.test/",
        "Authorization: OAuth {}",
        "password: {}, a: 1",
        "n=%22password%22%3A+%22{}%22",
        '{{"a": "password={}&b=1"}}',
    ],
)
@pytest.mark.parametrize("place", ["comment", "_error", "url"])
def test_marks_stay(mark: str, text: str, place: str) -> None:
    """In whatever writing, in whatever text, under both kinds of marks."""
    entry: dict[str, Any] = {"request": {}, "comment": "", "_error": ""}
    (entry["request"] if place == "url" else entry)[place] = text.format(mark)
    for policy in (RedactionPolicy(), HASHES):
        redacted = Redactor(policy).entry(entry)
        changed = redacted["request"]["url"] if place == "url" else redacted[place]
        assert mark in changed


@pytest.mark.parametrize(
    "text",
    [
        f"see https://h.test/?next=https%3A%2F%2F{TOKEN}%3Ax-oauth-basic%40h",
        f"https://h.test/?q={quote_plus(json.dumps({'token': 'S3cret value', 'b': 1}))}",
        f"password%3D{quote('p@ss w0rd')}%26x%3D1",
    ],
)
def test_the_second_time_nothing_changes(text: str) -> None:
    """With hashes, too, whose marks have a colon."""
    entry = {"request": {"url": text, "headers": [{"name": "Location", "value": text}]}, "comment": text}
    for policy in (RedactionPolicy(), HASHES):
        once = Redactor(policy).entry(entry)
        assert (once, frozenset()) == Redactor(policy).entry_and_rules(once)


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("place", ["Location", "Referer", "X-Any"])
def test_json_in_a_url(place: str, *, plus: bool) -> None:
    """Blanks may be plus signs there: what is JSON stays JSON."""
    document = {"token": "S3cret value", "a": [1, {"password": 67976138, "b": "x y"}]}
    encode = quote_plus if plus else quote
    entry = {
        "request": {"headers": [{"name": place, "value": f"https://h.test/?q={encode(json.dumps(document))}&c=1"}]},
        "comment": f"see https://h.test/?q={encode(json.dumps(document))}&c=1 there",
    }
    redacted = Redactor().entry(entry)
    expected = {"token": "[REDACTED]", "a": [1, {"password": "[REDACTED]", "b": "x y"}]}
    for written in (redacted["request"]["headers"][0]["value"], redacted["comment"]):
        query = written.partition("?q=")[2].partition("&")[0]
        assert expected == json.loads(unquote_plus(query))
