"""Entries of any producer: every member is gone through, and what is found in one is taken out of all."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from otel_har.har.models import Entry
from otel_har.redaction.policy import NO_REDACTION, RedactionPolicy
from otel_har.redaction.redactor import Redactor

SECRET = "Xq7v/T2mB9+kLw4zRd8pYs=ä"  # noqa: S105 - of nothing
ODD = "Xq7\"v\\T2m/<B9&k'Lw4z"
MARK = "[REDACTED]"

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def _redacted(entry: Json, policy: RedactionPolicy | None = None) -> Json:
    return Redactor(policy or RedactionPolicy()).entry(entry)


def _with_header(**members: Any) -> Json:
    """An entry whose secret stands in a header field, and other members."""
    return {"request": {"headers": [{"name": "X-Api-Key", "value": SECRET}]}, **members}


def _encoded(prefix: bytes, *, url_safe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return encode(prefix + SECRET.encode() + b" and more").decode()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        json.dumps(SECRET)[1:-1].replace("\\u00e4", "\\u00E4"),
        quote(SECRET.encode("latin-1"), safe=""),
        repr(SECRET.encode())[2:-1],
        quote(SECRET, safe=""),
        quote(SECRET),
        *(_encoded(prefix) for prefix in (b"", b"1", b"12", b"123")),
        *(_encoded(prefix, url_safe=True) for prefix in (b"", b"1", b"12")),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
    ],
)
@pytest.mark.parametrize("member", ["comment", "_error", "_anything"])
def test_a_secret_goes_wherever_it_stands_again(written: str, member: str) -> None:
    """In whatever writing it is, of whatever member: what stands around it stays."""
    redacted = _redacted(_with_header(**{member: f"before {written} after"}))
    assert MARK in redacted[member] or "%5BREDACTED%5D" in redacted[member]
    assert (True, True) == (redacted[member].startswith("before "), redacted[member].endswith(" after"))
    assert written[4:16] not in redacted[member]


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(json.dumps({"b": ODD, "c": 1})),
        json.dumps({"b": ODD, "c": 1}).replace("/", "\\/"),
        json.dumps({"b": html.escape(ODD), "c": 1}),
        json.dumps({"b": html.escape(ODD, quote=False), "c": 1}),
        json.dumps({"b": html.escape(ODD).replace("&#x27;", "&#39;"), "c": 1}),
    ],
)
def test_a_secret_of_odd_characters_goes_wherever_it_stands_again(written: str) -> None:
    """In JSON within JSON, and as pages have it; JSON stays JSON."""
    entry = {"a": {"password": ODD}, "postData": {"mimeType": "application/json", "text": written}}
    redacted = json.loads(_redacted(entry)["postData"]["text"])
    said = json.loads(redacted) if isinstance(redacted, str) else redacted
    assert {"b": MARK, "c": 1} == said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "password"),
        ("token", "title"),
        ("password", "shop.example.com"),
        ("password", "1.20.1"),
        ("password", "12345678"),
        ("password", "v1abc"),
    ],
)
def test_a_value_that_stands_elsewhere_by_chance(name: str, value: str) -> None:
    """Words, hosts and short numbers are no secrets elsewhere; the names of members and parameters stay."""
    body = json.dumps({value if name != value else "title": 1, "id": 12345678, "b": '"v1abc": 1'})
    url = "https://shop.example.com/list?title=1&v1abc=2"
    entry = {"a": {name: value}, "url": url, "postData": {"mimeType": "application/json", "text": body}}
    redacted = _redacted(entry)
    assert (MARK, url, body) == (redacted["a"][name], redacted["url"], redacted["postData"]["text"])


GITHUB = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def test_a_secret_that_is_a_name() -> None:
    """Where a query, a form or JSON is one value without a name, producers write the value as a name."""
    body = '{"password": "pwB=3"}'
    redacted = _redacted(
        {
            "request": {
                "url": f"https://a.test/?{GITHUB}",
                "queryString": [{"name": GITHUB, "value": ""}, {"name": "a", "value": "1"}],
                "postData": {
                    "mimeType": "application/x-www-form-urlencoded",
                    "params": [{"name": body, "value": ""}, {"name": SECRET, "value": ""}],
                    "text": body,
                },
                "headers": [{"name": "X-Api-Key", "value": SECRET}],
            }
        }
    )["request"]
    assert "https://a.test/?%5BREDACTED%5D" == redacted["url"] or f"https://a.test/?{MARK}" == redacted["url"]
    assert [{"name": MARK, "value": ""}, {"name": "a", "value": "1"}] == redacted["queryString"]
    assert ['{"password": "[REDACTED]"}', MARK] == [one["name"] for one in redacted["postData"]["params"]]
    assert '{"password": "[REDACTED]"}' == redacted["postData"]["text"]


@pytest.mark.parametrize("name", ["connection", "method", "encoding", "mimeType", "httpVersion", "traceId", "spanId"])
def test_no_name_lets_everything_pass(name: str) -> None:
    """Members that HAR has for a fact may say anything: of a span's event, in files of other producers."""
    entry = {"_otel": {"events": [{name: f"token {GITHUB}", "again": SECRET}]}, "request": {name: f"password={SECRET}"}}
    redacted = _redacted(entry)
    assert (f"token {MARK}", MARK) == tuple(redacted["_otel"]["events"][0].values())
    assert f"password={MARK}" == redacted["request"][name]


