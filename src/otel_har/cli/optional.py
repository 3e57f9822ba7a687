"""Commands that need packages which the others do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["needing"]

_EXIT_USAGE = 2
_PACKAGES = ("aiohttp", "google", "grpc", "opentelemetry", "requests")


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say what to install where an import fails.

    Args:
        extra: This package's extra that has what is needed.

    Raises:
        click.exceptions.Exit: What is needed is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.partition(".")[0] not in _PACKAGES:
            raise
        click.echo(f"otel-har: this needs {name}: pip install 'otel-har[{extra}]'", err=True)
        raise click.exceptions.Exit(_EXIT_USAGE) from None
