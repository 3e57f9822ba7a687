"""Any sequence of batches with any limits leaves what a simple model of the file has."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lives import FORMS, PACKED_FORMS, Clock, batch, entry, read
from otel_har.export.file import FileHarExporter
from otel_har.export.files.aside import numbered
from otel_har.export.keeping import Retention, Rotation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX")

sequences = settings(max_examples=60, deadline=None)
_Step = tuple[int, list[tuple[int, int, int]]]
# How many seconds pass, and of each entry how long ago it started, its page and its size.
steps = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.sampled_from([0, 700, 30_000])), max_size=6),
    ),
    min_size=1,
    max_size=12,
)
_ALL_FORMS = {**FORMS, **PACKED_FORMS}
_Model = list[tuple[str, float, str]]


def _added(exporters: list[FileHarExporter], clock: Clock, number: int, step: _Step) -> _Model:
    """Carry a step out; what it adds."""
    seconds, made = step
    clock.now += seconds
    entries = [(f"{number}.{index}", clock.now - ago, f"p{page}", size) for index, (ago, page, size) in enumerate(made)]
    exporter = exporters[number % len(exporters)]
    exporter.export(batch(*(entry(name, started, page, size) for name, started, page, size in entries)))
    exporter.upkeep()
    return [(name, started, page) for name, started, page, _ in entries]


@sequences
@given(
    st.sampled_from(sorted(FORMS)),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 5),
    st.integers(1, 2),
    steps,
)
def test_age_and_entries(form: str, age: int | None, most: int | None, processes: int, sequence: list[_Step]) -> None:
    """Exactly the last entries stay, those before the first that is young enough go, and pages with them."""
    name, indent = FORMS[form]
    clock, model = Clock(), []
    with tempfile.TemporaryDirectory() as directory:
        retention = Retention(max_age_seconds=age, max_entries=most)
        count = processes if name == "out.har" else 1
        exporters = [
            FileHarExporter(Path(directory, name), indent, recording="run", retention=retention, clock=clock)
            for _ in range(count)
        ]
        for number, step in enumerate(sequence):
            model += _added(exporters, clock, number, step)
            if most is not None:
                model = model[-most:]
            while age is not None and model and model[0][1] < clock.now - age:
                del model[0]
            if step[1]:
                names, pages = read(Path(directory, name))
                assert [one for one, _, _ in model] == names
                assert {page for _, _, page in model} == set(pages)
        for exporter in exporters:
            exporter.shutdown()


@sequences
@given(st.sampled_from(sorted(FORMS)), st.integers(1, 120_000), steps)
def test_bytes(form: str, most: int, sequence: list[_Step]) -> None:
    """The file has no more bytes than it may, or one entry; what stays is the end of what was added."""
    name, indent = FORMS[form]
    everything: _Model = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, name)
        exporter = FileHarExporter(path, indent, retention=Retention(max_bytes=most))
        for number, step in enumerate(sequence):
            everything += _added([exporter], Clock(), number, step)
            kept, pages = read(path)
            end = everything[len(everything) - len(kept) :]
            assert [one for one, _, _ in end] == kept
            assert {page for _, _, page in end} == set(pages)
            assert len(kept) <= 1 or path.stat().st_size <= most
            assert kept or not everything
        exporter.shutdown()


@sequences
@given(
    st.sampled_from(sorted({**FORMS, **PACKED_FORMS})),
    st.none() | st.integers(1, 50_000),
    st.none() | st.integers(1, 9),
    steps,
)
def test_rotation(form: str, most: int | None, seconds: int | None, sequence: list[_Step]) -> None:
    """Each entry is in exactly one file, in order; a file that is too large has one addition alone."""
    name, indent = _ALL_FORMS[form]
    limits: dict[str, Any] = {"max_bytes": most or (None if seconds else 1), "max_seconds": seconds}
    clock, model = Clock(), []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, name)
        exporter = FileHarExporter(path, indent, rotation=Rotation(**limits, files=50), clock=clock)
        for number, step in enumerate(sequence):
            model += [one for one, _, _ in _added([exporter], clock, number, step)]
        exporter.shutdown()
        files = [one for one in (path, *(numbered(path, n) for n in range(1, 51))) if one.exists()]
        written = [read(one)[0] for one in reversed(files)]
        assert model == [name for names in written for name in names]
        assert len(files) == len(list(Path(directory).iterdir()))
        for file, names in zip(reversed(files), written, strict=True):
            is_one_addition = len({name.partition(".")[0] for name in names}) <= 1
            assert is_one_addition or limits["max_bytes"] is None or file.stat().st_size <= limits["max_bytes"]


@sequences
@given(
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 5),
    st.none() | st.integers(1, 60_000),
    st.integers(1, 2),
    steps,
)
def test_packed(age: int | None, entries: int | None, size: int | None, processes: int, sequence: list[_Step]) -> None:
    """No limit is passed, what stays is the end of what was added, and pages with it; nothing goes that need not."""
    clock, model = Clock(), []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "out.har.gz")
        retention = Retention(max_age_seconds=age, max_entries=entries, max_bytes=size)
        exporters = [FileHarExporter(path, recording="run", retention=retention, clock=clock) for _ in range(processes)]
        for number, step in enumerate(sequence):
            model += _added(exporters, clock, number, step)
            if not step[1]:
                continue
            names, pages = read(path)
            left = model[len(model) - len(names) :]
            assert [name for name, _, _ in left] == names
            assert {page for _, _, page in left} == set(pages)
            assert entries is None or len(names) <= entries
            assert size is None or len(names) <= 1 or path.stat().st_size <= size
            assert age is None or not left or left[0][1] >= clock.now - age
            if age is None and size is None:
                assert len(names) >= min(len(model), 1 if entries is None else max(1, int(entries * 0.75)))
        for exporter in exporters:
            exporter.shutdown()