@pytest.mark.parametrize(
    ("name", "value"),
    [("startedDateTime", "2030-01-02T03:04:05.678+01:00"), ("serverIPAddress", "2001:db8::1"), ("connection", "443"),
     ("traceId", "0af7651916cd43dd8448eb211c80319c"), ("mimeType", "text/html; charset=utf-8"),
     ("mimeType", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"), ("httpVersion", "HTTP/1.1")],
)  # fmt: skip
def test_facts_stay(name: str, value: str) -> None:
    """What HAR has such members for is no secret."""
    assert {name: value} == _redacted({name: value})


def test_the_query_of_a_span() -> None:
    """OpenTelemetry's `url.query` has no question mark."""
    redacted = _redacted({"_otel": {"attributes": {"url.query": "code=x1&a=1&sig=x2"}}})
    assert {"url.query": "code=%5BREDACTED%5D&a=1&sig=%5BREDACTED%5D"} == redacted["_otel"]["attributes"]


def test_a_secret_of_which_each_letter_is_escaped() -> None:
    """JSON may write any character by its number, and as deep as it is nested."""
    value = "Xq7/vT2mB9kLw4zRd8pY"
    written = "".join(f"\\u{ord(one):04X}" for one in value)
    text = json.dumps({"b": "WRITTEN", "c": 1}).replace("WRITTEN", written)
    entry = {"a": {"password": value}, "x": text, "y": json.dumps(text)}
    redacted = _redacted(entry)
    expected = {"b": MARK, "c": 1}
    assert (expected, expected) == (json.loads(redacted["x"]), json.loads(json.loads(redacted["y"])))


def test_a_short_secret_that_stands_again() -> None:
    """Letters and digits are no word; a number that stood as one is one elsewhere."""
    entry = {"a": {"password": "pa55w"}, "comment": "it is pa55w, not pa55words", "b": {"text": '{"b":12345678}'}}
    number = {"mimeType": "application/json", "text": '{"token":12345678}'}
    redacted = _redacted({**entry, "postData": number})
    assert (f"it is {MARK}, not pa55words", f'{{"b":"{MARK}"}}') == (redacted["comment"], redacted["b"]["text"])


@pytest.mark.parametrize(
    "value",
    ["en-US", "zh-Hans-CN", "Europe/Berlin", "/products/list", "shop.example.com", "https://shop.example.com/a/",
     "12345678", "192.168.100.17", "2030-01-02T03:04:05Z", "accepted-by-default", "localhost:8080"],
)  # fmt: skip
def test_what_cookies_say_by_the_way(value: str) -> None:
    """A locale, a zone, a place, a number: redacted as a cookie, and nowhere else."""
    cookies = {"headers": [{"name": "Cookie", "value": f"a={value}"}], "cookies": [{"name": "a", "value": value}]}
    redacted = _redacted({"request": cookies, "comment": f"is {value} here"})
    assert (f"a={MARK}", MARK) == (
        redacted["request"]["headers"][0]["value"],
        redacted["request"]["cookies"][0]["value"],
    )
    assert f"is {value} here" == redacted["comment"]


def test_lower_case_escapes() -> None:
    """Percent-encoding may be written in lower case (RFC 3986, 2.1)."""
    written = "".join(quote(one, safe="").lower() if quote(one, safe="") != one else one for one in SECRET)
    assert f"x{quote(MARK)}x" == _redacted(_with_header(comment=f"x{written}x"))["comment"]


@pytest.mark.parametrize("member", ["url", "redirectURL", "_proxy"])
def test_a_url_stays_a_url(member: str) -> None:
    """A secret in a path is replaced by what may stand in a path; query and fragment stay."""
    redacted = _redacted({"a": {"password": "abcdefghijkl"}, member: "http://a.test/x/abcdefghijkl/y?a=1#f"})
    assert "http://a.test/x/%5BREDACTED%5D/y?a=1#f" == redacted[member]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 123456789012, "b": [1, 123456789012]}', '{"a": "[REDACTED]", "b": [1, "[REDACTED]"]}'),
        ('{"a": -123456789012.5e3, "b": 12}', '{"a": "[REDACTED]", "b": 12}'),
        ('{"a": "call 123456789012, now"}', '{"a": "call [REDACTED], now"}'),
        ('{"a\\": 123456789012, ": 1}', '{"a\\": \\"[REDACTED]\\", ": 1}'),
        ('{"a": "{\\"b\\": 123456789012}"}', '{"a": "{\\"b\\": \\"[REDACTED]\\"}"}'),
        ('f({"a": 123456789012});', 'f({"a": "[REDACTED]"});'),
        ("number 123456789012, again", "number [REDACTED], again"),
    ],
)
def test_json_stays_json(text: str, expected: str) -> None:
    """Where a secret of digits is a number elsewhere, a string takes its place."""
    entry = {"X-Api-Key": "123456789012", "postData": {"mimeType": "application/json", "text": text}}
    assert expected == _redacted(entry)["postData"]["text"]


