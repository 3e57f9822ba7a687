"""Which names mean that their value is a secret.

The rule: a name is read as words, in whatever spelling, and its head decides, as in English: a `token_type` is a type,
an `access_token` is a token. What names a secret beyond doubt (`password`, `client_secret`, `api_key`) is one whatever
follows, unless what follows says that the value is something else (`password_policy`). A doubtful name that stands for
harmless things in most recordings is harmless: `page_token`, `primary_key`, `state`, `signature` of a document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from otel_har.redaction.vocabulary import (
    CORES,
    DESCRIPTIONS,
    HARMLESS,
    HARMLESS_HEADERS,
    HARMLESS_TOKENS,
    HEADERS,
    KEYS,
    PASSES,
    PHRASES,
    QUERIES,
    QUESTIONS,
    SECRET_FIELDS,
    TOKENS_OF,
    TRANSPARENT,
    WORDS,
)

ANCHORS: tuple[str, ...] = (
    "pass",
    "pwd",
    "pw",
    "secret",
    "token",
    "auth",
    "cred",
    "key",
    "jwt",
    "cookie",
    "csrf",
    "xsrf",
    "sess",
    "assertion",
    "signature",
    "hmac",
    "bearer",
    "otp",
    "cvv",
    "cvc",
    "code",
    "_pin",
    "pin_",
    "ssn",
    "saml",
    "card",
    "dsn",
    "connection",
    "nonce",
    "private",
    "sas",
    "mnemonic",
    "seed",
    "recovery",
    "webhook",
    "phrase",
    "verifier",
    "crumb",
)
"""Lower-case substrings: the name of every secret field, written plainly, has one of them."""

_LONGEST = 128
"""Characters of a name that are read, its last ones: there the head stands."""

_KNOWN = 4096
"""Names whose verdicts are kept."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W_0-9A-Za-z]+")
_CORE = re.compile(f"({'|'.join(sorted(CORES, key=len, reverse=True))})")


