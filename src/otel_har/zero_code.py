"""What `opentelemetry-instrument` calls: recording without a line in the program.

The rule: nothing here may stop the program or the rest of its instrumentation, or take from the program what it has of
OpenTelemetry. Without `--har` nothing happens.
"""

from __future__ import annotations

import atexit
import hmac
import logging
import os
import uuid
from pathlib import Path

from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from otel_har.capture.audit_events import call_before_exec
from otel_har.dispatch import DISPATCHER, watch_global_provider
from otel_har.environment import OTEL_PYTHON_HAR, OTEL_PYTHON_HAR_EXPORTER, RUN, RUN_DIRECTORY, RUN_PROCESS, SALT
from otel_har.errors import OtelHarError
from otel_har.export.files import access
from otel_har.export.interfaces import HarExporter
from otel_har.forking import call_at_exit_of_multiprocessing_children
from otel_har.guard import guarded
from otel_har.instrumentor import HOOKS, instrument_anew
from otel_har.pipeline import exporter_of, exporter_to_all, span_processor
from otel_har.processor import HarSpanProcessor
from otel_har.settings import HarSettings, settings_from
from otel_har.signals import DEFAULT_SIGNAL_TIMEOUT_MILLIS, shut_down_on_signals

_logger = logging.getLogger("otel_har")


_recording: HarSpanProcessor | None = None


@guarded("starting the recording")
def post_instrument() -> None:
    """The entry point `opentelemetry_post_instrument`: everything is instrumented; hook what can be recorded."""
    global _recording  # noqa: PLW0603 - the entry points are functions, and a process has one recording
    asked_path = os.environ.get(OTEL_PYTHON_HAR, "").strip()
    HOOKS.is_auto_instrumented = True
    is_asked_for = asked_path or os.environ.get(OTEL_PYTHON_HAR_EXPORTER, "").strip()
    if not is_asked_for or _recording is not None:
        return
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        _logger.warning("otel-har: nothing is recorded: %s is set", OTEL_SDK_DISABLED)
        return
    settings, problems = settings_from(os.environ)
    for problem in problems:
        _logger.warning("otel-har: %s", problem)
    if asked_path:
        # The same file to children that work in another directory.
        path = str(Path(os.environ.pop(RUN_DIRECTORY, ""), access.with_home(asked_path)).absolute())
        settings = settings.model_copy(update={"path": path})
    exporter = _exporter(settings)
    if exporter is None:
        return
    if settings.path is not None:
        os.environ[OTEL_PYTHON_HAR] = settings.path
    # Not that of another recording within the run: a command that the program starts may record to its own file.
    salt = os.environ.setdefault(SALT, os.urandom(32).hex()).encode()
    redaction = settings.redaction(hmac.digest(salt, os.fsencode(settings.path or ""), "sha256"))
    processor = span_processor(settings, exporter, redaction=redaction)
    _recording = processor
    atexit.register(processor.shutdown)
    call_at_exit_of_multiprocessing_children(processor, HarSpanProcessor.shutdown)
    if settings.signals:
        shut_down_on_signals(processor, min(settings.export_timeout_millis, DEFAULT_SIGNAL_TIMEOUT_MILLIS))
    call_before_exec(_FlushBeforeExec(processor, min(settings.export_timeout_millis, DEFAULT_SIGNAL_TIMEOUT_MILLIS)))
    DISPATCHER.add(processor)
    watch_global_provider()
    instrument_anew()


def _exporter(settings: HarSettings) -> HarExporter | None:
    """Where the entries go. What cannot be had is told, and the rest is used."""
    if settings.path is not None and "file" not in {name.lower() for name in settings.exporters}:
        names = ",".join(settings.exporters)
        _logger.warning(
            "otel-har: %s is not written: %s=%s does not name file", settings.path, OTEL_PYTHON_HAR_EXPORTER, names
        )
    run = os.environ.setdefault(RUN, uuid.uuid4().hex)
    made: list[HarExporter] = []
    for name in dict.fromkeys(settings.exporters):
        try:
            made.append(exporter_of(name, settings, recording=run, first_process=_first_process()))
        except OtelHarError as fault:
            _logger.error("otel-har: nothing is recorded to %s: %s", name, fault)  # noqa: TRY400 - one line for a user
    return exporter_to_all(made) if made else None


def _first_process() -> int:
    number = os.environ.setdefault(RUN_PROCESS, str(os.getpid()))
    return int(number) if number.isdecimal() else os.getpid()


class _FlushBeforeExec:
    """Writes what waits before this process becomes another program, as reloaders make it one.

    A forked child that is about to do that has nothing of its own, and its caller waits for it. After a destination
    that took nothing the next exec is not delayed: a program is looked for with one call after the other.
    """

    def __init__(self, processor: HarSpanProcessor, timeout_millis: int) -> None:
        self._processor = processor
        self._timeout_millis = timeout_millis
        self._process = os.getpid()
        self._has_failed = False

    def __call__(self) -> None:
        if os.getpid() == self._process and not self._has_failed:
            self._has_failed = not self._processor.force_flush(self._timeout_millis)
