"""`FileHarExporter`: a file that is valid after every export."""

from __future__ import annotations

import json
import os
import resource
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from otel_har.errors import ExportError, OtelHarError, SettingError
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch, HarExportResult, HarStatistics
from otel_har.har.checker import check
from otel_har.har.models import Entry, Page, PageTimings, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHILD_TIMEOUT_S = 60


def _page(name: str = "run", title: str = "title", on_load: float = -1) -> Page:
    return Page(
        started_date_time="2030-01-01T00:00:00Z", id=name, title=title, page_timings=PageTimings(on_load=on_load)
    )


def _entry(path: str = "a", page: str = "run", error: str = "none") -> Entry:
    return Entry(
        pageref=page,
        started_date_time="2030-01-01T00:00:00Z",
        request=Request(method="GET", url=f"http://h.test/{path}", http_version="HTTP/1.1"),
        response=Response(transfer_size=0, error=error),
    )


def _batch(*paths: str, page: str = "run") -> HarBatch:
    return HarBatch((_page(page),), tuple(_entry(path, page) for path in paths))


def _read(path: Path) -> dict[str, Any]:
    """The log of a file in which the checker finds no fault."""
    assert [] == [str(fault) for fault in check(path)]
    log: dict[str, Any] = json.loads(path.read_bytes())["log"]
    return log


def _paths(path: Path) -> list[str]:
    return [entry["request"]["url"].rpartition("/")[2] for entry in _read(path)["entries"]]


@pytest.fixture
def make() -> Iterator[Callable[[Path], FileHarExporter]]:
    """Makes exporters that are shut down whatever becomes of the test."""
    made: list[FileHarExporter] = []

    def make_one(path: Path) -> FileHarExporter:
        made.append(FileHarExporter(path))
        return made[-1]

    yield make_one
    for exporter in made:
        exporter.shutdown()


def _run(source: str, *arguments: object) -> str:
    """Run a program in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + dedent(source), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


_PREAMBLE = """
import os
import sys

from otel_har.errors import ExportError
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Entry, Page, Request, Response

PAGE = Page(started_date_time="2030-01-01T00:00:00Z", id="run", title="title")


def batch(*paths, body=""):
    return HarBatch((PAGE,), tuple(
        Entry(
            pageref="run",
            started_date_time="2030-01-01T00:00:00Z",
            request=Request(method="GET", url=f"http://h.test/{path}", http_version="HTTP/1.1"),
            response=Response(transfer_size=0, error="none" + body),
        )
        for path in paths
    ))

"""


@pytest.mark.parametrize("indent", [None, 0, 2, 16])
def test_valid_after_every_export(tmp_path: Path, indent: int | None) -> None:
    """From its first byte the file is a whole document, whatever the indent, and so it is after each export."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path, indent)
    assert [] == _read(path)["entries"]
    for number in range(5):
        paths = [f"{number}.{count}" for count in range(number)]
        if paths:
            assert HarExportResult.SUCCESS is exporter.export(_batch(*paths, page=f"page {number}"))
        assert [f"{n}.{count}" for n in range(number + 1) for count in range(n)] == _paths(path)
    before = path.read_bytes()
    exporter.shutdown()
    assert before == path.read_bytes()


def test_indent(tmp_path: Path) -> None:
    """With an indent the file is laid out like `json.dumps`, without one each entry is a line."""
    for indent in (1, 2, 4):
        path = tmp_path / f"{indent}.har"
        exporter = FileHarExporter(path, indent)
        exporter.export(_batch("a", "b"))
        exporter.export(_batch("c"))
        exporter.shutdown()
        document = json.loads(path.read_bytes())
        assert json.dumps(document, indent=indent, ensure_ascii=False) == path.read_text("utf-8").rstrip()
    path = tmp_path / "compact.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("a", "b"))
    exporter.shutdown()
    assert 2 == sum(line.startswith('{"pageref"') for line in path.read_text("utf-8").splitlines())


@pytest.mark.parametrize("indent", [-1, 17, 1000])
def test_indent_out_of_range(tmp_path: Path, indent: int) -> None:
    """A wrong indent is told with its value, and no file is made."""
    with pytest.raises(SettingError, match=f"between 0 and 16, not {indent}"):
        FileHarExporter(tmp_path / "out.har", indent)
    assert [] == list(tmp_path.iterdir())


