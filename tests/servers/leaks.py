"""Looks for secrets in what was written: as they are, in every writing that could be read back, and in parts."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote, unquote_plus

_WINDOW = 10
"""So many characters of a secret are a leak."""

_DEPTH = 2
"""So many writings within one another are read."""

_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([\\/"bfnrt]))')
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_READABLE = re.compile("[\\x20-\\x7e\\xa0-\\u2fff]{10,}")
_HEXADECIMAL_RUN = re.compile(r"[0-9a-fA-F]{16,}")


def leaks(written: bytes, planted: Mapping[str, str]) -> dict[str, str]:
    """The secrets of which a part can be read from what was written.

    Args:
        written: A file, or whatever else left the process.
        planted: The secrets by the places where they were.

    Returns:
        Of those that were found, the part, and what stands around it.
    """
    views = _views(written.decode("utf-8", "surrogateescape"))
    found = {}
    for place, secret in planted.items():
        for view in views:
            part = next((part for part in _parts(secret) if part in view), None)
            if part is not None:
                at = view.find(part)
                found[place] = f"{part!r} in {view[max(0, at - 60) : at + 60]!r}"
                break
    return found


def _parts(secret: str) -> set[str]:
    """The beginning, the middle and the end of a secret, of each of its lines, and backwards."""
    parts = set()
    for line in secret.splitlines():
        if len(line) >= _WINDOW and not line.startswith("-----"):
            for start in (0, (len(line) - _WINDOW) // 2, len(line) - _WINDOW):
                part = line[start : start + _WINDOW]
                parts |= {part, part[::-1]}
    return parts


def _views(text: str) -> list[str]:
    """The text, and what it says when it is read in the other ways, those within one another too."""
    views = {text: None}
    latest: Iterable[str] = [text]
    for _ in range(_DEPTH):
        latest = [read(view) for view in latest for read in _READINGS]
        views |= dict.fromkeys(latest)
    return list(views)


def _unescaped(text: str) -> str:
    simple = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else simple.get(escape[2], escape[2]), text)


def _from_base64(text: str) -> str:
    """What stands in base64, wherever it begins."""
    said = []
    for run in _BASE64_RUN.findall(text.replace("=", " ")):
        digits = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            cut = digits[start:]
            if len(cut) % 4 == 1:
                cut = cut[:-1]
            said += _readable(base64.b64decode(cut + "=" * (-len(cut) % 4)))
    return "\n".join(said)


def _from_hexadecimal(text: str) -> str:
    said = []
    for run in _HEXADECIMAL_RUN.findall(text):
        for start in range(2):
            digits = run[start : len(run) - (len(run) - start) % 2]
            said += _readable(bytes.fromhex(digits))
    return "\n".join(said)


def _readable(raw: bytes) -> list[str]:
    """What of some bytes is text, in UTF-8 or UTF-16, and long enough to be a part of a secret."""
    return _READABLE.findall(raw.decode("utf-8", "replace")) + _READABLE.findall(
        raw.replace(b"\0", b"").decode("utf-8", "replace")
    )


_READINGS: tuple[Callable[[str], str], ...] = (_unescaped, unquote, unquote_plus, _from_base64, _from_hexadecimal)
