"""Secrets in any text: what goes, and what stays."""

# ruff: noqa: E501, Q003 - a case stands in one line, as it is written in the others

from __future__ import annotations

from urllib.parse import quote

import pytest

from otel_har.redaction.names import Names
from otel_har.redaction.spans import plain_mark, replaced
from otel_har.redaction.text import text_spans

NAMES = Names()
BASIC = "dXNlcjpodW50ZXIyLVg5"
JSON_IN_BASE64 = "eyJ1c2VyIjogImJvYiIsICJwYXNzd29yZCI6ICJodW50ZXIyLVg5In0="


def _redacted(text: str) -> str:
    return replaced(text, text_spans(text, NAMES), plain_mark)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2-X9", "password=[REDACTED]"),
        ("user=bob&password=hunter2-X9&x=1", "user=bob&password=%5BREDACTED%5D&x=1"),
        ("user=bob;Password=hunter2-X9;Server=db", "user=bob;Password=[REDACTED];Server=db"),
        ("login(user='bob', password=hunter2-X9)", "login(user='bob', password=[REDACTED])"),
        ("password: hunter2-X9", "password: [REDACTED]"),
        ("password: two words", "password: [REDACTED]"),
        ("password: it's mine", "password: [REDACTED]"),
        ("user: bob, password: hunter2-X9, age: 5", "user: bob, password: [REDACTED], age: 5"),
        ("password: hunter2-X9, age: 5", "password: [REDACTED], age: 5"),
        ("a password: hunter2-X9 came", "a password: [REDACTED] came"),
        ("a: 1\npassword: two words\nb: 2\n", "a: 1\npassword: [REDACTED]\nb: 2\n"),
        ("a = 1\r\npassword = two words\r\nb = 2\r\n", "a = 1\r\npassword = [REDACTED]\r\nb = 2\r\n"),
        ("db:\n  password: |\n    one\n    two\n  port: 1\n", "db:\n  password: |\n    [REDACTED]\n    [REDACTED]\n  port: 1\n"),
        ("access_tokens:\n  - one1\n  - two2\nport: 1", "access_tokens:\n  - [REDACTED]\n  - [REDACTED]\nport: 1"),
        ("API key: hunter2-X9", "API key: [REDACTED]"),
        ("export DB_PASSWORD=hunter2-X9", "export DB_PASSWORD=[REDACTED]"),
        ("x := password := hunter2-X9", "x := password := [REDACTED]"),
        ('"password": "hunter2-X9", "a": 1', '"password": "[REDACTED]", "a": 1'),
        ('{"password": "hunter2-X9', '{"password": "[REDACTED]'),
        (r'{"password": "hun\"ter2-X9", "a": 1}', '{"password": "[REDACTED]", "a": 1}'),
        (r'{"password": "hunter2-X9\\", "a": 1}', '{"password": "[REDACTED]", "a": 1}'),
        ('{"password": 1234, "a": 1}', '{"password": "[REDACTED]", "a": 1}'),
        ('{"password": {"a": "one1", "b": [2, "two2"]}, "c": 3}', '{"password": {"a": "[REDACTED]", "b": ["[REDACTED]", "[REDACTED]"]}, "c": 3}'),
        ("{'password': 'hunter2-X9', 'a': None}", "{'password': '[REDACTED]', 'a': None}"),
        ("{'password': b'hunter2-X9', 'a': 1}", "{'password': b'[REDACTED]', 'a': 1}"),
        ("{password: 'hunter2-X9', a: 1}", "{password: '[REDACTED]', a: 1}"),
        ("{password:hunter2-X9,a:1}", "{password:[REDACTED],a:1}"),
        ("'password' => 'hunter2-X9', 'a' => 1", "'password' => '[REDACTED]', 'a' => 1"),
        ('x["password"] = "hunter2-X9"', 'x["password"] = "[REDACTED]"'),
        ('password = """hun\nter2"""', 'password = """[REDACTED]"""'),
        (r'"{\"password\": \"hunter2-X9\", \"a\": 1}"', r'"{\"password\": \"[REDACTED]\", \"a\": 1}"'),
        (r'"{\"pin_code\":0,\"password\":1234}"', r'"{\"pin_code\":0,\"password\":\"[REDACTED]\"}"'),
        (r'"\"{\\\"password\\\":\\\"hun\\\\\\\"ter2\\\",\\\"a\\\":1}\""', r'"\"{\\\"password\\\":\\\"[REDACTED]\\\",\\\"a\\\":1}\""'),
        (r"{\u0022password\u0022:\u0022hunter2-X9\u0022}", r"{\u0022password\u0022:\u0022[REDACTED]\u0022}"),
        (r'{"p\u0061ssword":"hunter2-X9"', r'{"p\u0061ssword":"[REDACTED]"'),
        ("{&quot;password&quot;:&quot;hunter2-X9&quot;}", "{&quot;password&quot;:&quot;[REDACTED]&quot;}"),
        ("password%3Dhunter2-X9%26a%3D1", "password%3D%5BREDACTED%5D%26a%3D1"),
        ("%7B%22password%22%3A%22hunter2-X9%22%2C%22a%22%3A1%7D", "%7B%22password%22%3A%22%5BREDACTED%5D%22%2C%22a%22%3A1%7D"),
        ("user%5Bpassword%5D=hunter2-X9&a=1", "user%5Bpassword%5D=[REDACTED]&a=1"),
        ("run --password hunter2-X9 --verbose", "run --password [REDACTED] --verbose"),
        ("run --password 'two words' --verbose", "run --password '[REDACTED]' --verbose"),
        ("run --password=hunter2-X9 --verbose", "run --password=[REDACTED] --verbose"),
        ("curl -u bob:hunter2-X9 https://h/", "curl -u bob:[REDACTED] https://h/"),
        ("curl -H 'Authorization: Bearer hunter2-X9' https://h/", "curl -H 'Authorization: Bearer [REDACTED]' https://h/"),
        ("curl -H 'X-Api-Key: hunter2-X9' https://h/", "curl -H 'X-Api-Key: [REDACTED]' https://h/"),
        ("curl -H 'Cookie: a=one1; b=two2' https://h/", "curl -H 'Cookie: a=[REDACTED]; b=[REDACTED]' https://h/"),
        ("<password>hunter2-X9</password><a>1</a>", "<password>[REDACTED]</password><a>1</a>"),
        ("<w:Password Type='t'>hunter2-X9</w:Password>", "<w:Password Type='t'>[REDACTED]</w:Password>"),
        ("<password><![CDATA[hunter2-X9]]></password>", "<password><![CDATA[[REDACTED]]]></password>"),
        ("<password><plain>hunter2-X9</plain></password>", "<password><plain>[REDACTED]</plain></password>"),
        ("<password>hunter2-X9", "<password>[REDACTED]"),
        ('<x user="bob" password="hunter2-X9"/>', '<x user="bob" password="[REDACTED]"/>'),
        ('<add key="ApiKey" value="hunter2-X9" />', '<add key="ApiKey" value="[REDACTED]" />'),
        ('<input value="hunter2-X9" name="csrf_token">', '<input value="[REDACTED]" name="csrf_token">'),
        ('<meta name="csrf-token" content="hunter2-X9">', '<meta name="csrf-token" content="[REDACTED]">'),
        ('<string name="password">hunter2-X9</string>', '<string name="password">[REDACTED]</string>'),
        ("<key>password</key><string>hunter2-X9</string>", "<key>password</key><string>[REDACTED]</string>"),
        ("[('password', 'hunter2-X9'), ('a', 'b')]", "[('password', '[REDACTED]'), ('a', 'b')]"),
        ("[(b'Authorization', b'Bearer hunter2-X9'), (b'a', b'b')]", "[(b'Authorization', b'Bearer [REDACTED]'), (b'a', b'b')]"),
        ("{'name': 'password', 'value': 'hunter2-X9'}", "{'name': 'password', 'value': '[REDACTED]'}"),
        ("GET /?access_token=hunter2-X9&a=1 HTTP/1.1", "GET /?access_token=%5BREDACTED%5D&a=1 HTTP/1.1"),
        ("see https://bob:hunter2-X9@h/p for more", "see https://bob:%5BREDACTED%5D@h/p for more"),
        ("see https://h/p?X-Amz-Signature=hunter2-X9&a=1 for more", "see https://h/p?X-Amz-Signature=%5BREDACTED%5D&a=1 for more"),
        ("HTTPError: 401 for url: https://h/?api_key=hunter2-X9\n  File", "HTTPError: 401 for url: https://h/?api_key=%5BREDACTED%5D\n  File"),
        ("POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic " + BASIC + "\r\nA: b\r\n", "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic [REDACTED]\r\nA: b\r\n"),
        ("Set-Cookie: a=hunter2-X9; Path=/; Secure\r\nA: b", "Set-Cookie: a=[REDACTED]; Path=/; Secure\r\nA: b"),
        ("Cookie: a=one1; b=two2\r\nA: b", "Cookie: a=[REDACTED]; b=[REDACTED]\r\nA: b"),
        ('event: m\ndata: {"password":"hunter2-X9","n":1}\n\n', 'event: m\ndata: {"password":"[REDACTED]","n":1}\n\n'),
        ('mutation { login(email: "a", password: "hunter2-X9") { id } }', 'mutation { login(email: "a", password: "[REDACTED]") { id } }'),
        ("UPDATE u SET password = 'hunter2-X9' WHERE id = 1", "UPDATE u SET password = '[REDACTED]' WHERE id = 1"),
        ("state: " + JSON_IN_BASE64, "state: [REDACTED]"),
        ("x\0password=hunter2-X9\0y", "x\0password=[REDACTED]"),
        ("\ud800password=hunter2-X9 \udfff", "\ud800password=[REDACTED] \udfff"),
        ("\u0130\u0130 password=hunter2-X9 \u0130", "\u0130\u0130 password=[REDACTED] \u0130"),
    ],
)  # fmt: skip
def test_the_value_goes(text: str, expected: str) -> None:
    """The value of a secret name goes in every notation; what is around it stays."""
    assert expected == _redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "a password is needed: yes",
        "The password is required.",
        "password: required",
        "Password: must be at least 8 characters",
        '{"author": "bob", "authority": "x:y", "tokenizer": "bpe", "secretary": "ann"}',
        "passenger=bob&bypass=1&compass=north&signal=9",
        "monkey: banana\nkeyboard: qwerty\npublic_key: abc\nidempotency-key: 1",
        '{"token_type": "bearer", "expires_in": 3600, "max_tokens": 5, "tokens": 7}',
        '{"next_page_token": "abc", "continuation_token": "def", "page_token": "x"}',
        "Connection: Keep-Alive\r\nContent-Type: text/html; charset=utf-8\r\nETag: \"a1b2\"\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "id=3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        '{"password": null, "token": true, "secret": false, "api_key": ""}',
        "{'password': None, 'token': True}",
        "password=[REDACTED]&token=%5BREDACTED%5D",
        "password: ********",
        "mutation($password: String!) { login(password: $password) { id } }",
        "if (a.password==b.password) { f() }",
        "token = get_token()",
        "std::token::kind",
        "def login(user: str, password: str) -> None:",
        '<label for="password">Password</label>',
        '["password", "email"]',
        "2024-01-01T12:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    """False alarms destroy use."""
    assert text == _redacted(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"password": "hun\"ter\u00e9"}', 'hun"ter\xe9'),
        ("a=1&password=a%20b%C3%A9", "a b\xe9"),
        ("{&quot;password&quot;:&quot;a&amp;b&quot;}", "a&b"),
        (r'"{\"password\":\"a\\\"b\"}"', 'a"b'),
        ("https://h/?access_token=a%2Bb", "a+b"),
        ('"password": 1234', "1234"),
    ],
)
def test_the_value_is_given_without_its_escapes(text: str, value: str) -> None:
    """So that it is found again where it is written otherwise."""
    assert {value} == {span.value for span in text_spans(text, NAMES)}


def test_further_names() -> None:
    """A further field is found in any text, and a kept one stays."""
    names = Names(extra_fields=["flurble"], keep=["password"])
    text = "flurble=abc123 password=abc123"
    assert "flurble=[REDACTED] password=abc123" == replaced(text, text_spans(text, names), plain_mark)


_URL = "https://ann:x1y2z3@h.test/cb?page=2&code=c0d3&access_token=t0k3n"


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("text", ["next={}", "see {} now", '{{"next": "{}"}}', "a={}&b=1", "{}"])
def test_urls_that_are_encoded_within_a_text(text: str, times: int) -> None:
    """Their parts are secret as those of any URL, however often it is encoded; the rest of it stays."""
    written, expected = _URL, "https://ann:*@h.test/cb?page=2&code=*&access_token=*"
    for _ in range(times):
        written, expected = quote(written, safe=""), quote(expected, safe="*")
    redacted = replaced(text.format(written), text_spans(text.format(written), NAMES), plain_mark)
    assert text.format(expected) == redacted.replace("%5BREDACTED%5D", "*")


def test_paths_that_are_encoded_within_a_text() -> None:
    """A path with a query has no scheme; what has the form of no query stays."""
    text = "to %2Fcb%3Fcode%3Dx1%26state%3D7, why%3F yes%3F a%3Db https%3A%2F%2Fh.test%2Fcode%2Fsig"
    expected = text.replace("x1", "%5BREDACTED%5D")
    assert expected == replaced(text, text_spans(text, NAMES), plain_mark)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X-Tenant: abc", "X-Tenant: *"),
        ("failed with X-Tenant: abc, retry", "failed with X-Tenant: *, retry"),
        ("{'X-Tenant': 'abc'}", "{'X-Tenant': '*'}"),
        ("GET / HTTP/1.1\r\nFloor: seven\r\nHost: h", "GET / HTTP/1.1\r\nFloor: *\r\nHost: h"),
        ("take the floor: seven", "take the floor: seven"),
        ("fastly-key: abc\nX-Honeycomb-Team: d3f\nHost: h", "fastly-key: *\nX-Honeycomb-Team: *\nHost: h"),
        ("Jenkins-Crumb: abc", "Jenkins-Crumb: *"),
        ("ok-access-sign: abc", "ok-access-sign: *"),
        ("X-Tenant-Kind: abc", "X-Tenant-Kind: abc"),
        ("breadcrumb: home, sign-in: now", "breadcrumb: home, sign-in: now"),
    ],
)
def test_dumps_of_header_fields(text: str, expected: str) -> None:
    """Further header fields are secret in texts, too, and those that are known; words of the language are not."""
    names = Names(extra_headers=["X-Tenant", "Floor"])
    assert expected == replaced(text, text_spans(text, names), plain_mark).replace("[REDACTED]", "*")
