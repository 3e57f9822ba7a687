"""Bodies in base64 as producers write them: in lines, without padding, in the URL-safe alphabet, under any case.

The rule: what a reader that forgives decodes is looked into; what nobody can decode is looked at as it stands. Text in
two or four bytes a character is in base64 for most producers, and is read as what it is.
Sources: RFC 4648, 4 and 5; RFC 2045, 6.8 (lines of 76 characters); RFC 2781, 4 and RFC 4627, 3 (which UTF it is).
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable

_STANDARD = str.maketrans("-_", "+/")
_SAFE = ("-", "_")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before that of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = (
    ((False, True, True, True), "utf-32-le"),
    ((True, True, True, False), "utf-32-be"),
    ((False, True, False, True), "utf-16-le"),
    ((True, False, True, False), "utf-16-be"),
)
"""Which of the first four bytes are zero where a text begins with two characters of ASCII: RFC 4627, 3."""

_CHARSET = re.compile(r"charset\s?=\s?\"?utf[-_]?(16|32)[-_]?([bl]e)?", re.IGNORECASE)


def is_base64(encoding: object) -> bool:
    """Whether a member `encoding` says that a text is in base64."""
    return isinstance(encoding, str) and encoding.strip().lower().startswith("base64")


def changed_in_base64(text: str, change: Callable[[str], str], media_type: str = "") -> str:
    """Change the bytes that a text stands for; the text itself where there is nothing to change, or no base64.

    Args:
        text: A text that is said to be base64.
        change: Gets the bytes as UTF-8, or as Latin-1 where they are none; first as UTF-16 or UTF-32 where they are.
        media_type: Its Content-Type, which may tell in what it is written.
    """
    raw = _decoded(text)
    if raw is None:
        return change(text)
    changed = _changed(_changed_wide(raw, change, media_type), change)
    if changed == raw:
        return text
    is_url_safe = any(one in text for one in _SAFE)
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    return encode(changed).decode()


def _changed(raw: bytes, change: Callable[[str], str]) -> bytes:
    try:
        decoded, charset = raw.decode(), "utf-8"
    except UnicodeDecodeError:
        decoded, charset = raw.decode("latin-1"), "latin-1"
    changed = change(decoded)
    return raw if changed == decoded else changed.encode(charset, "replace")


def _changed_wide(raw: bytes, change: Callable[[str], str], media_type: str) -> bytes:
    """The bytes, changed as UTF-16 or UTF-32 if they look like it; a byte order mark and half a character stay."""
    charset, begin = _wide_charset(raw, media_type)
    if not charset:
        return raw
    end = len(raw) - (len(raw) - begin) % (2 if "16" in charset else 4)
    try:
        decoded = raw[begin:end].decode(charset, "surrogatepass")
    except UnicodeDecodeError:
        return raw
    changed = change(decoded)
    return raw if changed == decoded else raw[:begin] + changed.encode(charset, "surrogatepass") + raw[end:]


def _wide_charset(raw: bytes, media_type: str) -> tuple[str, int]:
    """In which UTF of two or four bytes a text is, if in one, and where it begins."""
    for mark, charset in _MARKS:
        if raw.startswith(mark):
            return charset, len(mark)
    for zeros, charset in _ZEROS:
        if len(raw) >= len(zeros) and all((byte == 0) == zero for byte, zero in zip(raw, zeros, strict=False)):
            return charset, 0
    told = _CHARSET.search(media_type)
    if not told:
        return "", 0
    return f"utf-{told[1]}-{(told[2] or 'be').lower()}", 0  # RFC 2781, 4.3: big-endian, unless it is told


def _decoded(text: str) -> bytes | None:
    digits = "".join(text.split()).rstrip("=").translate(_STANDARD)
    if len(digits) % 4 == 1:  # cut: the last digit is no byte
        digits = digits[:-1]
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
