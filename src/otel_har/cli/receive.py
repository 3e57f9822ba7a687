"""`otel-har receive`: the options of the OTLP receiver that writes HAR files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from otel_har.cli.optional import needing

__all__ = ["receive"]

_SPLITS = ["service", "host", "trace", "day"]
_path = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("output", metavar="[OUT]", required=False)
@click.option("--listen", "listen", multiple=True, metavar="[grpc://|http://]HOST:PORT", help="Any number of times.")
@click.option("--split", type=click.Choice(_SPLITS), help="A file for each of these.")
@click.option("--exporter", "exporters", default="file", show_default=True, metavar="NAMES", help="Where entries go.")
@click.option("--new", "is_new", is_flag=True, help="Begin the files anew, instead of going on with those there are.")
@click.option("--spans", "with_spans", is_flag=True, help="HTTP client spans are entries, too, without bodies.")
@click.option("--max-age", type=float, metavar="SECONDS", help="Drop entries that are older from the file.")
@click.option("--max-entries", type=int, metavar="NUMBER", help="Drop the oldest entries beyond so many.")
@click.option("--rotate-bytes", type=int, metavar="BYTES", help="Begin the file anew before it is larger.")
@click.option("--rotate-seconds", type=float, metavar="SECONDS", help="Begin the file anew when it is older.")
@click.option("--max-message-mib", type=click.IntRange(1), default=64, show_default=True, help="Of one request.")
@click.option("--max-queue-mib", type=click.IntRange(1), default=256, show_default=True, help="Of those that wait.")
@click.option("--token-file", type=_path, help="The bearer token that senders need; or OTEL_HAR_RECEIVE_TOKEN.")
@click.option("--tls-cert", type=_path, help="The certificate, PEM.")
@click.option("--tls-key", type=_path, help="Its key, PEM.")
@click.option("--tls-client-ca", type=_path, help="Whose certificates senders must have, PEM.")
def receive(**options: Any) -> None:
    """Take entries over OTLP, from programs or from an OpenTelemetry Collector, and write HAR files.

    OUT is the file; its name may have fields: {service.name} or any other attribute of the resource, {trace_id}, {day}.
    Without --listen it is gRPC at 127.0.0.1:4317 and HTTP at 127.0.0.1:4318. SIGTERM or Ctrl-C ends it.

    Exit status: 0 ended when asked to, 1 not all that was taken could be delivered, 2 wrong usage, or a place or an
    address that cannot be had.
    """
    with needing("receive"):
        from otel_har.cli.receiving import run  # noqa: PLC0415 - the other commands do without its packages
    run(**options)
