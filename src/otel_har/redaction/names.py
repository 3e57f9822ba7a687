"""Which names mean that their value is a secret.

The rule: a name is read as words, in whatever spelling, and its head decides, as in English: a `token_type` is a type,
an `access_token` is a token. What names a secret beyond doubt (`password`, `client_secret`, `api_key`) is one whatever
follows, unless what follows says that the value is something else (`password_policy`). A doubtful name that stands for
harmless things in most recordings is harmless: `page_token`, `primary_key`, `state`, the `signature` of a document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from urllib.parse import unquote

from otel_har.redaction.seen_texts import SeenTexts
from otel_har.redaction.vocabulary import (
    CORES,
    DESCRIPTIONS,
    DOUBTFUL_QUERIES,
    HARMLESS,
    HARMLESS_HEADER_STARTS,
    HARMLESS_HEADERS,
    HARMLESS_TOKENS,
    HEADER_ENDS,
    HEADER_HEADS,
    HEADERS,
    KEYS,
    PASSES,
    PHRASES,
    QUERIES,
    QUESTIONS,
    SECRET_ENDS,
    SECRET_FIELDS,
    TOKENS_OF,
    TRANSPARENT,
    WORDS,
)

ANCHORS: tuple[str, ...] = (
    "pass",
    "pw",
    "secret",
    "token",
    "auth",
    "cred",
    "key",
    "jwt",
    "cookie",
    "srf",
    "sess",
    "assert",
    "signature",
    "hmac",
    "otp",
    "cvv",
    "cvc",
    "psk",
    "saml",
    "card",
    "connection",
    "verif",
    "codes",
    "recover",
    "device",
    "-sign",
    "ssion-sig",
    "amzn-oidc",
    "honeycomb-team",
    "jenkins-crumb",
    "jfrog-art-api",
    "requestdigest",
    "trello-webhook",
    "zumo-application",
)
"""Lower-case substrings: the name of every secret field, written plainly, has one of them."""

_LONGEST = 128
"""Characters of a name that are read, its last ones: there the head stands."""

_SENTENCE = 5
"""Words with spaces between them from which they are no name but a sentence, as catalogues of messages have them."""

_KNOWN = 4096
"""Names whose verdicts are kept."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_0-9A-Z]+|[0-9]+")
_PIECE = re.compile(r"[^\W_]+")
_CORE = re.compile("|".join(sorted(CORES, key=len, reverse=True)))
_PATTERN = re.compile(r"[^\w-]")
_SEVERAL = re.compile(r"\w+(?:[-_]\w+)+")


