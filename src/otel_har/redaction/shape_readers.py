"""Secrets that are known by what stands around them: a URL's authority, an auth scheme, the lines of a private key.

The rule: a reader is given where its needle stands and the end of what was read before, and reads forward; what it
reads backward is bounded, or ends where the last reading did.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from otel_har.redaction.spans import Span, Writing

Reader = Callable[[str, int, int], Iterator[Span]]
"""Gives what stands at a needle; takes the text, the needle's place and the end of the last reading."""

_LONG_USER = 16
"""Characters of a user without a password from which it is a token."""

_LONG_BEARER = 16
"""Characters of a word after `Bearer` from which it is a token; one with a digit is with fewer."""

_SHORT_BEARER = 6

_BACK = 4096
"""Characters of a private key's body that are looked for before its last line, where its first is cut off."""

_LINE = 64
"""Characters of a private key's first or last line before `PRIVATE`."""

_DIGEST = 600
"""Characters of the parameters of Digest within which its response stands."""

_PROSE = 24
"""Letters alone after `Bearer` up to which they are a word of a sentence."""

_SHORT_BODY = 200
"""Characters after a private key's first line within which its last stands, where what follows looks like no body."""

_GAP = r"(?: |\+|%20)"
_PEM_NAME = rf"(?:[A-Z0-9]{{1,16}}{_GAP}){{0,3}}PRIVATE{_GAP}KEY(?:{_GAP}BLOCK)?"
_PEM_FIRST = re.compile(rf"-{{4,5}} ?BEGIN{_GAP}{_PEM_NAME} ?-{{4,5}}")
_PEM_LAST = re.compile(rf"-{{4,5}} ?END{_GAP}{_PEM_NAME} ?-{{4,5}}")
_PEM_START = re.compile(
    r"(?:\s|\\+[nr]|%0[AaDd]|\+){0,8}(?:(?:Proc-Type|Version|Comment|DEK-Info|Charset)(?::|%3A)|[A-Za-z0-9+/=]{16})"
)
_PEM_RUN = re.compile(r"[A-Za-z0-9+/=\\\s:,%.@-]*")
_PEM_BACK = re.compile(r"[A-Za-z0-9+/=\\\s%]*")
_AUTHORITY = re.compile(r"[^\s/?#\"'<>\\`{}|^]*")
_WEBHOOK = re.compile(
    r"(?:hooks\.slack(?:-gov)?\.com/(?:services|triggers|workflows)/"
    r"|(?:\w{1,16}\.)?discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{1,24}/"
    r"|[\w-]{1,64}\.webhook\.office\.com/webhookb2/|outlook\.office\.com/webhook/"
    r"|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/trigger/[\w-]{1,64}/with/key/"
    r"|[\w-]{1,64}\.(?:g\.alchemy\.com/v2|infura\.io/v3)/)([A-Za-z0-9_/@-]{16,})"
)
WEBHOOK_WORDS = ("hooks.", "webhook", "discord", "outlook.", "ifttt", "alchemy.", "infura.")
"""Each of them has one of these."""

_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BASIC = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}")
_RESPONSE = re.compile(r"\\*[\"']?([0-9A-Fa-f]{16,128})")
_CONNECTION = re.compile(r"[^;\"'<>\r\n\\]{1,256}")

_REDACTED = ("[REDACTED", "%5BREDACTED")


def _url(text: str, at: int, _: int) -> Iterator[Span]:
    """The password of a URL, the user where it is the token, and the path of a webhook."""
    begin = text.index("/", at) + (3 if text[at + 1] == "\\" else 2)
    match = _AUTHORITY.match(text, begin)
    length = match[0].rfind("@") if match else -1
    host = begin + length + 1
    if length > 0:
        yield from _credentials(text, begin, begin + length)
    is_host_of_hooks = match is not None and match[0].endswith((".com", ".io"))
    hook = _WEBHOOK.match(text, host) if is_host_of_hooks else None
    if hook:
        yield Span(hook.start(1), hook.end(1), "webhook-url", hook[1])


