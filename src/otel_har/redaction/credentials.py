"""What of a secret value is secret: the value of a field, of an authorization, of a cookie.

The rule: the scheme of an authorization, the names of its parameters and of cookies stay; so do values that hide
nothing, such as `null`, an empty one, or a mark that stands there already.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from otel_har.redaction.spans import Span

SCHEMES = frozenset(
    [
        "apikey",
        "api-key",
        "aws",
        "aws3",
        "aws4-hmac-sha256",
        "aws4-ecdsa-p256-sha256",
        "basic",
        "bearer",
        "bot",
        "concealed",
        "digest",
        "dpop",
        "eg1-hmac-sha256",
        "genie-key",
        "geniekey",
        "gnap",
        "googlelogin",
        "hawk",
        "hmac",
        "hoba",
        "jwt",
        "key",
        "klaviyo-api-key",
        "mac",
        "mediabrowser",
        "mutual",
        "negotiate",
        "ntlm",
        "oauth",
        "pop",
        "privatetoken",
        "saml",
        "sapisidhash",
        "scram-sha-1",
        "scram-sha-256",
        "sharedaccesssignature",
        "sharedkey",
        "sharedkeylite",
        "signature",
        "splunk",
        "ssws",
        "token",
        "token-auth",
        "user-token",
        "vapid",
        "wsse",
        "x-api-key",
        "zoho-oauthtoken",
    ]
)
"""Authentication schemes, those of IANA's registry and those in wide use, in lower case."""

_HARMLESS = frozenset(
    [
        "algorithm",
        "charset",
        "headers",
        "nc",
        "oauth_callback_confirmed",
        "oauth_signature_method",
        "oauth_timestamp",
        "oauth_version",
        "qop",
        "realm",
        "se",
        "signedheaders",
        "skn",
        "sr",
        "stale",
        "sv",
        "ts",
        "uri",
        "userhash",
        "username",
        "version",
    ]
)
"""Parameters of an authorization that are no secrets: RFC 7616, RFC 5849, AWS Signature Version 4, Azure, Hawk."""

_NOTHING = frozenset({"", "true", "false", "null", "none", "nil", "undefined", "nan", "[object object]"})
_FILLER = re.compile(r"(?:[*•.]|\\[nrt])*\Z")
"""Asterisks in a secret's place; line breaks, as they are written in a text within another one."""

_REDACTED = re.compile(r"(?:\[|%5B)REDACTED(?:(?::|%3A)[0-9a-f]{1,64})?(?:\]|%5D)", re.IGNORECASE)
_SCHEME = re.compile(r"\s{0,64}([A-Za-z][A-Za-z0-9_.+-]{0,39})[ \t]{1,64}(?=\S)")
_WORD = re.compile(r"[A-Za-z][A-Za-z-]*\Z")
_TOKEN68 = re.compile(r"(?:[A-Za-z0-9._~+/:-]+=*|\[REDACTED(?::[0-9a-f]{12})?\])\s*\Z")
_PARAMETER = re.compile(r"[\s,;&]{0,64}([A-Za-z0-9_.*-]{1,64})[ \t]{0,8}=[ \t]{0,8}(\")?")
_CHALLENGE = re.compile(
    r"(?:\A|,)[ \t]{0,8}[A-Za-z][A-Za-z0-9-]{0,39}[ \t]{1,8}([A-Za-z0-9._~+/-]+=*)[ \t]{0,8}(?=,|\Z)"
)
_PARAMETER_ENDS = re.compile(r"[,;&]")
_LIST_ENDS = re.compile(r"[,&]")
_QUOTED_ENDS = re.compile(r"\"")
_COOKIE_NAME = r"[!#$%&'*+.^_`|~\w-]{1,256}="
_QUOTED_COOKIE = re.compile(rf'\s{{0,8}}{_COOKIE_NAME}"[^"\\\n]*(?:\\.[^"\\\n]*)*"(?=\s{{0,8}}(?:[;,\n]|\Z))', re.ASCII)
_NEXT_COOKIE = re.compile(rf",\s{{0,8}}(?={_COOKIE_NAME})", re.ASCII)
_NEXT_IN_VALUE = re.compile(rf",\s{{1,8}}(?={_COOKIE_NAME}[^=;,\s])", re.ASCII)
"""In a value itself, where RFC 6265 allows neither commas nor blanks, the two together; no padding of base64."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a value.

    Attributes:
        spans: Where secrets stand in it.
        values: Further secrets that it says and that may stand elsewhere: the password of Basic credentials.
    """

    spans: list[Span] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


def hides_nothing(value: str) -> bool:
    """Whether a value that stands where secrets stand is none: empty, a literal, or marked already."""
    value = value.strip()
    if len(value) <= 15 and (value.lower() in _NOTHING or _FILLER.match(value)):  # noqa: PLR2004 - the longest literal
        return True
    return value[:1] in "[%" and _REDACTED.fullmatch(value) is not None


