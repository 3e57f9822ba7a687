"""Forms as real clients encode them come back as their fields; any bytes give fields, soon."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import FormData
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests import Request
from requests_toolbelt import MultipartEncoder  # type: ignore[import-untyped] # it has no type information

from otel_har.mapping.forms import Form, form_of
from otel_har.mapping.headers import har_text
from servers.releases import URLLIB3_LEAVES_BACKSLASHES, bytes_of_payload

forms = settings(max_examples=200, deadline=None)

# A header line cannot carry these; browsers and urllib3 encode the line breaks and the quotation mark.
plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='%"\\'), max_size=12)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="%"), min_size=1, max_size=12
)
contents = st.binary(max_size=60) | st.text(st.characters(codec="utf-8"), max_size=20).map(str.encode)
types = st.sampled_from([None, "text/plain", "image/png", "text/plain; charset=utf-8", "application/json"])
fields = st.lists(
    st.tuples(names | st.sampled_from(["a\r\nb", 'say "a"', "back\\slash"]), contents, st.none() | plain, types),
    min_size=1,
    max_size=5,
)


def _bytes_of(param: dict[str, Any]) -> bytes:
    """The bytes that a value stands for."""
    value: str = param["value"]
    return base64.b64decode(value, validate=True) if param.get("_encoding") == "base64" else value.encode()


def _told(form: Form | None) -> list[tuple[str, bytes, str | None]]:
    """What a form's params say, of a form that is whole."""
    assert form is not None
    assert form.whole
    return [(param["name"], _bytes_of(param), param.get("fileName")) for param in form.params]


def _as_sent(name: str | None) -> str | None:
    return name if name is None or URLLIB3_LEAVES_BACKSLASHES else name.replace("\\", "\\\\")


@forms
@given(fields)
@example([("a", b"", "", None)])
@example([("a", b"\r\n", "b", None), ("a", b"\r\n--", None, None), ("a", b"\r\n\r\n", "c", None)])
def test_files_of_requests(parts: list[tuple[str, bytes, str | None, str | None]]) -> None:
    """Names, contents and file names of requests' `files=` are those of the params, in order, duplicates included."""
    files = [(name, (file_name, data, kind) if kind else (file_name, data)) for name, data, file_name, kind in parts]
    prepared = Request("POST", "http://h.test/", files=files).prepare()
    assert isinstance(prepared.body, bytes)
    form = form_of(prepared.body, prepared.headers["Content-Type"], cut=False)
    assert [(_as_sent(name), data, _as_sent(file_name)) for name, data, file_name, _ in parts] == _told(form)
    assert form is not None
    for (_, _, file_name, kind), param in zip(parts, form.params, strict=True):
        default = None if file_name is None else "application/octet-stream" if "_encoding" in param else "text/plain"
        assert (kind or default) == param.get("contentType")


@forms
@given(st.lists(st.tuples(plain, contents, plain.filter(bool), types), min_size=1, max_size=5))
async def test_form_data_of_aiohttp(parts: list[tuple[str, bytes, str, str | None]]) -> None:
    """Names, contents and file names of aiohttp's FormData are those of the params, where it does not quote them."""
    data = FormData(quote_fields=False)
    for name, content, file_name, kind in parts:
        data.add_field(name, content, filename=file_name, content_type=kind)
    payload = data()
    form = form_of(await bytes_of_payload(payload), payload.headers["Content-Type"], cut=False)
    assert [(name, content, file_name) for name, content, file_name, _ in parts] == _told(form)


@forms
@given(st.lists(st.tuples(plain.filter(bool), contents), min_size=1, max_size=5))
def test_encoder_of_the_toolbelt(parts: list[tuple[str, bytes]]) -> None:
    """The streaming encoder of requests-toolbelt gives the same fields."""
    encoder = MultipartEncoder(parts)
    assert [(*part, None) for part in parts] == _told(form_of(encoder.read(), encoder.content_type, cut=False))


@forms
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))), max_size=8))
def test_urlencoded(pairs: list[tuple[str, str]]) -> None:
    """The pairs of an encoded form, in order, duplicates and blanks included."""
    form = form_of(urlencode(pairs).encode(), "application/x-www-form-urlencoded", cut=False)
    assert [(name, value.encode(), None) for name, value in pairs] == _told(form)


@forms
@given(fields, st.data())
def test_a_part_of_a_form(parts: list[tuple[str, bytes, str | None, str | None]], data: st.DataObject) -> None:
    """Of a body that was cut, params are the first ones of the whole body's, and it is not whole."""
    prepared = Request(
        "POST", "http://h.test/", files=[(name, (file, body)) for name, body, file, _ in parts]
    ).prepare()
    assert isinstance(prepared.body, bytes)
    content_type = prepared.headers["Content-Type"]
    whole = form_of(prepared.body, content_type, cut=False)
    kept = prepared.body[: data.draw(st.integers(0, len(prepared.body) - 5))]  # shorter than the close-delimiter
    part = form_of(kept, content_type, cut=True)
    assert whole is not None
    assert part is not None
    assert (whole.params[: len(part.params)], False) == (part.params, part.whole)
    assert len(part.params) >= kept.count(content_type.partition("boundary=")[2].encode() + b"\r\n") - 1


