"""Values that stand beside a name without a sign between: pairs in brackets, options, words of SQL and of .netrc."""

from __future__ import annotations

import re

from otel_har.redaction.credentials import hides_nothing, value_spans
from otel_har.redaction.harmless import is_opaque
from otel_har.redaction.name import RULE, Name
from otel_har.redaction.quoted import QUOTE, quoted_spans
from otel_har.redaction.runs import end_of_run
from otel_har.redaction.spans import Span

_NEAR = 224
_OF_SQL = re.compile(r"\b(?:with|encrypted|set|and|=)\s{1,8}\Z", re.IGNORECASE)
_LOGIN = re.compile(r"\blogin\s{1,16}\S{1,128}\s{1,16}\Z")
_RUN = re.compile(r"[^\s\"']{1,512}")
COMMANDS = {
    "curl": re.compile(r"(?<=\s)(?:-u|-U|--user|--proxy-user)[ =]{0,8}[\"']?[^\s\"':]{1,128}:([^\s\"']{1,1024})"),
    "mysql": re.compile(r"\bmysql[a-z]{0,16}(?:\s{1,4}(?!-p)[^\s\"']{1,64}){0,8}\s{1,4}-p([^\s\"']{1,256})"),
    "identified": re.compile(
        r"\bidentified\s{1,8}(?:with\s{1,8}\S{1,64}\s{1,8})?(?:by|as)\s{1,8}(?:password\s{1,8})?"
        r"[\"']([^\"'\r\n]{1,256})",
        re.IGNORECASE,
    ),
}
"""What is in a text that has such a password, in lower case, and where it stands."""

_VALUE_MEMBER = re.compile(
    r"\s{0,32}\\{0,127}[\"'](?:value|val|content)\\{0,127}[\"']\s{0,32}(?::|=>)\s{0,32}", re.IGNORECASE
)


def pair(name: Name, full: str) -> tuple[list[Span], int]:
    """`["password", "x"]`, `("password", "x")` and `{"name": "password", "value": "x"}`."""
    text = name.text
    member = _VALUE_MEMBER.match(text, name.end)
    at = member.end() if member else name.end
    while text[at : at + 1] == " ":
        at += 1
    quote = QUOTE.match(text, at)
    opened = text[max(0, name.start - len(name.quote) - 2) : name.start - len(name.quote)].rstrip("bu")
    if not quote or not name.quote or not (member or opened.endswith(("(", "["))):
        return [], name.end
    spans, end = quoted_spans(text, quote, full, RULE)
    at = end + len(quote[1])
    if opened.endswith("[") and not member:
        is_pair = text[at : at + 1] in {"]", ""} and any(is_opaque(span.value) for span in spans)
        return (spans, end) if is_pair else ([], name.end)
    return (spans, end) if member or text[at : at + 1] in {")", ""} else ([], name.end)


def option(name: Name, full: str) -> tuple[list[Span], int] | None:
    """`--password x`, of a command line."""
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


def statement(name: Name, full: str) -> tuple[list[Span], int] | None:
    """`ALTER ROLE bob WITH PASSWORD 'x'` of SQL, `login bob password x` of .netrc."""
    text, at = name.text, name.stop
    if name.name.lower() != "password":
        return None
    before = text[max(0, name.start - _NEAR) : name.start]
    while at < name.stop + 8 and text[at : at + 1] in {" ", "\t"}:
        at += 1
    quote = QUOTE.match(text, at)
    if quote and _OF_SQL.search(before):
        return quoted_spans(text, quote, full, RULE)
    value = _RUN.match(text, at) if at > name.stop and _LOGIN.search(before) else None
    return (value_spans(full, value[0], RULE, at), value.end()) if value else None


def command_spans(text: str, lower: str) -> list[Span]:
    """Passwords that stand under no name: `curl -u bob:x`, `mysql -px`, `IDENTIFIED BY 'x'` of SQL."""
    return [
        Span(*match.span(1), "option", match[1])
        for hint, pattern in COMMANDS.items()
        if hint in lower
        for match in pattern.finditer(text)
        if not hides_nothing(match[1])
    ]