@pytest.mark.parametrize("value", ["12345", "true", "no", "session", "a", "abc"])
def test_what_tells_nothing_goes_only_where_it_was_found(value: str) -> None:
    """A secret that is a word or a short number is not looked for elsewhere."""
    redacted = _redacted({"password": value, "comment": f"it is {value} here"})
    assert (f"it is {value} here", MARK) == (redacted["comment"], redacted["password"])


def test_short_secrets_are_no_parts_of_words() -> None:
    """What is short goes where it is a word of its own."""
    redacted = _redacted({"password": "monkey7", "comment": "monkey7 and monkey77 and xmonkey7"})
    assert "[REDACTED] and monkey77 and xmonkey7" == redacted["comment"]


def test_every_member_is_gone_through() -> None:
    """Members that nobody knows, of any depth, in lists and as names with their values, are read like all others."""
    entry = {
        "comment": "password=hunter2-X9",
        "_initiator": {"stack": {"callFrames": [{"url": "/a/token=hunter2-X9/b.py", "functionName": "f"}]}},
        "_otel": {"attributes": {"a": ["x", "api_key=hunter2-X9"], "http.request.header.x_api_key": ["hunter2-X9"]}},
        "_unknown": [[{"clientSecret": "hunter2-X9", "author": "Ann"}]],
        "response": {"_error": "refused: http://user:hunter2-X9@a.test/"},
    }
    redacted = _redacted(entry)
    assert "hunter2" not in json.dumps(redacted)
    assert ["a", "http.request.header.x_api_key"] == list(redacted["_otel"]["attributes"])
    assert {"clientSecret": MARK, "author": "Ann"} == redacted["_unknown"][0][0]
    assert "/a/token=%5BREDACTED%5D" == redacted["_initiator"]["stack"]["callFrames"][0]["url"]


def test_quotation_marks_of_a_cookie_stay() -> None:
    """The header field and the list of cookies have the same value."""
    redacted = _redacted(
        {
            "headers": [{"name": "Set-Cookie", "value": f'a="{SECRET}"; Path=/'}],
            "cookies": [{"name": "a", "value": f'"{SECRET}"', "path": "/"}, {"name": "b", "value": '"'}],
        }
    )
    assert f'a="{MARK}"; Path=/' == redacted["headers"][0]["value"]
    assert [f'"{MARK}"', MARK] == [cookie["value"] for cookie in redacted["cookies"]]
    assert ["name", "value", "path"] == list(redacted["cookies"][0])


