"""Whether a short string of JSON may be the name of a secret, or have one and its value."""

from __future__ import annotations

import re

from otel_har.redaction.named import NOTATIONS, anchors_in, lowered
from otel_har.redaction.names import Names

_HARMLESS = re.compile(r"[\w .,;!/@#()'*+$-]*")
"""What a string is made of that has no escape and nothing encoded."""

_NAME_RUN = re.compile(r"[\w.$-]+")


def may_tell(string: str, names: Names) -> bool:
    """Whether something in a string that has letters of a secret's name tells of a secret.

    Args:
        string: A string of JSON as it is written.
        names: Tells which names mean a secret.
    """
    if not _HARMLESS.fullmatch(string) or NOTATIONS.search(string):
        return True
    # As the reader of any text takes them, too, for what looks like JSON may be none.
    runs = [run for run in _NAME_RUN.findall(string) if anchors_in(lowered(run), names)]
    return any(names.field(one) or names.header(one) for one in (string, *runs))
