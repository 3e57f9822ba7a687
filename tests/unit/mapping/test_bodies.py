"""Bytes of a body to what HAR writes of them: codings, charsets, and what stays base64."""

from __future__ import annotations

import base64
import gzip
import zlib
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped] # it has no type information
import pytest
from backports import zstd

from otel_har.mapping.bodies import Decoded, Text, as_text, decode_content
from otel_har.mapping.inflating import MAX_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. " * 20
DATA = TEXT.encode()
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe\x00\x01"


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def _base64(data: bytes) -> Text:
    return Text(base64.b64encode(data).decode(), base64=True)


def _decoded(data: bytes, content_encoding: str, limit_bytes: int = 1_000_000) -> bytes | None:
    decoded = decode_content(data, content_encoding, limit_bytes)
    return decoded.data if decoded is not None else None


CODINGS = [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstd.compress)]


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_decoding_stops_at_the_limit(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """A body at the limit is whole, one byte more is cut there, and a bomb is not unpacked."""
    limit = 10_000
    assert Decoded(bytes(limit), whole=True) == decode_content(encode(bytes(limit)), coding, limit)
    assert Decoded(bytes(limit), whole=False) == decode_content(encode(bytes(limit + 1)), coding, limit)
    assert Decoded(bytes(limit), whole=False) == decode_content(encode(bytes(100_000_000)), coding, limit)


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_coding_that_breaks_off_is_not_whole(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """What was decoded of an encoded body without its end says that it is not all."""
    decoded = decode_content(encode(bytes(range(256)) * 40)[:-6], coding, 1_000_000)
    assert decoded is not None
    assert not decoded.whole


@pytest.mark.parametrize(
    ("encoded", "coding"),
    [
        (DATA, "identity"),
        (DATA, ""),
        (gzip.compress(DATA), "gzip"),
        (gzip.compress(DATA), "x-gzip"),
        (gzip.compress(DATA), " GZip "),
        (zlib.compress(DATA), "deflate"),
        (_raw_deflate(DATA), "deflate"),
        (brotli.compress(DATA), "br"),
        (brotli.compress(gzip.compress(DATA)), "gzip, br"),
        (zstd.compress(DATA), "zstd"),
        (zstd.compress(gzip.compress(DATA)), "gzip, ZSTD"),
        (gzip.compress(zlib.compress(DATA)), "deflate,gzip"),
        (gzip.compress(DATA), "gzip,,identity"),
    ],
)
def test_content_coding_is_removed(encoded: bytes, coding: str) -> None:
    """Each registered coding gives the bytes back, several the last one first, names in any case."""
    assert _decoded(encoded, coding) == DATA


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity"])
def test_empty_body_stays_empty(coding: str) -> None:
    """Nothing decodes to nothing."""
    assert _decoded(b"", coding) == b""


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_members_are_joined(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """RFC 1952 and RFC 8878 allow several members, or frames, one after the other."""
    assert _decoded(encode(b"one ") + encode(b"two"), coding) == b"one two"


def test_a_window_that_takes_too_much_memory_is_not_decoded() -> None:
    """RFC 9659: with a window of more than 8 MB it is not the coding `zstd`."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    assert _decoded(compressor.compress(DATA) + compressor.flush(), "zstd") is None


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_gzip_members_is_bounded(more: int) -> None:
    """The most members are a whole body; of more the first are read."""
    decoded = decode_content(gzip.compress(b"x", mtime=0) * (MAX_STREAMS + more), "gzip", 1_000_000)
    assert Decoded(b"x" * MAX_STREAMS, whole=not more) == decoded


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_megabytes_of_empty_members(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """What a hostile server may send is read as far as the limit, not for as long as it lasts."""
    assert Decoded(b"", whole=False) == decode_content(encode(b"") * 500_000, coding, 1_000_000)


def test_a_member_that_breaks_is_left_out() -> None:
    """A member that does not decode to its end is none, however much of it did; those before it are whole."""
    good, broken = gzip.compress(b"good"), gzip.compress(bytes(range(256)) * 1000, compresslevel=0)
    assert Decoded(b"good", whole=True) == decode_content(good + broken[:-8] + bytes(8), "gzip", 1_000_000)
    assert decode_content(broken[:-8] + bytes(8), "gzip", 1_000_000) is None
    assert Decoded(b"", whole=True) == decode_content(gzip.compress(b"") + broken[:-8] + bytes(8), "gzip", 1_000_000)


@pytest.mark.parametrize(("count", "expected"), [(5, b"deep"), (6, None)])
def test_the_number_of_codings_is_bounded(count: int, expected: bytes | None) -> None:
    """Each coding may hold as much as the limit: nobody applies more than a few."""
    data = b"deep"
    for _ in range(count):
        data = zlib.compress(data)
    assert expected == _decoded(data, ", ".join(["deflate"] * count))


@pytest.mark.parametrize("trailer", [b"\x00" * 16, b"garbage"])
def test_what_follows_the_last_gzip_member_is_left_out(trailer: bytes) -> None:
    """Padding behind a member is no member."""
    assert _decoded(gzip.compress(DATA) + trailer, "gzip") == DATA
    assert _decoded(zstd.compress(DATA) + trailer, "zstd") == DATA


@pytest.mark.parametrize(
    ("encoded", "coding"),
    [
        (gzip.compress(DATA), "gzip"),
        (zlib.compress(DATA), "deflate"),
        (_raw_deflate(DATA), "deflate"),
        (brotli.compress(DATA), "br"),
        (zstd.compress(DATA), "zstd"),
    ],
)
def test_cut_encoding_gives_a_prefix(encoded: bytes, coding: str) -> None:
    """A prefix of an encoded body decodes to as many bytes as it holds, wherever it is cut."""
    for length in range(len(encoded)):
        decoded = _decoded(encoded[:length], coding)
        assert decoded is not None
        assert DATA.startswith(decoded)


def test_cut_second_member_keeps_the_first() -> None:
    """A second gzip member that is cut within its header takes nothing from the first."""
    second = gzip.compress(b"two")
    assert _decoded(gzip.compress(b"one ") + second[:5], "gzip") == b"one "


@pytest.mark.parametrize("coding", ["compress", "potato", "gzip, potato", "potato, gzip"])
def test_unknown_coding_is_not_decoded(coding: str) -> None:
    """One unknown coding among those named makes the body undecodable."""
    assert _decoded(gzip.compress(DATA), coding) is None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_not_what_it_claims_is_not_decoded(coding: str) -> None:
    """Bytes that do not fit their coding give None and no exception."""
    assert _decoded(b"\xffthis is nothing of the kind", coding) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "TEXT/HTML ; level=1",
        "application/json",
        "application/problem+json",
        "application/xml",
        "image/svg+xml",
        "application/yaml",
        "application/x-ndjson",
        "application/javascript",
        "application/x-www-form-urlencoded",
        "application/graphql",
        "multipart/form-data; boundary=x",
    ],
)
def test_textual_type_without_charset_is_utf_8(content_type: str) -> None:
    """A textual type, and none at all, is text where it is valid UTF-8."""
    actual = as_text(DATA, content_type, cut=False)
    assert Text(TEXT, base64=False) == actual


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "application/zip", "nonsense"])
def test_binary_type_is_base64(content_type: str) -> None:
    """A type that is not textual is base64 whatever its bytes are."""
    actual = as_text(b"plain", content_type, cut=False)
    assert _base64(b"plain") == actual


@pytest.mark.parametrize("charset", ["iso-8859-1", "latin1", "windows-1252", "utf-8", "utf-16", "utf-8-sig", "cp437"])
def test_named_charset_is_transcoded(charset: str) -> None:
    """Text in the charset that the header names is written as its characters."""
    actual = as_text(TEXT.encode(charset), f"text/plain; charset={charset}", cut=False)
    assert Text(TEXT, base64=False) == actual


def test_charset_makes_a_binary_type_textual() -> None:
    """A charset parameter says that the body is text."""
    actual = as_text("ä".encode("latin-1"), "application/whatever; charset=latin-1", cut=False)
    assert Text("ä", base64=False) == actual


@pytest.mark.parametrize(
    "charset",
    [
        "potato",
        "hex",
        "base64",
        "zlib",
        "bz2",
        "rot13",
        "quopri",
        "uu",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "unicode-escape",
        "raw_unicode_escape",
        "x\x00y",
        "../../etc/passwd",
        "€",
    ],
)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("data", ["Käse".encode("latin-1"), b"6162", zlib.compress(b"x")])
def test_unknown_charset_keeps_the_bytes(data: bytes, charset: str, *, cut: bool) -> None:
    """A charset that is none, Python's codecs that are no charsets among them, leaves the bytes as they are."""
    actual = as_text(data, f"application/x; charset={charset}", cut=cut)
    assert _base64(data) == actual


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (b"K\xe4se", "utf-8"),
        (b"K\xe4se", "ascii"),
        (b"\x81", "cp1252"),
        (b"odd", "utf-16-le"),
        (b"\x00\xd8", "utf-16-le"),
    ],
)
def test_what_does_not_fit_its_charset_keeps_the_bytes(data: bytes, charset: str) -> None:
    """Bytes that are not of the named charset are base64: nothing is replaced."""
    actual = as_text(data, f"text/plain; charset={charset}", cut=False)
    assert _base64(data) == actual


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        ("ab".encode("utf-16-le"), "utf-16"),
        (b"plain", "utf-8-sig"),
        (b"+AGE-", "utf-7"),
        (b"\x1b(Ba", "iso-2022-jp"),
    ],
)
def test_what_the_charset_would_write_otherwise_keeps_the_bytes(data: bytes, charset: str) -> None:
    """Where the characters do not give the same bytes back in their charset, the bytes are written."""
    actual = as_text(data, f"text/plain; charset={charset}", cut=False)
    written = base64.b64decode(actual.text) if actual.base64 else actual.text.encode(charset)
    assert data == written


