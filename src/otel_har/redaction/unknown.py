"""What goes in strict mode: not because it is known to be a secret, but because nobody knows that it is none.

The rule: such a value goes where it stands, and is not looked for elsewhere: it may be a host or a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span, Writing, is_mark

UNKNOWN = "unknown"
"""The rule that such spans have."""

_ENDS = re.compile("[&;#]")
_URL = re.compile(r"\s{0,16}(?:[A-Za-z]{3,6} )?(?:[A-Za-z][A-Za-z0-9+.-]{0,31}://|/)\S*\s{0,16}\Z")


def is_url(text: str) -> bool:
    """Whether a title is a URL, or a path, perhaps with a method before it."""
    return _URL.match(text) is not None


def query_values(url: str, names: Names) -> Iterator[Span]:
    """The values of all parameters of a URL's query but those that the user keeps."""
    start = url.find("?") + 1
    while start:
        delimiter = _ENDS.search(url, start)
        end = delimiter.start() if delimiter else len(url)
        begin = url.find("=", start, end) + 1
        if 0 < begin < end and not names.is_kept(unquote_plus(url[start : begin - 1])):
            value = unquote_plus(url[begin:end])
            if not is_mark(value):
                yield Span(begin, end, UNKNOWN, value, Writing.PERCENT)
        start = end + 1 if delimiter and delimiter[0] != "#" else 0
