"""Whatever stands in an entry, and wherever: its redaction takes a time that grows as the entry does."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from otel_har.redaction.redactor import Redactor

REPEATED = [
    *("a", "aB3", "aB3-_.", " ", "\n", "\r", "\\", '"', "'", '\\"', '\\\\"', "%", "%25", "&", "=", "[", "[]", "{", "<"),
    *(
        '{"a":[',
        '{"password":[',
        '{"password":{"a":',
        '["password",',
        '{"author":',
        '"author ',
        '"password":',
        "\u0130",
    ),
    *("password=x ", "password=&", "password: ", "password:\n- ", "password: |\n", 'password:"', "--password "),
    *('("password",\'', 'name="password" ', '<a value=\'b name="password" ', "<password>", "<password>x</password>"),
    *('"name":"password",', '{"value":"x","name":"password"},', "&quot;password&quot;:&quot;", "password\\u003d"),
    *("%70%61", "%2525252561", "password%3D", "password%253D%2525", "%22password%22%3A%22", "?a=", "?token=a&a=?"),
    *("https://a:", "https://a:b@", "https://hooks.slack.com/services/", "curl -u a:", "a=1; ", "password=a; "),
    *(
        'Digest a="',
        'a="\\"; ',
        'a=", ',
        ",a=",
        ", a",
        "; Path=/, a=x",
        '="x", ',
        "data:;base64,",
        "LS0tLS1CRUdJTi",
        '"content":"aaaa',
        '{"grant_type":1,"code":"x","base64"',
        '"kty":"EC","d":"',
        "JQQJ99",
        ".atlasv1.",
        "http://a:b/",
        "Digest response=",
        "Bearer ",
        "Basic YTpi",
        "Set-Cookie: a=",
        "\npassword:a\r\n",
        "eyJ",
        "eyJhIjoi.",
    ),
    *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "AKIA7777777777777777 ", "sk-a-", "SG.", "xoxb-"),
    *(
        "\n--b\r\n",
        '\r\n--b\r\nform-data; name="password"\r\n\r\n',
        "\r\n--b\r\n\r\nx",
        "name*=UTF-8''",
        "`password`:`",
        "<script>",
        "<style>a</",
    ),
    *(
        "password login ",
        '["password",["',
        "identified by '",
        "mysql a ",
        "password:\n a",
        "password:a.",
        "%5BREDACTED%5Dpassword=",
    ),
    *(
        '{"password":{"type":{"a":["b",',
        '"token":"a","logprob":1,',
        '"token":1,"vocab":{',
        "{'password':{'type':",
    ),
]
"""What is repeated."""


def _nested_json(size: int) -> str:
    """JSON within strings of JSON, as deep as the size allows."""
    text = '{"password":"x"}'
    while 2 * len(text) < size:
        text = json.dumps({"a": text, "b": "?token=x"})
    return text


def _nested_urls(size: int) -> str:
    """URLs within parameters of URLs."""
    url = "https://a.test/?token=x"
    while 2 * len(url) < size:
        url = f"https://a.test/?next={quote(url, safe='')}&a=https://b.test/?code=y"
    return url


def _nested_base64(size: int) -> str:
    """JSON in base64 within JSON in base64."""
    text = '{"password":"x"}'
    while 2 * len(text) < size:
        text = json.dumps({"a": base64.b64encode(text.encode()).decode()})
    return text


def _filled(piece: Callable[[int], str]) -> Callable[[int], str]:
    """Pieces, each with a number, up to a size."""

    def fill(size: int) -> str:
        pieces, length = [], 0
        for number in itertools.count():
            pieces.append(piece(number))
            length += len(pieces[-1])
            if length >= size:
                return "".join(pieces)
        raise AssertionError

    return fill


def _repeated(unit: str) -> Callable[[int], str]:
    return lambda size: unit * (size // len(unit))


BODIES: dict[str, Callable[[int], str]] = {
    **{repr(unit): _repeated(unit) for unit in REPEATED},
    "nested JSON": _nested_json,
    "nested URLs": _nested_urls,
    "nested base64": _nested_base64,
    "values that stand again": _filled(lambda n: f"password=vAl{n % 3000:07} a=vAl{n % 3000:07} "),
    "long values that stand again": _filled(lambda n: f"password={n:0200x}a /{n:0200x}a "),
    "numbers that stand again": _filled(lambda n: f'{{"token":{10**8 + n % 300},"a":{10**8 + n % 300},"b":1}},'),
    "other names": _filled(lambda n: f"token{n}x{n}=a&"),
    "other cookies": _filled(lambda n: f"c{n}=v{n}; "),
    "other strings": _filled(lambda n: f'"auth {n}",'),
    "blanks of a block": lambda size: "password: |\n" + " " * size + "\rx",
    "deep brackets": lambda size: '{"a":[' * (size // 12) + "]}" * (size // 12),
    "one long value": lambda size: '{"password":"' + "a" * size + '","b":"' + "a" * (size // 2) + '"}',
}


def _content(media_type: str, before: str = "") -> Callable[[str], dict[str, Any]]:
    return lambda text: {"response": {"content": {"mimeType": media_type, "text": before + text}}}


def _field(name: str) -> Callable[[str], dict[str, Any]]:
    return lambda text: {"request": {"headers": [{"name": name, "value": text}]}}


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "text": _content("text/plain"),
    "json": _content("application/json", '[{"password":"x"},'),
    "program": _content("text/javascript"),
    "page": _content("text/html", "<script>a</script>"),
    "json string": lambda text: _content("application/json")(json.dumps({"a": text})),
    "form": _content("application/x-www-form-urlencoded", "a="),
    "encoded form": lambda text: _content("application/x-www-form-urlencoded")(f"a={quote(text)}"),
    "multipart": _content("multipart/form-data; boundary=b", '--b\r\nform-data; name="a"\r\n\r\n'),
    "header": _field("X-Any"),
    "cookies": _field("Cookie"),
    "set-cookies": _field("Set-Cookie"),
    "challenges": _field("WWW-Authenticate"),
    "subprotocols": _field("Sec-WebSocket-Protocol"),
    "utf-16": lambda text: {
        "response": {"content": {"encoding": "base64", "text": base64.b64encode(text.encode("utf-16")).decode()}}
    },
    "cut": lambda text: {"response": {"content": {"text": text, "_bodyState": "truncated"}}},
    "name": lambda text: {"request": {"queryString": [{"name": text, "value": ""}]}},
    "escapes of a value": lambda text: {"a": {"password": "aB3dE5fG7hI9"}, "comment": f"{text}\\u0061{text}"},
    "authorization": _field("Authorization"),
    "url": lambda text: {"request": {"url": f"https://a.test/{text}"}},
    "query": lambda text: {"request": {"url": f"https://a.test/?a={text}"}},
}

LONG = ('"', "\\", "[", "eyJ", "https://a:", "%70%61", "aB3", "<password>", '{"author":', "-----BEGIN PRIVATE KEY-----")
"""What a body of ten megabytes is made of."""

SMALL, LARGE = 20_000, 80_000
FEW_S = 0.05  # so short a time tells nothing of growth; quadratic work that takes it here takes minutes with 10 MB


@pytest.mark.parametrize("place", PLACES)
def test_four_times_the_text_does_not_take_more_than_a_linear_time(place: str) -> None:
    """Quadratic work takes sixteen times as long; a slow machine, or another process beside, not ten times."""
    slow = [name for name, body in BODIES.items() if not _is_linear(PLACES[place], body)]
    assert [] == slow


def _is_linear(place: Callable[[str], dict[str, Any]], body: Callable[[int], str]) -> bool:
    small, large = place(body(SMALL)), place(body(LARGE))
    for _ in range(4):  # what is linear is so in one of them, however busy the machine is
        seconds = _seconds(large)
        if seconds < FEW_S or seconds < 10 * _seconds(small):
            return True
    return False


def _seconds(entry: dict[str, Any]) -> float:
    """The processor's seconds for an entry, with nothing remembered of another one."""
    redactor = Redactor()
    begin = time.process_time()
    redacted = redactor.entry(entry)
    seconds = time.process_time() - begin
    assert ["failed"] != redacted.get("_redaction", {}).get("rules")
    return seconds


def test_a_body_of_ten_megabytes_takes_seconds() -> None:
    """All of it in one entry: quadratic work would take hours."""
    size = 10_000_000 // len(LONG)
    entry = PLACES["text"]("\n".join(BODIES[repr(unit)](size) for unit in LONG))
    begin = time.process_time()
    redacted = Redactor().entry(entry)
    seconds = time.process_time() - begin
    assert "default" == redacted["_redaction"]["policy"]
    assert seconds < 120
