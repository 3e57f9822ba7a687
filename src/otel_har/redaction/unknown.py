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

URL_PARTS = {"url.query": "?", "url.fragment": "#"}
"""Of a span's attributes: what is written there without the sign before it."""

_DELIMITER = re.compile("[&;]")
_URL = re.compile(r"\s{0,16}(?:[A-Za-z]{3,6} )?(?:[A-Za-z][A-Za-z0-9+.-]{0,31}://|/)\S*\s{0,16}\Z")


def is_url(text: str) -> bool:
    """Whether a title is a URL, or a path, perhaps with a method before it."""
    return _URL.match(text) is not None


def query_values(url: str, names: Names) -> Iterator[Span]:
    """The values of all parameters of a URL's query but those that the user keeps, and those of its fragment.

    A fragment without parameters goes as a whole.
    """
    fragment = url.find("#")
    end = fragment if fragment >= 0 else len(url)
    start = url.find("?", 0, end) + 1
    if start:
        yield from _values(url, start, end, names)
    if fragment < 0 or fragment + 1 == len(url):
        return
    if "=" in url[fragment:]:
        yield from _values(url, fragment + 1, len(url), names)
    else:
        yield from _span(url, fragment + 1, len(url))


def _values(url: str, start: int, end: int, names: Names) -> Iterator[Span]:
    while start < end:
        delimiter = _DELIMITER.search(url, start, end)
        stop = delimiter.start() if delimiter else end
        begin = url.find("=", start, stop) + 1
        if 0 < begin < stop and not names.is_kept(unquote_plus(url[start : begin - 1])):
            yield from _span(url, begin, stop)
        start = stop + 1


def _span(url: str, start: int, end: int) -> Iterator[Span]:
    value = unquote_plus(url[start:end])
    if not is_mark(value):
        yield Span(start, end, UNKNOWN, value, Writing.PERCENT)
