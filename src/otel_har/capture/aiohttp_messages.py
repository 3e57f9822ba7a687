"""What stands in the messages that aiohttp writes and reads, in the form in which exchanges have it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from otel_har.message import JoinedFields, RawHeaders, memory_of

HTTP_1_1 = (1, 1)


def as_sent(headers: Mapping[str, str]) -> tuple[RawHeaders, int]:
    """The header fields in the bytes that aiohttp writes: UTF-8; and about how many bytes of memory they take."""
    try:  # all at once: to encode each by itself takes two calls for each field
        octets = "\n".join(itertools.chain.from_iterable(headers.items())).encode("utf-8", "surrogatepass")
    except TypeError:
        octets = b"\n"
    lines = 2 * len(headers)
    if octets.count(b"\n") + 1 == lines:  # aiohttp refuses line ends, and what is no text; but then it is noted first
        joined = JoinedFields(octets, lines)
        return joined, joined.memory_bytes
    fields = [(_written(name), _written(value)) for name, value in headers.items()]
    return fields, memory_of(fields)


def _written(text: object) -> bytes:
    """The bytes of a text; of what is none, and is refused by aiohttp, no more than its kind."""
    if isinstance(text, str):
        return str.encode(text, "utf-8", "surrogatepass")
    return f"<{type(text).__qualname__}>".encode("utf-8", "replace")


def method_text(method: str | bytes) -> str:
    """The request method, of which aiohttp asks no more than an `upper`."""
    return method.decode("latin-1") if isinstance(method, bytes) else str.__str__(method)


def reason_octets(text: str | None) -> bytes:
    """The reason phrase as it was on the wire: aiohttp reads it as UTF-8."""
    try:
        return (text or "").encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a phrase of the program's own, in an exception of the program's own
        return (text or "").encode("utf-8", "replace")


def http_version(version: tuple[int, int]) -> str:
    """As a start line writes it."""
    return "HTTP/1.1" if version == HTTP_1_1 else f"HTTP/{version[0]}.{version[1]}"
