"""The fields of a form that was sent, as HAR's `postData.params`.

The rule: any bytes give fields, in time and memory linear in their length, and what is not whole is left out and said.
Names and values are decoded, duplicates and order kept. A value is always a string, because readers fail without it.

Parts are found as RFC 2046 delimits them. The email package reads their header fields, but not the bodies: it would
parse messages inside them, and make an object of each of their lines. The two packages on PyPI that do this share an
import name, so that installing one may break a program that uses the other; a recorder is installed beside any program.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from otel_har.mapping.bodies import as_text
from otel_har.mapping.content_type import MAX_PARAMETERS, PARAMETER_ERRORS, boundary_of, charset_of, media_type

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_MAX_FIELDS = 1_000
_MAX_HEAD_BYTES = 4 * 1024
_MAX_URLENCODED_BYTES = 1024 * 1024
# Binary values are in the body's own base64 already: larger ones are not written twice.
_MAX_BINARY_BYTES = 64 * 1024

_NO_ASCII = re.compile(rb"[\x80-\xff]")
# RFC 2046, 5.1.1: behind the boundary comes the close-delimiter's `--`, or padding and a line break.
_REST_OF_DELIMITER = re.compile(rb"(--)|[ \t]*\r\n")
# What browsers write (HTML, "Multipart form data"): no backslash escapes, three characters percent-encoded.
_BROWSERS_DISPOSITION = re.compile(r'form-data; ?name="([^"]*)"(?:; ?filename="([^"]*)")?', re.IGNORECASE)
_BROWSERS_ESCAPES = {"%0A": "\n", "%0D": "\r", "%22": '"'}
_HEADER_PARSER = HeaderParser()


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form.

    Attributes:
        params: HAR's `params` objects (HAR 1.2, 4.2.8), in the order of the body.
        whole: False when the body has, or may have had, more fields.
    """

    params: list[dict[str, Any]]
    whole: bool


def is_multipart_form(content_type: str) -> bool:
    """Whether a body of this Content-Type is a multipart form (RFC 7578)."""
    return media_type(content_type) == _MULTIPART


def form_of(data: bytes, content_type: str, *, cut: bool) -> Form | None:
    """The form that a body is.

    Args:
        data: The body without its content coding.
        content_type: The Content-Type header's value.
        cut: True when `data` is a prefix: a field that may go on behind it is left out.

    Returns:
        None when the type is no form's, or a multipart one without a boundary.
    """
    if media_type(content_type) == _URLENCODED:
        return _urlencoded(data, charset_of(content_type) or "utf-8", cut=cut)
    boundary = boundary_of(content_type) if is_multipart_form(content_type) else b""
    return _multipart(data, boundary) if boundary else None


def _urlencoded(data: bytes, charset: str, *, cut: bool) -> Form:
    """WHATWG URL, 5.1: pairs separated by `&`, percent-encoded, `+` for a blank."""
    pairs = data[:_MAX_URLENCODED_BYTES].split(b"&", _MAX_FIELDS)
    whole = not cut and len(pairs) <= _MAX_FIELDS and len(data) <= _MAX_URLENCODED_BYTES
    # The last one is what stands behind the most fields, or may go on.
    octets = b"&".join(pairs if whole else pairs[:-1])
    ascii_text = _NO_ASCII.sub(lambda octet: b"%%%02X" % ord(octet[0]), octets).decode("ascii")
    try:
        fields = parse_qsl(ascii_text, keep_blank_values=True, encoding=charset, errors="replace")
    except (LookupError, ValueError):  # an unknown charset
        fields = parse_qsl(ascii_text, keep_blank_values=True, errors="replace")
    return Form([{"name": name, "value": value} for name, value in fields], whole)


def _multipart(data: bytes, boundary: bytes) -> Form:
    """The parts that are whole: each ends where the delimiter behind it begins (RFC 2046, 5.1.1)."""
    params: list[dict[str, Any]] = []
    is_closed, parts, start = False, 0, 0
    for delimiter_start, end, is_closed in islice(_delimiters(data, boundary), _MAX_FIELDS + 1):
        param = _param(data, start, delimiter_start) if start else None  # before the first one is a preamble
        params += [param] if param is not None else []
        parts += bool(start)
        start = end
        if is_closed:
            break
    return Form(params, whole=is_closed and len(params) == parts)


def _delimiters(data: bytes, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where each delimiter begins, its line break included, where it ends, and whether it is the last one."""
    mark = b"--" + boundary
    at = data.find(mark)
    while at >= 0:
        behind = at + len(mark)
        rest = _REST_OF_DELIMITER.match(data, behind) if at == 0 or data[at - 2 : at] == b"\r\n" else None
        if rest is not None:
            yield max(0, at - 2), rest.end(), rest[1] is not None
        at = data.find(mark, behind)


def _param(data: bytes, start: int, end: int) -> dict[str, Any] | None:
    """One part as a param; None where it has no end of its header fields, or more of them than a form needs."""
    # From the line break of the delimiter before to that of the one behind: either may be half of the blank line.
    blank = data.find(b"\r\n\r\n", start - 2, min(end + 2, start + _MAX_HEAD_BYTES))
    if blank < 0:
        return None
    head = _head(data[start:blank])
    disposition, content_type = (str(head.get(name, "")).strip() for name in ("content-disposition", "content-type"))
    if disposition.count(";") + content_type.count(";") > MAX_PARAMETERS:
        return None
    try:
        name, file_name = _names(disposition, head)
    except PARAMETER_ERRORS:
        return None
    param = {"name": name, **_value(data[blank + 4 : end], content_type)}
    if file_name is not None:
        param["fileName"] = file_name
        # RFC 7578, 4.4: text/plain is the default. Some readers take a param without a type for no file.
        content_type = content_type or ("application/octet-stream" if "_encoding" in param else "text/plain")
    return param | ({"contentType": content_type} if content_type else {})


def _value(data: bytes, content_type: str) -> dict[str, Any]:
    """Text in its charset, UTF-8 without one whatever the type says; what is no text is base64 and says so."""
    text = as_text(data, content_type if charset_of(content_type) else "", cut=False)
    if not text.base64:
        return {"value": text.text}
    if len(data) > _MAX_BINARY_BYTES:
        return {"value": "", "comment": f"{len(data)} bytes that are no text: they are in postData.text"}
    return {"value": base64.b64encode(data).decode("ascii"), "_encoding": "base64"}


def _head(head: bytes) -> Message:
    """The header fields of a part: UTF-8 (RFC 7578, 5.1), else ISO 8859-1."""
    try:
        return _HEADER_PARSER.parsestr(head.decode("utf-8"))
    except UnicodeDecodeError:
        return _HEADER_PARSER.parsestr(head.decode("latin-1"))


def _names(disposition: str, head: Message) -> tuple[str, str | None]:
    """The name of a part, `""` without one, and its file name, None without one."""
    browsers = _BROWSERS_DISPOSITION.fullmatch(disposition)
    if browsers is not None:
        name, file_name = browsers.groups()
        return _unescaped(name), None if file_name is None else _unescaped(file_name)
    name = head.get_param("name", "", header="content-disposition")
    return collapse_rfc2231_value(name), head.get_filename()


def _unescaped(text: str) -> str:
    return re.sub("%0A|%0D|%22", lambda escape: _BROWSERS_ESCAPES[escape[0]], text)
