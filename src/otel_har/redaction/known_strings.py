"""Strings of JSON in which nothing was found before: most documents of a service say the same again and again.

The rule: a document is taken apart at its quotation marks. Where every piece is known, or new and without anything by
which a secret is found, the document has none: nothing by which one is found has a quotation mark in it. What may tell
of a piece beside it (the name of a secret, a backslash, a query, what is percent-encoded) is never known as harmless.
"""

from __future__ import annotations

from otel_har.redaction.named import anchors_in, lowered
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import COMMANDS
from otel_har.redaction.shapes import is_near_a_shape
from otel_har.redaction.text import base64_places
from otel_har.redaction.words import may_tell

_LONGEST_TEXT = 1_048_576
_LONGEST_PIECE = 59  # as far as the name is read that a piece may be
_MOST = 10_000
_READ_EACH_TIME = "\\?%"


def is_known_to_be_harmless(text: str, names: Names) -> bool:
    """Whether a text that is JSON, if anything, has no secret by what was found in others; False where it may have.

    Args:
        text: Any text.
        names: Tells which names mean a secret, and remembers the strings.
    """
    if len(text) > _LONGEST_TEXT or any(one in text for one in _READ_EACH_TIME):
        return False
    memory = names.strings
    pieces = set(text.split('"'))
    if not memory.telling.isdisjoint(pieces):
        return False
    new = pieces - memory.harmless
    if not new:
        return True
    telling = _telling(new, names)
    memory.telling.remember(telling, _LONGEST_PIECE, _MOST)
    if telling:
        return False
    memory.harmless.remember(new, _LONGEST_PIECE, _MOST)
    return True


def _telling(pieces: set[str], names: Names) -> list[str]:
    """Those by which a secret may be found; all of them are looked through at once first."""
    together = '"'.join(pieces)
    lower = lowered(together)
    anchors = anchors_in(lower, names)
    named = [one for one in pieces if _may_name(one, anchors, names)] if anchors else []
    if named or not _may_be_found(together, lower):
        return named
    return [one for one in pieces if _may_be_found(one, lowered(one))] or list(pieces)


def _may_name(piece: str, anchors: list[str], names: Names) -> bool:
    lower = lowered(piece)
    if not any(anchor in lower for anchor in anchors):
        return False
    return len(piece) > _LONGEST_PIECE or may_tell(piece, names)


def _may_be_found(text: str, lower: str) -> bool:
    """Whether a secret may be found by its form."""
    if any(command in lower for command in COMMANDS) or "-----BEGIN" in text:
        return True
    return bool(is_near_a_shape(text) or base64_places(text))
