"""`ConsoleHarExporter`: one line for each exchange, for a person.

The rule: columns of fixed width first, what may be long last. What a server or a program put into a URL or an error is
text and never a command to the terminal.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, TextIO

from otel_har.errors import ExportError, HarFormatError
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.har.models import Entry

_DIM, _RED, _GREEN, _YELLOW, _CYAN, _RESET = "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
_COLORS = {1: _CYAN, 2: _GREEN, 3: _CYAN, 4: _YELLOW, 5: _RED}  # of statuses, by their class
_LEAST_URL = 24  # columns; in a narrower terminal the line is wrapped by it
_MOST_ERROR = 2_000  # characters of an error where there is no width
_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_KILO = 1_000


class ConsoleHarExporter(HarExporter):
    """Prints time, method, status, size, duration and URL of each exchange; for one that failed, the error.

    Times are local. The size is that of the body on the wire, or decoded where that is not known. On a terminal long
    URLs are cut to its width, in their middle, and statuses have colours.

    Args:
        stream: A text stream; whatever is standard error at the time by default.
        color: Whether to use colours. By default on a terminal that is not `dumb`; the variables NO_COLOR (off) and
            FORCE_COLOR (on) come before that.
    """

    def __init__(self, stream: TextIO | None = None, *, color: bool | None = None) -> None:
        self._stream = stream
        self._color = color
        self._shut_down = False

    def export(self, batch: HarBatch) -> HarExportResult:
        """Print the entries.

        Raises:
            ExportError: When the stream does not take them: they are not printed again.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        stream = self._stream or sys.stderr
        if not batch.entries or stream is None:  # a program without a console has none
            return HarExportResult.SUCCESS
        width = _width(stream)
        color = self._color if self._color is not None else wants_color(stream, os.environ)
        text = "".join(line(entry, width=width, color=color) + "\n" for entry in batch.entries)
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except (OSError, ValueError) as fault:
            raise ExportError(f"cannot print: {fault}") from fault
        return HarExportResult.SUCCESS

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - nothing waits here
        """Print nothing more. The stream stays open."""
        self._shut_down = True


def wants_color(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether to print in colour, as https://no-color.org and https://force-color.org have it."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    if environ.get("TERM") == "dumb" or not _is_terminal(stream):
        return False
    return sys.platform != "win32" or bool(environ.get("WT_SESSION") or environ.get("ANSICON") or environ.get("TERM"))


def line(entry: Entry, *, width: int | None = None, color: bool = False) -> str:
    """One entry as a line.

    Args:
        entry: The entry.
        width: The most columns; None for any number.
        color: Whether to use colours.
    """
    status, error = entry.response.status, entry.response.error
    has_failed = error is not None and not status
    label = "error" if has_failed else str(status) if status else "-"
    columns = [
        _time(entry),
        f"{_fitted(_harmless(entry.request.method), 7):<7}",
        f"{label:<5}",
        f"{_size(entry):>8}",
        f"{_duration(entry.time):>8}",
    ]
    room = None if width is None else max(_LEAST_URL, width - sum(map(len, columns)) - 2 * len(columns))
    url = _harmless(entry.request.url)
    said = "" if error is None else _harmless(str(error))[:_MOST_ERROR]
    if room is not None:
        url, said = _shared(url, said, room)
    if color:
        columns[0] = f"{_DIM}{columns[0]}{_RESET}"
        columns[2] = f"{_RED if not status else _COLORS.get(status // 100, _RED)}{columns[2]}{_RESET}"
        said = f"{_RED}{said}{_RESET}" if said else ""
    return "  ".join([*columns, url, *([said] if said else [])])


def _time(entry: Entry) -> str:
    try:
        started = entry.started_at.astimezone()
    except (HarFormatError, OverflowError, OSError):
        return f"{'?':<12}"
    return f"{started:%H:%M:%S}.{started.microsecond // 1000:03}"


def _size(entry: Entry) -> str:
    response = entry.response
    size = response.body_size if response.body_size >= 0 else response.content.size
    if size < 0 or not response.status:
        return "-"
    if size < _KILO:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= _KILO
        if size < _KILO - 0.05 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def _duration(time_ms: float) -> str:
    if time_ms < 0:
        return "-"
    if time_ms < _SECOND_MS:
        return f"{time_ms:.0f} ms"
    if time_ms < _MINUTE_MS:
        return f"{time_ms / _SECOND_MS:.2f} s"
    minutes, milliseconds = divmod(time_ms, _MINUTE_MS)
    return f"{minutes:.0f}m{milliseconds // _SECOND_MS:02.0f}s"


def _harmless(text: str) -> str:
    """The text with everything that a terminal would obey, or not show, as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _shared(url: str, said: str, room: int) -> tuple[str, str]:
    """URL and error so that both fit: the error has what the URL leaves, but half of the room in any case."""
    if not said:
        return _fitted(url, room), ""
    most = max(room // 2, room - 2 - _columns(url))
    if _columns(said) > most:  # its kind stands at its beginning
        said = f"{_within(said, most - 1)}\u2026"
    return _fitted(url, max(1, room - 2 - _columns(said))), said


def _fitted(text: str, room: int) -> str:
    """The text within so many columns; what is cut is cut out of its middle, for both ends of a URL tell most."""
    if _columns(text) <= room:
        return text
    before = (room - 1) * 2 // 3
    end = _within(text[::-1], room - 1 - before)[::-1]
    return f"{_within(text, before)}\u2026{end}"


def _within(text: str, room: int) -> str:
    """As much of the beginning as has room."""
    if text.isascii():
        return text[:room]
    used = 0
    for place, one in enumerate(text):
        used += _columns(one)
        if used > room:
            return text[:place]
    return text


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _width(stream: Any) -> int | None:
    """The columns of the terminal; None where there is none."""
    if not _is_terminal(stream):
        return None
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (AttributeError, OSError, ValueError):
        return None
