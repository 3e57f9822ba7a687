"""The secrets of header fields: what is secret by policy, and what of a value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from otel_har.redaction.credentials import Found
from otel_har.redaction.headers import header_value_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import Span, has_mark
from otel_har.redaction.unknown import UNKNOWN, query_values

# What a header field of these names says is no secret whatever it says; in strict mode, all others are. Of fields that
# hold a URL, the values of its parameters are.
_HARMLESS = frozenset(
    """
    :authority :method :protocol :scheme :status
    accept accept-charset accept-encoding accept-language accept-patch accept-post accept-ranges
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age
    access-control-request-headers access-control-request-method age allow alt-svc cache-control connection
    content-encoding content-language content-length content-range content-type
    cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy date dnt early-data expect
    expires host keep-alive last-modified max-forwards origin-agent-cluster pragma
    proxy-authenticate range referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform
    sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-extensions
    sec-websocket-version server strict-transport-security te timing-allow-origin trailer
    transfer-encoding upgrade upgrade-insecure-requests user-agent vary via www-authenticate
    x-content-type-options x-dns-prefetch-control x-download-options x-frame-options x-powered-by
    x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset x-xss-protection
    """.split()
)


_COOKIES = frozenset({"cookie", "cookie2", "set-cookie", "set-cookie2"})
_URLS = frozenset({":path", "content-location", "location", "origin", "referer"})


class HeaderSpans:
    """Finds the secrets of header fields.

    Args:
        names: The names of secrets.
        patterns: A field in whose name one of these is found is secret as a whole.
    """

    def __init__(self, names: Names, patterns: Sequence[re.Pattern[str]] = ()) -> None:
        self._names = names
        self._patterns = tuple(patterns)

    def find(self, name: str, value: str, *, is_strict: bool = False) -> Found:
        """Where the secrets of a field's value stand, and values that are secret elsewhere."""
        found = header_value_spans(name, value, self._names)
        lower = name.strip().lower()
        is_whole = any(pattern.search(name) for pattern in self._patterns)
        if not value or not (is_whole or (is_strict and not self._is_harmless(lower))):
            return found
        has_structure = lower in _COOKIES or self._names.header(name)
        if has_structure and (found.spans or has_mark(value)):
            return found  # the scheme of credentials, the names of cookies stay
        if is_whole:
            return Found([Span(0, len(value), "header", value)], [*found.values, value])
        if lower in _URLS:  # it says what the entry's own URLs say
            return Found([*found.spans, *query_values(value, self._names)], found.values)
        return Found([Span(0, len(value), UNKNOWN, value)], [*(span.value for span in found.spans), *found.values])

    def _is_harmless(self, lower: str) -> bool:
        """Whether strict mode, too, lets a field pass: it is known, or kept by the user in whatever spelling."""
        return lower in _HARMLESS or self._names.is_kept(lower)
