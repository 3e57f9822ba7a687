"""Files that are packed are read as what they hold, in bounded pieces, and all that is whole of them."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zipfile
from pathlib import Path

import pytest

from otel_har.errors import HarFormatError
from otel_har.har.attaching import ArchiveWriter, Attachments, attached, body_name
from otel_har.har.checker import check
from otel_har.har.packing import inflated
from otel_har.har.reader import HarReader, load
from otel_har.har.replacing import mend, repair_file

VALID = (Path(__file__).parents[2] / "data" / "har" / "valid.har").read_bytes()
_TEXT = bytes(range(256)) * 2000


class _Dripping(io.RawIOBase):
    """A stream that gives one byte at a time, and cannot be sought in."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1))


def _pieces(data: bytes) -> tuple[list[bytes], str]:
    """What comes of gzip data, and what is said of it at the end."""
    pieces = []
    try:
        for piece in inflated(io.BytesIO(data)):
            pieces.append(piece)  # noqa: PERF402 - those before a fault count, too
    except HarFormatError as error:
        return pieces, str(error)
    return pieces, ""


@pytest.mark.parametrize("stream", [io.BytesIO, _Dripping])
def test_gzip_is_read(stream: type[io.BytesIO]) -> None:
    """By its first bytes, however the stream gives them, of several members too."""
    for data in (gzip.compress(VALID), gzip.compress(VALID[:99]) + gzip.compress(VALID[99:]) + b"\0" * 70_000):
        assert load(io.BytesIO(VALID)) == load(stream(data))
        assert [] == list(check(stream(data)))


def test_pieces_are_bounded() -> None:
    """What expands a thousandfold comes in pieces as short as others."""
    pieces, fault = _pieces(gzip.compress(bytes(50_000_000)))
    assert ("", 50_000_000) == (fault, sum(map(len, pieces)))
    assert max(map(len, pieces)) <= 65_536


def test_cut_gzip() -> None:
    """All that can be unpacked comes, then the fault."""
    data = gzip.compress(_TEXT)
    lengths = []
    for cut in range(11, len(data), 7):
        pieces, fault = _pieces(data[:cut])
        text = b"".join(pieces)
        assert (True, "its gzip data is cut off") == (_TEXT.startswith(text), fault)
        lengths.append(len(text))
    assert sorted(lengths) == lengths
    assert _TEXT == b"".join(_pieces(data[:-1])[0])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            gzip.compress(_TEXT)[:-8] + bytes(8),
            "its gzip data is broken (Error -3 while decompressing data: incorrect data check)",
        ),
        (gzip.compress(_TEXT) + b"more", "there is something else behind its gzip data"),
    ],
)
def test_broken_gzip(data: bytes, fault: str) -> None:
    """What is wrong is said, after all that is whole."""
    pieces, said = _pieces(data)
    assert (_TEXT, fault) == (b"".join(pieces), said)


def test_faults_are_of_the_document() -> None:
    """The checker tells of a packed file that is cut, the reader gives the entries before that."""
    data = gzip.compress(VALID)[:-4]
    assert ["its gzip data is cut off"] == [fault.message for fault in check(io.BytesIO(data))]
    reader = HarReader(io.BytesIO(data))
    expected = load(io.BytesIO(VALID)).log.entries
    assert expected == tuple(itertools.islice(reader, len(expected)))
    with pytest.raises(HarFormatError, match="cut off"):
        list(reader)


def test_repair(tmp_path: Path) -> None:
    """A cut file is mended as what it was; a copy is packed where its name says so; a whole one stays."""
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(VALID)[:-4])
    assert ["its gzip data is cut off"] == [fault.message for fault in repair_file(path).found.faults]
    before = path.read_bytes()
    assert VALID == gzip.decompress(before)
    assert repair_file(path).found.is_whole
    assert before == path.read_bytes()
    for name, unpack in (("out.har", bytes), ("out.har.gz", gzip.decompress)):
        repair_file(path, tmp_path / name)
        assert VALID == unpack((tmp_path / name).read_bytes())
    mend(io.BytesIO(before), target := io.BytesIO())
    assert VALID == target.getvalue()


