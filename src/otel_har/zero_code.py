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
from collections.abc import Callable
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from otel_har.capture.audit_events import call_before_exec
from otel_har.environment import OTEL_PYTHON_HAR, RUN, RUN_DIRECTORY, RUN_PROCESS, SALT
from otel_har.errors import OtelHarError
from otel_har.export.files import access
from otel_har.forking import call_at_exit_of_multiprocessing_children
from otel_har.guard import guarded
from otel_har.instrumentor import instrument_anew
from otel_har.processor import HarSpanProcessor
from otel_har.recording import span_processor
from otel_har.settings import settings_from
from otel_har.shared_provider import SharedTracerProvider
from otel_har.signals import DEFAULT_SIGNAL_TIMEOUT_MILLIS, shut_down_on_signals

_logger = logging.getLogger("otel_har")


_recording: HarSpanProcessor | None = None


@guarded("starting the recording")
def post_instrument() -> None:
    """The entry point `opentelemetry_post_instrument`: everything is instrumented; hook what can be recorded."""
    global _recording  # noqa: PLW0603 - the entry points are functions, and a process has one recording
    asked_path = os.environ.get(OTEL_PYTHON_HAR, "").strip()
    if not asked_path or _recording is not None:
        return
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        _logger.warning("otel-har: nothing is recorded: %s is set", OTEL_SDK_DISABLED)
        return
    settings, problems = settings_from(os.environ)
    for problem in problems:
        _logger.warning("otel-har: %s", problem)
    path = str(Path(os.environ.pop(RUN_DIRECTORY, ""), access.with_home(asked_path)).absolute())
    run = os.environ.setdefault(RUN, uuid.uuid4().hex)
    salt = os.environ.setdefault(SALT, os.urandom(32).hex())
    try:
        processor = span_processor(
            settings.model_copy(update={"path": path}),
            recording=run,
            first_process=_first_process(),
            # Not that of another recording within the run: a command that the program starts may record to its own.
            salt=hmac.digest(salt.encode(), os.fsencode(path), "sha256"),
        )
    except OtelHarError as fault:
        _logger.error("otel-har: nothing is recorded: %s", fault)  # noqa: TRY400 - one line for a user, no traceback
        return
    os.environ[OTEL_PYTHON_HAR] = path  # the same file to children that work in another directory
    _recording = processor
    atexit.register(processor.shutdown)
    call_at_exit_of_multiprocessing_children(processor, HarSpanProcessor.shutdown)
    if settings.signals:
        shut_down_on_signals(processor, min(settings.export_timeout_millis, DEFAULT_SIGNAL_TIMEOUT_MILLIS))
    call_before_exec(_FlushBeforeExec(processor, min(settings.export_timeout_millis, DEFAULT_SIGNAL_TIMEOUT_MILLIS)))
    _watch(processor)
    instrument_anew()


def _watch(processor: HarSpanProcessor) -> None:
    """Add the processor to the program's provider, now or when it sets one."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        own = TracerProvider(shutdown_on_exit=False)
        atexit.register(own.shutdown)  # of the processors that the program may add to it
        own.add_span_processor(_Lent(processor))
        SharedTracerProvider(own, on_adopted=lambda adopted: _attach(processor, adopted)).make_global()
    else:
        _attach(processor, provider)


def _first_process() -> int:
    number = os.environ.setdefault(RUN_PROCESS, str(os.getpid()))
    return int(number) if number.isdecimal() else os.getpid()


def _attach(processor: HarSpanProcessor, provider: trace.TracerProvider) -> None:
    """Add the processor. Not only the SDK's own class takes one: other distributions wrap that."""
    add_span_processor: Callable[[SpanProcessor], None] | None = getattr(provider, "add_span_processor", None)
    if add_span_processor is not None:
        add_span_processor(_Lent(processor))
    else:
        _logger.warning(
            "otel-har: nothing is recorded from here on: %s takes no span processors", type(provider).__qualname__
        )


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


class _Lent(SpanProcessor):
    """The recording's processor as a provider has it: the provider's end is not the recording's."""

    def __init__(self, processor: HarSpanProcessor) -> None:
        self._processor = processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self._processor.on_end(span)

    def shutdown(self) -> None:
        self._processor.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._processor.force_flush(timeout_millis)
