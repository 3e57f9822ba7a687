"""`StreamHarExporter` on every kind of stream, and what it does when they fail."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

from children import batch, names_in
from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import HarExportResult
from otel_har.export.stream import StreamHarExporter
from servers.programs import read_checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _names(document: bytes | str) -> list[str]:
    return names_in(json.loads(document)["log"])


def _opened(path: Path, mode: str, **options: Any) -> Any:
    return path.open(mode, **options)


OPENED: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: _opened(path, "w", encoding="utf-8"),
    "text, read and written": lambda path: _opened(path, "w+", encoding="utf-8"),
    "text with BOM": lambda path: _opened(path, "w", encoding="utf-8-sig"),
    "text of Windows": lambda path: _opened(path, "w", encoding="cp1252", newline="\r\n"),
    "binary": lambda path: _opened(path, "wb"),
    "binary, read and written": lambda path: _opened(path, "w+b"),
    "raw": lambda path: _opened(path, "wb", buffering=0),
    "appended": lambda path: _opened(path, "ab"),
    "appended, text": lambda path: _opened(path, "a", encoding="utf-8"),
    "compressed": lambda path: gzip.open(path, "wb"),  # noqa: SIM115 - closed by the exporter
    "codecs": lambda path: codecs.open(str(path), "w", encoding="utf-8"),  # noqa: SIM115 - as above
    "temporary": lambda path: tempfile.NamedTemporaryFile(dir=path.parent, delete=False),  # noqa: SIM115 - as above
}


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.filterwarnings("ignore:codecs.open:DeprecationWarning")
def test_kinds_of_files(kind: str, tmp_path: Path) -> None:
    """A file in each mode holds the whole document at the end, in characters that its encoding has."""
    stream = OPENED[kind](tmp_path / "out.har")
    path = tmp_path / os.path.basename(stream.name) if kind == "temporary" else tmp_path / "out.har"  # noqa: PTH119
    exporter = StreamHarExporter(stream, 2, close=True)
    exporter.export(batch("1"))
    exporter.export(batch("2€😀"))
    exporter.shutdown()
    data = gzip.decompress(path.read_bytes()) if kind == "compressed" else path.read_bytes()
    assert ["1", "2€😀"] == _names(data.decode("utf-8-sig").replace("\r\n", "\n"))
    assert stream.closed


@pytest.mark.parametrize("kind", ["text", "binary", "raw", "appended", "temporary"])
def test_file_is_whole_after_each_export(kind: str, tmp_path: Path) -> None:
    """A file that can be cut is a whole document behind what stood there, whenever somebody looks."""
    path = tmp_path / "out.har"
    stream: Any = tempfile.NamedTemporaryFile(dir=tmp_path) if kind == "temporary" else OPENED[kind](path)  # noqa: SIM115
    path = tmp_path / os.path.basename(stream.name)  # noqa: PTH119
    with stream:
        exporter = StreamHarExporter(stream)
        assert exporter.force_flush(1_000)
        assert [] == _names(path.read_bytes())
        for count in range(1, 4):
            exporter.export(batch(str(count)))
            assert [str(number + 1) for number in range(count)] == _names(path.read_bytes())
        exporter.shutdown()
        read_checked(path)


def test_appended_to_what_is_there(tmp_path: Path) -> None:
    """What stands in a file that is opened to append stays."""
    path = tmp_path / "log"
    path.write_text("first\n")
    with path.open("a") as stream:
        exporter = StreamHarExporter(stream)
        exporter.export(batch("1"))
        exporter.export(batch("2"))
        exporter.shutdown()
        stream.write("last\n")
    text = path.read_text()
    assert ("first\n", "last\n") == (text[:6], text[-5:])
    assert ["1", "2"] == _names(text[6:-5])


def test_program_goes_on_with_the_stream() -> None:
    """After shutdown the stream stands behind the document; what was behind its place before is gone."""
    stream = io.StringIO("old old old")
    stream.seek(3)
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1"))
    stream.seek(0)
    exporter.shutdown()
    stream.write("new")
    text = stream.getvalue()
    assert ("old{", "}\nnew") == (text[:4], text[-5:])


def test_nobody_elses_text_is_cut_off() -> None:
    """What the program writes behind the document is left there, and the entries are refused."""
    stream = io.StringIO()
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1"))
    stream.write("mine")
    with pytest.raises(ExportError, match="something else"):
        exporter.export(batch("2"))
    assert stream.getvalue().endswith("mine")


def test_socket() -> None:
    """A socket's file gets the entries as they come, and the end at shutdown."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("wb") as stream:
        exporter = StreamHarExporter(stream)
        exporter.export(batch("1"))
        assert b'/1"' in theirs.recv(100_000)
        exporter.export(batch("2"))
        exporter.shutdown()
        assert theirs.recv(100_000).endswith(b"}}\n")


class _Raw(io.RawIOBase):
    """Takes few bytes at a time, and only as many as it is let."""

    def __init__(self, room: int) -> None:
        self.got = bytearray()
        self.room = room
        self.fault: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if self.fault is not None:
            raise self.fault
        taken = bytes(data[: min(7, self.room)])
        self.room -= len(taken)
        self.got += taken
        return len(taken) or None


def test_short_writes() -> None:
    """A stream that takes a part of what it gets gets the rest."""
    stream = _Raw(10**6)
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1", "é2"))
    exporter.shutdown()
    assert ["1", "é2"] == _names(bytes(stream.got))


