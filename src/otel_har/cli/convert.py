"""`otel-har convert`: the options of what makes HAR of OTLP, and OTLP of HAR."""

from __future__ import annotations

from typing import Any

import click

from otel_har.cli.optional import needing

__all__ = ["convert"]


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.argument("output", metavar="OUT", type=click.Path(allow_dash=True))
@click.option("--to", "form", type=click.Choice(["har", "otlp"]), help="What OUT is to be; by default what IN is not.")
@click.option("--trace", "traces", multiple=True, metavar="ID", help="Only entries of this trace, any number of times.")
@click.option("--no-spans", is_flag=True, help="No entries of spans that no event tells of.")
@click.option("--resource", "attributes", multiple=True, metavar="NAME=VALUE", help="Of what HAR files are, in OTLP.")
def convert(**options: Any) -> None:
    """Make HAR of OTLP, or OTLP of HAR.

    IN and OUT are paths, or - for standard input and output. IN is HAR, or OTLP as JSON or protobuf, such as the
    OpenTelemetry Collector's file exporter writes them: events with entries, and traces, of which HTTP client spans
    become entries without bodies. Each may be gzip; what it is its content tells. OUT is HAR, packed where its name
    ends in .gz or .zip, or OTLP's JSON, or a collector: otlp+http://HOST:4318, otlp+https://..., otlp+grpc://HOST:4317.

    Exit status: 0 done, 1 IN is broken, or not all of it could be converted or was taken, 2 wrong usage or a file that
    cannot be read or written.
    """
    with needing("receive"):
        from otel_har.cli.converting import run  # noqa: PLC0415 - the other commands do without its packages
    run(**options)
