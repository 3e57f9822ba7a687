"""The settings: what each OTEL_PYTHON_HAR_* variable means, its range and its default.

The rule: parsed once, here. A bad value is told in one line that names it, and its default is used: a wrong setting
never stops the program that is to be recorded. An empty value is an unset one (OpenTelemetry specification,
"Environment Variable Specification").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from opentelemetry.util.http import OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from otel_har import environment
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.keeping import DEFAULT_ROTATED_FILES, Retention, Rotation
from otel_har.export.sending.limits import DEFAULT_MAX_REQUEST_BYTES, DEFAULT_MAX_SPOOL_BYTES, MIN_REQUEST_BYTES
from otel_har.filters import HarFilter
from otel_har.har.models import Entry
from otel_har.limits import DEFAULT_MAX_BODY_BYTES, DEFAULT_MAX_INITIATOR_FRAMES, DEFAULT_MAX_QUEUE_BYTES
from otel_har.mapping.options import DEFAULT_OPTIONS, MappingOptions, Params
from otel_har.pages import DEFAULT_MAX_PAGES
from otel_har.redaction.policy import ImportedRedactor, Mode, RedactionPolicy


def _separated(value: object) -> object:
    """A list as OpenTelemetry writes it."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _patterns(value: object) -> object:
    parts = _separated(value)
    if not isinstance(parts, tuple):
        return parts
    try:
        return tuple(re.compile(part, re.IGNORECASE) for part in parts)
    except re.error as fault:
        raise ValueError(f"is no regular expression: {fault}") from fault


def _imported(value: object) -> object:
    return ImportedRedactor(value) if isinstance(value, str) else value


