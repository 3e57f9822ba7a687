"""Chrome's developer tools understand every entry of a recording: their own importer is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumers.facts import Json, by_start, pairs, unix_ms, unix_s
from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader, ReaderFailed

pytestmark = pytest.mark.consumers

Understood = list[tuple[Json, Json]]
"""Each entry, and what was understood of it."""

WEB_SCHEMES = ("http:", "https:", "ws:", "wss:", "data:")
"""Chrome forgets other URLs of an initiator."""

PHASES = {
    "blocking": "blocked",
    "dns": "dns",
    "connecting": "connect",
    "ssl": "ssl",
    "sending": "send",
    "waiting": "wait",
    "receiving": "receive",
}
"""Chrome's names of the phases, and HAR's."""

UNKNOWN_MESSAGE = {"type": "sent", "time": 1.5, "opcode": 1, "data": "of a type that Chrome does not know"}

CLOCK_ERROR_MS = 0.002
"""Chrome adds milliseconds to seconds since 1970: a double tells no more."""


@pytest.fixture(scope="module")
def chrome(node_reader: Reader) -> Read:
    """What Chrome understands of a recording: a list of requests."""
    return node_reader("chrome.mjs")


@pytest.fixture(scope="module")
def understood(chrome: Read, recording: Recording) -> Understood:
    """The entries and the requests that Chrome makes of them, in Chrome's order."""
    return list(zip(by_start(recording.entries), chrome(recording), strict=True))


def test_every_entry_is_a_request(understood: Understood) -> None:
    """Method, URL, header fields, the body's text and the kind of request are as recorded."""
    for entry, actual in understood:
        request = entry["request"]
        expected = {
            "url": request["url"],
            "method": request["method"],
            "requestHeaders": pairs(request["headers"]),
            "requestBody": request["postData"]["text"] if "postData" in request else None,
            "resourceType": entry["_resourceType"],
            "connectionId": entry.get("_connectionId", ""),
            "remoteAddress": f"{entry.get('serverIPAddress', '')}:{entry.get('connection', 80)}",
        }
        assert expected == {name: actual[name] for name in expected}


def test_every_response_is_understood(understood: Understood) -> None:
    """Status, header fields, sizes, type and the body, be it text or base64, are as recorded."""
    for entry, actual in understood:
        response = entry["response"]
        content = response["content"]
        expected = {
            "status": response["status"],
            "statusText": response["statusText"],
            "protocol": response["httpVersion"].lower(),
            "responseHeaders": pairs(response["headers"]),
            "mimeType": None if content["mimeType"] == "x-unknown" else content["mimeType"],
            "content": content.get("text", ""),
            "isBase64": content.get("encoding") == "base64",
            "resourceSize": _resource_size(response),
            "transferSize": max(0, response["_transferSize"]),
        }
        assert expected == {name: actual[name] for name in expected}


def _resource_size(response: Json) -> int:
    """The size of the content; where there is none, Chrome takes what came over the wire."""
    sizes: list[int] = [response["content"]["size"], response["headersSize"], response["bodySize"]]
    content, headers, body = (max(0, size) for size in sizes)
    return content or headers + body


def test_every_cookie_is_understood(understood: Understood) -> None:
    """The cookies of requests and responses have their attributes."""
    for entry, actual in understood:
        for side in ("request", "response"):
            assert [_chrome_cookie(cookie) for cookie in entry[side]["cookies"]] == actual[f"{side}Cookies"]


def _chrome_cookie(cookie: Json) -> Json:
    return {
        "name": cookie["name"],
        "value": cookie["value"],
        "path": cookie.get("path"),
        "domain": cookie.get("domain"),
        "expiresMs": unix_ms(cookie["expires"]) if "expires" in cookie else None,
        "httpOnly": cookie.get("httpOnly", False),
        "secure": cookie.get("secure", False),
    }


