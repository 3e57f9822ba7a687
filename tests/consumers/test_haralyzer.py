"""haralyzer answers every question about a recording, page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from consumers.facts import Json, unix_s
from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader, ReaderFailed

pytestmark = pytest.mark.consumers


@pytest.fixture(scope="module")
def haralyzer(python_reader: Reader) -> Read:
    """What haralyzer understands of a recording: the log, its pages, their entries."""
    return python_reader("haralyzer_pages.py")


@pytest.fixture(scope="module")
def understood(haralyzer: Read, recording: Recording) -> Json:
    """The log that haralyzer understands."""
    log: Json = haralyzer(recording)
    return log


def test_the_log_is_understood(recording: Recording, understood: Json) -> None:
    """Version, creator, browser and the first host are as recorded."""
    log = recording.log
    expected = {name: log[name] for name in ("version", "creator", "browser")}
    assert expected == {name: understood[name] for name in expected}
    assert _host(recording.entries[0]) == understood["hostname"]


def _host(entry: Json) -> str | None:
    """The first header field that is named exactly so."""
    return next((header["value"] for header in entry["request"]["headers"] if header["name"] == "Host"), None)


def test_every_page_is_understood(recording: Recording, understood: Json) -> None:
    """Each page has its title and its entries in the order of their start, and sums up."""
    assert [page["id"] for page in recording.pages] == [page["id"] for page in understood["pages"]]
    for page, actual in zip(recording.pages, understood["pages"], strict=True):
        entries = sorted(recording.entries_of(page), key=lambda entry: unix_s(entry["startedDateTime"]))
        urls = Counter(entry["request"]["url"] for entry in entries)
        responses = [entry["response"] for entry in entries]
        methods = Counter(entry["request"]["method"] for entry in entries)
        expected = {
            "title": page["title"],
            "hostname": _host(entries[0]),
            "url": entries[0]["request"]["url"],
            "requests": [methods["GET"], methods["POST"]],
            "size": sum(max(0, response["bodySize"]) for response in responses),
            "transferSize": sum(max(0, response["_transferSize"]) for response in responses),
            "textFiles": sum(response["content"]["mimeType"].lower().startswith("text") for response in responses),
            "duplicates": {url: count for url, count in urls.items() if count > 1},
        }
        assert expected == {name: actual[name] for name in expected}
        assert [entry["request"]["url"] for entry in entries] == [entry["url"] for entry in actual["entries"]]


def test_every_entry_is_understood(recording: Recording, understood: Json) -> None:
    """Every property of every entry has the recorded value, and None only for what is not in the file."""
    pages = {page["id"]: iter(page["entries"]) for page in understood["pages"]}
    for entry in sorted(recording.entries, key=lambda entry: unix_s(entry["startedDateTime"])):
        actual = next(pages[entry["pageref"]])
        assert _of_entry(entry) | _of_request(entry["request"]) | _of_response(entry["response"]) == actual
    assert [] == [entry for entries in pages.values() for entry in entries]


def _of_entry(entry: Json) -> Json:
    return {
        "startedUnixS": pytest.approx(unix_s(entry["startedDateTime"]), abs=1e-6),
        "pageref": entry["pageref"],
        "time": entry["time"],
        "timings": entry["timings"],
        "serverAddress": entry.get("serverIPAddress"),
        "port": int(entry["connection"]) if "connection" in entry else None,
    }


def _of_request(request: Json) -> Json:
    return {
        "method": request["method"],
        "url": request["url"],
        "requestHeaders": request["headers"],
        "requestHeadersSize": request["headersSize"],
        "requestBodySize": request["bodySize"],
        "requestCookies": request["cookies"],
        "query": request["queryString"],
        "requestMimeType": request.get("postData", {}).get("mimeType"),
        "requestText": request.get("postData", {}).get("text"),
        "requestHttpVersion": request["httpVersion"],
    }


def _of_response(response: Json) -> Json:
    content = response["content"]
    return {
        "status": response["status"],
        "statusText": response["statusText"],
        "httpVersion": response["httpVersion"],
        "responseHeaders": response["headers"],
        "responseHeadersSize": response["headersSize"],
        "responseBodySize": response["bodySize"],
        "contentSize": content["size"],
        "mimeType": content["mimeType"],
        "text": content.get("text"),
        "textEncoding": content.get("encoding"),
        "redirectURL": response["redirectURL"],
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda log: log.pop("browser"), "'browser'"),
        (lambda log: log["pages"][0].pop("pageTimings"), "'pageTimings'"),
        (lambda log: log["entries"][0]["response"].pop("_transferSize"), "'_transferSize'"),
        (lambda log: log["entries"][0].update(connection="kept alive"), "invalid literal for int"),
        (lambda log: log["entries"][0].update(startedDateTime="2026-01-01T00:00:00"), "offset-naive and offset-aware"),
    ],
)
def test_a_file_that_haralyzer_fails_on_is_noticed(
    haralyzer: Read, changed: Changed, change: Change, complaint: str
) -> None:
    """One bad entry makes a property fail, and so these tests."""
    with pytest.raises(ReaderFailed, match=complaint):
        haralyzer(changed(change))


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda log: log["creator"].update(version="9"), test_the_log_is_understood),
        (lambda log: log["entries"][0].update(pageref=log["pages"][1]["id"]), test_every_page_is_understood),
        (lambda log: log["entries"][0]["response"].update(bodySize=1), test_every_page_is_understood),
        (lambda log: log["entries"][0]["response"]["content"].update(text="x"), test_every_entry_is_understood),
        (lambda log: log["entries"][0]["timings"].update(wait=0), test_every_entry_is_understood),
    ],
)
def test_a_difference_is_noticed(
    haralyzer: Read, compact: Recording, changed: Changed, change: Change, test: Callable[[Recording, Json], None]
) -> None:
    """What is not as recorded fails the test which looks at it."""
    with pytest.raises(AssertionError):
        test(changed(change), haralyzer(compact))