def test_stream_that_takes_a_part() -> None:
    """A batch that was begun is kept and written on; the next one is refused until then, and no byte comes twice."""
    stream = _Raw(0)
    exporter = StreamHarExporter(stream)
    with pytest.raises(DestinationError):
        exporter.export(batch("1"))
    stream.room = 300
    assert HarExportResult.SUCCESS is exporter.export(batch("1"))
    assert exporter.force_flush(0) is False
    with pytest.raises(DestinationError):
        exporter.export(batch("2"))
    stream.room = 10**6
    assert HarExportResult.SUCCESS is exporter.export(batch("2"))
    exporter.shutdown()
    assert ["1", "2"] == _names(bytes(stream.got))


def test_end_waits_for_room() -> None:
    """Shutdown gives up in its time where the stream takes nothing, and says so."""
    stream = _Raw(10**6)
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1"))
    stream.room = 0
    with pytest.raises(ExportError, match="the end"):
        exporter.shutdown(100)


def test_reader_is_gone() -> None:
    """A pipe without a reader ends the export with a clear error, each time."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    stream = open(write_end, "w")  # noqa: PTH123, SIM115 - cannot be closed in peace
    exporter = StreamHarExporter(stream)
    for _ in range(2):
        with pytest.raises(ExportError, match="Broken pipe") as raised:
            exporter.export(batch("1"))
        assert not isinstance(raised.value, DestinationError)
    exporter.shutdown()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_closed_stream() -> None:
    """A stream that the program closed ends the export with a clear error."""
    stream = io.BytesIO()
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1"))
    stream.close()
    with pytest.raises(ExportError, match="closed"):
        exporter.export(batch("2"))
    exporter.shutdown()


class _Full(io.BytesIO):
    """Like a file on a full disk: it has so much room, and no more."""

    room = 10**6

    def write(self, data: Any) -> int:
        room = max(0, self.room - self.tell())
        taken = super().write(data[:room])
        if not taken and len(data):
            raise OSError(28, "No space left on device")
        return taken


def test_full_disk() -> None:
    """Where there is no room for the whole addition, the document stays as it was."""
    stream = _Full()
    exporter = StreamHarExporter(stream)
    exporter.export(batch("1"))
    before = stream.getvalue()
    stream.room = len(before) + 20
    with pytest.raises(DestinationError) as raised:
        exporter.export(batch("2"))
    assert 28 == raised.value.errno
    assert before == stream.getvalue()
    stream.room = 10**6
    exporter.export(batch("2"))
    assert ["1", "2"] == _names(stream.getvalue())


def test_real_full_device() -> None:
    """`/dev/full` takes nothing, for now; nothing is thought to be there."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110 - a device
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb", buffering=0) as stream:  # noqa: PTH123 - a device
        exporter = StreamHarExporter(stream)
        with pytest.raises(DestinationError):
            exporter.export(batch("1"))
        with pytest.raises(ExportError):
            exporter.shutdown(50)


class _Custom:
    """Has a `write` and nothing else."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.got: list[Any] = []

    def write(self, data: Any) -> None:
        if not isinstance(data, self._kind):
            raise TypeError(type(data))
        self.got.append(data)


@pytest.mark.parametrize(("kind", "empty"), [(str, ""), (bytes, b"")])
def test_whatever_has_a_write(kind: type, empty: Any) -> None:
    """Which of str and bytes a stream takes is found out with a write of nothing."""
    stream = _Custom(kind)
    exporter = StreamHarExporter(stream)
    assert [empty] == stream.got
    exporter.export(batch("1"))
    exporter.shutdown()
    assert ["1"] == _names(empty.join(stream.got))


@pytest.mark.parametrize("stream", [None, 1, _Custom(int)])
def test_no_stream(stream: Any) -> None:
    """What is no stream is refused at once."""
    with pytest.raises(SettingError, match="no stream"):
        StreamHarExporter(stream)


def test_indent_out_of_range() -> None:
    """An indent that no file may have is refused."""
    with pytest.raises(SettingError, match="17"):
        StreamHarExporter(io.StringIO(), 17)


def test_standard_output_is_not_cut(tmp_path: Path) -> None:
    """In standard output, be it a file, the program's lines before, between and after stay."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from children import batch\n"
        "from otel_har import StreamHarExporter\n"
        "exporter = StreamHarExporter(sys.stdout)\n"
        "exporter.export(batch('1'))\n"
        "print('')\n"
        "exporter.export(batch('2'))\n"
        "exporter.shutdown()\n"
        "print('after')\n"
    )
    with (tmp_path / "out").open("w") as output:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, str(program)], stdout=output, env=environ, check=True, timeout=60)
    text = (tmp_path / "out").read_text()
    assert text.endswith("after\n")
    assert ["1", "2"] == _names(text.removesuffix("after\n"))


def test_slow_reader() -> None:
    """A pipe that is read slowly gets everything."""
    read_end, write_end = os.pipe()
    got = bytearray()

    def read() -> None:
        with open(read_end, "rb", 0) as stream:  # noqa: PTH123 - a descriptor
            while data := stream.read(1000):
                got.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    exporter = StreamHarExporter(open(write_end, "w"), close=True)  # noqa: PTH123, SIM115 - closed by the exporter
    exporter.export(batch(*map(str, range(50)), body="x" * 5_000))
    exporter.shutdown()
    reader.join(20)
    assert [str(number) for number in range(50)] == _names(bytes(got))
