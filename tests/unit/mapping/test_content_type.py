"""A Content-Type header's value to its parts."""

from __future__ import annotations

import pytest

from otel_har.mapping.content_type import MAX_PARAMETERS, boundary_of, charset_of, media_type


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("text/plain", "text/plain"), (" Text/HTML ; charset=x", "text/html"), ("a/b;", "a/b"), ("", ""), (";", "")],
)
def test_media_type(content_type: str, expected: str) -> None:
    """The type in lower case, without parameters and blanks."""
    assert expected == media_type(content_type)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain; charset=UTF-8", "utf-8"),
        ('text/plain; charset="iso-8859-1"', "iso-8859-1"),
        ("Text/Plain;CharSet = Latin1 ; x=y", "latin1"),
        ("text/plain; charset*=utf-8''ascii", "ascii"),
        ("text/plain", None),
        ("", None),
        ("text/plain; charset", None),
        ("text/plain; charset*=x\0y''b", None),
        ("text/plain; charset*=utf-8''x; charset*0=y", None),
        ("text/plain\r\nX-Evil: 1; charset=ascii", "ascii"),
    ],
)
def test_charset_parameter(content_type: str, charset: str | None) -> None:
    """The charset parameter is found in any case, quoted or not, and given in lower case."""
    actual = charset_of(content_type)
    assert charset == actual


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=b", b"b"),
        ('multipart/form-data; charset=x; Boundary="a b"', b"a b"),
        ("multipart/form-data;\r\n boundary=b", b"b"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary*=x\0y''b", b""),
        ("multipart/form-data; boundary*=utf-8''x; boundary*0=y", b""),
    ],
)
def test_boundary_parameter(content_type: str, boundary: bytes) -> None:
    """The boundary as it stands between the parts; empty where none is named."""
    assert boundary == boundary_of(content_type)


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_parameters_is_bounded(more: int) -> None:
    """Of a value with more parameters than anyone writes, none is read."""
    content_type = "a/b" + ";x=y" * (MAX_PARAMETERS - 2 + more) + "; charset=c; boundary=b"
    assert (None if more else "c") == charset_of(content_type)
    assert (b"" if more else b"b") == boundary_of(content_type)


def test_a_hostile_value() -> None:
    """A quoted string without an end, as long as a header may be, names nothing."""
    content_type = 'a/b; charset="' + ";" * 1_000_000
    assert (None, b"") == (charset_of(content_type), boundary_of(content_type))
