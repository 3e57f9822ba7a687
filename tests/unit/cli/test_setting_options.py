"""The options of `otel-har record`: which there are, what they say, and what they make of the environment."""

from __future__ import annotations

from typing import Any

import click
import pytest

from otel_har.cli.record import _values, record
from otel_har.cli.setting_options import GROUPS, OptionOfSetting, settings, values_of_options
from otel_har.settings import HarSettings

OPTIONS = {one.setting.name: one for one in record.params if isinstance(one, OptionOfSetting)}


def parsed(*words: str) -> click.Context:
    """What the command makes of words; nothing is run."""
    return record.make_context("record", list(words))


def values(*words: str) -> dict[str, str]:
    """What options make of the environment."""
    context = parsed(*words, "out.har", "app.py")
    return values_of_options(context.params, context)


def test_every_setting_is_an_option() -> None:
    """Each setting of ours but the path is an option, so one that comes is one, too."""
    ours = [name for name, one in HarSettings.model_fields.items() if (one.alias or "").startswith("OTEL_PYTHON_HAR_")]
    assert ours == list(OPTIONS)
    assert [] == [name for name, option in OPTIONS.items() if option.group not in GROUPS]


def test_every_option_says_what_it_does() -> None:
    """The help of each is the text that stands under the setting."""
    assert [] == [one.name for one in settings() if not one.meaning.endswith((".", ")"))]
    assert "Spaces for each level of the file; without it each entry is one line.  [0 to 16]" == OPTIONS["indent"].help


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["-i", "2"], {"OTEL_PYTHON_HAR_INDENT": "2"}),
        (["-l"], {"OTEL_PYTHON_HAR_LIVE": "true"}),
        (["--no-live"], {"OTEL_PYTHON_HAR_LIVE": "false"}),
        (["--no-signals"], {"OTEL_PYTHON_HAR_SIGNALS": "false"}),
        (["-b", "PROCESS"], {"OTEL_PYTHON_HAR_IN_BACKGROUND": "process"}),
        (
            ["--redact-keep", "a,b", "--redact-keep", "c"],
            {"OTEL_PYTHON_HAR_REDACT_KEEP": "a,b,c"},
        ),
        (["--max-body-bytes", "0"], {"OTEL_PYTHON_HAR_MAX_BODY_BYTES": "0"}),
    ],
)
def test_what_an_option_makes_of_the_environment(words: list[str], expected: dict[str, str]) -> None:
    """Each is written as the variable has it; what was not given is left as it is."""
    assert expected == values(*words)


@pytest.mark.parametrize(
    ("words", "target", "is_command"),
    [
        (["out.har", "app.py", "-l", "--", "-m"], ("app.py", "-l", "--", "-m"), False),
        (["-li", "2", "out.har", "app.py"], ("app.py",), False),
        (["-li2", "out.har", "-q", "app.py"], ("app.py",), False),
        (["out.har", "--indent=2", "-m", "module", "-x"], ("-m", "module", "-x"), False),
        (["--exporter", "file", "out.har", "--", "-x", "--", "y"], ("-x", "--", "y"), True),
        (["out.har", "-n", "1", "--", "ls", "--help"], ("ls", "--help"), True),
    ],
)
def test_where_the_target_begins(words: list[str], target: tuple[str, ...], *, is_command: bool) -> None:
    """Options end at the target, and what is behind it is its own."""
    context = parsed(*words)
    assert ("out.har", target) == (context.params["output"], context.params["target"])
    assert is_command == any(value is True for value in context.meta.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "x"], "'x': Input should be a valid integer, unable to parse string as an integer"),
        (["--bsp-schedule-delay", "0"], "'0': Input should be greater than or equal to 1"),
    ],
)
def test_a_value_that_cannot_be_used(words: list[str], message: str) -> None:
    """It is an error of the option that has it."""
    with pytest.raises(click.BadParameter) as caught:
        values(*words)
    wrong: Any = caught.value
    assert (message, words[0]) == (wrong.message, next(name for name in wrong.param.opts if name == words[0]))


@pytest.mark.parametrize(
    ("words", "retention", "interval", "expected"),
    [
        ([], 5.0, None, {"OTEL_PYTHON_HAR_LIVE": "true", "OTEL_PYTHON_HAR_IN_BACKGROUND": "thread"}),
        ([], 5.0, 0.0, {"OTEL_PYTHON_HAR_LIVE": "true", "OTEL_PYTHON_HAR_IN_BACKGROUND": "thread"}),
        (["-b", "process"], 5.0, 0.0, {"OTEL_PYTHON_HAR_LIVE": "true", "OTEL_PYTHON_HAR_IN_BACKGROUND": "process"}),
        (["-l"], 5.0, None, {"OTEL_PYTHON_HAR_LIVE": "true"}),
        ([], 5.0, 0.25, {"OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY": "250"}),
        (["--no-live"], 5.0, None, {"OTEL_PYTHON_HAR_LIVE": "false"}),
        ([], None, 0.0, {}),
        ([], None, 0.0001, {"OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY": "1"}),
        (["-l"], None, 2.0, {"OTEL_PYTHON_HAR_LIVE": "true", "OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY": "2000"}),
    ],
)
def test_retention_alone_is_live_and_an_interval_of_0_is_off(
    words: list[str], retention: float | None, interval: float | None, expected: dict[str, str]
) -> None:
    """As harlem has it; then a thread writes, which drops what is too old while nothing happens, too."""
    context = parsed(*words, "out.har", "app.py")
    made = _values({**context.params, "retention_seconds": retention}, interval, context)
    made.pop("OTEL_PYTHON_HAR_RETENTION_SECONDS", None)
    assert expected == made