def test_every_phase_is_drawn(understood: Understood) -> None:
    """The waterfall shows each phase that applies with its length, begins at the start and ends after the time."""
    for entry, actual in understood:
        timings = entry["timings"]
        queueing = timings.get("_blocked_queueing", 0)
        expected = {name: timings[of] for name, of in PHASES.items() if _is_drawn(name, timings[of])}
        expected["blocking"] -= queueing
        expected |= {"total": entry["time"]} | ({"queueing": queueing} if queueing > 0 else {})
        assert pytest.approx(expected, abs=CLOCK_ERROR_MS) == actual["phasesMs"]
        assert pytest.approx(entry["time"] - queueing, abs=CLOCK_ERROR_MS) == actual["durationMs"]
        assert unix_ms(entry["startedDateTime"]) == actual["startMs"]


def _is_drawn(phase: str, took_ms: float) -> bool:
    """What was done before (a name look-up, a connection) is drawn if it took time; the others are always."""
    return took_ms > 0 if phase in {"dns", "connecting", "ssl"} else took_ms >= 0


def test_every_entry_is_on_its_page(recording: Recording, understood: Understood) -> None:
    """Chrome takes the start and the end of its page for each request."""
    pages = {page["id"]: page for page in recording.pages}
    for entry, actual in understood:
        page = pages[entry["pageref"]]
        expected = (unix_ms(page["startedDateTime"]), page["pageTimings"]["onLoad"] * 1000)
        assert expected == (actual["pageStartMs"], actual["pageLoadTime"])


def test_every_initiator_is_understood(understood: Understood) -> None:
    """What made a request is told with its stack."""
    for entry, actual in understood:
        assert _chrome_initiator(entry.get("_initiator")) == _without_custom(actual["initiator"])


def _chrome_initiator(initiator: Json | None) -> Json | None:
    """The initiator as Chrome keeps it: without URLs that no page could have loaded."""
    if initiator is None:
        return None
    stack = initiator.get("stack")
    frames = [
        {
            "functionName": frame.get("functionName", ""),
            "scriptId": frame.get("scriptId", ""),
            "url": url if (url := frame.get("url", "")).startswith(WEB_SCHEMES) else "",
            "lineNumber": frame.get("lineNumber", -1),
            "columnNumber": frame.get("columnNumber", -1),
        }
        for frame in (stack or {}).get("callFrames", [])
    ]
    kept: Json = {name: initiator[name] for name in ("type", "lineNumber", "requestId") if name in initiator}
    if initiator.get("url", "").startswith(WEB_SCHEMES):
        kept["url"] = initiator["url"]
    if stack is not None:
        kept["stack"] = _chrome_initiator_stack(stack, frames)
    return kept


def _chrome_initiator_stack(stack: Json, frames: list[Json]) -> Json:
    kept: Json = {"callFrames": frames}
    if "description" in stack:
        kept["description"] = stack["description"]
    if "parent" in stack:
        kept["parent"] = (_chrome_initiator({"stack": stack["parent"]}) or {})["stack"]
    return kept


def _without_custom(value: Any) -> Any:
    """What Chrome's importer made, without the empty map that each of its objects has for custom fields."""
    if isinstance(value, dict):
        return {name: _without_custom(one) for name, one in value.items() if name != "custom"}
    return [_without_custom(one) for one in value] if isinstance(value, list) else value


def test_every_server_sent_event_is_understood(understood: Understood) -> None:
    """The event stream view has each event, from the recorded messages or else from the text."""
    for entry, actual in understood:
        assert _events(entry) == [[event["eventName"], event["eventId"], event["data"]] for event in actual["events"]]
        if "_eventSourceMessages" in entry:
            times = [event["time"] for event in entry["_eventSourceMessages"]]
            assert times == [event["time"] for event in actual["events"]]


def _events(entry: Json) -> list[list[str]]:
    if "_eventSourceMessages" in entry:
        return [[event["eventName"], event["eventId"], event["data"]] for event in entry["_eventSourceMessages"]]
    content = entry["response"]["content"]
    if content["mimeType"] != "text/event-stream":
        return []
    events, event_id = [], ""
    for block in content.get("text", "").split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        event_id = fields.get("id", event_id)
        events.append([fields.get("event", "message"), event_id, fields["data"]])
    return events


