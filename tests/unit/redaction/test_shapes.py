"""Secrets that are known by their form. The secrets are made here: none of them opens anything."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.redaction.shape_readers import READERS
from otel_har.redaction.shape_table import BEGINNINGS, TOKENS, may_have_run_token
from otel_har.redaction.shapes import shape_spans
from otel_har.redaction.spans import plain_mark, replaced

HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits
WORD = ALNUM + "_-"
BASE64 = ALNUM + "+/"
UPPER = string.ascii_uppercase + string.digits


def made(length: int, alphabet: str = ALNUM, seed: int = 0) -> str:
    """Characters that look random and are the same each time; a digit, a capital and a small letter are among them."""
    characters = random.Random(f"{length}{alphabet}{seed}").choices(alphabet, k=length - 3)  # noqa: S311
    return "".join(("7", "K" if "K" in alphabet else "a", "b" if "b" in alphabet else "Q", *characters))


def _encoded(document: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


HEADER = _encoded({"alg": "HS256", "typ": "JWT"})
CLAIMS = _encoded({"sub": "1234567890", "iat": 1516239022})

WHOLE = [
    ("circleci-token", f"CCIPAT_{made(22)}_{made(40, HEX)}"),
    ("fernet-token", f"gAAAAAB{made(92, WORD)}="),
    ("paseto", f"v4.public.{made(90, WORD)}.{made(20, WORD)}"),
    ("paserk", f"k4.local.{made(43, WORD)}"),
    ("dropbox-token", f"sl.u.{made(120, WORD)}"),
    ("artifactory-key", f"AKCp{made(69)}"),
    ("artifactory-token", f"cmVmdGtuOj{made(54)}"),
    ("nuget-key", f"oy2{made(43, string.ascii_lowercase + string.digits)}"),
    ("crates-token", f"cio{made(32)}"),
    ("launchdarkly-key", "sdk-12345678-1234-4123-8123-123456789abc"),
    ("discord-token", f"mfa.{made(84, WORD)}"),
    ("azure-key", f"{made(52)}JQQJ99{made(26)}"),
    ("terraform-token", f"{made(14)}.atlasv1.{made(67)}"),
    ("jwt", f"{HEADER}.{CLAIMS}.{made(43, WORD)}"),
    ("jwt", f"{_encoded({'alg': 'none'})}.{CLAIMS}."),
    ("jwt", f"{HEADER}..{made(43, WORD)}"),
    ("jwt", f"{HEADER}.{made(342, WORD)}.{made(16, WORD)}.{made(60, WORD)}.{made(22, WORD)}"),
    ("jwt", f"{HEADER}..{made(16, WORD)}.{made(60, WORD)}.{made(22, WORD)}"),
    ("aws-access-key", "AKIA" + made(16, UPPER)),
    ("aws-access-key", "ASIA" + made(16, UPPER)),
    ("google-api-key", "AIza" + made(35, WORD)),
    ("google-oauth-token", "ya29." + made(140, WORD)),
    ("google-refresh-token", "1//0" + made(60, WORD)),
    ("google-client-secret", "GOCSPX-" + made(28, WORD)),
    *(("github-token", f"gh{kind}_{made(36)}") for kind in "pousr"),
    ("github-token", f"github_pat_{made(22)}_{made(59)}"),
    ("gitlab-token", "glpat-" + made(20, WORD)),
    ("gitlab-token", "glrt-" + made(20, WORD)),
    ("slack-token", f"xoxb-1234567890-1234567890123-{made(24)}"),
    ("slack-token", f"xoxp-1234567890-1234567890-1234567890-{made(32, HEX)}"),
    ("slack-token", f"xapp-1-A0123456789-1234567890123-{made(64, HEX)}"),
    ("stripe-key", "sk_live_" + made(24)),
    ("stripe-key", "sk_test_" + made(99)),
    ("stripe-key", "rk_live_" + made(24)),
    ("stripe-webhook-secret", "whsec_" + made(32)),
    ("twilio-key", "SK" + made(32, HEX)),
    ("sendgrid-key", f"SG.{made(22, WORD)}.{made(43, WORD)}"),
    ("mailgun-key", "key-" + made(32, HEX)),
    ("mail-service-key", f"{made(32, HEX)}-{made(8, HEX)}-{made(8, HEX)}"),
    ("mail-service-key", f"{made(32, HEX)}-us12"),
    ("npm-token", "npm_" + made(36)),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc" + made(120, WORD)),
    ("api-key", f"sk-{made(20)}T3BlbkFJ{made(20)}"),
    ("api-key", "sk-proj-" + made(120, WORD)),
    ("api-key", "sk-ant-api03-" + made(93, WORD)),
    ("api-key", "sk-" + made(32, HEX)),
    ("hugging-face-token", "hf_" + made(34)),
    ("digitalocean-token", "dop_v1_" + made(64, HEX)),
    ("shopify-token", "shpat_" + made(32, HEX)),
    ("square-token", "sq0atp-" + made(22, WORD)),
    ("square-token", "sq0csp-" + made(43, WORD)),
    ("square-token", "EAAA" + made(60, WORD)),
    ("discord-token", f"M{made(25)}.{made(6, WORD)}.{made(38, WORD)}"),
    ("dropbox-token", "sl." + made(140, WORD)),
    ("databricks-token", "dapi" + made(32, HEX)),
    ("doppler-token", "dp.pt." + made(43)),
    ("linear-token", "lin_api_" + made(40)),
    ("new-relic-key", "NRAK-" + made(27, UPPER)),
    ("sentry-token", "sntrys_" + made(120, BASE64)),
    ("vault-token", "hvs." + made(90, WORD)),
    ("age-key", "AGE-SECRET-KEY-1" + made(58, UPPER)),
    ("atlassian-token", "ATATT3x" + made(180, WORD)),
    ("azure-client-secret", f"{made(3)}8Q~{made(34, WORD)}"),
    ("resend-key", f"re_{made(8)}_{made(24)}"),
    ("grafana-token", f"glsa_{made(32)}_{made(8, HEX)}"),
    ("docker-token", "dckr_pat_" + made(27, WORD)),
    ("figma-token", "figd_" + made(40, WORD)),
    ("airtable-token", f"pat{made(14)}.{made(64, HEX)}"),
    ("notion-token", "secret_" + made(43)),
    ("planetscale-token", "pscale_tkn_" + made(43, WORD)),
    ("plaid-token", "access-sandbox-7ab1c2d3-0000-4000-8000-0123456789ab"),
    ("facebook-token", "EAA" + made(150)),
    (
        "private-key",
        f"-----BEGIN PRIVATE KEY-----\n{made(64, BASE64)}\n{made(20, BASE64)}==\n-----END PRIVATE KEY-----",
    ),
    *(
        ("private-key", f"-----BEGIN {kind} PRIVATE KEY-----\n{made(64, BASE64)}\n-----END {kind} PRIVATE KEY-----")
        for kind in ("RSA", "DSA", "EC", "OPENSSH", "ENCRYPTED", "ANY OTHER")
    ),
    (
        "private-key",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{made(64, BASE64)}\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "private-key",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{made(64, BASE64)}\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    (
        "private-key",
        f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{made(64, BASE64)}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    ),
    ("private-key", f"-----BEGIN PRIVATE KEY-----{made(64, BASE64)}-----END PRIVATE KEY-----"),
    ("private-key", f"-----BEGIN+PRIVATE+KEY-----%0A{made(64, ALNUM)}%0A-----END+PRIVATE+KEY-----"),
    ("private-key", f"-----BEGIN EC PRIVATE KEY-----\n{made(64, BASE64)}\n{made(17, BASE64)}"),
    ("private-key", f"{made(17, BASE64)}\n{made(64, BASE64)}\n-----END EC PRIVATE KEY-----"),
]
"""What is secret as a whole, and the rule that finds it."""

WITHIN = [
    ("url-userinfo", "https://user:{}@example.com/path", "s3cr3t"),
    ("url-userinfo", "postgres://user:{}@db.example.com:5432/name", "p@ss"),
    ("url-userinfo", "mongodb+srv://user:{}@cluster0.example.net/?w=majority", "pa%20ss"),
    ("url-userinfo", "redis://:{}@localhost:6379/0", "s3cr3t"),
    ("url-userinfo", "amqp://guest:{}@rabbit:5672/%2f", "gu:est"),
    ("url-userinfo", "jdbc:mysql://root:{}@localhost/db", "x"),
    ("url-userinfo", '{{"url":"https:\\/\\/user:{}@example.com"}}', "s3cr3t"),
    ("url-userinfo", "https://{}:@api.example.com/", "live0123"),
    ("url-userinfo", "https://{}:x-oauth-basic@github.com/a/b.git", "0123abcd"),
    ("url-userinfo", "https://{}@sentry.example.com/1", made(32, HEX)),
    ("webhook-url", "https://hooks.slack.com/services/{}", "T00000000/B00000000/" + made(24)),
    ("webhook-url", "https://discord.com/api/webhooks/123456789012345678/{}", made(68, WORD)),
    ("telegram-token", "https://api.telegram.org/bot123456789:{}/getMe", "AAH" + made(32, WORD)),
    ("telegram-token", "bot=123456789%3A{}&x=1", "AAH" + made(32, WORD)),
    ("bearer", "sent `Authorization: Bearer {}` to it", made(24, WORD)),
    ("bearer", "curl -H 'authorization: bearer {}'", "abc123"),
    ("bearer", "Bearer {}.", "opaque-token-value"),
    ("basic", "sent Basic {} to it", "dXNlcjpwYXNz"),
    ("basic", "Proxy-Authorization: basic {}", "YWRtaW46"),
    ("digest", 'Digest username="u", realm="r", uri="/", response="{}", qop=auth', made(32, HEX)),
    ("digest", 'Digest username=\\"u\\", response=\\"{}\\"', made(32, HEX)),
    ("ssws", "Authorization: SSWS {}", "00" + made(40, WORD)),
    ("azure-key", "AccountName=name;AccountKey={};EndpointSuffix=core.windows.net", made(86, BASE64) + "=="),
    ("azure-key", "Endpoint=sb://name/;SharedAccessKeyName=Root;SharedAccessKey={}", made(43, BASE64) + "="),
    ("azure-signature", "SharedAccessSignature sr=x&sig={}&se=1&skn=y", made(43) + "%3D"),
    ("azure-signature", "/container/blob?sig={}&sv=2024-01-01", made(43) + "%3D"),
    ("aws-signature", "SignedHeaders=host;x-amz-date, Signature={}", made(64, HEX)),
    ("aws-secret", f'["AKIA{made(16, UPPER)}", "{{}}"]', made(40, BASE64)),
    ("connection-string", "Server=db;Database=name;User Id=sa;Password={};Encrypt=true", "p@ss word&1"),
    ("connection-string", "Server=db;Uid=sa;Pwd={};", "p4ss"),
]
"""What is secret within a text, the rule that finds it and the text."""

PLAIN = [
    "",
    "GET",
    "https://example.com/a/b?c=d#e",
    "https://example.com/@user/status/1",
    "https://user@example.com/",
    "ssh://git@github.com/a/b.git",
    "mailto:user@example.com",
    "http://[::1]:8080/",
    "*://*/*",
    "https://{user}:{password}@example.com",
    "2024-05-06T07:08:09.123456+02:00",
    "Mon, 06 May 2024 07:08:09 GMT",
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400E29B41D4A716446655440000",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
    'W/"5d41402abc4b2a76b9719d911017c592"',
    "dGhlIHNhbXBsZSBub25jZQ==",
    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "application/vnd.api+json; charset=utf-8; profile=https://example.com/x",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "timeout=5, max=1000",
    'Bearer realm="example", error="invalid_token"',
    "Bearer realm=example",
    "the bearer of news, Bearer tokens, bearer authentication, Bearer RFC6750",
    "token_type: Bearer ",
    "Basic training, basic research, Basic authentication, BASIC programming, basic economics",
    'Basic realm="private"',
    'Digest realm="r", nonce="n", qop="auth"',
    "the digest response= is missing",
    "a PRIVATE KEY is needed",
    "expected -----BEGIN PRIVATE KEY----- at the start, found something else",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakefakefakefakefakefakefakefakefakefakefak user@host",
    "pk_live_" + made(24),
    "task-1234567890123456789012345",
    "risk-assessment-2024-05-06-final",
    "sk-fading-circle-with-twelve-dots-12",
    "AKIAEXAMPLE",
    "AROA" + made(16, UPPER),
    "AC" + made(32, HEX),
    "MASK" + made(32, HEX),
    "xoxo",
    "eyJhIjoxfQ",
    "eyJhIjoxfQ.html",
    "ghp_short",
    "my_npm_package_name_that_is_long",
    "hf_hub_download_with_a_long_name",
    "com.example.services.MessageQueueConsumerFactory.create.InstanceFactory",
    "node_modules/@babel/helper-plugin-utils/lib/index.js",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
    "/EAAA" + "A" * 100 + "/AAAA" + "A" * 100,
    "key-value-0123456789",
    "objkey-" + made(32, HEX),
    "sort_key=name; partition_key=id",
    "password=&user=",
    "Forgot your password? Reset it here; it takes a minute.",
    "sl.no",
    "dapifier",
    "1//0",
    "EAA" + "A" * 200,
    "SG.module.name",
    "design=modern&assign=1",
]
"""What is no secret."""

AROUND = [
    ("", ""),
    ("the text ", " goes on"),
    ('{"a":"', '"}'),
    ("a=", "&b=c"),
    ("<a>", "</a>"),
    ("%3D", "%26"),
    ("\\n", "\\n"),
    ("\\u003d", "\\u0026"),
    ("äöü ", " €\N{GRINNING FACE}"),
    ("\ud800 ", " \udfff"),
]


def taken(text: str) -> str:
    """The text without its secrets."""
    return replaced(text, shape_spans(text), plain_mark)


@pytest.mark.parametrize(("rule", "secret"), WHOLE)
def test_whole(rule: str, secret: str) -> None:
    """A secret of a known form is found wherever it stands, all of it and nothing else."""
    for before, after in AROUND:
        _find_whole(rule, secret, before, after)


def _find_whole(rule: str, secret: str, before: str, after: str) -> None:
    if rule == "private-key" and not secret.endswith("-"):  # one that is cut off ends where no body goes on
        after = after if after.startswith(('"', "<", "&")) else '"'
    if rule == "private-key" and not secret.startswith("-"):
        before = before if before.endswith(('"', ">")) else '"'
    text = f"{before}{secret}{after}"
    assert f"{before}[REDACTED]{after}" == taken(text)
    assert rule in {span.rule for span in shape_spans(text)}
    assert secret in {span.value for span in shape_spans(text)}


@pytest.mark.parametrize(("rule", "text", "secret"), WITHIN)
def test_within(rule: str, text: str, secret: str) -> None:
    """What stands around a secret tells it, and stays."""
    whole = text.format(secret)
    start = whole.index(secret)
    assert (rule, start, start + len(secret)) in [(span.rule, span.start, span.end) for span in shape_spans(whole)]


@pytest.mark.parametrize("text", PLAIN)
def test_plain(text: str) -> None:
    """What is no secret stays as it is."""
    assert [] == shape_spans(text)


def test_enough_examples() -> None:
    """There is an example of what is none for most rules."""
    assert len(PLAIN) >= len({rule for rule, *_ in (*WHOLE, *WITHIN)})


@pytest.mark.parametrize("beginning", sorted(TOKENS))
def test_every_beginning_is_looked_for(beginning: str) -> None:
    """A beginning of the table is one that is looked for, also where another one is its own beginning."""
    rules = {token.rule for token in TOKENS[beginning]}
    bodies = [made(120, alphabet) for alphabet in (HEX, UPPER, ALNUM, WORD)]
    bodies += [made(length, alphabet) for length in (16, 20, 32, 35, 40, 43, 60) for alphabet in (HEX, UPPER, ALNUM)]
    bodies += [
        f"{made(8)}_{made(24)}",
        f"{made(22)}.{made(43)}",
        f"{made(14)}.{made(64, HEX)}",
        f"{made(40)}%3D{made(40)}",
    ]
    bodies += [f"{made(20)}.{made(20)}.{made(20)}", made(33, WORD)]
    bodies += [made(54), made(69), made(84, WORD), "12345678-1234-4123-8123-123456789abc"]
    before = "123456789:" if beginning == "AA" else ""
    found = {span.rule for body in bodies for span in shape_spans(f"{before}{beginning}{body}")}
    assert rules & found == rules


@pytest.mark.parametrize("beginning", sorted(TOKENS))
def test_every_beginning_is_told_by_three_characters(beginning: str) -> None:
    """The word that a token begins with is one of those for which a text is searched, whatever stands behind it."""
    words = {re.split("[_./+~-]", f"{beginning}{behind}")[0] for behind in ("", *WORD)}
    assert {word[:3].encode() for word in words} <= BEGINNINGS.first_three


@pytest.mark.parametrize(
    "token",
    [
        f"M{made(23, WORD)}.{made(6, WORD)}.{made(27, WORD)}",
        f"{made(32, HEX)}-us12",
        f"{made(32, HEX)}-{made(8, HEX)}-{made(8, HEX)}",
        f"{made(3)}8Q~{made(34)}",
    ],
)
def test_what_has_no_beginning_is_told_by_something_else(token: str) -> None:
    """A token that begins with any characters is found in a run that has nothing else by which one is."""
    apart = f" a/{token}".translate(str.maketrans("_./+~-", "      ")).encode()
    assert may_have_run_token(f" a/{token}".encode(), apart, apart.split())
    assert token in {span.value for span in shape_spans(f"a/{token}")}


def test_escaped_private_key() -> None:
    """A private key in JSON is found with its escapes, and its value has none."""
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{made(64, BASE64)}\n-----END RSA PRIVATE KEY-----\n"
    text = json.dumps({"private_key": key, "a": 1})
    spans = shape_spans(text)
    assert [key.rstrip("\n")] == [span.value for span in spans]
    assert {"private_key": "[REDACTED]\n", "a": 1} == json.loads(taken(text))


def test_several_private_keys() -> None:
    """Each of several keys is taken by itself, and what stands between them stays."""
    key = f"-----BEGIN PRIVATE KEY-----\n{made(64, BASE64)}\n-----END PRIVATE KEY-----"
    assert "a [REDACTED] b [REDACTED] c" == taken(f"a {key} b {key} c")


def test_userinfo_value() -> None:
    """The value of a password in a URL is without percent-encoding, and so written that the URL stays one."""
    text = "https://user:p%40ss@example.com/"
    assert ["p@ss"] == [span.value for span in shape_spans(text)]
    assert "https://user:%5BREDACTED%5D@example.com/" == taken(text)


@pytest.mark.parametrize(
    "text", [*(secret for _, secret in WHOLE), *(text.format(secret) for _, text, secret in WITHIN)]
)
def test_twice(text: str) -> None:
    """In a text without its secrets there are none."""
    assert [] == shape_spans(taken(text))


def test_many_in_one_text() -> None:
    """All secrets of a text are found, and given in their order."""
    secrets = [secret for rule, secret in WHOLE if rule != "private-key"]
    text = json.dumps(secrets)
    spans = shape_spans(text)
    assert secrets == [span.value for span in spans]
    assert spans == sorted(spans, key=lambda span: span.start)


PIECES = [
    *TOKENS,
    *(needle for needle, _ in READERS),
    "-----BEGIN ",
    "-----END ",
    "PRIVATE KEY-----",
    *"@:/.-_=%\\\n \"'aA0",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=20)).map("".join))
def test_any_text(text: str) -> None:
    """Whatever a text has, its secrets lie within it, and none is empty."""
    for span in shape_spans(text):
        assert 0 <= span.start < span.end <= len(text)


@given(st.sampled_from(WHOLE), st.text(alphabet="ab .\"'<>{}[]&;\n", max_size=30))
def test_any_place(example: tuple[str, str], before: str) -> None:
    """A secret is found wherever no word goes on in it."""
    text = f'{before} "{example[1]}" {before}'
    assert any(span.rule == example[0] for span in shape_spans(text))


HOSTILE = [
    *(f"-{beginning}" for beginning in TOKENS),
    *(f"%3D{beginning}" for beginning in ("ghp_", "eyJ", "sk-", "AKIA")),
    *(needle for needle, _ in READERS),
    *(f"{needle}a" for needle, _ in READERS),
    "eyJaaaaaaaaaa.",
    "eyJaaaaaaaaaa..",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA\n",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA\nEND",
    "-----END PRIVATE KEY-----",
    "AAAAAAAAAAAAAAAA-----END PRIVATE KEY-----",
    "-----BEGIN ",
    "://a:b@",
    "://a",
    "@",
    ":",
    "-",
    "_",
    ".",
    "/",
    "%3A",
    "\\n",
    "\\",
    "a",
    "A",
    "M",
    "-M",
    "0",
    "f",
    "-f",
    " ",
    "igest response=",
    "assword=a",
    "AKIA7777777777777777 ",
    "AKIA7777777777777777/",
    "é",
    "\N{GRINNING FACE}",
]
"""Pieces of which a text is made that would make a careless search read it again and again."""


def _seconds(text: str) -> float:
    """The least of the processor's seconds: others use it too."""
    return min(_once(text) for _ in range(2))


def _once(text: str) -> float:
    started = time.process_time()
    shape_spans(text)
    return time.process_time() - started


@pytest.mark.parametrize("piece", HOSTILE)
def test_linear(piece: str) -> None:
    """Four times as long a text takes no more than some four times as long, whatever it is made of."""
    short = piece * (20_000 // len(piece))
    few, many = _seconds(short), _seconds(short * 4)
    assert many < max(10 * few, 0.02)
    assert many < 1  # under coverage, on a slow machine; 80 KB take 20 to 40 ms on most


@pytest.mark.parametrize("piece", ["eyJaaaaaaaaaa..", "\\n", "a"])
def test_ten_megabytes(piece: str) -> None:
    """A hostile text of ten megabytes takes seconds."""
    assert _once(piece * (10_000_000 // len(piece))) < 30