def test_binary_bodies_keep_their_bytes() -> None:
    """What is in base64 is read, and all bytes but those of the secret stay."""
    noise = bytes(range(128, 256))
    body = noise + b'{"password": "hunter2-X9"}' + noise
    content = {"mimeType": "application/octet-stream", "encoding": "base64", "text": base64.b64encode(body).decode()}
    text = _redacted({"response": {"content": content}})["response"]["content"]["text"]
    assert body.replace(b"hunter2-X9", b"[REDACTED]") == base64.b64decode(text, validate=True)


def test_what_has_no_secret_is_the_same() -> None:
    """Nothing is added to it, and nothing is told."""
    entry = {"request": {"url": "http://a.test/?author=ann", "headers": [{"name": "Keep-Alive", "value": "timeout=5"}]}}
    assert entry == _redacted(entry)


def test_the_entry_that_is_given_is_not_changed() -> None:
    """The redacted one is another one."""
    entry = _with_header(comment=SECRET)
    _redacted(entry)
    assert _with_header(comment=SECRET) == entry


def test_without_redaction_everything_stays() -> None:
    """What is asked for is done."""
    assert _with_header(comment=SECRET) == _redacted(_with_header(comment=SECRET), NO_REDACTION)


def test_equal_secrets_can_be_recognised_by_hashes() -> None:
    """Within one salt equal secrets have equal marks, others have others; another salt gives other marks."""
    entry = {"a": {"password": "hunter2-X9"}, "b": {"token": "hunter2-X9"}, "c": {"token": "other-X9"}}
    one = _redacted(entry, RedactionPolicy(hashes=True, salt=b"one"))
    other = _redacted(entry, RedactionPolicy(hashes=True, salt=b"other"))
    assert one["a"]["password"] == one["b"]["token"]
    assert 3 == len({one["a"]["password"], one["c"]["token"], other["a"]["password"]})


STRICT = {
    "request": {
        "url": "http://a.test/x?page=2&flag&author=ann#top",
        "queryString": [{"name": "page", "value": "2"}, {"name": "author", "value": "ann"}],
        "headers": [
            {"name": "Accept", "value": "text/html"},
            {"name": "Origin", "value": "http://a.test"},
            {"name": "X-Own", "value": "anything password=hunter2-X9"},
            {"name": "Authorization", "value": "Bearer abcdefghijkl"},
        ],
        "cookies": [{"name": "theme", "value": "dark"}],
        "postData": {"mimeType": "text/plain", "text": "a body", "params": [{"name": "a", "value": "b"}]},
    },
    "response": {
        "redirectURL": "http://a.test/y",
        "content": {"mimeType": "text/plain", "text": "YQ==", "encoding": "base64", "size": 1},
    },
    "_webSocketMessages": [{"type": "send", "opcode": 1, "data": "a message"}],
    "comment": "hunter2-X9",
}


def test_strict() -> None:
    """Bodies, messages, cookies and values that nobody knows go; names, hosts, paths and sizes stay."""
    redacted = _redacted(STRICT, RedactionPolicy("strict"))
    request, response = redacted["request"], redacted["response"]
    escaped = quote(MARK)
    assert f"http://a.test/x?page={escaped}&flag&author={escaped}#{escaped}" == request["url"]
    assert [("page", MARK), ("author", MARK)] == [(one["name"], one["value"]) for one in request["queryString"]]
    assert ["text/html", "http://a.test", MARK, f"Bearer {MARK}"] == [one["value"] for one in request["headers"]]
    assert MARK == request["cookies"][0]["value"]
    assert ("", [{"name": "a", "value": MARK}]) == (request["postData"]["text"], request["postData"]["params"])
    assert "http://a.test/y" == response["redirectURL"]
    assert ("", 1) == (response["content"]["text"], response["content"]["size"])
    assert "" == redacted["_webSocketMessages"][0]["data"]
    assert MARK == redacted["comment"]


def test_what_is_kept_stays_in_strict_mode_too() -> None:
    """Names whose values are no secrets, whatever they are names of."""
    redacted = _redacted(STRICT, RedactionPolicy("strict", keep=("author", "x-own")))
    request = redacted["request"]
    assert f"http://a.test/x?page={quote(MARK)}&flag&author=ann#{quote(MARK)}" == request["url"]
    assert [MARK, "ann"] == [one["value"] for one in request["queryString"]]
    assert f"anything password={MARK}" == request["headers"][2]["value"]


