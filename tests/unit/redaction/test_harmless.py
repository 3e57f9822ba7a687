"""What stands under a secret's name and is none, in every notation; the secret beside it goes all the same."""

# ruff: noqa: E501 - a case stands in one line, as it is written in the others

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_har.redaction.bodies import body_spans
from otel_har.redaction.marks import beside_marks
from otel_har.redaction.names import Names
from otel_har.redaction.spans import plain_mark, replaced

NAMES = Names()
T = "Zq9xKw7Lm3Tp"


def _redacted(text: str, media_type: str) -> str:
    return replaced(text, beside_marks(text, body_spans(text, media_type, NAMES)), plain_mark).replace(
        "[REDACTED]", "*"
    )


HARMLESS_JSON: list[Any] = [
    {"properties": {"password": {"type": "string", "format": "password", "description": "The password", "minLength": 8}}},
    {"properties": {"apiKey": {"type": ["string", "null"], "default": None, "title": "Api key"}}, "required": ["apiKey", "token"]},
    {"definitions": {"Token": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}},
    {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
    {"paths": {"/auth/token": {"post": {"tags": ["auth"], "operationId": "getToken2"}}, "/api/secrets": {"get": {"summary": "List"}}}},
    {"packages": {"node_modules/jsonwebtoken": {"version": "9.0.2", "integrity": "sha512-PRp66vJ865SSqOlgqS8hujT5U4AOgMfhrwYIuIhfKaoSCZ=="}}},
    {"dependencies": {"cookie": "0.6.0", "jsonwebtoken": "^9.0.0", "csrf": "~3.1.0", "passwd": "1.0.0-beta.1"}},
    {"password": "Password", "apiKey": "API key", "secret": "Geheimnis", "token": "Token"},
    {"login": {"password": "Passwort"}},
    {"errors": {"password": ["is too short (minimum is 8 characters)"], "token": ["can't be blank"]}},
    {"error": {"password": "This field is required."}, "validation": {"secret": "must be a string"}},
    {"permissions": {"secrets": "read"}, "credentials": "include", "auth": "required", "secret": "optional"},
    {"content": [{"token": "Hello", "logprob": -0.1, "bytes": [72]}, {"logprob": -1, "token": " world"}]},
    {"vocab": {"token": 1234, "password": 5678}},
    {"token": {"symbol": "USDC", "decimals": 6, "address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "name": "USD Coin"}},
    {"tokens": [{"token": "ETH", "amount": 1}]},
    {"secrets": [{"name": "GH_TOKEN", "created_at": "2019-08-10T14:59:22Z", "visibility": "all"}]},
    {"volumes": [{"secret": {"secretName": "tls", "defaultMode": 420}}]},
    {"auth": {"title": "Sign in", "submit": "Log in now"}, "cookies": {"consent": "Accept all cookies"}},
]  # fmt: skip


@pytest.mark.parametrize("document", HARMLESS_JSON)
def test_json_about_secrets_stays(document: Any) -> None:
    """Descriptions of APIs, packages, labels, messages, pieces of texts."""
    text = json.dumps(document).replace("Geheimnis", "Secret")
    assert text == _redacted(text, "application/json")


@pytest.mark.parametrize(
    "document",
    [
        {"properties": {"password": {"type": "string", "default": "*", "example": "*"}}},
        {"credentials": {"username": "bob", "password": "*", "type": "basic"}},
        {"credentials": {"user": {"password": "*"}, "items": [{"name": "password", "value": "*"}]}},
        {"packages": {"node_modules/a": {"version": "1.0.0", "token": "*"}}},
        {"/prod/db/password": "*", "//registry.test/:_authToken": "*"},
        {"dependencies": {"cookie": "0.6.0"}, "cookie": "*"},
        {"token": {"id": "*", "value": "*", "created_at": "2019-08-10T14:59:22Z"}},
        {"secrets": [{"name": "GH_TOKEN", "value": "*"}]},
        {"secrets": {"a": {"b": ["*", {"type": "x", "c": "*"}]}}},
        {"errors": {"password": ["is too short"]}, "password": "*"},
        {"content": [{"token": "Hello", "logprob": -1}], "token": "*"},
        {"auth": {"title": "Sign in", "submit": "*"}},
        {"rawHeaders": ["Host", "h", "X-Api-Key", "*", "Authorization", "Bearer *", "Cookie", "a=*"]},
        [["password", "*"], ["a", "b"]],
        ["run", "--password", "*", "--verbose"],
        [{"key": "db.password", "value": {"stringValue": "*"}}, {"key": "a", "value": {"stringValue": "b"}}],
    ],
)
def test_secrets_beside_them_go(document: Any) -> None:
    """What has letters and digits goes where what describes it stays."""
    expected = json.dumps(document)
    assert expected == _redacted(expected.replace("*", T), "application/json")


@pytest.mark.parametrize("number", [1234, 97531])
def test_numbers_below_a_secret_go(number: int) -> None:
    """But those that measure it."""
    text = json.dumps({"secret": {"pin": number, "maxLength": 9}, "password": number})
    assert json.dumps({"secret": {"pin": "*", "maxLength": 9}, "password": "*"}) == _redacted(text, "application/json")


def test_plain_words_in_json_go() -> None:
    """A password that is a word is one, where nothing tells otherwise."""
    text = '{"password":"hunter","secret":"correct horse","token":"password","api_key":"my dog"}'
    assert '{"password":"*","secret":"*","token":"*","api_key":"*"}' == _redacted(text, "application/json")


@pytest.mark.parametrize(
    "text",
    [
        "let password = input.value;",
        "self.password = password",
        "x={token:n.token,secret:e,auth:r[0]}",
        "var t={password:{required:!0,minlength:8},cookie:e=>1}",
        "password:!0,secret:void 0,token:null==e?1:e.token",
        "for(var token=tokens[0];;){}case 3:token=4;break",
        'headers={Authorization:"Bearer "+token};return fetch(u)',
        'const TOKEN="access_token",PASSWORD="Password"',
        'auth:"auth/login",routes={password:"/password/reset"}',
        'document.cookie="a="+b+"; path=/";if(e.password===t.password2)return;',
        "t.cookie=`a=${b}`;e.password=n.password2;",
        "/* token: the current token */ type Auth={secret:Buffer}",
        'switch(a){case"secret":return 1}const a={"token":n.token2}',
    ],
)
def test_programs_stay(text: str) -> None:
    """What is computed, and words."""
    for media_type, written in (("text/javascript", text), ("text/html", f"<p>a</p><script>{text}</script>")):
        assert written == _redacted(written, media_type)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'var a={{password:"{T}",token:n.token}}', 'var a={password:"*",token:n.token}'),
        (f"const PASSWORD='{T}';", "const PASSWORD='*';"),
        (f"password=`{T}${{x}}`", "password=`*`"),
        ('password:"p@ss!"', 'password:"*"'),
        ('x={"password":"hunter","pin_code":1}', 'x={"password":"*","pin_code":1}'),
        ('x={"password":1234}', 'x={"password":"*"}'),
        (f'h={{Authorization:"Bearer {T}"}}', 'h={Authorization:"Bearer *"}'),
        (f'r.setRequestHeader("X-Api-Key","{T}")', 'r.setRequestHeader("X-Api-Key","*")'),
        (f"h='password={T}&a=1'", "h='password=*&a=1'"),
        (f"// Authorization: Bearer {T}", "// Authorization: Bearer *"),
        (f'c="Server=db;Password={T};"', 'c="Server=db;Password=*;"'),
    ],
)
def test_literals_in_programs_go(text: str, expected: str) -> None:
    """A literal with letters and digits is a secret; under a name in quotation marks every literal is."""
    for media_type, form in (("application/javascript", "{}"), ("text/html", "<script defer>{}</script>")):
        assert form.format(expected) == _redacted(form.format(text), media_type)


