"""A file of gzip: one member, whole after each addition, gone on with from its last bytes, never destroyed."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from children import PAGE, batch, completed, names, names_in
from otel_har.errors import ExportError, SettingError
from otel_har.export.file import FileHarExporter
from otel_har.export.files.document import HarDocument
from otel_har.export.files.packed import GzipDocument, document_for
from otel_har.export.files.standing import Standing
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Page

_PAGES = {PAGE.id: PAGE}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "out.har.gz"


def _append(path: Path, name: str = "new") -> None:
    exporter = FileHarExporter(path, append=True)
    assert path == exporter.path
    exporter.export(batch(name))
    exporter.shutdown()


def _member(data: bytes) -> bytes:
    """The text of data that is one member and nothing else, as browsers want it."""
    inflater = zlib.decompressobj(31)
    text = inflater.decompress(data)
    assert (True, b"") == (inflater.eof, inflater.unused_data)
    return text


def _standing(path: Path, document: HarDocument) -> Standing | None:
    with path.open("rb") as file:
        return document.read_standing(file.fileno())


@pytest.mark.parametrize("indent", [None, 0, 2, 16])
def test_one_member(path: Path, indent: int | None) -> None:
    """From its first byte and after each addition it is one whole member, for the checker and for gzip itself."""
    exporter = FileHarExporter(path, indent)
    for number in range(4):
        assert [f"{n}" for n in range(number)] == names(path)
        assert [f"{n}" for n in range(number)] == names_in(json.loads(_member(path.read_bytes()))["log"])
        subprocess.run(["gzip", "-t", str(path)], check=True)  # noqa: S607 - whichever the system has
        exporter.export(batch(f"{number}"))
    exporter.shutdown()
    assert ["0", "1", "2", "3"] == names(path)


def test_same_text(tmp_path: Path) -> None:
    """Unpacked it is what a plain file would be, but for what it says of its packing."""
    texts = []
    for name in ("out.har", "out.har.gz"):
        exporter = FileHarExporter(tmp_path / name, 2, recording="same")
        exporter.export(batch("0", "1"))
        exporter.shutdown()
        texts.append((tmp_path / name).read_bytes())
    log = json.loads(gzip.decompress(texts[1]))["log"]
    assert {"end", "crc32"} == set(log["_otel_har"].pop("packed"))
    assert json.loads(texts[0])["log"] == log


def test_unpacked_is_gone_on_with(path: Path) -> None:
    """What gunzip makes of it is a plain file of ours."""
    exporter = FileHarExporter(path)
    exporter.export(batch("0"))
    exporter.shutdown()
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    standing = _standing(plain, HarDocument())
    assert standing is not None
    assert 1 == standing.entries
    _append(plain)
    assert ["0", "new"] == names(plain)


def test_cut_anywhere(path: Path) -> None:
    """Every entry that is wholly there is kept; where nothing is that can be gone on with, that is said."""
    exporter = FileHarExporter(path)
    for name in "abc":
        exporter.export(batch(name, body=os.urandom(20).hex()))
    exporter.shutdown()
    data = path.read_bytes()
    kept = []
    for cut in [*range(60, len(data), 29), len(data) - 1]:
        path.write_bytes(data[:cut])
        _append(path)
        *before, last = names(path)
        assert "new" == last
        assert before == ["a", "b", "c"][: len(before)]
        kept.append(len(before))
    assert sorted(kept) == kept
    assert {0, 1, 2, 3} == set(kept)


def test_broken_in_the_middle(path: Path) -> None:
    """What is before the fault is kept."""
    exporter = FileHarExporter(path)
    ends = []
    for name in "ab":
        exporter.export(batch(name, body=os.urandom(2000).hex()))
        standing = _standing(path, GzipDocument())
        assert standing is not None
        ends.append(standing.entries_end)
    exporter.shutdown()
    data = bytearray(path.read_bytes())
    data[ends[0] + 5 : ends[0] + 25] = b"\xff" * 20
    path.write_bytes(data)
    assert _standing(path, GzipDocument()) is not None  # its end is as it was left; who appends reads all of it
    _append(path)
    assert ["a", "new"] == names(path)


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda text: text, lambda text: gzip.compress(text[:50]) + gzip.compress(text[50:])]
)
def test_of_another_program(path: Path, pack: Any) -> None:
    """What others packed, into several members too, and what is not packed at all, is gone on with."""
    document = {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "pages": [], "entries": []}}
    path.write_bytes(pack(json.dumps(document).encode()))
    _append(path)
    log = json.loads(_member(path.read_bytes()))["log"]
    assert (["new"], "x") == (names_in(log), log["creator"]["name"])


@pytest.mark.parametrize("content", [b"no HAR", b"\x1f\x8bno HAR", gzip.compress(b"no HAR"), b"PK\x03\x04"])
def test_what_is_no_har(path: Path, content: bytes) -> None:
    """It is refused, and stays."""
    path.write_bytes(content)
    with pytest.raises(ExportError, match="no HAR file to append to"):
        FileHarExporter(path, append=True)
    assert content == path.read_bytes()


def test_packed_anew_by_another_program(path: Path) -> None:
    """A copy that was packed again is not taken for one of ours: its places are others."""
    exporter = FileHarExporter(path)
    exporter.export(batch("0"))
    exporter.shutdown()
    assert _standing(path, GzipDocument()) is not None
    for level in (0, 9):
        path.write_bytes(gzip.compress(_text := gzip.decompress(path.read_bytes()), level))
        assert _standing(path, GzipDocument()) is None
    path.write_bytes(gzip.compress(_text))
    _append(path)
    assert ["0", "new"] == names(path)


def test_checksum_of_another_file(tmp_path: Path, path: Path) -> None:
    """A file whose checksum is not that of its text is not taken for a whole one."""
    other = tmp_path / "other.har.gz"
    for one, name in ((path, "0"), (other, "1")):
        exporter = FileHarExporter(one, recording="same")
        exporter.export(batch(name))
        exporter.shutdown()
    assert _standing(path, GzipDocument()) is not None
    path.write_bytes(path.read_bytes()[:-8] + other.read_bytes()[-8:])
    assert _standing(path, GzipDocument()) is None


def test_filled() -> None:
    """An addition can be made longer by any number of bytes, and is one whole member then."""
    document = GzipDocument()
    new = document.new("run")
    growth = document.grown(new.standing, batch("0"), _PAGES)
    data = growth.entries + growth.tail
    text = json.loads(_member(new.entries + data))
    numbers = [*range(8), 4095, 59_000, *range(61_430, 61_450), 65_535, 127_000, *range(192_500, 192_520)]
    for more in numbers:
        filled = document.filled(growth, len(data) + more)
        assert len(data) + more == len(filled)
        assert text == json.loads(_member(new.entries + filled))
    assert data == document.filled(growth, 0)


def test_cost_of_an_addition_does_not_grow() -> None:
    """What is written is the addition and the document's end, however much is there."""
    document = GzipDocument()
    growth = document.new("run")
    sizes = []
    for _ in range(300):
        growth = document.grown(growth.standing, batch("same", body="y" * 1000), _PAGES)
        sizes.append(len(growth.entries) + len(growth.tail))
    assert max(sizes) - min(sizes) < 30
    assert max(sizes) < 1500


