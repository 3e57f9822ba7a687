"""The options of the commands that know what is secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["policy_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def policy_options(function: _Command) -> _Command:
    """Add `--mode`, and `--header`, `--query`, `--field` and `--keep`, each to be given any number of times."""
    options = (
        ("--header", "headers", "A further header field whose value is secret."),
        ("--query", "queries", "A further query parameter whose value is secret."),
        ("--field", "fields", "A further field of bodies (JSON, forms, ...) whose value is secret."),
        ("--keep", "keep", "A name of any of these whose value is no secret."),
    )
    for option, name, text in reversed(options):
        function = click.option(option, name, multiple=True, metavar="NAME", help=text)(function)
    return click.option(
        "--mode",
        type=click.Choice(["default", "strict"]),
        default="default",
        show_default=True,
        help="strict: no bodies, no messages, no values of queries and cookies; of header fields the harmless only.",
    )(function)
