"""Bodies in base64 whose text has two or four bytes a character: they are read as what they are, and stay it."""

from __future__ import annotations

import base64
import codecs
import json
from typing import Any

import pytest

from otel_har.redaction.redactor import Redactor

SECRET = "Zq9xKw7Lm3Tp"  # noqa: S105 - of nothing
BODY = json.dumps({"password": SECRET, "name": "Ann"})
REDACTED = json.dumps({"password": "[REDACTED]", "name": "Ann"})
MARKS = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _redacted(raw: bytes, media_type: str, member: str = "content") -> bytes:
    body = {"mimeType": media_type, "encoding": "base64", "text": _encoded(raw)}
    entry = {"response": {"content": body}} if member == "content" else {"request": {"postData": body}}
    redacted: dict[str, Any] = Redactor().entry(entry)
    found = redacted["response"]["content"] if member == "content" else redacted["request"]["postData"]
    return base64.b64decode(found["text"])


@pytest.mark.parametrize("charset", MARKS)
@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("member", ["content", "postData"])
@pytest.mark.parametrize("media_type", ["application/json", "application/octet-stream", ""])
def test_json_in_wide_characters(charset: str, mark: bool, member: str, media_type: str) -> None:
    """By its byte order mark or its zeros, whatever its media type says, as a request or as a response."""
    begin = MARKS[charset] if mark else b""
    assert begin + REDACTED.encode(charset) == _redacted(begin + BODY.encode(charset), media_type, member)


@pytest.mark.parametrize(
    ("media_type", "charset"),
    [
        ("text/plain; charset=utf-16", "utf-16-be"),
        ('text/plain;charset="UTF-16LE"', "utf-16-le"),
        ("text/plain; charset=utf_32_be", "utf-32-be"),
    ],
)
def test_a_charset_that_is_told(media_type: str, charset: str) -> None:
    """A text that does not begin with ASCII is read as its media type says."""
    text = "\u00e4\u4e2d password={} \U0001f600 and half a character"
    raw = text.format(SECRET).encode(charset) + b"\x20"
    assert text.format("[REDACTED]").encode(charset) + b"\x20" == _redacted(raw, media_type)


@pytest.mark.parametrize("raw", [BODY.encode(), codecs.BOM_UTF8 + BODY.encode()])
def test_a_charset_that_is_told_and_wrong(raw: bytes) -> None:
    """What is no UTF-16 is searched as it is."""
    assert SECRET.encode() not in _redacted(raw, "application/json; charset=utf-16")


@pytest.mark.parametrize("numbers", [b"\x01\x00\x02\x00", *MARKS.values()])
def test_bytes_that_look_like_utf_16(numbers: bytes) -> None:
    """Numbers, or a mark by chance, before ASCII: that it may be UTF-16 does not keep it from being searched."""
    redacted = _redacted(numbers + BODY.encode() + b" " * (len(BODY) % 2), "application/octet-stream")
    assert (True, False) == (redacted.startswith(numbers), SECRET.encode() in redacted)


@pytest.mark.parametrize("opcode", [2, 9])
def test_a_binary_message(opcode: int) -> None:
    """Of a WebSocket, as Chrome writes it, and a control frame."""
    message = {"type": "send", "opcode": opcode, "data": _encoded(BODY.encode("utf-16-le"))}
    redacted = Redactor().entry({"_webSocketMessages": [message]})["_webSocketMessages"][0]["data"]
    assert REDACTED == base64.b64decode(redacted).decode("utf-16-le")


def test_a_value_that_stands_again_in_wide_characters() -> None:
    """Also in bytes of which only a part is UTF-16."""
    noise = bytes(range(128, 256))
    text = _encoded(noise + SECRET.encode("utf-16-le") + noise)
    entry = {"a": {"password": SECRET}, "response": {"content": {"encoding": "base64", "text": text}}}
    redacted = base64.b64decode(Redactor().entry(entry)["response"]["content"]["text"])
    assert noise + "[REDACTED]".encode("utf-16-le") + noise == redacted
