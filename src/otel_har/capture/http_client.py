"""What Python's `http.client` makes of a request that urllib3 gives to it.

The rule: this is what is known without looking at what was sent; where the head itself was seen, the head counts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from otel_har.message import Body, HeaderText, RawHeaders

_SKIPPED = "@@@SKIP_HEADER@@@"  # urllib3.util.SKIP_HEADER: a header field that is not to be sent


class HeadersAsSent:
    """The header fields in the order in which http.client writes them, worked out by whoever iterates over them.

    Host comes first, then `Accept-Encoding: identity` and urllib3's own User-Agent where the request says nothing of
    them.

    Args:
        fields: What the client gives to http.client.
        url: Where it sends it.
    """

    __slots__ = ("_fields", "_url")

    def __init__(self, fields: RawHeaders, url: str) -> None:
        self._fields = list(fields)
        self._url = url

    def __iter__(self) -> Iterator[tuple[HeaderText, HeaderText]]:
        names = {_lower(name) for name, _ in self._fields}
        if "host" not in names:
            yield "Host", _host(self._url)
        if "accept-encoding" not in names:
            yield "Accept-Encoding", "identity"
        if "user-agent" not in names:
            yield "User-Agent", f"python-urllib3/{version('urllib3')}"
        yield from ((name, value) for name, value in self._fields if value != _SKIPPED)


def _lower(name: HeaderText) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()


def _host(url: str) -> str:
    """The Host field (RFC 9110, 7.2): without user information and without the scheme's own port."""
    parts = urlsplit(url)
    authority = parts.netloc.rpartition("@")[2]
    return authority.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))


def is_read_piecemeal(body: Any) -> bool:
    """Whether the body is a file object or an iterable: http.client sends what is a buffer as it is."""
    if hasattr(body, "read"):
        return True
    if not isinstance(body, Iterable) and not hasattr(type(body), "__getitem__"):
        return False
    try:
        memoryview(body.encode() if isinstance(body, str) else body).release()
    except TypeError:
        return True
    return False


def note_body_at_hand(noted: Body, body: Any) -> None:
    """A body that is there as a whole before it is sent, or none; what is no bytes the client refuses itself."""
    if isinstance(body, str):
        body = text_as_sent(body)
    if body is not None:
        noted.encoded = True
        try:
            octets = memoryview(body)
        except TypeError:
            return
        with octets:
            noted.note(octets)
    noted.ended = True


@functools.cache
def _charset_of_text() -> str:
    """urllib3 1.26 leaves text to http.client, which sends ISO 8859-1; later releases send UTF-8."""
    return "latin-1" if version("urllib3").startswith("1.") else "utf-8"


def text_as_sent(text: str) -> bytes:
    """The bytes of a body that is text, or is read from a file of text; what cannot be sent so raises in the client."""
    return str.encode(text, _charset_of_text(), "replace")