class Names:
    """Tells which names mean a secret; a verdict is remembered.

    Args:
        extra_headers: Further header names, in any case, or regular expressions of them.
        extra_queries: Further names of query parameters, in any spelling.
        extra_fields: Further names of fields, in any spelling; header fields and parameters of these names, too.
        keep: Names of headers, parameters and fields whose values stay, in any spelling; they win.

    Attributes:
        strings: What was seen of strings of JSON, by these names.
        strings_beside_signs: The same of documents that have escapes or queries, of which more is read.
        harmless_texts: Whole texts of JSON in which nothing was found, by these names.
    """

    def __init__(
        self,
        extra_headers: Iterable[str] = (),
        extra_queries: Iterable[str] = (),
        extra_fields: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> None:
        headers, queries, fields = tuple(extra_headers), tuple(extra_queries), tuple(extra_fields)
        kept = self._kept = frozenset(map(_joined, keep))
        # A name of several words, `X-Tenant`, is no field of anything else: its header is secret in every notation.
        fields = (*fields, *(header for header in headers if _SEVERAL.fullmatch(header.strip())))
        self._headers = frozenset(header.strip().lower() for header in headers)
        anchors = (_anchor(name) for name in (*fields, *headers))
        self.anchors: tuple[str, ...] = tuple(dict.fromkeys((*ANCHORS, *(anchor for anchor in anchors if anchor))))
        """As ANCHORS, with those of the further fields and header fields."""
        # A further field is secret of whatever it is one: a header field and a parameter as well.
        self.strings, self.strings_beside_signs = SeenStrings(), SeenStrings()
        self.harmless_texts = SeenTexts()
        self._header = _Verdicts(
            _is_secret_header, frozenset(map(_joined, (*headers, *fields))), kept, _patterns(headers)
        )
        self._query = _Verdicts(_is_secret_query, frozenset(map(_joined, (*queries, *fields))), kept)
        self._field = _Verdicts(_is_secret_field, frozenset(map(_joined, fields)), kept)
        self._form = _Verdicts(_is_secret_in_forms, frozenset(map(_joined, (*fields, *queries))), kept)

    @property
    def fields(self) -> Mapping[str, bool]:
        """`field` of each name."""
        return self._field

    def is_kept(self, name: str) -> bool:
        """Whether the user said that the values of the name stay."""
        return bool(self._kept) and _joined(name) in self._kept

    def header(self, name: str) -> bool:
        """Whether the value of a header is secret."""
        return self._header[name]

    def query(self, name: str) -> bool:
        """Whether the value of a parameter of a URL is secret, in its query, its fragment or its path."""
        return self._query[name]

    def form(self, name: str) -> bool:
        """Whether the value of a field of an urlencoded form is secret, whatever stands beside it."""
        return self._form[name]

    def is_further_header(self, name: str) -> bool:
        """Whether the user named a header field so whose values are secret."""
        return name.lower() in self._headers and self._header[name]

    def field(self, name: str) -> bool:
        """Whether the value of a field is secret: of JSON, of a form, in any text."""
        return self._field[name]


_LONGEST_STRING = 59
_MOST_STRINGS = 10_000


class _Strings(set[str]):
    """Strings that are remembered within bounds."""

    def remember(self, strings: Collection[str]) -> None:
        """Further ones, but for those that are too long; beyond so many, they begin anew."""
        if len(self) + len(strings) > _MOST_STRINGS:
            self.clear()
        self.update(islice((one for one in strings if len(one) <= _LONGEST_STRING), _MOST_STRINGS))


class SeenStrings:
    """What was seen of the strings of documents, with a 0 for each digit.

    Attributes:
        harmless: Those that tell of no secret, whatever their digits are.
        telling: Those that may: names of secrets.
        last_telling: One of the last such names as it is written: documents of one kind come one after the other.
    """

    __slots__ = ("harmless", "last_telling", "telling")

    def __init__(self) -> None:
        self.harmless = _Strings()
        self.telling = _Strings()
        self.last_telling = ""


class _Verdicts(dict[str, bool]):
    """What is known of names of one kind; what is not is judged, and remembered within bounds."""

    def __init__(
        self,
        judge: Callable[[str, str], bool],
        extra: frozenset[str],
        kept: frozenset[str],
        patterns: tuple[re.Pattern[str], ...] = (),
    ) -> None:
        super().__init__()
        self._judge = judge
        self._extra = extra
        self._kept = kept
        self._patterns = patterns

    def __missing__(self, name: str) -> bool:
        verdict = self._verdict(_read(name))
        if len(name) <= _LONGEST:
            if len(self) >= _KNOWN:
                self.clear()
            self[name] = verdict
        return verdict

    def _verdict(self, name: str) -> bool:
        together = _together(name)
        joined = _joined(name) if "%" in name else together
        if joined in self._kept:
            return False
        if joined in self._extra or any(pattern.search(name) for pattern in self._patterns):
            return True
        return self._judge(name, together)


def _patterns(headers: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """The regular expressions among names: OpenTelemetry's own setting takes such.

    `OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS`: "Regexes may be used, and all header names will be
    matched in a case-insensitive manner." They are searched for in the name, as there. One that is broken is none.
    """
    patterns = []
    for header in headers:
        if _PATTERN.search(header):
            try:
                patterns.append(re.compile(header, re.IGNORECASE))
            except re.error:
                continue
    return tuple(patterns)


def _read(name: str) -> str:
    """The name's last characters, without percent-encoding."""
    name = name[-_LONGEST:]
    return unquote(name) if "%" in name else name


def _joined(name: str) -> str:
    """The name's letters and digits in lower case: one form for all its spellings."""
    return _together(_read(name))


def _together(name: str) -> str:
    return "".join(_WORD.findall(name)).lower()


def _anchor(field: str) -> str:
    """The longest word of a field's name: it stands in every spelling."""
    return max((word.lower() for word in _WORD.findall(_read(field))), key=len, default="")


def _is_secret_header(name: str, together: str) -> bool:
    lower = name.strip().lower().replace("_", "-")
    if lower in HEADERS:
        return True
    if lower in HARMLESS_HEADERS or lower.startswith(HARMLESS_HEADER_STARTS):
        return False
    if lower.rpartition("-")[2] in HEADER_HEADS:
        return HARMLESS.search(_joined(lower)) is None
    return lower.endswith(HEADER_ENDS) or _is_secret_field(name, together)


def _is_secret_query(name: str, together: str) -> bool:
    return _joined(name) in _QUERIES or _is_secret_field(name, together)


def _is_secret_in_forms(name: str, together: str) -> bool:
    return _joined(name) in _SURE_QUERIES or _is_secret_field(name, together)


_QUERIES = frozenset(map(_joined, QUERIES))
_SURE_QUERIES = _QUERIES - frozenset(map(_joined, DOUBTFUL_QUERIES))


def _is_secret_field(name: str, together: str) -> bool:
    """Whether a name, without percent-encoding, names a secret wherever it stands.

    Args:
        name: Its last characters.
        together: Its letters and digits in lower case.
    """
    if together in SECRET_FIELDS or together in _DUMPED_HEADERS or together.endswith(SECRET_ENDS):
        return True
    if name.count(" ") >= _SENTENCE or HARMLESS.search(together):
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if _is_secret(_taken_apart(words)):
        return True
    pieces = [piece.lower() for piece in _PIECE.findall(name)]  # capitals mislead: `APIkey`
    return pieces != words and _is_secret(_taken_apart(pieces))


_DUMPED_HEADERS = frozenset(_joined(header) for header in HEADERS if "-" in header)
"""Header fields in the bodies of servers that tell what they got: those of several words are nothing else's names."""


def _taken_apart(words: list[str]) -> list[str]:
    """The words, those that are written together set apart: `accesstoken`."""
    return [part for word in words for part in _apart(word)]


def _apart(word: str) -> list[str]:
    if not word or word in WORDS or word in DESCRIPTIONS:
        return [word] if word else []
    for match in _CORE.finditer(word):
        core, after = match[0], word[match.end() :]
        if after.startswith("s") and _is_known(after[1:]):
            core, after = f"{core}s" if f"{core}s" in CORES else core, after[1:]
        if _is_known(after):
            return [*_apart(word[: match.start()]), core, *_apart(after)]
    for ending, starts in (("pwd", None), ("key", KEYS), ("pass", PASSES), ("pw", PASSES)):
        start = word[: -len(ending)]
        if word.endswith(ending) and (starts is None or start in starts):
            return [start, ending] if start else [ending]
    return [word]


def _is_known(word: str) -> bool:
    """Whether a word may follow one that names a secret, written together."""
    return not word or word in TRANSPARENT or word in DESCRIPTIONS or word in CORES or word in WORDS


def _is_secret(words: list[str]) -> bool:
    while len(words) > 1 and words[-1].isdigit():
        words = words[:-1]
    if f" {' '.join(words)}".endswith(_PHRASE_ENDS):
        return True
    while len(words) > 1 and (words[-1] in TRANSPARENT or words[-1].isdigit()):
        words = words[:-1]
    if not words or words[-1] in DESCRIPTIONS or _asks(words):
        return False
    spoken = f" {' '.join(words)} "
    if any(phrase in spoken for phrase in _PHRASES) or not _BEYOND_DOUBT.isdisjoint(words):
        return True
    return _is_secret_head(words[-1], words[-2] if len(words) > 1 else "")


def _asks(words: list[str]) -> bool:
    """Whether a name asks or tells something about a secret: `has_password`, though not `reset_token`."""
    return not QUESTIONS.isdisjoint(words) and "token" not in words


_PHRASES = tuple(f" {phrase} " for phrase in PHRASES)
_PHRASE_ENDS = tuple(f" {phrase}" for phrase in PHRASES)
_BEYOND_DOUBT = CORES - {"token", "tokens"}


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
