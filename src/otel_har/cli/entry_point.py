"""Starts the command, or says what is missing for it: click and ijson come with the extra `cli`."""

import sys

__all__ = ["main"]

_OPTIONAL_PACKAGES = frozenset({"click", "ijson"})
_EXIT_USAGE = 2


def main() -> None:
    """Run the command line of `sys.argv` and exit."""
    try:
        from otel_har.cli.app import app  # noqa: PLC0415 - so that a missing click is told, not a traceback
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL_PACKAGES:
            raise
        sys.stderr.write(f"otel-har: the command needs {error.name}: pip install 'otel-har[cli]'\n")
        sys.exit(_EXIT_USAGE)
    app(prog_name="otel-har")
