"""One entry without its secrets, in the form that JSON has of it, whoever made it.

The rule: two passes. The first goes through every member and takes out what is secret where it stands, by the name it
stands under, by its form, or by what kind of text it is in; the second takes out of every text what the first found
anywhere. Names stay, and so does the structure. Members that nobody here knows are gone through like all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from otel_har.redaction.bodies import body_spans
from otel_har.redaction.credentials import moved
from otel_har.redaction.encoded_body import changed_in_base64, is_base64
from otel_har.redaction.finding import LONGEST_REMEMBERED, Finders
from otel_har.redaction.form_names import FormNames, form_of
from otel_har.redaction.marks import beside_marks
from otel_har.redaction.shapes import cut_spans
from otel_har.redaction.spans import Mark, Span, Writing, plain_mark, replaced
from otel_har.redaction.sweep import Sweep, is_plain
from otel_har.redaction.unknown import UNKNOWN, URL_PARTS, is_url, query_values

# What HAR 1.2 itself fills with facts that are no secrets, where a secret may stand in the text by chance only.
_FACT = re.compile(
    r"[\w./:+-]{0,19}|[0-9A-Fa-f]{32}|[0-9]{4}-[0-9T:.+Z-]{6,40}|[a-z]{4,12}/[a-z.+-]{1,60}(?:; ?charset=[\w-]{1,16})?"
)
"""What such a member says: a word shorter than any token, an id, a date, a media type."""

_FACTS = frozenset(
    {
        "startedDateTime",
        "httpVersion",
        "serverIPAddress",
        "connection",
        "mimeType",
        "encoding",
        "timings",
        "_resourceType",
        "_connectionId",
        "traceId",
        "spanId",
        "parentSpanId",
        "method",
    }
)
_URLS = frozenset({"url", "redirectURL", "_proxy", "url.full", "http.url", "http.target"})
_BODIES = frozenset({"text", "data"})
_CUT = ("truncated", "partial")
_COOKIES = frozenset({"cookie", "set-cookie"})
_HEADERS = frozenset({"headers", "_trailers"})
_MESSAGES = frozenset({"_webSocketMessages", "_eventSourceMessages"})
_OF_OBJECTS = _MESSAGES.union(_HEADERS, {"cookies", "queryString", "params"})
_PAGES = frozenset({"startedDateTime", "pageTimings"})  # one of these tells that an object is a page
_BINARY_FRAMES = (2, 8, 9, 10)  # of a message in base64: the `opcode` that Chrome has, and those of control frames
_BY_THEIR_PLACE = frozenset({"text", "id", "pageref"})  # what these are, other members beside them tell
_MAX_DEPTH = 100
_NAME_AND_VALUE = 2
_MAPPINGS = (dict, Mapping)  # what is of the first is told at once
_CONTAINERS = (list, dict, tuple, Mapping)
_Find = Callable[[str], list[Span]]
_NOTHING_FOUND = Sweep((), plain_mark)


class EntryRedaction:
    """Redacts one entry.

    Args:
        finders: Find the secrets.
        mark: Gives what takes a secret's place.
        hashed: The same in ids of pages, which have to remain different.
        is_strict: Whether bodies, messages, cookies, all values of queries and unknown header fields go.

    Attributes:
        rules: The names of the rules that acted.
    """

    def __init__(self, finders: Finders, mark: Mark, hashed: Mark, *, is_strict: bool = False) -> None:
        self._finders = finders
        self._names = finders.names
        self._fields = finders.names.fields
        self._harmless = finders.harmless
        self._mark = mark
        self._hashed = hashed
        self._is_strict = is_strict
        self._values: set[str] = set()
        self._bare: set[str] = set()
        self._sweep = _NOTHING_FOUND
        self.rules: set[str] = set()

    def know(self, values: Iterable[str]) -> None:
        """Values that are secret wherever they stand."""
        self._values.update(values)

    def redact(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The entry without its secrets; the one that is given is not changed."""
        found: dict[str, Any] = self._object(entry, 0)
        if self._values:
            self._sweep = Sweep(self._values, self._mark, self._bare)
        if self._sweep:
            found = self._swept(found)
            if self._sweep.count:
                self.rules.add("again")
        return found

    def _object(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Each member; most are numbers, or texts that were harmless under the same name before."""
        fields, harmless = self._fields, self._harmless
        found = {}
        for name, one in value.items():
            kind = type(one)
            if kind is str:
                is_known = len(one) <= LONGEST_REMEMBERED and (name, one) in harmless
                found[name] = one if is_known else self._member(value, name, one, depth + 1)
            elif (kind is int or kind is float) and not fields[name]:
                found[name] = one
            else:
                found[name] = self._member(value, name, one, depth + 1)
        return found

    def _member(self, parent: Mapping[str, Any], name: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(parent, name, value)
        if isinstance(value, _CONTAINERS) and name in _OF_OBJECTS:
            return self._objects(parent, name, value, depth)
        if name == "text" and self._is_strict and isinstance(value, _CONTAINERS):
            return self._content(name, value, parent, depth)
        return self._value(name, value, depth) if isinstance(value, _CONTAINERS) else self._number(name, value)

    def _text(self, parent: Mapping[str, Any], name: str, value: str) -> str:
        if name == "text" and value and ("mimeType" in parent or "encoding" in parent):
            return self._body(value, parent)
        if _is_page_id(name, parent) and not _is_fact(name, value):
            return self._page_id(value) if value else value
        redacted = value if not value or _is_fact(name, value) else self._string(name, value)
        if redacted is value and name not in _BY_THEIR_PLACE:
            self._harmless.remember(name, value)
        return redacted

    def _objects(self, parent: Mapping[str, Any], name: str, value: Any, depth: int) -> Any:
        """A list whose objects HAR, or Chrome, gives a meaning; other producers write it in other forms."""
        if depth > _MAX_DEPTH or (name in _MESSAGES and isinstance(value, _MAPPINGS)):
            return self._value(name, value, depth)
        if isinstance(value, _MAPPINGS):
            return {key: self._pair_value(name, key, one, depth + 1) for key, one in value.items()}
        if name in _MESSAGES:
            return [
                self._message(one, depth) if isinstance(one, _MAPPINGS) else self._content(name, one, {}, depth)
                for one in value
            ]
        if name in _HEADERS:
            return [self._header_field(name, one, depth) for one in value]
        form = self._form(value, parent) if name == "params" else None
        return [
            self._pair(name, one, depth, form) if isinstance(one, _MAPPINGS) else self._odd_pair(name, one, depth)
            for one in value
        ]

    def _header_field(self, kind: str, pair: Any, depth: int) -> Any:
        """A header field; one without a secret is told at once."""
        if type(pair) is dict and len(pair) == _NAME_AND_VALUE:
            name, value = pair.get("name"), pair.get("value")
            if type(name) is str and type(value) is str:
                found = self._finders.header(name, value, is_strict=self._is_strict)
                if not found.spans and not found.values:
                    return pair
        return self._pair(kind, pair, depth) if isinstance(pair, _MAPPINGS) else self._odd_pair(kind, pair, depth)

    def _content(self, name: str, value: Any, parent: Mapping[str, Any], depth: int) -> Any:
        """A body or a message, which may be of any type."""
        if isinstance(value, str):
            return self._body(value, parent)
        if self._is_strict and isinstance(value, _CONTAINERS):
            self.rules.add("body")
            return ""
        return self._value(name, value, depth + 1)

    def _number(self, name: str, value: Any) -> Any:
        """What is neither text nor made of members: a number under the name of a secret is one."""
        if not self._names.field(name) or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return value
        self._bare.add(str(value))
        return self._whole(str(value), "field")

    def _value(self, name: str, value: Any, depth: int) -> Any:
        """A member that is no text, under whatever name; a list under the name of a secret is a list of secrets."""
        if depth > _MAX_DEPTH:
            self.rules.add("depth")
            return self._mark("")
        if isinstance(value, _MAPPINGS):
            return self._object(value, depth)
        if isinstance(value, list | tuple):
            return [
                self._string(name, one) if isinstance(one, str) else self._value(name, one, depth + 1) for one in value
            ]
        return value

    def _page_id(self, value: str) -> str:
        """The id of a page, in the page and where an entry refers to it: both become the same, each on its own.

        Some producers take the page's URL. Marks have a hash here always: pages must not become one.
        """
        spans = self._finders.url(value) + self._finders.text(value)
        if self._is_strict and is_url(value):
            spans += query_values(value, self._names)
        spans = beside_marks(value, spans)
        if not spans:
            return value
        self._note(spans, "url")
        return replaced(value, spans, self._hashed)

    def _string(self, name: str, value: str) -> str:
        if name in _URLS:
            spans = self._finders.url(value) + (list(query_values(value, self._names)) if self._is_strict else [])
            return self._replaced(value, spans, "url")
        if name in URL_PARTS:
            url = URL_PARTS[name] + value
            spans = [*self._finders.url(url), *(query_values(url, self._names) if self._is_strict else ())]
            return self._replaced(value, [*self._finders.text(value), *moved(spans, -1)], "url")
        header = name.rpartition("header.")[2] if "header." in name else ""
        if header:  # of a span's attributes: http.request.header.NAME
            return self._header(header.replace("_", "-"), value)
        if self._names.field(name) and value:
            return self._whole(value, "field")
        spans = self._finders.text(value)
        if self._is_strict and name == "title" and is_url(value):
            spans = [*spans, *query_values(value, self._names)]
        return self._replaced(value, spans, "text")

    def _form(self, pairs: list[Any], parent: Mapping[str, Any]) -> FormNames | None:
        """The form that a list of parameters is of, unless it is a multipart."""
        is_multipart = str(parent.get("mimeType")).lower().lstrip().startswith("multipart/")
        return None if is_multipart else FormNames(form_of(pairs), self._names)

    def _pair(self, kind: str, pair: Mapping[str, Any], depth: int, form: FormNames | None = None) -> dict[str, Any]:
        """A header field, a cookie, a parameter of a query or a field of a form."""
        name_key, value_key = _keys(pair)
        name = pair.get(name_key)
        if not isinstance(name, str):
            return self._object(pair, depth)
        value = self._pair_value(kind, name, pair.get(value_key), depth, form)
        if kind not in _HEADERS:  # where a query or a form has no name, producers write its value as one
            name = self._replaced(name, self._finders.text(name), "name")
        if len(pair) == _NAME_AND_VALUE and value_key in pair:
            return {key: name if key == name_key else value for key in pair}
        others = self._object({key: one for key, one in pair.items() if key not in {name_key, value_key}}, depth)
        return {key: {name_key: name, value_key: value}.get(key, others.get(key)) for key in pair}

    def _pair_value(self, kind: str, name: str, value: Any, depth: int, form: FormNames | None = None) -> Any:
        """The value of a pair; of other producers a number, or several."""
        if not isinstance(value, str):
            return self._odd_value(kind, name, value, depth, form)
        if kind in _HEADERS:
            return self._header(name, value)
        if kind == "cookies":
            return self._cookie(value)
        if kind == "queryString":
            return self._whole(value, "query") if self._names.query(name) else self._parameter(name, value)
        is_secret = form.is_secret(name, value) if form else self._names.field(name)
        return self._whole(value, "form") if is_secret else self._parameter(name, value)

    def _odd_value(self, kind: str, name: str, value: Any, depth: int, form: FormNames | None) -> Any:
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            written = str(value)
            redacted = self._pair_value(kind, name, written, depth, form)
            return value if redacted == written else redacted
        if isinstance(value, list | tuple) and depth <= _MAX_DEPTH:
            return [self._pair_value(kind, name, one, depth + 1, form) for one in value]
        return self._value(name, value, depth + 1)

    def _odd_pair(self, kind: str, one: Any, depth: int) -> Any:
        """A name and a value as a line, or as two items."""
        if isinstance(one, list | tuple) and len(one) == _NAME_AND_VALUE and isinstance(one[0], str):
            return [one[0], self._pair_value(kind, one[0], one[1], depth)]
        if not isinstance(one, str):
            return self._value(kind, one, depth + 1)
        separator = ":" if kind in _HEADERS else "="
        name, found, value = one.partition(separator)
        if not found:
            return self._parameter("", one)
        written = value.lstrip(" ")
        return name + separator + value[: len(value) - len(written)] + self._pair_value(kind, name, written, depth)

    def _cookie(self, value: str) -> str:
        """Quotation marks around a value are not a part of it (RFC 6265, 4.1.1), and stay as in the header field."""
        if len(value) > 1 and value[0] == value[-1] == '"':
            return f'"{self._whole(value[1:-1], "cookie")}"'
        return self._whole(value, "cookie")

    def _parameter(self, name: str, value: str) -> str:
        """A value under a name that is not known to be a secret's."""
        redacted = self._replaced(value, self._finders.text(value), "text")
        if not self._is_strict or not value or self._names.is_kept(name):
            return redacted
        self.rules.add(UNKNOWN)
        return self._mark(value)

    def _header(self, name: str, value: str) -> str:
        found = self._finders.header(name, value, is_strict=self._is_strict)
        if found.values:
            self._values.update(found.values)
        return self._replaced(value, found.spans, "header")

    def _message(self, message: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """A WebSocket message or a server-sent event."""
        others = self._object({key: one for key, one in message.items() if key != "data"}, depth)
        encoding = "base64" if message.get("opcode") in _BINARY_FRAMES else ""
        parent = {"encoding": encoding, "_bodyState": message.get("_bodyState")}
        redacted = self._content("data", message.get("data"), parent, depth)
        return {key: redacted if key == "data" else others[key] for key in message}

    def _body(self, text: str, parent: Mapping[str, Any]) -> str:
        """A body's text by its media type; what is in base64 is looked into."""
        if self._is_strict and text:
            self.rules.add("body")
            return ""
        mime_type = parent.get("mimeType")
        media_type = mime_type if isinstance(mime_type, str) else ""
        is_cut = parent.get("_bodyState") in _CUT
        if is_base64(parent.get("encoding")):
            return changed_in_base64(text, lambda said: self._body_text(said, media_type, is_cut), media_type)
        return self._body_text(text, media_type, is_cut)

    def _body_text(self, text: str, media_type: str, is_cut: bool) -> str:
        spans = body_spans(text, media_type, self._names)
        return self._replaced(text, [*spans, *cut_spans(text)] if is_cut else spans, "body")

    def _whole(self, value: str, rule: str) -> str:
        """A value that is secret as a whole."""
        if not value:
            return value
        self.rules.add(rule)
        if rule != "cookie" or not is_plain(value):
            self._values.add(value)
        return self._mark(value)

    def _replaced(self, text: str, spans: list[Span], place: str) -> str:
        spans = beside_marks(text, spans)
        if not spans:
            return text
        self._note(spans, place)
        return replaced(text, spans, self._mark)

    def _note(self, spans: list[Span], place: str) -> None:
        self.rules.update(f"{place}: {span.rule}" if span.rule != place else place for span in spans)
        self._values.update(span.value for span in spans if _is_sought(span))
        self._bare.update(span.value for span in spans if span.writing is Writing.BARE)

    def _swept(self, value: Any, parent: Mapping[str, Any] | None = None, name: str = "") -> Any:
        """The second pass."""
        if isinstance(value, str):
            if (
                (len(value) < self._sweep.shortest and name not in _BODIES)
                or name in _FACTS
                or _is_label(name, parent or {})
            ):
                return value
            is_encoded = parent is not None and (
                (name == "text" and is_base64(parent.get("encoding")))
                or (name == "data" and parent.get("opcode") in _BINARY_FRAMES)
            )
            if is_encoded:
                return changed_in_base64(value, self._sweep.body, str(parent.get("mimeType")) if parent else "")
            is_body = name in _BODIES and parent is not None
            return self._sweep.body(value) if is_body else self._sweep(value, in_url=name in _URLS)
        if isinstance(value, _MAPPINGS):
            return {key: self._swept(one, value, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self._swept(one) for one in value]
        return value


def _is_fact(name: str, value: str) -> bool:
    """Whether a member says what HAR has it for: other producers may put any text there."""
    return name in _FACTS and _FACT.fullmatch(value) is not None


def _is_sought(span: Span) -> bool:
    """Whether a value is looked for in the rest of the entry: not what strict mode alone takes, nor a mere setting."""
    return span.rule != UNKNOWN and not (span.rule in _COOKIES and is_plain(span.value))


def _keys(pair: Mapping[str, Any]) -> tuple[str, str]:
    """How a pair spells its name and its value."""
    if "name" in pair:
        return "name", "value"
    spelled = {key.lower(): key for key in pair}
    return spelled.get("name", "name"), spelled.get("value", "value")


def _is_page_id(name: str, parent: Mapping[str, Any]) -> bool:
    return name == "pageref" or (name == "id" and not _PAGES.isdisjoint(parent))


def _is_label(name: str, parent: Mapping[str, Any]) -> bool:
    """Whether a text is by what others know something: the name of a value, the id of a page."""
    is_name = name == "name" and bool(parent.get("value"))  # without a value the name may be one
    return is_name or _is_page_id(name, parent)