any_pieces = st.lists(
    st.sampled_from(
        [b"--", b"b", b"\r\n", b"\n", b"\r", b" ", b"--b", b"\r\n--b\r\n", b"\r\n--b--", b"\r\n\r\n", b'"', b";",
         b"%22", b"&", b"=", b"%", b"+", b"\xff", b'Content-Disposition: form-data; name="', b"filename*0*=x''%",
         b"Content-Type: multipart/mixed; boundary=c", b"Content-Type: text/plain; charset="]
    ) | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip
any_types = st.sampled_from(
    ["multipart/form-data; boundary=b", 'Multipart/Form-Data; boundary="b"', "multipart/form-data",
     "multipart/form-data; boundary*0=b", "application/x-www-form-urlencoded; charset=utf-16",
     "application/x-www-form-urlencoded; charset=potato", "text/plain", ""]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(any_pieces, any_types, st.booleans())
def test_any_bytes(data: bytes, content_type: str, cut: bool) -> None:
    """Whatever the bytes are, there are params whose members are strings, or none."""
    form = form_of(data, content_type, cut=cut)
    if form is not None:
        assert {"name", "value"} <= set.intersection({"name", "value"}, *map(set, form.params))
        assert {str} >= {type(value) for param in form.params for value in param.values()}
        assert not (cut and form.whole and content_type.startswith("application"))


parameters = st.lists(
    st.sampled_from(
        ["name", "filename", "boundary", "charset", "=", '"', "\\", ";", " ", "*", "*=", "*0", "*0*=", "*1=", "*x=",
         "'", "''", "utf-8''", "potato''", "idna''", "hex''", "utf-16'en'", "%", "%FF", "%C3", "b", "=?utf-8?b?/w==?=",
         "\r\n ", "\n", "\x00", "ä", "\udcff", "\x85", ",", ":"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(parameters, parameters, parameters)
@example("", "", "charset*=\x00''")
@example("boundary*=a''b; boundary*0=c", "name*=a''b; name*0=c", "charset*=a''b; charset*0=c")
@example("boundary=b", "name*=a''b; name*0=c", "")
@example("boundary*=\x00''", "name*=\x00''", "")
def test_any_parameters(of_body: str, of_name: str, of_type: str) -> None:
    """Whatever the parameters of a header field are, they are read or left."""
    head = f"Content-Disposition: form-data; {of_name}\r\nContent-Type: text/plain; {of_type}"
    body = b"--b\r\n" + head.encode("utf-8", "surrogateescape") + b"\r\n\r\n1\r\n--b--"
    of_request = har_text(f"multipart/form-data; {of_body}")  # what a Content-Type has been through
    for content_type in (of_request, "multipart/form-data; boundary=b"):
        form = form_of(body, content_type, cut=False)
        assert form is None or {str} >= {type(value) for param in form.params for value in param.values()}


TEN_MB = 10 * 1024 * 1024
_HEAD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
HOSTILE = {
    "delimiters": b"\r\n--b\r\n",
    "almost delimiters": b"\r\n--b\n",
    "marks": b"--b",
    "line breaks": b"\r\n",
    "padding": b"\r\n--b" + b" " * 1000,
    "parts": b"\r\n" + _HEAD + b"x",
    "bad parts": b"\r\n--b\r\nContent-Type: " + b";" * 50 + b"\r\n\r\n",
    "nested": b"\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
    "parameters": b'\r\n--b\r\nContent-Disposition: form-data; name="a"' + b";a" * 8000 + b"\r\n\r\n",
    "quotes": b"\r\n--b\r\nContent-Disposition: form-data; name=" + b'"\\' * 8000 + b"\r\n\r\n",
    "heads without end": b"\r\n--b\r\n" + b"a: b\r\n" * 5000,
    "binary": bytes(range(256)),
    "pairs": b"a&",
    "percent signs": b"%",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
def test_hostile_bodies(name: str, content_type: str) -> None:
    """Ten megabytes made to cost time take no more than ten times what a tenth of them takes, and some more."""
    whole = _HEAD + HOSTILE[name] * (TEN_MB // len(HOSTILE[name]))
    durations = []
    for data in (whole[: TEN_MB // 10], whole):
        started = time.process_time()
        form = form_of(data, content_type, cut=False)
        durations.append(time.process_time() - started)
        assert form is not None
        assert len(form.params) <= 1_000
    tenth, all_of_it = durations
    assert all_of_it < 20 * tenth + 1
