"""The OTEL_PYTHON_HAR_* variables: meaning, range and default of each."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.util.http import OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS as SANITIZE_FIELDS

from otel_har import environment
from otel_har.export.batch_settings import BatchSettings
from otel_har.export.keeping import Retention, Rotation
from otel_har.filters import HarFilter
from otel_har.mapping.options import MappingOptions
from otel_har.redaction.policy import ImportedRedactor
from otel_har.settings import HarSettings, settings_from

DEFAULTS = {
    "path": None,
    "exporters": ("file",),
    "live": False,
    "in_background": None,
    "indent": None,
    "retention_seconds": None,
    "retention_entries": None,
    "retention_bytes": None,
    "rotation_bytes": None,
    "rotation_seconds": None,
    "rotation_files": 5,
    "max_body_bytes": 10 * 1024 * 1024,
    "initiator_frames": 10,
    "audit_events": True,
    "append": False,
    "max_pages": 100,
    "params": "auto",
    "signals": True,
    "redact": "default",
    "redact_headers": (),
    "redact_queries": (),
    "redact_fields": (),
    "redact_keep": (),
    "redact_hashes": False,
    "redactor": None,
    "redact_header_patterns": (),
    "include_urls": None,
    "exclude_urls": None,
    "methods": None,
    "statuses": None,
    "content_types": None,
    "bodies": "all",
    "min_duration_millis": 0,
    "errors_only": False,
    "predicate": None,
    "otlp_max_request_bytes": 4 * 1024 * 1024 - 64 * 1024,
    "otlp_bodies": False,
    "otlp_spool": None,
    "otlp_max_spool_bytes": 256 * 1024 * 1024,
    "schedule_delay_millis": 1_000,
    "max_queue_size": 10_000,
    "max_queue_bytes": 64 * 1024 * 1024,
    "max_export_batch_size": 512,
    "export_timeout_millis": 30_000,
    "block_timeout_millis": 0,
}
NUMBERS = {
    environment.OTEL_PYTHON_HAR_INDENT: ("indent", 0, 16),
    environment.OTEL_PYTHON_HAR_RETENTION_SECONDS: ("retention_seconds", 1, None),
    environment.OTEL_PYTHON_HAR_RETENTION_ENTRIES: ("retention_entries", 1, None),
    environment.OTEL_PYTHON_HAR_RETENTION_BYTES: ("retention_bytes", 1, None),
    environment.OTEL_PYTHON_HAR_ROTATION_BYTES: ("rotation_bytes", 1, None),
    environment.OTEL_PYTHON_HAR_ROTATION_SECONDS: ("rotation_seconds", 1, None),
    environment.OTEL_PYTHON_HAR_ROTATION_FILES: ("rotation_files", 1, None),
    environment.OTEL_PYTHON_HAR_MAX_BODY_BYTES: ("max_body_bytes", 0, None),
    environment.OTEL_PYTHON_HAR_OTLP_MAX_REQUEST_BYTES: ("otlp_max_request_bytes", 16_384, None),
    environment.OTEL_PYTHON_HAR_OTLP_MAX_SPOOL_BYTES: ("otlp_max_spool_bytes", 0, None),
    environment.OTEL_PYTHON_HAR_INITIATOR_FRAMES: ("initiator_frames", 0, 100),
    environment.OTEL_PYTHON_HAR_MAX_PAGES: ("max_pages", 1, None),
    environment.OTEL_PYTHON_HAR_MIN_DURATION_MILLIS: ("min_duration_millis", 0, None),
    environment.OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY: ("schedule_delay_millis", 1, 86_400_000),
    environment.OTEL_PYTHON_HAR_BSP_MAX_QUEUE_SIZE: ("max_queue_size", 1, None),
    environment.OTEL_PYTHON_HAR_BSP_MAX_QUEUE_BYTES: ("max_queue_bytes", 0, None),
    environment.OTEL_PYTHON_HAR_BSP_MAX_EXPORT_BATCH_SIZE: ("max_export_batch_size", 1, None),
    environment.OTEL_PYTHON_HAR_BSP_EXPORT_TIMEOUT: ("export_timeout_millis", 1, 86_400_000),
    environment.OTEL_PYTHON_HAR_BSP_BLOCK_TIMEOUT: ("block_timeout_millis", 0, 86_400_000),
}
SECONDS = (environment.OTEL_PYTHON_HAR_RETENTION_SECONDS, environment.OTEL_PYTHON_HAR_ROTATION_SECONDS)
FLAGS = {
    environment.OTEL_PYTHON_HAR_APPEND: "append",
    environment.OTEL_PYTHON_HAR_LIVE: "live",
    environment.OTEL_PYTHON_HAR_AUDIT_EVENTS: "audit_events",
    environment.OTEL_PYTHON_HAR_SIGNALS: "signals",
    environment.OTEL_PYTHON_HAR_ERRORS_ONLY: "errors_only",
    environment.OTEL_PYTHON_HAR_REDACT_HASHES: "redact_hashes",
    environment.OTEL_PYTHON_HAR_OTLP_BODIES: "otlp_bodies",
}
WORDS = {
    environment.OTEL_PYTHON_HAR_IN_BACKGROUND: ("in_background", ("thread", "process")),
    environment.OTEL_PYTHON_HAR_PARAMS: ("params", ("auto", "always", "never")),
    environment.OTEL_PYTHON_HAR_REDACT: ("redact", ("default", "strict", "none")),
}
LISTS = {
    environment.OTEL_PYTHON_HAR_EXPORTER: "exporters",
    environment.OTEL_PYTHON_HAR_REDACT_HEADERS: "redact_headers",
    environment.OTEL_PYTHON_HAR_REDACT_QUERIES: "redact_queries",
    environment.OTEL_PYTHON_HAR_REDACT_FIELDS: "redact_fields",
    environment.OTEL_PYTHON_HAR_REDACT_KEEP: "redact_keep",
}
FILTERS = (
    environment.OTEL_PYTHON_HAR_INCLUDE_URLS,
    environment.OTEL_PYTHON_HAR_EXCLUDE_URLS,
    environment.OTEL_PYTHON_HAR_METHODS,
    environment.OTEL_PYTHON_HAR_STATUSES,
    environment.OTEL_PYTHON_HAR_CONTENT_TYPES,
    environment.OTEL_PYTHON_HAR_BODIES,
    environment.OTEL_PYTHON_HAR_FILTER,
)
OTHERS = (
    environment.OTEL_PYTHON_HAR,
    environment.OTEL_PYTHON_HAR_OTLP_SPOOL,
    environment.OTEL_PYTHON_HAR_REDACTOR,
    SANITIZE_FIELDS,
    *FILTERS,
)
ALL = (*NUMBERS, *FLAGS, *WORDS, *LISTS, *OTHERS)
# What takes out secrets: a value of theirs that cannot be used lets out nothing.
REDACTING = (environment.OTEL_PYTHON_HAR_REDACT, environment.OTEL_PYTHON_HAR_REDACTOR, SANITIZE_FIELDS)


def test_defaults() -> None:
    """Without a variable everything has its default, and nothing is wrong."""
    settings, problems = settings_from({})
    assert DEFAULTS == settings.model_dump()
    assert [] == problems


def test_every_name_is_a_setting() -> None:
    """Each name of the environment module is read by one setting, and each setting has its name there."""
    names = {name for name in vars(environment) if name.startswith("OTEL_")}
    assert names | {SANITIZE_FIELDS} == {field.alias for field in HarSettings.model_fields.values()}
    assert names == {getattr(environment, name) for name in names}
    assert names | {SANITIZE_FIELDS} == set(ALL)


def test_what_stays_in_the_file() -> None:
    """The settings of retention and rotation come together; without a limit there is neither."""
    settings, _ = settings_from({})
    assert (None, None) == (settings.retention, settings.rotation)
    settings, problems = settings_from(
        {
            environment.OTEL_PYTHON_HAR_RETENTION_SECONDS: "0.5",
            environment.OTEL_PYTHON_HAR_ROTATION_BYTES: "1000",
            environment.OTEL_PYTHON_HAR_ROTATION_FILES: "2",
        }
    )
    assert (Retention(0.5), Rotation(1000, files=2), []) == (settings.retention, settings.rotation, problems)


@pytest.mark.parametrize(("name", "field", "least"), [(name, *rest[:2]) for name, rest in NUMBERS.items()])
def test_numbers(name: str, field: str, least: int) -> None:
    """Each number is read, blanks around it do not matter."""
    settings, problems = settings_from({name: f" {least + 7} "})
    assert DEFAULTS | {field: least + 7} == settings.model_dump()
    assert [] == problems


@pytest.mark.parametrize("name", NUMBERS)
def test_ends_of_the_range(name: str) -> None:
    """Both ends of a range are inside, what lies beyond has the default and is told in one line."""
    field, least, most = NUMBERS[name]
    inside = [least] if most is None else [least, most]
    outside = [least - 1] if most is None else [least - 1, most + 1]
    assert [(value, []) for value in inside] == [_read(name, field, str(value)) for value in inside]
    for value in outside:
        actual, problems = _read(name, field, str(value))
        assert actual == DEFAULTS[field]
        assert [f"{name}='{value}' is ignored: "] == [
            problem[: len(f"{name}='{value}' is ignored: ")] for problem in problems
        ]


def _read(name: str, field: str, value: str) -> tuple[Any, list[str]]:
    settings, problems = settings_from({name: value})
    return getattr(settings, field), problems


def test_parts_of_seconds() -> None:
    """Seconds may have decimals."""
    for name in SECONDS:
        assert (1.5, []) == _read(name, NUMBERS[name][0], "1.5")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["x", "1.5", "1k", "nan", "9" * 5000])
def test_what_is_no_number(name: str, value: str) -> None:
    """A value that is no number, or a part of what is counted, is told with its name, and the default counts."""
    if value == "1.5" and name in SECONDS:
        return
    settings, problems = settings_from({name: value})
    assert DEFAULTS == settings.model_dump()
    assert 1 == len(problems)
    assert problems[0].startswith(f"{name}='{value[:3]}")
    assert "\n" not in problems[0]


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False)]
)
def test_flags(name: str, text: str, *, value: bool) -> None:
    """Each flag is read in the spellings of OpenTelemetry and of shells."""
    settings, problems = settings_from({name: text})
    assert DEFAULTS | {FLAGS[name]: value} == settings.model_dump()
    assert [] == problems


@pytest.mark.parametrize("name", FLAGS)
def test_what_is_no_flag(name: str) -> None:
    """A value that is neither yes nor no is told with its name, and the default counts."""
    settings, problems = settings_from({name: "maybe"})
    assert DEFAULTS == settings.model_dump()
    assert [f"{name}='maybe' is ignored"] == [problem.partition(":")[0] for problem in problems]


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_empty_is_unset(value: str) -> None:
    """OpenTelemetry specification: an empty value is an unset one."""
    settings, problems = settings_from(dict.fromkeys(ALL, value))
    assert DEFAULTS == settings.model_dump()
    assert [] == problems


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str) -> None:
    """Each word is read without regard to case, as OpenTelemetry specifies, and to blanks around it."""
    field, words = WORDS[name]
    for word in words:
        assert [(word, [])] * 2 == [_read(name, field, value) for value in (word, f" {word.upper()} ")]


@pytest.mark.parametrize("name", WORDS)
def test_other_words(name: str) -> None:
    """Another word is told in one line that has those which are known; the default counts, or what is strict."""
    field, words = WORDS[name]
    actual, [problem] = _read(name, field, "Sometimes")
    assert ("strict" if name in REDACTING else DEFAULTS[field]) == actual
    taken = f"taken for {environment.OTEL_PYTHON_HAR_REDACT}=strict" if name in REDACTING else "ignored"
    assert problem.startswith(f"{name}='Sometimes' is {taken}: ")
    assert [word for word in words if f"'{word}'" not in problem] == []


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    """Names are separated by commas; blanks around them and empty ones do not matter."""
    assert (("X-One", "two words", "ä"), []) == _read(name, LISTS[name], " X-One,, two words ,ä,")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (environment.OTEL_PYTHON_HAR_REDACT, "all"),
        (environment.OTEL_PYTHON_HAR_REDACTOR, "no_function"),
        (SANITIZE_FIELDS, "x-.*,("),
        (environment.OTEL_PYTHON_HAR_INCLUDE_URLS, "https://h.test/*,re:("),
        (environment.OTEL_PYTHON_HAR_EXCLUDE_URLS, "re:*"),
        (environment.OTEL_PYTHON_HAR_BODIES, "image/*=some"),
        (environment.OTEL_PYTHON_HAR_FILTER, "no_function"),
    ],
)
def test_what_cannot_redact_is_taken_for_strict(name: str, value: str) -> None:
    """Where what is to be taken out cannot be known, all is taken out, and that is told in one line."""
    settings, [problem] = settings_from({name: value})
    assert DEFAULTS | {"redact": "strict"} == settings.model_dump()
    assert problem.startswith(f"{name}={value!r} is taken for {environment.OTEL_PYTHON_HAR_REDACT}=strict: ")
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (environment.OTEL_PYTHON_HAR_METHODS, "GET,two words"),
        (environment.OTEL_PYTHON_HAR_STATUSES, "4xx,99"),
        (environment.OTEL_PYTHON_HAR_CONTENT_TYPES, "re:["),
    ],
)
def test_other_rules_of_a_filter_that_cannot_be_used(name: str, value: str) -> None:
    """A rule that is about what is worth a look is left out where it is not understood, and told in one line."""
    settings, [problem] = settings_from({name: value})
    assert DEFAULTS == settings.model_dump()
    assert problem.startswith(f"{name}={value!r} is ignored: ")
    assert "\n" not in problem


def test_filter() -> None:
    """What concerns the filter reaches it, from its variables."""
    settings, problems = settings_from(
        {
            environment.OTEL_PYTHON_HAR_INCLUDE_URLS: "https://h.test/*, re:a{1,2}",
            environment.OTEL_PYTHON_HAR_EXCLUDE_URLS: "*.png",
            environment.OTEL_PYTHON_HAR_METHODS: "get,POST",
            environment.OTEL_PYTHON_HAR_STATUSES: "4xx,error",
            environment.OTEL_PYTHON_HAR_CONTENT_TYPES: "image/*",
            environment.OTEL_PYTHON_HAR_BODIES: "*=text",
            environment.OTEL_PYTHON_HAR_MIN_DURATION_MILLIS: "15",
            environment.OTEL_PYTHON_HAR_ERRORS_ONLY: "true",
            environment.OTEL_PYTHON_HAR_FILTER: "no.such.module:function",
        }
    )
    expected = HarFilter(
        include_urls="https://h.test/*, re:a{1,2}",
        exclude_urls="*.png",
        methods="get,POST",
        statuses="4xx,error",
        content_types="image/*",
        bodies="*=text",
        min_duration_ms=15,
        errors_only=True,
        predicate="no.such.module:function",
    )
    assert (expected, []) == (settings.filter, problems)
    assert HarFilter() == HarSettings().filter


def test_header_patterns() -> None:
    """OpenTelemetry's own variable has regular expressions, which do not regard case."""
    settings, problems = settings_from({SANITIZE_FIELDS: ".*session.*, set-cookie"})
    assert (["X-Session-Id"], []) == (
        [name for name in ("X-Session-Id", "X-Other") if settings.redact_header_patterns[0].fullmatch(name)],
        problems,
    )
    assert ["set-cookie"] == [pattern.pattern for pattern in settings.redact_header_patterns[1:]]


