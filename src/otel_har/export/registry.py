"""Exporters by their names: this package's own, and those of other packages.

The rule: a name is somebody's choice, so what is wrong with it is told at once, with the name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from otel_har.errors import OtelHarError, SettingError
from otel_har.export.composite import CompositeHarExporter
from otel_har.export.interfaces import HarExporter
from otel_har.guard import attempted, guarded

ENTRY_POINT_GROUP = "otel_har_exporter"
_logger = logging.getLogger("otel_har")
Factories = Mapping[str, Callable[[], HarExporter]]


def exporter_of_names(names: str | Iterable[str], builtins: Factories) -> HarExporter:
    """The exporter of one name, or of several at once.

    Args:
        names: Names, separated by commas or one by one; an exporter that is named twice is made once.
        builtins: What makes the exporters that need no other package, by their names in lower case.

    Raises:
        SettingError: When there is no name, or no exporter of that name, or it cannot be made.
        OtelHarError: What an exporter says of its destination.
    """
    parts = names.split(",") if isinstance(names, str) else names
    wanted = dict.fromkeys(part.strip() for part in parts if part.strip())
    if not wanted:
        raise SettingError("no exporter is named")
    made: list[HarExporter] = []
    try:
        made.extend(exporter_named(name, builtins) for name in wanted)
    except OtelHarError:
        for exporter in made:
            _shut_down(exporter)
        raise
    return made[0] if len(made) == 1 else CompositeHarExporter(*made)


def exporter_named(name: str, builtins: Factories) -> HarExporter:
    """The exporter of one name: a built-in one, in any case, or the entry point of the group `otel_har_exporter`.

    Args:
        name: The name.
        builtins: What makes the exporters that need no other package, by their names in lower case.

    Raises:
        SettingError: When there is none of that name, or it cannot be made.
        OtelHarError: What it says of its destination.
    """
    factory = builtins.get(name.lower())
    others = {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
    if factory is not None:
        _tell_of_hidden([other for other in others.values() if other.name.lower() == name.lower()])
        return factory()
    if name not in others:
        raise SettingError(f"there is no exporter {name!r}; there are {', '.join(sorted({*builtins, *others}))}")
    return _loaded(others[name])


@guarded("logging", BaseException)
def _tell_of_hidden(entry_points_of_name: list[EntryPoint]) -> None:
    for hidden in entry_points_of_name:
        _logger.warning(
            "otel-har: the exporter %s (%s) is not used: a built-in one has its name", hidden.name, hidden.value
        )


def _loaded(entry_point: EntryPoint) -> HarExporter:
    made = attempted(lambda: _called(entry_point))
    if isinstance(made, OtelHarError):
        raise made
    if isinstance(made, BaseException):
        raise SettingError(
            f"the exporter {entry_point.name!r} ({entry_point.value}) cannot be made: {type(made).__qualname__}: {made}"
        ) from made
    if not isinstance(made, HarExporter):
        raise SettingError(f"the exporter {entry_point.name!r} ({entry_point.value}) is no HarExporter")
    return made


def _called(entry_point: EntryPoint) -> object:
    return entry_point.load()()


@guarded("shutting down an exporter", BaseException)
def _shut_down(exporter: HarExporter) -> None:
    exporter.shutdown()
