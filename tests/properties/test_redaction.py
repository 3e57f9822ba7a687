"""Whatever a text is: its secrets go, its structure stays, and it takes a time that grows as the text does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_har.redaction.forms import form_spans, multipart_spans
from otel_har.redaction.harmless import describes
from otel_har.redaction.headers import header_value_spans
from otel_har.redaction.json_text import json_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span, plain_mark, replaced
from otel_har.redaction.text import text_spans
from otel_har.redaction.urls import url_spans

NAMES = Names()
REDACTED = "[REDACTED]"
PLANTED = "plAnted-7-vaLue"

many = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

READERS: dict[str, Callable[[str], list[Span] | None]] = {
    "text": lambda text: text_spans(text, NAMES),
    "json": lambda text: json_spans(text, NAMES),
    "form": lambda text: form_spans(text, NAMES),
    "url": lambda text: url_spans(text, NAMES),
    "multipart": lambda text: multipart_spans(text, None, NAMES),
    "authorization": lambda text: header_value_spans("Authorization", text, NAMES).spans,
    "cookie": lambda text: header_value_spans("Cookie", text, NAMES).spans,
    "header": lambda text: header_value_spans("X-Any", text, NAMES).spans,
}

secret_names = st.sampled_from(
    ["password", "access_token", "clientSecret", "API-Key", "DB_PASSWORD", "refreshToken", "user[password]", "secret"]
)
harmless_names = st.sampled_from(["author", "tokenizer", "id", "page_token", "max_tokens", "name", "\xe9", ""])
any_text = st.text(st.characters(), max_size=30)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | any_text
documents = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(harmless_names | secret_names | any_text, children, max_size=4)
    ),
    max_leaves=20,
)
encodable = st.text(st.characters(codec="utf-8"), max_size=30)
encodable_values = st.text(st.characters(codec="utf-8"), max_size=10).map(lambda around: f"{around}{PLANTED}{around}")
values = st.text(st.characters(), max_size=10).map(lambda around: f"{around}{PLANTED}{around}")
pieces = st.sampled_from(
    [
        *("password", "token", "Authorization", "Cookie", "api_key", "access_token", "name", "value", "data"),
        *('"', "'", "\\", '\\"', "\\\\", "`", "&quot;", "%22", "\\u0022", "\\u", "\\x", '"""', "'''"),
        *("=", ":", "=>", ":=", ",", ";", "&", "?", "#", "/", "//", "://", "@", "%3D", "%25", "%"),
        *("{", "}", "[", "]", "(", ")", "<", ">", "</", "/>", "<![CDATA[", "]]>", "|", "-", "--", "$", "*"),
        *(" ", "\t", "\n", "\r\n", "\r", "\0", "\ud800", "\udfff", "\u0130", "\xe9", "\U0001f600", "\ufeff"),
        *("Bearer ", "Basic ", "Digest ", "eyJ", "-----BEGIN PRIVATE KEY-----", "AKIA", "ghp_", "x", "12", "null"),
        *("--b\r\n", 'form-data; name="', "\r\n\r\n", "curl -u a:b ", ")]}'\n", "grant_type=", "?a=", "~", ")]}'"),
    ]
)
hostile = st.lists(pieces | st.text(st.characters(), max_size=4), max_size=30).map("".join)


def _redacted(text: str, spans: list[Span] | None) -> str:
    assert spans is not None
    return replaced(text, spans, plain_mark)


@pytest.mark.parametrize("reader", READERS)
@many
@given(text=hostile)
@example(text="")
@example(text="password=\\")
@example(text='{"password":"')
@example(text='{"password":"\\')
@example(text='{"password"')
@example(text="?password=%")
def test_any_text_gives_places_within_it(reader: str, text: str) -> None:
    """Nothing is raised; each place lies in the text, and what stands there is not nothing."""
    spans = READERS[reader](text) or []
    assert [] == [span for span in spans if not 0 <= span.start < span.end <= len(text)]
    assert [] == [span for span in spans if not span.value]


