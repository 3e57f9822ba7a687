"""Names of files from what the network says.

The rule: a text from the network is a part of a file's name, never of a path. What differs in a field is another name,
and none of them is a name that a rotated file gets, or one written beside. A text that could be taken for something
else gets a hash; so does one that looks as if it had got one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timezone
from pathlib import Path

from otel_har.errors import SettingError
from otel_har.har.models import Entry

SPLITS = {"service": "service.name", "host": "host.name", "trace": "trace_id", "day": "day"}
"""What may be split by, and the field of a name that does it."""

UNKNOWN = "unknown"
OTHERS = "others"
"""In the place of all fields, where there are too many files."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_OF_EXPORTER = "pid"  # `FileHarExporter` fills it in
_OF_ENTRY = frozenset({"trace_id", "day"})
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_OF_FIXED_LENGTH = re.compile(r"\d{4}-\d\d-\d\d|[0-9a-f]{32}")  # a day, a trace
_NUMBERED = re.compile(r".+\.\d+(\..*)?|\d+\..*")  # `shop.1` is the name of what `shop` was rotated to
_HASH_DIGITS = 16
_HASHED = re.compile(rf".*-[0-9a-f]{{{_HASH_DIGITS}}}")
_MAX_LENGTH = 80  # of one field; several have twice as much together
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
        literals, self._fields = _divided(name)
        self._literals = literals
        self._most = _MAX_LENGTH if len(self._fields) < 2 else 2 * _MAX_LENGTH // len(self._fields)  # noqa: PLR2004
        self.fields = frozenset(self._fields)

    @property
    def is_by_entry(self) -> bool:
        """Whether entries of one resource may go to several files."""
        return not _OF_ENTRY.isdisjoint(self.fields)

    def path(self, resource: Mapping[str, str], entry: Entry | None) -> Path:
        """The file of an entry; of what has none, where `entry` is None."""
        own = _values(entry) if entry is not None else {}
        texts = [(own if field in _OF_ENTRY else resource).get(field, "") for field in self._fields]
        parts = [name_part(text, self._most) if text else UNKNOWN for text in texts]
        if not all(self._is_plain(place, text) for place, text in enumerate(texts)):
            digest = hashlib.sha256(repr(texts).encode("utf-8", "replace")).hexdigest()
            parts[-1] = f"{parts[-1]}-{digest[:_HASH_DIGITS]}"
        return self._filled(parts)

    @property
    def of_others(self) -> Path:
        """The file of what there is no other one for."""
        return self._filled([OTHERS] * len(self._fields))

    def _filled(self, parts: Sequence[str]) -> Path:
        name = "".join(literal + part for literal, part in zip(self._literals, [*parts, ""], strict=True))
        return self._directory / name

    def _is_plain(self, place: int, text: str) -> bool:
        """Whether a text stands for itself alone in the name."""
        if self._fields[place] in _OF_ENTRY:
            return not text or _OF_FIXED_LENGTH.fullmatch(text) is not None
        behind = self._literals[place + 1][:1]
        is_last = place == len(self._fields) - 1
        return (
            name_part(text, self._most) == text
            and text not in {UNKNOWN, OTHERS}
            and not _NUMBERED.fullmatch(text)
            and not _HASHED.fullmatch(text)
            and (is_last or (behind != "" and behind not in text))
        ) or not text


def name_part(text: str, most: int = _MAX_LENGTH) -> str:
    """A text as part of a file's name: ASCII letters, digits, `_`, and `-` and `.` that are not in front."""
    return _NOT_SAFE.sub("_", text[: 2 * most]).lstrip(".-")[:most] or "_"


def _divided(name: str) -> tuple[list[str], list[str]]:
    """What stands between the fields of a name, and the fields."""
    literals, fields = [""], []
    for place, piece in enumerate(_FIELD.split(name)):
        if place % 2 and piece != _OF_EXPORTER:
            fields.append(piece)
            literals.append("")
        else:
            literals[-1] += f"{{{piece}}}" if place % 2 else piece
    return literals, fields


def _fields(name: str) -> frozenset[str]:
    return frozenset(_FIELD.findall(name)) - {_OF_EXPORTER}


def _values(entry: Entry) -> dict[str, str]:
    otel = entry.otel if isinstance(entry.otel, dict) else {}
    trace_id = otel.get("traceId", "")
    return {"trace_id": trace_id if isinstance(trace_id, str) else UNKNOWN, "day": _day(entry)}


def _day(entry: Entry) -> str:
    started = entry.started_date_time
    if started.endswith("Z"):
        return started[:_DAY_LENGTH]
    try:
        return entry.started_at.astimezone(timezone.utc).date().isoformat()
    except (ValueError, OverflowError):
        return started[:_DAY_LENGTH]
