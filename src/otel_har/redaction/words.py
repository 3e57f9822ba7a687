"""Whether a string of JSON may be the name of a secret, or have one and its value."""

from __future__ import annotations

import re
from collections.abc import Collection

from otel_har.redaction.named import NOTATIONS, lowered
from otel_har.redaction.names import Names

_HARMLESS = re.compile(r"[\w .,;!/@#()'*+$-]*")
"""What a string is made of that has no escape, nothing encoded, and no sign of a value but a comma or a space."""

_NAME_RUN = re.compile(r"[\w.$-]+")
_MOST_WORDS = 64
"""Words with letters of names that are judged; a string with more is read."""

_LONGEST_RUN = 59
"""Characters of a run up to which a reader of any text takes all of it as a name."""

SIGNS = "\\?%"
"""Where a text has one of these, what it says is not all told by what is written: each string that may tell is read."""


def may_tell(string: str, names: Names, anchors: Collection[str], *, is_plain: bool) -> bool:
    """Whether something in a string that has letters of a secret's name tells of a secret.

    Args:
        string: A string of JSON as it is written.
        names: Tells which names mean a secret.
        anchors: The letters of secret names that it may have.
        is_plain: Whether its text has none of SIGNS. Then the names alone tell: what stands behind a comma or a space
            is a value only where a name stands before it.
    """
    if not _HARMLESS.fullmatch(string) or not (is_plain or NOTATIONS.search(string) is None):
        return True
    words, lowers = string.split(" "), lowered(string).split(" ")
    near = {word for anchor in anchors for word, lower in zip(words, lowers, strict=True) if anchor in lower}
    if len(near) > _MOST_WORDS:
        return True
    # As the reader of any text takes them, too, for what looks like JSON may be none.
    runs = [run for word in near for run in _NAME_RUN.findall(word)]
    if any(len(run) > _LONGEST_RUN for run in runs):
        return True
    several = (*runs, *(run.strip(".-$") for run in runs), *([string] if "-" in string or not is_plain else ()))
    return any(names.field(one) or names.header(one) for one in several) or names.field(string)