@many
@given(text=hostile)
def test_any_string_stays_one_string_in_json(text: str) -> None:
    """What stands in a string of JSON is redacted within it."""
    document = json.dumps({"a": text, "b": [text, 1]}, ensure_ascii=False)
    redacted = json.loads(_redacted(document, json_spans(document, NAMES)))
    assert ["a", "b", 1] == [*redacted, redacted["b"][1]]


def _expected(value: Any, *, secret: bool = False) -> Any:
    """The document with marks in the places of what stands under secret names."""
    if isinstance(value, dict):
        return {name: _expected(inner, secret=_is_secret(name, inner, secret)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expected(inner, secret=secret) for inner in value]
    if not secret or value is None or isinstance(value, bool):
        return value
    return REDACTED


def _is_secret(name: str, value: Any, below: bool) -> bool:
    if NAMES.field(name):
        return not (isinstance(value, dict) and "/" in name)
    return below and not describes(name, value if isinstance(value, str) else "")


def _shape(value: Any) -> Any:
    """The names, the order and the kinds of a document, without its strings."""
    if isinstance(value, dict):
        return [(name, _shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return "string" if isinstance(value, str) else value


@many
@given(
    document=st.dictionaries(harmless_names | secret_names, documents, max_size=5),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", "\t:\n")]),
)
def test_json_stays_the_json_it_was(
    document: dict[str, Any], ascii_only: bool, indent: int | str | None, separators: tuple[str, str]
) -> None:
    """Structure, names, order and what is no secret stay."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent, separators=separators)
    spans = json_spans(text, NAMES) or []
    redacted = json.loads(_redacted(text, spans))
    assert list(map(_shape, _leaves(_expected(document)))) == list(map(_shape, _leaves(redacted)))


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, (*path, name))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))]
    return [[*path, value]]


def _planted(name: str, value: str, depth: int, path: list[str]) -> str:
    document: Any = {"n": 12345678901234567890, name: value, "m": 1.50}
    for step in path:
        document = {"before": [1], step: [document], "after": None}
    text = json.dumps(document)
    for level in range(depth):
        text = json.dumps({"inner": text}, ensure_ascii=bool(level % 2))
    return text


@many
@given(name=secret_names, value=values, depth=st.integers(0, 5), path=st.lists(harmless_names | any_text, max_size=3))
def test_a_planted_value_never_remains_in_json(name: str, value: str, depth: int, path: list[str]) -> None:
    """At any depth, in strings of strings, however it is escaped."""
    text = _planted(name, value, depth, path)
    redacted = _redacted(text, json_spans(text, NAMES))
    assert PLANTED not in redacted
    for _ in range(depth):
        redacted = json.loads(redacted)["inner"]
    assert isinstance(json.loads(redacted), dict)


@many
@given(name=secret_names, value=values, depth=st.integers(0, 3), cut=st.integers(1, 400))
def test_a_planted_value_never_remains_in_json_that_is_cut(name: str, value: str, depth: int, cut: int) -> None:
    """What remains of a body may end within the secret."""
    text = _planted(name, value, depth, ["a"])[:-cut]
    spans = json_spans(text, NAMES)
    redacted = _redacted(text, text_spans(text, NAMES) if spans is None else spans)
    assert PLANTED[:5] not in redacted


@many
@given(name=secret_names, depth=st.integers(0, 4), cut=st.integers(0, 60))
def test_a_planted_value_never_remains_in_any_text(name: str, depth: int, cut: int) -> None:
    """The reader of any text finds it in what is no whole JSON too."""
    text = _planted(name, PLANTED, depth, ["a"])[cut:]
    log = f"log: {text}"
    is_whole = name in text  # the cut may have taken the name
    assert not is_whole or PLANTED not in _redacted(log, text_spans(log, NAMES))


@many
@given(
    fields=st.lists(st.tuples(harmless_names | secret_names, encodable), max_size=6),
    name=secret_names,
    value=encodable_values,
)
def test_a_form_stays_a_form(fields: list[tuple[str, str]], name: str, value: str) -> None:
    """The same names in the same order; a planted value never remains."""
    fields = [*fields, (name, value), *fields]
    text = urlencode(fields)
    redacted = _redacted(text, form_spans(text, NAMES))
    after = parse_qsl(redacted, keep_blank_values=True)
    assert [name for name, _ in fields] == [name for name, _ in after]
    assert PLANTED not in "".join(value for _, value in after)
    assert [REDACTED] * fields.count((name, value)) == [
        after[index][1] for index, one in enumerate(fields) if one == (name, value)
    ]


@many
@given(name=secret_names, value=encodable_values, depth=st.integers(0, 3), plus=st.booleans())
def test_a_planted_value_never_remains_in_a_url(name: str, value: str, depth: int, plus: bool) -> None:
    """In URLs within URLs, however it is encoded."""
    encode = quote_plus if plus else quote
    url = f"https://h/p?a=1&{encode(name)}={encode(value, safe='')}&b=2"
    for _ in range(depth):
        url = f"https://h/p?a=1&next={encode(url, safe='')}&b=2"
    redacted = _redacted(url, url_spans(url, NAMES))
    assert PLANTED not in redacted
    assert url.split("&")[0] + url.split("&")[-1] == redacted.split("&")[0] + redacted.split("&")[-1]


@many
@given(text=st.text(st.characters(exclude_categories=["Lu", "Ll", "Lt", "Nd"]), max_size=200))
def test_a_text_without_letters_is_returned_as_it_is(text: str) -> None:
    """No name, no form: nothing goes."""
    assert (text, [], []) == (_redacted(text, text_spans(text, NAMES)), form_spans(text, NAMES), url_spans(text, NAMES))


@many
@given(
    words=st.lists(
        st.sampled_from(["the", "quick", "fox", "jumps", "12", ":", "=", ",", "{}", "--", "<b>", "\n", '"a":', "?a=b"]),
        max_size=60,
    )
)
def test_a_text_without_anchors_is_returned_as_it_is(words: list[str]) -> None:
    """Ordinary text stays."""
    text = " ".join(words)
    assert text == _redacted(text, text_spans(text, NAMES))


UNITS = [
    *("a", " ", "\n", "\\", '"', "'", "%", "&", "=", ":", ";", "<", "?a=", "://u:", "[[],", '{"a":', '"\\\\",'),
    *("pass", "pass ", '"password"', "password=", "password:", "password: ", "password=x ", 'password:"'),
    *('"password":"x",', "'password':'x',", '\\"password\\":\\"x\\",', '\\"password: a\\", ', "password:a,"),
    *('"password":{', "<password>", "<password>x</password>", 'name="password" ', "(\"password\",'''"),
    *("password%3D", "%22password%22%3A%22", "cookie: ", '"cookie: ', "Authorization: Bearer ", "--password "),
    *('Authorization: Digest a="', "eyJ", "\npassword: |\n", '"name":"password",', "curl -u a:b ", "\\u0022password"),
    *("&quot;password&quot;:&quot;", 'form-data; name="password"\r\n\r\n', "\n--b\r\n", "\u0130", "?password=x "),
]


@pytest.mark.parametrize("reader", READERS)
def test_the_work_is_linear(reader: str) -> None:
    """Twice the text takes about twice the time, whatever is repeated in it."""
    slow = []
    for unit in UNITS:
        text = '{"x":"","password":' * (reader == "json") + unit * (20_000 // len(unit))
        if _seconds(reader, text) > 0.02 and _seconds(reader, text * 4) > 12 * _seconds(reader, text):
            slow.append(unit)
    assert [] == slow


def _seconds(reader: str, text: str) -> float:
    """The best of three, in CPU time."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        READERS[reader](text)
        times.append(time.process_time() - begin)
    return min(times)