def test_many_pages(path: Path) -> None:
    """A document's end that is longer than its readable part is read."""
    exporter = FileHarExporter(path)
    pages = [Page(started_date_time=PAGE.started_date_time, id=f"{number}", title="é" * 50) for number in range(200)]
    for page in pages:
        [entry] = batch("x").entries
        exporter.export(HarBatch((page,), (entry.model_copy(update={"pageref": page.id}),)))
    exporter.shutdown()
    standing = _standing(path, GzipDocument())
    assert standing is not None
    assert [page.id for page in pages] == list(standing.pages)
    assert 200 == len(names(path))


def test_nothing_but_counts() -> None:
    """An addition without entries changes the end alone."""
    document = GzipDocument()
    new = document.new("run")
    growth = document.grown(new.standing, HarBatch((), ()), {})
    assert (b"", new.tail) == (growth.entries, growth.tail)
    assert new.standing == growth.standing


def test_name_beside(path: Path) -> None:
    """A file beside another recording's keeps the whole ending."""
    first = FileHarExporter(path)
    first.export(batch("0"))
    second = FileHarExporter(path)
    second.export(batch("1"))
    assert f"out.{os.getpid()}.har.gz" == second.path.name
    assert (["0"], ["1"]) == (names(path), names(second.path))
    first.shutdown()
    second.shutdown()


def test_forked_children(path: Path) -> None:
    """Children go on with the file that their parent began."""
    exporter = FileHarExporter(path)
    exporter.export(batch("parent"))
    for number in range(3):
        completed(lambda _, number=number: _exported(exporter, f"{number}"))  # type: ignore[misc]
    exporter.export(batch("after"))
    exporter.shutdown()
    assert ["parent", "0", "1", "2", "after"] == names(path)
    assert [path] == list(path.parent.iterdir())


def _exported(exporter: FileHarExporter, name: str) -> None:
    exporter.export(batch(name))
    exporter.shutdown()


def test_form_by_name(tmp_path: Path) -> None:
    """The ending decides, in whatever case."""
    expected = {"a.har": False, "a.har.gz": True, "A.HAR.GZ": True, "gz": False, "a.gz.har": False}
    assert expected == {name: document_for(tmp_path / name, None).is_packed for name in expected}


def test_indent_out_of_range(path: Path) -> None:
    """It is refused as for a plain file, and nothing is written."""
    with pytest.raises(SettingError, match="between 0 and 16"):
        FileHarExporter(path, 17)
    assert not path.exists()


def test_disk_full(path: Path) -> None:
    """What the disk does not take leaves the file whole, and later additions are taken."""

    def record(child: Any) -> None:
        import resource  # noqa: PLC0415 - Windows has none
        import signal  # noqa: PLC0415 - goes with that

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        exporter = FileHarExporter(path)
        exporter.export(batch("before"))
        limit = path.stat().st_size + 2000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for _ in range(3):
            try:
                exporter.export(batch("big", body=os.urandom(5000).hex()))
            except ExportError as fault:
                child.tell(errno.errorcode[fault.errno or 0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        child.tell(",".join(names(path)))
        exporter.export(batch("after"))

    assert ["EFBIG"] * 3 + ["before"] == completed(record)
    assert ["before", "after"] == names(path)