@pytest.mark.parametrize("content_type", ["", "text/plain", "text/plain; charset=utf-8"])
def test_text_with_nul_is_binary(content_type: str) -> None:
    """Valid UTF-8 with a NUL is binary that happens to be valid."""
    actual = as_text(b"a\x00b", content_type, cut=False)
    assert _base64(b"a\x00b") == actual


def test_untyped_binary_is_base64() -> None:
    """Without a type, what is not UTF-8 stays bytes."""
    actual = as_text(PNG, "", cut=False)
    assert _base64(PNG) == actual


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-be", "utf-32", "shift_jis", "gb18030", "euc-kr"])
def test_cut_within_a_character_leaves_it_out(charset: str) -> None:
    """A prefix may end within a character: the characters before it are written."""
    text = "日本 a"
    data = text.encode("utf-8" if charset == "euc-kr" else charset)
    content_type = f"text/plain; charset={'utf-8' if charset == 'euc-kr' else charset}"
    for length in range(1, len(data) + 1):
        actual = as_text(data[:length], content_type, cut=True)
        assert not actual.base64
        assert text.startswith(actual.text)


def test_whole_body_that_ends_within_a_character_is_bytes() -> None:
    """What is not cut has no business ending within a character."""
    data = "ä".encode()[:1]
    actual = as_text(data, "text/plain", cut=False)
    assert _base64(data) == actual


def test_wrong_bytes_before_the_cut_are_bytes() -> None:
    """A cut excuses the end only."""
    actual = as_text(b"a\xffb", "text/plain", cut=True)
    assert _base64(b"a\xffb") == actual


def test_byte_order_mark_is_kept() -> None:
    """The body's own byte order mark is one of its characters: the bytes come back."""
    actual = as_text(b"\xef\xbb\xbfa", "text/plain", cut=False)
    assert b"\xef\xbb\xbfa" == actual.text.encode()


@pytest.mark.parametrize("charset", ["utf-7", "cesu-8", "utf-8"])
def test_lone_surrogates_are_never_text(charset: str) -> None:
    """What UTF-8 cannot carry is not written as text."""
    actual = as_text(b"+2D0-\xed\xa0\x80", f"text/plain; charset={charset}", cut=False)
    assert actual.base64
