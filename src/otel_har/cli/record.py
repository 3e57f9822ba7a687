"""`otel-har record`: runs a program and records its HTTP traffic."""

from __future__ import annotations

import errno
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from opentelemetry.instrumentation import auto_instrumentation

from otel_har.cli.child import NotStartedError, die_as, killed_by, run_child
from otel_har.cli.earlier import Earlier
from otel_har.cli.setting_options import GROUPS, OptionOfSetting, setting_options, values_of_options
from otel_har.cli.summary import Asked, is_empty, summary
from otel_har.cli.target import command_of
from otel_har.environment import (
    OTEL_PYTHON_HAR,
    OTEL_PYTHON_HAR_APPEND,
    OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY,
    OTEL_PYTHON_HAR_EXPORTER,
    OTEL_PYTHON_HAR_IN_BACKGROUND,
    OTEL_PYTHON_HAR_LIVE,
    OTEL_PYTHON_HAR_ROTATION_FILES,
    RUN,
    RUN_DIRECTORY,
    RUN_PROCESS,
)
from otel_har.errors import ExportError, SettingError
from otel_har.export.files import access
from otel_har.export.files.packed import document_for
from otel_har.har.attaching import is_named_zip
from otel_har.pipeline import file_maker
from otel_har.settings import settings_from

__all__ = ["record"]

_EXIT_NOT_STARTED = 126
_IS_COMMAND = "otel_har.cli.record.is_command"
_NO_COLOR = "NO_COLOR"  # https://no-color.org
_A_DAY_SECONDS = 86_400
_TRUE = "true"
_TRUE_WORDS = frozenset({_TRUE, "1", "on", "t", "y", "yes"})  # as pydantic reads them
_FILE = "file"
_THREAD = "thread"
_STREAM = re.compile(r"/dev/(std(in|out|err)|fd/\d+|tty)$|/proc/[^/]+/fd/\d+$")


class _RecordCommand(click.Command):
    """A command whose options end where the target begins: what comes after that is the target's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the target off first."""
        ours, target = self._split(list(args), ctx)
        try:
            return super().parse_args(ctx, [*ours, "--", *target])
        except click.MissingParameter:
            self._look_for_taken_words(ctx, ours)
            raise

    def _look_for_taken_words(self, ctx: click.Context, ours: list[str]) -> None:
        """Tell of an option that took what was meant as the program for its value, as `-i app.py`.

        Raises:
            click.BadParameter: When there is one.
        """
        with click.Context(self, parent=ctx.parent, info_name=ctx.info_name) as trial:
            super().parse_args(trial, [*ours, "--", *(parameter.name or "" for parameter in self._arguments())])
            values_of_options(trial.params, trial)

    def _arguments(self) -> Iterator[click.Parameter]:
        return (parameter for parameter in self.params if isinstance(parameter, click.Argument))

    def _split(self, args: list[str], ctx: click.Context) -> tuple[list[str], list[str]]:
        """Our options and OUT, and the target: behind `--`, at `-m`, or the second argument that is no option's."""
        has_output = False
        place = 0
        while place < len(args):
            word = args[place]
            if word == "--":
                ctx.meta[_IS_COMMAND] = has_output
                return args[:place], args[place + 1 :]
            if has_output and (word == "-m" or not word.startswith("-") or word == "-"):
                break
            has_output = has_output or not word.startswith("-") or word == "-"
            place += 2 if self._takes_next(word) else 1
        return args[:place], args[place:]

    def _takes_next(self, word: str) -> bool:
        """Whether the value of an option is the next word."""
        flags = {name: getattr(one, "is_flag", False) for one in self.params for name in one.opts}
        flags |= {name: True for one in self.params for name in one.secondary_opts}
        if word.startswith("--"):
            return not flags.get(word, True)
        letters = word[1:] if word.startswith("-") else ""
        for place, letter in enumerate(letters):
            if not flags.get(f"-{letter}", True):
                return place == len(letters) - 1
        return False

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each group of options under its own heading."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in GROUPS}
        for option in self.get_params(ctx):
            shown = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if shown is not None:
                groups[option.group if isinstance(option, OptionOfSetting) else GROUPS[0]].append(shown)
        for group, rows in groups.items():
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)


