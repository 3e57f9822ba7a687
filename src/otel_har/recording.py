"""The ways to record from code: to a file, to a logger, to a model in memory, to any exporters.

The rule: what is not given in code is as the environment's settings have it, so that whoever runs a program can make
it redact more, or keep less.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.trace import TracerProvider

from otel_har.errors import SettingError
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.files import access
from otel_har.export.interfaces import HarExporter
from otel_har.export.keeping import Retention, Rotation
from otel_har.export.logger import LoggingHarExporter
from otel_har.export.memory import InMemoryHarExporter
from otel_har.export.model import to_har_model
from otel_har.export.process import BackgroundProcessHarExporter
from otel_har.filters import HarFilter
from otel_har.guard import warn_once
from otel_har.har.models import Har
from otel_har.limits import CaptureLimits
from otel_har.mapping.options import MappingOptions
from otel_har.pipeline import PipelineOptions, exporter_to_all, file_maker, span_processor
from otel_har.processor import HarSpanProcessor
from otel_har.recorder import MakeExporter, MakeProcessor, Recording, Scope
from otel_har.redaction.policy import RedactionPolicy
from otel_har.settings import HarSettings, settings_from

if TYPE_CHECKING:
    from typing_extensions import Unpack

Background = Literal["thread", "process"]

_BACKGROUNDS = ("thread", "process")
_SCOPE = Scope.__annotations__
_A_DAY_SECONDS = 86_400


class RecordingOptions(PipelineOptions, Scope, total=False):
    """What every way to record from code takes."""


_KINDS: dict[str, type] = {
    "redaction": RedactionPolicy,
    "filter": HarFilter,
    "limits": CaptureLimits,
    "mapping": MappingOptions,
    "batch": BatchSettings,
    "max_pages": int,
    "title": Callable,  # type: ignore[dict-item] # to isinstance it is one
    "context_only": bool,
    "tracer_provider": TracerProvider,
    "signals": bool,
}


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
    wrong = [one for one in exporters if not _is_exporter_or_callable(one)]
    if wrong:
        raise SettingError(
            f"record() takes exporters, and what makes one, not {wrong[0]!r}; record_to_file() takes paths"
        )
    makers = [_once(exporter) if isinstance(exporter, HarExporter) else exporter for exporter in exporters]

    def make() -> HarExporter:
        made: list[HarExporter] = []
        with ExitStack() as undoing:
            for maker in makers:
                made.append(_made(maker))
                undoing.callback(made[-1].shutdown)
            undoing.pop_all()
        return exporter_to_all(made)

    return Recording(make, _processors(options), **_scope(options))


def _is_exporter_or_callable(given: object) -> bool:
    return isinstance(given, HarExporter) or callable(given)


def _made(maker: MakeExporter) -> HarExporter:
    made = maker()
    if not isinstance(made, HarExporter):
        raise SettingError(f"{maker!r} gave {made!r}, which is no HarExporter")
    return made


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


def record_to_file(  # noqa: PLR0913 - what harlem's has, and what files have besides
    path: str | os.PathLike[str],
    indent: int | None = None,
    *,
    live: bool = False,
    interval_seconds: float | None = None,
    retention_seconds: float | None = None,
    in_background: Background | None = None,
    append: bool = False,
    retention: Retention | None = None,
    rotation: Rotation | None = None,
    **options: Unpack[RecordingOptions],
) -> FileRecording:
    """A recording to a HAR file, which is complete and valid at every moment.

    Started again it goes on with the file. By default entries are written once a second, and when it stops.

    Args:
        path: The file. One that ends in `.gz` is compressed, one in `.zip` has its bodies beside the entries.
        indent: Spaces for each level, 0 to 16; None for one line an entry.
        live: Write each exchange at once: it is in the file when its call returns; with `in_background` soon after.
        interval_seconds: Write so often, seconds, and when the recording stops; 0 or None: as the settings say.
        retention_seconds: Drop entries that are older, seconds. Implies `live` unless there is an interval.
        in_background: Who writes: a `thread`, or a `process` of its own; with `live` whoever made the request.
        append: Go on with the HAR file that is there, instead of starting it anew.
        retention: Drop entries by their age, their number or the file's size.
        rotation: Begin a new file by size or time.
        options: See `RecordingOptions`.

    Raises:
        SettingError: When one of these has an unusable value.
    """
    settings = _settings()
    writing = _Writing(
        live or settings.live, interval_seconds, retention_seconds, in_background or settings.in_background
    )
    make = _file(path, indent, append=append, retention=writing.retention(retention), rotation=rotation)
    return FileRecording(path, writing.exporters(make), _processors(options, writing), **_scope(options))


def _file(
    path: str | os.PathLike[str],
    indent: int | None,
    *,
    append: bool,
    retention: Retention | None,
    rotation: Rotation | None,
) -> MakeExporter:
    """What makes the exporter to the file, the same one for all runs."""
    settings = _settings()
    return file_maker(
        access.with_home(path).absolute(),
        indent=settings.indent if indent is None else indent,
        append=append or settings.append,
        recording=uuid.uuid4().hex,
        retention=retention or settings.retention,
        rotation=rotation or settings.rotation,
    )


def record_to_logger(
    logger: logging.Logger | logging.LoggerAdapter[Any] | str | None = None,
    level: int = logging.DEBUG,
    *,
    new_page_message: str | None = None,
    new_entry_message: str | None = None,
    in_background: Literal["thread"] | None = None,
    **options: Unpack[RecordingOptions],
) -> Recording:
    """A recording to a logger: a record for each page and entry, which has it as `har_page` or `har_entry`.

    `to_har_model` puts them together again. Each exchange is logged when it is complete, by whoever made it,
    or by another thread that is logging one at the time.

    Args:
        logger: The logger, or its name; `LoggingHarExporter` has one of its own.
        level: The level of the records.
        new_page_message: Their message for a page.
        new_entry_message: Their message for an entry.
        in_background: `thread`: log from a thread of its own, a moment later.
        options: See `RecordingOptions`.

    Raises:
        SettingError: When `in_background` is another value: the handlers of loggers are this process's.
    """
    if in_background not in {None, "thread"}:
        raise SettingError(f"in_background must be thread, or None, for a logger, not {in_background!r}")
    messages = {"new_page_message": new_page_message, "new_entry_message": new_entry_message}
    make = partial(LoggingHarExporter, logger, level, **{name: text for name, text in messages.items() if text})
    return Recording(make, _processors(options, _Writing(live=True, in_background=in_background)), **_scope(options))


def record_to_model(**options: Unpack[RecordingOptions]) -> ModelRecording:
    """A recording in memory, which gives what was recorded as the HAR model.

    Each exchange is in it when the call that made it returns. Started again it goes on.

    Args:
        options: See `RecordingOptions`.
    """
    return ModelRecording(_processors(options, _Writing(live=True)), **_scope(options))


class FileRecording(Recording):
    """A recording to a file.

    Args:
        path: The file that was asked for.
        make_exporter: Makes an exporter for one run.
        make_processor: Makes the pipeline to it.
        scope: Whom the recording is of.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        make_exporter: MakeExporter,
        make_processor: MakeProcessor,
        **scope: Unpack[Scope],
    ) -> None:
        super().__init__(make_exporter, make_processor, **scope)
        self._asked_path = access.with_home(path).absolute()

    @property
    def path(self) -> Path:
        """The file: where another recording was at work with that, it is one beside it."""
        path: Path | None = getattr(self.exporter, "path", None)
        return path or self._asked_path


