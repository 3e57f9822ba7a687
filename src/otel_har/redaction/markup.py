"""Values in XML and HTML: of elements, of attributes, of what has a name and a value; parts of multipart bodies."""

from __future__ import annotations

import re

from otel_har.redaction.credentials import hides_nothing, value_spans
from otel_har.redaction.harmless import is_harmless, is_word
from otel_har.redaction.name import RULE, Name
from otel_har.redaction.quoted import QUOTE, quoted_spans
from otel_har.redaction.spans import Span

_ELEMENT = re.compile(r"(?:\s[^<>]{0,512})?>\s{0,32}(<!\[CDATA\[)?")
_BEFORE_ELEMENT = re.compile(r"<(?:[\w.-]{1,32}:)?\Z")
_TEXT_NODES = re.compile(r"(?:\A|>)\s*([^<>]*[^<>\s])")
_NAMED = re.compile(r"(?:\b(?:name|key|field|property|param))\s?=\s?\\{0,7}[\"']\Z")
_TYPE = re.compile(r"\stype\s?=\s?\\{0,7}[\"']\Z")
"""`<input type="password" value="x">`."""

_VALUE_AFTER = re.compile(r"\\{0,7}[\"'][^<>]{0,512}?\s(?:value|content)\s?=\s?(?=\\{0,7}[\"'])")
_VALUE_BEFORE = re.compile(r"\s(?:value|content)\s?=\s?(?=\\{0,7}[\"'])")
_CONTENT_AFTER = re.compile(r"[\"'][^<>]{0,256}>")
_CONTENT_OF = re.compile(
    r"<(?:\w{1,16}:)?(?:string|entry|property|param\w*|item|data|field|setting|var\w*|arg\w*)\s[^<>]*\Z"
)
_PART = re.compile(r"\"[^\r\n]{0,256}\r?\n(?:[^\r\n]{1,256}\r?\n){0,8}\r?\n")
_KEY_ELEMENT = re.compile(r"</[\w:]{1,32}>\s{0,32}<[\w:]{1,32}>\s{0,32}(?:<\w{1,32}>)?")


def element(name: Name, full: str) -> tuple[list[Span], int] | None:
    """`<password>x</password>`, `<key>password</key><string>x</string>`."""
    text = name.text
    if _BEFORE_ELEMENT.search(text[max(0, name.start - 34) : name.start]):
        tag = _ELEMENT.match(text, name.stop)
        if not tag or text[tag.end() - 2 : tag.end() - 1] == "/":
            return None
        ending = "]]>" if tag[1] else "</"
        return _text_nodes(name, full, tag.end(), ending)
    pair = _KEY_ELEMENT.match(text, name.stop) if text[name.start - 1 : name.start] == ">" else None
    return _text_nodes(name, full, pair.end(), "<") if pair else None


def _text_nodes(name: Name, full: str, at: int, ending: str) -> tuple[list[Span], int]:
    """The text of an element and of those within it."""
    text = name.text
    end = text.find(ending, at)
    end = len(text) if end < 0 else end
    within = text[at:end]
    if ending != "</" or "<" not in within:
        at += len(within) - len(within.lstrip())
        value = within.strip()
        return [] if is_word(full, value) else value_spans(full, value, RULE, at), end
    spans = [
        Span(at + node.start(1), at + node.end(1), RULE, node[1])
        for node in _TEXT_NODES.finditer(within)
        if not (hides_nothing(node[1]) or is_harmless(full, node[1]))
    ]
    return spans, end


def attribute(name: Name, full: str) -> tuple[list[Span], int] | None:
    """`<input name="password" value="x">`, the same the other way round, and what has a name and a content."""
    text = name.text
    left = text[max(0, name.start - 512) : name.start]
    is_input = name.name.lower() == "password" and _TYPE.search(left[-24:]) is not None
    if not (is_input or _NAMED.search(left[-24:])):
        return None
    part = _PART.match(text, name.stop) if "form-data" in left.lower() else None
    if part:
        end = text.find("\n--", part.end() - 1)
        end = len(text) if end < 0 else end
        return _text_of_part(name, full, part.end(), end)
    tag = left[left.rfind("<") :] if "<" in left else ""
    value = _VALUE_AFTER.match(text, name.stop)
    if not value and tag and (before := _VALUE_BEFORE.search(tag)):
        quote = QUOTE.match(text, name.start - len(tag) + before.end())
        return (quoted_spans(text, quote, full, RULE)[0], name.stop) if quote else None
    if value:
        quote = QUOTE.match(text, value.end())
        return quoted_spans(text, quote, full, RULE) if quote else None
    content = _CONTENT_AFTER.match(text, name.stop) if _CONTENT_OF.search(tag) else None
    return _text_nodes(name, full, content.end(), "<") if content else None


def _text_of_part(name: Name, full: str, at: int, end: int) -> tuple[list[Span], int]:
    value = name.text[at : max(at, end)].rstrip("\r\n")
    return value_spans(full, value, RULE, at), max(at, end)
