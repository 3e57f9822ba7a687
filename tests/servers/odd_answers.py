"""Answers as odd servers give them, byte for byte: a table that knows nothing of sockets.

Each is an `OddAnswer`: what is sent before the head, the head, what follows it, what that decodes to, and how the
connection ends.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Literal

import brotli  # type: ignore[import-untyped]  # Brotli ships no annotations
from backports import zstd

Ending = Literal["kept", "closed", "reset"]

TEXT = "Größe und Maß, Ärger und Öl. " * 30
_TYPE = b"Content-Type: text/plain; charset=utf-8"
_GZIP = b"Content-Encoding: gzip"
_CHUNKED = b"Transfer-Encoding: chunked"


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """One answer.

    Attributes:
        head: From the status line on; through the blank line unless it breaks off.
        wire: What is sent behind the head.
        encoded: The body without its transfer coding, as far as it is sent.
        body: The same without its content coding.
        interim: What is sent before the head: answers of the kind 1xx.
        ending: What happens to the connection behind all that.
        method: The method to ask with.
    """

    head: bytes
    wire: bytes
    encoded: bytes
    body: bytes
    interim: bytes = b""
    ending: Ending = "kept"
    method: str = "GET"


def _odd(  # noqa: PLR0913 - an answer has this many parts
    *lines: bytes,
    status: bytes = b"HTTP/1.1 200 OK",
    wire: bytes = b"",
    encoded: bytes | None = None,
    body: bytes | None = None,
    interim: bytes = b"",
    ending: Ending = "kept",
    method: str = "GET",
    newline: bytes = b"\r\n",
    length: bool = True,
) -> OddAnswer:
    """An answer of whole lines: its body is what is sent unless it is said to be coded."""
    encoded = wire if encoded is None else encoded
    lengths = [b"Content-Length: %d" % len(wire)] if length else []
    head = newline.join([status, *lines, *lengths]) + newline * 2
    return OddAnswer(head, wire, encoded, encoded if body is None else body, interim, ending, method)


def _said(text: bytes, *lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> OddAnswer:
    """A body of plain text with header fields of one's own."""
    return _odd(*lines, _TYPE, status=status, wire=text)


def _typed(content_type: bytes, body: bytes) -> OddAnswer:
    """A body that says of itself what it is, or what it is not."""
    return _odd(b"Content-Type: " + content_type, wire=body)


def _coded(coding: bytes, encoded: bytes, body: bytes, *, status: bytes = b"HTTP/1.1 200 OK") -> OddAnswer:
    """A body of known length that claims a content coding."""
    return _odd(b"Content-Encoding: " + coding, _TYPE, status=status, wire=encoded, body=body)


def _bodiless(*lines: bytes, status: bytes, method: str = "GET") -> OddAnswer:
    """A head that tells of a body where there is none."""
    return _odd(*lines, status=status, method=method, length=False)


