"""What stands around a name in a text: whether it is the name of a secret there, and where its value begins and ends.

The rule: each notation has its own way to end a value; where it is cut, the rest of the text is the value.
"""

from __future__ import annotations

import re

from otel_har.redaction.credentials import SCHEMES, value_spans
from otel_har.redaction.decoded import in_percent, unquoted
from otel_har.redaction.harmless import is_prose, is_text_of_code, is_word
from otel_har.redaction.markup import attribute, element
from otel_har.redaction.name import RULE, Name
from otel_har.redaction.names import Names
from otel_har.redaction.pairs import option, pair, statement
from otel_har.redaction.quoted import QUOTE, closing, container, quoted_spans
from otel_har.redaction.runs import end_of_run, first_of, trimmed
from otel_har.redaction.spans import WRITTEN_MARK, Span, Writing

_KEY = 64
"""Characters of a quoted name of several words that are read before its last one."""

_SPACE = re.compile(r"\s{0,256}")
BLANK = re.compile(r"[ \t]{0,256}")
_NUMBER = re.compile(r"-?\d{1,512}(?:\.\d{1,512})?(?:[eE][+-]?\d{1,4})?(?=\s|[,}\])]|\Z)")
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

_SHORTEST_NUMBER = 4
_WORD_AFTER = re.compile(r"[ \t]{1,8}[A-Za-z']")
_WORD_BEFORE = re.compile(r"\b[A-Za-z]{1,32} \Z")
_QUOTE_BEFORE = re.compile(r"(?<!\\)\\{0,63}[\"']\Z")
_LINE_BEGINS = re.compile(r"[ \t]{0,32}(?:[-#>*;+] ?|export |set |< ){0,2}\Z")
_BLOCK = re.compile(r"[ \t]*[|>][+-]?\d?[ \t]*\r?\n")
_ITEMS = re.compile(r"[ \t]*\r?\n(?=[ \t]*- )")
_NEXT_LINE = re.compile(r"[ \t]*\r?\n([ \t]{1,64})(?![-#\"'<])([^\s:#]{1,512})[ \t]{0,16}(?=\r?\n|\Z)")
_INDENTED = re.compile(r"([ \t]*)(?![ \t])([^\r\n]*)(\r?\n|\Z)")


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
        return pair(name, full) if name.separator else _without_separator(name, full)
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
    if value == name.name or is_word(full, value) or _is_variable(value, name):
        return True
    if len(value) == 1 and value.isalpha():
        return True
    if _is_cookie(name, full) and "=" not in value:
        return is_text_of_code(value)
    if name.separator == ":" and is_prose(value):
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
    mark = None if cookie else WRITTEN_MARK.match(text, at + (len(scheme) + 1 if scheme in SCHEMES else 0))
    if mark:  # what stands behind it is no part of the value that it took the place of
        return mark.end()
    if scheme in SCHEMES and not cookie:
        token = TOKEN.match(text, at + len(scheme))
        if token:
            return token.end()
    if not (cookie or scheme in SCHEMES or begins):
        return end_of_run(text, at, form=name.separator != ":")
    ends = _LINE_ENDS if cookie or scheme in SCHEMES else _PHRASE_ENDS
    return trimmed(text, at, _end_of_line(text, at, ends, quote))


def _end_of_line(text: str, at: int, ends: re.Pattern[str], quote: str) -> int:
    """Where a line ends, or the quotation that it stands in.

    The steps grow, so what is searched is not much more than what is found, though there are two things to find.
    """
    step = 48
    while True:
        stop = min(len(text), at + step)
        end = first_of(ends, text, at, stop)
        end = closing(text, at, quote, end) if quote else end
        if end < stop or stop == len(text):
            return end
        step *= 4


def _block(name: Name, at: int) -> tuple[list[Span], int] | None:
    """YAML: the lines of a block, or the items of a list, below the name."""
    text = name.text
    items = _ITEMS.match(text, at)
    begin = items or _BLOCK.match(text, at)
    following = None if begin else _NEXT_LINE.match(text, at)
    if name.separator != ":" or not (begin or following):
        return None
    line = max(text.rfind("\n", max(0, name.start - 512), name.start), -1) + 1
    least = len(text[line : name.start]) - len(text[line : name.start].lstrip(" \t"))
    if following:
        nothing = len(following[1]) <= least or is_word(name.name, following[2])
        return None if nothing else (value_spans(name.name, following[2], RULE, following.start(2)), following.end())
    if not begin:
        return None
    spans, at = [], begin.end()
    while at < len(text):
        one = _INDENTED.match(text, at)
        if not one or (one[2] and len(one[1]) <= least and not (items and one[2].startswith("- "))):
            break
        start = one.start(2) + (2 if items and one[2].startswith("- ") else 0)
        spans += value_spans(name.name, text[start : one.end(2)], RULE, start)
        at = one.end()
    return spans, at


def _without_separator(name: Name, full: str) -> tuple[list[Span], int]:
    """An option of a command line, words of SQL and of .netrc, an element of XML, the value of an attribute `name`."""
    found = option(name, full) or statement(name, full) or element(name, full) or attribute(name, full)
    return found or ([], name.end)