def test_every_websocket_message_is_understood(understood: Understood) -> None:
    """The messages view has each message of a WebSocket, sent ones as such."""
    for entry, actual in understood:
        expected = [
            {
                "time": message["time"],
                "text": message["data"],
                "opCode": message["opcode"],
                "mask": message["type"] == "send",
                "type": message["type"],
            }
            for message in entry.get("_webSocketMessages", [])
        ]
        assert expected == actual["frames"]


def _enrich(log: Json) -> None:
    """Add what other versions of a recording have: an initiator, messages, a queueing time."""
    first, second = log["entries"][:2]
    started = unix_s(first["startedDateTime"])
    frame = {"functionName": "f", "scriptId": "1", "url": "file:///a.py", "lineNumber": 3, "columnNumber": 0}
    first["_initiator"] = {"type": "script", "stack": {"callFrames": [frame, frame | {"url": "https://a.test/b.py"}]}}
    first["_eventSourceMessages"] = [{"time": started, "eventName": "e", "eventId": "7", "data": "x"}]
    first["response"]["content"]["mimeType"] = "text/event-stream"
    second["_webSocketMessages"] = [
        {"type": "send", "time": started, "opcode": 1, "data": "ping"},
        {"type": "receive", "time": started + 0.5, "opcode": 2, "data": "AAE="},
    ]
    second["_resourceType"] = "websocket"
    second["timings"] |= {"blocked": 3.0, "_blocked_queueing": 2.0, "connect": 5.0, "ssl": 4.0, "dns": 1.0}
    second["time"] = sum(second["timings"][name] for name in ("blocked", "dns", "connect", "send", "wait", "receive"))


def test_custom_fields_are_understood(chrome: Read, changed: Changed) -> None:
    """Messages, initiators, queueing, and a connection with TLS in it are understood wherever an entry has them."""
    recording = changed(_enrich)
    found = list(zip(by_start(recording.entries), chrome(recording), strict=True))
    test_every_initiator_is_understood(found)
    test_every_server_sent_event_is_understood(found)
    test_every_websocket_message_is_understood(found)
    test_every_phase_is_drawn(found)
    test_every_response_is_understood(found)
    assert [2, 1] == [len(found[1][1]["frames"]), len(found[0][1]["events"])]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda entry: entry.update(_initiator=None), "expected to be an object"),
        (lambda entry: entry.pop("timings"), "expected to be an object"),
        (lambda entry: entry["response"].pop("bodySize"), "NaN"),
        (lambda entry: entry["response"]["cookies"].append({"name": "a", "value": "b", "expires": "soon"}), "date"),
    ],
)
def test_a_file_that_chrome_refuses_is_noticed(chrome: Read, changed: Changed, change: Change, complaint: str) -> None:
    """One bad entry makes Chrome refuse the file, and so these tests fail."""
    with pytest.raises(ReaderFailed, match=complaint):
        chrome(changed(lambda log: change(log["entries"][5])))


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda entry: entry["response"].update(_transferSize=0), test_every_response_is_understood),
        (lambda entry: entry["timings"].update(blocked=0), test_every_phase_is_drawn),
        (lambda entry: entry.update(_resourceType="requests"), test_every_entry_is_a_request),
        (lambda entry: entry.update(_webSocketMessages=[UNKNOWN_MESSAGE]), test_every_websocket_message_is_understood),
    ],
)
def test_a_misunderstanding_is_noticed(
    chrome: Read, changed: Changed, change: Change, test: Callable[[Understood], None]
) -> None:
    """What Chrome understands otherwise than it is meant fails the test which looks at it."""
    recording = changed(lambda log: change(log["entries"][0]))
    found = list(zip(by_start(recording.entries), chrome(recording), strict=True))
    with pytest.raises(AssertionError):
        test(found)
