"""`otel-har redact`: HAR files without their secrets."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from otel_har.cli.check import count
from otel_har.cli.policy_options import policy_options
from otel_har.errors import HarFormatError
from otel_har.export.files.room import is_recorded
from otel_har.har.attaching import ZIP, ArchiveWriter, is_named_zip
from otel_har.har.packing import begins_as
from otel_har.har.replacing import rewrite_file, rewrite_stream
from otel_har.redaction.document import RedactionReport, redact_document
from otel_har.redaction.policy import Mode, RedactionPolicy
from otel_har.redaction.redactor import Redactor

__all__ = ["redact"]

_EXIT_NO_HAR = 1
_EXIT_UNUSABLE = 2
_STANDARD_STREAM = "-"


@click.command()
@click.argument("source", metavar="IN", type=click.Path(allow_dash=True))
@click.argument("output", metavar="[OUT]", required=False, type=click.Path(allow_dash=True))
@click.option("--in-place", is_flag=True, help="Put the redacted copy into the place of IN.")
@policy_options
@click.option("--hashes", is_flag=True, help="Mark equal secrets of this run alike: [REDACTED:9f86d081884c].")
def redact(  # noqa: PLR0913 - one for each option
    source: str,
    output: str | None,
    *,
    in_place: bool,
    mode: Mode,
    headers: tuple[str, ...],
    queries: tuple[str, ...],
    fields: tuple[str, ...],
    keep: tuple[str, ...],
    hashes: bool,
) -> None:
    """Copy a HAR file of any producer without its secrets.

    IN and OUT are paths, or - for standard input and output. IN may be gzip or a zip archive, OUT is one where its name
    ends in .gz or .zip. OUT takes its name when it is complete: one that is there keeps the mode and the owner, a new
    one has the mode of IN as far as the umask lets. What was redacted is printed in one line: how many entries, and in
    how many of them and of the log's other members each rule acted. Each entry, and the log, tells in a member
    `_redaction` by which mode and rules.

    Exit status: 0 done, 1 IN is no HAR or is broken (`otel-har repair` mends it), 2 wrong usage or a file that cannot
    be read or written.
    """
    if in_place == (output is not None):
        raise click.UsageError("there must be an OUT, or --in-place" if output is None else "--in-place has no OUT")
    if in_place and source == _STANDARD_STREAM:
        raise click.UsageError("standard input has no place")
    policy = RedactionPolicy(mode, headers, queries, fields, keep, hashes=hashes)
    shown = click.format_filename(source)
    with _telling_faults(source):
        has_other_names = output != _STANDARD_STREAM and _has_other_names(source, output)
        report = _redacted(source, output, Redactor(policy))
    if has_other_names:
        click.echo(f"otel-har: {shown}: it had other names (hard links), which still have the secrets", err=True)
    click.echo(f"{shown}: {_line(report)}", err=output == _STANDARD_STREAM)


@contextmanager
def _telling_faults(source: str) -> Iterator[None]:
    """End the command with one line on standard error."""
    shown = click.format_filename(source)
    try:
        yield
    except HarFormatError as error:
        click.echo(f"otel-har: {shown}: {error}", err=True)
        raise click.exceptions.Exit(_EXIT_NO_HAR) from None
    except BrokenPipeError:
        raise  # whoever reads our output went away: click ends the command quietly
    except OSError as error:
        is_it = error.filename is None or os.path.realpath(error.filename) == os.path.realpath(source)
        other = "" if is_it else f": {click.format_filename(error.filename)}"
        click.echo(f"otel-har: {shown}: {error.strerror or error}{other}", err=True)
        raise click.exceptions.Exit(_EXIT_UNUSABLE) from None
    except MemoryError:
        click.echo(f"otel-har: {shown}: there is not enough memory for one of its entries", err=True)
        raise click.exceptions.Exit(_EXIT_UNUSABLE) from None


def _redacted(source: str, output: str | None, redactor: Redactor) -> RedactionReport:
    is_archive = is_named_zip(output) if output else _is_archive(source)

    def rewrite(stream: BinaryIO, target: BinaryIO) -> RedactionReport:
        if not is_archive:
            return redact_document(stream, target, redactor)
        with ArchiveWriter(target) as archive:
            return redact_document(stream, archive, redactor, archive.attach)

    place = Path(output or source)
    if output != _STANDARD_STREAM and (place.is_file() or not place.exists()) and is_recorded(place.resolve()):
        raise OSError(errno.EBUSY, "a process records to it", output or source)
    if source == _STANDARD_STREAM:
        standard_input = sys.stdin.buffer
        if output in {None, _STANDARD_STREAM}:
            return _to_standard_output(standard_input, rewrite)
        return rewrite_stream(standard_input, str(output), rewrite)
    if output == _STANDARD_STREAM:
        with Path(source).open("rb") as stream:
            return _to_standard_output(stream, rewrite)
    return rewrite_file(source, output, rewrite)


def _is_archive(source: str) -> bool:
    if not Path(source).is_file():  # opening a pipe would wait for a writer
        return False
    with Path(source).open("rb") as stream:
        return begins_as(stream, ZIP)


def _to_standard_output(stream: BinaryIO, rewrite: Callable[[BinaryIO, BinaryIO], RedactionReport]) -> RedactionReport:
    report = rewrite(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()  # while a full disk can be told
    return report


def _has_other_names(source: str, output: str | None) -> bool:
    """Whether a file that is replaced is also that of another name, which goes on to lead to what it was."""
    if source == _STANDARD_STREAM:
        return False
    path = Path(source)
    is_own = output is None or (Path(output).exists() and path.exists() and path.samefile(output))
    return is_own and path.is_file() and path.stat().st_nlink > 1


def _line(report: RedactionReport) -> str:
    """What was done."""
    said = f"{count(report.entries, 'entry', 'entries')}, {report.changed} redacted"
    rules = ", ".join(f"{rule} {times}" for rule, times in sorted(report.rules.items()))
    return f"{said} ({rules})" if rules else said
