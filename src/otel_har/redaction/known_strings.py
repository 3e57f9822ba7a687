"""Strings of JSON in which nothing was found before: most documents of a service say the same again and again.

The rule: a document is taken apart at its quotation marks. Where every piece is known, or new and without anything by
which a secret is found, the document has none: nothing by which one is found has a quotation mark in it. Pieces are
known by their outlines, with a 0 for each digit: what stands side by side in one does so in its outline. What may tell
of a piece beside it, the name of a secret above all, is never known as harmless, nor what has such letters beside an
escape. Parameters of URLs that may be secret, and letters that are escaped by their number, are looked for each time.
"""

from __future__ import annotations

from functools import lru_cache

from otel_har.redaction.encoded_urls import encoded_url_places
from otel_har.redaction.named import anchors_in, letters_in, lowered
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import COMMANDS
from otel_har.redaction.shape_readers import READERS, WEBHOOK_WORDS
from otel_har.redaction.shape_table import outlined
from otel_har.redaction.shapes import is_near_a_shape, may_have_tokens
from otel_har.redaction.text import BASE64_BEGINNINGS, base64_places
from otel_har.redaction.urls import query_places
from otel_har.redaction.words import SIGNS, may_tell

_LONGEST_TEXT = 1_048_576
_LONGEST_WITH_SIGNS = 16_384  # most longer ones have something that is read; to look for it first would be for nothing
_LONGEST_PIECE = 59
_ESCAPES = ("\\/", "\\u00", "\\x")  # behind which letters stand that are looked for
_ESCAPE_SIGNS = "\\%"


def is_known_to_be_harmless(text: str, names: Names) -> bool:
    """Whether a text that is JSON, if anything, has no secret by what was found in others; False where it may have.

    Args:
        text: Any text.
        names: Tells which names mean a secret, and remembers the strings.
    """
    is_plain = not any(sign in text for sign in SIGNS)
    memory = names.strings if is_plain else names.strings_beside_signs
    tells_again = memory.last_telling and memory.last_telling in text
    if len(text) > _LONGEST_TEXT or tells_again or not (is_plain or _is_said_as_written(text, names)):
        return False
    outlines = outlined(text).split('"')
    new = set(outlines)
    if not memory.telling.isdisjoint(new):
        return False
    new -= memory.harmless
    letters, near = _near(list(new), names) if new else ([], set())
    memory.harmless.remember(new - near)
    if not near:
        return True
    pieces = {piece for piece, outline in zip(text.split('"'), outlines, strict=True) if outline in near}
    telling = _telling(list(pieces), letters, names, is_plain=is_plain)
    if telling:  # of these names alone are kept, what else tells may be a secret itself
        secret_names = [one for one in telling if names.field(one)]
        memory.telling.remember([outlined(one) for one in secret_names])
        memory.last_telling = f'"{secret_names[0]}"' if secret_names else ""
        return False
    memory.harmless.remember([one for one in near if "0" not in one])  # what had a digit may have had another one
    return True


def _is_said_as_written(text: str, names: Names) -> bool:
    """Whether nothing is found in a text with escapes or queries but what its pieces tell as they are written."""
    if len(text) > _LONGEST_WITH_SIGNS or any(escape in text for escape in _ESCAPES):
        return False
    end = text[text.rfind('"') + 1 :]  # of a string that is cut, too
    if anchors_in(lowered(end), names) or base64_places(text):
        return False
    return not (query_places(text, names) or encoded_url_places(text))


def _near(outlines: list[str], names: Names) -> tuple[list[str], set[str]]:
    """The letters by which secrets are found that some pieces have, and those that have any.

    Also those that have what may be the user of a URL, a token, or an escape before one. All are looked through
    together first.

    Args:
        outlines: Of the pieces: those of numbers, times and addresses come again and again.
        names: Tells which names mean a secret.
    """
    together = '"'.join(outlines)
    lower = lowered(together)
    lowers = lower.split('"')
    letters = letters_in(lower, _letters(names.anchors))
    near = {one for letter in letters for one, its in zip(outlines, lowers, strict=True) if letter in its}
    for sign in _ESCAPE_SIGNS:
        if sign in lower:
            near.update(one for one in outlines if sign in one)
    if "://" in lower and "@" in lower:
        near.update(one for one in outlines if "://" in one and "@" in one)
    if may_have_tokens(together):
        near.update(filter(may_have_tokens, outlines))
    return letters, near


@lru_cache(maxsize=16)
def _outlined(anchors: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((anchor, outlined(anchor)) for anchor in anchors)


@lru_cache(maxsize=16)
def _letters(anchors: tuple[str, ...]) -> tuple[str, ...]:
    """What an outline has in lower case that may be one of a secret or its name, but for tokens."""
    needles = [needle for needle, _ in READERS if "/" not in needle]  # a URL's is beside an @, or one of a webhook
    letters = (*anchors, *COMMANDS, *needles, *WEBHOOK_WORDS, *BASE64_BEGINNINGS, ";base64,", "-----BEGIN")
    return tuple(dict.fromkeys(outlined(one).lower() for one in letters))


def _telling(pieces: list[str], letters: list[str], names: Names, *, is_plain: bool) -> list[str]:
    """Those that may name a secret or have one by its form; all are looked through at once first."""
    anchors = {anchor for one in letters for anchor, its in _outlined(names.anchors) if one in its}
    named = [one for one in pieces if _may_name(one, anchors, names, is_plain=is_plain)] if anchors else []
    together = '"'.join(pieces)
    if named or not _may_be_found(together, lowered(together)):
        return named
    return [one for one in pieces if _may_be_found(one, lowered(one))]


def _may_name(piece: str, anchors: set[str], names: Names, *, is_plain: bool) -> bool:
    lower = lowered(piece)
    if not any(anchor in lower for anchor in anchors):
        return False
    return (len(piece) > _LONGEST_PIECE and not is_plain) or may_tell(piece, names, anchors, is_plain=is_plain)


def _may_be_found(text: str, lower: str) -> bool:
    """Whether a secret may be found by its form."""
    if any(command in lower for command in COMMANDS) or "-----BEGIN" in text:
        return True
    return bool(is_near_a_shape(text) or base64_places(text))
