"""Secrets that are known by their form, wherever they stand.

The rule: a text is searched once for how such forms begin; each beginning is then read forward in runs of one kind of
character, from where the last one ended. So the work is linear in the text, whatever the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote

from otel_har.redaction.shape_table import TOKENS, Token
from otel_har.redaction.spans import Span, Writing

_SHORTEST = 6
"""Characters below which no text has a form of these."""

_JWT = re.compile(r"e[yw][A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}")
_JWT_RUN = re.compile(r"[A-Za-z0-9_-]+")
_PEM = re.compile(
    r"----[- ]?[ ]?BEGIN(?: |\+|%20)(?:[A-Z0-9]{1,16}(?: |\+|%20)){0,3}PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?[ ]?----",
)
_PEM_END = re.compile(r"----[- ]?[ ]?END[A-Z0-9 +%]{1,64}-{4,5}")
_PEM_RUN = re.compile(r"[A-Za-z0-9+/=\\\s:,%.-]*")
_AUTHORITY = re.compile(r"[^\s/?#\"'<>\\`{}|^]*")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BASIC = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_PARAMETER = re.compile(r"[\"']?([A-Za-z0-9+/=_-]{16,})")
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=_-])")
_BEFORE = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[nrtbf])\Z")


def shape_spans(text: str) -> list[Span]:
    """The secrets in a text that their form tells.

    Args:
        text: Any text; it may be cut anywhere, and be hostile.

    Returns:
        The places, none before the end of the one before it; `rule` is the name of the form.
    """
    if len(text) < _SHORTEST:
        return []
    start = _STARTS.search(text)
    return list(_found(text, start)) if start else []


def _found(text: str, start: re.Match[str] | None) -> Iterator[Span]:
    while start:
        done = start.end()
        for span in _READERS.get(start[0], _token_spans)(text, start.start(), start[0]):
            yield span
            done = max(done, span.end)
        start = _STARTS.search(text, done)


def _token_spans(text: str, start: int, beginning: str) -> Iterator[Span]:
    """A token by how it begins, how it goes on and how long it is."""
    for token in TOKENS[beginning]:
        match = token.pattern.match(text, start)
        if match and _stands_alone(text, start, token) and (token.check is None or token.check(match[0])):
            yield Span(start, match.end(), token.rule, match[0])
            return


def _stands_alone(text: str, start: int, token: Token) -> bool:
    """Whether nothing that could belong to a word stands before; what is percent-encoded or escaped does not."""
    if start == 0:
        return True
    before = text[start - 1]
    if not (before.isalnum() or (token.strict and before in "-_./+")):
        return True
    return _BEFORE.search(text[max(0, start - 6) : start]) is not None


def _jwt_spans(text: str, start: int, _: str) -> Iterator[Span]:
    """A JWT, with an empty signature too, or a JWE of five parts; two parts are something else."""
    match = _JWT.match(text, start)
    if match is None:
        return
    parts = match[0].count(".")
    if parts == 1:
        return
    yield Span(start, match.end(), "jwt", match[0])


def _pem_spans(text: str, start: int, _: str) -> Iterator[Span]:
    """A private key with its first and its last line; one that is cut, as far as it goes."""
    begin = text.rfind("----", max(0, start - 64), start)
    first = _PEM.match(text, text.rfind("-----BEGIN", max(0, start - 80), start)) if begin >= 0 else None
    if first is None:
        return
    body = _PEM_RUN.match(text, first.end())
    end = body.end() if body else first.end()
    last = text.find("-----END", first.end(), end)
    if last >= 0:
        line = _PEM_END.match(text, last)
        end = line.end() if line else end
    key = text[first.start() : end]
    yield Span(first.start(), end, "private-key", key.replace("\\r", "").replace("\\n", "\n"))


def _userinfo_spans(text: str, start: int, _: str) -> Iterator[Span]:
    """The password of a URL, and the user where it is the token."""
    begin = start + 3
    match = _AUTHORITY.match(text, begin)
    at = match[0].rfind("@") if match else -1
    if at < 0:
        return
    user, colon, password = text[begin : begin + at].partition(":")
    if _is_token_user(user, colon, password):
        yield Span(begin, begin + len(user), "url-userinfo", unquote(user), Writing.PERCENT)
    if password:
        yield Span(begin + len(user) + 1, begin + at, "url-userinfo", unquote(password), Writing.PERCENT)


def _is_token_user(user: str, colon: str, password: str) -> bool:
    if colon and password.lower() in {"", "x", "x-oauth-basic", "api_token", "api", "token"}:
        return bool(user)
    return len(user) >= 16 and any(map(str.isdigit, user)) and "@" not in unquote(user)  # noqa: PLR2004


def _bearer_spans(text: str, start: int, beginning: str) -> Iterator[Span]:
    match = _BEARER.match(text, start + len(beginning))
    if match and (len(match[0]) >= 16 or (len(match[0]) >= 6 and any(map(str.isdigit, match[0])))):  # noqa: PLR2004
        yield Span(match.start(), match.end(), "bearer", match[0])


def _basic_spans(text: str, start: int, beginning: str) -> Iterator[Span]:
    """Credentials of Basic: base64 of a user, a colon and a password; `Basic training` is none."""
    match = _BASIC.match(text, start + len(beginning))
    if match and _is_basic(match[0]):
        yield Span(match.start(), match.end(), "basic", match[0])


def _is_basic(credentials: str) -> bool:
    try:
        decoded = base64.b64decode(credentials + "=" * (-len(credentials) % 4), altchars=b"-_").decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in decoded and decoded.isprintable()


_READERS = {
    "eyJ": _jwt_spans,
    "PRIVATE KEY": _pem_spans,
    "PRIVATE+KEY": _pem_spans,
    "PRIVATE%20KEY": _pem_spans,
    "://": _userinfo_spans,
    "Bearer ": _bearer_spans,
    "bearer ": _bearer_spans,
    "Basic ": _basic_spans,
    "basic ": _basic_spans,
}
_STARTS = re.compile("|".join(map(re.escape, sorted((*TOKENS, *_READERS), key=len, reverse=True))))
