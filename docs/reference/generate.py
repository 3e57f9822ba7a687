"""Writes the pages of this directory from the code: `python docs/reference/generate.py`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

import otel_har
from otel_har.cli.app import app
from otel_har.cli.setting_options import GROUPS, OptionOfSetting, Setting, settings
from otel_har.environment import OTEL_PYTHON_HAR

HERE = Path(__file__).parent
_GENERATED = "<!-- Made from the code by docs/reference/generate.py. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """The text of each page, by its name."""
    return {"commands.md": _commands(), "settings.md": _settings(), "api.md": _api()}


def _commands() -> str:
    context = click.Context(app, info_name="otel-har", **app.context_settings)
    index = "".join(f"* [`otel-har {name}`](#otel-har-{name}): {_first(one)}\n" for name, one in app.commands.items())
    parts = [_command(f"otel-har {name}", one, context) for name, one in app.commands.items()]
    start = (
        f"{_GENERATED}\n# Commands\n\n`otel-har`, or `python -m otel_har`, comes with `pip install 'otel-har[cli]'`.\n"
    )
    return "\n".join([start, index, *parts])


def _first(command: click.Command) -> str:
    return command.get_short_help_str(limit=200)


def _command(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    text = "\n\n".join(_paragraphs(command.help or ""))
    return f"## {name}\n\n```text\n{name} {usage}\n```\n\n{text}\n\n{''.join(_options(command, context))}"


def _paragraphs(text: str) -> Iterator[str]:
    """What click shows, as Markdown."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```"
        elif paragraph.startswith("Exit status: "):
            told = " ".join(paragraph.split()).removeprefix("Exit status: ")
            yield f"**Exit status.** {told[0].upper()}{_shown(told[1:])}"
        else:
            yield _shown(" ".join(paragraph.split()))


def _shown(text: str) -> str:
    return re.sub(r"(?<![`\w*])(OTEL_\w+\*?|--[a-z][\w-]*)(?![`\w])", r"`\1`", text)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    rows: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for option in command.get_params(context):
        if not isinstance(option, click.Option) or "--help" in option.opts:
            continue
        shown = option.get_help_record(context)
        if shown is not None:
            group = option.group if isinstance(option, OptionOfSetting) else GROUPS[0]
            meaning = _meaning_of(option.setting) if isinstance(option, OptionOfSetting) else _cell(shown[1])
            rows[group].append(f"| `{_cell(shown[0])}` | {meaning} |\n")
    for group, lines in rows.items():
        if lines:
            yield f"| {group} | |\n|---|---|\n{''.join(lines)}\n"


def _meaning_of(setting: Setting) -> str:
    notes = [setting.limits] if setting.limits else []
    notes += [f"default `{setting.default}`"] if setting.default else []
    return _cell(setting.meaning) + (f" ({'; '.join(notes)})" if notes else "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _settings() -> str:
    head = (
        f"{_GENERATED}\n# Settings\n\nEach variable of the environment, its option of `opentelemetry-instrument`, and "
        "that of [`otel-har record`](commands.md#otel-har-record). What they do: [Settings](../settings.md).\n\n"
        "| variable | opentelemetry-instrument | otel-har record | type | default | range | |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(map(_row, settings()))


def _row(setting: Setting) -> str:
    is_ours = setting.variable.startswith(OTEL_PYTHON_HAR)
    official = f"`--{setting.variable.removeprefix('OTEL_PYTHON_').lower()}`" if is_ours else ""
    ours = f"`--{setting.option}`" if setting.option else "`OUT`" if is_ours else ""
    kind = ", ".join(f"`{one}`" for one in setting.choices) or f"`{setting.kind}`"
    default = f"`{setting.default}`" if setting.default else ""
    meaning = _cell(setting.meaning)
    return f"| `{setting.variable}` | {official} | {ours} | {kind} | {default} | {setting.limits} | {meaning} |\n"


def _api() -> str:
    start = (
        f"{_GENERATED}\n# Names of `otel_har`\n\nEverything that `import otel_har` gives. "
        "The docstrings tell arguments, units and errors: `python -m pydoc otel_har.NAME`.\n"
    )
    return "\n".join([start, *(_name(name) for name in otel_har.__all__ if not name.startswith("__"))])


def _name(name: str) -> str:
    value = getattr(otel_har, name)
    if not callable(value):
        return f"## {name}\n\nA `{type(value).__name__}`.\n"
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return f"## {name}\n\n```text\n{_signature(name, value)}\n```\n\n{' '.join(text.split())}\n"


def _signature(name: str, value: object) -> str:
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return f"class {name}({', '.join(one.name for one in value)})"
    if isinstance(value, type) and issubclass(value, BaseException):
        return f"class {name}({', '.join(base.__name__ for base in value.__bases__)})"
    kind = "class" if isinstance(value, type) else "def"
    assert callable(value)  # noqa: S101 - the caller looked
    signature = inspect.signature(value)
    result = (
        f" -> {signature.return_annotation}"
        if kind == "def" and signature.return_annotation is not signature.empty
        else ""
    )
    return f"{kind} {name}({', '.join(_parameters(signature))}){result}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    """As they stand in the code: annotations are texts there."""
    is_starred = False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not is_starred:
            yield "*"
        is_starred = is_starred or one.kind in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}
        star = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        annotation = "" if one.annotation is one.empty else f": {one.annotation}"
        yield f"{star}{one.name}{annotation}{'' if one.default is one.empty else f' = {_default(one.default)}'}"


def _default(value: object) -> str:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}()"
    shown = repr(value)
    return "..." if shown.startswith("<") else shown


if __name__ == "__main__":
    for page, page_text in pages().items():
        (HERE / page).write_text(page_text, "utf-8")
