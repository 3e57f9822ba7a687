"""The files that a recording was rotated to: `out.1.har`, the latest, and the older ones.

The rule: what does not say that it was put aside from this file is not ours, keeps its name, and its number is passed
over. Names change by `rename`, from the oldest on, so a process that is killed meanwhile leaves each file one name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from otel_har.errors import DestinationError
from otel_har.export.files import access
from otel_har.export.files.document import HarDocument
from otel_har.export.files.room import is_recorded
from otel_har.export.files.standing import Standing

_MOST_FOREIGN = 100  # numbers that are passed over


class Aside:
    """The numbered files beside one.

    Args:
        path: The file, symbolic links resolved.
        document: Its form.
        files: How many numbered ones are kept.
    """

    def __init__(self, path: Path, document: HarDocument, files: int) -> None:
        self._path = path
        self._document = document
        self._files = files

    def has(self, status: os.stat_result) -> bool:
        """Whether one of them is the same file: cheap, and asked before each addition."""
        for number in range(1, self._files + _MOST_FOREIGN + 1):
            try:
                there = os.lstat(numbered(self._path, number))
            except FileNotFoundError:
                return False
            if os.path.samestat(there, status):
                return True
        return False

    def latest(self) -> Path | None:
        """The first name that is free or ours."""
        return next((numbered(self._path, number) for number in self._numbers()), None)

    def made_room(self) -> Path:
        """Free the first name: the others get the next ones, and the oldest goes; those that were kept once, too.

        Raises:
            OSError: When that cannot be.
        """
        numbers = list(self._numbers())
        if not numbers:
            raise DestinationError(f"no name is free beside {self._path}")
        self._remove_behind(numbers[-1])
        places = [numbered(self._path, number) for number in numbers]
        free = next((number for number, place in enumerate(places) if not os.path.lexists(place)), None)
        if free is None:
            free = len(places) - 1
            places[free].unlink()
        for number in range(free, 0, -1):
            places[number - 1].rename(places[number])
        return places[0]

    def _numbers(self) -> Iterator[int]:
        """Those whose names are free or ours."""
        found = 0
        for number in range(1, self._files + _MOST_FOREIGN + 1):
            place = numbered(self._path, number)
            if not os.path.lexists(place) or self._is_ours(place):
                yield number
                found += 1
            if found == self._files:
                return

    def _remove_behind(self, number: int) -> None:
        """Remove ours behind a number, of a time when more were kept."""
        there = []
        while os.path.lexists(place := numbered(self._path, number := number + 1)):
            there.append(place)
        for place in reversed(there):  # the oldest first: no gap hides what is left, should this process be killed
            if self._is_ours(place):
                with contextlib.suppress(OSError):  # the others are kept as they are to be
                    place.unlink()

    def _is_ours(self, place: Path) -> bool:
        try:
            access.must_be_ours(place, os.lstat(place))
        except OSError:
            return False
        standing = self._standing(place)
        is_of_series = standing is not None and standing.series is not None and standing.series.name == self._path.name
        return is_of_series and not is_recorded(place)

    def _standing(self, path: Path) -> Standing | None:
        try:
            with access.closing(access.opened(path, os.O_RDONLY)) as there:
                return self._document.read_standing(there)
        except OSError:
            return None


def numbered(path: Path, number: int) -> Path:
    """The name with a number before its ending."""
    return named_beside(path, str(number))


def named_beside(path: Path, name: str) -> Path:
    """The path with a further name before its ending, the whole of `.har.gz`."""
    ending = path.suffix
    if path.stem.lower().endswith(".har"):
        ending = path.stem[-len(".har") :] + ending
    return path.with_name(f"{path.name[: len(path.name) - len(ending)]}.{name}{ending}")
