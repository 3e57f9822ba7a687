"""The models: tolerant in what they read, strict in what they write."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from otel_har.errors import HarFormatError, OtelHarError
from otel_har.har.models import (
    Browser,
    CacheState,
    Content,
    Cookie,
    Creator,
    Entry,
    Har,
    HarModel,
    Header,
    Log,
    Page,
    PostData,
    Request,
    Response,
    Timings,
)

DATA = Path(__file__).parents[2] / "data" / "har"
STARTED = "2030-01-02T03:04:05.678Z"


def entry(**members: Any) -> Entry:
    """Return a small entry with some members set by their Python names."""
    return Entry.model_validate({"started_date_time": STARTED, "request": Request(method="GET"), **members})


def test_valid_document_is_written_as_it_was_read() -> None:
    """A document that has everything comes out with the same values, the types of numbers included."""
    document = json.loads((DATA / "valid.har").read_bytes())
    written = json.loads(Har.model_validate(document).to_json())
    assert repr(sorted_members(document)) == repr(sorted_members(written))


def sorted_members(value: Any) -> Any:
    """Return a JSON value with the members of objects in alphabetical order."""
    if isinstance(value, dict):
        return {name: sorted_members(value[name]) for name in sorted(value)}
    return [sorted_members(one) for one in value] if isinstance(value, list) else value


def test_names_of_python_and_of_har() -> None:
    """Members can be given by both names and are written by HAR's."""
    expected = Response.model_validate({"statusText": "OK", "redirectURL": "https://a.test/", "_transferSize": 5})
    actual = Response(status_text="OK", redirect_url="https://a.test/", transfer_size=5)
    assert expected == actual
    assert {"statusText", "redirectURL", "_transferSize"} < json.loads(actual.to_json()).keys()


def test_defaults_are_written() -> None:
    """What HAR 1.2 requires is there in the file although nobody gave it."""
    expected = {
        "startedDateTime": STARTED,
        "time": 0,
        "request": {
            "method": "GET",
            "url": "",
            "httpVersion": "",
            "cookies": [],
            "headers": [],
            "queryString": [],
            "headersSize": -1,
            "bodySize": -1,
        },
        "response": {
            "status": 0,
            "statusText": "",
            "httpVersion": "",
            "cookies": [],
            "headers": [],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": 0},
    }
    assert expected == json.loads(entry().to_json())


def test_defaults_of_the_log() -> None:
    """A log is of version 1.2 and has all its lists; a browser is not made up."""
    expected = {"log": {"version": "1.2", "creator": {"name": "", "version": ""}, "pages": [], "entries": []}}
    assert expected == json.loads(Har(log=Log()).to_json())


def test_null_counts_as_missing() -> None:
    """A null gets the default, in custom fields too, and is not written."""
    read = Response.model_validate({"redirectURL": None, "headers": None, "content": None, "_error": None, "_x": None})
    assert Response() == read
    assert b"null" not in read.to_json()


def test_null_inside_a_foreign_value_stays() -> None:
    """Only members are missing when null; the inside of foreign values is not ours."""
    expected = {"parent": None, "frames": [None]}
    assert expected == json.loads(entry(initiator=expected).to_json())["_initiator"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(5, 5), (5.0, 5.0), (5.25, 5.25), ("5", 5), ("5.25", 5.25), (1 << 80, 1 << 80)],
)
def test_numbers(given: Any, expected: float) -> None:
    """Integers stay integers, floats floats; strings of numbers are taken."""
    actual = Timings.model_validate({"wait": given}).wait
    assert (expected, type(expected)) == (actual, type(actual))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "NaN", "soon", [], {}])
def test_no_numbers(value: Any) -> None:
    """What is no finite number is refused."""
    with pytest.raises(ValidationError):
        Timings.model_validate({"wait": value})


def test_strings_may_be_numbers() -> None:
    """Producers write ports and header values as numbers."""
    expected = ("443", Header(name="Age", value="5"))
    read = entry(connection=443, response={"headers": [{"name": "Age", "value": 5}]})
    assert expected == (read.connection, read.response.headers[0])


