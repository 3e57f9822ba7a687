"""Every place of an exchange where a secret may stand, each with one of its own."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from servers.canned import Canned
from servers.planting import BOUNDARY, FORM, JSON, TEXT, base64_of, multipart
from servers.server import unused_port

if TYPE_CHECKING:
    from servers.planting import Planting

_ODD = 'abcdefghijklmnopqrstuvwxyz0123456789+/="&% \\äü€'
"""Letters that each notation writes in its own way."""

_HEADERS = (
    "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Amz-Security-Token", "X-CSRF-Token", "X-Vault-Token", "X-Goog-Api-Key",
    "Ocp-Apim-Subscription-Key", "Private-Token", "X-Shopify-Access-Token", "X-Functions-Key", "X-Session-Id",
    "X-Client-Secret",
)  # fmt: skip
_QUERY = (
    "access_token", "api_key", "apikey", "sig", "X-Amz-Signature", "X-Amz-Security-Token", "X-Goog-Signature",
    "client_secret", "code", "password", "refreshToken",
)  # fmt: skip
_FIELDS = ("password", "user[password]", "clientSecret", "refresh_token", "otp", "card.cvv")


def plant(planting: Planting) -> None:
    """Plant secrets everywhere."""
    for plant_some in (
        _headers, _authorizations, _cookies, _urls, _redirects, _forms, _json, _nested, _multipart, _xml, _shapes,
        _texts, _binary, _events, _trailers, _failures, _program,
    ):  # fmt: skip
        plant_some(planting)


def _headers(planting: Planting) -> None:
    secret = planting.secret
    asked = tuple((name, secret(f"request header {name}")) for name in _HEADERS)
    given = tuple((name, secret(f"response header {name}")) for name in _HEADERS[2:5])
    planting.exchange("headers", headers=asked, answer=Canned(b"ok", (("Content-Type", TEXT), *given)))
    # The same again where no name tells it, as other notations write it.
    slashes = secret("with slashes and again", "a/b/", alphabet=_ODD)
    echo = "<p>" + html.escape(slashes) + "</p>" + json.dumps({"you": slashes}).replace("/", "\\/")
    planting.exchange(
        "slashes",
        headers=(("X-Echo", "1"),),
        body=json.dumps({"password": slashes}).encode(),
        answer=Canned(echo.encode()),
    )
    again = secret("request header and response body")
    planting.exchange(
        "again",
        headers=(("X-Api-Key", again),),
        answer=Canned(f"you are {again}, {quote(again)} and {base64_of(f'=={again}')}".encode(), (("X-You", again),)),
    )


def _authorizations(planting: Planting) -> None:
    secret = planting.secret
    for scheme in ("Bearer", "Token", "token", "ApiKey", "SSWS"):
        planting.exchange(
            f"authorization-{scheme}", headers=(("Authorization", f"{scheme} {secret(f'authorization {scheme}')}"),)
        )
    basic = base64_of(f"user:{secret('authorization Basic')}")
    digest = f'Digest username="user", realm="r", nonce="{secret("digest nonce")}", response="{secret("digest")}"'
    aws = f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240101, SignedHeaders=host, Signature={secret('aws signature')}"
    planting.exchange("basic", headers=(("Authorization", f"Basic {basic}"),))
    planting.exchange("digest", headers=(("Authorization", digest),))
    planting.exchange("aws", headers=(("Authorization", aws),))
    planting.exchange("proxied", headers=(("Proxy-Authorization", f"Bearer {secret('proxy authorization')}"),))
    planting.exchange(
        "bare-authorization",
        headers=(("Authorization", secret("authorization without a scheme")),),
        answer=Canned(b"", (("Authorization", f"Bearer {secret('authorization in a response')}"),)),
    )
    refused = f'Bearer error="invalid_token", error_description="token {secret("challenge", "ghp_", 36)} expired"'
    realm = f'Bearer realm="https://a.test/t?access_token={secret("realm")}"'
    fields = ("WWW-Authenticate", refused), ("Proxy-Authenticate", f"Negotiate {secret('Negotiate')}")
    planting.exchange("challenges", answer=Canned(b"", (*fields, ("Authentication-Info", realm)), 403))
    offered = f"chat, bearer, {secret('subprotocol')}"
    kubernetes = f"base64url.bearer.authorization.k8s.io.{base64_of(secret('subprotocol of Kubernetes')).rstrip('=')}"
    for name, value in (("subprotocol", offered), ("subprotocols", f"{kubernetes}, v4.channel.k8s.io")):
        planting.exchange(name, headers=(("Sec-WebSocket-Protocol", value),))


def _cookies(planting: Planting) -> None:
    secret = planting.secret
    path = "Path=/canned/cookies-sent-back"
    given = (
        ("Set-Cookie", f"sid={secret('set-cookie')}; {path}; HttpOnly; SameSite=Lax"),
        ("Set-Cookie", f'quoted="{secret("set-cookie quoted")}"; Max-Age=3600; {path}'),
        ("Set-Cookie", f"theme={secret('set-cookie of any name')}; Expires=Fri, 01 Jan 2038 00:00:00 GMT; {path}"),
    )
    planting.exchange("set-cookies", answer=Canned(b"", given))
    joined = f"a=1; Expires=Fri, 01 Jan 2038 00:00:00 GMT; {path}, sid={secret('set-cookie joined')}; {path}"
    planting.exchange("set-cookies-joined", answer=Canned(b"", (("Set-Cookie", joined),)))
    planting.exchange("cookies-sent-back")
    pairs = f"a={secret('cookie')}; session={secret('cookie session')}=="
    planting.exchange("cookies", headers=(("Cookie", pairs),))


def _urls(planting: Planting) -> None:
    secret = planting.secret
    query = "&".join(f"{name}={secret(f'query {name}')}" for name in _QUERY)
    planting.exchange("query", rest=f"?page=1&{query}&q=x")
    odd = secret("query odd", alphabet=_ODD)
    planting.exchange("odd-query", rest=f"?access_token={quote(odd, safe='')}", answer=Canned(quote_plus(odd).encode()))
    planting.exchange("matrix", rest=f";jsessionid={secret('matrix parameter')}/x")
    bare = planting.server.url("/canned/userinfo").replace("://", f"://user:{secret('userinfo')}@")
    planting.exchange("userinfo", url=bare)
    within = f"https://a.test/cb?access_token={secret('query of a URL in a query')}"
    planting.exchange("within", rest=f"?next={quote(within, safe='')}")
    planting.exchange("fragment", rest=f"?a=b#access_token={secret('fragment')}&state=1")
    referer = f"https://a.test/cb?code={secret('referer code')}&id_token={planting.jwt('referer token')}"
    origin = f"https://user:{secret('referer userinfo')}@a.test/"
    planting.exchange("referer", headers=(("Referer", referer), ("X-Original-URL", origin)))


def _redirects(planting: Planting) -> None:
    secret = planting.secret
    planting.exchange("arrived")
    location = f"/canned/arrived?access_token={secret('location query')}"
    planting.exchange("redirect", answer=Canned(b"", (("Location", location),), 302))
    fragment = f"/canned/arrived?x=1#id_token={secret('location fragment')}"
    planting.exchange("redirect-fragment", answer=Canned(b"", (("Location", fragment),), 307))
    link = f'<https://a.test/next?api_key={secret("link")}>; rel="next"'
    refresh = f"0; url=https://a.test/?token={secret('refresh')}"
    planting.exchange("links", answer=Canned(b"", (("Link", link), ("Refresh", refresh))))


def _forms(planting: Planting) -> None:
    secret = planting.secret
    form = "&".join(f"{quote(name)}={secret(f'form {name}')}" for name in _FIELDS)
    odd = quote_plus(secret("form odd", alphabet=_ODD))
    answer = Canned(
        f"token_type=bearer&access_token={secret('form in a response')}".encode(), (("Content-Type", FORM),)
    )
    planting.exchange(
        "form", headers=(("Content-Type", FORM),), body=f"name=Ann&{form}&pwd={odd}".encode(), answer=answer
    )


def _json(planting: Planting) -> None:
    secret = planting.secret
    asked = {name: secret(f"JSON {name}") for name in ("password", "client_secret", "apiKey", "Access-Token", "pwd")}
    odd = {"odd": {"passphrase": secret("JSON odd", alphabet=_ODD)}, "name": "Ann"}
    given = {
        "access_token": secret("JSON in a response"),
        "secrets": [secret("JSON list"), {"value": secret("JSON object in a list")}],
        "credentials": {"user": "Ann", "key": secret("JSON object")},
        "token": int(secret("JSON number", alphabet="123456789")),
    }
    planting.exchange(
        "json",
        headers=(("Content-Type", JSON),),
        body=json.dumps(asked | odd).encode(),
        answer=Canned(json.dumps(given, ensure_ascii=False).encode(), (("Content-Type", JSON),)),
    )


def _nested(planting: Planting) -> None:
    secret = planting.secret
    inner = json.dumps({"password": secret("JSON in a string")})
    deeper = json.dumps({"message": json.dumps({"payload": json.dumps({"token": secret("JSON in JSON in a string")})})})
    form = f"user=Ann&password={secret('form in a string')}"
    encoded = base64_of(json.dumps({"password": secret("base64 in JSON")}))
    url = f"https://user:{secret('userinfo in JSON')}@a.test/?api_key={secret('query in JSON')}"
    signed = f"https://a.test/blob?se=2026-01-01&sig={secret('signature in JSON')}"
    lines = f"Authorization: Bearer {secret('header lines in JSON')}\r\nCookie: sid={secret('cookie in JSON')}\r\n"
    body = {"data": inner, "event": deeper, "form": form, "encoded": encoded, "url": url, "log": lines, "to": signed}
    planting.exchange(
        "nested", headers=(("Content-Type", JSON),), body=json.dumps(body).encode(), answer=Canned(b"{}", ())
    )


def _multipart(planting: Planting) -> None:
    secret = planting.secret
    asked = multipart(
        ('name="user"', "Ann"),
        ('name="password"', secret("multipart field")),
        ('name="config"; filename="c.json"\r\nContent-Type: application/json',
         json.dumps({"client_secret": secret("multipart file")})),
        ('name="key"; filename="id_rsa"', planting.private_key("multipart private key")),
    )  # fmt: skip
    given = multipart(('name="access_token"', secret("multipart in a response")))
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    planting.exchange(
        "multipart",
        headers=(("Content-Type", content_type),),
        body=asked,
        answer=Canned(given, (("Content-Type", content_type),)),
    )


def _xml(planting: Planting) -> None:
    secret = planting.secret
    asked = (
        f"<login><user>Ann</user><password>{secret('XML element')}</password>"
        f'<wsse:Password Type="text">{secret("XML with a prefix")}</wsse:Password>'
        f'<a token="{secret("XML attribute")}"/>'
        "</login>"
    )
    given = f"<Credentials><SecretAccessKey>{secret('XML in a response')}</SecretAccessKey></Credentials>"
    planting.exchange(
        "xml",
        headers=(("Content-Type", "text/xml"),),
        body=asked.encode(),
        answer=Canned(given.encode(), (("Content-Type", "application/xml"),)),
    )


def _shapes(planting: Planting) -> None:
    secret = planting.secret
    tokens = [
        planting.jwt("JWT in a text"),
        secret("GitHub token", "ghp_", 36),
        secret("Slack token", f"xoxb-{'1' * 12}-{'2' * 12}-"),
        secret("Stripe key", "sk_live_"),
        secret("Google key", "AIza", 35),
        secret("AWS key id", "AKIA", 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        secret("GitLab token", "glpat-", 20),
        secret("npm token", "npm_", 36),
        f"123456789:{secret('Telegram token', 'AA', 33)}",
        secret("OpenAI key", "sk-proj-", 48),
    ]
    text = "\n".join(f"this is {token} in a text" for token in tokens)
    planting.exchange("shapes", answer=Canned(text.encode(), (("Content-Type", TEXT),)))
    planting.exchange("shape-in-path", rest=f";v=1/{secret('token in a path', 'ghp_', 36)}")
    key = json.dumps({"pem": planting.private_key("private key in JSON")})
    planting.exchange("pem", answer=Canned(planting.private_key("private key").encode(), (("Content-Type", TEXT),)))
    planting.exchange("pem-json", answer=Canned(key.encode(), (("Content-Type", JSON),)))


def _texts(planting: Planting) -> None:
    secret = planting.secret
    text = (
        f"curl -u user:{secret('curl user')} -H 'X-Api-Key: {secret('header in a text')}' https://a.test\n"
        f"export DB_PASSWORD={secret('environment')}\n"
        f"postgres://app:{secret('connection string')}@db.test/app\n"
        f"{{'password': '{secret('repr')}', 'a': 1}}\n"
        f"login --password {secret('command line option')} --verbose\n"
    )
    planting.exchange("text", answer=Canned(text.encode(), (("Content-Type", TEXT),)))
    html = (
        f'<input type="hidden" name="csrf_token" value="{secret("HTML input")}">'
        f'<script>var config = {{apiKey: "{secret("script")}", debug: true}};</script>'
    )
    planting.exchange("html", answer=Canned(html.encode(), (("Content-Type", "text/html"),)))
    whole = base64_of(json.dumps({"a": 1, "password": secret("text in base64")}))
    planting.exchange("base64-text", answer=Canned(whole.encode(), (("Content-Type", TEXT),)))


def _binary(planting: Planting) -> None:
    secret = planting.secret
    noise = bytes(range(128, 256))
    for name, place in (("binary", "binary body"), ("octets", "binary body of a request")):
        body = noise + b'{"name": "Ann", "password": "%b"}' % secret(place).encode() + noise
        octets = ("Content-Type", "application/octet-stream")
        if name == "binary":
            planting.exchange(name, answer=Canned(body, (octets,)))
        else:
            planting.exchange(name, headers=(octets,), body=body)
    encoded = base64.b64encode(json.dumps({"token": secret("JSON as octets")}).encode())
    wide = json.dumps({"password": secret("JSON in UTF-16 of a request"), "name": "Änne"}).encode("utf-16")
    answer = json.dumps({"token": secret("JSON in UTF-16"), "name": "Ann"}).encode("utf-16-be")
    planting.exchange(
        "wide", headers=(("Content-Type", JSON),), body=wide, answer=Canned(answer, (("Content-Type", JSON),))
    )
    planting.exchange("octets-json", answer=Canned(encoded, (("Content-Type", "application/octet-stream"),)))


def _events(planting: Planting) -> None:
    secret = planting.secret
    stream = (
        f'event: login\nid: 7\ndata: {{"access_token": "{secret("event with JSON")}", "n": 1}}\n\n'
        f"data: password={secret('event with a form')}\n\n"
        f"data: {planting.jwt('event with a JWT')}\n\n"
    )
    planting.exchange("events", answer=Canned(stream.encode(), (("Content-Type", "text/event-stream"),)))


def _trailers(planting: Planting) -> None:
    trailers = (("X-Auth-Token", planting.secret("trailer")), ("X-Checksum", "abc"))
    planting.exchange("trailers", answer=Canned(b"x", (("Content-Type", TEXT),), trailers=trailers))


def _failures(planting: Planting) -> None:
    secret = planting.secret
    port = unused_port()
    planting.exchange("refused", url=f"http://127.0.0.1:{port}/refused?api_key={secret('refused URL')}")
    planting.exchange("refused-user", url=f"http://user:{secret('refused userinfo')}@127.0.0.1:{port}/refused")
    unknown = f"http://user:{secret('unknown host')}@nowhere.invalid/?token={secret('unknown host query')}"
    planting.exchange("unknown-host", url=unknown)


def _program(planting: Planting) -> None:
    secret = planting.secret
    planting.exchange("page", span=f"GET /login?token={secret('page title')}")
    planting.exchange("initiator", file=f"/srv/apps/token={secret('file of the initiator')}/made.py")
    user = f"http://user:{secret('proxy userinfo')}@"
    planting.exchange(
        "by-proxy", url="http://a.test/canned/by-proxy", proxy=planting.server.url("").replace("http://", user)
    )
