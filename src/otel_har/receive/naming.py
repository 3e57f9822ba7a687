"""Names of files from what the network says.

The rule: a text from the network is a part of a file's name, never of a path, and two texts are two names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from otel_har.errors import SettingError
from otel_har.har.models import Entry

SPLITS = {"service": "service.name", "host": "host.name", "trace": "trace_id", "day": "day"}
"""What may be split by, and the field of a name that does it."""

UNKNOWN = "unknown"

_FIELD = re.compile(r"\{([^{}]*)\}")
_OF_EXPORTER = "pid"  # `FileHarExporter` fills it in
_OF_ENTRY = frozenset({"trace_id", "day"})
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_LENGTH = 80
_DAY_LENGTH = len("2026-01-31")


class NameTemplate:
    """A path whose last part may have fields: `out.{service.name}.har`.

    `{trace_id}` is that of the entry, `{day}` the day on which it started, in UTC, and every other field an attribute
    of the resource. A field that has no value is `unknown`.

    Args:
        path: The path.
        split: One of `SPLITS`, for a path without fields: the field is put before its ending.

    Raises:
        SettingError: When a directory has a field, or the ending of the name.
    """

    def __init__(self, path: str, split: str | None = None) -> None:
        given = Path(path)
        if any(_fields(part) for part in given.parts[:-1]):
            raise SettingError(f"only the name of a file may have fields, not its directory: {path!r}")
        name = given.name
        if split is not None and not _fields(name):
            stem, dot, ending = name.partition(".")
            name = f"{stem}.{{{SPLITS[split]}}}{dot}{ending}"
        if _fields(name) and name.endswith("}"):
            raise SettingError(f"the name must end in something else than a field, such as .har: {path!r}")
        self._directory = given.parent
        self._name = name
        self.fields = _fields(name)

    @property
    def is_by_entry(self) -> bool:
        """Whether entries of one resource may go to several files."""
        return not _OF_ENTRY.isdisjoint(self.fields)

    def path(self, resource: Mapping[str, str], entry: Entry | None) -> Path:
        """The file of an entry; of what has none, where `entry` is None."""
        own = _values(entry) if entry is not None else {}

        def value(found: re.Match[str]) -> str:
            field = found[1]
            if field == _OF_EXPORTER:
                return found[0]
            return name_part(own.get(field, "") if field in _OF_ENTRY else resource.get(field, ""))

        return self._directory / _FIELD.sub(value, self._name)


def name_part(text: str) -> str:
    """A text as part of a file's name: letters and digits of ASCII, `_`, `-`, and `.` that is not in front.

    What had to be changed gets a hash of the text, so that it stays another name than that of any other text.
    """
    if not text:
        return UNKNOWN
    safe = _NOT_SAFE.sub("_", text[: 2 * _MAX_LENGTH]).lstrip(".")[:_MAX_LENGTH]
    if safe == text:
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{safe}-{digest}"


def _fields(name: str) -> frozenset[str]:
    return frozenset(_FIELD.findall(name)) - {_OF_EXPORTER}


def _values(entry: Entry) -> dict[str, str]:
    otel = entry.otel if isinstance(entry.otel, dict) else {}
    return {"trace_id": str(otel.get("traceId", "")), "day": entry.started_date_time[:_DAY_LENGTH]}
