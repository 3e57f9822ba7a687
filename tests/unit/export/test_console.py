"""`ConsoleHarExporter`, on a real pseudo-terminal and elsewhere."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import struct
import termios
from typing import Any

import pytest

from otel_har.errors import ExportError
from otel_har.export.console import ConsoleHarExporter, line, wants_color
from otel_har.export.interfaces import HarBatch, HarExportResult
from otel_har.har.models import Content, Entry, Request, Response


def _entry(url: str = "http://h.test/", status: int = 200, **options: Any) -> Entry:
    return Entry(
        started_date_time="2030-01-01T12:34:56.789123Z",
        time=options.get("time", 12.3),
        request=Request(method=options.get("method", "GET"), url=url),
        response=Response(
            status=status,
            error=options.get("error"),
            body_size=options.get("size", 100),
            content=Content(size=options.get("content", -1)),
        ),
    )


class _Terminal:
    """Both ends of a pseudo-terminal of so many columns."""

    def __init__(self, columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = open(slave, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - closed below

    def shown(self) -> str:
        """What has come out of it, by its end."""
        self.stream.close()
        got = b""
        try:
            while data := os.read(self._master, 65_536):
                got += data
        except OSError as fault:
            assert errno.EIO == fault.errno  # noqa: PT017 - so Linux says that the other end is closed
        finally:
            os.close(self._master)
        return got.decode()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without a word on colours, in UTC."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


def _on_terminal(*entries: Entry, columns: int = 80) -> list[str]:
    terminal = _Terminal(columns)
    assert HarExportResult.SUCCESS is ConsoleHarExporter(terminal.stream).export(HarBatch((), entries))
    return terminal.shown().split("\r\n")


def _local(text: str = "12:34:56.789") -> str:
    hour = _entry().started_at.astimezone().hour
    minute = _entry().started_at.astimezone().minute
    return f"{hour:02}:{minute:02}{text[5:]}"


def test_lines_on_a_terminal(plain: pytest.MonkeyPatch) -> None:
    """Columns stand below each other, in colours, and long URLs lose their middle."""
    del plain
    shown = _on_terminal(
        _entry(),
        _entry("http://h.test/" + "long/" * 30 + "end.json", 404, method="DELETE", size=123_456, time=65_000),
        _entry("http://h.test/refused", 0, error="ConnectionRefusedError: [Errno 111] Connection refused", time=0.2),
        _entry("http://h.test/x", 503, size=-1, content=1_999_999, time=1_234),
    )
    at = f"\x1b[2m{_local()}\x1b[0m"
    assert [
        f"{at}  GET      \x1b[32m200  \x1b[0m     100 B     12 ms  http://h.test/",
        f"{at}  DELETE   \x1b[33m404  \x1b[0m  123.5 kB     1m05s  http://h.test/long/\u2026g/end.json",
        (
            f"{at}  GET      \x1b[31merror\x1b[0m         -      0 ms  "
            "http://h\u2026used  \x1b[31mConnectionRefu\u2026\x1b[0m"
        ),
        f"{at}  GET      \x1b[31m503  \x1b[0m    2.0 MB    1.23 s  http://h.test/x",
        "",
    ] == shown


def test_no_line_is_wider_than_the_terminal(plain: pytest.MonkeyPatch) -> None:
    """In each terminal that has room for a URL, a line of any content takes one row."""
    plain.setenv("NO_COLOR", "1")
    entries = [_entry("http://h.test/" + "\u4e2d" * 100), _entry("http://h.test/" + "x" * 300, 0, error="e" * 300)]
    for columns in (80, 81, 100, 133):
        for shown in _on_terminal(*entries, columns=columns)[:-1]:
            wide = sum(2 if one == "\u4e2d" else 1 for one in shown)
            assert columns - 2 < wide <= columns


def test_size_of_the_window_may_change(plain: pytest.MonkeyPatch) -> None:
    """COLUMNS is what the user says; otherwise the terminal is asked each time."""
    plain.setenv("COLUMNS", "200")
    url = "http://h.test/" + "x" * 100
    assert _on_terminal(_entry(url))[0].endswith(url)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colors_on_a_terminal(environ: dict[str, str], *, expected: bool) -> None:
    """The variables that users know decide; NO_COLOR comes first."""
    terminal = _Terminal(80)
    assert expected is wants_color(terminal.stream, environ)
    assert "" == terminal.shown()


def test_colors_elsewhere() -> None:
    """A file has colours only if somebody asks for them."""
    assert wants_color(io.StringIO(), {}) is False
    assert wants_color(io.StringIO(), {"FORCE_COLOR": "1"}) is True
    stream = io.StringIO()
    ConsoleHarExporter(stream, color=True).export(HarBatch((), (_entry(),)))
    assert "\x1b[32m200" in stream.getvalue()


def test_elsewhere_nothing_is_cut() -> None:
    """In a file URLs and errors are whole."""
    url, error = "http://h.test/" + "x" * 500, "e" * 500
    stream = io.StringIO()
    ConsoleHarExporter(stream).export(HarBatch((), (_entry(url, 0, error=error),)))
    assert f"{_local()}  GET      error         -     12 ms  {url}  {error}\n" == stream.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u200b\u2028", r"\u200b\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("h\u00f6\u4e2d", "h\u00f6\u4e2d"),
    ],
)
def test_nothing_commands_the_terminal(text: str, shown: str) -> None:
    """Control characters, and such as turn or hide text, are shown as escapes: in URL, method and error."""
    entry = _entry("http://h.test/").model_copy(update={"request": Request.model_construct(method=text, url=text)})
    entry = entry.model_copy(update={"response": Response.model_construct(status=0, error=text, body_size=-1)})
    assert [shown, shown] == line(entry).split("  ")[-2:]
    assert line(entry).isprintable()


def test_stream_of_few_characters() -> None:
    """What the stream's encoding has not is an escape."""
    stream = io.TextIOWrapper(got := io.BytesIO(), encoding="ascii")
    ConsoleHarExporter(stream).export(HarBatch((), (_entry("http://h.test/\u4e2d"),)))
    assert got.getvalue().endswith(b"/\\u4e2d\n")