def _unframed(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", wire: bytes) -> OddAnswer:
    """A body that ends with the connection."""
    return _odd(*lines, status=status, wire=wire, ending="closed", length=False)


def _chunks(*lines: bytes, wire: bytes, encoded: bytes, body: bytes | None = None) -> OddAnswer:
    """A chunked body, its framing as given."""
    return _odd(*lines, _TYPE, _CHUNKED, wire=wire, encoded=encoded, body=body, length=False)


def _broken(
    *lines: bytes, wire: bytes = b"", encoded: bytes | None = None, body: bytes | None = None, ending: Ending = "closed"
) -> OddAnswer:
    """A head that promises more than comes."""
    return _odd(*lines, _TYPE, wire=wire, encoded=encoded, body=body, ending=ending, length=False)


def _cut(head: bytes, ending: Ending) -> OddAnswer:
    """A head that breaks off."""
    return OddAnswer(head, b"", b"", b"", ending=ending)


_COOKIES = (
    b'quoted="a b"; Path=/',
    b'escaped="a\\"b\\054c"',
    b"equals=a=b=c==; Path=/",
    b"commas=a,b, c; Path=/",
    b"json={%22a%22:1,%22b%22:[2]}",
    b"lower=1; path=/; domain=127.0.0.1; secure; httponly; samesite=lax",
    b"max-age=1; Max-Age=3600",
    b"both=1; Expires=Fri, 01 Jan 2038 00:00:00 GMT; Max-Age=60",
    b"gone=; Max-Age=0",
    b"negative=1; Max-Age=-1",
    b'quoted-age=1; max-age="60"',
    b"rfc1123=1; Expires=Fri, 01 Jan 2038 00:00:00 GMT",
    b"dashed=1; expires=Fri, 01-Jan-2038 00:00:00 GMT",
    b"rfc850=1; Expires=Friday, 01-Jan-38 00:00:00 GMT",
    b"asctime=1; Expires=Fri Jan  1 00:00:00 2038",
    b"zoned=1; Expires=Fri, 01 Jan 2038 00:00:00 +0200",
    b"epoch=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    b"invalid=1; Expires=tomorrow",
    b"number=1; Expires=0",
    b"february=1; Expires=Sun, 31 Feb 2038 00:00:00 GMT",
    b"=nameless",
    b"valueless",
    b"empty=",
    b"twice=1",
    b"twice=2; Path=/odd",
    b"two=1; Path=/, three=3",
    b"utf-8=\xc3\xa4; Path=/",
    b"latin-1=\xe4; Path=/",
    b"blanks  =  around  ;  Path = / ; Secure",
    b"attributes=1; Priority=High; Partitioned; Unknown=x; SameSite=None; SameSite=Sideways",
    b'semicolons="a;b"; Path=/',
    b"__Host-id=1; Path=/; Secure",
    b"trailing=1;;; ;",
)  # fmt: skip

_HUGE = b"v" * 6000
_MEMBERS = gzip.compress(b"one member ", mtime=0) + gzip.compress(b"and another", mtime=0)
_ZIPPED = gzip.compress(TEXT.encode(), mtime=0)
_RAW_DEFLATE = zlib.compress(TEXT.encode())[2:-4]

STATUS_LINES = {
    "no-reason": _said(b"terse", status=b"HTTP/1.1 200 "),
    "no-reason-no-blank": _said(b"terser", status=b"HTTP/1.1 200"),
    "long-reason": _said(b"long", status=b"HTTP/1.1 200" + b" because it is so" * 20),
    "utf-8-reason": _said(b"x", status="HTTP/1.1 200 Größe".encode()),
    "latin-1-reason": _said(b"x", status="HTTP/1.1 200 Größe".encode("latin-1")),
    "unknown-status": _said(b"x", status=b"HTTP/1.1 299 Fine, But"),
    "highest-status": _said(b"x", status=b"HTTP/1.1 999 No"),
    "http-1.0": _unframed(_TYPE, status=b"HTTP/1.0 200 OK", wire=b"to the end"),
    "http-1.0-length": _odd(_TYPE, status=b"HTTP/1.0 200 OK", wire=b"counted", ending="closed"),
    "http-1.0-kept": _odd(_TYPE, b"Connection: keep-alive", status=b"HTTP/1.0 200 OK", wire=b"kept"),
    "unframed": _unframed(_TYPE, wire=b"until the connection ends"),
    "unframed-empty": _unframed(_TYPE, wire=b""),
    "unframed-gzip": _odd(_TYPE, _GZIP, wire=_ZIPPED, body=TEXT.encode(), ending="closed", length=False),
    "headerless": _unframed(wire=b"no field at all"),
    "early-hints": _odd(_TYPE, wire=b"late", interim=b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"),
    "continue-unasked": _odd(_TYPE, wire=b"continued", interim=b"HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n" * 2),
    "processing": _odd(_TYPE, wire=b"processed", interim=b"HTTP/1.1 102 Processing\r\n\r\n"),
}
"""Odd in the status line, in the version, or in what comes before the answer."""

HEADERS = {
    "no-type": _odd(wire=b"untyped"),
    "no-type-binary": _odd(wire=b"\x00\xff\xfe"),
    "empty-type": _typed(b"", b"typed with nothing"),
    "mixed-case-type": _odd(b"cOnTeNt-TyPe: Text/HTML; Charset=UTF-8", wire="<p>Größe</p>".encode()),
    "two-types": _odd(b"Content-Type: text/plain", b"Content-Type: application/json", wire=b"{}"),
    "duplicates": _said(b"x", b"X-Twice: one", b"X-Between: middle", b"x-twice: two", b"X-Twice: one"),
    "two-lengths": _odd(_TYPE, b"Content-Length: 4", wire=b"same"),
    "utf-8-value": _said(b"x", "X-Name: Jürgen Größe \N{GRINNING FACE}".encode()),
    "latin-1-value": _said(b"x", "X-Name: Jürgen Größe".encode("latin-1")),
    "any-byte-value": _said(b"x", b"X-Bytes: " + bytes([*range(0x21, 0x7F), *range(0x80, 0x100)])),
    "empty-value": _said(b"x", b"X-Empty:", b"X-Blank: "),
    "tight-value": _said(b"x", b"X-Tight:value", b"X-Colons:a:b:c"),
    "wide-value": _said(b"x", b"X-Wide:    value", b"X-Tab:\tvalue"),
    "trailing-blanks": _said(b"x", b"X-Trailing: value  ", b"X-Tab: value\t"),
    "folded": _said(b"x", b"X-Folded: one\r\n two\r\n\tthree", b"X-Next: next"),
    "folded-at-once": _said(b"x", b"X-Folded:\r\n one"),
    "odd-names": _said(b"x", b"X_Under: 1", b"!#$%&'*+-.^_`|~: 2", b"123: 3"),
    "line-feeds": _odd(_TYPE, b"X-One: 1", wire=b"unix", newline=b"\n"),
    "huge-value": _said(b"x", b"X-Huge: " + _HUGE),
    "many-headers": _said(b"x", *(b"X-Number-%d: %d" % (number, number) for number in range(90))),
    "location-without-redirect": _odd(b"Location: /json", status=b"HTTP/1.1 201 Created", wire=b"created"),
    "redirect-without-location": _said(b"where?", status=b"HTTP/1.1 302 Found"),
    "redirect-utf-8": _odd("Location: /item/Größe?ü=1".encode(), status=b"HTTP/1.1 302 Found"),
    "redirect-latin-1": _odd("Location: /item/Größe".encode("latin-1"), status=b"HTTP/1.1 302 Found"),
    "redirect-blank": _odd(b"Location: /item/a b", status=b"HTTP/1.1 302 Found"),
    "redirect-fragment": _odd(b"Location: /item/a#part", status=b"HTTP/1.1 303 See Other"),
    "redirect-relative": _odd(b"Location: ../item/r?a=1&b", status=b"HTTP/1.1 302 Found"),
    "redirect-gzip": _odd(b"Location: /item/z", _GZIP, status=b"HTTP/1.1 302 Found", wire=_ZIPPED, body=TEXT.encode()),
    "cookies": _said(b"x", *(b"Set-Cookie: " + cookie for cookie in _COOKIES)),
}  # fmt: skip
"""Odd in the header fields."""

BODIES = {
    "204-length": _bodiless(b"Content-Length: 5", status=b"HTTP/1.1 204 No Content"),
    "204-chunked": _odd(_CHUNKED, status=b"HTTP/1.1 204 No Content", ending="closed", length=False),
    "304-length": _bodiless(_TYPE, b"Content-Length: 99", b'ETag: "1"', status=b"HTTP/1.1 304 Not Modified"),
    "304-gzip": _bodiless(_GZIP, b"Content-Length: 99", status=b"HTTP/1.1 304 Not Modified"),
    "205-empty": _odd(status=b"HTTP/1.1 205 Reset Content"),
    "head-length": _bodiless(_TYPE, b"Content-Length: 4711", status=b"HTTP/1.1 200 OK", method="HEAD"),
    "head-chunked": _bodiless(_TYPE, _CHUNKED, status=b"HTTP/1.1 200 OK", method="HEAD"),
    "head-gzip": _bodiless(_GZIP, b"Content-Length: 47", status=b"HTTP/1.1 200 OK", method="HEAD"),
    "trailers": _chunks(
        b"Trailer: X-Sum", wire=b"4\r\nbody\r\n0\r\nX-Sum: 17\r\nX-More: 1\r\n\r\n", encoded=b"body"
    ),
    "chunk-extensions": _chunks(wire=b"4;name=value;flag\r\nbody\r\n0;last\r\n\r\n", encoded=b"body"),
    "chunk-sizes": _chunks(wire=b"0004\r\nfour\r\nA\r\nten bytes.\r\na\r\nten more..\r\n000\r\n\r\n",
                           encoded=b"fourten bytes.ten more.."),
    "chunked-empty": _chunks(wire=b"0\r\n\r\n", encoded=b""),
    "chunked-gzip": _chunks(
        _GZIP, wire=b"%x\r\n%b\r\n0\r\n\r\n" % (len(_ZIPPED), _ZIPPED), encoded=_ZIPPED, body=TEXT.encode()
    ),
    "chunked-and-length": _chunks(b"Content-Length: 3", wire=b"4\r\nbody\r\n0\r\n\r\n", encoded=b"body"),
    "charset-unknown": _typed(b"text/plain; charset=potato", "Käse".encode("latin-1")),
    "charset-wrong": _typed(b"text/plain; charset=utf-8", "Käse".encode("latin-1")),
    "charset-codec": _typed(b"text/plain; charset=unicode_escape", b"K\\u00e4se"),
    "charset-no-text": _typed(b"text/plain; charset=base64", b"S8Okc2U="),
    "charset-empty": _typed(b"text/plain; charset=", "Käse".encode()),
    "charset-quoted": _typed(b'text/plain; charset="ISO-8859-1"', "Käse".encode("latin-1")),
    "charset-half-quoted": _typed(b'text/plain; charset="utf-8', "Käse".encode()),
    "charset-twice": _typed(b"text/plain; charset=utf-8; charset=latin-1", "Käse".encode()),
    "charset-non-ascii": _typed(b"text/plain; charset=\xe4", "Käse".encode()),
    "charset-none-json": _typed(b"application/json", '{"Käse": 1}'.encode()),
    "charset-latin-1-json": _typed(b"application/json; charset=iso-8859-1", '{"Käse": 1}'.encode("latin-1")),
    "charset-latin-1-undeclared": _typed(b"text/html", "Käse".encode("latin-1")),
    "charset-windows": _typed(b"text/plain; charset=windows-1252", "Käse \N{EURO SIGN}".encode("cp1252")),
    "charset-utf-16": _typed(b"text/plain; charset=utf-16", "Käse".encode("utf-16")),
    "charset-shift-jis": _typed(b"text/plain; charset=Shift_JIS", "\u65e5\u672c".encode("shift_jis")),
    "byte-order-mark": _typed(b"application/json; charset=utf-8", b"\xef\xbb\xbf{}"),
    "nul": _typed(b"text/plain; charset=utf-8", b"a\x00b"),
    "coding-false": _coded(b"gzip", b"this is no gzip", b"this is no gzip"),
    "coding-false-br": _coded(b"br", b"this is no brotli", b"this is no brotli"),
    "coding-unknown": _coded(b"unheard-of", b"opaque", b"opaque"),
    "coding-charset": _coded(b"utf-8", b"text", b"text"),
    "coding-identity": _coded(b"identity", b"text", b"text"),
    "coding-nothing": _coded(b"", b"text", b"text"),
    "coding-upper": _coded(b"GZIP", _ZIPPED, TEXT.encode()),
    "coding-zstd": _coded(b"zstd", zstd.compress(TEXT.encode()), TEXT.encode()),
    "coding-x-gzip": _coded(b"x-gzip", _ZIPPED, TEXT.encode()),
    "coding-raw-deflate": _coded(b"deflate", _RAW_DEFLATE, TEXT.encode()),
    "coding-twice": _coded(b"gzip, gzip", gzip.compress(_ZIPPED, mtime=0), TEXT.encode()),
    "coding-mixed": _coded(b"gzip, br", brotli.compress(_ZIPPED), TEXT.encode()),
    "coding-members": _coded(b"gzip", _MEMBERS, b"one member and another"),
    "coding-garbage": _coded(b"gzip", _ZIPPED + b"garbage", TEXT.encode()),
    "coding-cut": _coded(b"gzip", _ZIPPED[:-10], TEXT.encode()),
    "coding-empty": _coded(b"gzip", b"", b""),
    "large-gzip": _coded(b"gzip", gzip.compress(b"to be said again " * 300, mtime=0), b"to be said again " * 300),
    "coding-error": _coded(b"gzip", _ZIPPED, TEXT.encode(), status=b"HTTP/1.1 500 Internal Server Error"),
}  # fmt: skip
"""Odd in the body: lengths, transfer coding, charset, content coding."""

REFUSED = {
    "length-text": _broken(b"Content-Length: abc", wire=b"what length?"),
    "length-negative": _broken(b"Content-Length: -5", wire=b"less than nothing"),
    "lengths-differ": _broken(b"Content-Length: 4", b"Content-Length: 8", wire=b"bodybody"),
    "surplus": _odd(_TYPE, b"Content-Length: 4", wire=b"bodysurplus", encoded=b"body", ending="closed", length=False),
    "chunk-size-text": _broken(_CHUNKED, wire=b"xyz\r\nbody\r\n0\r\n\r\n", encoded=b""),
    "no-colon": _broken(b"X-Before: 1", b"no colon", b"Content-Length: 4", wire=b"body"),
    "huge-line": _said(b"x", b"X-Huge: " + b"v" * 70_000),
    "too-many-headers": _said(b"x", *(b"X-Number-%d: %d" % (number, number) for number in range(200))),
    "status-text": _said(b"x", status=b"HTTP/1.1 abc OK"),
    "status-long": _said(b"x", status=b"HTTP/1.1 20000 OK"),
    "version-unknown": _said(b"x", status=b"HTTP/3.7 200 OK"),
    "version-none": _said(b"x", status=b"ICY 200 OK"),
    "coding-transfer": _broken(b"Transfer-Encoding: gzip", wire=_ZIPPED),
}
"""Against the rules, so that clients refuse them or read them each in its own way."""

BREAKS = {
    f"{ending}-{phase}": answer
    for ending in ("closed", "reset")
    for phase, answer in {
        "before-status-line": _cut(b"", ending),
        "in-status-line": _cut(b"HTTP/1.1 2", ending),
        "after-status-line": _cut(b"HTTP/1.1 200 OK\r\n", ending),
        "in-headers": _cut(b"HTTP/1.1 200 OK\r\nX-One: 1\r\nX-Tw", ending),
        "after-interim": OddAnswer(b"", b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", ending),
        "before-body": _broken(b"Content-Length: 20", ending=ending),
        "in-body": _broken(b"Content-Length: 20", wire=b"ten bytes.", ending=ending),
        "in-gzip": _broken(_GZIP, b"Content-Length: 500", wire=_ZIPPED[:40], body=TEXT.encode(), ending=ending),
        "before-chunk": _broken(_CHUNKED, ending=ending),
        "in-chunk-size": _broken(_CHUNKED, wire=b"4\r\nbody\r\n1", encoded=b"body", ending=ending),
        "in-chunk": _broken(_CHUNKED, wire=b"4\r\nbody\r\n10\r\nhalf", encoded=b"bodyhalf", ending=ending),
        "before-last-chunk": _broken(_CHUNKED, wire=b"4\r\nbody\r\n", encoded=b"body", ending=ending),
        "in-trailers": _broken(_CHUNKED, wire=b"4\r\nbody\r\n0\r\nX-Su", encoded=b"body", ending=ending),
    }.items()
}  # fmt: skip
"""Connections that end, politely or not, in every phase of an answer."""

ODD_ANSWERS = {**STATUS_LINES, **HEADERS, **BODIES, **REFUSED, **BREAKS}