@pytest.mark.parametrize("member", ["startedDateTime", "request"])
def test_what_has_no_neutral_value_is_required(member: str) -> None:
    """An entry without its start or its request is refused."""
    members = {"startedDateTime": STARTED, "request": {}}
    del members[member]
    with pytest.raises(ValidationError, match=member):
        Entry.model_validate(members)


def test_models_are_immutable() -> None:
    """Members cannot be assigned, sequences are tuples."""
    request = Request.model_validate({"headers": [{"name": "a", "value": "b"}]})
    with pytest.raises(ValidationError, match="frozen"):
        request.url = "https://a.test/"  # type: ignore[misc] # it is what the test is about
    assert (Header(name="a", value="b"),) == request.headers


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (Entry, {"_connectionId": 12, "_initiator": "other", "_serverPort": "443", "_resourceType": ["xhr"]}),
        (Entry, {"_connectionId": "12", "_otel": True, "_webSocketMessages": [{"opcode": 1, "time": 0.5}]}),
        (Response, {"_error": {"code": 7}, "_transferSize": "31", "settingKept": True}),
        (Content, {"_bodyState": 5}),
        (Timings, {"_blocked_queueing": 3.293000045232475}),
        (Log, {"_a b": "c", "": "empty", "server_port": 1}),
    ],
)
def test_foreign_shapes_stay(model: type[HarModel], members: dict[str, Any]) -> None:
    """Custom and unknown fields keep whatever value they have, also those that we give another shape."""
    required = {"startedDateTime": STARTED, "request": {}} if model is Entry else {}
    written = json.loads(model.model_validate({**required, **members}).to_json())
    assert members == {name: written[name] for name in members}


def test_extensions() -> None:
    """All custom fields that are set are found by their HAR names, other foreign members are not."""
    read = entry(server_port=443, _priority="High", settingKept=True, _chunks=[])
    assert {"_serverPort": 443, "_priority": "High", "_chunks": []} == dict(read.extensions)
    with pytest.raises(TypeError):
        read.extensions["_new"] = 1  # type: ignore[index] # it is what the test is about


def test_started_at() -> None:
    """The start is a datetime with the offset of the file, whose text stays as it was."""
    text = "2030-05-06T07:08:09.1234567+02:00"
    expected = datetime(2030, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=2)))
    read = entry(started_date_time=text)
    assert (expected, text) == (read.started_at, read.started_date_time)
    assert expected == Page(started_date_time=text).started_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-05-06T07:08:09Z", "2030-05-06T07:08:09+00:00"),
        ("2030-05-06t07:08:09z", "2030-05-06T07:08:09+00:00"),
        ("2030-05-06 07:08Z", "2030-05-06T07:08:00+00:00"),
        ("2030-05-06T07:08:09.1-0730", "2030-05-06T07:08:09.100000-07:30"),
        ("2030-05-06T07:08:09,25-07", "2030-05-06T07:08:09.250000-07:00"),
        ("2030-05-06T07:08:09", "2030-05-06T07:08:09+00:00"),
    ],
)
def test_started_at_is_tolerant(text: str, expected: str) -> None:
    """The forms of ISO 8601 that real files have are understood; without offset it is UTC."""
    assert expected == entry(started_date_time=text).started_at.isoformat()


