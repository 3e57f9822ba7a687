"""`Redactor`: a policy at work, and what is left of an entry whose redaction fails."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.har.models import Entry
from otel_har.redaction.policy import NO_REDACTION, ImportedRedactor, RedactionPolicy
from otel_har.redaction.redactor import Redactor, stricter, without_values

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "s3cr3t-Passw0rd-9f"  # noqa: S105 - what the tests look for
PAIRS = ("Authorization", f"Bearer {SECRET}"), ("X-Widget", "w-1"), ("Accept", "text/html")


def entry(**members: Any) -> dict[str, Any]:
    """An entry that has a secret in each of its usual places."""
    headers = [{"name": name, "value": value} for name, value in PAIRS]
    return {
        "startedDateTime": "2030-01-02T03:04:05.678Z",
        "time": 3,
        "request": {
            "method": "POST",
            "url": f"https://bob:{SECRET}@h.test:8443/a?b=1&api_key={SECRET}",
            "httpVersion": "HTTP/1.1",
            "headers": headers,
            "cookies": [{"name": "c", "value": SECRET}],
            "queryString": [{"name": "b", "value": "1"}, {"name": "api_key", "value": SECRET}],
            "postData": {"mimeType": "application/json", "text": f'{{"password": "{SECRET}", "n": 1}}'},
            "headersSize": 10,
            "bodySize": 11,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": headers,
            "cookies": [],
            "content": {"size": 12, "mimeType": "text/plain", "text": "harmless"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": 12,
        },
        "cache": {},
        "timings": {"send": 1, "wait": 1, "receive": 1},
        **members,
    }


def text_of(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value)


def mark_of(redacted: Mapping[str, Any]) -> str:
    """What stands for the secret of the Authorization field."""
    value: str = redacted["request"]["headers"][0]["value"]
    return value.removeprefix("Bearer ")


def test_default() -> None:
    """By default secrets go, names and everything else stay, and the entry tells which rules acted."""
    before = entry()
    redacted = Redactor().entry(before)
    told = redacted.pop("_redaction")
    assert SECRET not in text_of(redacted)
    assert text_of(entry()) == text_of(before)
    assert "https://bob:%5BREDACTED%5D@h.test:8443/a?b=1&api_key=%5BREDACTED%5D" == redacted["request"]["url"]
    assert '{"password": "[REDACTED]", "n": 1}' == redacted["request"]["postData"]["text"]
    assert ["Bearer [REDACTED]", "w-1", "text/html"] == [pair["value"] for pair in redacted["request"]["headers"]]
    assert ("harmless", 12) == (redacted["response"]["content"]["text"], redacted["response"]["content"]["size"])
    assert "default" == told["policy"]
    assert {"cookie", "query"} <= set(told["rules"])
    assert sorted(told["rules"]) == told["rules"]


def test_nothing_to_redact() -> None:
    """An entry without a secret stays what it is, and tells nothing."""
    plain = {"request": {"url": "http://h.test/a", "headers": [{"name": "Accept", "value": "*/*"}]}}
    assert (plain, frozenset()) == Redactor().entry_and_rules(plain)


def test_none() -> None:
    """Without redaction everything is as it was."""
    redactor = Redactor(NO_REDACTION)
    assert entry() == redactor.entry(entry())
    assert SECRET == redactor.text(SECRET)
    assert ({"password": SECRET}, frozenset()) == redactor.member_and_rules("_x", {"password": SECRET})


def test_strict() -> None:
    """Strict drops bodies, values of queries and of cookies, and of header fields all but the harmless ones."""
    redacted = Redactor(RedactionPolicy("strict")).entry(entry())
    request, response = redacted["request"], redacted["response"]
    assert SECRET not in text_of(redacted)
    assert "strict" == redacted["_redaction"]["policy"]
    assert ["Bearer [REDACTED]", "[REDACTED]", "text/html"] == [pair["value"] for pair in response["headers"]]
    assert ["[REDACTED]"] * 2 == [pair["value"] for pair in request["queryString"]]
    assert ("", "") == (request["postData"]["text"], response["content"]["text"])


@pytest.mark.parametrize(
    ("policy", "place", "expected"),
    [
        (RedactionPolicy(headers=("x-widget",)), "headers", ["Bearer [REDACTED]", "[REDACTED]", "text/html"]),
        (RedactionPolicy(headers=("X_WIDGET",)), "headers", ["Bearer [REDACTED]", "[REDACTED]", "text/html"]),
        (
            RedactionPolicy(header_patterns=(re.compile("widg.t", re.IGNORECASE),)),
            "headers",
            ["Bearer [REDACTED]", "[REDACTED]", "text/html"],
        ),
        (RedactionPolicy(queries=("B",)), "queryString", ["[REDACTED]", "[REDACTED]"]),
    ],
)
def test_further_names(policy: RedactionPolicy, place: str, expected: list[str]) -> None:
    """Further names, and OpenTelemetry's patterns of them, are secret as those that are known are."""
    redacted = Redactor(policy).entry(entry())
    assert expected == [pair["value"] for pair in redacted["request"][place]]


