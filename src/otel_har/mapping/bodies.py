"""Bytes of a body to what HAR 1.2 writes of them: content coding removed, text transcoded, the rest base64.

The rule: what is written gives the bytes back. Text is written as text only when its characters are certain; a body
whose charset is unknown or does not fit stays bytes.
"""

from __future__ import annotations

import base64
import codecs
import functools
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from otel_har.mapping.content_type import charset_of, media_type
from otel_har.mapping.inflating import Inflater, StreamDecoder
from otel_har.message import Body, BodyState

try:
    import brotli  # type: ignore[import-untyped] # it has no type information
except ImportError:
    brotli = None
_zstd: Any
try:  # where clients have it too: they ask for no coding that they cannot decode
    _zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
except ImportError:
    _zstd = None

# RFC 9110, 8.4.1: the registered codings; `x-gzip` is the old name of gzip.
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW_BITS = 23  # RFC 9659: a recipient need not have room for a window of more than 8 MB
# Python codecs that are no charset of the web, and whose decoding is not linear in the length.
_REFUSED_CODECS = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
_TEXTUAL_SUFFIXES = ("/json", "+json", "/xml", "+xml", "/yaml", "+yaml", "/javascript", "/ecmascript", "/x-ndjson")
_TEXTUAL_TYPES = frozenset({"application/x-www-form-urlencoded", "application/graphql", "application/x-javascript"})

_REMEMBERED = 256
_LONGEST_REMEMBERED = 100  # of a Content-Type
_MAX_CODINGS = 5  # of one body: each may decode to as much as the limit

