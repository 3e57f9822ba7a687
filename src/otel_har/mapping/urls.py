"""URLs as HAR writes them: absolute, percent-encoded ASCII, without fragment and without user information.

The rule: what is written is what was asked for on the wire. A fragment never is sent, and user information is sent
as an Authorization header field, not as part of the target (RFC 9110, 4.2.4 and 7.1).
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, urljoin, urlsplit, urlunsplit

# Everything that RFC 3986 gives a meaning, the number sign excepted, and the percent sign of what is encoded already.
_KEPT = "!$%&'()*+,/:;=?@[]~"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WITH_HOST = frozenset({"http", "https", "ws", "wss"})


# What nothing would be changed of: most URLs.
_AS_IT_IS = re.compile(
    r"https?://[a-z0-9.-]+(?::[0-9]+)?(?:/[\w!$%&'()*+,/:;=@.~-]*)?(?:\?[\w!$%&'()*+,/:;=?@.~-]+)?", re.ASCII
)


def har_url(url: str) -> str:
    """The absolute URL in the form of HAR's `url`; what is no absolute URL stands behind the scheme `invalid`."""
    if _AS_IT_IS.fullmatch(url):
        return url
    url = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", url)
    parts = _absolute(url)
    if parts is None:
        return "invalid:" + quote(url.partition("#")[0], safe=_KEPT.translate({ord("["): None, ord("]"): None}))
    host = _ascii_host(parts.netloc.rpartition("@")[2])
    return urlunsplit((parts.scheme, host, _quoted(parts.path), _quoted(parts.query), ""))


def query_parameters(url: str) -> list[dict[str, str]]:
    """HAR's `queryString`: decoded names and values, duplicates and order kept."""
    query = url.partition("#")[0].partition("?")[2]
    if "%" not in query and "+" not in query:  # nothing to decode
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return [{"name": name, "value": value} for name, _, value in pairs]
    return [{"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)]


def request_target(url: str) -> str:
    """The origin-form of the request target (RFC 9112, 3.2.1) of a `har_url`."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def resolved(url: str, location: str) -> str:
    """The absolute URL that a Location header field points to (RFC 9110, 10.2.2); `""` when it points nowhere."""
    try:
        target = urljoin(url, _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", location.strip()))
    except ValueError:
        return ""
    parts = _absolute(target)
    if parts is None:
        return ""
    netloc = _ascii_host(parts.netloc)
    return urlunsplit((parts.scheme, netloc, _quoted(parts.path), _quoted(parts.query), _quoted(parts.fragment)))


def _absolute(url: str) -> SplitResult | None:
    """The parts of an absolute URL (RFC 3986, 4.3) with a host where its scheme needs one; None for anything else."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname)
    except ValueError:
        return None
    return parts if parts.scheme and (has_host or parts.scheme not in _WITH_HOST) else None


def _ascii_host(netloc: str) -> str:
    try:
        return _quoted(netloc if netloc.isascii() else netloc.encode("idna").decode("ascii"))
    except UnicodeError:
        return _quoted(netloc)


def _quoted(text: str) -> str:
    is_plain = text.isascii() and text.isprintable() and " " not in text and "#" not in text
    return text if is_plain else quote(text, safe=_KEPT)