def _credentials(text: str, start: int, end: int) -> Iterator[Span]:
    user, colon, password = text[start:end].partition(":")
    for begin, value in ((start, user), (start + len(user) + 1, password)):
        is_secret = value is password or _is_token_user(user, colon, password)
        if value and is_secret and not value.startswith(_REDACTED):
            yield Span(begin, begin + len(value), "url-userinfo", unquote(value), Writing.PERCENT)


def _is_token_user(user: str, colon: str, password: str) -> bool:
    """Whether the user is the secret: `sk_live_...:@`, `TOKEN:x-oauth-basic@`."""
    if colon and password.lower() in {"", "x", "x-oauth-basic", "api_token", "api", "token"}:
        return bool(user)
    return len(user) >= _LONG_USER and any(map(str.isdigit, user)) and "@" not in unquote(user)


def _bearer(text: str, at: int, _: int) -> Iterator[Span]:
    match = _BEARER.match(text, text.index(" ", at) + 1)
    if match is None or (match[0].endswith("=") and text[match.end() : match.end() + 1] in {'"', "'"}):
        return  # `Bearer realm="..."`: a challenge
    token = match[0].rstrip(".")
    if _is_bearer(token):
        yield Span(match.start(), match.start() + len(token), "bearer", token)


def _is_bearer(token: str) -> bool:
    if len(token) < _SHORT_BEARER or token[:3].lower() == "rfc":
        return False
    if token.isalpha() and token[1:].islower():
        return len(token) > _PROSE
    return len(token) >= _LONG_BEARER or any(map(str.isdigit, token))


def _basic(text: str, at: int, _: int) -> Iterator[Span]:
    """Credentials of Basic: base64 of a user, a colon and a password; `Basic training` is none."""
    match = _BASIC.match(text, text.index(" ", at) + 1)
    if match and _is_basic(match[0]):
        yield Span(match.start(), match.end(), "basic", match[0])


def _is_basic(credentials: str) -> bool:
    try:
        decoded = base64.b64decode(credentials + "=" * (-len(credentials) % 4), altchars=b"-_").decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in decoded and decoded.isprintable()


def _digest(text: str, at: int, _: int) -> Iterator[Span]:
    """The response of Digest: a hash of the password, which can be guessed from it."""
    response = text.find("response=", at, at + _DIGEST)
    match = _RESPONSE.match(text, response + len("response=")) if response >= 0 else None
    if match:
        yield Span(match.start(1), match.end(1), "digest", match[1])


def _private_key(text: str, at: int, done: int) -> Iterator[Span]:
    """A private key with its first and its last line; one that is cut off, as far as it goes."""
    low = max(done, at - _LINE)
    first = _PEM_FIRST.match(text, _line(text, "BEGIN", low, at))
    last = None if first else _PEM_LAST.match(text, _line(text, "END", low, at))
    if first:
        end = _end(text, first.end())
        if end:
            yield _key(text, first.start(), end)
    elif last and len(_body_before(text, max(done, last.start() - _LONG_BEARER), last.start())) == _LONG_BEARER:
        body = _body_before(text, max(done, last.start() - _BACK), last.start())
        yield _key(text, last.start() - len(body), last.end())


def _body_before(text: str, low: int, high: int) -> str:
    body = _PEM_BACK.match(text[low:high][::-1])
    return body[0] if body else ""


def _line(text: str, word: str, low: int, high: int) -> int:
    """Where the line begins whose word stands between two places: at the hyphens before it."""
    start = text.rfind(word, low, high)
    if start < 0:
        return high
    start -= text[start - 1 : start] == " "
    return start - len(text[max(low, start - 5) : start]) + len(text[max(low, start - 5) : start].rstrip("-"))