def test_archives_are_not_mended(tmp_path: Path) -> None:
    """That is said, and the archive stays."""
    path = tmp_path / "out.zip"
    path.write_bytes(_archive({}))
    before = path.read_bytes()
    with pytest.raises(HarFormatError, match="it is a zip archive"):
        repair_file(path)
    assert before == path.read_bytes()


def _archive(bodies: dict[str, bytes], har: bytes = VALID, name: str = "har.har") -> bytes:
    with zipfile.ZipFile(target := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for file, body in bodies.items():
            archive.writestr(file, body)
        archive.writestr(name, har)
    return target.getvalue()


def _document(*files: str) -> bytes:
    entry = json.loads(VALID)["log"]["entries"][0]
    entries = []
    for file in files:
        content = {"size": 2, "mimeType": "text/plain", "_file": file}
        post = {"mimeType": "text/plain", "text": "", "_file": file}
        entries.append(
            {
                **entry,
                "request": {**entry["request"], "postData": post},
                "response": {**entry["response"], "content": content},
            }
        )
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "x", "version": ""}, "entries": entries}}).encode()


def test_archive_is_read() -> None:
    """With the bodies in their entries, as text where they are UTF-8; those that are not there stay files."""
    data = _archive({"text": b"ab", "raw": b"\xff\xfe"}, _document("text", "raw", "gone", "har.har/"), "trace.HAR")
    contents = [entry.response.content for entry in load(io.BytesIO(data)).log.entries]
    assert [b"ab", b"\xff\xfe", None, None] == [content.body() for content in contents]
    assert [None, "base64", None, None] == [content.encoding for content in contents]
    assert [None, None, "gone", "har.har/"] == [content.file for content in contents]
    posts = [entry.request.post_data for entry in load(io.BytesIO(data)).log.entries]
    assert [b"ab", b"\xff\xfe", b"", b""] == [post.body() for post in posts if post is not None]


def test_stream_of_an_archive() -> None:
    """What cannot be sought in is refused."""
    with pytest.raises(HarFormatError, match="can be read from a file only"):
        load(_Dripping(_archive({})))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (_archive({}, name="no.json"), "not a HAR: there is none in the archive"),
        (_archive({})[:-30], "its zip data is broken (File is not a zip file)"),
        (_archive({}).replace(b"har.har", b"har.hat", 1), "its zip data is broken"),
    ],
)
def test_broken_archive(data: bytes, fault: str) -> None:
    """That is a fault of the document."""
    [found] = check(io.BytesIO(data))
    assert ("document", True) == (found.place, found.message.startswith(fault))


def test_broken_body() -> None:
    """It is told by the entry's reader, and breaks nothing off in the middle."""
    data = _archive({"text": b"ab" * 200}, _document("text")).replace(b"text", b"texx", 1)
    with pytest.raises(HarFormatError, match="its zip data is broken"):
        load(io.BytesIO(data))


def test_round_trip() -> None:
    """Bodies that are taken out and put in again are what they were; the entry that is given is not changed."""
    [first, *_] = json.loads(VALID)["log"]["entries"]
    content = {"size": 2, "mimeType": "image/jpeg; x=y", "text": "//4=", "encoding": "base64"}
    entry = {**first, "response": {**first["response"], "content": content}}
    before = json.dumps(entry)
    with ArchiveWriter(target := io.BytesIO()) as archive:
        for _ in range(2):
            parted = attached(entry, archive.attach)
        archive.write(VALID)
    assert before == json.dumps(entry)
    assert body_name(b"\xff\xfe", "image/jpeg") == parted["response"]["content"]["_file"]
    assert entry == Attachments(target).inlined(parted)
    assert [body_name(b"\xff\xfe", "IMAGE/JPEG"), "har.har"] == zipfile.ZipFile(target).namelist()


@pytest.mark.parametrize(
    "entry", [None, 5, {}, {"request": 1, "response": {"content": []}}, {"response": {"content": {"text": 1}}}]
)
def test_strange_entries(entry: object) -> None:
    """They stay what they are."""
    with ArchiveWriter(target := io.BytesIO()) as archive:
        assert entry == attached(entry, archive.attach)
    assert entry == Attachments(target).inlined(entry)