def value_spans(name: str, value: str, rule: str, at: int = 0) -> list[Span]:
    """What is secret in the whole value of a secret name.

    Args:
        name: The name of a field or a header.
        value: Its value, without escapes.
        rule: The name of the rule that found the name.
        at: Where the value begins in its text.
    """
    if hides_nothing(value):
        return []
    lower = name.lower()
    if lower.endswith(("cookie", "cookies")) and "=" in value:
        return moved(set_cookie(value, rule) if "set" in lower else cookie_pairs(value, rule), at)
    scheme = _SCHEME.match(value)
    if scheme and ("auth" in lower or scheme[1].lower() in SCHEMES):
        return moved(authorization(value, rule).spans, at)
    return [Span(at, at + len(value), rule, value)]


def moved(spans: list[Span], by: int) -> list[Span]:
    """The same secrets where the text begins that they were found in."""
    return [Span(span.start + by, span.end + by, span.rule, span.value, span.writing, span.quote) for span in spans]


def authorization(value: str, rule: str = "authorization") -> Found:
    """The secrets of an Authorization header: RFC 9110, 11.6.2, and what is in use."""
    scheme = _SCHEME.match(value)
    if not scheme:
        return Found(_whole(value, 0, len(value), rule))
    name, start = scheme[1].lower(), scheme.end()
    if _TOKEN68.match(value, start):
        if name not in SCHEMES and not _WORD.match(scheme[1]):
            return Found(_whole(value, 0, len(value), rule))
        spans = _whole(value, start, len(value), rule)
        return Found(spans, _basic(value[start:].strip()) if name == "basic" else [])
    if _PARAMETER.match(value, start):
        return Found(_parameters(value, start, rule))
    return Found(_whole(value, start if name in SCHEMES else 0, len(value), rule))


def _parameters(value: str, start: int, rule: str) -> list[Span]:
    spans: list[Span] = []
    while start < len(value):
        name = _PARAMETER.match(value, start)
        begin = name.end() if name else start
        lower = name[1].lower() if name else ""
        ends = _QUOTED_ENDS if name and name[2] else _LIST_ENDS if lower == "signedheaders" else _PARAMETER_ENDS
        match = ends.search(value, begin)
        end = match.start() if match else len(value)
        if lower not in _HARMLESS:
            spans += _whole(value, begin, end, rule)
        start = end + 1
    return spans


def _basic(credentials: str) -> list[str]:
    """RFC 7617: user and password; the password is found again where it stands alone."""
    try:
        digits = credentials.rstrip("=")
        said = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return []
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = said.decode("latin-1")
    user, colon, password = text.partition(":")
    return [one for one in (text, password if colon else user) if one and text.isprintable()]


def challenges(value: str, rule: str = "header") -> list[Span]:
    """What stands behind the schemes of challenges without a name (`token68` of RFC 9110, 11.2): Negotiate's token."""
    return [Span(one.start(1), one.end(1), rule, one[1]) for one in _CHALLENGE.finditer(value)]


def cookie_pairs(value: str, rule: str = "cookie") -> list[Span]:
    """The values of a Cookie header."""
    spans: list[Span] = []
    start = 0
    while start <= len(value):
        end = value.find(";", start)
        end = len(value) if end < 0 else end
        spans += _pair(value, start, end, rule)
        start = end + 1
    return spans


def set_cookie(value: str, rule: str = "set-cookie") -> list[Span]:
    """The value of a Set-Cookie header; its attributes stay.

    Several may stand in lines, one each, or joined by commas as any other field is (RFC 9110, 5.2): what a comma
    begins is a cookie where it has a name, which the rest of a date has not.
    """
    spans: list[Span] = []
    start = 0
    while start <= len(value):
        line = value.find("\n", start)
        line = len(value) if line < 0 else line
        while start <= line:
            end = _cookie_ends(value, start, line)
            spans += _pair(value, start, end, rule)
            following = _NEXT_COOKIE.search(value, end, line)
            start = following.end() if following else line + 1
    return spans


def _cookie_ends(value: str, start: int, line: int) -> int:
    """Where a cookie's attributes begin, or the next cookie."""
    quoted = _QUOTED_COOKIE.match(value, start, line)
    if quoted:
        return quoted.end()
    end = value.find(";", start, line)
    end = line if end < 0 else end
    following = _NEXT_IN_VALUE.search(value, start, end)
    return following.start() if following else end


def _pair(value: str, start: int, end: int, rule: str) -> list[Span]:
    equals = value.find("=", start, end)
    start = start if equals < 0 else equals + 1
    return [] if hides_nothing(value[start:end].strip().strip('"')) else _whole(value, start, end, rule)


def _whole(value: str, start: int, end: int, rule: str) -> list[Span]:
    """All of a part but the space and the quotation marks around it."""
    part = value[start:end]
    start += len(part) - len(part.lstrip())
    part = part.strip()
    if len(part) > 1 and part[0] == part[-1] == '"':
        start, part = start + 1, part[1:-1]
    return [Span(start, start + len(part), rule, part)] if part and not hides_nothing(part) else []
