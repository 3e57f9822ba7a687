"""Whatever documents came before: what is known to be harmless has no secret by any rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_har.redaction.bodies import body_spans
from otel_har.redaction.json_text import read_spans
from otel_har.redaction.known_strings import is_known_to_be_harmless
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import COMMANDS
from otel_har.redaction.shape_readers import READERS
from otel_har.redaction.text import text_spans

if TYPE_CHECKING:
    from otel_har.redaction.spans import Span

names = st.sampled_from(
    ["password", "access_token", "author", "key", "keyword", "name", "value", "id", "tokens", "codes", "connection"]
)
words = st.sampled_from(
    [
        *("s3cr3tV4l0042", "a", "token", "author", "keys", "Bearer abcdefghijk0123456789abcdef", "user:pw@h", ": 1, "),
        *("ghp_0123456789abcdefghijABCDEFGHIJ012345", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2ln"),
        *("https://user:secret99@h.test/a", "https://hooks.slack.com/services/T000/B000/abcdefghijklmnop", "a?token=b"),
        *("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabc", "x" * 70 + "password", "é", "%3A%2F%2F"),
        *(
            "-----BEGIN PRIVATE KEY-----",
            "curl -u a:b1c2d3 https://h",
            '"',
            "\\",
            "data:text/plain;base64,aGVsbG8gd29ybGQ=",
        ),
        *(
            "50% off",
            "How?",
            "?q=Bearer+abcdef0123456789",
            "a?b=c&d=%41",
            "\\n",
            "\\x70assword=a1b2",
            "\\u0070assword=a1b2",
        ),
        *(
            'say "the key" is',
            "author, passage",
            "x-api-key",
            "--password x1y2z3",
            "%20ghp_0123456789abcdefghijABCDEFGHIJ",
        ),
        *(
            "12",
            "345",
            "item 7 of 12",
            "a@b.test",
            "identified by 'x1y2'",
            "\nghp_0123456789abcdefghijABCDEFGHIJ012345",
        ),
        *("/1//0abcdefghijklmnopqrst", "/M2345678901234567890123A.abcdef.abcdefghijklmnopqrstuvwxyz0"),
        *(needle for needle, _ in READERS),
        *COMMANDS,
    ]
)
strings = words | st.lists(words | st.text(max_size=3), max_size=3).map("".join)
documents = st.recursive(
    strings | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | strings, inner, max_size=4),
    max_leaves=8,
)
texts = (
    st.builds(json.dumps, documents, ensure_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
    | documents.map(json.dumps).map(lambda text: text[: len(text) // 2])
    | st.lists(strings | st.sampled_from(['"', "{", "[", ":", ",", " ", "\n"]), max_size=12).map("".join)
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(texts, min_size=1, max_size=8))
@example(['["a"]', '["a","ghp_0123456789abcdefghijABCDEFGHIJ012345"]', '["a"]'])
@example(['{"author": "a"}', '{"password": "a"}', '{"author": "password"}'])
def test_what_is_known_has_no_secret(before: list[str]) -> None:
    """Reading gives nothing of it, and remembering what came before changes nothing of what is found."""
    seen = Names()
    for text in before * 3:
        is_known = text.lstrip()[:1] in {"{", "["} and is_known_to_be_harmless(text, seen)
        expected = body_spans(text, "application/json", Names())
        assert expected == body_spans(text, "application/json", seen)
        assert not (is_known and _read(text))


def _read(text: str) -> list[Span]:
    """What is found without asking what is known; what turns out to be no JSON is any text."""
    spans = read_spans(text, Names())
    return text_spans(text, Names()) if spans is None else spans


def test_documents_that_say_the_same_are_known() -> None:
    """The second of a kind is told by its strings alone, also with other numbers in it."""
    names = Names()
    first = json.dumps([{"author": "a", "url": "https://shop.test/items/1", "price": 1.5}, {"author": "b"}])
    assert not names.strings.harmless
    assert is_known_to_be_harmless(first, names)
    assert {"author", "a", "https://shop.test/items/0", "b"} <= names.strings.harmless
    assert is_known_to_be_harmless(first.replace("1.5", "2.5"), names)
    assert not is_known_to_be_harmless(first.replace("price", "password"), names)
    assert not is_known_to_be_harmless(first.replace('"a"', '"ghp_0123456789abcdefghijABCDEFGHIJ012345"'), names)
    assert {"password"} == names.strings.telling


def test_strings_beside_a_query() -> None:
    """Where a document has queries or escapes, a string with letters of a name is read, whatever it was elsewhere."""
    names = Names()
    plain = json.dumps(["the author, keyboard"])
    assert is_known_to_be_harmless(plain, names)
    text = json.dumps(['?q=Bearer+abcdef0123456789 "the author, keyboard" said'])
    assert ["abcdef0123456789"] == [span.value for span in body_spans(text, "application/json", names)]
    assert is_known_to_be_harmless(json.dumps(["How do you do?", "50% off", "a\nb", 'say "hi"']), names)
    assert not is_known_to_be_harmless('["?q=Bearer+abcdef0123456789 \\" author', names)


def test_outlines_are_known() -> None:
    """What differs in its digits from what was known is known, unless its digits make a token of it."""
    names = Names()
    first = json.dumps(["item 7", "https://shop.test/items/123456", "2030-01-02T03:04:05Z", "dapi" + "5" * 31])
    assert is_known_to_be_harmless(first, names)
    assert {"item 0", "https://shop.test/items/000000", "0000-00-00T00:00:00Z"} <= names.strings.harmless
    assert is_known_to_be_harmless(first.replace("7", "8").replace("1", "2"), names)
    assert not is_known_to_be_harmless(first.replace("item 7", "dapi" + "5" * 32), names)
    assert "dapi" + "0" * 32 not in names.strings.harmless


def test_what_is_remembered_is_bounded() -> None:
    """Strings that are long, or too many, are looked at anew."""
    names = Names()
    for number in range(30_000):
        is_known_to_be_harmless(f'["string {_in_letters(number)}", "{"x" * 100}"]', names)
        assert len(names.strings.harmless) <= 10_000
    is_known_to_be_harmless(json.dumps([_in_letters(number) for number in range(30_000)]), names)
    assert len(names.strings.harmless) <= 10_000
    assert "x" * 100 not in names.strings.harmless


def _in_letters(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "abcdefghij"))
