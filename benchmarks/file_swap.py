"""What an addition to the file costs: swapped in by rename, written in place, and appended plainly, in one run.

Run it as `python benchmarks/file_swap.py [ENTRIES]...`; by default with 1,000 and with 100,000 entries in the file. An
addition is ten entries of 2 KB. Printed are ratios of medians: of the writing alone, and with the building of the
entries' JSON; and what four processes cost that write one file, against one that writes as much.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from otel_har.export.files.document import HarDocument
from otel_har.export.files.growing import Claim, GrowingFile
from otel_har.export.files.in_place import InPlaceFile
from otel_har.export.files.standing import Growth, Standing
from otel_har.export.files.swapped import SwappedFile
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Content, Entry, Page, PageTimings, Request, Response

_ADDITIONS = 300
_ENTRIES_OF_ONE = 10
_FILLED_AT_ONCE = 500
_PROCESSES = 4

_PAGE = Page(started_date_time="2030-01-01T00:00:00Z", id="run", page_timings=PageTimings())
_ENTRY = Entry(
    pageref="run",
    started_date_time="2030-01-01T00:00:00Z",
    request=Request(method="GET", url="http://h.test/"),
    response=Response(
        status=200, status_text="OK", content=Content(size=2000, mime_type="text/plain", text="x" * 2000)
    ),
)
_DOCUMENT = HarDocument()
_CLAIM = Claim("benchmark")


def _batch(count: int) -> HarBatch:
    return HarBatch((_PAGE,), (_ENTRY,) * count)


def _building(standing: Standing) -> Growth:
    return _DOCUMENT.grown(standing, _batch(_ENTRIES_OF_ONE), {"run": _PAGE})


def _ready(after: Standing) -> Callable[[Standing], Growth]:
    """Composes an addition without building it: it is always the same one, at another place."""
    made = _building(after)

    def compose(standing: Standing) -> Growth:
        end = standing.entries_end + len(made.entries)
        grown = replace(standing, entries_end=end, entries=standing.entries + _ENTRIES_OF_ONE)
        return Growth(made.entries, _DOCUMENT.ended(grown), grown)

    return compose


class _Appended:
    """A file to whose end the same bytes are written, and that is all."""

    def __init__(self, path: Path, standing: Standing) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._standing = standing

    def add(self, compose: Callable[[Standing], Growth]) -> Standing:
        growth = compose(self._standing)
        os.write(self._descriptor, growth.entries)
        self._standing = growth.standing
        return growth.standing

    def close(self) -> None:
        os.close(self._descriptor)


def _filled(file: GrowingFile, entries: int) -> Standing:
    standing = file.add(lambda before: _DOCUMENT.grown(before, _batch(1), {"run": _PAGE}))
    while standing.entries < entries:
        count = min(_FILLED_AT_ONCE, entries - standing.entries)
        standing = file.add(lambda before, count=count: _DOCUMENT.grown(before, _batch(count), {"run": _PAGE}))  # type: ignore[misc] # a default binds it
    return standing


def _medians(files: Iterable[GrowingFile | _Appended], compose: Callable[[Standing], Growth]) -> list[float]:
    """Seconds of one addition to each file; the files take turns, so that all have the same machine."""
    files = list(files)
    seconds: list[list[float]] = [[] for _ in files]
    for _ in range(_ADDITIONS):
        for file, taken in zip(files, seconds, strict=True):
            started = time.perf_counter()
            file.add(compose)
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in seconds]


def _compare(directory: Path, entries: int) -> None:
    swapped = SwappedFile(directory / "swapped.har", _DOCUMENT, _CLAIM)
    in_place = InPlaceFile(directory / "in-place.har", _DOCUMENT, _CLAIM)
    standing = _filled(swapped, entries)
    _filled(in_place, entries)
    appended = _Appended(directory / "appended", standing)
    print(f"{entries:,} entries in the file")
    for name, compose in (("writing alone", _ready(standing)), ("with building it", _building)):
        costs = _medians((swapped, in_place, appended), compose)
        print(f"  swapped / in place, {name:20}{costs[0] / costs[1]:8.2f}")
        print(f"  swapped / plain append, {name:16}{costs[0] / costs[2]:8.2f}   ({costs[0] * 1000:.2f} ms)")
    for file in (swapped, in_place, appended):
        file.close()


def _write_much(path: Path, additions: int) -> None:
    file = SwappedFile(path, _DOCUMENT, _CLAIM)
    for _ in range(additions):
        file.add(_building)
    file.close()


def _several(directory: Path) -> None:
    started = time.perf_counter()
    _write_much(directory / "one.har", _ADDITIONS * _PROCESSES)
    one = time.perf_counter() - started
    started = time.perf_counter()
    SwappedFile(directory / "several.har", _DOCUMENT, _CLAIM).forget()  # all of them go on with it
    for _ in range(_PROCESSES):
        if os.fork() == 0:
            _write_much(directory / "several.har", _ADDITIONS)
            os._exit(0)
    for _ in range(_PROCESSES):
        os.wait()
    several = time.perf_counter() - started
    entries = (directory / "several.har").read_bytes().count(b'"pageref"')
    print(f"{_PROCESSES} processes, {entries:,} entries, against one process that writes them all: {several / one:.2f}")


def main(sizes: list[int]) -> None:
    """Measure and print."""
    for entries in sizes:
        with tempfile.TemporaryDirectory() as directory:
            _compare(Path(directory), entries)
    with tempfile.TemporaryDirectory() as directory:
        _several(Path(directory))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000, 100_000])