class Names:
    """Tells which names mean a secret; a verdict is remembered.

    Args:
        extra_headers: Further header names, in any case.
        extra_queries: Further names of query parameters, in any spelling.
        extra_fields: Further names of fields, in any spelling.
        keep: Names of headers, parameters and fields whose values stay, in any spelling; they win.
    """

    def __init__(
        self,
        extra_headers: Iterable[str] = (),
        extra_queries: Iterable[str] = (),
        extra_fields: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> None:
        fields = tuple(extra_fields)
        self._extra_headers = frozenset(map(_joined, extra_headers))
        self._extra_queries = frozenset(map(_joined, extra_queries))
        self._extra_fields = frozenset(map(_joined, fields))
        self._keep = frozenset(map(_joined, keep))
        self.anchors: tuple[str, ...] = (*ANCHORS, *(anchor for field in fields if (anchor := _anchor(field))))
        """As ANCHORS, with those of the further fields."""
        self._headers: dict[str, bool] = {}
        self._queries: dict[str, bool] = {}
        self._fields: dict[str, bool] = {}

    def header(self, name: str) -> bool:
        """Whether the value of a header is secret."""
        known = self._headers.get(name)
        if known is None:
            known = _remembered(self._headers, name, self._judged(name, self._extra_headers, _is_secret_header))
        return known

    def query(self, name: str) -> bool:
        """Whether the value of a parameter of a URL is secret, in its query, its fragment or its path."""
        known = self._queries.get(name)
        if known is None:
            known = _remembered(self._queries, name, self._judged(name, self._extra_queries, _is_secret_query))
        return known

    def field(self, name: str) -> bool:
        """Whether the value of a field is secret: of JSON, of a form, in any text."""
        known = self._fields.get(name)
        if known is None:
            known = _remembered(self._fields, name, self._judged(name, self._extra_fields, is_secret_field))
        return known

    def _judged(self, name: str, extra: frozenset[str], judge: object) -> bool:
        name = _read(name)
        joined = _joined(name)
        if joined in self._keep:
            return False
        return joined in extra or (callable(judge) and bool(judge(name)))


def _remembered(known: dict[str, bool], name: str, verdict: bool) -> bool:
    if len(name) <= _LONGEST and len(known) < _KNOWN:
        known[name] = verdict
    return verdict


def _read(name: str) -> str:
    """The name's last characters, without percent-encoding."""
    name = name[-_LONGEST:]
    return unquote(name) if "%" in name else name


def _joined(name: str) -> str:
    """The name's letters and digits in lower case: one form for all its spellings."""
    return "".join(_WORD.findall(_read(name))).lower()


def _anchor(field: str) -> str:
    """The longest word of a field's name: it stands in every spelling."""
    return max((word.lower() for word in _WORD.findall(_read(field))), key=len, default="")


def _is_secret_header(name: str) -> bool:
    lower = name.strip().lower().replace("_", "-")
    if lower in HEADERS:
        return True
    if lower in HARMLESS_HEADERS or lower.startswith(("access-control-", "sec-websocket-", "x-ratelimit-")):
        return False
    words = lower.split("-")
    if words[-1] in {"key", "auth", "signature", "session", "hmac", "cookie", "passcode", "sessionid", "jwt"}:
        return not HARMLESS.search("".join(words))
    return is_secret_field(name)


def _is_secret_query(name: str) -> bool:
    return name.strip().lower() in QUERIES or _joined(name) in QUERIES or is_secret_field(name)


def is_secret_field(name: str) -> bool:
    """Whether a name, without percent-encoding, names a secret wherever it stands."""
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "".join(words)
    if joined in SECRET_FIELDS:
        return True
    if HARMLESS.search(joined):
        return False
    return _is_secret(_taken_apart(words)) or (len(words) > 1 and _is_secret(_taken_apart([joined])))


def _taken_apart(words: list[str]) -> list[str]:
    """The words, those that are written together set apart: `accesstoken`."""
    parts: list[str] = []
    for word in words:
        parts += _apart(word)
    return parts


def _apart(word: str) -> list[str]:
    if word in WORDS or word in DESCRIPTIONS:
        return [word]
    for match in _CORE.finditer(word):
        before, core, after = word[: match.start()], match[0], word[match.end() :]
        plural = after.startswith("s") and (after == "s" or _is_known(after[1:]))
        rest = after[1:] if plural else after
        if not rest or _is_known(rest):
            core = f"{core}s" if plural else core
            return [part for part in (*_before(before), core, *(_apart(rest) if rest else ())) if part]
    for ending in ("key", "pass", "pwd", "pw"):
        start = word[: -len(ending)]
        if word.endswith(ending) and (ending == "pwd" or start in (KEYS if ending == "key" else PASSES)):
            return [*_before(start), ending]
    return [word]


def _before(word: str) -> list[str]:
    """What stands before a core: `apikey` of `apikeysecret`."""
    return _apart(word) if word else []


def _is_known(word: str) -> bool:
    return word in TRANSPARENT or word in DESCRIPTIONS or word in CORES or word in WORDS or word.isdigit()


def _is_secret(words: list[str]) -> bool:
    while words and (words[-1] in TRANSPARENT or words[-1].isdigit()) and len(words) > 1:
        words = words[:-1]
    if not words or words[-1] in DESCRIPTIONS or (words[0] in QUESTIONS and "token" not in words):
        return False
    if any(word in CORES and word not in {"token", "tokens"} for word in words):
        return True
    if any(f" {phrase} " in f" {' '.join(words)} " for phrase in PHRASES):
        return True
    return _is_secret_head(words[-1], words[-2] if len(words) > 1 else "")


def _is_secret_head(head: str, before: str) -> bool:
    """Whether a thing is secret, with the word before it: an access token, a page token."""
    if head == "token":
        return before not in HARMLESS_TOKENS
    if head == "tokens":
        return before in TOKENS_OF
    if head in {"key", "keys"}:
        return before in KEYS
    if head in {"pass", "pw"}:
        return not before or before in PASSES
    return head in WORDS
