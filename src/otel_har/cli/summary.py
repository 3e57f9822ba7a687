"""The line that `otel-har record` ends with: what was recorded, and where it is.

The rule: it says what the files say. Each tells of itself at its end, so it costs the same however large they are.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from otel_har.cli.check import count
from otel_har.cli.target import is_cut_off
from otel_har.environment import (
    OTEL_PYTHON_HAR_CONTENT_TYPES,
    OTEL_PYTHON_HAR_ERRORS_ONLY,
    OTEL_PYTHON_HAR_EXCLUDE_URLS,
    OTEL_PYTHON_HAR_FILTER,
    OTEL_PYTHON_HAR_INCLUDE_URLS,
    OTEL_PYTHON_HAR_METHODS,
    OTEL_PYTHON_HAR_MIN_DURATION_MILLIS,
    OTEL_PYTHON_HAR_STATUSES,
)
from otel_har.export.files import access
from otel_har.export.files.aside import named_beside
from otel_har.export.files.document import HarDocument
from otel_har.export.files.packed import document_for
from otel_har.export.files.parts import PARTS
from otel_har.export.files.place import PID
from otel_har.export.files.room import is_recorded, room_path
from otel_har.export.files.standing import Standing, Totals
from otel_har.export.interfaces import HarStatistics
from otel_har.har.attaching import HAR_NAME, is_named_zip
from otel_har.instrumentor import CAPTURES

__all__ = ["Asked", "is_empty", "summary"]

_KILO = 1000
_UNITS = ("kB", "MB", "GB", "TB")
_FILTERS = (
    OTEL_PYTHON_HAR_INCLUDE_URLS,
    OTEL_PYTHON_HAR_EXCLUDE_URLS,
    OTEL_PYTHON_HAR_METHODS,
    OTEL_PYTHON_HAR_STATUSES,
    OTEL_PYTHON_HAR_CONTENT_TYPES,
    OTEL_PYTHON_HAR_MIN_DURATION_MILLIS,
    OTEL_PYTHON_HAR_ERRORS_ONLY,
    OTEL_PYTHON_HAR_FILTER,
)
_CLIENTS = {"requests": "requests", "aiohttp-client": "aiohttp"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be recorded to.

    Attributes:
        path: The file as the user wrote it.
        run: The name of the recording.
        before: What there was in the file, of one that is appended to; None where there was none of ours.
        has_others: Whether another program's file is appended to, which does not tell how many entries it has.
        command: What is run.
    """

    path: Path
    run: str
    before: Standing | None = None
    has_others: bool = False
    command: Sequence[str] = ("program",)

    @classmethod
    def of(cls, path: Path, run: str, *, append: bool, command: Sequence[str] = ("program",)) -> Asked:
        """What there is to be known before the program starts."""
        before = _standing(path) if append else None
        return cls(path, run, before, append and before is None and _has_content(path), command)


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    size: int
    standing: Standing

    @property
    def is_aside(self) -> bool:
        """Whether it was put aside, when it was full: the file that took its place counts its entries, too."""
        series = self.standing.series
        return series is not None and series.name != _real(self.path).name


