"""What stands under the name of a secret and is none: a type, a version, a label, a word of a message.

The rule: where it is in doubt, what has letters and digits, or is long, is a secret; a plain word is none only where
something else tells so, too: the name of the member, the words around, that the text is a program.
"""

from __future__ import annotations

import re

from otel_har.redaction.spans import WRITTEN_MARK
from otel_har.redaction.vocabulary import DESCRIPTIONS, words_of

LONGEST = 256
"""Characters of a value from which it is neither a label nor a message."""

_VERSION = re.compile(
    r"(?:[\^~<>=v]{1,2} ?\d{1,4}(?:\.\d{1,4})?|\d{1,4}\.\d{1,4})(?:\.(?:\d{1,6}|x|\*))"
    r"(?:[-+][a-z]{1,8}(?:[.-]?\d{1,6})?)?\Z"
)
_SETTINGS = words_of(
    """
    accepted always basic bearer disabled enabled include never oauth oauth2 omit optional read read-only
    read-write required same-origin success write
    """
)
"""What stands for a value in settings and in lists of permissions."""

_TRANSLATED = words_of(
    """
    passwort kennwort passwort: geheimnis mot_de_passe contrase\u00f1a clave senha palavra-passe wachtwoord
    l\u00f6senord passord adgangskode salasana has\u0142o heslo jelsz\u00f3 parola \u015fifre
    \u043f\u0430\u0440\u043e\u043b\u044c \u5bc6\u7801 \u5bc6\u78bc \u53e3\u4ee4 \u30d1\u30b9\u30ef\u30fc\u30c9
    \ube44\ubc00\ubc88\ud638 \u0e23\u0e2b\u0e31\u0e2a\u0e1c\u0e48\u0e32\u0e19
    """
)
"""A password's name in the languages of many pages."""

_MESSAGE = re.compile(
    r"(?:is|are|was|must|can't|can not|cannot|should|may not|doesn't|does not|has to|needs to|please|at least|too)\s"
    r"|(?:this|the|your) (?:field|value|password|token|key|secret)\s",
    re.IGNORECASE,
)
_FUNCTION_WORDS = words_of(
    """
    a an and are as at be by can do for from has have in into is it least least: must no not of on or our out see
    than that the then this to too use used was we when will with you your
    """
)
"""Words that sentences are made of, and pass phrases seldom are."""

_WORD = re.compile(r"\S+")
_LONGEST_WORD = 128
_LETTERS = re.compile(r"[^\W\d_]+")
_NO_LETTER = re.compile(r"[!-/:-@\[-`{-~]{1,2}\Z")
_SYMBOL = re.compile(r"[A-Z]{2,5}\Z")
_OF_CODE = re.compile(r"[^\W\d_]*(?:[ ._/:,;!?'-]{1,3}[^\W\d_]+)*[ ._/:,;!?'=-]{0,3}\Z")


def is_opaque(value: str) -> bool:
    """Whether a value, or a word of it, has what secrets have and words do not: letters and digits, or is long."""
    if "REDACTED" in value:
        value = WRITTEN_MARK.sub("", value)
    return any(_is_opaque_word(word[0]) for word in _WORD.finditer(value))


def _is_opaque_word(word: str) -> bool:
    if len(word) > _LONGEST_WORD:
        return True
    word = word.strip("\"'()[]{},;:.!?")
    if len(word) < 6:  # noqa: PLR2004 - shorter are units, ordinals, names of keys
        return False
    has_letter = any(character.isalpha() for character in word)
    if has_letter and any(character.isdigit() for character in word):
        return True
    return any(len(run) >= 24 for run in _LETTERS.findall(word))  # noqa: PLR2004 - longer than words are


def is_harmless(name: str, value: str) -> bool:
    """Whether a value under the name of a secret is a version, a setting, a label, a message about it.

    Args:
        name: The name of the secret; empty where it stands below one.
        value: The value, without escapes.
    """
    if len(value) > LONGEST:
        return False
    if value[:1] in "^~<>=v0123456789" and _VERSION.match(value):
        return True
    lower = value.lower()
    if lower in _SETTINGS or _NO_LETTER.match(value):
        return True
    if value != lower and not any(map(str.isdigit, value)) and _is_label(name, lower):
        return True
    return " " in value and _MESSAGE.match(value) is not None and not is_opaque(value)


def _is_label(name: str, lower: str) -> bool:
    return lower in _TRANSLATED or (bool(name) and _joined(lower) == _joined(name.lower()))


def _joined(text: str) -> str:
    return "".join(_LETTERS.findall(text))


def is_prose(value: str) -> bool:
    """Whether what follows a name and a colon is the rest of a sentence."""
    words = value.lower().split(None, 12)
    return len(words) > 1 and not _FUNCTION_WORDS.isdisjoint(words) and not is_opaque(value)


def is_text_of_code(value: str) -> bool:
    """Whether a string of a program is words, a path, a name of something: it has no digit and is not long."""
    return len(value) <= LONGEST and _OF_CODE.match(value) is not None and not is_opaque(value)


def is_symbol(value: str) -> bool:
    """Whether the value of a `token` is the symbol of a currency."""
    return _SYMBOL.match(value) is not None


_STRONG = words_of(
    """
    address alg algorithm aud audience bearerformat created date decimals deprecated description email expiration
    expires expiry format integrity iss issuer items kind label license message method mode modified name
    names nullable operationid pattern placeholder policy properties provider purpose readonly ref required resolved
    role roles scheme schemes scope scopes status strategy summary symbol tag tags time timestamp title ttl type types
    updated uri uris url urls user username version versions visibility
    """
)
_WEAK = DESCRIPTIONS | words_of("id ids")
_MEASURED = ("min", "max")
_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_0-9A-Z]+")


def describes(name: str, value: str = "") -> bool:
    """Whether a member of an object below a secret's name says something about the secret, and is none.

    Args:
        name: The member's name.
        value: What it says, if it is a text.
    """
    words = [word.lower() for word in _NAME_WORD.findall(name[-LONGEST:])]
    if not words:
        return False
    last = words[-1]
    if last in _STRONG or words[0].startswith(_MEASURED) or (len(words) > 1 and last == "at"):
        return True
    return last in _WEAK and not is_opaque(value)


_WORDS = words_of(
    """
    any are bool boolean bytes can cannot doesn't expired has incorrect int invalid is missing must needs not
    number object optional required should str string varchar void was were will wrong
    """
)
"""Words that follow the name of a secret where its type is declared or where a message speaks of it."""


def is_word(name: str, value: str) -> bool:
    """Whether a value begins with a word that messages and declarations have there, or is harmless anyway."""
    words = value.split(None, 1)
    return (words[0].rstrip(".,:;!?").lower() if words else "") in _WORDS or is_harmless(name, value)
