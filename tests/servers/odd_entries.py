"""Entries of the odd answers, beside what the server recorded and what the program said of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from servers.comparison import assert_same_request, assert_same_response, pairs, text_of
from servers.odd_answers import ODD_ANSWERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers.records import Exchange
    from servers.transparency import BothRuns

Json = dict[str, Any]

WAYS = ("whole", "pieces", "unread")
"""How the programs read each answer."""

ODD_ARGS = tuple(f"{answer.method}:{name}" for name, answer in ODD_ANSWERS.items())
"""The arguments of the programs: method and name of each answer."""

STRICT = ("-W", "error")
"""The options of an interpreter that tells of everything that is left open; in `-X dev` aiohttp's parser is another."""

# What no client tells: the blanks around values, how lines were folded and ended, whether a blank followed the status.
HEADS_OF_UNKNOWN_SIZE = frozenset(
    {
        "no-reason-no-blank", "empty-value", "tight-value", "wide-value", "trailing-blanks", "folded", "folded-at-once",
        "line-feeds", "headerless",
    }
)  # fmt: skip

# The text that each of these bodies is in its entry; None where it has to be base64.
TEXTS = {
    "no-type-binary": None,
    "mixed-case-type": "<p>Größe</p>",
    "charset-unknown": None,
    "charset-wrong": None,
    "charset-codec": None,
    "charset-no-text": None,
    "charset-empty": "Käse",
    "charset-quoted": "Käse",
    "charset-half-quoted": "Käse",
    "charset-none-json": '{"Käse": 1}',
    "charset-latin-1-json": '{"Käse": 1}',
    "charset-latin-1-undeclared": None,
    "charset-windows": "Käse \N{EURO SIGN}",
    "charset-utf-16": "Käse",
    "charset-shift-jis": "\u65e5\u672c",
    "byte-order-mark": "\ufeff{}",
    "nul": None,
}


_SECURE = {"secure": True}
_IN_2038 = {"expires": "2038-01-01T00:00:00.000Z"}
_AT_ROOT = {"path": "/"}

# The cookies of the answer `cookies`: name, value, and what is known of each; Max-Age in seconds.
COOKIES: list[tuple[str, str, Json]] = [
    ("quoted", '"a b"', _AT_ROOT),
    ("escaped", '"a\\"b\\054c"', {}),
    ("equals", "a=b=c==", _AT_ROOT),
    ("commas", "a,b, c", _AT_ROOT),
    ("json", "{%22a%22:1,%22b%22:[2]}", {}),
    ("lower", "1", _AT_ROOT | _SECURE | {"domain": "127.0.0.1", "httpOnly": True, "sameSite": "Lax"}),
    ("max-age", "1", {"max-age": 3600}),
    ("both", "1", {"max-age": 60}),
    ("gone", "", {"max-age": 0}),
    ("negative", "1", {"max-age": -1}),
    ("quoted-age", "1", {}),
    ("rfc1123", "1", _IN_2038),
    ("dashed", "1", _IN_2038),
    ("rfc850", "1", _IN_2038),
    ("asctime", "1", _IN_2038),
    ("zoned", "1", _IN_2038),
    ("epoch", "1", {"expires": "1970-01-01T00:00:00.000Z"}),
    ("invalid", "1", {}),
    ("number", "1", {}),
    ("february", "1", {}),
    ("empty", "", {}),
    ("twice", "1", {}),
    ("twice", "2", {"path": "/odd"}),
    ("two", "1", {"path": "/, three=3"}),
    ("utf-8", "ä", _AT_ROOT),
    ("latin-1", "ä", _AT_ROOT),
    ("blanks", "around", _AT_ROOT | _SECURE),
    ("attributes", "1", {}),
    ("semicolons", '"a', _AT_ROOT),
    ("__Host-id", "1", _AT_ROOT | _SECURE),
    ("trailing", "1", {}),
]