class ModelRecording(Recording):
    """A recording in memory.

    Args:
        make_processor: Makes the pipeline of one run.
        scope: Whom the recording is of.
    """

    def __init__(self, make_processor: MakeProcessor, **scope: Unpack[Scope]) -> None:
        super().__init__(self._new_exporter, make_processor, **scope)
        self._exporters: list[InMemoryHarExporter] = []

    @property
    def har(self) -> Har:
        """Everything that was recorded by now, in the order of the runs."""
        pages = [page for exporter in self._exporters for page in exporter.pages]
        return to_har_model(pages, [entry for exporter in self._exporters for entry in exporter.entries])

    def _new_exporter(self) -> InMemoryHarExporter:
        self._exporters.append(InMemoryHarExporter())
        return self._exporters[-1]


@dataclass(frozen=True, slots=True)
class _Writing:
    """When entries are written, and by whom.

    Raises:
        SettingError: When one of these has an unusable value.
    """

    live: bool = False
    interval_seconds: float | None = None
    retention_seconds: float | None = None
    in_background: Background | None = None

    def __post_init__(self) -> None:
        if self.in_background is not None and self.in_background not in _BACKGROUNDS:
            raise SettingError(f"in_background must be one of {', '.join(_BACKGROUNDS)}, not {self.in_background!r}")
        seconds = self.interval_seconds
        if seconds is not None and not (_is_number(seconds) and 0 <= seconds <= _A_DAY_SECONDS):
            raise SettingError(f"interval_seconds must be between 0 and {_A_DAY_SECONDS}, not {seconds!r}")

    @property
    def is_live(self) -> bool:
        """Whether each exchange is written at once; so it is with a retention alone."""
        return self.live or (self.retention_seconds is not None and not self.interval_seconds)

    def retention(self, others: Retention | None) -> Retention | None:
        """Which entries the file keeps."""
        if self.retention_seconds is None:
            return others
        return replace(others or Retention(), max_age_seconds=self.retention_seconds)

    def exporters(self, make: MakeExporter) -> MakeExporter:
        """What makes the exporter of one run."""
        return partial(BackgroundProcessHarExporter, make) if self.in_background == "process" else make

    def batch(self, batch: BatchSettings) -> BatchSettings:
        """Settings for this."""
        if self.interval_seconds:
            batch = replace(batch, schedule_delay_millis=self.interval_seconds * 1_000)
        return replace(batch, max_export_batch_size=1) if self.is_live else batch


