"""`BackgroundProcessHarExporter`: a child that crashes, hangs, outlives nobody."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from children import Child, batch, eventually, names
from journal import JournalExporter, lines, make_nothing
from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.background.pipes import _environment
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarExportResult
from otel_har.export.process import BackgroundProcessHarExporter

if TYPE_CHECKING:
    from types import FrameType

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")


def _journal(directory: Path, timeout_seconds: float = 20) -> BackgroundProcessHarExporter:
    return BackgroundProcessHarExporter(functools.partial(JournalExporter, directory), timeout_seconds=timeout_seconds)


def _exported(directory: Path) -> list[str]:
    entries = [entry for line in lines(directory) for entry in line.get("entries", ())]
    return [entry["request"]["url"].rpartition("/")[2] for entry in entries]


def _has_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # whoever inherited it has not asked for it yet


def test_child_that_crashes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A child that is killed over a batch is told of and followed by another one, which gets the batch."""
    exporter = _journal(tmp_path)
    exporter.export(batch("1"))
    (tmp_path / "killed").touch()
    assert HarExportResult.SUCCESS is exporter.export(batch("2"))
    exporter.export(batch("3"))
    exporter.shutdown()
    assert ["1", "2", "3"] == _exported(tmp_path)
    assert "has ended by signal 9; another one is started" in caplog.text


def test_child_that_crashes_again_and_again(tmp_path: Path) -> None:
    """Two crashes cost the batch, six in a row end it: a clear error, at once, and the program goes on."""
    exporter = _journal(tmp_path)
    (tmp_path / "always killed").touch()
    for _ in range(3):
        with pytest.raises(ExportError, match="by signal 9, the second one with these entries"):
            exporter.export(batch("1"))
    with pytest.raises(ExportError, match="6 times in a row"):
        exporter.export(batch("2"))
    exporter.shutdown()
    assert [] == lines(tmp_path)


def test_recording_goes_on_after_a_crash(tmp_path: Path) -> None:
    """The file is not started anew by the child that follows."""
    path = tmp_path / "out.har"
    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path))
    exporter.export(batch("1"))
    os.kill(exporter.pid or 0, signal.SIGKILL)
    exporter.export(batch("2"))
    exporter.shutdown()
    assert ["1", "2"] == names(path)


def test_child_that_hangs(tmp_path: Path) -> None:
    """It is waited for as long as was said, then it is killed, and the next one gets the entries."""
    exporter = _journal(tmp_path, 3)
    pid = exporter.pid or 0
    (tmp_path / "hangs").touch()
    started = time.monotonic()
    with pytest.raises(DestinationError, match="did not answer in time"):
        exporter.export(batch("1"))
    assert 3 <= time.monotonic() - started < 5
    assert _has_gone(pid)
    (tmp_path / "hangs").unlink()
    exporter.export(batch("1"))
    exporter.shutdown()
    assert ["1"] == _exported(tmp_path)


def _limit(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError("limit")


def test_interrupted_in_the_middle(tmp_path: Path) -> None:
    """A child that has a part of a message gets no other one, which it would take for the rest: bytes of a server."""
    exporter = _journal(tmp_path)
    pid = exporter.pid or 0
    os.kill(pid, signal.SIGSTOP)
    before = signal.signal(signal.SIGALRM, _limit)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(TimeoutError, match="limit"):
        exporter.export(batch("1", body="x" * 3_000_000))
    signal.signal(signal.SIGALRM, before)
    assert _has_gone(pid)
    exporter.export(batch("2", body="x" * 3_000_000))
    exporter.shutdown()
    assert ["2"] == _exported(tmp_path)


def test_child_that_is_stopped(tmp_path: Path) -> None:
    """A flush that comes too late kills nothing; a shutdown ends the child in its time."""
    exporter = _journal(tmp_path)
    pid = exporter.pid or 0
    os.kill(pid, signal.SIGSTOP)
    assert exporter.force_flush(50) is False
    os.kill(pid, signal.SIGCONT)
    exporter.export(batch("1", body="x" * 1_000_000))
    assert (pid, ["1"]) == (exporter.pid, _exported(tmp_path))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ExportError, match="did not answer in time, at its shutdown"):
        exporter.shutdown(100)
    assert _has_gone(pid)