def test_an_entry_that_cannot_be_redacted_has_no_values() -> None:
    """Whatever goes wrong: no body, no value, a host at most."""

    class Broken(str):
        __slots__ = ()

        def find(self, *_arguments: Any) -> int:
            raise RuntimeError("nobody expects this")

    entry = {
        "startedDateTime": "2024-01-01T00:00:00Z",
        "time": 1,
        "request": {"method": "GET", "url": f"http://u:p@a.test/{SECRET}", "headers": [{"name": "A", "value": SECRET}]},
        "response": {"status": 200, "content": {"size": 3, "mimeType": "text/plain", "text": Broken(SECRET)}},
        "_more": SECRET,
    }
    redacted = _redacted(entry)
    assert SECRET[:10] not in json.dumps(redacted)
    assert "http://a.test/%5BREDACTED%5D" == redacted["request"]["url"]
    assert ["failed"] == redacted["_redaction"]["rules"]
    Entry.model_validate({**redacted, "timings": {"send": 0, "wait": 0, "receive": 0}})


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"_x": {"pin_token": 123456}}, {"_x": {"pin_token": MARK}}),
        (
            {"_x": {"password": 1.5, "is_secret": True, "token": None}},
            {"_x": {"password": MARK, "is_secret": True, "token": None}},
        ),
        (
            {"timings": {"wait": 1, "comment": "password=qwertz-9876"}},
            {"timings": {"wait": 1, "comment": f"password={MARK}"}},
        ),
        ({"headers": [{"name": "X-Api-Key", "value": 12345678}]}, {"headers": [{"name": "X-Api-Key", "value": MARK}]}),
        ({"params": [{"name": "count", "value": 5}]}, {"params": [{"name": "count", "value": 5}]}),
    ],
)
def test_what_other_producers_write(member: dict[str, object], expected: dict[str, object]) -> None:
    """Numbers under the name of a secret, comments in odd places, values of pairs that are no texts."""
    redacted = Redactor().entry(member)
    redacted.pop("_redaction", None)
    assert expected == redacted


def test_base64_in_lines() -> None:
    """Base64 in lines, as MIME has it, is looked into as any other."""
    encoded = base64.encodebytes(b'{"password": "qwertz-9876"}' + b" " * 100).decode()
    content = {"content": {"mimeType": "application/json", "encoding": "base64", "text": encoded}}
    [text] = [part["text"] for part in Redactor().entry(content).values() if "text" in part]
    assert {"password": MARK} == json.loads(base64.b64decode(text))


@pytest.mark.parametrize("encoding", ["base64", "Base64", "BASE64", " base64 "])
@pytest.mark.parametrize(
    "write",
    [
        lambda raw: base64.b64encode(raw).decode(),
        lambda raw: base64.b64encode(raw).decode().rstrip("="),
        lambda raw: base64.urlsafe_b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
        lambda raw: base64.encodebytes(raw).decode().replace("\n", "\r\n"),
    ],
)
def test_base64_of_any_producer(write: Callable[[bytes], str], encoding: str) -> None:
    """Its case, padding, alphabet and lines do not hide a secret; the alphabet stays what it was."""
    raw = b'{"password": "qwertz-9876", "more": "\xc3\xbf\xc3\xbe??>>~~"}'
    text = write(raw)
    content = {"mimeType": "application/json", "encoding": encoding, "text": text}
    redacted = Redactor().entry({"content": content})["content"]["text"]
    alphabet = b"-_" if {"-", "_"} & {*text} else b"+/"
    assert raw.replace(b"qwertz-9876", MARK.encode()) == base64.b64decode(redacted, altchars=alphabet, validate=True)


def test_base64_that_is_cut() -> None:
    """What is left of a body that was cut is looked into."""
    text = base64.b64encode(b'{"password": "qwertz-9876", "more": "abcdefgh"}').decode()[:57]
    content = {"mimeType": "application/json", "encoding": "base64", "text": text}
    assert MARK in base64.b64decode(Redactor().entry({"content": content})["content"]["text"]).decode()


