"""Header fields as they were met to header fields as HAR writes them, and what is read from them.

The rule: header fields are bytes (RFC 9110, 5.5). Their text is for people and tools, their size is that of the bytes.
"""

from __future__ import annotations

import functools
import re

from otel_har.message import HeaderText, RawHeaders, SomeHeaders

Headers = list[dict[str, str]]

_Field = tuple[str, str, str, int]
_EXACT = frozenset({str, bytes})  # not a class of the program's, whose own code would be called to find it again
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 300
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")


class Fields:
    """The header fields of one message, gone through once.

    Args:
        raw: As they were met.

    Attributes:
        har: The `headers` array, in the order of the wire and with duplicates.
        size_bytes: What they take as HTTP/1.1 writes them; -1 where one may be unknown.
    """

    __slots__ = ("_values", "har", "size_bytes")

    def __init__(self, raw: RawHeaders) -> None:
        self.har: Headers = []
        self._values: dict[str, list[str]] = {}
        size_bytes = 0
        for raw_name, raw_value in raw:
            name, lower, value, taken = _read(raw_name, raw_value)
            self.har.append({"name": name, "value": value})
            self._values.setdefault(lower, []).append(value)
            size_bytes += taken
        self.size_bytes = -1 if isinstance(raw, SomeHeaders) else size_bytes

    def values(self, name: str) -> list[str]:
        """The values of every field of a name, given in lower case."""
        return self._values.get(name, [])

    def first(self, name: str) -> str:
        """The first value of a name, given in lower case; `""` without one."""
        values = self._values.get(name)
        return values[0] if values else ""

    def head_size(self, start_line: HeaderText) -> int:
        """From the start line through the blank line (HAR 1.2), as HTTP/1.1 has it; -1 where a field may be unknown."""
        return -1 if self.size_bytes < 0 else len(octets(start_line)) + 2 + self.size_bytes + 2


def _read(name: HeaderText, value: HeaderText) -> _Field:
    """A field as text, its name in lower case too, and its size: most fields come again and again."""
    if type(name) in _EXACT and type(value) in _EXACT and len(name) + len(value) <= _LONGEST_REMEMBERED:
        return _read_short(name, value)
    return _read_any(name, value)


def _read_any(name: HeaderText, value: HeaderText) -> _Field:
    text = har_text(name)
    size_bytes = len(octets(name)) + len(octets(value)) + 4
    return text, text.lower(), _field_value(har_text(value)), size_bytes


_read_short = functools.lru_cache(_REMEMBERED)(_read_any)


def _field_value(text: str) -> str:
    """The value alone: a folded line is unfolded (RFC 9112, 5.2), blanks around it are no part of it (5.1)."""
    return _FOLD.sub(" ", text).strip(" \t")


def fields_of_head(head: bytes) -> list[tuple[HeaderText, HeaderText]]:
    """The header fields of a message's head as it was sent: names and values without what is around them."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    fields: list[tuple[HeaderText, HeaderText]] = []
    for line in lines:
        if line[:1] in {b" ", b"\t"} and fields:  # a folded one (RFC 9112, 5.2)
            name, value = fields[-1]
            fields[-1] = (name, octets(value) + b"\r\n" + line)
        else:
            name, _, value = line.partition(b":")
            fields.append((name, value.strip(b" \t")))
    return fields


def har_text(raw: HeaderText) -> str:
    """Header bytes as text: UTF-8 where they are valid UTF-8, else ISO 8859-1."""
    if isinstance(raw, str) and raw.isascii():
        return raw
    encoded = octets(raw)
    try:
        return encoded.decode("utf-8")
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def octets(raw: object) -> bytes:
    """The bytes of the wire: what a library decoded, it did as ISO 8859-1, or as UTF-8 with surrogates for the rest."""
    if isinstance(raw, bytes):
        return raw
    text = raw if isinstance(raw, str) else _text_of(raw)
    for encoding, errors in (("latin-1", "strict"), ("utf-8", "surrogateescape")):
        try:
            return str.encode(text, encoding, errors)  # not a method that a subclass of the program's may have instead
        except UnicodeEncodeError:
            continue
    return str.encode(text, "utf-8", "replace")


def _text_of(value: object) -> str:
    """What an adapter of the program's own put where text or bytes belong: no code of the program's is called here."""
    return str(value) if isinstance(value, int | float | None) else f"<{type(value).__qualname__}>"