def test_signals_to_the_group_do_not_end_it(tmp_path: Path) -> None:
    """Ctrl-C and what a service manager sends to all are nothing to the child: it ends when its parent does."""
    exporter = _journal(tmp_path)
    pid = exporter.pid or 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    exporter.export(batch("1"))
    assert (pid, True) == (exporter.pid, os.getsid(pid) != os.getsid(0))
    exporter.shutdown()
    assert [["1"], True] == [_exported(tmp_path), _has_gone(pid)]


def test_no_orphan(tmp_path: Path) -> None:
    """When the parent is killed the child shuts its exporter down and ends."""

    def work(child: Child) -> None:
        exporter = _journal(tmp_path)
        exporter.export(batch("1"))
        child.tell(str(exporter.pid))
        child.pause()

    parent = Child(work)
    pid = int(parent.next())
    parent.kill()
    parent.end()
    assert eventually(lambda: _has_gone(pid))
    assert {"shut_down": True} == lines(tmp_path)[-1]


def test_forked_child_has_its_own(tmp_path: Path) -> None:
    """After a fork each process has one, both write one recording, and the end of the one is not the other's."""
    path = tmp_path / "out.har"
    exporter = BackgroundProcessHarExporter(functools.partial(FileHarExporter, path))
    exporter.export(batch("1"))

    def work(child: Child) -> None:
        exporter.export(batch("2"))
        child.tell(str(exporter.pid))
        exporter.shutdown()

    code, [pid] = Child(work).end()
    assert (0, True) == (code, int(pid) != exporter.pid)
    exporter.export(batch("3"))
    exporter.shutdown()
    assert ["1", "2", "3"] == names(path)


def test_exporter_that_cannot_be_made(tmp_path: Path) -> None:
    """What the child cannot make is told by the constructor, in the words of the fault."""
    with pytest.raises(ExportError, match="ValueError: no luck"):
        BackgroundProcessHarExporter(make_nothing)
    with pytest.raises(ExportError, match="nowhere"):
        BackgroundProcessHarExporter(functools.partial(FileHarExporter, tmp_path / "nowhere" / "out.har"))
    with pytest.raises(ExportError, match="which is no HarExporter"):
        BackgroundProcessHarExporter(cast("Any", dict))
    with pytest.raises(SettingError, match="cannot be given"):
        BackgroundProcessHarExporter(lambda: JournalExporter(tmp_path))
    with pytest.raises(SettingError, match="timeout_seconds"):
        _journal(tmp_path, 0)


def test_main_module_is_refused(tmp_path: Path) -> None:
    """A function of the program itself is refused: the child would not find it."""
    program = tmp_path / "program.py"
    program.write_text(
        "from otel_har import BackgroundProcessHarExporter, InMemoryHarExporter, SettingError\n"
        "def make():\n"
        "    return InMemoryHarExporter()\n"
        "try:\n"
        "    BackgroundProcessHarExporter(make)\n"
        "except SettingError as fault:\n"
        "    print(fault)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=60)
    assert "is of the program itself" in done.stdout


def test_environment_of_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the program's environment and path without what would instrument it."""
    place = os.path.join(os.sep, "x", "opentelemetry", "instrumentation", "auto_instrumentation")  # noqa: PTH118 - as there
    monkeypatch.setenv("OTEL_PYTHON_HAR", "out.har")
    monkeypatch.setenv("_OTEL_HAR_RUN", "run")
    monkeypatch.setenv("MINE", "1")
    monkeypatch.syspath_prepend(place)
    environ = _environment()
    assert [] == [name for name in environ if "OTEL" in name]
    assert ("1", False, True) == (
        environ["MINE"],
        place in environ["PYTHONPATH"],
        sys.path[-1] in environ["PYTHONPATH"],
    )