def summary(asked: Asked, environ: Mapping[str, str], *, append: bool, killed_by: str | None = None) -> str:
    """The line, coloured.

    Args:
        asked: What was to be recorded to.
        environ: The environment that the program had.
        append: Whether the file was appended to.
        killed_by: The signal that ended the program at once, if one did.
    """
    found = _found(asked, append=append)
    heads = [one for one in found if not one.is_aside]
    total = sum((one.standing.total for one in heads), Totals()) - _before(asked, heads)
    if total.entries <= 0 and not (total.lost.dropped_entries or total.lost.failed_entries):
        return f"{_name()} {_nothing(asked, environ, found, killed_by)}"
    is_going_on = any(_is_recorded(one.path) for one in heads)
    present = sum(one.standing.entries for one in found)
    parts = [click.style(_entries(total.entries, present, is_going_on=is_going_on), bold=True)]
    if asked.has_others:
        parts.append("with those that were there")
    if total.failed_requests > 0:
        parts.append(click.style(f"{count(total.failed_requests, 'request')} failed", fg="yellow"))
    parts += [click.style(words, fg="red") for words in _losses(total.lost)]
    parts.append(_size(sum(one.size for one in found)))
    shown = [click.format_filename(os.fspath(one.path)) for one in (*heads, *(one for one in found if one.is_aside))]
    more = f" and {count(len(shown) - 1, 'file')} beside it" if len(shown) > 1 else ""
    line = f"{_name()} {', '.join(parts)}, {click.style(shown[0], fg='cyan')}{more}"
    return line if is_going_on else line + "".join(_unpacked(one.path) for one in heads)


def is_empty(asked: Asked) -> bool:
    """Whether the program began the file, put nothing into it, lost nothing, and has left nobody who would."""
    standing = _standing(asked.path)
    if standing is None or standing.recording != asked.run or _is_recorded(asked.path):
        return False
    return standing.total == Totals()


def _found(asked: Asked, *, append: bool) -> list[_Found]:
    """The files of the recording. One that is appended to keeps the name of who began it, and so do those before it."""
    return [
        one
        for one in _files(asked)
        if one.standing.recording == asked.run or (append and (one.path in _places(asked.path) or one.is_aside))
    ]


def _before(asked: Asked, heads: list[_Found]) -> Totals:
    """What was there before the program; nothing, where the file that is there has begun anew."""
    before = asked.before
    if before is None:
        return Totals()
    total = before.total
    is_gone_on_with = any(
        one.path in _places(asked.path) and one.standing.total.entries >= total.entries for one in heads
    )
    return total if is_gone_on_with else Totals()


def _name() -> str:
    return click.style("otel-har:", dim=True)


def _entries(recorded: int, present: int, *, is_going_on: bool) -> str:
    """How many there are; the oldest are the first that go, so of what was recorded what is there stays."""
    said = count(recorded, "entry", "entries") + (" so far" if is_going_on else "")
    return said if present >= recorded else f"{said}, of which {present} stay{'s' if present == 1 else ''}"


def _places(path: Path) -> tuple[Path, ...]:
    """Where what is recorded to a path is: an archive may not have been made of its parts."""
    return (path, _parts(path)) if is_named_zip(str(path)) else (path,)


def _parts(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}{PARTS}") / HAR_NAME


def _files(asked: Asked) -> Iterator[_Found]:
    """The file, and those beside it whose names are made from its: of processes, and of files that were full."""
    is_link = access.with_home(asked.path).is_symlink()
    file = _real(asked.path) if is_link else asked.path  # beside which the others are
    name = file.name if PID in file.name else named_beside(file, PID).name
    start, _, end = name.partition(PID)
    try:
        names = {one.name.removesuffix(PARTS) for one in access.with_home(file).parent.iterdir()}
    except OSError:
        return
    beside = sorted(one for one in names if one.startswith(start) and one.endswith(end) and one != file.name)
    for path in (asked.path, *(file.with_name(name) for name in beside)):
        for place in reversed(_places(path)):
            standing = _standing(place)
            if standing is not None:
                yield _Found(place, _bytes(place), standing)
                break  # of the parts the archive is made


def _real(path: Path) -> Path:
    """The file itself.

    Raises:
        ExportError: When it is not one to record to.
    """
    return access.resolved(access.with_home(path))


def _bytes(path: Path) -> int:
    real = access.with_home(path)
    files = real.parent.iterdir() if real.parent.name.endswith(PARTS) else (real,)
    return sum(one.stat().st_size for one in files if one.is_file())


def _standing(path: Path) -> Standing | None:
    try:
        with access.closing(access.opened(_real(path), os.O_RDONLY)) as there:
            return _in_archive(there) if is_named_zip(str(path)) else document_for(path, None).read_standing(there)
    except (OSError, zipfile.BadZipFile, KeyError):
        return None


