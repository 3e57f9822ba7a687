"""Secrets in JSON, exactly: by the names of members at any depth, and in all strings by what they say.

The rule: the text is read once from left to right, and only its strings are looked at; what stands between them must be
what stands there in JSON, or it is none. Nothing is built of it, so numbers of any length, names that come twice and
space stay as they are. A text that is cut, several values in a row, and prefixes against script inclusion are JSON too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from otel_har.redaction.credentials import value_spans
from otel_har.redaction.decoded import in_string, unescaped
from otel_har.redaction.encoded_urls import encoded_url_places
from otel_har.redaction.harmless import LONGEST as HARMLESS_LENGTH
from otel_har.redaction.harmless import describes, is_harmless, is_symbol, is_text_of_code
from otel_har.redaction.json_pairs import end_of_string, value_beside
from otel_har.redaction.known_strings import is_known_to_be_harmless
from otel_har.redaction.named import anchors_in, lowered
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import COMMANDS
from otel_har.redaction.shapes import shape_spans
from otel_har.redaction.spans import Span, Writing
from otel_har.redaction.text import base64_places, text_spans
from otel_har.redaction.urls import query_places
from otel_har.redaction.words import SIGNS, may_tell

RULE = "json-field"

_DEEPEST = 8
"""Times that JSON within the strings of JSON is read; deeper it is any text."""

_PREFIX = re.compile(
    r"\ufeff?\s{0,256}(?:\)\]\}'?,?|while\s?\(1\);?|for\s?\(;;\);?|throw 1;|(?:/\*\*/)?[A-Za-z_$][\w$.]{0,127}\s?\()?"
    r"\s{0,256}(?=[\[{\"])"
)
"""What servers put before JSON so that no page can include it, and JSONP."""

_BETWEEN = r"[\s,:\[\]{}0-9.eE+\-trufalsn]*"
_STRINGS = re.compile(rf'(?:{_BETWEEN}"[^"\\]*"){{1,500}}')
_OPENING = re.compile(rf'{_BETWEEN}"')
_LAST = re.compile(rf"{_BETWEEN}(?:\);?\s*)?\x1e?\Z")
_ESCAPED_LETTER = re.compile(r"\\u00[2-7]")
_COLON = re.compile(r"\s*:\s*")
_NUMBER = re.compile(r"-?\d[\d.eE+-]*")
_BRACKET_OR_STRING = re.compile(r"[\[\]{}\"]|-?\d[\d.eE+-]*")
_LONGEST_NAME = 128
_NEAR = 60
"""Characters to both sides within which a short string begins and ends."""

_OF_TEXTS = frozenset({"token", "tokens"})
_SYMBOL = 6
_LOGPROB = r"(?:logprob|bytes|token_id|rank|score|start|amount|symbol)"
_LOGPROB_AFTER = re.compile(rf'"\s{{0,64}},\s{{0,64}}"{_LOGPROB}"\s{{0,8}}:\s{{0,8}}[-\d\[n]')
_LOGPROB_BEFORE = re.compile(
    rf'"{_LOGPROB}"\s{{0,8}}:\s{{0,8}}[\d.eE+-]{{1,40}}\s{{0,64}},\s{{0,64}}"tokens?"\s{{0,8}}:\s{{0,8}}\Z'
)
"""What stands beside a `token` that is a piece of a text."""

_VOCABULARY = re.compile(r'"vocab"\s{0,8}:\s{0,8}\{')
_VOCABULARY_ENDS = re.compile(r"\d\s{0,256}\}")
_WEAK_NAME = re.compile(r"(?:auth|authorization|cookies?)\Z", re.IGNORECASE)
"""Names that stand over the texts of a page, too, of which a sentence is no secret."""

_KNOWN = 4096
"""Strings whose verdicts are kept while a text is read."""

_ENOUGH = 1000
"""Telling places from which the text is read anyway."""


def json_spans(text: str, names: Names, depth: int = _DEEPEST) -> list[Span] | None:
    """The secrets in a text that is JSON.

    Args:
        text: Any text.
        names: Tells which names mean a secret.
        depth: How often JSON within strings is read.

    Returns:
        Places in the text; None if it is no JSON, for `text_spans` to take. A text that has no secret by any rule
        gives none without being read to its end, so it may be no JSON either.
    """
    prefix = _PREFIX.match(text)
    if not prefix:
        return None
    is_whole = depth == _DEEPEST  # of what stands within a string less may be read
    if is_whole and text in names.harmless_texts:
        return []
    spans = [] if is_known_to_be_harmless(text, names) else read_spans(text, names, prefix.end(), depth)
    if is_whole and spans == []:
        names.harmless_texts.add(text)
    return spans


def read_spans(text: str, names: Names, begin: int = 0, depth: int = _DEEPEST) -> list[Span] | None:
    """The same of what begins like JSON, without asking what is known of its strings.

    Args:
        text: Any text.
        names: Tells which names mean a secret.
        begin: Where the JSON begins.
        depth: How often JSON within strings is read.
    """
    lower = lowered(text)
    anchors = anchors_in(lower, names)
    shapes = shape_spans(text)
    plain = text.replace("\\/", "/") if "\\/" in text else text
    all_strings = "-----BEGIN" in text or (plain is not text and len(shapes) != len(shape_spans(plain)))
    places = _telling(text, lower, anchors, names)
    places += _occurrences(lower, [*COMMANDS])
    places += [span.start for span in shapes]
    places += base64_places(text)
    places += query_places(text, names)
    places += encoded_url_places(text)
    places += [escape.start() for escape in _ESCAPED_LETTER.finditer(text)] if "\\u00" in text else ()
    if not (places or all_strings):
        return []
    places.sort(reverse=True)
    reading = _Reading(text, names, places, all_strings=all_strings, depth=depth)
    return reading.spans if reading.read(begin) else None


@dataclass(slots=True)
class _Reading:
    """One text on its way.

    Attributes:
        text: All of it.
        names: Tells which names mean a secret.
        interesting: Where something stands that a secret or its name may have, the last place first.
        all_strings: Whether all strings are looked at.
        depth: How often JSON within strings is read.
        spans: What was found.
        vocabulary: Where the words of a tokenizer stand; None as long as it is not known.
    """

    text: str
    names: Names
    interesting: list[int]
    all_strings: bool
    depth: int
    spans: list[Span] = field(default_factory=list)
    vocabulary: tuple[int, int] | None = None

    def read(self, at: int) -> bool:
        """Reads from an offset on; false if it is no JSON."""
        while True:
            at = self._skipped(at)
            opening = _OPENING.match(self.text, at)
            if not opening:
                return _LAST.match(self.text, at) is not None
            start = opening.end()
            end = end_of_string(self.text, start)
            at = self._string(start, end)

    def _skipped(self, at: int) -> int:
        """Where the next string begins that is to be looked at, or what stands before it."""
        if self.all_strings:
            return at
        while self.interesting and self.interesting[-1] < at:
            self.interesting.pop()
        until = self.interesting[-1] if self.interesting else len(self.text)
        while strings := _STRINGS.match(self.text, at, until):
            at = strings.end()
        return at

    def _string(self, start: int, end: int) -> int:
        """Looks at one string; gives where reading goes on."""
        after = end + 1
        while self.interesting and self.interesting[-1] < start:
            self.interesting.pop()
        interesting = self.all_strings or (self.interesting and self.interesting[-1] < end)
        if not interesting:
            return after
        written = self.text[start:end]
        colon = _COLON.match(self.text, after)
        said = unescaped(written)
        if colon:
            self.spans += in_string(shape_spans(said), written, start)
            return self._value(said, colon.end()) if self.names.field(said) else colon.end()
        self._any_string(written, said, start, after)
        return after

    def _any_string(self, written: str, said: str, start: int, after: int) -> None:
        """A string that is no value of a secret name; it may be one itself, and its value stand beside it."""
        self._content(written, said, start)
        if len(said) <= _LONGEST_NAME and (self.names.field(said) or ("-" in said and self.names.header(said))):
            self._named(said, start, after)

    def _value(self, name: str, at: int) -> int:
        """The value of a secret name."""
        first = self.text[at : at + 1]
        if first == '"':
            end = end_of_string(self.text, at + 1)
            if name.lower() not in _OF_TEXTS or not self._is_piece_of_text(at, end):
                self._secret(name, at + 1, end)
            return end + 1
        if first in {"{", "["}:
            # A path, or a package, has no secrets below it: what they are is told by their own names.
            return self._container(at, name if first == "[" or "/" not in name else None)
        number = _NUMBER.match(self.text, at)
        if number:
            if not self._is_in_vocabulary(at):
                self.spans.append(Span(at, number.end(), RULE, number[0], Writing.BARE))
            return number.end()
        return at

    def _is_piece_of_text(self, start: int, end: int) -> bool:
        """Whether a `token` is one of those that a text is made of, or of currencies."""
        text = self.text
        if end - start <= _SYMBOL and is_symbol(text[start + 1 : end]):
            return True
        return bool(_LOGPROB_AFTER.match(text, end) or _LOGPROB_BEFORE.search(text[max(0, start - 160) : start]))

    def _is_in_vocabulary(self, at: int) -> bool:
        """Whether a number is that of a word in the vocabulary of a tokenizer."""
        if self.vocabulary is None:
            begin = _VOCABULARY.search(self.text)
            end = _VOCABULARY_ENDS.search(self.text, begin.end()) if begin else None
            self.vocabulary = (begin.end(), end.end() if end else len(self.text)) if begin else (0, 0)
        return self.vocabulary[0] <= at < self.vocabulary[1]

    def _secret(self, name: str, start: int, end: int) -> None:
        written = self.text[start:end]
        said = unescaped(written)
        if is_harmless(name, said):
            return
        self.spans += in_string(value_spans(name, said, RULE), written, start)

    def _container(self, at: int, name: str | None) -> int:
        """The strings and numbers of an object or an array below a secret's name, but those that describe it.

        Args:
            at: Where its bracket stands.
            name: The name of the secret; None where each name below is judged by itself.
        """
        outer: list[str | None] = []
        under = name
        while piece := _BRACKET_OR_STRING.search(self.text, at):
            first, at = piece[0][0], piece.end()
            if first == '"':
                end = end_of_string(self.text, at)
                colon = _COLON.match(self.text, end + 1)
                if colon:
                    under = self._under(unescaped(self.text[at:end]), outer[-1], colon.end())
                    at = colon.end()
                    continue
                self._string_below(under, at, end)
                at = end + 1
            elif first in "[{":
                outer.append(under)
            elif first in "]}":
                outer.pop()
                if not outer:
                    return at
            elif under is not None:
                self.spans.append(Span(piece.start(), at, RULE, piece[0], Writing.BARE))
            under = outer[-1]
        return len(self.text)

    def _under(self, name: str, outer: str | None, at: int) -> str | None:
        """The name of the secret that a member of an object is, or is a part of; None if it is none."""
        if self.names.field(name):
            return None if "/" in name and self.text[at : at + 1] == "{" else name
        if outer is None:
            return None
        value = self.text[at + 1 : at + 1 + HARMLESS_LENGTH].partition('"')[0] if self.text[at : at + 1] == '"' else ""
        return None if describes(name, value) else outer

    def _string_below(self, under: str | None, start: int, end: int) -> None:
        written = self.text[start:end]
        if under is None:
            self._any_string(written, unescaped(written), start, end + 1)
        elif not (" " in written and _WEAK_NAME.search(under) and is_text_of_code(written)):
            self._secret(under, start, end)

    def _content(self, written: str, said: str, start: int) -> None:
        """What a string says that is no value of a secret name."""
        spans = json_spans(said, self.names, self.depth - 1) if self.depth else None
        if spans is None:
            spans = text_spans(said, self.names)
        self.spans += in_string(spans, written, start)

    def _named(self, name: str, start: int, after: int) -> None:
        """The value that stands beside a name."""
        place = value_beside(self.text, name, start, after)
        if place:
            self._secret(name, *place)


def _occurrences(lower: str, anchors: list[str]) -> list[int]:
    """Where anchors stand."""
    places = []
    for anchor in anchors:
        at = lower.find(anchor)
        while at >= 0:
            places.append(at)
            at = lower.find(anchor, at + len(anchor))
    return places


def _telling(text: str, lower: str, anchors: list[str], names: Names) -> list[int]:
    """The places of anchors but those in short strings that are no secret's name and have no name and value.

    The most strings of a document that have an anchor are the name `author` or `key`, again and again.
    """
    known: dict[str, bool] = {}
    telling: list[int] = []
    places = _occurrences(lower, anchors)
    is_plain = not any(sign in text for sign in SIGNS)
    for index, at in enumerate(places):
        if len(telling) >= _ENOUGH:
            return telling + places[index:]
        start, end = text.rfind('"', max(0, at - _NEAR), at) + 1, text.find('"', at, at + _NEAR)
        string = text[start:end] if start and end >= 0 else ""
        verdict = known.get(string) if string else True
        if verdict is None:
            verdict = may_tell(string, names, anchors, is_plain=is_plain)
            if len(known) < _KNOWN:
                known[string] = verdict
        if verdict:
            telling.append(at)
    return telling
