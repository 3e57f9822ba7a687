"""The recordings that the readers are given have what they are made for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from consumers.facts import Json
from consumers.recording import PROGRAM, WAYS, Recording

pytestmark = pytest.mark.consumers


def _told(recording: Recording, tell: Callable[[Json], object]) -> set[object]:
    """What the entries tell, without what is not there."""
    return {told for entry in recording.entries if (told := tell(entry)) is not None}


def test_every_case_is_a_page(compact: Recording) -> None:
    """Each case of the program that runs within a span has its page, the others share that of the run."""
    source = PROGRAM.read_text("utf-8")
    cases = re.findall(r"^@case\n(?:async )?def (\w+)", source, re.MULTILINE)
    assert cases
    assert [*sorted(cases), "app.py"] == sorted(
        (page["title"] for page in compact.pages), key=lambda title: (title == "app.py", title)
    )


@pytest.mark.parametrize(
    ("tell", "expected"),
    [
        (lambda entry: entry["response"]["status"], {0, 200, 201, 204, 302, 304, 307, 401, 404, 418, 500}),
        (
            lambda entry: entry["request"]["method"],
            {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "REPORT"},
        ),
        (lambda entry: entry["response"]["httpVersion"], {"HTTP/1.0", "HTTP/1.1"}),
        (lambda entry: entry["response"]["content"].get("encoding"), {"base64"}),
        (lambda entry: entry["request"].get("postData", {}).get("encoding"), {"base64"}),
        (lambda entry: entry["response"]["content"].get("_bodyState"), {"partial", "unread"}),
        (lambda entry: entry["request"]["url"].partition(":")[0], {"http", "https"}),
        (lambda entry: "_error" in entry["response"] or None, {True}),
        (lambda entry: len(entry["response"]["cookies"]) or None, {4}),
        (lambda entry: "_initiator" in entry or None, {True}),
        (lambda entry: len(entry.get("_eventSourceMessages", [])) or None, {2}),
        (lambda entry: "_chunks" in entry or None, {True}),
        (
            lambda entry: tuple(one["type"] for one in entry.get("_webSocketMessages", [])[:4]),
            {("send", "receive") * 2},
        ),
        (lambda entry: entry.get("_securityDetails", {}).get("protocol"), {"TLS 1.3"}),
        (lambda entry: (entry["timings"]["connect"] > 0, entry["timings"]["ssl"] > 0), {(True, True), (True, False)}),
    ],
)
def test_every_kind_is_there(compact: Recording, tell: Callable[[Json], object], expected: set[object]) -> None:
    """The recording has entries of every kind that readers have to understand."""
    assert expected <= _told(compact, tell)


def test_the_ways_of_recording_differ(recorded: Callable[[str], Recording]) -> None:
    """The indented file is indented, the one with forms has their fields, the limited one cut bodies and few pages."""
    lines = {way: len(recorded(way).path.read_text("utf-8").splitlines()) for way in WAYS}
    assert lines["indented"] > 10 * lines["compact"]
    fields = _told(recorded("forms"), lambda entry: len(entry["request"].get("postData", {}).get("params", [])) or None)
    assert {1, 2, 3} == fields
    limited = recorded("limited")
    assert "truncated" in _told(limited, lambda entry: entry["response"]["content"].get("_bodyState"))
    assert 3 == len(limited.pages)


def test_the_redacted_ones_have_no_secret(recorded: Callable[[str], Recording]) -> None:
    """What the program's case of secrets plants is in the recording as it is, and in no redacted one."""
    secret = b"Xq7vT2mB9kLw4zRd8pYs"
    assert {way: way not in {"redacted", "strict"} for way in WAYS} == {
        way: secret in recorded(way).path.read_bytes() for way in WAYS
    }
    assert {"default"} == _told(recorded("redacted"), lambda entry: entry.get("_redaction", {}).get("policy"))
    assert {"strict"} == _told(recorded("strict"), lambda entry: entry.get("_redaction", {}).get("policy"))
