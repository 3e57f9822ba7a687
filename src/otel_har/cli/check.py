"""`otel-har check`: the faults of HAR files, or what looks secret in them."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import click

from otel_har.cli.policy_options import policy_options
from otel_har.errors import HarFormatError
from otel_har.har.checker import Checker
from otel_har.har.faults import Fault
from otel_har.har.source import Source
from otel_har.redaction.policy import Mode, RedactionPolicy
from otel_har.redaction.redactor import Redactor
from otel_har.redaction.search import SecretSearch

__all__ = ["check", "count"]

_EXIT_FAULTS = 1
_EXIT_UNREADABLE = 2
_STANDARD_INPUT = "-"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: per file its faults and entries.")
@click.option("--secrets", "is_for_secrets", is_flag=True, help="Find what looks secret, instead of faults.")
@policy_options
def check(  # noqa: PLR0913 - one for each option
    files: tuple[str, ...],
    *,
    as_json: bool,
    is_for_secrets: bool,
    mode: Mode,
    headers: tuple[str, ...],
    queries: tuple[str, ...],
    fields: tuple[str, ...],
    keep: tuple[str, ...],
) -> None:
    """Check HAR files: structure, meaning, and what widespread readers need.

    FILE is a path, or - for standard input; it may be gzip, or a zip archive with bodies beside the HAR. Every fault is
    printed as `FILE: place: message`.

    With --secrets the places of what looks secret are printed instead, never the values: what `otel-har redact` would
    take out. --mode, --header, --query, --field and --keep go with that.

    Exit status: 0 no fault, 1 faults were found, 2 wrong usage or a file that cannot be read. With --secrets 0 nothing
    looks secret, 1 something does, 2 wrong usage or a file that cannot be read to its end.
    """
    if not is_for_secrets and (mode != "default" or headers or queries or fields or keep):
        raise click.UsageError("--mode, --header, --query, --field and --keep go with --secrets")
    redactor = Redactor(RedactionPolicy(mode, headers, queries, fields, keep))

    def opened(source: Source) -> Search:
        return SecretSearch(source, redactor) if is_for_secrets else Checker(source)

    try:
        report = _JsonReport() if as_json else _TextReport("secret" if is_for_secrets else "fault")
        status = _checked(files, report, opened)
    except BrokenPipeError:
        raise  # whoever reads our output went away: click ends the command quietly
    except (OSError, MemoryError) as error:  # of the report, or of a file that is too much: no finding
        click.echo(f"otel-har: {getattr(error, 'strerror', None) or 'there is not enough memory'}", err=True)
        status = _EXIT_UNREADABLE
    if status:
        raise click.exceptions.Exit(status)


def _checked(files: Iterable[str], report: "_Report", opened: "Callable[[Source], Search]") -> int:
    """Go through the files; the exit status."""
    has_faults = is_unreadable = False
    for name in files:
        report.begin(name)
        search: Search | None = None
        try:
            with _reading():
                search = opened(sys.stdin.buffer if name == _STANDARD_INPUT else name)
            for fault in _faults(search):
                has_faults = True
                report.fault(fault)
            reason = None
        except _UnreadableError as error:
            is_unreadable = True
            reason = str(error)
            # On standard error, so that it is seen also where the report goes to a file or a program.
            click.echo(f"otel-har: {click.format_filename(name)}: {reason}", err=True)
        report.end(search.entries if search else 0, reason)
    report.close()
    return _EXIT_UNREADABLE if is_unreadable else _EXIT_FAULTS if has_faults else 0


class Search(Protocol):
    """Goes through a file and gives what it finds."""

    @property
    def entries(self) -> int:
        """How many entries were met so far."""

    def __iter__(self) -> Iterator[Fault]: ...


class _UnreadableError(Exception):
    """A file cannot be read, or not to its end; apart from OSError, which writing the report may raise."""


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _UnreadableError(error.strerror or str(error)) from error
    except HarFormatError as error:  # of a search for secrets; to the checker it is a fault like others
        raise _UnreadableError(str(error)) from error


def _faults(checker: Search) -> Iterator[Fault]:
    faults = iter(checker)
    while True:
        with _reading():
            fault = next(faults, None)
        if fault is None:
            return
        yield fault


class _Report(Protocol):
    """Takes the findings as they come and prints them at once: a large file may have millions."""

    def begin(self, name: str) -> None: ...

    def fault(self, fault: Fault) -> None: ...

    def end(self, entries: int, unreadable: str | None) -> None: ...

    def close(self) -> None: ...


class _TextReport:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._name = ""
        self._faults = self._entries = self._files = self._unreadable = 0
        self._has_what_is_whole = self._is_broken = False

    def begin(self, name: str) -> None:
        self._name = click.format_filename(name)
        self._files += 1

    def fault(self, fault: Fault) -> None:
        self._faults += 1
        self._is_broken = self._is_broken or fault.code == "unreadable"
        # What is not JSON from its beginning on is no HAR that could be mended.
        self._has_what_is_whole = self._has_what_is_whole or (self._is_broken and fault.place.startswith("log"))
        click.echo(f"{self._name}: {fault.place}: {fault.message}")

    def end(self, entries: int, unreadable: str | None) -> None:
        self._entries += entries
        self._unreadable += unreadable is not None
        self._has_what_is_whole = self._has_what_is_whole or (self._is_broken and entries > 0)
        self._is_broken = False

    def close(self) -> None:
        click.echo(
            f"{count(self._files, 'file')}, {count(self._entries, 'entry', 'entries')}: "
            f"{count(self._faults, self._kind) if self._faults else f'no {self._kind}s'}"
            f"{f', {self._unreadable} unreadable' if self._unreadable else ''}"
        )
        if self._has_what_is_whole:
            click.echo("otel-har repair FILE keeps what is whole of a file that is not JSON to its end")


class _JsonReport:
    """Prints `{"files": [{"file": ..., "faults": [{"place", "message", "code"}], "entries": ..., "unreadable"?}]}`."""

    def __init__(self) -> None:
        click.echo('{"files": [', nl=False)
        self._between_files = ""
        self._between_faults = ""

    def begin(self, name: str) -> None:
        click.echo(f'{self._between_files}\n{{"file": {json.dumps(name)}, "faults": [', nl=False)
        self._between_files = ","
        self._between_faults = ""

    def fault(self, fault: Fault) -> None:
        one = json.dumps({"place": fault.place, "message": fault.message, "code": fault.code})
        click.echo(f"{self._between_faults}\n  {one}", nl=False)
        self._between_faults = ","

    def end(self, entries: int, unreadable: str | None) -> None:
        reason = "" if unreadable is None else f', "unreadable": {json.dumps(unreadable)}'
        click.echo(f'], "entries": {entries}{reason}}}', nl=False)

    def close(self) -> None:
        click.echo("\n]}")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with the word for what there is that many of."""
    return f"{number} {one if number == 1 else many or one + 's'}"