def test_mode(tmp_path: Path) -> None:
    """Traffic holds secrets: the file is its owner's only, whatever the umask."""
    old = os.umask(0)
    try:
        FileHarExporter(tmp_path / "out.har").shutdown()
    finally:
        os.umask(old)
    assert 0o600 == stat.S_IMODE((tmp_path / "out.har").stat().st_mode)


def test_mode_of_a_file_that_is_there(tmp_path: Path) -> None:
    """What the user gave a file before is the user's."""
    path = tmp_path / "out.har"
    path.touch()
    path.chmod(0o640)
    FileHarExporter(path).shutdown()
    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


def test_file_starts_anew(tmp_path: Path) -> None:
    """What an earlier recording left, longer too, is gone."""
    path = tmp_path / "out.har"
    path.write_text("x" * 100_000)
    exporter = FileHarExporter(path)
    assert path.stat().st_size < 1_000
    exporter.export(_batch("a"))
    exporter.shutdown()
    assert ["a"] == _paths(path)


def test_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its directory records to where it began; `~` is the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("out.har", "~/home.har"):
        exporter = FileHarExporter(given)
        assert tmp_path / Path(given).name == exporter.path
        exporter.shutdown()


def test_link(tmp_path: Path) -> None:
    """A symbolic link leads to the file that is written."""
    (tmp_path / "link.har").symlink_to(tmp_path / "real.har")
    exporter = FileHarExporter(tmp_path / "link.har")
    exporter.export(_batch("a"))
    exporter.shutdown()
    assert ["a"] == _paths(tmp_path / "real.har")


def _missing(path: Path) -> Path:
    return path / "missing" / "out.har"


def _directory(path: Path) -> Path:
    return path


def _fifo(path: Path) -> Path:
    os.mkfifo(path / "fifo")
    return path / "fifo"


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "s"))
    return path / "s"


def _below_a_file(path: Path) -> Path:
    (path / "file").touch()
    return path / "file" / "out.har"


def _null(_: Path) -> Path:
    return Path(os.devnull)


def _too_long(path: Path) -> Path:
    return path / ("x" * 300)


@pytest.mark.parametrize("place", [_missing, _directory, _fifo, _socket, _below_a_file, _null, _too_long])
def test_unusable_path(tmp_path: Path, place: Any) -> None:
    """What cannot be a HAR file is told at once, with its path, as our error and as the builtin one."""
    path = place(tmp_path)
    with pytest.raises(ExportError, match="cannot write the HAR file") as raised:
        FileHarExporter(path)
    assert str(path) in str(raised.value)
    assert isinstance(raised.value, OtelHarError)
    assert isinstance(raised.value, OSError)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_unwritable_directory(tmp_path: Path) -> None:
    """A directory without permission is told at once."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ExportError, match="Permission denied"):
            FileHarExporter(tmp_path / "out.har")
    finally:
        tmp_path.chmod(0o700)


def test_home_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that there is not has no home: it is a directory's name, which is not there."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=r"~nosuchuser/out\.har: No such file or directory"):
        FileHarExporter("~nosuchuser/out.har")


def test_path_with_a_nul(tmp_path: Path) -> None:
    """A path that no system takes is our error, too."""
    with pytest.raises(OtelHarError):
        FileHarExporter(tmp_path / "a\0b")


def test_page_is_replaced(tmp_path: Path) -> None:
    """A page that is delivered again replaces the one before, in its place."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("a", page="one"))
    exporter.export(_batch("b", page="two"))
    exporter.export(HarBatch((_page("one", "renamed", 5),), ()))
    pages = [(page["id"], page["title"], page["pageTimings"]["onLoad"]) for page in _read(path)["pages"]]
    assert [("one", "renamed", 5), ("two", "title", -1)] == pages
    exporter.shutdown()