def test_redactor_is_imported_with_its_first_use() -> None:
    """A place is no more than that until the first entry: a program's modules are not imported before it runs."""
    settings, problems = settings_from({environment.OTEL_PYTHON_HAR_REDACTOR: "no.such.module:function"})
    assert [] == problems
    assert isinstance(settings.redactor, ImportedRedactor)


def test_redaction_policy() -> None:
    """What concerns redaction reaches it, with the recording's salt or a random one."""
    settings = HarSettings(
        redact="strict",
        redact_headers=("a",),
        redact_queries=("b",),
        redact_fields=("c",),
        redact_keep=("d",),
        redact_hashes=True,
    )
    policy = settings.redaction(b"salt")
    assert ("strict", ("a",), ("b",), ("c",), ("d",), True, b"salt") == (
        policy.mode,
        policy.headers,
        policy.queries,
        policy.fields,
        policy.keep,
        policy.hashes,
        policy.salt,
    )
    assert settings.redaction().salt != settings.redaction().salt


def test_mapping_options() -> None:
    """What concerns the form of entries reaches it."""
    assert MappingOptions(params="never") == HarSettings(params="never").options


def test_path() -> None:
    """The path is taken without the blanks around it."""
    settings, _ = settings_from({environment.OTEL_PYTHON_HAR: " out dir/ä.har "})
    assert "out dir/ä.har" == settings.path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"live": True}, True),
        ({"live": True, "in_background": "thread"}, False),
        ({"live": True, "in_background": "process"}, False),
        ({"live": True, "exporters": ("File", "console", "logging")}, True),
        ({"live": True, "exporters": ("file", "otlp")}, False),
        ({"live": True, "exporters": ("mypackage",)}, False),
    ],
)
def test_who_writes(values: dict[str, Any], *, expected: bool) -> None:
    """What is live is written by whoever made the request, unless a thread is asked for or a machine waited for."""
    assert expected == HarSettings(**values).is_synchronous