@pytest.mark.parametrize(
    "text",
    [
        ".token:hover{x:y}",
        "#password:focus{outline:none}",
        ":root{--token:#fff;--secret-color:blue}",
        '.secret:before{content:"a"}',
        'input[name="password"]:invalid{color:red}',
    ],
)
def test_style_sheets_stay(text: str) -> None:
    """Selectors and properties."""
    assert [text, f"<style>{text}</style>"] == [
        _redacted(text, "text/css"),
        _redacted(f"<style>{text}</style>", "text/html"),
    ]


def test_pages_around_their_programs() -> None:
    """What is outside of programs is any text, and so is JSON in a script."""
    text = '<script>a={token:t}</script>token: abc9 <script type="application/json">{"token":"abc"}</script><SCRIPT>secret:s'
    expected = text.replace("abc9", "*").replace("abc", "*")
    assert expected == _redacted(text, "text/html")


@pytest.mark.parametrize(
    "text",
    [
        "<h2>Secret: The Movie</h2><p>Password: at least 8 characters</p>",
        "<td>Password</td><td>required</td>",
        "Please enter your password: then press OK.",
        "The secret: never give up. His password: the one thing he never told.",
        "Auth: see RFC 7235",
        "2024-01-01 INFO auth: user logged in\ntoken: refreshed for user 12\nsecret: rotation scheduled at 5",
        "auth=success user=bob",
        "cookie: accepted",
        "Cookies: we use cookies to improve",
        "credentials: include\nauth: basic",
        "token=12 tokens/s",
        'token: "("',
        "password:\n  required\nsecret:\n  a: 1\n",
    ],
)
def test_sentences_stay(text: str) -> None:
    """Words after a name and a colon."""
    assert text == _redacted(text, "text/plain")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Please enter your password: {T} then press OK.", "Please enter your password: * then press OK."),
        ("password: two words", "password: *"),
        ("password: hunter", "password: *"),
        ("user: bob, password: hunter, age: 5", "user: bob, password: *, age: 5"),
        (f"auth: user {T} logged in", "auth: *"),
        (f"cookie: {T}", "cookie: *"),
        (f"<td>Password</td><td>{T}</td>", "<td>Password</td><td>*</td>"),
        (f"machine h.test login bob password {T} account x", "machine h.test login bob password * account x"),
        (f"machine h.test\n  login bob\n  password {T}\n", "machine h.test\n  login bob\n  password *\n"),
        (f"db:\n  password:\n    {T}\n  port: 1\n", "db:\n  password:\n    *\n  port: 1\n"),
        (f"CREATE USER bob IDENTIFIED BY '{T}';", "CREATE USER bob IDENTIFIED BY '*';"),
        (f'create user bob identified with x by "{T}";', 'create user bob identified with x by "*";'),
        (f"ALTER ROLE bob WITH PASSWORD '{T}';", "ALTER ROLE bob WITH PASSWORD '*';"),
        (f"mysql -u root -p{T} db", "mysql -u root -p* db"),
        (f'<input type="password" value="{T}">', '<input type="password" value="*">'),
        (f'<input value="{T}" type="password">', '<input value="*" type="password">'),
        (f"<Password\n  Type='a'\n>{T}</Password>", "<Password\n  Type='a'\n>*</Password>"),
        (f"x = ['password', '{T}']", "x = ['password', '*']"),
        ("x = ['password', 'email']", "x = ['password', 'email']"),
        ("{'password': {'type': 'a', 'user': {'password': 'b2c'}}}", "{'password': {'type': 'a', 'user': {'password': '*'}}}"),
        (f'Authorization: OAuth oauth_token="{T}", oauth_signature="abc%3D"', 'Authorization: OAuth oauth_token="*", oauth_signature="*"'),
        (f'a Authorization: Digest username="u", response="{T}"', 'a Authorization: Digest username="u", response="*"'),
        (f"curl -H 'Authorization: OAuth oauth_token=\"{T}\", a=\"b\"' u", "curl -H 'Authorization: OAuth oauth_token=\"*\", a=\"*\"' u"),
        (f"curl -H 'Authorization: Basic {T}==' u", "curl -H 'Authorization: Basic *' u"),
        ("see ?q=%7B%22token%22%3A+%22S%22%2C+%22a%22%3A+1%7D", "see ?q=%7B%22token%22%3A+%22%5BREDACTED%5D%22%2C+%22a%22%3A+1%7D"),
        ("?q=%7B%22password%22%3A+67976138%2C+%22a%22%3A+1%7D", "?q=%7B%22password%22%3A+%22%5BREDACTED%5D%22%2C+%22a%22%3A+1%7D"),
    ],
)  # fmt: skip
def test_values_in_texts_go(text: str, expected: str) -> None:
    """The value of a name in any notation."""
    assert expected == _redacted(text, "text/xml")


def test_marks_are_no_values() -> None:
    """What is marked stays as it is, and what stands beside a mark in a value goes."""
    marked = "[REDACTED:0123456789ab]"
    stays = f"https://{marked}:%5BREDACTED%5D@h/ token: {marked};a%3A&password={marked}#b password%3D%5BREDACTED%3A0123456789ab%5D"
    assert stays == _redacted(stays, "text/xml").replace("*", "[REDACTED]")
    stands = f'{{"password":"hunter2 {marked} hunter3"}}'
    assert f'{{"password":"*{marked}*"}}' == _redacted(stands, "application/json")
