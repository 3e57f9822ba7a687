"""The finders of secrets, which remember what they found in short texts: most texts of entries come again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from otel_har.redaction.credentials import Found
from otel_har.redaction.header_policy import HeaderSpans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span, Writing
from otel_har.redaction.text import text_spans
from otel_har.redaction.urls import url_spans

_REMEMBERED = 4096
_MARK = "REDACTED"
LONGEST_REMEMBERED = 300
"""Characters of a text beyond which it is looked at each time."""
_NOTHING = Found()
_Find = Callable[[str], list[Span]]


class Harmless(set[tuple[str, str]]):
    """Members of entries in which nothing was found, by name and text."""

    def remember(self, name: str, text: str) -> None:
        """A member has nothing; what has a mark already is looked at each time, for its rule is told."""
        if len(text) <= LONGEST_REMEMBERED and _MARK not in text:
            if len(self) >= _REMEMBERED:
                self.clear()
            self.add((name, text))


class Finders:
    """What finds secrets, by one policy.

    Args:
        names: The names of secrets.
        headers: Finds those of header fields.

    Attributes:
        names: As given.
        harmless: What has none, as far as it is remembered.
    """

    def __init__(self, names: Names, headers: HeaderSpans) -> None:
        self.names = names
        self.harmless = Harmless()
        self.text = _remembering(lambda text: text_spans(text, names))
        self.url = _remembering(lambda url: _in_url(url, names))
        self._headers = headers
        self._short_header = lru_cache(_REMEMBERED)(self._header)

    def header(self, name: str, value: str, *, is_strict: bool) -> Found:
        """The secrets of a header field."""
        if len(value) > LONGEST_REMEMBERED or len(name) > LONGEST_REMEMBERED:
            return self._header(name, value, is_strict)
        return self._short_header(name, value, is_strict)

    def _header(self, name: str, value: str, is_strict: bool) -> Found:
        found = self._headers.find(name, value, is_strict=is_strict)
        return found if found.spans or found.values else _NOTHING  # one for all that are remembered


def _in_url(url: str, names: Names) -> list[Span]:
    """The secrets of a URL, or of the path of a file: names may stand in its path, too, as in `/token=abc/`."""
    query = url.find("?")
    path = url[: query if query >= 0 else len(url)]
    named = [span._replace(writing=Writing.PERCENT) for span in text_spans(path, names)]
    return url_spans(url, names) + named


def _remembering(find: _Find) -> _Find:
    short = lru_cache(_REMEMBERED)(find)

    def found(text: str) -> list[Span]:
        return short(text) if len(text) <= LONGEST_REMEMBERED else find(text)

    return found