def _in_archive(descriptor: int) -> Standing | None:
    """What the HAR within an archive tells of itself."""
    with (
        os.fdopen(descriptor, "rb", closefd=False) as file,
        zipfile.ZipFile(file) as archive,
        archive.open(HAR_NAME) as packed,
        tempfile.TemporaryFile() as text,
    ):
        shutil.copyfileobj(packed, text)
        text.flush()
        return HarDocument().read_standing(text.fileno())


def _has_content(path: Path) -> bool:
    try:
        return access.with_home(path).stat().st_size > 0
    except OSError:
        return False


def _is_recorded(path: Path) -> bool:
    """Whether a process that the program left behind records still."""
    try:
        return is_recorded(_real(_archive_of(path) or path))
    except OSError:
        return False


def _archive_of(path: Path) -> Path | None:
    directory = path.parent
    return directory.with_name(directory.name.removesuffix(PARTS)) if directory.name.endswith(PARTS) else None


def _unpacked(path: Path) -> str:
    """What is to be done about an archive that was not made."""
    archive = _archive_of(path)
    if archive is None:
        return ""
    command = f"python -m zipfile -c {shlex.quote(str(archive))} {shlex.quote(str(path.parent))}/*"
    return f". {click.format_filename(os.fspath(archive))} was not made of it; this makes it: {command}"


def _losses(lost: HarStatistics) -> Iterator[str]:
    """What is not in the files, if anything."""
    if lost.dropped_entries > 0:
        yield f"{lost.dropped_entries} dropped (too many waited to be written)"
    if lost.failed_entries > 0:
        yield f"{lost.failed_entries} not written"
    if lost.dropped_bodies > 0:
        yield f"{count(lost.dropped_bodies, 'body', 'bodies')} left out or cut"


def _nothing(asked: Asked, environ: Mapping[str, str], found: list[_Found], killed_by: str | None) -> str:
    if any(_is_recorded(one.path) for one in found):
        shown = click.format_filename(os.fspath(asked.path))
        return f"{click.style('nothing was recorded so far', fg='yellow')}: a process goes on recording to {shown}"
    if found and killed_by is not None:
        return click.style(f"nothing had been written when it was killed ({killed_by})", fg="yellow")
    reason = _why_nothing(asked.command, environ, is_there=bool(found))
    if reason is None:
        reason = "no request was made with requests or aiohttp"
        if any(environ.get(name) for name in _FILTERS):
            reason += " that the filters let in"
        if any(_was_left(one.path) for one in found):
            reason += ", or none was written before the program ended at once (-l writes each when it is over)"
    return f"{click.style('nothing was recorded', fg='yellow')}: {reason}"


def _was_left(path: Path) -> bool:
    """Whether the recording has no end: what is removed then is still there."""
    return room_path(_real(path)).exists()


def _why_nothing(command: Sequence[str], environ: Mapping[str, str], *, is_there: bool) -> str | None:
    """Why nothing can have been recorded; None where it could."""
    if environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        return f"{OTEL_SDK_DISABLED} is set"
    option = is_cut_off(command)
    if not is_there and option is not None:
        return f"Python was started with {option}, which leaves out what begins the recording"
    if not is_there:
        return "no Python that has otel-har took part; it must be installed in the program's own environment"
    missing = [name for client, name in _CLIENTS.items() if client in CAPTURES and not _is_installed(name)]
    if len(missing) == len(_CLIENTS):
        return f"{' and '.join(missing)} are what can be recorded, and neither is installed"
    return None


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _size(number: float) -> str:
    """Bytes for people: `34.5 kB`."""
    if number < _KILO:
        return count(int(number), "byte")
    size, unit = number / _KILO, 0
    while size >= _KILO and unit < len(_UNITS) - 1:
        size, unit = size / _KILO, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"
