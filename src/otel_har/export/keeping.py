"""How long entries stay in a file, and when a file is put aside for a new one.

The rule: a limit that is no limit (zero, negative, no number) is refused where it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from otel_har.errors import SettingError

DEFAULT_ROTATED_FILES = 5


def _must_be_positive(name: str, value: object, *, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or value <= 0:
        raise SettingError(f"{name} must be a {'whole ' if whole else ''}number above 0, not {value!r}")


@dataclass(frozen=True)
class Retention:
    """Which entries a file keeps; the others are dropped from its beginning, in the order of the file.

    Attributes:
        max_age_seconds: An entry goes when it started longer ago than this, and all before it have gone. So none stays
            longer than this after it was written.
        max_entries: The most entries.
        max_bytes: The most bytes of the whole file. When it would have more, the oldest entries go until it has three
            quarters. One entry that is larger stays alone.

    Raises:
        SettingError: When a limit is not above 0.
    """

    max_age_seconds: float | None = None
    max_entries: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None:
                _must_be_positive(limit.name, value, whole=limit.name != "max_age_seconds")

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self != Retention()


@dataclass(frozen=True)
class Rotation:
    """When a file becomes `out.1.har`, and `out.har` is begun anew.

    Attributes:
        max_bytes: Before an addition that would make the file larger than so many bytes. An addition is never divided:
            one that is larger alone makes a larger file.
        max_seconds: When the file was begun so long ago, and has an entry.
        files: How many files are kept beside the one that is recorded; the oldest goes.

    Raises:
        SettingError: When a limit is not above 0, or there is neither of the first two.
    """

    max_bytes: int | None = None
    max_seconds: float | None = None
    files: int = DEFAULT_ROTATED_FILES

    def __post_init__(self) -> None:
        if self.max_bytes is None and self.max_seconds is None:
            raise SettingError("a rotation needs max_bytes or max_seconds, not None for both")
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None or limit.name == "files":
                _must_be_positive(limit.name, value, whole=limit.name != "max_seconds")
