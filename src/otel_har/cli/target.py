"""What `otel-har record` is to run: a command, a Python file, a module, or a function.

The rule: what is not there is told before anything is started.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import click

__all__ = ["NotExecutableError", "NotFoundError", "command_of", "is_cut_off"]

_KINDS = "TARGET is a command, a path that ends in .py, package.module:function, or -m and a module"


class NotExecutableError(click.ClickException):
    """What is there is no program; the exit status is that of a shell, of `env` and of `timeout`."""

    exit_code = 126


class NotFoundError(click.ClickException):
    """There is no such program."""

    exit_code = 127


def command_of(target: Sequence[str], *, is_command: bool) -> list[str]:
    """The command that a target stands for, its program as an absolute path.

    Args:
        target: What to run, and its arguments.
        is_command: Whether it is a command and nothing else.

    Raises:
        click.ClickException: When there is no such command, file or module.
    """
    first, *arguments = target
    if is_command:
        hint = " here: a function stands without -- before it" if _is_function(first) else ""
        return [_executable(first, hint), *arguments]
    if first == "-m":
        if not arguments:
            raise click.UsageError("-m needs a module")
        _must_be_there(arguments[0])
        return [sys.executable, "-m", *arguments]
    if first.endswith(".py"):
        if not Path(first).is_file():
            raise click.UsageError(f"there is no file {click.format_filename(first)!r}")
        return [sys.executable, first, *arguments]
    if _is_function(first):
        _must_be_there(first.partition(":")[0])
        return [sys.executable, "-m", "otel_har.cli.call", first, *arguments]
    return [_executable(first, f". {_KINDS}"), *arguments]


def is_cut_off(command: Sequence[str]) -> str | None:
    """The option by which a Python is started that leaves out what begins the recording; None without one.

    `opentelemetry-instrument` gets into a Python by PYTHONPATH and `sitecustomize`
    (https://docs.python.org/3/using/cmdline.html#cmdoption-E, -I, -S).
    """
    if not re.fullmatch(r"python[\d.]*t?", Path(command[0]).name):
        return None
    words = iter(command[1:])
    for word in words:
        if not word.startswith("-") or word in {"-", "--"}:
            return None
        for place, letter in enumerate(word[1:] if not word.startswith("--") else ""):
            if letter in "EIS":
                return f"-{letter}"
            if letter in "cm":
                return None
            if letter in "WX":  # the rest is its value, or the next word
                if place == len(word) - len("-W"):
                    next(words, None)
                break
    return None


def _is_function(word: str) -> bool:
    module, _, attribute = word.partition(":")
    return bool(attribute) and all(name.isidentifier() for name in (*module.split("."), *attribute.split(".")))


def _must_be_there(module: str) -> None:
    """The first of a module's packages; what is within it, only its import can tell."""
    name = module.partition(".")[0]
    here = [] if os.environ.get("PYTHONSAFEPATH") else [str(Path.cwd())]
    try:
        found = PathFinder.find_spec(name, here) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise click.UsageError(f"there is no module {name!r}, neither here nor installed in {sys.prefix}")


def _executable(name: str, hint: str = "") -> str:
    path = shutil.which(name)
    if path is not None:
        return str(Path(path).absolute())
    shown = click.format_filename(name)
    if os.sep in name and Path(name).exists():
        raise NotExecutableError(f"{shown} cannot be executed")
    raise NotFoundError(f"there is no command {shown!r}{'' if os.sep in name else hint}")
