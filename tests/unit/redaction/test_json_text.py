"""Secrets in JSON: the values go, everything else stays as it is written."""

# ruff: noqa: E501 - a case stands in one line, as it is written in the others

from __future__ import annotations

import json

import pytest

from otel_har.redaction.json_text import json_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span, plain_mark, replaced

NAMES = Names()


def _spans(text: str) -> list[Span]:
    spans = json_spans(text, NAMES)
    assert spans is not None
    return spans


def _redacted(text: str) -> str:
    return replaced(text, _spans(text), plain_mark)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password":"hunter2-X9","a":1}', '{"password":"[REDACTED]","a":1}'),
        ('{"a":"https://h/?sig=x1","b":"c"}', '{"a":"https://h/?sig=%5BREDACTED%5D","b":"c"}'),
        ('{"a":"https://h/?page=2&code=x1&state=y"}', '{"a":"https://h/?page=2&code=%5BREDACTED%5D&state=y"}'),
        ('{"a":"/?next=https%3A%2F%2Fh%2F%3Fsig%3Dx1"}', '{"a":"/?next=https%3A%2F%2Fh%2F%3Fsig%3D%5BREDACTED%5D"}'),
        ('{"a":"https://h/?page=2&author=ann"}', '{"a":"https://h/?page=2&author=ann"}'),
        ('{"a":"eyJwYXNzd29yZCI6Imh1bnRlcjItWDkifQ==","b":"c"}', '{"a":"[REDACTED]","b":"c"}'),
        ('{"a":"W3sicGFzc3dvcmQiOiJodW50ZXIyLVg5In1d","token":""}', '{"a":"[REDACTED]","token":""}'),
        (' {"a" : 1,\n\t"password"\n:\r\n"hunter2-X9" }\n', ' {"a" : 1,\n\t"password"\n:\r\n"[REDACTED]" }\n'),
        ('{"a":{"b":[{"clientSecret":"x1"},{"client-secret":"x2"}]}}', '{"a":{"b":[{"clientSecret":"[REDACTED]"},{"client-secret":"[REDACTED]"}]}}'),
        ('{"password":"one1","n":12345678901234567890123,"password":"two2"}', '{"password":"[REDACTED]","n":12345678901234567890123,"password":"[REDACTED]"}'),
        ('{"password":1234,"n":1.50E+2}', '{"password":"[REDACTED]","n":1.50E+2}'),
        ('{"password":-12345678901234567890.5e-3}', '{"password":"[REDACTED]"}'),
        ('{"password":null,"token":true,"secret":false,"api_key":""}', '{"password":null,"token":true,"secret":false,"api_key":""}'),
        ('{"secrets":{"a":"x1","b":[2,null,true,{"c":"x3"}]},"d":4}', '{"secrets":{"a":"[REDACTED]","b":["[REDACTED]",null,true,{"c":"[REDACTED]"}]},"d":4}'),
        (r'{"p\u0061ssword":"x1"}', r'{"p\u0061ssword":"[REDACTED]"}'),
        (r'{"\u0070\u0061\u0073\u0073word":"x1"}', r'{"\u0070\u0061\u0073\u0073word":"[REDACTED]"}'),
        (r'{"password":"a\"b\\","c":1}', r'{"password":"[REDACTED]","c":1}'),
        (r'{"x":"{\"password\":\"a\\\"b\",\"c\":1}"}', r'{"x":"{\"password\":\"[REDACTED]\",\"c\":1}"}'),
        (r'{"x":"{\"password\":1234}"}', r'{"x":"{\"password\":\"[REDACTED]\"}"}'),
        (r'{"x":"{\u0022password\u0022:1234}"}', r'{"x":"{\u0022password\u0022:\"[REDACTED]\"}"}'),
        (r'["{\"x\":\"{\\\"password\\\":\\\"x1\\\",\\\"n\\\":5}\"}"]', r'["{\"x\":\"{\\\"password\\\":\\\"[REDACTED]\\\",\\\"n\\\":5}\"}"]'),
        (r'["{\"x\":\"{\\\"password\\\":5}\"}"]', r'["{\"x\":\"{\\\"password\\\":\\\"[REDACTED]\\\"}\"}"]'),
        ('{"message":"login with password=hunter2-X9 failed"}', '{"message":"login with password=[REDACTED] failed"}'),
        (r'{"message":"\ud83d\ude00\n\u00e9 password=hunter2-X9 \u00e9"}', r'{"message":"\ud83d\ude00\n\u00e9 password=[REDACTED] \u00e9"}'),
        (r'{"next":"https:\/\/bob:hunter2-X9@h\/?a=1"}', r'{"next":"https:\/\/bob:%5BREDACTED%5D@h\/?a=1"}'),
        ('{"next":"https://h/?access_token=hunter2-X9&a=1"}', '{"next":"https://h/?access_token=%5BREDACTED%5D&a=1"}'),
        ('{"headers":{"Authorization":"Bearer x1","Cookie":"a=x2; b=x3","A":"b"}}', '{"headers":{"Authorization":"Bearer [REDACTED]","Cookie":"a=[REDACTED]; b=[REDACTED]","A":"b"}}'),
        ('[{"name":"Authorization","value":"Bearer x1"},{"name":"A","value":"b"}]', '[{"name":"Authorization","value":"Bearer [REDACTED]"},{"name":"A","value":"b"}]'),
        ('[{"key":"password","type":"text","value":"x1"}]', '[{"key":"password","type":"text","value":"[REDACTED]"}]'),
        ('[{"name":"X-Api-Key","value":"x1"},{"name":"key","value":"C"}]', '[{"name":"X-Api-Key","value":"[REDACTED]"},{"name":"key","value":"C"}]'),
        ('[{"value":"x1","name":"password"}]', '[{"value":"[REDACTED]","name":"password"}]'),
        ('{"query":"mutation { login(password: \\"x1\\") { id } }"}', '{"query":"mutation { login(password: \\"[REDACTED]\\") { id } }"}'),
        ('{"password":"x1"}\n{"token":"x2"}\n', '{"password":"[REDACTED]"}\n{"token":"[REDACTED]"}\n'),
        ('{"password":"x1"}{"token":"x2"}', '{"password":"[REDACTED]"}{"token":"[REDACTED]"}'),
        (')]}\',\n{"password":"x1"}', ')]}\',\n{"password":"[REDACTED]"}'),
        ('for(;;);{"password":"x1"}', 'for(;;);{"password":"[REDACTED]"}'),
        ('call.back({"password":"x1"});', 'call.back({"password":"[REDACTED]"});'),
        ('\ufeff{"password":"x1"}', '\ufeff{"password":"[REDACTED]"}'),
        ('{"a":1,"password":"x1', '{"a":1,"password":"[REDACTED]'),
        ('{"a":1,"password":"x1\\', '{"a":1,"password":"[REDACTED]'),
        ('{"a":1,"password":"x1\\u00', '{"a":1,"password":"[REDACTED]'),
        ('{"a":1,"password":12', '{"a":1,"password":"[REDACTED]"'),
        ('{"a":1,"password":{"b":["x1', '{"a":1,"password":{"b":["[REDACTED]'),
        ('{"a":1,"passw', '{"a":1,"passw'),
        ('"password=hunter2-X9"', '"password=[REDACTED]"'),
        ('{"a":"\ud800","password":"\udfff"}', '{"a":"\ud800","password":"[REDACTED]"}'),
        ('{"author":"x1","tokenizer":"x2","max_tokens":5,"token_type":"bearer","next_page_token":"x3"}',) * 2,
        ('{"required":["username","password"],"name":"password"}',) * 2,
    ],
)  # fmt: skip
def test_the_values_go(text: str, expected: str) -> None:
    """The values of secret names go, at any depth and however they are escaped."""
    assert expected == _redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password=hunter2",
        "hello",
        '{"password": NaN}',
        '{"password": "x" /* why */, "a": 1}',
        "{'password': 'x'}",
        "{password: 'x'}",
        "<password>x</password>",
    ],
)
def test_what_is_no_json(text: str) -> None:
    """Other texts are for others to read."""
    assert json_spans(text, NAMES) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"password":"a\"b\u00e9\ud83d\ude00"}', 'a"b\xe9\U0001f600'),
        ('{"password":1.50}', "1.50"),
        (r'{"x":"{\"password\":\"a\\\"b\"}"}', 'a"b'),
        ('{"Authorization":"Bearer x1"}', "x1"),
    ],
)
def test_the_value_is_given_without_its_escapes(text: str, value: str) -> None:
    """So that it is found again where it is written otherwise."""
    assert [value] == [span.value for span in _spans(text)]


