"""Blanks where entries were: RFC 8259, section 2, allows them "before or after any of the six structural characters".

The rule: an entry is blanked with its comma, so what is left is JSON.
"""

from __future__ import annotations

import os

from otel_har.export.files import access
from otel_har.export.files.standing import Standing

_BLANKS = b" " * (64 * 1024)
_MOST_PARTS = 1024  # of one call
_READ_AT_ONCE = 1024 * 1024


def blanked(descriptor: int, start: int, end: int, before: bytes = b"") -> None:
    """Write blanks from one place to another, with one call of the system up to 64 MiB.

    Args:
        descriptor: The file.
        start: The first byte.
        end: The byte after the last.
        before: What is written first.
    """
    if start >= end and not before:
        return
    os.lseek(descriptor, start, os.SEEK_SET)
    whole, rest = divmod(max(0, end - start - len(before)), len(_BLANKS))
    parts = [before, *[_BLANKS] * whole, _BLANKS[:rest]]
    for index in range(0, len(parts), _MOST_PARTS):
        some = parts[index : index + _MOST_PARTS]
        count = os.writev(descriptor, some) if hasattr(os, "writev") else 0
        for part in some:
            left = part[min(count, len(part)) :]
            count -= len(part) - len(left)
            while left:
                left = left[os.write(descriptor, left) :]


def blank_again(descriptor: int, standing: Standing) -> None:
    """Blank what a process was killed before blanking."""
    start = standing.list_start
    while start < standing.entries_start:
        end = min(start + _READ_AT_ONCE, standing.entries_start)
        if access.read(descriptor, start, end).strip(b" "):
            blanked(descriptor, start, standing.entries_start)
            return
        start = end
