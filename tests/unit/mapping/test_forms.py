"""The fields of a form: what the properties do not reach."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import FormData

from otel_har.mapping.forms import Form, form_of
from servers.releases import bytes_of_payload

MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"
DISPOSITION = b'Content-Disposition: form-data; name="a"'


def _one(part: bytes) -> dict[str, Any]:
    """The param of a body with one part."""
    form = form_of(b"--b\r\n" + part + b"\r\n--b--\r\n", MULTIPART, cut=False)
    assert form is not None
    assert form.whole
    [param] = form.params
    return param


@pytest.mark.parametrize(
    ("data", "params"),
    [
        (b"a=1&a=2&b=&c", [("a", "1"), ("a", "2"), ("b", ""), ("c", "")]),
        (b"a+b=%C3%A4&%26=%3D", [("a b", "ä"), ("&", "=")]),
        ("ä=ö".encode(), [("ä", "ö")]),
        (b"a=%E4", [("a", "\N{REPLACEMENT CHARACTER}")]),
        (b"a=1=2&&b", [("a", "1=2"), ("b", "")]),
    ],
)
def test_urlencoded(data: bytes, params: list[tuple[str, str]]) -> None:
    """Decoded names and values, duplicates, blanks and order kept."""
    expected = Form([{"name": name, "value": value} for name, value in params], whole=True)
    assert expected == form_of(data, URLENCODED, cut=False)


@pytest.mark.parametrize(("charset", "value"), [("iso-8859-1", "ä"), ("potato", "\N{REPLACEMENT CHARACTER}")])
def test_urlencoded_in_a_charset(charset: str, value: str) -> None:
    """The charset that the type names counts; an unknown one is UTF-8."""
    assert Form([{"name": "a", "value": value}], whole=True) == form_of(
        b"a=%E4", f"{URLENCODED}; charset={charset}", cut=False
    )


def test_urlencoded_that_was_cut() -> None:
    """The last pair may go on behind the cut."""
    assert Form([{"name": "a", "value": "1"}], whole=False) == form_of(b"a=1&b=2", URLENCODED, cut=True)
    assert Form([], whole=False) == form_of(b"a=1", URLENCODED, cut=True)


@pytest.mark.parametrize("count", [1_000, 1_001])
@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
def test_number_of_fields(content_type: str, count: int) -> None:
    """A thousand fields are a whole form, more are not."""
    pairs, parts = b"&".join([b"a=1"] * count), (b"--b\r\n" + DISPOSITION + b"\r\n\r\n1\r\n") * count + b"--b--"
    form = form_of(pairs if content_type == URLENCODED else parts, content_type, cut=False)
    assert form is not None
    assert (1_000, count == 1_000) == (len(form.params), form.whole)


def test_length_of_an_urlencoded_form() -> None:
    """Of a longer one than a megabyte, the fields of the first megabyte are there."""
    form = form_of(b"a=1&b=" + b"x" * 1024 * 1024, URLENCODED, cut=False)
    assert Form([{"name": "a", "value": "1"}], whole=False) == form


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (DISPOSITION + b"\r\n\r\n1", {"name": "a", "value": "1"}),
        (DISPOSITION.lower() + b"\r\n\r\n1", {"name": "a", "value": "1"}),
        (DISPOSITION + b"\r\n\r\n", {"name": "a", "value": ""}),
        (DISPOSITION + b"\r\n", {"name": "a", "value": ""}),
        (b"\r\n1", {"name": "", "value": "1"}),
        (b"X: y\r\n\r\n1", {"name": "", "value": "1"}),
        (
            DISPOSITION + b'; filename="f.bin"\r\nContent-Type: image/png\r\n\r\n\xff',
            {"name": "a", "value": "/w==", "_encoding": "base64", "fileName": "f.bin", "contentType": "image/png"},
        ),
        (
            DISPOSITION + b'; filename="f"\r\n\r\n\x00',
            {"name": "a", "value": "AA==", "_encoding": "base64", "fileName": "f"}
            | {"contentType": "application/octet-stream"},
        ),
        (
            DISPOSITION + b'; filename="f"\r\nContent-Type: application/octet-stream\r\n\r\nx',
            {"name": "a", "value": "x", "fileName": "f", "contentType": "application/octet-stream"},
        ),
        (
            b"Content-Type: text/plain; charset=iso-8859-1\r\n" + DISPOSITION + b"\r\n\r\n\xe4",
            {"name": "a", "value": "ä", "contentType": "text/plain; charset=iso-8859-1"},
        ),
        (
            b"Content-Type: message/rfc822\r\n" + DISPOSITION + b"\r\n\r\nTo: a\r\n\r\nb\n",
            {"name": "a", "value": "To: a\r\n\r\nb\n", "contentType": "message/rfc822"},
        ),
        (b'Content-Disposition: form-data; name="%22%0D%0A%41\\"\r\n\r\n', {"name": '"\r\n%41\\', "value": ""}),
        (b"Content-Disposition: form-data; name=a; x=y\r\n\r\n1", {"name": "a", "value": "1"}),
        (
            b"Content-Disposition: form-data; name=a; filename*=utf-8''%C3%A4.txt\r\n\r\n1",
            {"name": "a", "value": "1", "fileName": "ä.txt", "contentType": "text/plain"},
        ),
        (b'Content-Disposition: form-data; name="\xe4"\r\n\r\n1', {"name": "ä", "value": "1"}),
        (b'Content-Disposition: form-data; name="\xc3\xa4"\r\n\r\n1', {"name": "ä", "value": "1"}),
    ],
)
def test_one_part(part: bytes, param: dict[str, str]) -> None:
    """Name, value and, of a file, its name and type; what is no text is base64."""
    assert param == _one(part)


@pytest.mark.parametrize("size_bytes", [64 * 1024, 64 * 1024 + 1])
def test_a_large_binary_part(size_bytes: int) -> None:
    """A binary value that is large is not written a second time; a large text is."""
    param = _one(DISPOSITION + b"\r\n\r\n" + b"\xff" * size_bytes)
    if size_bytes > 64 * 1024:
        comment = f"{size_bytes} bytes that are no text: they are in postData.text"
        assert {"name": "a", "value": "", "comment": comment} == param
    else:
        assert ("base64", size_bytes // 3 * 4 + 4) == (param["_encoding"], len(param["value"]))
    assert "x" * size_bytes == _one(DISPOSITION + b"\r\n\r\n" + b"x" * size_bytes)["value"]


@pytest.mark.parametrize(
    ("data", "names", "whole"),
    [
        (b"", [], False),
        (b"--b--", [], True),
        (b"preamble\r\n--b--\r\nepilogue\r\n--b\r\n", [], True),
        (b"--b \t\r\n" + DISPOSITION + b"\r\n\r\n1\r\n--b--", ["a"], True),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\n1", [], False),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\n1\r\n--b", [], False),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\n1\r\n--b\r\n", ["a"], False),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\n1--b--\r\n--bb--\r\n--b--", ["a"], True),
        (b"--b\r\nno end\r\n--b\r\n" + DISPOSITION + b"\r\n\r\n1\r\n--b--", ["a"], False),
        (b"--b\r\n--b--", [], False),
        (b"--b\r\n" + b"x: y\r\n" * 1000 + b"\r\n1\r\n--b--", [], False),
        (b"--b\r\n" + DISPOSITION + b";x=y" * 40 + b"\r\n\r\n1\r\n--b--", [], False),
    ],
)
def test_delimiters(data: bytes, names: list[str], whole: bool) -> None:
    """A part is one that a delimiter begins and another ends; the last one closes the form."""
    form = form_of(data, MULTIPART, cut=False)
    assert form is not None
    assert (names, whole) == ([param["name"] for param in form.params], form.whole)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
        'multipart/form-data; boundary=""',
        "x\r\n y",
    ],
)
def test_no_form(content_type: str) -> None:
    """Other types are no forms, nor is a multipart body whose boundary is not known."""
    assert form_of(b"--b--", content_type, cut=False) is None


@pytest.mark.parametrize(
    "content_type", ['Multipart/Form-Data; Boundary="b"', "multipart/form-data;charset=x; boundary=b"]
)
def test_content_types(content_type: str) -> None:
    """The type is read without regard to case, the boundary with and without quotation marks."""
    assert Form([], whole=True) == form_of(b"--b--", content_type, cut=False)


async def test_quoted_by_aiohttp() -> None:
    """A name that aiohttp quotes by RFC 2231 is decoded; a file name that it percent-encodes stays as it was sent."""
    data = FormData()
    data.add_field("ä b", "1", filename='ü "1".txt')
    payload = data()
    form = form_of(await bytes_of_payload(payload), payload.headers["Content-Type"], cut=False)
    assert form is not None
    [param] = form.params
    assert ("ä b", "1", "%C3%BC%20%221%22.txt") == (param["name"], param["value"], param["fileName"])
