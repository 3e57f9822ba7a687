"""Secrets in headers: schemes, names and attributes stay."""

# ruff: noqa: E501, Q003 - a case stands in one line, as it is written in the others

from __future__ import annotations

import pytest

from otel_har.redaction.headers import header_value_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import plain_mark, replaced

NAMES = Names()
R = "[REDACTED]"
GITHUB = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", "Bearer x1", f"Bearer {R}"),
        ("authorization", "bearer  x1==", f"bearer  {R}"),
        ("Proxy-Authorization", "Basic Ym9iOngx", f"Basic {R}"),
        ("Authorization", "x1", R),
        ("Authorization", "ApiKey x1", f"ApiKey {R}"),
        ("Authorization", "my secret words", R),
        ("Authorization", "s3cr3t words", R),
        ("Authorization", "", ""),
        ("Authorization", 'Digest username="bob", realm="r, s", nonce="n1", uri="/", qop=auth, nc=00000001, cnonce="c1", response="r1", opaque="o1", algorithm=MD5', f'Digest username="bob", realm="r, s", nonce="{R}", uri="/", qop=auth, nc=00000001, cnonce="{R}", response="{R}", opaque="{R}", algorithm=MD5'),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=x1", f"AWS4-HMAC-SHA256 Credential={R}, SignedHeaders=host;x-amz-date, Signature={R}"),
        ("Authorization", 'OAuth realm="r", oauth_token="x1", oauth_version="1.0", oauth_signature="x%3D"', f'OAuth realm="r", oauth_token="{R}", oauth_version="1.0", oauth_signature="{R}"'),
        ("Authorization", "SharedAccessSignature sr=h&sig=x1&se=1&skn=k", f"SharedAccessSignature sr=h&sig={R}&se=1&skn=k"),
        ("Authorization", "AWS AKIA:x1=", f"AWS {R}"),
        ("Authorization", "Negotiate YII=", f"Negotiate {R}"),
        ("Cookie", "a=x1; b=\"x2\"; c=; d", f'a={R}; b="{R}"; c=; {R}'),
        ("Cookie", "a=x=1,2;b=x2", f"a={R};b={R}"),
        ("Set-Cookie", "a=x1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax", f"a={R}; Path=/; Max-Age=5; HttpOnly; SameSite=Lax"),
        ("Set-Cookie", 'a="x;1"; Path=/', f'a="{R}"; Path=/'),
        ("Set-Cookie", 'a="x\\";1", b=x2', f'a="{R}", b={R}'),
        ("Set-Cookie", 'a="x1; Path=/', f"a={R}; Path=/"),
        ("Set-Cookie", "a=x1; Path=/, b=x2; Path=/; HttpOnly,c=x3", f"a={R}; Path=/, b={R}; Path=/; HttpOnly,c={R}"),
        ("Set-Cookie", "a=x1; Expires=Wed, 09 Jun 2027 10:18:14 GMT, b=x2; Secure", f"a={R}; Expires=Wed, 09 Jun 2027 10:18:14 GMT, b={R}; Secure"),
        ("Set-Cookie", "a=x1, b=x2; Secure", f"a={R}, b={R}; Secure"),
        ("Set-Cookie", "a=x1,x2==; Secure", f"a={R}; Secure"),
        ("Set-Cookie", "a=; Max-Age=0", "a=; Max-Age=0"),
        ("Set-Cookie", "a=x1; Path=/\nb=x2; Secure", f"a={R}; Path=/\nb={R}; Secure"),
        ("X-Api-Key", "x1 x2", R),
        ("X-Api-Key", "Bearer x1", f"Bearer {R}"),
        ("X-Amz-Security-Token", "x1/+=", R),
        ("Referer", "https://h/cb?code=x1&a=1", "https://h/cb?code=%5BREDACTED%5D&a=1"),
        ("Location", "/cb?a=1#access_token=x1", "/cb?a=1#access_token=%5BREDACTED%5D"),
        ("Location", "https://bob:x1@h/", "https://bob:%5BREDACTED%5D@h/"),
        ("Link", '<https://h/?token=x1>; rel="next", <https://h/?a=1>; rel="x"', '<https://h/?token=%5BREDACTED%5D>; rel="next", <https://h/?a=1>; rel="x"'),
        ("Refresh", "0; url=https://h/?token=x1", "0; url=https://h/?token=%5BREDACTED%5D"),
        ("WWW-Authenticate", 'Digest realm="r", nonce="n1"', 'Digest realm="r", nonce="n1"'),
        ("WWW-Authenticate", "Negotiate", "Negotiate"),
        ("WWW-Authenticate", "Negotiate YII1=, NTLM TlRM1", f"Negotiate {R}, NTLM {R}"),
        ("WWW-Authenticate", f'Bearer error="invalid_token", error_description="token {GITHUB} expired"', f'Bearer error="invalid_token", error_description="token {R} expired"'),
        ("WWW-Authenticate", 'Bearer realm="https://h/t?access_token=x1&a=1", scope="a b"', 'Bearer realm="https://h/t?access_token=%5BREDACTED%5D&a=1", scope="a b"'),
        ("WWW-Authenticate", 'Bearer realm="r", service=registry, scope=pull', 'Bearer realm="r", service=registry, scope=pull'),
        ("Proxy-Authenticate", 'Basic realm="a, Basic b"', 'Basic realm="a, Basic b"'),
        ("Authentication-Info", 'nextnonce="n1", access_token="x1"', f'nextnonce="n1", access_token="{R}"'),
        ("Sec-WebSocket-Protocol", "bearer, x1", f"bearer, {R}"),
        ("Sec-WebSocket-Protocol", "graphql-ws,access_token,x1", f"graphql-ws,access_token,{R}"),
        ("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.eDE, v4.channel.k8s.io", f"base64url.bearer.authorization.k8s.io.{R}, v4.channel.k8s.io"),
        ("Sec-WebSocket-Protocol", f"graphql-transport-ws, {GITHUB}", f"graphql-transport-ws, {R}"),
        ("Sec-WebSocket-Protocol", "graphql-transport-ws, mqtt", "graphql-transport-ws, mqtt"),
        ("Content-Type", "text/html; charset=utf-8", "text/html; charset=utf-8"),
        ("Connection", "Keep-Alive", "Keep-Alive"),
        ("ETag", '"3f2504e0"', '"3f2504e0"'),
        ("X-Debug", "password=hunter2 a=1", f"password={R} a=1"),
    ],
)  # fmt: skip
def test_the_values_go(name: str, value: str, expected: str) -> None:
    """What is secret in a header goes, by the kind of header."""
    assert expected == replaced(value, header_value_spans(name, value, NAMES).spans, plain_mark)


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("Basic Ym9iOngx", ["bob:x1", "x1"]),
        ("Basic Ym9iOng6MQ==", ["bob:x:1", "x:1"]),
        ("Basic Ym9iOngx=", ["bob:x1", "x1"]),
        ("Basic w6k6w6k", ["\xe9:\xe9", "\xe9"]),
        ("Basic 6Trp", ["\xe9:\xe9", "\xe9"]),
        ("Basic !!!", []),
        ("Bearer Ym9iOngx", []),
    ],
)
def test_basic_credentials_say_more(value: str, values: list[str]) -> None:
    """User and password, and the password alone, may stand elsewhere."""
    assert values == header_value_spans("Authorization", value, NAMES).values
