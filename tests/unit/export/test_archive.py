"""`ArchiveHarExporter`: bodies as files of their own, and nothing lost whoever ends how."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import shutil
import signal
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from children import PAGE, Child, completed
from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.archive import ArchiveHarExporter
from otel_har.export.files.room import is_recorded
from otel_har.export.interfaces import HarBatch
from otel_har.har.checker import check
from otel_har.har.models import Content, Entry, PostData, Request, Response
from otel_har.har.reader import load

if TYPE_CHECKING:
    from collections.abc import Callable

_IMAGE = b"\x89PNG\0\xff" * 9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The archive."""
    return tmp_path / "out.har.zip"


def _entry(name: str, content: Content, post_data: PostData | None = None) -> Entry:
    return Entry(
        pageref=PAGE.id,
        started_date_time=PAGE.started_date_time,
        request=Request(method="POST", url=f"http://h.test/{name}", http_version="HTTP/1.1", post_data=post_data),
        response=Response(status=200, http_version="HTTP/1.1", content=content, transfer_size=0),
    )


def _text(text: str, mime_type: str = "text/plain") -> Content:
    return Content(size=len(text.encode()), mime_type=mime_type, text=text)


def _batch(*names: str, body: str = "the same") -> HarBatch:
    return HarBatch((PAGE,), tuple(_entry(name, _text(body)) for name in names))


def _names(path: Path) -> list[str]:
    """The entries of an archive, or of a directory's HAR, that the checker has no complaint about."""
    assert [] == [str(fault) for fault in check(path)]
    return [entry.request.url.rpartition("/")[2] for entry in load(path).log.entries]


def _record(path: Path, *names: str, **options: Any) -> ArchiveHarExporter:
    exporter = ArchiveHarExporter(path, **options)
    for name in names:
        exporter.export(_batch(name))
    return exporter


