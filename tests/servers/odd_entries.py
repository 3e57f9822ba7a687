"""Entries of the odd answers, beside what the server recorded and what the program said of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class OddRuns:
    """A program that asked for every odd answer in every way, plain and recorded."""

    runs: BothRuns

    def entry(self, path: str, way: str) -> Json:
        """The one entry of an answer."""
        url = self.runs.server.url(f"{path}?way={way}")
        [entry] = [entry for entry in self.runs.run.entries if entry["request"]["url"] == url]
        return entry

    def exchange(self, path: str, way: str) -> Exchange:
        """What the server recorded of it."""
        [exchange] = [seen for seen in self.runs.server.exchanges if seen.request.target == f"{path}?way={way}"]
        return exchange

    def said(self, name: str, way: str) -> str:
        """What the program said of it: all from its name on to the next name."""
        said = re.split(r"^-- (\S+ \S+)\n", self.runs.run.stdout, flags=re.MULTILINE)
        return said[said.index(f"{name} {way}") + 1]

    def assert_same_request(self, path: str, way: str) -> None:
        """Assert that the entry's request is the one that the server saw."""
        exchange = self.exchange(path, way)
        assert_same_request(self.entry(path, way), exchange, self.runs.server, peer_may_be_unknown=True)

    def assert_same_answer(self, name: str, way: str, *, unknown: Sequence[str] = ()) -> None:
        """Assert that the entry's response is the one that the server sent, with sizes that are known to the byte."""
        entry, exchange = self.entry(f"/odd/{name}", way), self.exchange(f"/odd/{name}", way)
        assert_same_response(entry, exchange, head_size_is_unknown=name in HEADS_OF_UNKNOWN_SIZE)
        response, sent = entry["response"], exchange.response
        expected = {"bodySize": len(sent.encoded)}
        if name not in HEADS_OF_UNKNOWN_SIZE:
            expected["headersSize"] = len(sent.head)
            if sent.wire == sent.encoded:  # nobody tells of the framing of chunks
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