def test_further_fields() -> None:
    """A further field is secret in bodies of any kind, in any spelling."""
    redactor = Redactor(RedactionPolicy(fields=("pet_name",)))
    bodies = [
        ("application/json", '{"petName": "rex"}', '{"petName": "[REDACTED]"}'),
        ("application/x-www-form-urlencoded", "pet-name=rex&a=1", "pet-name=%5BREDACTED%5D&a=1"),
    ]
    for mime_type, body, expected in bodies:
        redacted = redactor.entry({"request": {"postData": {"mimeType": mime_type, "text": body}}})
        assert expected == redacted["request"]["postData"]["text"]


def test_keep() -> None:
    """A name that is kept keeps its value, as a header field, a parameter and a field."""
    value = "plain value"
    kept = {
        "request": {
            "headers": [{"name": "X-Api-Key", "value": value}],
            "queryString": [{"name": "api_key", "value": value}],
            "postData": {"mimeType": "application/json", "text": f'{{"apiKey": "{value}"}}'},
        }
    }
    assert value not in text_of(Redactor().entry(kept))
    assert kept == Redactor(RedactionPolicy(keep=("x-api-key", "api_key"))).entry(kept)


def test_fragments_where_strict() -> None:
    """In strict mode the fragment of a URL goes, of parameters in it the values; a redacted one is left as it is."""
    told = {
        "url.full": "http://h.test/a?b=c1#d1",
        "url.query": "b=c1",
        "url.fragment": "d1",
        "http.url": "/a#e=f1&g=h1",
    }
    given = entry() | {"request": {"method": "GET", "url": "http://h.test/a#secret1"}, "_otel": {"attributes": told}}
    redactor = Redactor(RedactionPolicy("strict"))
    redacted = redactor.entry(given)
    mark = "%5BREDACTED%5D"
    assert f"http://h.test/a#{mark}" == redacted["request"]["url"]
    assert {
        "url.full": f"http://h.test/a?b={mark}#{mark}",
        "url.query": f"b={mark}",
        "url.fragment": mark,
        "http.url": f"/a#e={mark}&g={mark}",
    } == redacted["_otel"]["attributes"]
    assert redacted == redactor.entry(redacted)
    assert told == Redactor().entry(given)["_otel"]["attributes"]


def test_keep_where_strict() -> None:
    """A header field that is kept is as harmless as those that are known to be."""
    redacted = Redactor(RedactionPolicy("strict", keep=("X-Widget",))).entry(entry())
    assert ["Bearer [REDACTED]", "w-1", "text/html"] == [one["value"] for one in redacted["request"]["headers"]]


def test_hashes() -> None:
    """Equal secrets of one recording have equal marks, others have others, and another recording's differ."""
    one, same, other = (Redactor(RedactionPolicy(hashes=True, salt=salt)) for salt in (b"1", b"1", b"2"))
    marks = [mark_of(redactor.entry(entry())) for redactor in (one, same, other)]
    assert marks[0] == marks[1] != marks[2]
    assert re.fullmatch(r"\[REDACTED:[0-9a-f]{12}\]", marks[0])
    redacted = one.entry(entry())
    assert marks[0] == redacted["request"]["cookies"][0]["value"]
    assert f'"password": "{marks[0]}"' in redacted["request"]["postData"]["text"]
    assert (
        marks[0]
        != one.entry({"request": {"cookies": [{"name": "c", "value": "else"}]}})["request"]["cookies"][0]["value"]
    )


