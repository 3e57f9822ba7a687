"""What stands around a name in a text: whether it is the name of a secret there, and where its value begins and ends.

The rule: each notation has its own way to end a value; where it is cut, the rest of the text is the value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from otel_har.redaction.credentials import SCHEMES, hides_nothing, value_spans
from otel_har.redaction.decoded import in_percent, unquoted
from otel_har.redaction.harmless import is_harmless, is_prose, is_text_of_code
from otel_har.redaction.names import Names
from otel_har.redaction.quoted import QUOTE, closing, container, quoted_spans
from otel_har.redaction.spans import Span, Writing

RULE = "field"

_KEY = 64
"""Characters of a quoted name of several words that are read before its last one."""

_SPACE = re.compile(r"\s{0,256}")
BLANK = re.compile(r"[ \t]{0,256}")
_NUMBER = re.compile(r"-?\d{1,512}(?:\.\d{1,512})?(?:[eE][+-]?\d{1,4})?(?=\s|[,}\])]|\Z)")
_FOLLOWING = r"[,|](?=[\"']?[\w.$-]{1,64}[\"']?[=:])"
_RUN_ENDS = re.compile(rf"[\s\"'<>]|{_FOLLOWING}")
_RUN_OF_FORM_ENDS = re.compile(rf"[\s\"'<>&;`]|{_FOLLOWING}")
_LINE_ENDS = re.compile(r"[\r\n]")
_PHRASE_ENDS = re.compile(
    r"[\r\n]|(?:[,;|&]\s{0,8}|\s{1,8}|[,;|&]?\s{0,8}#)[\"']?[A-Za-z_][\w.$-]{0,63}[\"']?\s?[:=]|\s{1,8}#"
)
TOKEN = re.compile(r"[ \t]{1,8}([A-Za-z0-9._~+/:-]{1,8192}(?:=*(?=[\s,;<>)\]}]|\Z)|(?=[\"'])))")
"""What follows a scheme; what has an `=` before a quotation mark is the name of a parameter."""

_CODE = re.compile(
    r"(?:true|false|null|None|True|False|nil|undefined)\b"
    r"|\[?(?:String|ID|Int|Boolean)\b[!\]]{0,3}"
    r"|![01](?!\w)|void 0|null=="
    r"|(?:new|await|typeof|function|async)\s|(?:this|self|process\.env|os\.environ)\b"
    r"|[A-Za-z_$][\w$]{0,63}(?:\.[A-Za-z_$][\w$]{0,63}){0,8}(?:\(|=>)"
)
"""What stands for a value in programs and in GraphQL: a literal, a type, a call."""

_WORDS = frozenset(
    [
        "any",
        "are",
        "bool",
        "boolean",
        "bytes",
        "can",
        "cannot",
        "doesn't",
        "expired",
        "has",
        "incorrect",
        "int",
        "invalid",
        "is",
        "missing",
        "must",
        "needs",
        "not",
        "number",
        "object",
        "optional",
        "required",
        "should",
        "str",
        "string",
        "varchar",
        "void",
        "was",
        "were",
        "will",
        "wrong",
    ]
)
"""Words that follow the name of a secret where its type is declared or where a message speaks of it."""

_SHORTEST_NUMBER = 4
_WORD_AFTER = re.compile(r"[ \t]{1,8}[A-Za-z']")
_WORD_BEFORE = re.compile(r"\b[A-Za-z]{1,32} \Z")
_QUOTE_BEFORE = re.compile(r"(?<!\\)\\{0,63}[\"']\Z")
_LINE_BEGINS = re.compile(r"[ \t]{0,32}(?:[-#>*;+] ?|export |set |< ){0,2}\Z")
_BLOCK = re.compile(r"[ \t]*[|>][+-]?\d?[ \t]*\r?\n")
_ITEMS = re.compile(r"[ \t]*\r?\n(?=[ \t]*- )")
_INDENTED = re.compile(r"([ \t]*)(?![ \t])([^\r\n]*)(\r?\n|\Z)")
_ELEMENT = re.compile(r"(?:\s[^<>]{0,512})?>\s{0,32}(<!\[CDATA\[)?")
_BEFORE_ELEMENT = re.compile(r"<(?:[\w.-]{1,32}:)?\Z")
_TEXT_NODES = re.compile(r"(?:\A|>)\s*([^<>]*[^<>\s])")
_NAMED = re.compile(r"(?:\b(?:name|key|field|property|param))\s?=\s?\\{0,7}[\"']\Z")
_VALUE_AFTER = re.compile(r"\\{0,7}[\"'][^<>]{0,512}?\s(?:value|content)\s?=\s?(?=\\{0,7}[\"'])")
_VALUE_BEFORE = re.compile(r"\s(?:value|content)\s?=\s?(?=\\{0,7}[\"'])")
_CONTENT_AFTER = re.compile(r"[\"'][^<>]{0,256}>")
_CONTENT_OF = re.compile(
    r"<(?:\w{1,16}:)?(?:string|entry|property|param\w*|item|data|field|setting|var\w*|arg\w*)\s[^<>]*\Z"
)
_PART = re.compile(r"\"[^\r\n]{0,256}\r?\n(?:[^\r\n]{1,256}\r?\n){0,8}\r?\n")
_KEY_ELEMENT = re.compile(r"</[\w:]{1,32}>\s{0,32}<[\w:]{1,32}>\s{0,32}(?:<\w{1,32}>)?")
_VALUE_MEMBER = re.compile(
    r"\s{0,32}\\{0,127}[\"'](?:value|val|content)\\{0,127}[\"']\s{0,32}(?::|=>)\s{0,32}", re.IGNORECASE
)


class Name(NamedTuple):
    """A name in a text, and what follows it.

    Attributes:
        text: All of the text.
        name: The name, or the last word of it.
        start: Where it begins.
        stop: Where it ends.
        quote: The quotation mark after it.
        separator: What stands between it and its value: `:`, `=`, `=>`, `,`; empty: a space, or the end of a tag.
        end: Where the separator ends.
    """

    text: str
    name: str
    start: int
    stop: int
    quote: str
    separator: str
    end: int


def full_name(name: Name, names: Names) -> str | None:
    """The name of a secret, all of its words; None if it is none."""
    text, start = name.text, name.start
    if names.field(name.name) or (name.separator == ":" and _is_header(name, names)):
        return name.name
    if name.separator not in {":", "=", "=>", ":="}:
        return None
    words = text[max(0, start - _KEY) : start]
    if name.quote and not words.endswith(name.quote):
        _, quote, words = words.rpartition(name.quote)
        if not quote or "\n" in words:
            return None
    else:
        before = _WORD_BEFORE.search(words)
        words = before[0] if before else ""
    return words + name.name if words.strip() and names.field(words + name.name) else None


def _is_header(name: Name, names: Names) -> bool:
    if name.name.lower().startswith(("x-", "authori", "proxy-auth", "cookie", "set-cookie")):
        return names.header(name.name)
    if not names.is_further_header(name.name):
        return False
    return _begins_line(name.text, name.start)


def value_of(name: Name, full: str) -> tuple[list[Span], int]:
    """What the value of a secret name hides.

    Args:
        name: The name in its text.
        full: All words of it.

    Returns:
        Places in the text, and how far it was read.
    """
    text, at = name.text, name.end
    if name.separator in {"", ","}:
        return _pair(name, full) if name.separator else _without_separator(name, full)
    space = (_SPACE if name.quote else BLANK).match(text, at)
    at = space.end() if space else at
    quote = QUOTE.match(text, at)
    if quote:
        return quoted_spans(text, quote, full, RULE)
    if text[at : at + 1] in {"[", "{", "("} and (name.quote or QUOTE.match(text, at + 1)):
        return container(text, at, name.quote or '"', RULE)
    number = _NUMBER.match(text, at) if name.quote else None
    if number:
        return [Span(at, number.end(), RULE, number[0], Writing.BARE, name.quote)], number.end()
    if name.separator == "=>" and not name.quote:  # a function of JavaScript
        return [], at
    return _unquoted(name, full, at)


def _unquoted(name: Name, full: str, at: int) -> tuple[list[Span], int]:
    text = name.text
    if _CODE.match(text, at):
        return [], at
    quote = "" if name.quote else _quote_before(text, name.start)
    begins = bool(quote) or _begins_line(text, name.start)
    if begins and not quote:
        block = _block(name, name.end)
        if block:
            return block
    end = _end_of_unquoted(name, at, full, quote, begins=begins and at > name.end)
    value = text[at:end]
    if _says_nothing(name, full, at, end):
        return [], max(end, name.end)
    if name.separator == "=" and ("%" in value or name.text[name.start - 1 : name.start] in {"?", "&"}):
        spans = in_percent(value_spans(full, unquoted(value, plus=True), RULE), value, at)
    else:
        spans = value_spans(full, value, RULE, at)
    return spans, max(end, name.end)


def _is_cookie(name: Name, full: str) -> bool:
    return full.lower().endswith(("cookie", "cookies")) and name.separator == ":"


def _says_nothing(name: Name, full: str, at: int, end: int) -> bool:
    """Whether what follows a name is a word of a message, a type, a variable, and no secret."""
    text, value = name.text, name.text[at:end]
    words = value.split(None, 1)
    first = words[0].rstrip(".,:;!?").lower() if words else ""
    if first in _WORDS or (len(value) == 1 and value.isalpha()) or _is_variable(value, name):
        return True
    if value == name.name or is_harmless(full, value):
        return True
    if _is_cookie(name, full) and "=" not in value:
        return is_text_of_code(value)
    if name.separator == ":" and len(words) > 1 and is_prose(value):
        return True
    # The next word of a sentence, a count of something.
    goes_on = _WORD_AFTER.match(text, end) is not None
    if goes_on and (value.isdecimal() and len(value) < _SHORTEST_NUMBER):
        return True
    return goes_on and name.separator == ":" and at > name.end and is_text_of_code(value)


def _quote_before(text: str, at: int) -> str:
    """The quotation mark that stands just before, with its backslashes."""
    if text[at - 1 : at] not in {'"', "'"}:
        return ""
    before = _QUOTE_BEFORE.search(text[max(0, at - 64) : at])
    return before[0] if before else ""


def _begins_line(text: str, at: int) -> bool:
    """Whether nothing stands before in its line but what marks an item, a comment, a quotation or a setting."""
    before = text[max(0, at - 40) : at]
    return _LINE_BEGINS.match(before, max(before.rfind("\n"), before.rfind("\r")) + 1) is not None


def _is_variable(value: str, name: Name) -> bool:
    """GraphQL: `password: $password`."""
    return name.separator == ":" and value[:1] == "$" and value[1:].lower().rstrip("),") == name.name.lower()


def _end_of_unquoted(name: Name, at: int, full: str, quote: str, *, begins: bool) -> int:
    text = name.text
    scheme = text[at : at + 40].split(" ", 1)[0].lower()
    cookie = _is_cookie(name, full)
    if scheme in SCHEMES and not cookie:
        token = TOKEN.match(text, at + len(scheme))
        if token:
            return token.end()
    if not (cookie or scheme in SCHEMES or begins):
        return end_of_run(text, at, form=name.separator != ":")
    ends = _LINE_ENDS if cookie or scheme in SCHEMES else _PHRASE_ENDS
    return _trimmed(text, at, _end_of_line(text, at, ends, quote))


def _end_of_line(text: str, at: int, ends: re.Pattern[str], quote: str) -> int:
    """Where a line ends, or the quotation that it stands in.

    The steps grow, so what is searched is not much more than what is found, though there are two things to find.
    """
    step = 48
    while True:
        stop = min(len(text), at + step)
        end = _first(ends, text, at, stop)
        end = closing(text, at, quote, end) if quote else end
        if end < stop or stop == len(text):
            return end
        step *= 4


def _first(ends: re.Pattern[str], text: str, at: int, stop: int) -> int:
    end = ends.search(text, at, stop)
    return end.start() if end else stop


def end_of_run(text: str, at: int, *, form: bool = True) -> int:
    """Where a value without quotation marks and spaces ends."""
    return _trimmed(text, at, _first(_RUN_OF_FORM_ENDS if form else _RUN_ENDS, text, at, len(text)))


def _trimmed(text: str, at: int, end: int) -> int:
    """Without what belongs to the text around: `password=x), then`."""
    if text[end - 1 : end].isalnum():
        return end
    value = text[at:end].rstrip(" \t\\,;")
    for opening, closed in ("()", "[]", "{}"):
        if opening not in value:
            value = value.rstrip(closed + " \t\\,;")
    return at + len(value)


def _block(name: Name, at: int) -> tuple[list[Span], int] | None:
    """YAML: the lines of a block, or the items of a list, below the name."""
    text = name.text
    items = _ITEMS.match(text, at)
    begin = items or _BLOCK.match(text, at)
    if name.separator != ":" or not begin:
        return None
    line = max(text.rfind("\n", max(0, name.start - 512), name.start), -1) + 1
    least = len(text[line : name.start]) - len(text[line : name.start].lstrip(" \t"))
    spans, at = [], begin.end()
    while at < len(text):
        one = _INDENTED.match(text, at)
        if not one or (one[2] and len(one[1]) <= least and not (items and one[2].startswith("- "))):
            break
        start = one.start(2) + (2 if items and one[2].startswith("- ") else 0)
        spans += value_spans(name.name, text[start : one.end(2)], RULE, start)
        at = one.end()
    return spans, at


def _pair(name: Name, full: str) -> tuple[list[Span], int]:
    """`("password", "x")` and `{"name": "password", "value": "x"}`."""
    text = name.text
    member = _VALUE_MEMBER.match(text, name.end)
    at = member.end() if member else name.end
    while text[at : at + 1] == " ":
        at += 1
    quote = QUOTE.match(text, at)
    opened = text[max(0, name.start - len(name.quote) - 2) : name.start - len(name.quote)].rstrip("bu")
    if not quote or not name.quote or not (member or opened.endswith("(")):
        return [], name.end
    spans, end = quoted_spans(text, quote, full, RULE)
    at = end + len(quote[1])
    return (spans, end) if member or text[at : at + 1] in {")", ""} else ([], name.end)


def _without_separator(name: Name, full: str) -> tuple[list[Span], int]:
    """An option of a command line, an element of XML, the value of an attribute `name`."""
    return _option(name, full) or _element(name, full) or _attribute(name, full) or ([], name.end)


def _option(name: Name, full: str) -> tuple[list[Span], int] | None:
    text, at = name.text, name.stop
    if text[max(0, name.start - 2) : name.start] != "--" or text[at : at + 1] not in {" ", "\t"}:
        return None
    while at < name.stop + 8 and text[at : at + 1] in {" ", "\t"}:
        at += 1
    quote = QUOTE.match(text, at)
    if quote:
        return quoted_spans(text, quote, full, RULE)
    if text[at : at + 1] == "-":
        return None
    end = end_of_run(text, at, form=False)
    return value_spans(full, text[at:end], RULE, at), end


def _element(name: Name, full: str) -> tuple[list[Span], int] | None:
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
        return [] if _is_word(full, value) else value_spans(full, value, RULE, at), end
    spans = [
        Span(at + node.start(1), at + node.end(1), RULE, node[1])
        for node in _TEXT_NODES.finditer(within)
        if not (hides_nothing(node[1]) or is_harmless(full, node[1]))
    ]
    return spans, end


def _is_word(full: str, value: str) -> bool:
    return value.lower().rstrip(".,:;!?") in _WORDS or is_harmless(full, value)


def _attribute(name: Name, full: str) -> tuple[list[Span], int] | None:
    """`<input name="password" value="x">`, the same the other way round, and what has a name and a content."""
    text = name.text
    left = text[max(0, name.start - 512) : name.start]
    if not _NAMED.search(left[-24:]):
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