_MISSING_PARTS: dict[BodyState, str] = {
    "truncated": "cut: the first {kept} of {size} bytes",
    "dropped": "left out: {size} bytes over the limit",
}
_EXCLUDED = "left out by a filter"
OVER_BUDGET = "too many bytes, or exchanges, were waiting"
_NOT_READ: dict[BodyState, str] = {
    "partial": "the first {size} bytes; the rest was not read",
    "unread": "not read by the program",
}
_NOT_SENT: dict[BodyState, str] = {
    "partial": "the first {size} bytes; the rest was not sent",
    "unread": "announced, and not sent",
}
_NOT_SEEN: dict[BodyState, str] = {
    "partial": "{size} bytes; others that came are not among them",
    "unread": "not read in a way that is recorded",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A body as HAR writes it.

    Attributes:
        text: The characters, or base64.
        base64: True when `text` is base64 of the bytes.
    """

    text: str
    base64: bool


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body without its content coding.

    Attributes:
        data: The decoded bytes, of a prefix as many as it holds.
        whole: False when the coding did not come to its end, or its result was cut at the limit.
    """

    data: bytes
    whole: bool


def decode_content(data: bytes, content_encoding: str, limit_bytes: int) -> Decoded | None:
    """Remove the content codings of RFC 9110, 8.4, the last applied first.

    Args:
        data: The encoded body, or a prefix of it.
        content_encoding: The header's value.
        limit_bytes: The most bytes to decode to: a small body may hold a very large one.

    Returns:
        None when a coding is unknown, there are more than anyone would apply, or the data does not fit.
    """
    whole = True
    codings = [name.strip().lower() for name in content_encoding.split(",") if name.strip()]
    if len(codings) > _MAX_CODINGS:
        return None
    for coding in reversed(codings):
        decoder = _DECODERS.get(coding)
        decoded = decoder(data, limit_bytes) if decoder is not None else None
        if decoded is None:
            return None
        data, whole = decoded.data, whole and decoded.whole
    return Decoded(data, whole)


def _gunzip(data: bytes, limit_bytes: int) -> Decoded | None:
    """RFC 1952 allows several members one after the other."""
    return _decoded_members(data, lambda: zlib.decompressobj(_GZIP_WBITS), zlib.error, limit_bytes)


def _unzstd(data: bytes, limit_bytes: int) -> Decoded | None:
    """RFC 8878 allows several frames one after the other."""
    if _zstd is None:
        return None
    options = {_zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_BITS}
    return _decoded_members(data, lambda: _zstd.ZstdDecompressor(options=options), _zstd.ZstdError, limit_bytes)


def _decoded_members(
    data: bytes, decoder: Callable[[], StreamDecoder], error: type[Exception], limit_bytes: int
) -> Decoded | None:
    joined, ended_bytes = bytearray(), 0
    members = Inflater(decoder)
    try:
        for piece in members.pieces(data, limit_bytes + 1):
            joined += piece
            if members.at_end:
                ended_bytes = len(joined)
    except error:  # what stands behind a member is no part of it
        return Decoded(bytes(joined[:ended_bytes]), whole=True) if members.ended else None
    return Decoded(bytes(joined[:limit_bytes]), whole=members.at_end and len(joined) <= limit_bytes)


def _inflate(data: bytes, limit_bytes: int) -> Decoded | None:
    """RFC 9110, 8.4.1.2: zlib format; some servers send the bare deflate stream."""
    for window_bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        inflater = zlib.decompressobj(window_bits)
        try:
            inflated = inflater.decompress(data, limit_bytes + 1)
        except zlib.error:
            continue
        return Decoded(inflated[:limit_bytes], whole=inflater.eof and len(inflated) <= limit_bytes)
    return None


def _unbrotli(data: bytes, limit_bytes: int) -> Decoded | None:
    if brotli is None:
        return None
    decoder = brotli.Decompressor()
    try:
        decoded: bytes = decoder.process(data, output_buffer_limit=limit_bytes + 1)
    except (TypeError, brotli.error):  # TypeError: a version before 1.2, which would decode without a limit
        return None
    return Decoded(decoded[:limit_bytes], whole=bool(decoder.is_finished()) and len(decoded) <= limit_bytes)


_DECODERS: dict[str, Callable[[bytes, int], Decoded | None]] = {
    "identity": lambda data, _: Decoded(data, whole=True),
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}


def as_text(data: bytes, content_type: str, *, cut: bool) -> Text:
    """What to write for a body without its content coding.

    Args:
        data: The bytes.
        content_type: The Content-Type header's value, `""` without one.
        cut: True when `data` is a prefix: then it may end within a character, which is left out.
    """
    for charset in _charsets(content_type):
        text = _decode(data, charset, cut=cut)
        if text is not None:
            return Text(text, base64=False)
    return Text(base64.b64encode(data).decode("ascii"), base64=True)


def missing_part(body: Body, state: BodyState, *, sent: bool) -> str:
    """What is missing of a body, in words.

    Args:
        body: The body.
        state: What is held of it; not `whole`.
        sent: True for a request's body, which the program sends, False for a response's, which it reads.
    """
    if state == "excluded":
        broke_off = not sent and not body.ended
        return f"{_EXCLUDED}: {(_NOT_READ['partial'] if broke_off else '{size} bytes').format(size=body.size_bytes)}"
    words = _MISSING_PARTS | (_NOT_SENT if sent else _NOT_SEEN if body.has_gaps else _NOT_READ)
    missing = words[state].format(kept=body.kept_bytes, size=body.size_bytes)
    return f"{missing}; {OVER_BUDGET}" if body.is_over_budget and body.kept_bytes < body.size_bytes else missing


def is_textual(content_type: str) -> bool:
    """Whether a body of this Content-Type may be written as text."""
    return bool(_charsets(content_type))


def _charsets(content_type: str) -> tuple[str, ...]:
    """The charset to try: the named one, UTF-8 for a textual type or none at all, nothing for a binary type."""
    is_short = len(content_type) <= _LONGEST_REMEMBERED
    return _known_charsets(content_type) if is_short else _charsets_of(content_type)


def _charsets_of(content_type: str) -> tuple[str, ...]:
    named = charset_of(content_type)
    if named is not None:
        return (named,)
    bare_type = media_type(content_type)
    textual = (
        not bare_type
        or bare_type.startswith(("text/", "multipart/"))
        or bare_type.endswith(_TEXTUAL_SUFFIXES)
        or bare_type in _TEXTUAL_TYPES
    )
    return ("utf-8",) if textual else ()


_known_charsets = functools.lru_cache(_REMEMBERED)(_charsets_of)


def _decode(data: bytes, charset: str, *, cut: bool) -> str | None:
    """The characters, or None where the charset is unknown, does not fit, or gives what UTF-8 cannot carry."""
    try:
        codec = codecs.lookup(charset)
        " ".encode(charset)  # refuses the codecs that are not between text and bytes
        if codec.name.replace("-", "_") in _REFUSED_CODECS:
            return None
        text = (
            codecs.getincrementaldecoder(charset)("strict").decode(data, final=not cut) if cut else data.decode(charset)
        )
        if codec.name == "utf-8":
            text.encode("utf-8")
        elif not _is_written_so(text.encode(charset), data, cut=cut):
            return None  # the charset has several ways to write this: the characters alone would not tell which
        text.encode("utf-8")
    except (LookupError, ValueError):
        return None
    if charset == "utf-8" and "\x00" in text:  # binary that happens to be valid UTF-8
        return None
    return text


def _is_written_so(encoded: bytes, data: bytes, *, cut: bool) -> bool:
    """Whether encoding the text gives the data back, as far as the data goes."""
    return data.startswith(encoded) or encoded.startswith(data) if cut else encoded == data
