"""Secrets in forms: names, delimiters and what is no secret stay."""

# ruff: noqa: E501 - a case stands in one line, as it is written in the others

from __future__ import annotations

import base64

import pytest

from otel_har.redaction.forms import form_spans, multipart_spans
from otel_har.redaction.names import Names
from otel_har.redaction.spans import plain_mark, replaced

NAMES = Names()
MARK = "%5BREDACTED%5D"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user=bob&password=x1&a=1", f"user=bob&password={MARK}&a=1"),
        ("p%61ssword=x1&a=1", f"p%61ssword={MARK}&a=1"),
        ("user%5Bpassword%5D=x%26y+z&a=1", f"user%5Bpassword%5D={MARK}&a=1"),
        ("password=x=1&password=y", f"password={MARK}&password={MARK}"),
        ("grant_type=authorization_code&code=x1&client_id=me", f"grant_type=authorization_code&code={MARK}&client_id=me"),
        ("code=x1&client_id=me", f"code={MARK}&client_id=me"),
        ("code=x1&redirect_uri=https%3A%2F%2Fh%2F", f"code={MARK}&redirect_uri=https%3A%2F%2Fh%2F"),
        ("state=st4te&code=SplxlOBeZQQYbYS6WxSbIA", f"state=st4te&code={MARK}"),
        ("code=x1&session_state=7a", f"code={MARK}&session_state=7a"),
        ("state=CA&zip=94103&code=SPRING-SALE", "state=CA&zip=94103&code=SPRING-SALE"),
        ("code=EUR&amount=5", "code=EUR&amount=5"),
        ("my_client_id=5&code=EUR", "my_client_id=5&code=EUR"),
        ("key=uploads%2Fa.png&sid=7&sign=leo", "key=uploads%2Fa.png&sid=7&sign=leo"),
        ("signature=Kind+regards%2C+Ann&a=1", "signature=Kind+regards%2C+Ann&a=1"),
        ("a=1&sign=0123456789abcdef0123456789ABCDEF", f"a=1&sign={MARK}"),
        ("sig=nT7Zv0%2Bq3Lk9xYh2mPd4Wc6Rb8A%3D&a=1", f"sig={MARK}&a=1"),
        ("Action=Get&AWSAccessKeyId=AKX1&Signature=x1", f"Action=Get&AWSAccessKeyId={MARK}&Signature={MARK}"),
        ("X-Amz-Signature=x1&a=1", f"X-Amz-Signature={MARK}&a=1"),
        ("payload=%7B%22password%22%3A%22x%5C%22y%22%2C%22a%22%3A1%7D", f"payload=%7B%22password%22%3A%22{MARK}%22%2C%22a%22%3A1%7D"),
        ("payload=%7B%22password%22%3A12%7D", f"payload=%7B%22password%22%3A%22{MARK}%22%7D"),
        ("next=https%3A%2F%2Fh%2F%3Ftoken%3Dx1", f"next=https%3A%2F%2Fh%2F%3Ftoken%3D{MARK}"),
        ("note=my+password%3A+x1%2C+a%3A+b&a=1", f"note=my+password%3A+{MARK}%2C+a%3A+b&a=1"),
        ("password=", "password="),
        ("password", "password"),
        ("a&b&&=x&=", "a&b&&=x&="),
        ("author=bob&max_tokens=5", "author=bob&max_tokens=5"),
        ("%zz=%&password=%zz", f"%zz=%&password={MARK}"),
        ("", ""),
    ],
)  # fmt: skip
def test_urlencoded(text: str, expected: str) -> None:
    """The values of secret fields go, by the names that they have decoded."""
    assert expected == replaced(text, form_spans(text, NAMES), plain_mark)


def _part(headers: str, content: str) -> str:
    return f"--b\r\nContent-Disposition: form-data; {headers}\r\n\r\n{content}\r\n"


def _multipart(text: str, boundary: str | None = "b") -> str:
    return replaced(text, multipart_spans(text, boundary, NAMES), plain_mark)


@pytest.mark.parametrize("boundary", ["b", None])
def test_multipart(boundary: str | None) -> None:
    """The values of secret fields go; the boundary may be read from the text."""
    text = (
        _part('name="user"', "bob") + _part('name="password"', "x1\r\n--x2") + _part("name=token", "x3") + "--b--\r\n"
    )
    expected = text.replace("x1\r\n--x2", "[REDACTED]").replace("x3", "[REDACTED]")
    assert expected == _multipart(text, boundary)


@pytest.mark.parametrize(
    ("headers", "content", "expected"),
    [
        ('name="p"\r\nContent-Type: application/json', '{"password":"x1"}', '{"password":"[REDACTED]"}'),
        ('name="p"\r\nContent-Type: application/x-www-form-urlencoded', "password=x1&a=1", f"password={MARK}&a=1"),
        ('name="p"\r\nContent-Type: multipart/mixed; boundary=c', '--c\r\nContent-Disposition: file; name="password"\r\n\r\nx1\r\n--c--', '--c\r\nContent-Disposition: file; name="password"\r\n\r\n[REDACTED]\r\n--c--'),
        ('name="p"\r\nContent-Transfer-Encoding: base64', base64.b64encode(b'{"password":"x1"}').decode(), "[REDACTED]"),
        ('name="p"\r\nContent-Transfer-Encoding: base64', "aGVsbG8=", "aGVsbG8="),
        ('name="p"; filename="a.bin"', "\0\1\xffpassword=hunter2 \0", "\0\1\xffpassword=[REDACTED] \0"),
        ("name*=UTF-8''p%61ssword", "x1", "[REDACTED]"),
        ('filename="password"; name="p"', "x1", "x1"),
        ('name="author"', "x1", "x1"),
    ],
)  # fmt: skip
def test_parts(headers: str, content: str, expected: str) -> None:
    """A part is read as what it says it is."""
    assert _part(headers, expected) + "--b--\r\n" == _multipart(_part(headers, content) + "--b--\r\n")


def test_a_multipart_that_is_cut() -> None:
    """The rest is the value."""
    assert _part('name="password"', "[REDACTED]").rstrip() == _multipart(_part('name="password"', "x1").rstrip())


def test_line_feeds_alone() -> None:
    """Some write line feeds alone."""
    text = '--b\nContent-Disposition: form-data; name="password"\n\nx1\n--b--\n'
    assert text.replace("x1", "[REDACTED]") == _multipart(text)


def test_a_value_in_utf_8() -> None:
    """The bytes are read as Latin-1; the value is given as what it says."""
    text = _part('name="password"', "\xe9\U0001f600".encode().decode("latin-1"))
    assert ["\xe9\U0001f600"] == [span.value for span in multipart_spans(text, "b", NAMES)]


def test_no_multipart() -> None:
    """What has no boundary is any text."""
    assert "password=[REDACTED]" == _multipart("password=hunter2", None) == _multipart("password=hunter2")
