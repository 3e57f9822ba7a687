"""`OtlpHarExporter`: entries as events of OpenTelemetry, over OTLP.

The rule: nothing goes through the program's own pipelines. The records have no LoggerProvider: the global one would
bring payloads among the program's logs, and one of our own would cut attributes at
OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and know nothing of sizes and answers.

A batch may take several requests. When the receiver takes nothing of it, the processor is told so and keeps the
entries. When it takes some requests and then no more, the rest is held here and sent before the next batch, so that
nothing is sent twice. An answer that is lost leaves it open whether the request was taken: it is sent again, and the
receiver knows by its `otel_har.entry.id` an entry that came twice.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from opentelemetry import trace
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk.resources import Resource

from otel_har.errors import DestinationError, ExportError, SettingError
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult, HarStatistics
from otel_har.export.pacing import pause
from otel_har.export.sending.answers import Later
from otel_har.export.sending.limits import DEFAULT_MAX_REQUEST_BYTES, DEFAULT_MAX_SPOOL_BYTES, MIN_REQUEST_BYTES
from otel_har.export.sending.resource import redacted_resource
from otel_har.export.sending.sender import Records, Sender, entries_in
from otel_har.export.sending.settings import connection_from
from otel_har.export.sending.spool import Spool
from otel_har.export.sending.transport import transport_of
from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.har.models import Entry, Page
from otel_har.otlp.event import entry_event, page_event, statistics_event
from otel_har.otlp.logs import Origin, log_record
from otel_har.redaction.policy import Mode, RedactionPolicy
from otel_har.redaction.redactor import Redactor
from otel_har.version import __version__

_MAX_SPOOL_SENDING_S = 10.0  # in one export: meanwhile entries wait
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 2.0  # between two tries of a flush
_FIRST_REST_S, _MAX_REST_S = 1.0, 30.0  # of a receiver that takes nothing, while requests go into the spool

_logger = logging.getLogger("otel_har")


class OtlpHarExporter(HarExporter):
    """Sends each entry as an event `otel_har.entry` to a receiver of OTLP: a collector, or `otel-har receive`.

    What is not given here the variables OTEL_EXPORTER_OTLP_LOGS_* and OTEL_EXPORTER_OTLP_* say. An entry that is larger
    than a request may be goes in parts. A forked child sends over a connection of its own.

    Args:
        protocol: `http/protobuf`, the default, or `grpc`. A program that forks does better with the former: gRPC has
            threads, which no fork takes along.
        endpoint: The URL, for HTTP with its path.
        headers: Sent with each request, beside those of the variables.
        timeout_millis: How long one request may take, milliseconds.
        max_request_bytes: The most bytes of a request, before compression. Of a receiver that refuses such a request as
            too large a smaller limit is learned.
        with_bodies: Whether bodies are also attributes of their own, `http.request.body.content` and
            `http.response.body.content`; they are sent twice then.
        resource: What the entries are of; that of the global tracer provider by default.
        redaction: What is taken out of the resource; by default what the rules take that the entries were redacted by.
        recording: Tells the recording from all others; a random one by default.
        spool: A directory where requests wait that the receiver does not take, beyond the end of the process, too.
            Several processes may share it.
        max_spool_bytes: The most bytes there; beyond it the oldest requests go.

    Raises:
        SettingError: Something of it cannot be used.
        ExportError: There can be no spool.
    """

    def __init__(  # noqa: PLR0913 - what a program may choose
        self,
        *,
        protocol: str | None = None,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_millis: float | None = None,
        max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES,
        with_bodies: bool = False,
        resource: Resource | None = None,
        redaction: RedactionPolicy | None = None,
        recording: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        max_spool_bytes: int = DEFAULT_MAX_SPOOL_BYTES,
    ) -> None:
        if max_request_bytes < MIN_REQUEST_BYTES:
            raise SettingError(f"a request of {max_request_bytes} bytes is too small: at least {MIN_REQUEST_BYTES}")
        connection = connection_from(
            protocol=protocol, endpoint=endpoint, headers=headers, timeout_millis=timeout_millis
        )
        self._connection = connection
        self._transport = transport_of(connection)
        self._sender = Sender(self._transport, max_request_bytes, connection.timeout_s)
        self._with_bodies = with_bodies
        self._resource = resource
        self._redaction = redaction
        self._mode: Mode = "default"  # of what was exported last
        self._origins: dict[str, Origin] = {}
        self._recording = recording or uuid.uuid4().hex
        self._spool = None if spool is None else Spool(spool, max_spool_bytes)
        self._shut_down = False
        self._pages: dict[str, Page] = {}
        self._sent_pages: dict[str, Page] = {}
        self._start_afresh()
        call_in_forked_child(self._start_afresh)

    def _start_afresh(self) -> None:
        """A child sends nothing of what its parent holds, and not over its parent's connection."""
        self._transport.forget()
        self._held: Records = deque()
        self._untold = HarStatistics()  # what was lost here
        self._lost_until_flush = 0
        self._lost_so_far = 0
        self._counted = self._sender.lost_entries
        self._rest_s = self._rests_until = 0.0

    def export(self, batch: HarBatch) -> HarExportResult:
        """Send the batch, or keep it in the spool.

        Raises:
            DestinationError: The receiver takes nothing for now.
            ExportError: It refused all of the batch for good.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        self._mode = cast("Mode", batch.redaction) if batch.redaction in {"default", "strict"} else "none"
        if self._spool is None:
            self._send_held()
        elif self._held:
            self._keep(self._spool, self._held)
        pages = {**self._pages, **{page.id: page for page in batch.pages}}
        untold = self._untold
        records, unbuilt = self._records(batch, pages)
        if self._spool is None:
            self._send_new(records)
        else:
            self._send_or_keep(self._spool, records)
        self._pages = pages
        carried = {entry.pageref for entry in batch.entries}
        self._sent_pages |= {name: page for name, page in pages.items() if name in carried or name in self._sent_pages}
        self._untold -= untold
        self._note_losses(unbuilt)
        return HarExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> bool:
        """Send what is held here and, when it is this process's turn, what is in the spool.

        What is held is tried again until the time is over; what is in the spool is safe, and tried once.

        Returns:
            False when not everything was sent, and when something was refused for good or dropped since the last flush.
        """
        if self._shut_down:
            return False
        self._tell_untold()
        is_sent = self._drained(time.monotonic() + timeout_millis / 1000)
        self._note_losses()
        lost, self._lost_until_flush = self._lost_so_far - self._lost_until_flush, self._lost_so_far
        return is_sent and not lost

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:
        """Send what is held, within the time, or leave it in the spool; close the connection. Idempotent.

        Raises:
            ExportError: Some of it could be neither sent nor left there.
        """
        if self._shut_down:
            return
        self._shut_down = True
        self._tell_untold()
        end = time.monotonic() + timeout_millis / 1000
        try:
            if self._spool is None:
                self._drained(end)
            elif self._held:
                if time.monotonic() >= self._rests_until:
                    self._sender.send(self._held, self._origin(), end)
                self._keep(self._spool, self._held)
        finally:
            self._transport.close()
            self._note_losses()
        if self._held:
            raise ExportError(f"{entries_in(self._held)} entries were not sent to {self._connection.shown}")

    def _tell_untold(self) -> None:
        """What was lost here and no batch will tell any more."""
        if self._untold:
            self._held.append(_statistics_record(self._untold))
            self._untold = HarStatistics()

    def _send_held(self) -> None:
        if self._held:
            later = self._sender.send(self._held, self._origin())
            self._note_losses()
            if later is not None:
                raise DestinationError(f"{self._connection.shown} takes nothing for now: {later.message}")

    def _send_new(self, records: Records) -> None:
        """Send the records of a batch, all or, once some are taken, hold the rest."""
        sender, has_records = self._sender, bool(records)
        taken, lost = sender.taken_records, sender.lost_entries
        later = sender.send(records, self._origin())
        has_taken = sender.taken_records > taken
        if later is not None and not has_taken and sender.lost_entries == lost:
            raise DestinationError(f"{self._connection.shown} takes nothing for now: {later.message}")
        if later is None and has_records and not has_taken:
            self._counted = sender.lost_entries  # the processor counts them
            self._lost_so_far += sender.lost_entries - lost
            raise ExportError(f"{self._connection.shown} refused the entries: {sender.fault}")
        self._held = records

    def _send_or_keep(self, spool: Spool, records: Records) -> None:
        """Send what waits in the spool and then the records; what is not taken goes into the spool."""
        end = time.monotonic() + _MAX_SPOOL_SENDING_S
        before = self._sender.taken_records
        if time.monotonic() >= self._rests_until and self._send_spool(spool, end):
            self._rest(self._sender.send(records, self._origin(), end))
        fault = self._kept(spool, records)
        if fault is not None and self._sender.taken_records == before:
            raise _for_now(f"neither {self._connection.shown} nor the spool takes anything", fault)
        self._held = records

    def _keep(self, spool: Spool, records: Records) -> None:
        fault = self._kept(spool, records)
        if fault is not None:
            raise _for_now("the spool takes nothing", fault)

    def _kept(self, spool: Spool, records: Records) -> OSError | None:
        """Put records into the spool; the fault for which some are not."""
        try:
            for data, entries in self._sender.laid_out(records, self._origin()):
                self._count_dropped(spool.put(data, entries))
        except OSError as fault:
            return fault
        return None

    def _send_spool(self, spool: Spool, end: float) -> bool:
        """Whether nothing of the spool goes before what is sent next: all was sent, or another process does that."""
        if not spool.names():
            return True
        with spool.turn() as is_ours:
            return not is_ours or all(self._is_sent(spool, name, end) for name in spool.names())

    def _is_sent(self, spool: Spool, name: str, end: float) -> bool:
        if time.monotonic() >= end:
            return False
        try:
            data = spool.read(name)
            rest = self._sender.send_again(data, end) if data is not None else b""
            if rest and rest != data:
                spool.replace(name, rest)
        except OSError as fault:
            _say(f"the spool cannot be read or written: {fault}")
            return False
        if rest:
            self._rest(Later("it takes nothing of the spool"))
            return False
        if data is not None:
            spool.remove(name)
        return True

    def _rest(self, later: Later | None) -> None:
        """Ask a receiver less and less often that takes nothing: what comes meanwhile is safe in the spool."""
        self._rest_s = 0.0 if later is None else min(max(_FIRST_REST_S, 2 * self._rest_s), _MAX_REST_S)
        self._rests_until = time.monotonic() + self._rest_s

    def _drained(self, end: float) -> bool:
        """Whether nothing is left here, trying until then, or in the spool, where it is safe: that is tried once."""
        pause_s = _FIRST_PAUSE_S
        while not self._tried(end):
            if self._spool is not None:
                return False
            left_s = end - time.monotonic()
            asked_s = self._sender.not_before - time.monotonic()
            if left_s <= pause_s or asked_s > left_s:
                return False
            threading.Event().wait(max(pause_s, asked_s))
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)
        return True

    def _tried(self, end: float) -> bool:
        if self._sender.send(self._held, self._origin(), end) is not None:
            return False
        if self._spool is None or not self._spool.names():
            return True
        is_sent = self._send_spool(self._spool, end) and not self._spool.names()
        if is_sent:
            self._rest(None)
        return is_sent

    def _count_dropped(self, entries: int) -> None:
        if entries:
            self._untold += HarStatistics(dropped_entries=entries)
            self._lost_so_far += entries

    def _note_losses(self, unbuilt: int = 0) -> None:
        """Count what was refused for good, for the next batch's event to tell, and say it."""
        refused, self._counted = self._sender.lost_entries - self._counted, self._sender.lost_entries
        if refused or unbuilt:
            self._untold += HarStatistics(failed_entries=refused + unbuilt)
            self._lost_so_far += refused + unbuilt
        if refused:
            _say(f"{refused} entries were refused by {self._connection.shown}: {self._sender.fault}")

    def _origin(self) -> Origin:
        found = self._origins.get(self._mode)
        if found is None:
            found = self._origins[self._mode] = self._origin_by(self._redaction or RedactionPolicy(self._mode))
        return found

    def _origin_by(self, policy: RedactionPolicy) -> Origin:
        if self._resource is None:
            found = getattr(trace.get_tracer_provider(), "resource", None)
            self._resource = found if isinstance(found, Resource) else Resource.create()
        resource = self._resource
        attributes = redacted_resource(resource.attributes, Redactor(policy))
        return Origin(attributes, resource.schema_url, scope_version=__version__, recording=self._recording)

    def _records(self, batch: HarBatch, pages: Mapping[str, Page]) -> tuple[Records, int]:
        """The records of a batch, and how many entries cannot be one."""
        now = time.time_ns()
        records: Records = deque()
        unbuilt = 0
        for entry in batch.entries:
            page = pages.get(entry.pageref) if entry.pageref is not None else None
            record = _entry_record(entry, page, batch.redaction, self._with_bodies, now)
            if record is None:
                unbuilt += 1
            else:
                records.append(record)
            pause()
        carried = {entry.pageref for entry in batch.entries}
        for page in batch.pages:
            if page.id not in carried and self._sent_pages.get(page.id, page) != page:
                records.append(log_record(page_event(page, redaction=batch.redaction), now))
        told = batch.statistics + self._untold
        if told:
            records.append(_statistics_record(told))
        return records, unbuilt


def _statistics_record(told: HarStatistics) -> LogRecord:
    now = time.time_ns()
    return log_record(statistics_event(asdict(told), now), now)


def _for_now(message: str, fault: OSError) -> DestinationError:
    error = DestinationError(f"{message} for now: {fault.strerror or fault}")
    error.errno = fault.errno
    return error


@guarded("making an event of an entry")
def _entry_record(
    entry: Entry, page: Page | None, redaction: str | None, with_bodies: bool, now_unix_ns: int
) -> LogRecord:
    event = entry_event(entry, page, redaction=redaction, with_bodies=with_bodies)
    return log_record(event, now_unix_ns)


@guarded("logging")
def _say(text: str) -> None:
    _logger.error("otel-har: %s", text)