@pytest.mark.parametrize(
    "text", ["", "today", "2030-05-06", "2030-13-06T07:08:09Z", "2030-05-06T07:08:09+99:00", "٢٠٣٠-05-06T07:08:09Z"]
)
def test_started_at_of_no_date(text: str) -> None:
    """What is no date is one of our errors, with the text."""
    with pytest.raises(HarFormatError, match="not a") as caught:
        _ = entry(started_date_time=text).started_at
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, OtelHarError)
    assert json.dumps(text) in str(caught.value)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"text": ""}, b""),
        ({"text": "été"}, b"\xc3\xa9t\xc3\xa9"),
        ({"text": "AP/+", "encoding": "base64"}, b"\x00\xff\xfe"),
        ({"text": "AP\r\n/+", "encoding": "BASE64"}, b"\x00\xff\xfe"),
        ({"text": "a", "encoding": ""}, b"a"),
        ({"text": "\ud83d!"}, b"\xef\xbf\xbd!"),
    ],
)
@pytest.mark.parametrize("model", [Content, PostData])
def test_body(model: type[Content | PostData], members: dict[str, str], expected: bytes | None) -> None:
    """The bytes of a body are those of its text in UTF-8, or what its base64 stands for."""
    assert expected == model.model_validate(members).body()


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [("AP/", "base64", "not base64"), ("é", "base64", "not base64"), ("a", "gzip", 'unknown body encoding: "gzip"')],
)
def test_body_that_does_not_decode(text: str, encoding: str, message: str) -> None:
    """A body that is not what it claims to be is an error, not other bytes."""
    with pytest.raises(HarFormatError, match=message):
        Content(text=text, encoding=encoding).body()


@pytest.mark.parametrize(
    ("text", "expected"), [("a\ud83d", "a\ufffd"), ("\udc00", "\ufffd"), ("\ud83d\ude00", "😀"), ("é😀", "é😀")]
)
def test_lone_surrogates(text: str, expected: str) -> None:
    """UTF-8 cannot write lone surrogates: U+FFFD is written instead, in names and foreign values too."""
    written = json.loads(entry(comment=text, otel={text: [text]}, **{f"_{text}": text}).to_json())
    assert (expected, {expected: [expected]}, expected) == (
        written["comment"],
        written["_otel"],
        written[f"_{expected}"],
    )


def test_lone_surrogates_are_written_indented() -> None:
    """The way around a lone surrogate writes the same form as the usual one."""
    usual, odd = Creator(name="?", version="1"), Creator(name="\ud800", version="1")
    for indent in (None, 2):
        assert usual.to_json(indent).replace(b"?", b"\xef\xbf\xbd") == odd.to_json(indent)


def test_deep_foreign_values() -> None:
    """A foreign value may be nested deeper than pydantic-core goes down."""
    value: Any = 1
    for _ in range(390):
        value = {"parent": [value]} if isinstance(value, int) else [value]
    assert value == json.loads(entry(initiator=value).to_json())["_initiator"]


def test_non_finite_numbers_in_foreign_values() -> None:
    """NaN and Infinity, which JSON does not have, are written as strings, however the entry is written."""
    numbers = [float("nan"), float("inf"), float("-inf"), 0.5]
    expected = ["NaN", "Infinity", "-Infinity", 0.5]
    for comment in ("usual", "\ud800"):
        assert expected == json.loads(entry(otel=numbers, comment=comment).to_json())["_otel"]


def test_what_json_cannot_write() -> None:
    """A foreign value that has no form in JSON is an error of the caller."""
    with pytest.raises(ValueError, match="serialize"):
        entry(otel=object()).to_json()


def test_to_json_is_compact_or_indented() -> None:
    """One line without spaces, or lines indented as asked; UTF-8 as it is."""
    creator = Creator(name="é", version="1")
    assert '{"name":"é","version":"1"}'.encode() == creator.to_json()
    assert '{\n "name": "é",\n "version": "1"\n}'.encode() == creator.to_json(indent=1)


def test_pydantic_ways_of_dumping_agree() -> None:
    """Pydantic's own methods leave None out and use HAR's names, too."""
    state = CacheState(e_tag="1")
    assert {"eTag": "1"} == state.model_dump()
    assert '{"eTag":"1"}' == state.model_dump_json()
    assert state.model_dump(exclude_none=False)["expires"] is None


def test_cookie_and_browser_in_full() -> None:
    """The optional members of a cookie and the comment of a browser are written."""
    cookie = Cookie(name="a", value="b", http_only=False, same_site="Lax")
    expected = {"name": "a", "value": "b", "httpOnly": False, "sameSite": "Lax"}
    assert expected == json.loads(cookie.to_json())
    assert b'"comment":"headless"' in Browser(comment="headless").to_json()