@pytest.mark.parametrize(
    ("size", "content", "shown"),
    [
        (0, -1, "0 B"),
        (999, 5, "999 B"),
        (1_000, -1, "1.0 kB"),
        (999_949, -1, "999.9 kB"),
        (999_950, -1, "1.0 MB"),
        (5 * 10**12, -1, "5000.0 GB"),
        (-1, 7, "7 B"),
        (-1, -1, "-"),
    ],
)
def test_sizes(size: int, content: int, shown: str) -> None:
    """Sizes are short, and those on the wire if they are known."""
    assert shown == line(_entry(size=size, content=content))[29:39].strip()


@pytest.mark.parametrize(
    ("time", "shown"),
    [(0, "0 ms"), (999, "999 ms"), (1_000, "1.00 s"), (59_994, "59.99 s"), (3_600_000, "60m00s"), (-1, "-")],
)
def test_durations(time: float, shown: str) -> None:
    """Durations are short."""
    assert shown == line(_entry(time=time))[38:49].strip()


def test_date_that_is_none() -> None:
    """An entry whose start cannot be read has a line, too."""
    entry = _entry().model_copy(update={"started_date_time": "yesterday"})
    assert line(entry).startswith("?             GET")


def test_stream_that_is_closed() -> None:
    """A console that is gone costs the lines, with a clear error; shutdown leaves a stream open."""
    stream = io.StringIO()
    exporter = ConsoleHarExporter(stream)
    exporter.shutdown()
    stream.close()
    with pytest.raises(ExportError, match="cannot print"):
        ConsoleHarExporter(stream).export(HarBatch((), (_entry(),)))


def test_standard_error_of_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream it is what standard error is when a line is printed."""
    ConsoleHarExporter().export(HarBatch((), (_entry(),)))
    captured = capsys.readouterr()
    assert ("", True) == (captured.out, captured.err.endswith("http://h.test/\n"))