def _end(text: str, start: int) -> int:
    """The end of a key's last line; of all that could be its body, where it has none; 0 where there is no body."""
    has_body = _PEM_START.match(text, start) is not None
    run = _PEM_RUN.match(text, start, len(text) if has_body else start + _SHORT_BODY)
    end = run.end() if run else start
    at = text.find("END", start, end)
    while at >= 0:
        last = _PEM_LAST.match(text, _line(text, "END", start, at + 3))
        if last:
            return last.end()
        at = text.find("END", at + 3, end)
    return end if has_body else 0


def _key(text: str, start: int, end: int) -> Span:
    return Span(start, end, "private-key", text[start:end].replace("\\r", "").replace("\\n", "\n"))


def _after(
    rule: str, needle: str, unlike: str, pattern: re.Pattern[str], writing: Writing = Writing.PLAIN
) -> tuple[str, Reader]:
    """A reader of what stands right behind its needle, where nothing of a kind stands before the needle."""
    before = re.compile(rf"(?<!{unlike})|(?<=\\u0026)" if unlike else "")

    def read(text: str, at: int, _: int) -> Iterator[Span]:
        match = pattern.match(text, at + len(needle)) if before.match(text, at) else None
        if match:
            value = unquote(match[0]) if writing is Writing.PERCENT else match[0]
            yield Span(match.start(), match.end(), rule, value, writing)

    return needle, read


def _connection_password(text: str, at: int, _: int) -> Iterator[Span]:
    """The password of a connection string; a form's field `password=` is not one."""
    begin = text.index("=", at) + 1
    match = _CONNECTION.match(text, begin)
    if match is None or not match[0].strip() or match[0].startswith(_REDACTED):
        return
    before = text[max(0, at - 40) : at]
    if ";" in before or text[match.end() : match.end() + 1] == ";":
        yield Span(begin, match.end(), "connection-string", match[0])


def _around(rule: str, needle: str, before: str, after: re.Pattern[str], most: int) -> tuple[str, Reader]:
    """What has a needle in its middle.

    Args:
        rule: The name of the form.
        needle: What stands in the middle.
        before: The kind of characters before it.
        after: What stands behind it.
        most: How many stand before it, exactly; what stands before these may be the rest of an escape.
    """
    start = re.compile(f"{before}{{{most}}}")

    def read(text: str, at: int, done: int) -> Iterator[Span]:
        begin = max(done, at - most)
        end = after.match(text, at + len(needle))
        if end and start.fullmatch(text, begin, at):
            yield Span(begin, end.end(), rule, text[begin : end.end()])

    return needle, read


READERS: tuple[tuple[str, Reader], ...] = (
    ("://", _url),
    (":\\/\\/", _url),
    ("earer ", _bearer),
    ("asic ", _basic),
    ("igest ", _digest),
    ("PRIVATE", _private_key),
    ("assword=", _connection_password),
    ("Pwd=", _connection_password),
    _after("ssws", "SSWS ", r"\w", re.compile("[A-Za-z0-9_-]{20,}")),
    _after("azure-signature", "sig=", r"\w", re.compile("[A-Za-z0-9%+/_-]{20,}={0,2}"), Writing.PERCENT),
    _after("aws-signature", "ignature=", "", re.compile("[0-9a-f]{64}")),
    # As Azure's and DevOps' keys look since 2024: 84 characters, these from the 53rd on.
    _around("azure-key", "JQQJ99", "[A-Za-z0-9]", re.compile("[A-Za-z0-9]{26}(?![A-Za-z0-9])"), 52),
    _around("terraform-token", ".atlasv1.", "[A-Za-z0-9]", re.compile("[A-Za-z0-9_-]{60,}"), 14),
    _after("braintree-token", "access_token$production$", r"\w", re.compile(r"[0-9a-z]{16}\$[0-9a-f]{32}")),
    _after("azure-key", "Key=", "", re.compile("[A-Za-z0-9+/]{42,}={0,2}")),
)
"""Each needle, and who reads what stands at it. A text has few of them, so each is looked for by itself."""