def _sha1(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def test_bodies(path: Path) -> None:
    """Each body is there once, by its hash and the extension of its type, and `_file` names it; empty ones stay."""
    image = Content(size=len(_IMAGE), mime_type="image/png", text=base64.b64encode(_IMAGE).decode(), encoding="base64")
    entries = (
        _entry("a", _text("é", "text/html; charset=utf-8"), PostData(mime_type="application/json", text="{}")),
        _entry("b", _text("é", "text/html"), PostData(mime_type="x/unknown", text="{}")),
        _entry("c", image),
        _entry("d", _text("")),
        _entry("e", Content(size=0)),
    )
    exporter = ArchiveHarExporter(path)
    exporter.export(HarBatch((PAGE,), entries))
    exporter.shutdown()
    page, json_body = f"{_sha1('é'.encode())}.html", _sha1(b"{}")
    expected = {
        "har.har": None,
        page: "é".encode(),
        f"{json_body}.json": b"{}",
        f"{json_body}.dat": b"{}",
        f"{_sha1(_IMAGE)}.png": _IMAGE,
    }
    with zipfile.ZipFile(path) as archive:
        assert None is archive.testzip()
        assert "har.har" == archive.namelist()[0]
        assert expected == {name: archive.read(name) if expected.get(name) else None for name in archive.namelist()}
        log = load(archive.open("har.har")).log  # type: ignore[arg-type]
    files = [(entry.response.content.file, entry.response.content.text) for entry in log.entries]
    assert [(page, None), (page, None), (f"{_sha1(_IMAGE)}.png", None), (None, ""), (None, None)] == files
    assert [f"{json_body}.json", f"{json_body}.dat"] == [
        e.request.post_data.file for e in log.entries if e.request.post_data
    ]
    assert list(entries) == list(load(path).log.entries)
    assert [path] == list(path.parent.iterdir())


def test_body_that_is_not_what_it_says(path: Path) -> None:
    """What is no base64 stays where it is."""
    content = Content(size=3, mime_type="image/png", text="!!!", encoding="base64", body_state="truncated")
    exporter = ArchiveHarExporter(path)
    exporter.export(HarBatch((PAGE,), (_entry("a", content),)))
    exporter.shutdown()
    assert content == load(path).log.entries[0].response.content


def test_only_for_the_owner(path: Path) -> None:
    """Archive, directory and all that is in it, and what is unpacked of it."""
    exporter = _record(path, "a")
    exporter.force_flush()
    parts = [entry for entry in exporter.parts.iterdir() if entry.is_file()]
    assert {0o600} == {stat.S_IMODE(one.stat().st_mode) for one in (path, *parts)}
    assert 0o700 == stat.S_IMODE(exporter.parts.stat().st_mode)
    with zipfile.ZipFile(path) as archive:
        assert {0o600} == {stat.S_IMODE(info.external_attr >> 16) for info in archive.infolist()}
    exporter.shutdown()


def test_flush_and_shutdown(path: Path) -> None:
    """Each flush makes the archive anew in one step; the shutdown takes the directory away."""
    exporter = _record(path, "a")
    assert (False, True) == (path.exists(), is_recorded(path))
    assert exporter.force_flush() is True
    inode = path.stat().st_ino
    assert (["a"], True) == (_names(path), exporter.force_flush())
    assert inode == path.stat().st_ino  # nothing came since
    exporter.export(_batch("b"))
    assert (["a"], ["a", "b"]) == (_names(path), _names(exporter.parts / "har.har"))
    exporter.shutdown()
    exporter.shutdown()
    assert (["a", "b"], [path]) == (_names(path), list(path.parent.iterdir()))


@pytest.mark.parametrize("is_flushed", [True, False])
def test_killed(path: Path, caplog: pytest.LogCaptureFixture, *, is_flushed: bool) -> None:
    """The directory is whole; the next recording puts it aside, in the place of an earlier one, and says so."""

    def record(name: str) -> None:
        exporter = _record(path, name)
        if is_flushed:
            exporter.force_flush()
        os.kill(os.getpid(), signal.SIGKILL)

    parts = path.with_name("out.har.zip.parts")
    for name in ("first", "second"):
        assert -signal.SIGKILL == Child(lambda _, name=name: record(name)).end()[0]  # type: ignore[misc]
        assert [name] == _names(parts / "har.har")
        assert {"har.har", f"{_sha1(b'the same')}.txt"} <= {entry.name for entry in parts.iterdir()}
    with caplog.at_level(logging.WARNING, "otel_har"):
        _record(path, "third").shutdown()
    aside = path.with_name("out.har.zip.parts.old")
    assert [f"otel-har: an earlier recording of {path} was not packed, it is in {aside}"] == caplog.messages
    assert (["second"], ["third"]) == (_names(aside / "har.har"), _names(path))
    assert {path, aside} == set(path.parent.iterdir())


def test_appending_after_a_kill(path: Path) -> None:
    """Whoever appends goes on with the directory, and what is packed is all of it."""

    def record(_: Child) -> None:
        _record(path, "a")
        os.kill(os.getpid(), signal.SIGKILL)

    assert -signal.SIGKILL == Child(record).end()[0]
    _record(path, "b", append=True).shutdown()
    assert (["a", "b"], [path]) == (_names(path), list(path.parent.iterdir()))


def test_appending(path: Path) -> None:
    """An archive is gone on with, one of Playwright's form too; its other files stay."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("extra.bin", b"extra")
        archive.writestr("trace.har", '{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[]}}')
    for name in ("a", "b"):
        _record(path, name, append=True).shutdown()
    assert ["a", "b"] == _names(path)
    with zipfile.ZipFile(path) as archive:
        assert b"extra" == archive.read("extra.bin")
    _record(path, "c").shutdown()
    assert ["c"] == _names(path)


@pytest.mark.parametrize("name", ["../up.txt", "/root.txt", "a/b.txt", ".hidden", "other.har"])
def test_archive_with_strange_names(path: Path, name: str) -> None:
    """It is not unpacked, and stays."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("har.har", "{}")
        archive.writestr(name, b"x")
    before = path.read_bytes()
    with pytest.raises(ExportError, match="strange name"):
        ArchiveHarExporter(path, append=True)
    assert (before, [path]) == (path.read_bytes(), list(path.parent.iterdir()))


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04 no zip"])
def test_appending_to_what_is_no_archive(path: Path, content: bytes) -> None:
    """It is refused, and stays."""
    path.write_bytes(content)
    with pytest.raises(ExportError, match="cannot be appended to"):
        ArchiveHarExporter(path, append=True)
    assert (content, [path]) == (path.read_bytes(), list(path.parent.iterdir()))


def test_processes_of_one_recording(path: Path) -> None:
    """Forked children and others take part; whoever is the last makes the archive."""
    exporter = _record(path, "parent", recording="one")
    assert [] == completed(lambda _: _deliver(exporter, "forked"))
    assert [] == completed(lambda _: _deliver(ArchiveHarExporter(path, recording="one"), "other"))

    def wait(child: Child) -> None:
        child.pause()
        _deliver(exporter, "last")

    last = Child(wait)
    exporter.shutdown()
    assert ["parent", "forked", "other"] == _names(path)
    last.go_on()
    assert 0 == last.end()[0]
    assert ["parent", "forked", "other", "last"] == _names(path)
    assert [path] == list(path.parent.iterdir())


def _deliver(exporter: ArchiveHarExporter, name: str) -> None:
    exporter.export(_batch(name, body=name))
    exporter.shutdown()


def test_many_processes(path: Path) -> None:
    """They write, flush and end at the same time; some are killed; nothing that was accepted is lost or doubled."""
    exporter = _record(path, "first", recording="one")

    def write(child: Child, most: int) -> None:
        child.pause()
        for number in range(most):
            name = f"{os.getpid()}.{number}"
            while True:
                try:
                    exporter.export(_batch(name, body=f"{number}"))
                    break
                except DestinationError:
                    continue
            child.tell(name)
            if number % 5 == 0:
                exporter.force_flush()
        exporter.shutdown()

    writers = [Child(lambda child: write(child, 10)) for _ in range(4)]
    doomed = Child(lambda child: write(child, 1_000))
    for one in (*writers, doomed):
        one.go_on()
    doomed.next()
    doomed.kill()
    told = [name for one in (*writers, doomed) for name in one.end()[1]]
    exporter.shutdown()
    written = _names(path)
    assert len(written) == len(set(written))
    assert set() == set(told) - set(written)
    assert len(set(written) - set(told)) <= 2  # the first, and one that was published by who was killed then
    assert [path] == list(path.parent.iterdir())


def test_another_recording(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While it is at work it is kept away from; when it has ended its archive is replaced."""
    first = _record(path, "1")
    second = _record(path, "2")
    beside = path.with_name(f"out.{os.getpid()}.har.zip")
    assert (path, beside) == (first.path, second.path)
    assert [f"otel-har: another recording writes {path}, writing {beside}"] == caplog.messages
    second.shutdown()
    first.shutdown()
    assert (["1"], ["2"]) == (_names(path), _names(beside))
    _record(path, "3").shutdown()
    assert (["3"], {path, beside}) == (_names(path), set(path.parent.iterdir()))


def test_number_of_the_process(tmp_path: Path) -> None:
    """With `{pid}` each process has an archive of its own."""
    exporter = _record(tmp_path / "{pid}.har.zip", "parent")

    def record(child: Child) -> None:
        _deliver(exporter, "child")
        child.tell(f"{os.getpid()}")

    [pid] = completed(record)
    exporter.shutdown()
    own = tmp_path / f"{os.getpid()}.har.zip"
    assert (["parent"], ["child"]) == (_names(own), _names(tmp_path / f"{pid}.har.zip"))


def test_directory_that_is_gone(path: Path) -> None:
    """It is begun anew, with what was packed."""
    exporter = _record(path, "a")
    exporter.force_flush()
    shutil.rmtree(exporter.parts)
    exporter.export(_batch("b"))
    exporter.shutdown()
    assert ["a", "b"] == _names(path)


def test_bodies_of_a_directory_that_is_gone(path: Path) -> None:
    """A body that was there is written again with the next entry that has it."""
    exporter = ArchiveHarExporter(path)
    exporter.export(_batch("1"))
    shutil.rmtree(exporter.parts)
    exporter.export(_batch("2"))
    exporter.shutdown()
    assert ["2"] == _names(path)
    with zipfile.ZipFile(path) as archive:
        assert [f"{_sha1(b'the same')}.txt"] == [name for name in archive.namelist() if name != "har.har"]


def test_child_whose_directory_comes_back(path: Path) -> None:
    """A forked child that cannot take part for now says so: its entries are given again, and none is lost."""
    exporter = ArchiveHarExporter(path)
    away = path.parent.with_name("away")

    def work(child: Child) -> None:
        child.pause()
        with pytest.raises(DestinationError):
            exporter.export(_batch("1"))
        child.tell("not now")
        child.pause()
        exporter.export(_batch("1"))
        exporter.shutdown()

    child = Child(work)
    path.parent.rename(away)
    child.go_on()
    assert "not now" == child.next()
    away.rename(path.parent)
    child.go_on()
    assert 0 == child.end()[0]
    exporter.shutdown()
    assert ["1"] == _names(path)


def test_disk_full(path: Path) -> None:
    """A body that the disk does not take is told as a passing fault; what was there stays."""

    def record(child: Child) -> None:
        import resource  # noqa: PLC0415 - Windows has none

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        exporter = _record(path, "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        try:
            exporter.export(_batch("big", body="x" * 50_000))
        except DestinationError as fault:
            child.tell(str(fault))
        exporter.export(_batch("after"))
        exporter.shutdown()

    assert [f"cannot write to {path}.parts: File too large"] == completed(record)
    assert ["before", "after"] == _names(path)


def test_archive_that_cannot_be_made(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That is said, with where everything is."""
    exporter = _record(path, "a")
    path.mkdir()
    assert exporter.force_flush() is False
    exporter.shutdown()
    assert f"all is in {exporter.parts}" in caplog.messages[-1]
    assert ["a"] == _names(exporter.parts / "har.har")


def test_no_time(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be packed within the time stays in the directory."""
    exporter = _record(path, "a")
    assert exporter.force_flush(0) is False
    exporter.shutdown(0)
    assert f"there was no time left for it; all is in {exporter.parts}" in caplog.messages[-1]
    assert ["a"] == _names(exporter.parts / "har.har")
    assert {exporter.parts} == set(path.parent.iterdir())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.parent.rmdir(), "No such file"),
    ],
)
def test_unusable_path(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    """It is told at once."""
    path = tmp_path / "directory" / "out.zip"
    path.parent.mkdir()
    spoil(path)
    with pytest.raises(ExportError, match=message):
        ArchiveHarExporter(path)


def test_indent(path: Path) -> None:
    """The HAR is laid out as asked for; out of its range that is refused."""
    with pytest.raises(SettingError, match="between 0 and 16"):
        ArchiveHarExporter(path, -1)
    _record(path, "a", indent=2).shutdown()
    with zipfile.ZipFile(path) as archive:
        assert archive.read("har.har").startswith(b'{\n  "log": {\n    "version"')
