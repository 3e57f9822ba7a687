"""Where a value ends that has no quotation marks around it."""

from __future__ import annotations

import re

_FOLLOWING = r"[,|](?=[\"']?[\w.$-]{1,64}[\"']?[=:])"
_RUN_ENDS = re.compile(rf"[\s\"'<>]|{_FOLLOWING}")
_RUN_OF_FORM_ENDS = re.compile(rf"[\s\"'<>&;`]|{_FOLLOWING}")


def end_of_run(text: str, at: int, *, form: bool = True) -> int:
    """Where a value without quotation marks and spaces ends."""
    return trimmed(text, at, first_of(_RUN_OF_FORM_ENDS if form else _RUN_ENDS, text, at, len(text)))


def trimmed(text: str, at: int, end: int) -> int:
    """The end without what belongs to the text around: `password=x), then`."""
    if text[end - 1 : end].isalnum():
        return end
    value = text[at:end].rstrip(" \t\\,;")
    for opening, closed in ("()", "[]", "{}"):
        if opening not in value:
            value = value.rstrip(closed + " \t\\,;")
    return at + len(value)


def first_of(ends: re.Pattern[str], text: str, at: int, stop: int) -> int:
    """Where a pattern is found first; where is searched to if it is not."""
    end = ends.search(text, at, stop)
    return end.start() if end else stop