def _processors(options: RecordingOptions, writing: _Writing = _Writing()) -> MakeProcessor:
    """What makes the pipeline of one run to an exporter.

    Raises:
        TypeError: For an option that there is not.
    """
    for name, value in options.items():
        if name not in _KINDS:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(_KINDS))}")
        if not isinstance(value, _KINDS[name]):
            raise SettingError(f"{name} must be a {_KINDS[name].__name__}, not {value!r}")
    salt = os.urandom(32)  # of all runs: they may write one file

    def make(exporter: HarExporter) -> HarSpanProcessor:
        settings = _settings()
        own: PipelineOptions = {
            **_pipeline(options),
            "batch": writing.batch(options.get("batch", settings.batch)),
            "redaction": options.get("redaction") or settings.redaction(salt),
        }
        is_synchronous = writing.is_live and writing.in_background is None
        return span_processor(settings, exporter, is_synchronous=is_synchronous, **own)

    return make


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _settings() -> HarSettings:
    """The environment's settings; what is wrong with them is told."""
    settings, problems = settings_from(os.environ)
    if os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
        problems = [*problems, f"nothing is recorded: {OTEL_SDK_DISABLED} is set"]
    for problem in problems:
        warn_once(problem)  # recordings may begin with each call of a function
    return settings


def _pipeline(options: RecordingOptions) -> PipelineOptions:
    """The options that are the pipeline's."""
    return cast("PipelineOptions", {name: value for name, value in options.items() if name not in _SCOPE})


def _scope(options: RecordingOptions) -> Scope:
    """The options that say whom a recording is of."""
    return cast("Scope", {name: value for name, value in options.items() if name in _SCOPE})