def test_hashes_of_other_processes() -> None:
    """What a salt makes of a secret does not depend on the process, whatever seed its own hashes have."""
    code = (
        "from otel_har.redaction.redactor import Redactor\n"
        "from otel_har.redaction.policy import RedactionPolicy\n"
        f"print(Redactor(RedactionPolicy(hashes=True, salt=b'1')).text('password={SECRET}'))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    expected = Redactor(RedactionPolicy(hashes=True, salt=b"1")).text(f"password={SECRET}")
    assert [f"{expected}\n"] * 2 == said


@pytest.mark.parametrize(
    "policy", [RedactionPolicy(), RedactionPolicy(hashes=True), RedactionPolicy("strict", hashes=True)]
)
def test_redacted_again(policy: RedactionPolicy) -> None:
    """What is redacted stays what it is, by the same policy and by one with another salt."""
    once = Redactor(policy).entry(entry())
    assert (once, frozenset()) == Redactor(policy).entry_and_rules(once)
    assert (once, frozenset()) == Redactor(RedactionPolicy(policy.mode, hashes=True)).entry_and_rules(once)


def test_redacted_by_two_policies() -> None:
    """What a second policy takes out is told beside what the first did, under the stricter mode."""
    once = Redactor().entry(entry())
    twice, rules = Redactor(RedactionPolicy("strict")).entry_and_rules(once)
    assert "strict" == twice["_redaction"]["policy"]
    assert set(twice["_redaction"]["rules"]) == rules | set(once["_redaction"]["rules"])
    relaxed = Redactor(RedactionPolicy(queries=("b",))).entry(twice)
    assert "strict" == relaxed["_redaction"]["policy"]
    assert ["strict", "default", "default"] == [
        stricter(mode, other) for mode, other in (("none", "strict"), ("default", None), ("default", {}))
    ]


@pytest.mark.parametrize(
    "told",
    [
        SECRET,
        {"policy": SECRET, "rules": []},
        {"policy": "default", "rules": [f"password={SECRET}"]},
        {"policy": "default", "rules": [], "password": SECRET},
        [f"password={SECRET}"],
    ],
)
def test_a_member_of_another_that_is_called_so(told: Any) -> None:
    """A `_redaction` that is not ours is a member like others."""
    redacted = Redactor().entry(entry(_redaction=told))
    assert SECRET not in text_of(redacted)
    assert "default" == redacted["_redaction"]["policy"]


def test_text() -> None:
    """A text outside of entries loses its secrets too."""
    assert "login password=[REDACTED]" == Redactor().text(f"login password={SECRET}")
    assert "shopping" == Redactor().text("shopping")


class Unreadable(dict[str, Any]):
    """An object that fails when it is gone through."""

    def items(self) -> Any:
        """Fail."""
        raise RuntimeError("unreadable")


def test_redaction_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be redacted is written without bodies and with every value redacted, and that is told."""
    with caplog.at_level(logging.CRITICAL):
        redacted, rules = Redactor().entry_and_rules(entry(_x=Unreadable()))
        member = Redactor().member_and_rules("_x", Unreadable())
    assert ("[REDACTED]", ["failed"], ["failed"]) == (member[0], [*member[1]], [*rules])
    _is_without_values(redacted)
    Entry.model_validate(redacted)


def _is_without_values(redacted: Mapping[str, Any]) -> None:
    request, response = redacted["request"], redacted["response"]
    assert SECRET not in text_of(redacted)
    assert {"policy": "default", "rules": ["failed"]} == redacted["_redaction"]
    assert ("https://h.test:8443/%5BREDACTED%5D", []) == (request["url"], request["queryString"])
    assert [(name, "[REDACTED]") for name, _ in PAIRS] == [(one["name"], one["value"]) for one in request["headers"]]
    assert [{"name": "c", "value": "[REDACTED]"}] == request["cookies"]
    assert None is request.get("postData")
    assert (200, "", 12, 12) == (
        response["status"],
        response["statusText"],
        response["content"]["size"],
        response["bodySize"],
    )
    assert "text" not in response["content"]
    assert "it has no bodies and no values" in redacted["comment"]
    assert (3, 1) == (redacted["time"], redacted["timings"]["wait"])


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"request": "x", "response": [], "timings": 1},
        {"request": {"headers": 1, "cookies": {"a": 1}, "url": 5, "method": SECRET, "httpVersion": [SECRET]}},
        {"request": {"headers": [1, {}, {"name": None}], "url": "http://[::1"}, "time": True},
        {"request": {"url": f"http://[::1]:99/{SECRET}"}, "pageref": f"https://h.test/?{SECRET}"},
        {"request": {"url": "http://h.test:port/"}, "response": {"status": SECRET, "content": [SECRET]}},
        {"timings": {"wait": 1, "comment": SECRET}, "startedDateTime": SECRET * 9},
        {"timings": {SECRET: 1, "wait": 1}, "startedDateTime": SECRET, "pageref": SECRET},
        {"request": {"url": f"{SECRET.replace('_', '')}:abc"}, "startedDateTime": f"2030-01-02T03:04:05{SECRET}"},
        {"request": {"url": f"data:text/plain,{SECRET}"}, "pageref": f"page_1 {SECRET}"},
    ],
)
def test_what_is_left_of_odd_entries(odd: dict[str, Any]) -> None:
    """Whatever an entry is made of, what is left of it is an entry without values."""
    left = without_values(odd, "strict")
    assert SECRET.lower() not in text_of(left).lower()
    Entry.model_validate({"startedDateTime": "2030-01-02T03:04:05Z"} | left)
    assert {"policy": "strict", "rules": ["failed"]} == left["_redaction"]


@pytest.mark.parametrize("page", ["page_1", "page-12", "7", "run", "trace_0af7651916cd43dd8448eb211c80319c"])
@pytest.mark.parametrize(
    "date", ["2030-01-02T03:04:05.678Z", "2030-01-02T03:04:05+01:00", "2030-01-02T03:04:05.1234567-0500"]
)
def test_what_stays_of_an_entry(page: str, date: str) -> None:
    """A date and the id of a page are no values, nor is where it went."""
    left = without_values({"pageref": page, "startedDateTime": date, "request": {"url": "wss://h.test/a"}}, "default")
    assert (page, date, "wss://h.test/%5BREDACTED%5D") == (
        left["pageref"],
        left["startedDateTime"],
        left["request"]["url"],
    )


def _model() -> Entry:
    return Entry.model_validate(entry())


def _raise(_: Entry) -> Entry | None:
    raise LookupError(SECRET)


def _nonsense(_: Entry) -> Any:
    return {"request": {}}


def _invalid(seen: Entry) -> Entry:
    return seen.model_copy(update={"request": object()})


@pytest.mark.parametrize("redactor", [_raise, _nonsense, _invalid, ImportedRedactor("no.such.module:function")])
def test_redactor_that_fails(redactor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A program's redactor that raises, gives nonsense or is not there: the entry goes without bodies and values."""
    with caplog.at_level(logging.CRITICAL):
        seen = Redactor(RedactionPolicy(redactor=redactor)).last(_model())
    assert seen is not None
    _is_without_values(seen.model_dump(mode="json", by_alias=True))


def test_redactor() -> None:
    """What a program's redactor gives is written, nothing where it gives None."""
    policy = RedactionPolicy(redactor=lambda seen: seen.model_copy(update={"comment": "seen"}))
    seen = Redactor(policy).last(_model())
    assert seen is not None
    assert "seen" == seen.comment
    assert None is Redactor(RedactionPolicy(redactor=lambda _: None)).last(_model())
    assert _model() == Redactor().last(_model())


def test_imported_redactor() -> None:
    """A redactor by its place is imported with the first entry, a method of a class too."""
    assert _model() == ImportedRedactor(" copy:deepcopy ")(_model())
    loads = ImportedRedactor("otel_har.har.models:Entry.model_validate")
    assert _model() == loads(_model())
    for place in ("copy", ":deepcopy", "copy:", ""):
        with pytest.raises(ValueError, match=r"is not of the form package\.module:function"):
            ImportedRedactor(place)


@pytest.mark.parametrize("mode", ["default", "strict"])
def test_the_salt_is_never_written(mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may send its environment, where the salt of a run is; who has it can try out what a hash is of."""
    inherited, own = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", b"a salt of the program's own"
    monkeypatch.setenv("_OTEL_HAR_SALT", inherited)
    redactor = Redactor(RedactionPolicy(mode, hashes=True, salt=own))
    for text in (f"see {inherited}", f"see {own.decode()}", f"see {own.hex()}"):
        redacted = redactor.entry(entry(comment=text))
        assert re.fullmatch(r"see \[REDACTED:[0-9a-f]{12}\]", redacted["comment"])
        assert re.fullmatch(r"see \[REDACTED:[0-9a-f]{12}\]", redactor.text(text))


def test_the_name_of_the_salt_is_that_of_a_secret() -> None:
    """Also of another run's, and where marks have no hashes."""
    body = '{"_OTEL_HAR_SALT": "abc", "_OTEL_HAR_RUN": "abc"}'
    redacted = Redactor().entry({"request": {"postData": {"mimeType": "application/json", "text": body}}})
    assert '{"_OTEL_HAR_SALT": "[REDACTED]", "_OTEL_HAR_RUN": "abc"}' == redacted["request"]["postData"]["text"]
