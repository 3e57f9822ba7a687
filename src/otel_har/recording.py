"""The composition root: settings to a processor that records, and the ways to record from code.

The rule: this is the one place that knows which exporter, which processor and which limits belong together. What is
not given in code is as the environment's settings have it.
"""

from __future__ import annotations

import functools
import logging
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.trace import TracerProvider

from otel_har.budget import ByteBudget
from otel_har.errors import SettingError
from otel_har.export.batch import BatchHarProcessor
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarExporter, HarProcessor
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.export.simple import SimpleHarProcessor
from otel_har.filters import HarFilter
from otel_har.har.models import Har
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.processor import HarSpanProcessor
from otel_har.recorder import Recording
from otel_har.redaction.policy import RedactionPolicy
from otel_har.settings import HarSettings, settings_from

if TYPE_CHECKING:
    from typing_extensions import Unpack

MakeExporter = Callable[[], HarExporter]
Background = Literal["thread", "process"]

_logger = logging.getLogger("otel_har")
_A_DAY_SECONDS = 86_400


class RecordingOptions(TypedDict, total=False):
    """What every way to record from code takes. What is not given is as the environment's settings have it.

    Attributes:
        redaction: What is taken out of the entries.
        filter: Which exchanges become entries, and which bodies are kept.
        limits: How much of each body is kept, and of all of them together.
        mapping: The form of the entries.
        batch: Queue, delay and batch sizes.
        max_pages: The most pages; traces beyond it share the page of the program's run.
        title: Gives the title of that page; the command line by default.
        context_only: Record only what the task or thread does that starts the recording.
        tracer_provider: A provider that is no global one, whose spans are recorded too.
        signals: Write everything before SIGTERM or SIGHUP ends the program.
    """

    redaction: RedactionPolicy
    filter: HarFilter
    limits: CaptureLimits
    mapping: MappingOptions
    batch: BatchSettings
    max_pages: int
    title: Callable[[], str]
    context_only: bool
    tracer_provider: TracerProvider
    signals: bool


def record(*exporters: HarExporter | MakeExporter, **options: Unpack[RecordingOptions]) -> Recording:
    """A recording that hands its entries to exporters.

    Args:
        exporters: Where the entries go, to each of them: an exporter, which is shut down when the recording stops and
            so serves one run, or a callable that makes one for each run, such as a class.
        options: See `RecordingOptions`.

    Raises:
        SettingError: Without an exporter, and when a recording of exporters that were shut down is started again.
    """
    if not exporters:
        raise SettingError("record() needs an exporter")
    makers = [_once(exporter) if isinstance(exporter, HarExporter) else exporter for exporter in exporters]

    def make() -> HarExporter:
        made = [maker() for maker in makers]
        return made[0] if len(made) == 1 else CompositeHarExporter(*made)

    return _recording(Recording, make, options)


def _once(exporter: HarExporter) -> MakeExporter:
    """Give an exporter to one run."""
    left = [exporter]

    def make() -> HarExporter:
        if not left:
            raise SettingError(
                f"a recording of a {type(exporter).__qualname__} can be started once: give record() what makes one"
            )
        return left.pop()

    return make
