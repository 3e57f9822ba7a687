"""har-to-k6 makes a load test of a recording that sends what the program sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from consumers.facts import Json, by_start, pairs
from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader, ReaderFailed

pytestmark = pytest.mark.consumers

Understood = list[tuple[Json, Json]]
"""Each entry, and the request that the load test sends for it."""


@pytest.fixture(scope="module")
def load_test(node_reader: Reader) -> Read:
    """What the load test of a recording sends: a list of requests."""
    return node_reader("har_to_k6.mjs")


@pytest.fixture(scope="module")
def understood(load_test: Read, recording: Recording) -> Understood:
    """The entries and the requests that the load test sends for them: page after page, each by start."""
    return _joined(recording, load_test(recording))


def _joined(recording: Recording, sent: list[Json]) -> Understood:
    entries = by_start(recording.entries)
    pages = list(dict.fromkeys(entry["pageref"] for entry in entries))
    return list(zip(sorted(entries, key=lambda entry: pages.index(entry["pageref"])), sent, strict=True))


def test_every_request_is_sent(recording: Recording, understood: Understood) -> None:
    """Method, URL and body are those of the entry, in a group that is named after the page."""
    titles = {page["id"]: page["title"] for page in recording.pages}
    for entry, actual in understood:
        request = entry["request"]
        expected = {
            "group": f"{entry['pageref']} - {titles[entry['pageref']]}",
            "method": request["method"],
        }
        assert expected == {name: actual[name] for name in expected}
        _assert_same_url(request, actual["url"])
        _assert_same_body(request, actual)


def _assert_same_url(request: Json, actual: str) -> None:
    """The URL is sent as it is, but for a fault of har-to-k6: further values of a parameter are sent twice."""
    query = pairs(request["queryString"])
    names = [name for name, _ in query]
    further = [pair for index, pair in enumerate(query) if pair[0] in names[:index] and pair not in query[:index]]
    if further:
        expected, sent = urlsplit(request["url"]), urlsplit(actual)
        assert expected[:3] == sent[:3]
        assert query + further == [list(pair) for pair in parse_qsl(sent.query, keep_blank_values=True)]
    else:
        assert request["url"] == actual


def _assert_same_body(request: Json, actual: Json) -> None:
    """The body is sent; where a form is told by its fields, the form of these names is."""
    post_data, sent = request.get("postData"), actual["body"]
    if post_data is None or request["method"] == "GET":  # a GET of k6 has no body
        assert sent is None
    elif "params" not in post_data:
        assert post_data["text"] == sent
    else:
        assert {param["name"] for param in post_data["params"]} == _names(sent)


def _names(form: Any) -> set[str]:
    """The names of a form's fields: in k6 a form is an object, or parts, or a text where a name occurs repeatedly."""
    if isinstance(form, str):
        return {name for name, _ in parse_qsl(form, keep_blank_values=True)}
    return {name for name, _ in form["parts"]} if "boundary" in form else set(form)


def test_every_header_field_is_sent(understood: Understood) -> None:
    """A field of every name is sent, the last one where there are several; k6 counts the length of a body itself."""
    for entry, actual in understood:
        request = entry["request"]
        expected = {name.lower(): value for name, value in pairs(request["headers"])}
        expected.pop("content-length", None)
        if "postData" in request:
            expected.setdefault("content-type", request["postData"]["mimeType"])
        assert expected == {name.lower(): value for name, value in actual["headers"].items()}


def _tell_fields(log: Json) -> None:
    """Add the fields of two forms, as other versions of a recording have them."""
    bodies = [entry["request"]["postData"] for entry in log["entries"] if "postData" in entry["request"]]
    form = next(one for one in bodies if one["mimeType"] == "application/x-www-form-urlencoded")
    form["params"] = [{"name": "a", "value": "1"}, {"name": "b", "value": "ü &="}]
    parts = next(one for one in bodies if one["mimeType"].startswith("multipart/form-data"))
    parts["params"] = [
        {"name": "field", "value": "välue"},
        {"name": "file", "fileName": "a.txt", "contentType": "text/plain", "value": "of a file"},
    ]


def test_every_field_is_sent(load_test: Read, changed: Changed) -> None:
    """Where an entry tells the fields of a form, these are sent."""
    recording = changed(_tell_fields)
    test_every_request_is_sent(recording, _joined(recording, load_test(recording)))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda log: log["entries"][0]["request"]["headers"][0].update(value=1), "Header value"),
        (lambda log: log["entries"][0]["request"].pop("method"), "method"),
    ],
)
def test_a_file_that_is_refused_is_noticed(load_test: Read, changed: Changed, change: Change, complaint: str) -> None:
    """One bad entry makes har-to-k6 refuse the file, and so these tests fail."""
    with pytest.raises(ReaderFailed, match=complaint):
        load_test(changed(change))


def _first_post(log: Json) -> Json:
    """The request of the first entry that has a body."""
    return next(entry["request"] for entry in log["entries"] if "postData" in entry["request"])


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda log: log["entries"][0]["request"].update(url="http://a.test/"), test_every_request_is_sent),
        (lambda log: log["entries"][0].update(pageref=log["pages"][1]["id"]), test_every_request_is_sent),
        (lambda log: _first_post(log)["postData"].update(text="another"), test_every_request_is_sent),
    ],
)
def test_a_difference_is_noticed(
    load_test: Read, compact: Recording, changed: Changed, change: Change, test: Callable[[Recording, Understood], None]
) -> None:
    """A request that is not the entry's fails the test which looks at it."""
    other = changed(change)
    with pytest.raises(AssertionError):
        test(other, _joined(other, load_test(compact)))


def test_a_lost_header_field_is_noticed(load_test: Read, compact: Recording, changed: Changed) -> None:
    """A request that lacks a field fails the test which looks at the fields."""
    other = changed(lambda log: log["entries"][0]["request"]["headers"].pop())
    with pytest.raises(AssertionError):
        test_every_header_field_is_sent(_joined(other, load_test(compact)))
