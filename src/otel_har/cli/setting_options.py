"""The options of a command that are settings: one for each setting that there is, made from the settings themselves.

The rule: nothing is told twice. Name, range, default and meaning are those of `HarSettings`; a setting that is added
there is an option here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Any, Literal, TypeVar, get_args, get_origin

import annotated_types
import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from otel_har.environment import OTEL_PYTHON_HAR
from otel_har.settings import HarSettings, message_of

__all__ = ["GROUPS", "OptionOfSetting", "Setting", "setting_options", "settings", "values_of_options"]

_PREFIX = f"{OTEL_PYTHON_HAR}_"
_SHORT = {"indent": "-i", "live": "-l", "retention-seconds": "-r", "in-background": "-b"}
_FLAG = "flag"
_LIST = "NAME"
_UNITS = (("_SECONDS", "S"), ("_MILLIS", "MS"), ("_DELAY", "MS"), ("_TIMEOUT", "MS"), ("_BYTES", "BYTES"))
_BEGINNINGS = {
    "What is recorded": (
        "INCLUDE",
        "EXCLUDE",
        "METHODS",
        "STATUSES",
        "CONTENT",
        "BODIES",
        "MIN_",
        "ERRORS",
        "FILTER",
    ),
    "Redaction": ("REDACT",),
    "How long it is kept": ("RETENTION", "ROTATION"),
    "Form and limits": ("MAX", "INITIATOR", "AUDIT", "PARAMS", "SIGNALS", "BSP"),
}
GROUPS = ("Options", *_BEGINNINGS)
"""The headings of the options, in their order; under the first stand those that are of no other."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting is, in words.

    Attributes:
        name: Its name in code.
        variable: Its name in the environment.
        meaning: One sentence or two, in Markdown.
        kind: The type, as it is shown: `N`, `S`, `flag`, ...; or the values that there are.
        choices: The values, where they are known words.
        default: As it would be written; empty for none.
        limits: The range of a number, in words; empty without one.
    """

    name: str
    variable: str
    meaning: str
    kind: str
    choices: tuple[str, ...]
    default: str
    limits: str

    @property
    def option(self) -> str | None:
        """Its name as an option, without dashes before it; None of those that are not otel-har's own."""
        return self.variable.removeprefix(_PREFIX).lower().replace("_", "-") if self._is_optional else None

    @property
    def group(self) -> str:
        """The heading under which its option stands."""
        rest = self.variable.removeprefix(_PREFIX)
        return next((group for group, starts in _BEGINNINGS.items() if rest.startswith(starts)), GROUPS[0])

    @property
    def _is_optional(self) -> bool:
        return self.variable.startswith(_PREFIX)


def settings() -> Iterator[Setting]:
    """Every setting, in the order of `HarSettings`."""
    meanings = _docstrings(HarSettings)
    for name, field in HarSettings.model_fields.items():
        yield Setting(
            name,
            field.alias or name,
            field.description or meanings.get(name, ""),
            _kind(field, meanings.get(name, "")),
            _choices(field),
            _default(field),
            _limits(field),
        )


def _docstrings(model: type) -> dict[str, str]:
    """The text under each attribute of a class.

    pydantic's `use_attribute_docstrings` reads the same, but at each start of a program that is recorded: 20 ms.
    """
    try:
        [declared] = ast.parse(dedent(inspect.getsource(model))).body
    except (OSError, ValueError):  # installed without its source
        return {}
    assert isinstance(declared, ast.ClassDef)  # noqa: S101 - a class's source is one
    found = {}
    for attribute, text in zip(declared.body, declared.body[1:], strict=False):
        match attribute, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = " ".join(words.split())
    return found


def _kind(field: FieldInfo, meaning: str) -> str:
    alias = field.alias or ""
    unit = next((unit for ending, unit in _UNITS if alias.endswith(ending)), None)
    if field.annotation is bool:
        return _FLAG
    if get_origin(field.annotation) is tuple:
        return _LIST
    if "package.module:function" in meaning:
        return "MODULE:FUNCTION"
    if {int, float} & {field.annotation, *get_args(field.annotation)}:
        return unit or "N"
    return "TEXT"


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that a value may be, as `Literal` has them; also where it may be none of them."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((tuple(map(str, get_args(kind))) for kind in kinds if get_origin(kind) is Literal), ())


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if value is None or value == ():
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def _limits(field: FieldInfo) -> str:
    least = next((mark.ge for mark in field.metadata if isinstance(mark, annotated_types.Ge)), None)
    above = next((mark.gt for mark in field.metadata if isinstance(mark, annotated_types.Gt)), None)
    most = next((mark.le for mark in field.metadata if isinstance(mark, annotated_types.Le)), None)
    if least is not None and most is not None:
        return f"{least} to {most}"
    if above is not None:
        return f"more than {above}"
    return f"{least} or more" if least is not None else f"at most {most}" if most is not None else ""


class OptionOfSetting(click.Option):
    """An option that is a setting.

    Args:
        setting: The setting.
    """

    def __init__(self, setting: Setting) -> None:
        name = setting.option
        self.setting = setting
        self.group = setting.group
        declared = [setting.name, f"--{name}"]
        kind: dict[str, Any] = {"metavar": setting.kind}
        if setting.kind == _FLAG:
            kind = {"is_flag": True}
            declared[1] = f"--{name}/--no-{name}"
        elif setting.choices:
            kind = {"type": click.Choice(setting.choices, case_sensitive=False)}
        elif setting.kind == _LIST:
            kind["multiple"] = True
        short = _SHORT.get(name or "")
        super().__init__([*([short] if short and not kind.get("is_flag") else []), *declared], **kind, default=None)
        if short and kind.get("is_flag"):
            self.opts.insert(0, short)
        self.help = self._help()

    def _help(self) -> str:
        notes = [self.setting.limits] if self.setting.limits else []
        notes += [f"default: {self.setting.default}"] if self.setting.default not in {"", "false"} else []
        text = self.setting.meaning.replace("`", "")
        return f"{text}  [{'; '.join(notes)}]" if notes else text


def setting_options(function: _Command) -> _Command:
    """Add an option for each setting but the path, as arguments of the names that the settings have in code."""
    for setting in reversed([one for one in settings() if one.option is not None]):
        option = OptionOfSetting(setting)
        if not hasattr(function, "__click_params__"):
            function.__click_params__ = []  # type: ignore[attr-defined] # click's own way to keep options
        function.__click_params__.append(option)  # type: ignore[attr-defined]
    return function


def values_of_options(given: Mapping[str, Any], context: click.Context) -> dict[str, str]:
    """The variables of the environment that the given options stand for.

    Args:
        given: The values of the options, by the names that the settings have in code.
        context: The command's.

    Raises:
        click.BadParameter: When a setting does not take its value.
    """
    options = {one.setting.name: one for one in context.command.params if isinstance(one, OptionOfSetting)}
    values = {
        option.setting.variable: _written(given[name])
        for name, option in options.items()
        if given.get(name) not in {None, ()}
    }
    try:
        HarSettings.model_validate(values)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        name = str(first["loc"][0])
        wrong = next(option for option in options.values() if option.setting.variable == name)
        value, said = repr(values[name]), message_of(first).removeprefix(f"{wrong.setting.name}: ")
        raise click.BadParameter(said if said.startswith(value) else f"{value}: {said}", context, wrong) from None
    return values


def _written(value: Any) -> str:
    """A value as the environment has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
