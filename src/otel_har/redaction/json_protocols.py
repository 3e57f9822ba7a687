"""Secrets of JSON under names that mean nothing by themselves: the members beside them tell.

The rule: a text that has the telling member is searched once for the others, wherever in it they stand. Sources: RFC
6749, 4.1.3 (`code` beside `grant_type`); RFC 7517 and RFC 7518, 6.2.2, 6.3.2, 6.4.1 (private members of a JSON Web
Key, beside `kty`); the contents API of GitHub (`content` beside an `encoding` in base64).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from otel_har.redaction.credentials import hides_nothing
from otel_har.redaction.spans import Span

RULE = "json-field"

_LEAST_KEY = 16  # characters of base64url in a private member
_CODE = re.compile(r'"(?:code|code_verifier|user_code)"\s{0,8}:\s{0,8}"([^"\\]{1,4096})"')
_KEY = re.compile(rf'"(?:d|p|q|dp|dq|qi|k|t|r)"\s{{0,8}}:\s{{0,8}}"([A-Za-z0-9_-]{{{_LEAST_KEY},4096}})"')
_GRANT = re.compile(r'"grant_type"\s{0,8}:')
_TYPE = re.compile(r'"kty"\s{0,8}:\s{0,8}"(?:EC|RSA|oct|OKP|AKP)"')
_TELLING = ((_GRANT, "grant_type", _CODE), (_TYPE, '"kty"', _KEY))
_CONTENT = re.compile(r'"content"\s{0,8}:\s{0,8}"((?:[A-Za-z0-9+/=]|\\[nr]){16,})"')


def protocol_spans(text: str) -> list[Span]:
    """The secrets of JSON that other members tell.

    Args:
        text: JSON.
    """
    return [
        Span(one.start(1), one.end(1), RULE, one[1])
        for telling, hint, names in _TELLING
        if hint in text and telling.search(text)
        for one in names.finditer(text)
        if not hides_nothing(one[1])
    ]


def encoded_spans(text: str, hides: Callable[[str], bool]) -> list[Span]:
    """Files in base64 that hide something: all of them.

    Args:
        text: JSON.
        hides: Tells whether base64 does.
    """
    if '"base64"' not in text:
        return []
    return [
        Span(one.start(1), one.end(1), "base64", one[1])
        for one in _CONTENT.finditer(text)
        if hides(re.sub(r"\\[nr]", "", one[1]))
    ]
