"""The settings: what each OTEL_PYTHON_HAR_* variable means, its range and its default.

The rule: parsed once, here. A bad value is told in one line that names it, and its default is used: a wrong setting
never stops the program that is to be recorded. An empty value is an unset one (OpenTelemetry specification,
"Environment Variable Specification").
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from otel_har import environment
from otel_har.export.batch_settings import BatchSettings
from otel_har.limits import DEFAULT_MAX_BODY_BYTES, DEFAULT_MAX_INITIATOR_FRAMES, DEFAULT_MAX_QUEUE_BYTES
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions, Params
from otel_har.pages import DEFAULT_MAX_PAGES

_BATCH = BatchSettings()
_A_DAY_MILLIS = 86_400_000


class HarSettings(BaseModel):
    """What a recording is made with. Field names are for code, aliases are the environment's."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, str_strip_whitespace=True)

    path: str | None = Field(None, alias=environment.OTEL_PYTHON_HAR)
    """The HAR file; without one nothing is recorded. `{pid}` in its name gives each process a file of its own."""
    append: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_APPEND)
    """Go on with the HAR file that is there, instead of starting it anew."""
    indent: int | None = Field(None, ge=0, le=16, alias=environment.OTEL_PYTHON_HAR_INDENT)
    """Spaces for each level of the file; without it each entry is one line."""
    max_body_bytes: int = Field(DEFAULT_MAX_BODY_BYTES, ge=0, alias=environment.OTEL_PYTHON_HAR_MAX_BODY_BYTES)
    """The most bytes kept of one body; 0 keeps none."""
    initiator_frames: int = Field(
        DEFAULT_MAX_INITIATOR_FRAMES, ge=0, le=100, alias=environment.OTEL_PYTHON_HAR_INITIATOR_FRAMES
    )
    """The most frames of the program's call stack that an entry has as its `_initiator`; 0 for none."""
    audit_events: bool = Field(default=True, alias=environment.OTEL_PYTHON_HAR_AUDIT_EVENTS)
    """Whether Python's audit events are listened to, which tell phases, heads as sent and repetitions of requests."""
    max_pages: int = Field(DEFAULT_MAX_PAGES, ge=1, alias=environment.OTEL_PYTHON_HAR_MAX_PAGES)
    """The most pages; traces beyond it share the page of the program's run."""
    params: Params = Field(DEFAULT_OPTIONS.params, alias=environment.OTEL_PYTHON_HAR_PARAMS)
    """When the fields of a form are written beside its text: `auto`, `always` or `never`."""
    signals: bool = Field(default=True, alias=environment.OTEL_PYTHON_HAR_SIGNALS)
    """Whether everything is written before SIGTERM or SIGHUP ends the program."""
    schedule_delay_millis: int = Field(
        int(_BATCH.schedule_delay_millis),
        ge=1,
        le=_A_DAY_MILLIS,
        alias=environment.OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY,
    )
    """The longest time between two writes, milliseconds."""
    max_queue_size: int = Field(_BATCH.max_queue_size, ge=1, alias=environment.OTEL_PYTHON_HAR_BSP_MAX_QUEUE_SIZE)
    """The most entries that wait to be written; further ones are dropped and counted."""
    max_queue_bytes: int = Field(DEFAULT_MAX_QUEUE_BYTES, ge=0, alias=environment.OTEL_PYTHON_HAR_BSP_MAX_QUEUE_BYTES)
    """The most bytes held at one time, in flight and waiting; beyond it bodies are left out, then entries."""
    max_export_batch_size: int = Field(
        _BATCH.max_export_batch_size, ge=1, alias=environment.OTEL_PYTHON_HAR_BSP_MAX_EXPORT_BATCH_SIZE
    )
    """The most entries of one write; as soon as so many wait, they are written."""
    export_timeout_millis: int = Field(
        int(_BATCH.export_timeout_millis),
        ge=1,
        le=_A_DAY_MILLIS,
        alias=environment.OTEL_PYTHON_HAR_BSP_EXPORT_TIMEOUT,
    )
    """How long writing at the program's end may take, milliseconds."""
    block_timeout_millis: int = Field(
        int(_BATCH.block_timeout_millis),
        ge=0,
        le=_A_DAY_MILLIS,
        alias=environment.OTEL_PYTHON_HAR_BSP_BLOCK_TIMEOUT,
    )
    """How long the program may wait for room before something of an entry is left out, milliseconds; 0: never."""

    @field_validator("params", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        """OpenTelemetry specification: values of an enumeration are read without regard to case."""
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def options(self) -> MappingOptions:
        """The form of the entries."""
        return MappingOptions(params=self.params)

    @property
    def batch(self) -> BatchSettings:
        """The settings of the batch processor."""
        return BatchSettings(
            max_queue_size=self.max_queue_size,
            schedule_delay_millis=self.schedule_delay_millis,
            max_export_batch_size=self.max_export_batch_size,
            export_timeout_millis=self.export_timeout_millis,
            block_timeout_millis=self.block_timeout_millis,
        )


def settings_from(environ: Mapping[str, str]) -> tuple[HarSettings, list[str]]:
    """Parse the variables.

    Returns:
        The settings, and one line for each variable whose value was not usable and has its default.
    """
    names = [field.alias for field in HarSettings.model_fields.values() if field.alias is not None]
    values = {name: environ[name] for name in names if environ.get(name, "").strip()}
    try:
        return HarSettings.model_validate(values), []
    except ValidationError as invalid:
        problems = [
            f"{name}={values.pop(name)!r} is ignored: {error['msg']}"
            for error in invalid.errors(include_url=False)
            if (name := str(error["loc"][0])) in values
        ]
    return HarSettings.model_validate(values), problems
