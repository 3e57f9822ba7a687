"""What is redacted already stays as it is, by whatever policy it is redacted again."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

NAMES = ["password", "access_token", "api_key", "client_secret", "code", "q", "X-Api-Key", "state", "sig", "author"]
VALUES = [
    *("s3cr3tV4l5381", "p@ss w0rd!7", "a+b/c==19", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "hunter2", "1234", "x"),
    *("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2ln", 'tr\xe9s"quoted"', "back\\slash4", "a&b=c;d,e9"),
    *("[x]{y}32", "%41%42c14", "null", "semi;colon'apos", "AKIAIOSFODNN7EXAMPLE", "required", "9.0.2", "two words"),
]
PASSES = 150


class _Any:
    """Makes entries of all that may stand in one.

    Args:
        seed: Two of the same make the same.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same each time
        self._depth = 0

    def one(self, *makers: Callable[[], str]) -> str:
        """What one of them makes; what is too deep is a value."""
        self._depth += 1
        made = self._random.choice(makers)() if self._depth < 5 else self.value()
        self._depth -= 1
        return made

    def name(self) -> str:
        return self._random.choice(NAMES)

    def value(self) -> str:
        return self._random.choice(VALUES)

    def url(self) -> str:
        query = {self.name(): self.one(self.value, self.value, self.url, self.json) for _ in range(2)}
        user = self._random.choice(["", f"ann:{quote(self.value(), safe='')}@"])
        return f"https://{user}h.test/a/b?{urlencode(query)}#{urlencode({self.name(): self.value()})}"

    def json(self) -> str:
        def member() -> Any:
            made = self.one(self.value, self.url, self.json, self.text)
            return self._random.choice(
                [made, made, 12345678, None, [made, self.value()], {self.name(): made, "type": made}]
            )

        document = {self._random.choice([*NAMES, "name", "value"]): member() for _ in range(3)}
        return json.dumps(document, ensure_ascii=self._random.random() < 0.5, indent=self._random.choice([None, 1]))

    def credentials(self) -> str:
        value = self.value()
        return self._random.choice(
            [
                f"Bearer {value}",
                f"Basic {base64.b64encode(f'ann:{value}'.encode()).decode()}",
                f'Digest username="u", realm="r", nonce="abc", response="{quote(value)}"',
                f'OAuth oauth_token="{quote(value)}", oauth_signature="abc%3D"',
                f"token {value}",
                value,
            ]
        )

    def text(self) -> str:
        name, value = self.name(), self.value()
        return self._random.choice(
            [
                f"{name}={value}",
                f"{name}: {value}",
                f"<{name}>{value}</{name}>",
                f'<input name="{name}" value="{value}">',
                f"run --{name} {value} --x",
                f"{name}:\n  {value}\n  b: c",
                f"var a={{{name}:'{value}'}}",
                f"{name}%3D{quote(value)}%26x%3D1",
                repr({name: value, "b": [value]}),
                f"curl -H 'Authorization: {self.credentials()}' {self.one(self.url)}",
                f"GET / HTTP/1.1\r\nCookie: a={value}; b={self.value()}\r\nAuthorization: {self.credentials()}\r\n\r\n",
                f"error for {self.one(self.url)}: {value}",
                f"data: {self.one(self.json)}\n\ndata: x\n\n",
            ]
        )

    def body(self) -> dict[str, Any]:
        media_type, text = self._random.choice(
            [
                ("application/json", self.json),
                ("application/x-www-form-urlencoded", lambda: urlencode({self.name(): self.one(self.url, self.json)})),
                ("text/html", self.text),
                ("text/plain", self.text),
                ("text/javascript", self.text),
                ("", self.json),
            ]
        )
        return {"mimeType": media_type, "text": text()}

    def headers(self) -> list[dict[str, str]]:
        return [
            {"name": "Authorization", "value": self.credentials()},
            {"name": "Location", "value": self.url()},
            {"name": "X-Any", "value": self.one(self.text, self.json, self.url)},
            {"name": "Cookie", "value": f"a={self.value()}; b={self.value()}"},
        ]

    def entry(self) -> dict[str, Any]:
        return {
            "startedDateTime": "2030-01-02T03:04:05.678Z",
            "request": {
                "url": self.url(),
                "headers": self.headers(),
                "queryString": [{"name": self.name(), "value": self.value()}],
                "postData": {**self.body(), "params": [{"name": "q", "value": self.url()}]},
            },
            "response": {"headers": self.headers(), "redirectURL": self.url(), "content": self.body()},
            "comment": self.text(),
            "_error": self.text(),
            "_webSocketMessages": [{"type": "send", "opcode": 1, "data": self.one(self.json, self.text)}],
        }


POLICIES = {
    "default": RedactionPolicy(),
    "strict": RedactionPolicy("strict"),
    "hashes": RedactionPolicy(hashes=True),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_second_pass_changes_nothing(policy: str) -> None:
    """By the same policy, and by the default one."""
    first, changed = Redactor(POLICIES[policy]), []
    for seed in range(PASSES):
        redacted = first.entry(_Any(seed).entry())
        written = json.dumps(redacted)
        again = [json.dumps(one.entry(redacted)) for one in (first, Redactor(POLICIES["default"]))]
        changed += [seed] * ([written, written] != again)
    assert [] == changed
