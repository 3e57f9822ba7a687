"""The commands of `otel-har`, one module each."""

import click

from otel_har.cli.check import check
from otel_har.cli.convert import convert
from otel_har.cli.receive import receive
from otel_har.cli.record import record
from otel_har.cli.redact import redact
from otel_har.cli.repair import repair
from otel_har.version import __version__

__all__ = ["app"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-har")
def app() -> None:
    """Record a program's HTTP traffic as a HAR 1.2 file, and work with such files."""


app.add_command(record)
app.add_command(check)
app.add_command(convert)
app.add_command(receive)
app.add_command(redact)
app.add_command(repair)