def test_strings_deep_in_strings() -> None:
    """JSON in strings of strings, deeper than is read exactly."""
    text = json.dumps({"password": "hunter2-X9", "n": 5})
    for _ in range(12):
        text = json.dumps({"x": text})
    redacted = _redacted(text)
    assert "hunter2-X9" not in redacted
    for _ in range(12):
        redacted = json.loads(redacted)["x"]
    assert {"password": "[REDACTED]", "n": 5} == json.loads(redacted)


def test_nesting_deeper_than_python_recurs() -> None:
    """Arrays as deep as the text is long."""
    text = "[" * 100_000 + '{"password":"x1"}' + "]" * 100_000
    assert text.replace("x1", "[REDACTED]") == _redacted(text)


def test_the_password_of_a_command_in_a_string() -> None:
    """Curl's option has no name of a secret."""
    text = '{"author":"ann","a":"curl -u ann:hunter2 http://a.test/"}'
    assert ["hunter2"] == [span.value for span in json_spans(text, Names()) or []]


def test_many_words_with_letters_of_names() -> None:
    """A string of very many words that are no names costs no judgement of each."""
    words = " ".join(
        f"key{str(number).translate(str.maketrans('0123456789', 'abcdefghij'))}" for number in range(50_000)
    )
    names = Names()
    assert [] == json_spans(json.dumps([words]), names)
    assert len(names.fields) < 100