@pytest.mark.parametrize("policy", [RedactionPolicy(), RedactionPolicy(hashes=True), RedactionPolicy("strict")])
def test_an_entry_refers_to_its_page(policy: RedactionPolicy) -> None:
    """Ids that are URLs lose their secrets, become the same in both places, and stay different from each other."""
    redactor = Redactor(policy)
    ids = [f"https://u:p4ssw0rd@h.test/?token={token}&n=1" for token in ("t0k3n-one", "t0k3n-two")]
    pages, _ = redactor.member_and_rules(
        "pages", [{"startedDateTime": "2030-01-02T03:04:05Z", "id": one, "title": one} for one in ids]
    )
    known = [{"name": "X-Api-Key", "value": "t0k3n-one"}]  # what is found elsewhere does not make them differ
    entries = [redactor.entry({"pageref": one, "request": {"headers": known}}) for one in ids]
    assert [page["id"] for page in pages] == [entry["pageref"] for entry in entries]
    assert 2 == len({page["id"] for page in pages})
    assert [] == [secret for secret in ("t0k3n", "p4ssw0rd") if secret in json.dumps([pages, entries])]
    assert (policy.mode == "strict") == ("n=1" not in pages[0]["title"])
    assert pages == redactor.member_and_rules("pages", pages)[0]


def test_ids_of_pages_stay() -> None:
    """Those that have no secret, and ids of anything else."""
    assert {"pageref": "page_1", "_x": {"id": "key=7"}} == Redactor().entry(
        {"pageref": "page_1", "_x": {"id": "key=7"}}
    )


@pytest.mark.parametrize(
    ("mime_type", "expected"),
    [
        ("application/x-www-form-urlencoded", MARK),
        ("", MARK),
        ("multipart/form-data; boundary=b", "c0de"),
    ],
)
def test_parameters_of_a_form(mime_type: str, expected: str) -> None:
    """A code beside the members of OAuth is one in `params`, too; a multipart is no such form."""
    params = [{"name": "client_id", "value": "shop"}, {"name": "code", "value": "c0de"}]
    redacted = Redactor().entry({"postData": {"mimeType": mime_type, "params": params}})
    assert ["shop", expected] == [pair["value"] for pair in redacted["postData"]["params"]]


@pytest.mark.parametrize("mime_type", ["", "text/plain;charset=UTF-8", "application/octet-stream"])
def test_a_form_that_does_not_say_so(mime_type: str) -> None:
    """Some producers do not know a form's media type; what is none is read as any text."""
    redactor = Redactor()
    bodies = {
        "client_id=shop&code=c0de": f"client_id=shop&code={quote(MARK)}",
        "grant_type=password is no form, code=c0de": "grant_type=password is no form, code=c0de",
    }
    for text, expected in bodies.items():
        redacted = redactor.entry({"postData": {"mimeType": mime_type, "text": text}})
        assert expected == redacted["postData"]["text"]