def _interval(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value <= _A_DAY_SECONDS:
        raise click.BadParameter(f"{value:g} is not between 0 and {_A_DAY_SECONDS}", context, option)
    return value


@click.command(cls=_RecordCommand, options_metavar="[OPTIONS]")
@click.argument("output", metavar="OUT", type=click.Path())
@click.argument("target", nargs=-1, required=True, metavar="TARGET...", type=click.UNPROCESSED)
@click.option(
    "-n",
    "--interval-seconds",
    type=float,
    callback=_interval,
    metavar="S",
    help="Write every S seconds, and at the end. Without it, and with 0: once a second.",
)
@setting_options
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
@click.pass_context
def record(
    context: click.Context,
    /,
    output: str,
    target: tuple[str, ...],
    *,
    interval_seconds: float | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Run a program and record its HTTP traffic to the HAR file OUT.

    TARGET is one of these; what follows it is the program's:

    \b
      -- COMMAND ARGUMENTS...     any command: python, gunicorn, pytest, a shell script
      PATH.py ARGUMENTS...        a file, run by the Python of otel-har
      -m MODULE ARGUMENTS...      a module, as python -m runs it
      package.module:function     a function, called without arguments; a coroutine function is run

    All processes that it starts are one recording. OUT is a whole HAR file at every moment. Options stand before
    TARGET; each is a setting, and takes the place of the environment's OTEL_PYTHON_HAR_*.

    For example:

    \b
      otel-har record out.har app.py --flag
      otel-har record out.har -- gunicorn -w 4 app:server
      otel-har record -l --errors-only out.har -m pytest
      otel-har record --include-urls 'https://api.example.org/*' out.har shop.jobs:main

    Exit status: the program's own; of a program that a signal ended, the same signal. Before it starts: 2 wrong usage
    or OUT cannot be written, 126 COMMAND cannot be executed, 127 there is none.
    """  # noqa: D301 - by a real backspace click knows a paragraph that it is to leave as it is
    if sys.platform == "win32":
        raise click.ClickException("record needs a system with fork; use opentelemetry-instrument --har here")
    values = _values(given, interval_seconds, context)
    command = command_of(target, is_command=context.meta.get(_IS_COMMAND, False))
    raise click.exceptions.Exit(_recorded(Path(output), command, values, is_quiet=quiet))


def _recorded(path: Path, command: Sequence[str], values: dict[str, str], *, is_quiet: bool) -> int:
    """Run a command with these settings besides the environment's; its exit status."""
    environ = {**os.environ, **values}
    append = environ.get(OTEL_PYTHON_HAR_APPEND, "").strip().lower() in _TRUE_WORDS
    exporters = [name.strip().lower() for name in (environ.get(OTEL_PYTHON_HAR_EXPORTER) or _FILE).split(",")]
    is_to_file = _FILE in exporters
    if is_to_file:
        _must_be_writable(path, append=append)
        _must_have_its_settings(path, environ)
    asked = Asked.of(path, uuid.uuid4().hex, append=append, command=command)
    earlier = Earlier(path) if is_to_file and not append else None
    try:
        status = run_child(
            _instrumented(command, {**values, OTEL_PYTHON_HAR: str(access.with_home(path).absolute()), RUN: asked.run})
        )
    except NotStartedError as fault:
        click.echo(f"otel-har: {click.format_filename(command[0])} cannot be executed: {fault}", err=True)
        return _EXIT_NOT_STARTED
    line = summary(asked, environ, append=append, killed_by=killed_by(status)) if is_to_file else ""
    has_failed = status != 0 and os.WIFEXITED(status)
    if earlier is not None and has_failed and is_empty(asked) and earlier.put_back():
        line += "; the earlier recording was put back"
    if is_to_file and not is_quiet:
        with suppress(OSError):  # whoever reads our errors went away
            click.echo(line, err=True, color=False if _NO_COLOR in environ else None)
    return die_as(status)


def _values(given: Mapping[str, Any], interval_seconds: float | None, context: click.Context) -> dict[str, str]:
    """What the options make of the environment."""
    values = values_of_options(given, context)
    if interval_seconds:
        values[OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY] = str(max(1, round(interval_seconds * 1000)))
    is_kept_for_a_time = given.get("retention_seconds") is not None and not interval_seconds
    if is_kept_for_a_time and OTEL_PYTHON_HAR_LIVE not in values:
        values[OTEL_PYTHON_HAR_LIVE] = _TRUE
        if OTEL_PYTHON_HAR_IN_BACKGROUND not in {**os.environ, **values}:
            values[OTEL_PYTHON_HAR_IN_BACKGROUND] = _THREAD  # what is too old goes while nothing happens, too
    return values


def _must_be_writable(path: Path, *, append: bool) -> None:
    """Tell at once what would be told when the program runs already.

    Raises:
        click.UsageError: When the file cannot be recorded to.
    """
    absolute = access.with_home(path).absolute()
    if str(path) == "-" or _STREAM.match(str(absolute)):
        raise click.UsageError(f"OUT must be a file, not {path}: standard output and error are the program's")
    try:
        if append and not is_named_zip(str(absolute)):
            access.looked_over(absolute, document_for(absolute, None).beginnings)
        real = access.resolved(absolute)
        if real.is_dir():
            raise _cannot(real, errno.EISDIR)
        if real.exists() and not real.is_file():
            raise access.cannot_write(real, OSError(errno.EINVAL, "it is not a regular file"))
        if not real.parent.is_dir():
            raise _cannot(real, errno.ENOTDIR if real.parent.exists() else errno.ENOENT)
        if not os.access(real if real.exists() else real.parent, os.W_OK):
            raise _cannot(real, errno.EACCES)
    except ExportError as fault:
        raise click.UsageError(str(fault)) from None


def _must_have_its_settings(path: Path, environ: Mapping[str, str]) -> None:
    """Tell at once that a form of file has not what is asked of it.

    Raises:
        click.UsageError: When it has not.
    """
    settings, _ = settings_from(environ)
    if environ.get(OTEL_PYTHON_HAR_ROTATION_FILES, "").strip() and settings.rotation is None:
        raise click.UsageError(
            f"--rotation-files {settings.rotation_files} needs --rotation-bytes or --rotation-seconds: "
            "without them no file is put aside"
        )
    try:
        file_maker(path, retention=settings.retention, rotation=settings.rotation)
    except SettingError as fault:
        raise click.UsageError(str(fault)) from None


def _cannot(path: Path, number: int) -> ExportError:
    return access.cannot_write(path, OSError(number, os.strerror(number)))


def _instrumented(command: Sequence[str], values: Mapping[str, str]) -> Callable[[], object]:
    """What makes a child the command, by the command `opentelemetry-instrument`."""

    def become() -> None:
        for name in (RUN_PROCESS, RUN_DIRECTORY):  # of a recording around this one
            os.environ.pop(name, None)
        os.environ.update(values)
        # Behind `--`, because argparse would else take the first one that is the command's own.
        sys.argv = ["opentelemetry-instrument", "--", *command]
        auto_instrumentation.run()

    return become