@pytest.mark.parametrize("indent", [None, 2])
def test_page_that_gets_shorter(tmp_path: Path, indent: int | None) -> None:
    """A tail that is shorter than before leaves nothing of the old one, and entries follow it all the same."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path, indent)
    exporter.export(HarBatch((_page(title="x" * 500),), (_entry("a"),)))
    exporter.export(HarBatch((_page(title="y"),), ()))
    assert ["y"] == [page["title"] for page in _read(path)["pages"]]
    for number in range(5):
        exporter.export(HarBatch((_page(title="z" * (5 - number)),), (_entry(str(number)),)))
        assert ["a", *(str(n) for n in range(number + 1))] == _paths(path)
    exporter.shutdown()


def test_page_without_entry(tmp_path: Path, make: Callable[[Path], FileHarExporter]) -> None:
    """A page of which no entry was written, because its export failed, is not written either: readers would fail."""
    path = tmp_path / "out.har"
    exporter = make(path)
    exporter.export(_batch("a"))
    exporter.export(HarBatch((_page("lonely"),), ()))
    assert ["run"] == [page["id"] for page in _read(path)["pages"]]


def test_text_outside_ascii_and_line_ends(tmp_path: Path) -> None:
    """The file is UTF-8 without a byte order mark; texts come back with their line ends, indented too."""
    for indent in (None, 2):
        path = tmp_path / f"{indent}.har"
        exporter = FileHarExporter(path, indent)
        text = "ä日😀\n\r\n\t\u2028\x00\udc80"
        exporter.export(HarBatch((_page(title=text),), (_entry(error=text),)))
        exporter.shutdown()
        [entry] = _read(path)["entries"]
        assert text.replace("\udc80", "\ufffd") == entry["response"]["_error"]
        assert path.read_bytes().startswith(b'{"log"' if indent is None else b"{\n")


def test_cost_of_an_export_does_not_grow(tmp_path: Path) -> None:
    """An export writes the new entries and the tail, and copies the last ones, however much was written before."""
    source = """
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("x"))

        def written():
            with open("/proc/self/io") as io:
                return int(dict(line.split(": ") for line in io)["wchar"])

        for _ in range(200):
            before = written()
            exporter.export(batch("same", body="y" * 1000))
            print(written() - before)
        exporter.shutdown()
    """
    costs = [int(line) for line in _run(source, tmp_path / "out.har").splitlines()[1:]]
    assert max(costs) - min(costs) < 20  # a figure more in a count
    assert max(costs) < 4_000


def test_tail_is_bounded_by_the_pages(tmp_path: Path) -> None:
    """What is written anew each time grows with the pages and with nothing else."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    sizes = []
    for number in range(300):
        exporter.export(_batch("same", page=f"{number % 3}"))
        sizes.append(path.stat().st_size)
    exporter.shutdown()
    growth = {after - before for before, after in pairwise(sizes[3:])}
    assert max(growth) - min(growth) <= 2  # a figure more in a count


