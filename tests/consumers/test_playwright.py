"""Playwright answers a page's requests from a recording as the recorded servers did, which are gone by then."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from consumers.facts import Json, body, pairs
from consumers.recording import Recording, record
from consumers.running import Change, Changed, Read, Reader
from otel_har.har.reader import load

pytestmark = pytest.mark.consumers

REDIRECTS = {301, 302, 303, 307, 308}
NO_ANSWER = 200
"""What Playwright answers with, without a body, where the program got no answer: it does not know the status 0."""


@pytest.fixture(scope="module")
def playwright(browser_reader: Reader) -> Read:
    """What a page gets for each request of a recording, and the cookies that the browser has in the end."""
    return browser_reader("replay.mjs")


@pytest.fixture(scope="module")
def replayed(playwright: Read, recording: Recording) -> Json:
    """What a page gets for each request of the recording."""
    found: Json = playwright(recording)
    return found


def test_every_request_gets_its_answer_again(recording: Recording, replayed: Json) -> None:
    """Status and header fields are those of the recording, at the end of its redirects."""
    for entry, actual in _answers(recording, replayed):
        response = _final(entry, recording.entries)["response"]
        assert (response["status"] or NO_ANSWER) == actual.get("status"), entry["request"]["url"]
        got = dict(actual["headers"])
        if "content-length" not in _fields(response):
            got.pop("content-length", None)  # which Playwright adds
        assert _fields(response) == got


def test_every_request_gets_its_body_again(recording: Recording, replayed: Json) -> None:
    """The body has the bytes of the recording, decoded: text in UTF-8, and what is no text as it was."""
    for entry, actual in _answers(recording, replayed):
        content = _final(entry, recording.entries)["response"]["content"]
        assert body(content) == base64.b64decode(actual["body"]), entry["request"]["url"]


def test_requests_to_one_url_get_each_its_own_answer_again(compact: Recording, playwright: Read) -> None:
    """Bodies tell them apart, those of forms whatever their boundary, or else header fields."""
    answers = _answers(compact, playwright(compact))
    for path, count in {"/echo/same": 3, "/echo/same-form": 2, "/echo/language": 2}.items():
        of_path = [(entry, actual) for entry, actual in answers if urlsplit(entry["request"]["url"]).path == path]
        assert count == len({base64.b64decode(actual["body"]) for _, actual in of_path})
        assert [body(entry["response"]["content"]) for entry, _ in of_path] == [
            base64.b64decode(actual["body"]) for _, actual in of_path
        ]


def test_every_cookie_is_set_again(recording: Recording, replayed: Json) -> None:
    """The browser has every cookie that was set, of several in one answer too."""
    cookies = [cookie for entry in recording.entries for cookie in entry["response"]["cookies"]]
    assert cookies
    expected = {(cookie["name"], cookie["value"], cookie.get("httpOnly", False)) for cookie in cookies}
    assert expected == {(cookie["name"], cookie["value"], cookie["httpOnly"]) for cookie in replayed["cookies"]}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A recording as an archive with the bodies beside the HAR; its log with the bodies in it."""
    path = record(tmp_path_factory.mktemp("archive"), name="out.har.zip").path
    document = load(path).to_json()
    path.with_suffix("").write_bytes(document)
    return Recording(path, json.loads(document)["log"])


def test_archive(playwright: Read, archive: Recording) -> None:
    """An archive answers with the same, its bodies being files of their own."""
    replayed = playwright(archive)
    test_every_request_gets_its_answer_again(archive, replayed)
    test_every_request_gets_its_body_again(archive, replayed)
    with zipfile.ZipFile(archive.path) as packed:
        entries = json.loads(packed.read("har.har"))["log"]["entries"]
        named = {entry["response"]["content"].get("_file") for entry in entries} - {None}
        assert len(named) > 10
        assert named <= set(packed.namelist())
    assert not any("text" in entry["response"]["content"] for entry in entries if entry["response"]["content"]["size"])


def test_body_of_an_archive_that_is_gone_is_noticed(playwright: Read, archive: Recording, tmp_path: Path) -> None:
    """Playwright takes the bodies from their files."""
    changed = tmp_path / "out.har.zip"
    (tmp_path / "out.har").write_bytes(archive.path.with_suffix("").read_bytes())
    with zipfile.ZipFile(archive.path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) if name == "har.har" else b"changed")
    with pytest.raises(AssertionError):
        test_every_request_gets_its_body_again(archive, playwright(Recording(changed, archive.log)))


def _answers(recording: Recording, replayed: Json) -> list[tuple[Json, Json]]:
    """Each entry that a page can repeat, and what it got: a GET with a body is no request that a page can make."""
    return [
        (entry, actual)
        for entry, actual in zip(recording.entries, replayed["answers"], strict=True)
        if not ("postData" in entry["request"] and entry["request"]["method"] in {"GET", "HEAD"})
        and not entry["request"]["url"].startswith("ws")
        and _is_told_apart(entry, recording.entries)
        and _is_told_apart(_final(entry, recording.entries), recording.entries)
    ]


def _is_told_apart(entry: Json, entries: list[Json]) -> bool:
    """Whether no other answer is to the same request, as those are whose differences were taken out of them.

    Playwright tells requests apart by method and URL, the body of a POST, and the most header fields in common.
    """
    same = [one["response"] for one in entries if _asked(one) == _asked(entry)]
    answers = [(one["status"], _fields(one), one["content"].get("text")) for one in same]
    return all(answers[0] == other for other in answers)


def _asked(entry: Json) -> tuple[str, str, bytes, list[list[str]]]:
    """What a page asks with; the length of a body it writes itself."""
    request = entry["request"]
    fields = sorted(field for field in pairs(request["headers"]) if field[0].lower() != "content-length")
    return request["method"], request["url"], body(request.get("postData")), fields


def _final(entry: Json, entries: list[Json]) -> Json:
    """The entry at the end of the redirects which begin at this one."""
    while entry["response"]["status"] in REDIRECTS:
        url = entry["response"]["redirectURL"]
        targets = [target for target in entries if target["request"]["url"] == url]
        same_trace = [target for target in targets if target["_otel"]["traceId"] == entry["_otel"]["traceId"]]
        entry = (same_trace or targets)[0]
    return entry


def _fields(response: Json) -> dict[str, str]:
    """The fields that a page sees: of several with one name, Playwright gives it the last; never a cookie."""
    fields = {header["name"].lower(): header["value"] for header in response["headers"]}
    fields.pop("set-cookie", None)
    return fields


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda entry: entry["response"].update(status=201), test_every_request_gets_its_answer_again),
        (lambda entry: entry["response"]["headers"].pop(0), test_every_request_gets_its_answer_again),
        (lambda entry: entry["response"]["content"].pop("text"), test_every_request_gets_its_body_again),
    ],
)
def test_a_difference_is_noticed(
    playwright: Read, compact: Recording, changed: Changed, change: Change, test: Callable[[Recording, Json], None]
) -> None:
    """An answer that is not the recorded one fails the test which looks at it."""
    with pytest.raises(AssertionError):
        test(changed(lambda log: change(log["entries"][0])), playwright(compact))
