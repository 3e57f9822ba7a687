"""What an addition costs where the file keeps its last entries only, or is rotated, against one that only grows.

Run it as `python benchmarks/file_life.py [SMALL LARGE]`; by default with 1,000 and with 100,000 entries that stay. An
addition is ten entries of 2 KB, and drops ten. Printed are ratios of means in one run, since now and then an addition
moves what stays together: the mean is of as many additions as renew the whole file.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.export.keeping import Retention, Rotation
from otel_har.har.models import Content, Entry, Page, PageTimings, Request, Response

_ENTRIES_OF_ONE = 10
_ROTATED_BYTES = 10_000_000

_PAGE = Page(started_date_time="2030-01-01T00:00:00Z", id="run", page_timings=PageTimings())
_DIFFERENT = 200  # so that one cannot be packed as another one
_PACKED_PART = 5  # packing takes longer: so much fewer entries


def _entry(number: int) -> Entry:
    text = hashlib.shake_256(f"{number}".encode()).hexdigest(1000)
    return Entry(
        pageref="run",
        started_date_time="2030-01-01T00:00:00Z",
        request=Request(method="GET", url="http://h.test/"),
        response=Response(status=200, status_text="OK", content=Content(size=2000, mime_type="text/plain", text=text)),
    )


_ENTRIES = [_entry(number) for number in range(_DIFFERENT)]


def _mean(exporter: FileHarExporter, entries: int, additions: int) -> float:
    """Seconds of one addition, after so many entries; of many, in their mean."""
    for _ in range(0, entries, _DIFFERENT):
        exporter.export(HarBatch((_PAGE,), _ENTRIES))
    starts = range(0, _DIFFERENT, _ENTRIES_OF_ONE)
    batches = [HarBatch((_PAGE,), _ENTRIES[start : start + _ENTRIES_OF_ONE]) for start in starts]
    started = time.perf_counter()
    for number in range(additions):
        exporter.export(batches[number % len(batches)])
    taken = time.perf_counter() - started
    exporter.shutdown()
    return taken / additions


def main(small: int, large: int) -> None:
    """Measure and print."""
    additions = large // _ENTRIES_OF_ONE
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "out.har")
        growing = _mean(FileHarExporter(path), small, additions)
        few = _mean(FileHarExporter(path, retention=Retention(max_entries=small)), small, additions)
        many = _mean(FileHarExporter(path, retention=Retention(max_entries=large)), large, additions)
        aged = _mean(FileHarExporter(path, retention=Retention(max_bytes=large * 2_000)), large, additions)
        rotated = _mean(FileHarExporter(path, rotation=Rotation(max_bytes=_ROTATED_BYTES)), small, additions)
        packed = Path(directory, "out.har.gz")
        less, fewer = large // _PACKED_PART, additions // _PACKED_PART
        growing_packed = _mean(FileHarExporter(packed), small, fewer)
        few_packed = _mean(FileHarExporter(packed, retention=Retention(max_entries=small)), small, fewer)
        many_packed = _mean(FileHarExporter(packed, retention=Retention(max_entries=less)), less, fewer)
    print(f"an addition to a file that grows: {growing * 1000:.2f} ms")
    print(f"{large:,} entries stay / {small:,} entries stay: {many / few:.2f}")
    print(f"{small:,} entries stay / all stay: {few / growing:.2f}")
    print(f"{large * 2_000:,} bytes stay / all stay: {aged / growing:.2f}")
    print(f"rotated after {_ROTATED_BYTES:,} bytes / all stay: {rotated / growing:.2f}")
    print(f"packed, {less:,} entries stay / {small:,} entries stay: {many_packed / few_packed:.2f}")
    print(f"packed, {small:,} entries stay / all stay: {few_packed / growing_packed:.2f}")


if __name__ == "__main__":
    main(*([int(size) for size in sys.argv[1:3]] or [1_000, 100_000]))