def _at_least_one(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names no exporter")
    return value


def _rule_of_a_filter(name: str) -> AfterValidator:
    """Whether a filter understands the value; it says itself what is wrong."""

    def check(value: str) -> str:
        rule: dict[str, Any] = {name: value}
        HarFilter(**rule)
        return value

    return AfterValidator(check)


Names = Annotated[tuple[str, ...], BeforeValidator(_separated)]
Exporters = Annotated[Names, AfterValidator(_at_least_one)]
Patterns = Annotated[tuple[re.Pattern[str], ...], BeforeValidator(_patterns)]
Redactor = Annotated[Callable[[Entry], Entry | None], BeforeValidator(_imported)]
IncludeUrls = Annotated[str, _rule_of_a_filter("include_urls")]
ExcludeUrls = Annotated[str, _rule_of_a_filter("exclude_urls")]
Methods = Annotated[str, _rule_of_a_filter("methods")]
Statuses = Annotated[str, _rule_of_a_filter("statuses")]
ContentTypes = Annotated[str, _rule_of_a_filter("content_types")]
Bodies = Annotated[str, _rule_of_a_filter("bodies")]
Predicate = Annotated[str, _rule_of_a_filter("predicate")]
# Of these a value that cannot be used must not let out what a user meant to keep in.
_REDACTING = frozenset(
    {
        environment.OTEL_PYTHON_HAR_REDACT,
        environment.OTEL_PYTHON_HAR_REDACTOR,
        environment.OTEL_PYTHON_HAR_INCLUDE_URLS,
        environment.OTEL_PYTHON_HAR_EXCLUDE_URLS,
        environment.OTEL_PYTHON_HAR_BODIES,
        environment.OTEL_PYTHON_HAR_FILTER,
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS,
    }
)
_LOCAL_EXPORTERS = frozenset({"file", "console", "logging"})
_BATCH = BatchSettings()
_A_DAY_MILLIS = 86_400_000


class HarSettings(BaseModel):
    """What a recording is made with. Field names are for code, aliases are the environment's."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, str_strip_whitespace=True)

    path: str | None = Field(None, alias=environment.OTEL_PYTHON_HAR)
    """The HAR file; without one nothing is recorded. `{pid}` in its name gives each process a file of its own."""
    exporters: Exporters = Field(("file",), alias=environment.OTEL_PYTHON_HAR_EXPORTER)
    """Where entries go, separated by commas: `file`, `otlp`, `console`, `logging`, or the name of a package's own."""
    live: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_LIVE)
    """Write each exchange when it is complete, before its call returns; with `in_background` soon after."""
    in_background: Literal["thread", "process"] | None = Field(None, alias=environment.OTEL_PYTHON_HAR_IN_BACKGROUND)
    """Who writes: a `thread` of the program, or a `process` of its own; without it whoever made the request where it
    is written live, else a thread."""
    append: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_APPEND)
    """Go on with the HAR file that is there, instead of starting it anew."""
    indent: int | None = Field(None, ge=0, le=16, alias=environment.OTEL_PYTHON_HAR_INDENT)
    """Spaces for each level of the file; without it each entry is one line."""
    retention_seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, alias=environment.OTEL_PYTHON_HAR_RETENTION_SECONDS
    )
    """Entries that started longer ago are dropped from the file's beginning."""
    retention_entries: int | None = Field(None, ge=1, alias=environment.OTEL_PYTHON_HAR_RETENTION_ENTRIES)
    """The most entries of the file; the oldest go."""
    retention_bytes: int | None = Field(None, ge=1, alias=environment.OTEL_PYTHON_HAR_RETENTION_BYTES)
    """The most bytes of the file; the oldest entries go."""
    rotation_bytes: int | None = Field(None, ge=1, alias=environment.OTEL_PYTHON_HAR_ROTATION_BYTES)
    """Before the file would get larger it becomes `out.1.har`, and is begun anew."""
    rotation_seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, alias=environment.OTEL_PYTHON_HAR_ROTATION_SECONDS
    )
    """After so long the file becomes `out.1.har`, and is begun anew."""
    rotation_files: int = Field(DEFAULT_ROTATED_FILES, ge=1, alias=environment.OTEL_PYTHON_HAR_ROTATION_FILES)
    """The most files `out.1.har`, `out.2.har` and so on."""
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
    redact: Mode = Field("default", alias=environment.OTEL_PYTHON_HAR_REDACT)
    """What is taken out of entries: `default`, `strict` or `none`."""
    redact_headers: Names = Field((), alias=environment.OTEL_PYTHON_HAR_REDACT_HEADERS)
    """Further names of header fields whose values are secret, separated by commas."""
    redact_queries: Names = Field((), alias=environment.OTEL_PYTHON_HAR_REDACT_QUERIES)
    """Further names of query parameters."""
    redact_fields: Names = Field((), alias=environment.OTEL_PYTHON_HAR_REDACT_FIELDS)
    """Further names of fields of bodies."""
    redact_keep: Names = Field((), alias=environment.OTEL_PYTHON_HAR_REDACT_KEEP)
    """Names whose values are no secrets."""
    redact_hashes: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_REDACT_HASHES)
    """Whether each mark has a salted hash, by which equal secrets can be recognised."""
    redactor: Redactor | None = Field(None, alias=environment.OTEL_PYTHON_HAR_REDACTOR)
    """A function of the program's, `package.module:function`, which sees each entry last."""
    redact_header_patterns: Patterns = Field((), alias=OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS)
    """OpenTelemetry's own: regular expressions, separated by commas; header fields in whose name one is found."""
    include_urls: IncludeUrls | None = Field(None, alias=environment.OTEL_PYTHON_HAR_INCLUDE_URLS)
    """Patterns of URLs, separated by commas; only these are recorded."""
    exclude_urls: ExcludeUrls | None = Field(None, alias=environment.OTEL_PYTHON_HAR_EXCLUDE_URLS)
    """Patterns of URLs that are not recorded."""
    methods: Methods | None = Field(None, alias=environment.OTEL_PYTHON_HAR_METHODS)
    """The request methods that are recorded; all by default."""
    statuses: Statuses | None = Field(None, alias=environment.OTEL_PYTHON_HAR_STATUSES)
    """The statuses that are recorded: `404`, `4xx`, `500-599`, `error` for exchanges without an answer."""
    content_types: ContentTypes | None = Field(None, alias=environment.OTEL_PYTHON_HAR_CONTENT_TYPES)
    """Patterns of the media types of answers that are recorded."""
    bodies: Bodies = Field("all", alias=environment.OTEL_PYTHON_HAR_BODIES)
    """What is recorded of bodies: `all`, `text`, `none`, or by media type, `image/*=none,*=text`."""
    min_duration_millis: int = Field(0, ge=0, alias=environment.OTEL_PYTHON_HAR_MIN_DURATION_MILLIS)
    """The least time of an exchange that is recorded, milliseconds."""
    errors_only: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_ERRORS_ONLY)
    """Whether only exchanges are recorded that went wrong."""
    predicate: Predicate | None = Field(None, alias=environment.OTEL_PYTHON_HAR_FILTER)
    """A function of the program's, `package.module:function`, that says of each entry whether it is recorded."""
    otlp_max_request_bytes: int = Field(
        DEFAULT_MAX_REQUEST_BYTES, ge=MIN_REQUEST_BYTES, alias=environment.OTEL_PYTHON_HAR_OTLP_MAX_REQUEST_BYTES
    )
    """The most bytes of a request of OTLP, before compression; larger entries go in parts."""
    otlp_bodies: bool = Field(default=False, alias=environment.OTEL_PYTHON_HAR_OTLP_BODIES)
    """Whether bodies are sent as attributes of their own, too: `http.response.body.content` and its like."""
    otlp_spool: str | None = Field(None, alias=environment.OTEL_PYTHON_HAR_OTLP_SPOOL)
    """A directory where requests of OTLP wait for a receiver that does not take them, beyond the program's end, too."""
    otlp_max_spool_bytes: int = Field(
        DEFAULT_MAX_SPOOL_BYTES, ge=0, alias=environment.OTEL_PYTHON_HAR_OTLP_MAX_SPOOL_BYTES
    )
    """The most bytes in that directory; beyond it the oldest requests are dropped."""
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

    @field_validator("in_background", "params", "redact", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        """OpenTelemetry specification: values of an enumeration are read without regard to case."""
        return value.strip().lower() if isinstance(value, str) else value

    def redaction(self, salt: bytes | None = None) -> RedactionPolicy:
        """What is taken out of entries.

        Args:
            salt: The recording's; a random one by default.
        """
        policy = RedactionPolicy(
            mode=self.redact,
            headers=self.redact_headers,
            queries=self.redact_queries,
            fields=self.redact_fields,
            keep=self.redact_keep,
            header_patterns=self.redact_header_patterns,
            hashes=self.redact_hashes,
            redactor=self.redactor,
        )
        return policy if salt is None else replace(policy, salt=salt)

    @property
    def filter(self) -> HarFilter:
        """Which exchanges are recorded, and what of their bodies."""
        return HarFilter(
            include_urls=self.include_urls or (),
            exclude_urls=self.exclude_urls or (),
            methods=self.methods or (),
            statuses=self.statuses or (),
            content_types=self.content_types or (),
            bodies=self.bodies,
            min_duration_ms=self.min_duration_millis,
            errors_only=self.errors_only,
            predicate=self.predicate,
        )

    @property
    def retention(self) -> Retention | None:
        """Which entries stay in the file."""
        return Retention(self.retention_seconds, self.retention_entries, self.retention_bytes) or None

    @property
    def rotation(self) -> Rotation | None:
        """When the file is put aside."""
        if self.rotation_bytes is None and self.rotation_seconds is None:
            return None
        return Rotation(self.rotation_bytes, self.rotation_seconds, self.rotation_files)

    @property
    def is_synchronous(self) -> bool:
        """Whether each exchange is written by the thread that completes it.

        Where entries go to another machine too, or to a package's own exporter, a thread does it: a request is not to
        wait for those.
        """
        return self.live and self.in_background is None and _LOCAL_EXPORTERS.issuperset(map(str.lower, self.exporters))

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
            max_export_batch_size=1 if self.live else self.max_export_batch_size,
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
        faults = {str(error["loc"][0]): message_of(error) for error in invalid.errors(include_url=False)}
    problems = []
    for name, message in faults.items():
        value = values.pop(name, None)
        if name in _REDACTING:
            values[environment.OTEL_PYTHON_HAR_REDACT] = "strict"  # what was to be taken out is not known
            problems.append(f"{name}={value!r} is taken for {environment.OTEL_PYTHON_HAR_REDACT}=strict: {message}")
        elif value is not None:
            problems.append(f"{name}={value!r} is ignored: {message}")
    return HarSettings.model_validate(values), problems


def message_of(error: ErrorDetails) -> str:
    """What is wrong, in our own words where a check of ours said it: pydantic puts "Value error" before them."""
    said = error.get("ctx", {}).get("error")
    return str(said) if isinstance(said, ValueError) else error["msg"]
