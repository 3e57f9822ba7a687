"""Whatever an entry holds: what is redacted once stays what it is, also where marks have hashes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_har.redaction.policy import RedactionPolicy
from otel_har.redaction.redactor import Redactor

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
secrets = st.sampled_from(
    [
        *("s3cr3tV4l0042", "p@ss w0rd!7", "a+b/c==", "hunter2", "1234", "x", 'quoted"q"', "a&b=c;d,e", "%41%42c"),
        *("ghp_0123456789abcdefghijABCDEFGHIJ012345", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2ln"),
        *("AKIAIOSFODNN7EXAMPLE", "tr\xe9s", "null"),
    ]
)
names = st.sampled_from(["password", "access_token", "api_key", "code", "q", "state", "author", "token", "sig"])
pairs = st.lists(st.tuples(names, secrets), min_size=1, max_size=3)
documents = st.dictionaries(names, secrets | st.integers() | st.none() | st.lists(secrets, max_size=2), max_size=3)
encoders = st.sampled_from([quote, quote_plus])


@st.composite
def urls(draw: st.DrawFn) -> str:
    """A URL, perhaps with JSON or another URL in it."""
    user = quote(draw(secrets), safe="")
    url = draw(st.sampled_from(["https://h.test/", f"https://user:{user}@h.test/", f"https://{user}:x-oauth-basic@h/"]))
    url += "?" + urlencode(draw(pairs))
    encode: Any = draw(encoders)
    if draw(st.booleans()):
        url += f"&next={encode(json.dumps(draw(documents)), safe='')}"
    return f"https://h.test/?a=1&u={encode(url, safe='')}&b=2" if draw(st.booleans()) else url


texts = (
    urls()
    | documents.map(json.dumps)
    | pairs.map(urlencode)
    | st.tuples(names, secrets).map("=".join)
    | st.tuples(names, secrets).map(": ".join)
    | urls().map(lambda url: f"GET {url} failed")
)
entries = st.fixed_dictionaries(
    {
        "comment": texts,
        "request": st.fixed_dictionaries(
            {
                "url": urls(),
                "headers": st.tuples(st.sampled_from(["Location", "Referer", "X-Any", "X-Api-Key"]), texts).map(
                    lambda pair: [{"name": pair[0], "value": pair[1]}]
                ),
                "postData": texts.map(lambda text: {"mimeType": "text/plain", "text": text}),
            }
        ),
    }
)


@pytest.mark.parametrize("policy", [RedactionPolicy(), RedactionPolicy(hashes=True, salt=b"salt-of-a-test")])
@many
@given(entry=entries)
def test_the_second_time_nothing_changes(policy: RedactionPolicy, entry: dict[str, Any]) -> None:
    """By the same policy; the marks of the first time are not taken for secrets, as a whole or in part."""
    redactor = Redactor(policy)
    once = redactor.entry(entry)
    assert once == redactor.entry(once)
