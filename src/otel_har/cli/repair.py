"""`otel-har repair`: HAR files that were cut off, made whole."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from otel_har.cli.check import count
from otel_har.errors import HarFormatError
from otel_har.export.files.room import is_recorded
from otel_har.har.repair import RepairReport
from otel_har.har.replacing import mend, repair_file, repair_stream

__all__ = ["repair"]

_EXIT_NOT_MENDED = 1
_EXIT_UNUSABLE = 2
_MOST_FAULTS = 10
_STANDARD_STREAM = "-"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=click.Path(allow_dash=True),
    help="Where the mended copy of the one FILE goes, - for standard output. Without it FILE itself is mended.",
)
def repair(files: tuple[str, ...], output: str | None) -> None:
    """Mend HAR files that were cut off or whose end was overwritten: close them behind the last whole entry.

    FILE is a path, or - for standard input, whose mended copy goes to standard output. A FILE that is whole is left
    as it is. What was found and what was done is printed as `FILE: ...`.

    Exit status: 0 mended or nothing to do, 1 a file cannot be mended, 2 wrong usage or a file that cannot be read or
    written.
    """
    if len(files) > 1 and (output is not None or _STANDARD_STREAM in files):
        raise click.UsageError("with - or an output there can be one FILE only")
    statuses = [_repaired(name, output) for name in files]
    if any(statuses):
        raise click.exceptions.Exit(max(statuses))


def _repaired(name: str, output: str | None) -> int:
    """Mend one file, say what was done, and return the exit status of it."""
    shown = click.format_filename(name)
    if name == _STANDARD_STREAM and output is None:
        output = _STANDARD_STREAM
    try:
        report = _report(name, output)
    except HarFormatError as error:
        click.echo(f"otel-har: {shown}: cannot be mended: {error}", err=True)
        return _EXIT_NOT_MENDED
    except BrokenPipeError:
        raise  # whoever reads our output went away: click ends the command quietly
    except OSError as error:
        is_it = error.filename is None or os.path.realpath(error.filename) == os.path.realpath(name)
        other = "" if is_it else f": {click.format_filename(error.filename)}"
        click.echo(f"otel-har: {shown}: {error.strerror or error}{other}", err=True)
        return _EXIT_UNUSABLE
    for line in _lines(report):
        click.echo(f"{shown}: {line}", err=output == _STANDARD_STREAM)
    return 0


def _report(name: str, output: str | None) -> RepairReport:
    if _STANDARD_STREAM not in (name, output):
        if is_recorded(Path(name if output is None else output).resolve()):
            raise OSError(errno.EBUSY, "a process records to it")
        return repair_file(name, output)
    with ExitStack() as stack:
        if name == _STANDARD_STREAM:  # by way of a file, because it is gone through more than once
            source: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, source)
        else:
            source = stack.enter_context(Path(name).open("rb"))
        return mend(source, sys.stdout.buffer) if output in (None, _STANDARD_STREAM) else repair_stream(source, output)


def _lines(report: RepairReport) -> Iterator[str]:
    """What was wrong, and what was kept of how much."""
    found = report.found
    entries = count(found.entries, "entry", "entries")
    if found.is_whole:
        yield f"is whole: {entries}"
        return
    for fault in found.faults[:_MOST_FAULTS]:
        yield str(fault)
    kept = f"mended: {entries} kept, {count(report.bytes_left_out, 'byte')} left out"
    if report.pages_left_out:
        kept += f", {count(report.pages_left_out, 'page')} without an entry left out"
    if report.pages_rebuilt:
        kept += f", {count(report.pages_rebuilt, 'lost page')} put in again"
    yield kept