@dataclass(frozen=True, slots=True)
class OddRuns:
    """A program that asked for every odd answer in every way, plain and recorded."""

    runs: BothRuns

    def entries(self, path: str, way: str) -> list[Json]:
        """The entries of an answer, more than one where the client tried again."""
        url = self.runs.server.url(f"{path}?way={way}")
        return [entry for entry in self.runs.run.entries if entry["request"]["url"] == url]

    def exchanges(self, path: str, way: str) -> list[Exchange]:
        """What the server recorded of them."""
        return [seen for seen in self.runs.server.exchanges if seen.request.target == f"{path}?way={way}"]

    def entry(self, path: str, way: str) -> Json:
        """The last entry of an answer."""
        return self.entries(path, way)[-1]

    def exchange(self, path: str, way: str) -> Exchange:
        """What the server recorded of it."""
        return self.exchanges(path, way)[-1]

    def said(self, name: str, way: str) -> str:
        """What the program said of it: all from its name on to the next name."""
        said = re.split(r"^-- (\S+ \S+)\n", self.runs.run.stdout, flags=re.MULTILINE)
        return said[said.index(f"{name} {way}") + 1]

    def assert_same_request(self, path: str, way: str) -> None:
        """Assert that each entry's request is the one that the server saw."""
        for entry, exchange in zip(self.entries(path, way), self.exchanges(path, way), strict=True):
            assert_same_request(entry, exchange, self.runs.server, peer_may_be_unknown=True)

    def assert_same_answer(self, name: str, way: str, *, unknown: Sequence[str] = ()) -> None:
        """Assert that the entry's response is the one that the server sent, with sizes that are known to the byte."""
        entry, exchange = self.entry(f"/odd/{name}", way), self.exchange(f"/odd/{name}", way)
        assert_same_response(entry, exchange, head_size_is_unknown=name in HEADS_OF_UNKNOWN_SIZE)
        response, sent = entry["response"], exchange.response
        expected = {"bodySize": len(sent.encoded)}
        if name not in HEADS_OF_UNKNOWN_SIZE:
            expected["headersSize"] = len(sent.head)
            if sent.wire == sent.encoded and not unknown:  # nobody tells of the framing of chunks
                expected["_transferSize"] = len(sent.head) + len(sent.wire)
        actual = {name: response[name] for name in expected}
        assert expected | dict.fromkeys(unknown, -1) == actual, name
        assert "_error" not in response, response["_error"]

    def assert_same_head(self, name: str, way: str) -> None:
        """Assert that status line and header fields are those that the server sent."""
        response, sent = self.entry(f"/odd/{name}", way)["response"], self.exchange(f"/odd/{name}", way).response
        assert (sent.status, sent.reason) == (response["status"], response["statusText"])
        headers = [(text_of(name), text_of(value)) for name, value in sent.headers]
        assert headers == pairs(response["headers"])

    def assert_cookies(self, way: str) -> None:
        """Assert that each Set-Cookie is a cookie as RFC 6265, 5.2, reads it; Max-Age counts from the answer."""
        entry = self.entry("/odd/cookies", way)
        started = datetime.fromisoformat(entry["startedDateTime"].replace("Z", "+00:00"))
        actual = entry["response"]["cookies"]
        assert [name for name, _, _ in COOKIES] == [cookie["name"] for cookie in actual]
        for (name, value, known), cookie in zip(COOKIES, actual, strict=True):
            expected: Json = {"name": name, "value": value, "httpOnly": False, "secure": False} | known
            max_age_s = expected.pop("max-age", None)
            if max_age_s is not None:
                expires = datetime.fromisoformat(cookie.pop("expires").replace("Z", "+00:00"))
                early_ms = 1  # dates have milliseconds
                late_ms = (expires - started).total_seconds() * 1000 - max_age_s * 1000
                assert -early_ms <= late_ms <= entry["time"] + early_ms
            assert expected == cookie, (expected, cookie)

    def assert_refused(self, entry: Json, name: str, way: str) -> None:
        """Assert that there is no response in the entry, but the error that the program saw."""
        response = dict(entry["response"])
        error = response.pop("_error")
        expected = {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [], "redirectURL": ""}
        expected |= {"headersSize": -1, "bodySize": -1, "_transferSize": 0}
        assert expected | {"content": {"size": 0, "mimeType": "x-unknown"}} == response
        self.assert_said(error, name, way)

    def assert_said(self, error: str, name: str, way: str) -> None:
        """Assert that the text of an error is that of the exception which the program saw."""
        kind, _, message = error.partition(": ")
        assert kind
        assert (message or kind) in self.said(name, way)