def test_after_shutdown(tmp_path: Path) -> None:
    """After shutdown batches are refused, and the file stays."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("a"))
    exporter.shutdown()
    exporter.shutdown()
    assert HarExportResult.FAILURE is exporter.export(_batch("b"))
    assert ["a"] == _paths(path)


def test_file_may_be_recorded_again_after_shutdown(tmp_path: Path) -> None:
    """Shutdown lets go of the file: the next recording has it."""
    path = tmp_path / "out.har"
    for name in ("a", "b"):
        exporter = FileHarExporter(path)
        assert path == exporter.path
        exporter.export(_batch(name))
        exporter.shutdown()
    assert ["b"] == _paths(path)


def test_file_of_another_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that another process records to is left alone: this one writes beside it and says so."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("ours"))
    source = """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("theirs"))
        exporter.shutdown()
        print(exporter.path)
    """
    warning, own = _run(source, path).splitlines()
    assert f"otel-har: another recording writes {path}, writing {own}" == warning
    assert path.parent == Path(own).parent
    assert ("out", ".har") == (Path(own).name.partition(".")[0], Path(own).suffix)
    exporter.export(_batch("more"))
    exporter.shutdown()
    assert (["ours", "more"], ["theirs"]) == (_paths(path), _paths(Path(own)))
    assert [] == caplog.records


def test_three_exporters_for_one_path(tmp_path: Path, make: Callable[[Path], FileHarExporter]) -> None:
    """However many recorders of one process are given one path, no two write to one file."""
    exporters = [make(tmp_path / "out.har") for _ in range(3)]
    for number, exporter in enumerate(exporters):
        exporter.export(_batch(f"{number}.1"))
    for number, exporter in enumerate(exporters):
        exporter.export(_batch(f"{number}.2"))
        exporter.shutdown()
    assert 3 == len({exporter.path for exporter in exporters})
    assert [[f"{number}.1", f"{number}.2"] for number in range(3)] == [_paths(exporter.path) for exporter in exporters]


def test_forked_child(tmp_path: Path) -> None:
    """A child and its parent write one file, each entry once, and leave nothing else."""
    path = tmp_path / "out.har"
    source = """
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("before"))
        pid = os.fork()
        exporter.export(batch("child" if pid == 0 else "parent"))
        exporter.export(batch("again"))
        exporter.shutdown()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """
    _run(source, path)
    first, *others = _paths(path)
    assert ("before", ["again", "again", "child", "parent"]) == (first, sorted(others))
    assert [path] == list(tmp_path.iterdir())


def test_forked_child_with_a_file_of_its_own(tmp_path: Path) -> None:
    """With `{pid}` in the name each process has a file."""
    source = """
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("parent"))
        pid = os.fork()
        if pid == 0:
            exporter.export(batch("child"))
            exporter.shutdown()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(os.getpid(), pid)
    """
    parent, child = _run(source, tmp_path / "out-{pid}.har").split()
    assert ["parent"] == _paths(tmp_path / f"out-{parent}.har")
    assert ["child"] == _paths(tmp_path / f"out-{child}.har")


def test_forked_grandchild_with_a_file_of_its_own(tmp_path: Path) -> None:
    """The same for a child of one that recorded nothing, as daemons are."""
    source = """
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("parent"))
        pid = os.fork()
        if pid == 0:
            pid = os.fork()
            exporter.export(batch("grandchild" if pid == 0 else "child"))
            exporter.shutdown()
            assert pid == 0 or os.waitpid(pid, 0)[1] == 0
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """
    _run(source, tmp_path / "out-{pid}.har")
    assert [["child"], ["grandchild"], ["parent"]] == sorted(_paths(path) for path in tmp_path.glob("*.har"))


def test_processes_of_one_recording_beside_another(tmp_path: Path, make: Callable[[Path], FileHarExporter]) -> None:
    """They write one file beside it together, forked or not, named after the first of them."""
    path = tmp_path / "out.har"
    make(path).export(_batch("first"))
    source = """
        import logging
        logging.disable()
        exporter = FileHarExporter(sys.argv[1], recording="second", first_process=4321)
        pids = []
        for name in ("fork", "new", "fork", "new"):
            pids.append(os.fork())
            if pids[-1] == 0:
                if name == "new":
                    exporter = FileHarExporter(sys.argv[1], recording="second", first_process=4321)
                exporter.export(batch(name))
                exporter.export(batch(name))
                os._exit(0)
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
        exporter.export(batch("parent"))
        exporter.shutdown()
    """
    _run(source, path)
    assert {path, tmp_path / "out.4321.har"} == set(tmp_path.glob("*.har"))
    assert ["fork"] * 4 + ["new"] * 4 + ["parent"] == sorted(_paths(tmp_path / "out.4321.har"))


def test_forked_child_that_only_shuts_down(tmp_path: Path) -> None:
    """A child that records nothing changes nothing, and its parent's presence stays."""
    path = tmp_path / "out.har"
    source = """
        exporter = FileHarExporter(sys.argv[1])
        pid = os.fork()
        if pid == 0:
            exporter.shutdown()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        other = FileHarExporter(sys.argv[1])
        other.shutdown()
        exporter.export(batch("parent"))
        exporter.shutdown()
    """
    _run(source, path)
    assert [path] == list(tmp_path.iterdir())
    assert ["parent"] == _paths(path)


def test_recorder_without_entries_beside_another(tmp_path: Path, make: Callable[[Path], FileHarExporter]) -> None:
    """A recorder that finds its file taken and has nothing to record leaves no file."""
    path = tmp_path / "out.har"
    make(path)
    make(path).shutdown()
    assert [path] == list(tmp_path.glob("*.har"))


def test_directory_is_gone(tmp_path: Path) -> None:
    """Parent and child cannot write while the directory is gone, and go on when there is one again."""
    directory = tmp_path / "gone"
    directory.mkdir()
    source = """
        import logging
        import shutil
        from otel_har.errors import DestinationError
        logging.disable()

        def fails(name):
            try:
                exporter.export(batch(name))
            except DestinationError as fault:
                return fault.errno == 2
            return False

        exporter = FileHarExporter(sys.argv[1] + "/out.har")
        exporter.export(batch("lost"))
        shutil.rmtree(sys.argv[1])
        pid = os.fork()
        if pid == 0:
            os._exit(not (fails("child") and fails("child")))
        assert os.waitpid(pid, 0)[1] == 0
        assert fails("parent") and fails("parent")
        os.mkdir(sys.argv[1])
        exporter.export(batch("parent"))
        exporter.export(batch("again"))
        exporter.shutdown()
    """
    _run(source, directory)
    assert ["parent", "again"] == _paths(directory / "out.har")
    assert [directory / "out.har"] == list(directory.iterdir())


