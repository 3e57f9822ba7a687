"""mitmproxy makes a flow of every entry of a recording."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consumers.facts import Json, pairs, unix_s
from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader, ReaderFailed

pytestmark = pytest.mark.consumers

Understood = list[tuple[Json, Json]]
"""Each entry, and what was understood of it."""

CLOCK_ERROR_S = 2e-6


@pytest.fixture(scope="module")
def mitmproxy(python_reader: Reader) -> Read:
    """What mitmproxy understands of a recording: a list of flows."""
    return python_reader("mitmproxy_flows.py")


@pytest.fixture(scope="module")
def understood(mitmproxy: Read, recording: Recording) -> Understood:
    """The entries and the flows that mitmproxy makes of them."""
    return list(zip(recording.entries, mitmproxy(recording), strict=True))


def test_every_request_is_understood(understood: Understood) -> None:
    """Method, URL, parameters, header fields and the body's text are as recorded."""
    for entry, actual in understood:
        request = entry["request"]
        expected = {
            "method": request["method"],
            "url": request["url"],
            "requestHttpVersion": _version(request["httpVersion"]),
            "requestHeaders": _without_length(pairs(request["headers"])),
            "requestText": request.get("postData", {}).get("text", ""),
            "query": pairs(request["queryString"]),
            "requestCookies": _unquoted(pairs(request["cookies"])),
            "serverAddress": entry.get("serverIPAddress"),
        }
        assert expected == {
            **{name: actual[name] for name in expected},
            "requestHeaders": _without_length(actual["requestHeaders"]),
        }


def test_every_response_is_understood(understood: Understood) -> None:
    """Status, header fields, cookies, text and bytes are as recorded."""
    for entry, actual in understood:
        response = entry["response"]
        content = response["content"]
        expected = {
            "status": response["status"],
            "httpVersion": _version(response["httpVersion"]),
            "responseHeaders": pairs(response["headers"]),
            "setCookies": _unquoted(pairs(response["cookies"])),
        }
        if content.get("encoding") == "base64":
            expected["responseBytes"] = content["text"]
        else:
            expected["responseText"] = content.get("text", "")
        assert expected == {name: actual[name] for name in expected}


def test_every_moment_is_understood(understood: Understood) -> None:
    """A flow begins and ends when the entry does."""
    for entry, actual in understood:
        expected = [unix_s(entry["startedDateTime"]), entry["time"] / 1000]
        assert pytest.approx(expected, abs=CLOCK_ERROR_S) == [actual["startedUnixS"], actual["tookS"]]


def _version(recorded: str) -> str:
    """The version as mitmproxy takes it: every one that is not 2 or 3 for 1.1."""
    return recorded if recorded in {"HTTP/2", "HTTP/3"} else "HTTP/1.1"


def _without_length(headers: list[list[str]]) -> list[list[str]]:
    """The fields without the length of the body, which mitmproxy counts itself."""
    return [header for header in headers if header[0].lower() != "content-length"]


def _unquoted(cookies: list[list[str]]) -> list[list[str]]:
    """Names and values as mitmproxy shows them: without quotes."""
    return [[name, value.strip('"')] for name, value in cookies]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda entry: entry.pop("time"), "'time'"),
        (lambda entry: entry["response"].pop("content"), "'content'"),
        (lambda entry: entry["request"].update(postData={"mimeType": "text/plain"}), "'text'"),
        (lambda entry: entry.update(startedDateTime="yesterday"), "isoformat"),
    ],
)
def test_a_file_that_mitmproxy_refuses_is_noticed(
    mitmproxy: Read, changed: Changed, change: Change, complaint: str
) -> None:
    """One bad entry makes mitmproxy refuse the file, and so these tests fail."""
    with pytest.raises(ReaderFailed, match=complaint):
        mitmproxy(changed(lambda log: change(log["entries"][5])))


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda entry: entry["request"].update(url="http://a.test/"), test_every_request_is_understood),
        (lambda entry: entry["request"]["headers"].pop(), test_every_request_is_understood),
        (lambda entry: entry["response"]["content"].update(text="{}"), test_every_response_is_understood),
        (lambda entry: entry["response"].update(status=201), test_every_response_is_understood),
        (lambda entry: entry.update(time=entry["time"] + 0.01), test_every_moment_is_understood),
    ],
)
def test_a_difference_is_noticed(
    mitmproxy: Read, compact: Recording, changed: Changed, change: Change, test: Callable[[Understood], None]
) -> None:
    """A flow that is not what the entry says fails the test which looks at it."""
    other = changed(lambda log: change(log["entries"][0]))
    with pytest.raises(AssertionError):
        test(list(zip(other.entries, mitmproxy(compact), strict=True)))
