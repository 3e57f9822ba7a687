"""Bodies in base64 as producers write them: in lines, without padding, in the URL-safe alphabet, under any case.

The rule: what a reader that forgives decodes is looked into; what nobody can decode is looked at as it stands.
Sources: RFC 4648, 4 and 5; RFC 2045, 6.8 (lines of 76 characters).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

_STANDARD = str.maketrans("-_", "+/")
_SAFE = ("-", "_")


def is_base64(encoding: object) -> bool:
    """Whether a member `encoding` says that a text is in base64."""
    return isinstance(encoding, str) and encoding.strip().lower().startswith("base64")


def changed_in_base64(text: str, change: Callable[[str], str]) -> str:
    """Change the bytes that a text stands for; the text itself where there is nothing to change, or no base64.

    Args:
        text: A text that is said to be base64.
        change: Gets the bytes as UTF-8, or as Latin-1 where they are none.
    """
    raw = _decoded(text)
    if raw is None:
        return change(text)
    try:
        decoded, charset = raw.decode(), "utf-8"
    except UnicodeDecodeError:
        decoded, charset = raw.decode("latin-1"), "latin-1"
    changed = change(decoded)
    if changed == decoded:
        return text
    is_url_safe = any(one in text for one in _SAFE)
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    return encode(changed.encode(charset, "replace")).decode()


def _decoded(text: str) -> bytes | None:
    digits = "".join(text.split()).rstrip("=").translate(_STANDARD)
    if len(digits) % 4 == 1:  # cut: the last digit is no byte
        digits = digits[:-1]
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