@pytest.mark.parametrize("indent", ["None", "2"])
def test_disk_full(tmp_path: Path, indent: str) -> None:
    """An export that the disk does not take fails, and the file is whole with what was there before."""
    path = tmp_path / "out.har"
    source = f"""
        import resource
        exporter = FileHarExporter(sys.argv[1], {indent})
        exporter.export(batch("before"))
        size = os.stat(sys.argv[1]).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, resource.RLIM_INFINITY))
        for number in range(3):
            try:
                exporter.export(batch("big", body="x" * 5000))
            except ExportError as fault:
                print(fault)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        exporter.export(batch("after"))
    """
    printed = _run(source, path).splitlines()
    assert [f"cannot write to {path}: File too large"] * 3 == printed
    assert ["before", "after"] == _paths(path)


def test_disk_full_at_the_end(tmp_path: Path) -> None:
    """A process that ends right after a failed export leaves a whole file."""
    path = tmp_path / "out.har"
    source = """
        import resource
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("before"))
        size = os.stat(sys.argv[1]).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, size + 300))
        try:
            exporter.export(batch("big", body="x" * 5000))
        except ExportError:
            os._exit(0)
        os._exit(1)
    """
    _run(source, path)
    assert ["before"] == _paths(path)


def test_disk_full_from_the_start(tmp_path: Path) -> None:
    """A disk without room for the first bytes is told at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(ExportError, match=r"cannot write the HAR file .*out\.har: File too large"):
            FileHarExporter(tmp_path / "out.har")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_killed(tmp_path: Path) -> None:
    """A process that is killed leaves a whole file."""
    path = tmp_path / "out.har"
    source = """
        import signal
        exporter = FileHarExporter(sys.argv[1])
        exporter.export(batch("a", "b"))
        print("exported", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + dedent(source), str(path)],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    assert ("exported\n", -9) == (done.stdout, done.returncode)
    assert ["a", "b"] == _paths(path)


def test_entry_that_cannot_be_written(tmp_path: Path) -> None:
    """A batch with what has no form in JSON fails, and the next one finds the file whole."""
    path = tmp_path / "out.har"
    exporter = FileHarExporter(path)
    exporter.export(_batch("a"))
    with pytest.raises(Exception, match="serializ"):
        exporter.export(HarBatch((_page("x"),), (_entry("bad").model_copy(update={"otel": object()}),)))
    exporter.export(_batch("b"))
    exporter.shutdown()
    assert ["a", "b"] == _paths(path)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (["default"], {"policy": "default"}),
        (["strict"], {"policy": "strict"}),
        ([None], None),
        (["strict", "default"], {"policy": "default"}),
        (["default", "strict"], {"policy": "default"}),
        (["strict", None, "strict"], None),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_policy_that_holds(
    tmp_path: Path, policies: list[str | None], expected: dict[str, str] | None, indent: int | None
) -> None:
    """The log tells what holds of all its entries, whoever else appends to it, and nothing that is not known."""
    path = tmp_path / "out.har"
    for policy in policies:
        exporter = FileHarExporter(path, append=True, indent=indent)
        exporter.export(replace(_batch("a"), redaction=policy))
        exporter.export(HarBatch((), (), HarStatistics(failed_exports=1)))  # which has nothing to redact
        exporter.shutdown()
    assert expected == _read(path).get("_redaction")


def test_an_empty_recording_tells_no_policy(tmp_path: Path) -> None:
    """Where there is no entry, the first one to come decides."""
    path = tmp_path / "out.har"
    FileHarExporter(path).shutdown()
    assert "_redaction" not in _read(path)
    exporter = FileHarExporter(path, append=True)
    exporter.export(replace(_batch("a"), redaction="strict"))
    exporter.shutdown()
    assert {"policy": "strict"} == _read(path)["_redaction"]
