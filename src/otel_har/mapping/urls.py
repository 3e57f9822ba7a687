"""URLs as HAR writes them: absolute, percent-encoded ASCII, without fragment and without user information.

The rule: what is written is what was asked for on the wire. A fragment never is sent, and user information is sent
as an Authorization header field, not as part of the target (RFC 9110, 4.2.4 and 7.1).
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

# Everything that RFC 3986 gives a meaning, and the percent sign of what is encoded already.
_KEPT = "!#$%&'()*+,/:;=?@[]~"


def har_url(url: str) -> str:
    """The absolute URL in the form of HAR's `url`; what is no absolute URL stands behind the scheme `invalid`."""
    try:
        parts = urlsplit(url)
        if not parts.scheme:
            return f"invalid:{_quoted(url)}"
        host = parts.netloc.rpartition("@")[2]
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        return urlunsplit((parts.scheme, host, _quoted(parts.path), _quoted(parts.query), ""))
    except ValueError:  # not a URL by RFC 3986
        return f"invalid:{_quoted(url.partition('#')[0])}"


def query_parameters(url: str) -> list[dict[str, str]]:
    """HAR's `queryString`: decoded names and values, duplicates and order kept."""
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("#")[0].partition("?")[2]
    return [{"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)]


def request_target(url: str) -> str:
    """The origin-form of the request target (RFC 9112, 3.2.1)."""
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


def resolved(url: str, location: str) -> str:
    """The absolute URL that a Location header field points to (RFC 9110, 10.2.2)."""
    try:
        return _quoted(urljoin(url, location.strip()))
    except ValueError:
        return _quoted(location.strip())


def _quoted(text: str) -> str:
    return text if _is_plain(text) else quote(text, safe=_KEPT, errors="replace")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
