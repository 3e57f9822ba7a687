"""The line that `otel-har record` ends with: what was recorded, and where it is.

The rule: it says what the files say. Each tells of itself at its end, so it costs the same however large they are.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from otel_har.cli.check import count
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.packed import document_for
from otel_har.export.files.standing import Standing
from otel_har.har.attaching import HAR_NAME, is_named_zip
from otel_har.instrumentor import CAPTURES

__all__ = ["Asked", "summary"]

_PID = "{pid}"
_KILO = 1000
_UNITS = ("kB", "MB", "GB", "TB")
_CLIENTS = {"requests": "requests", "aiohttp-client": "aiohttp"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be recorded to.

    Attributes:
        path: The file as the user wrote it.
        run: The name of the recording.
        entries_before: How many entries there were in the file, of one that is appended to.
    """

    path: Path
    run: str
    entries_before: int = 0

    @classmethod
    def of(cls, path: Path, run: str, *, append: bool) -> Asked:
        """What there is to be known before the program starts."""
        before = _standing(path) if append else None
        return cls(path, run, before.entries if before else 0)


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    size: int
    standing: Standing


def summary(asked: Asked, environ: Mapping[str, str], *, append: bool) -> str:
    """The line, coloured.

    Args:
        asked: What was to be recorded to.
        environ: The environment that the program had.
        append: Whether the file was appended to.
    """
    # A file that is appended to keeps the name of the recording that began it.
    found = [one for one in _files(asked) if one.standing.recording == asked.run or (append and one.path == asked.path)]
    entries = sum(one.standing.entries for one in found) - asked.entries_before
    if entries <= 0 and not any(_lost(one.standing) for one in found):
        reason = _why_nothing(environ, is_there=bool(found))
        return f"{_name()} {click.style('nothing was recorded', fg='yellow')}: {reason}"
    parts = [click.style(count(entries, "entry", "entries"), bold=True)]
    parts += [click.style(words, fg="red") for words in _losses(found)]
    parts.append(_size(sum(one.size for one in found)))
    shown = [click.format_filename(one.path) for one in found]
    more = f" and {count(len(shown) - 1, 'file')} beside it" if len(shown) > 1 else ""
    return f"{_name()} {', '.join(parts)}, {click.style(shown[0], fg='cyan')}{more}"


def _name() -> str:
    return click.style("otel-har:", dim=True)


def _files(asked: Asked) -> Iterator[_Found]:
    """The file, and those beside it whose names are made from its: of processes, and of files that were full."""
    start, _, end = asked.path.name.partition(_PID)
    if not end:
        start, dot, end = asked.path.name.partition(".")
        start, end = f"{start}.", f"{dot}{end}"
    directory = access.with_home(asked.path).parent
    try:
        names = sorted(one.name for one in directory.iterdir() if one.name.startswith(start) and one.name.endswith(end))
    except OSError:
        return
    names = [asked.path.name, *(name for name in names if name != asked.path.name)]
    for path in (asked.path.with_name(name) for name in names):
        standing = _standing(path)
        if standing is not None:
            yield _Found(path, access.with_home(path).stat().st_size, standing)


def _standing(path: Path) -> Standing | None:
    try:
        with access.closing(access.opened(access.resolved(access.with_home(path)), os.O_RDONLY)) as there:
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


def _lost(standing: Standing) -> bool:
    lost = standing.statistics
    return bool(lost.dropped_entries or lost.failed_entries)


def _losses(found: list[_Found]) -> Iterator[str]:
    """What is not in the files, if anything."""
    dropped = sum(one.standing.statistics.dropped_entries for one in found)
    failed = sum(one.standing.statistics.failed_entries for one in found)
    bodies = sum(one.standing.statistics.dropped_bodies for one in found)
    if dropped:
        yield f"{dropped} dropped (too many waited to be written)"
    if failed:
        yield f"{failed} not written"
    if bodies:
        yield f"{count(bodies, 'body', 'bodies')} left out or cut"


def _why_nothing(environ: Mapping[str, str], *, is_there: bool) -> str:
    if environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        return f"{OTEL_SDK_DISABLED} is set"
    if not is_there:
        return "no Python that has otel-har took part; it must be installed in the program's own environment"
    missing = [name for client, name in _CLIENTS.items() if client in CAPTURES and not _is_installed(name)]
    if len(missing) == len(_CLIENTS):
        return f"{' and '.join(missing)} are what can be recorded, and neither is installed"
    return "no request was made with requests or aiohttp"


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
