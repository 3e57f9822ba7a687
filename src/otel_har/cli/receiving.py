"""What `otel-har receive` does with its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from otel_har.cli.check import count
from otel_har.errors import OtelHarError, SettingError
from otel_har.export.interfaces import HarExporter
from otel_har.export.keeping import Retention, Rotation
from otel_har.pipeline import exporter_of, exporter_to_all, file_maker
from otel_har.receive.addresses import DEFAULT_ADDRESSES, Address, address_of
from otel_har.receive.certificates import Certificates
from otel_har.receive.destinations import Destinations, FileDestinations, OneDestination, check_directory
from otel_har.receive.naming import NameTemplate
from otel_har.receive.receiver import Receiver, ReceiverSettings
from otel_har.receive.sizes import MEBIBYTE, Sizes
from otel_har.settings import HarSettings

__all__ = ["run"]

_EXIT_LOST = 1
_EXIT_UNUSABLE = 2
TOKEN_VARIABLE = "OTEL_HAR_RECEIVE_TOKEN"  # noqa: S105 - a name


def run(  # noqa: PLR0913 - one for each option
    output: str | None,
    *,
    listen: tuple[str, ...],
    split: str | None,
    exporters: str,
    is_new: bool,
    with_spans: bool,
    max_age: float | None,
    max_entries: int | None,
    rotate_bytes: int | None,
    rotate_seconds: float | None,
    max_message_mib: int,
    max_queue_mib: int,
    token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
) -> None:
    """Receive until asked to end; the arguments are the command's options.

    Raises:
        click.exceptions.Exit: With the command's status, where that is not 0.
    """
    try:
        addresses = [address_of(text) for text in listen] or DEFAULT_ADDRESSES
        certificates = _certificates(tls_cert, tls_key, tls_client_ca)
        sizes = Sizes(message_bytes=max_message_mib * MEBIBYTE, queue_bytes=max_queue_mib * MEBIBYTE)
        settings = ReceiverSettings(addresses, _token(token_file), certificates, sizes, with_spans)
        keeping = _keeping(max_age, max_entries, rotate_bytes, rotate_seconds)
        receiver = Receiver(_destinations(output, split, exporters, keeping, append=not is_new), settings)
        _say_who_may_send(settings)
        is_done = receiver.run(_say_where)
    except (OtelHarError, OSError) as fault:
        raise _usage(fault) from None
    click.echo(f"otel-har: {_summary(receiver)}", err=True)
    if not is_done or receiver.tally.failed_entries:
        raise click.exceptions.Exit(_EXIT_LOST)


def _usage(fault: Exception) -> click.exceptions.Exit:
    click.echo(f"otel-har: {fault}", err=True)
    return click.exceptions.Exit(_EXIT_UNUSABLE)


_Keeping = tuple[Retention | None, Rotation | None]


def _keeping(
    max_age: float | None, max_entries: int | None, rotate_bytes: int | None, rotate_seconds: float | None
) -> _Keeping:
    is_rotated = rotate_bytes is not None or rotate_seconds is not None
    return (
        Retention(max_age, max_entries) or None,
        Rotation(rotate_bytes, rotate_seconds) if is_rotated else None,
    )


def _destinations(
    output: str | None, split: str | None, exporters: str, keeping: _Keeping, *, append: bool
) -> Destinations:
    """Where entries go."""
    retention, rotation = keeping
    names = [name.strip() for name in exporters.split(",") if name.strip()]

    def to_file(path: Path, append_to_it: bool) -> HarExporter:
        return file_maker(path, append=append_to_it, retention=retention, rotation=rotation)()

    if names == ["file"]:
        if output is None:
            raise SettingError("there must be an OUT")
        template = NameTemplate(output, split)
        check_directory(template.path({}, None))
        files = FileDestinations(template, to_file, append=append)
        if not template.fields:
            files.destination(files.name({}, None))  # what is wrong with it is told at once
        return files
    if split is not None or (output is not None and NameTemplate(output).fields):
        raise SettingError("only files can be split")
    made: list[HarExporter] = []
    for name in names:
        if name == "file":
            if output is None:
                raise SettingError("the exporter file needs an OUT")
            made.append(to_file(Path(output), append))
        else:
            made.append(exporter_of(name, HarSettings()))
    if not made:
        raise SettingError("no exporter is named")
    return OneDestination(exporter_to_all(made))


def _token(path: Path | None) -> str | None:
    """The token; not an argument, which others could see in the list of processes."""
    token = os.environ.get(TOKEN_VARIABLE) if path is None else path.read_text("utf-8").strip()
    if token is not None and not token:
        raise SettingError(f"the token is empty: {path or TOKEN_VARIABLE}")
    return token


def _certificates(certificate: Path | None, key: Path | None, client_authority: Path | None) -> Certificates | None:
    if certificate is None and key is None and client_authority is None:
        return None
    if certificate is None or key is None:
        raise SettingError("TLS needs --tls-cert and --tls-key")
    made = Certificates(certificate, key, client_authority)
    made.for_http()  # what is wrong with the files is told at once
    return made


def _say_who_may_send(settings: ReceiverSettings) -> None:
    outside = [str(address) for address in settings.addresses if not address.is_loopback]
    if outside and settings.token is None and not (settings.certificates and settings.certificates.client_authority):
        where = ", ".join(outside)
        click.echo(f"otel-har: whoever reaches {where} may send entries: there is no token (--token-file)", err=True)


def _say_where(addresses: Sequence[Address]) -> None:
    click.echo(f"otel-har: listening at {' '.join(map(str, addresses))}", err=True)
    sys.stderr.flush()


def _summary(receiver: Receiver) -> str:
    tally = receiver.tally
    said = f"{count(tally.entries, 'entry', 'entries')} in {count(tally.messages, 'request')}"
    lost = tally.statistics.dropped_entries + tally.statistics.failed_entries
    others = (
        (tally.duplicates, "came twice"),
        (tally.failed_entries, "failed"),
        (lost, "were lost by senders"),
        (tally.foreign_records, "records of others"),
        (tally.refused, "requests refused"),
    )
    return ", ".join([said, *(f"{number} {what}" for number, what in others if number)])