def test_good_and_bad_together() -> None:
    """Bad values take nothing from good ones, and each is told."""
    settings, problems = settings_from(
        {
            environment.OTEL_PYTHON_HAR: "a.har",
            environment.OTEL_PYTHON_HAR_INDENT: "99",
            environment.OTEL_PYTHON_HAR_MAX_PAGES: "x",
            environment.OTEL_PYTHON_HAR_MAX_BODY_BYTES: "0",
            "OTEL_PYTHON_HAR_UNKNOWN": "1",
        }
    )
    assert DEFAULTS | {"path": "a.har", "max_body_bytes": 0} == settings.model_dump()
    assert 2 == len(problems)


def test_batch_settings() -> None:
    """What concerns the batch processor reaches it."""
    settings = HarSettings(max_queue_size=1, schedule_delay_millis=2, max_export_batch_size=3, export_timeout_millis=4)
    expected = BatchSettings(
        max_queue_size=1, schedule_delay_millis=2, max_export_batch_size=3, export_timeout_millis=4
    )
    assert expected == settings.batch


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (environment.OTEL_PYTHON_HAR_STATUSES, "99", "statuses: '99' is no status: 404, 4xx, 500-599 or error"),
        (environment.OTEL_PYTHON_HAR_EXPORTER, " , ", "names no exporter"),
    ],
)
def test_problems_are_in_our_own_words(name: str, value: str, problem: str) -> None:
    """What a check of ours finds is told as it says it; a list of no exporters counts as unset."""
    settings, problems = settings_from({name: value})
    assert (DEFAULTS, [f"{name}={value!r} is ignored: {problem}"]) == (settings.model_dump(), problems)