def test_kept_names_in_strict_mode() -> None:
    """In any spelling, of parameters wherever a URL stands, of header fields, of forms; cookies go all the same."""
    policy = RedactionPolicy("strict", keep=("page", "x_own_id", "referer", "sid"))
    url = "https://h.test/a?page=2&more=3"
    names = ("X-Own-Id", "X-Other", "Referer", "Location", ":path", ":authority", "Cookie")
    values = ("7", "8", url, url, "/a?page=2&more=3", "h.test", "sid=c00kie")
    redacted = _redacted(
        {
            "request": {
                "url": url,
                "headers": [{"name": name, "value": value} for name, value in zip(names, values, strict=True)],
                "queryString": [{"name": "page", "value": "2"}, {"name": "more", "value": "3"}],
                "postData": {
                    "mimeType": "application/x-www-form-urlencoded",
                    "params": [{"name": "page", "value": "2"}],
                },
            },
            "response": {"redirectURL": url},
            "_otel": {"attributes": {"http.request.header.x_own_id": "7", "http.request.header.x_other": "8"}},
        },
        policy,
    )
    request, escaped = redacted["request"], f"a?page=2&more={quote(MARK)}"
    assert [f"https://h.test/{escaped}"] * 2 == [request["url"], redacted["response"]["redirectURL"]]
    expected = ["7", MARK, url, f"https://h.test/{escaped}", f"/{escaped}", "h.test", f"sid={MARK}"]
    assert expected == [header["value"] for header in request["headers"]]
    assert ["2", MARK] == [pair["value"] for pair in request["queryString"]]
    assert "2" == request["postData"]["params"][0]["value"]
    assert ["7", MARK] == [*redacted["_otel"]["attributes"].values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{"a":"{GITHUB[:24]}', f'{{"a":"{MARK}'),
        ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiO", f"see {MARK}"),
        (f"you sent {SECRET[:12]}", f"you sent {MARK}"),
        (f"you sent {SECRET[:12]} today", f"you sent {SECRET[:12]} today"),
        ("a token is a word", "a token is a word"),
    ],
)
@pytest.mark.parametrize("encoding", ["", "base64"])
def test_the_end_of_a_body_that_is_cut(text: str, expected: str, encoding: str) -> None:
    """A secret of which the beginning is left goes, too: of a known form, or found elsewhere."""

    def written(said: str) -> str:
        return base64.b64encode(said.encode()).decode() if encoding else said

    content = {"mimeType": "text/plain", "encoding": encoding, "text": written(text), "_bodyState": "truncated"}
    assert written(expected) == _redacted(_with_header(response={"content": content}))["response"]["content"]["text"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"grant_type":"authorization_code","code":"x1"}', f'{{"grant_type":"authorization_code","code":"{MARK}"}}'),
        ('{"country":"fr","code":"x1"}', '{"country":"fr","code":"x1"}'),
        (
            '{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4B"}',
            f'{{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7","d":"{MARK}"}}',
        ),
    ],
)
def test_members_that_tell_of_others(body: str, expected: str) -> None:
    """A code beside its grant, the private members of a key; alone they are anything."""
    content = {"mimeType": "application/json", "text": body}
    assert expected == _redacted({"response": {"content": content}})["response"]["content"]["text"]


_PEM = f"-----BEGIN PRIVATE KEY-----\n{'Xq7vT2mB9kLw4zRd' * 12}\n-----END PRIVATE KEY-----\n"
_ENV = "DB_PASSWORD=Zq9xKw7Lm3Tp\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"data": {"id_rsa": base64.b64encode(_PEM.encode()).decode()}}, {"data": {"id_rsa": MARK}}),
        (
            {"encoding": "base64", "content": base64.encodebytes(_ENV.encode()).decode()},
            {"encoding": "base64", "content": MARK},
        ),
        (
            {"a": f"data:text/plain;base64,{base64.b64encode(_ENV.encode()).decode()}"},
            {"a": f"data:text/plain;base64,{MARK}"},
        ),
        (
            {"a": f"data:image/png;base64,{base64.b64encode(b'no picture').decode()}"},
            {"a": f"data:image/png;base64,{base64.b64encode(b'no picture').decode()}"},
        ),
    ],
)
def test_files_in_base64_within_json(text: Json, expected: Json) -> None:
    """Keys, files of GitHub's, URLs with the scheme data."""
    content = {"mimeType": "application/json", "text": json.dumps(text)}
    assert expected == json.loads(_redacted({"response": {"content": content}})["response"]["content"]["text"])


def test_a_signed_form() -> None:
    """A key beside a signature is one."""
    content = {"mimeType": "application/x-www-form-urlencoded", "text": "key=x1&a=1&sig=x2"}
    redacted = _redacted({"request": {"postData": content}})["request"]["postData"]["text"]
    assert "key=%5BREDACTED%5D&a=1&sig=%5BREDACTED%5D" == redacted


def test_further_fields_hold_everywhere() -> None:
    """A field that is named to be secret is one as a parameter, and as a header field."""
    policy = RedactionPolicy(fields=("tenant_ref",))
    request = {
        "url": "https://a.test/?tenant_ref=x1",
        "queryString": [{"name": "tenant_ref", "value": "x1"}],
        "headers": [{"name": "Tenant-Ref", "value": "x1"}],
    }
    redacted = _redacted({"request": request, "http.request.header.tenant_ref": ["x1"]}, policy)
    assert "https://a.test/?tenant_ref=%5BREDACTED%5D" == redacted["request"]["url"]
    assert MARK == redacted["request"]["queryString"][0]["value"]
    assert (MARK, [MARK]) == (redacted["request"]["headers"][0]["value"], redacted["http.request.header.tenant_ref"])
