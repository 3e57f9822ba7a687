"""A browser unpacks a file of gzip by itself (`DecompressionStream`): it takes one member and nothing behind it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from children import batch
from consumers.recording import Recording
from consumers.running import Read, Reader
from otel_har.export.file import FileHarExporter
from servers.programs import har_text

pytestmark = pytest.mark.consumers


@pytest.fixture(scope="module")
def unpack(browser_reader: Reader) -> Read:
    """The text that a browser makes of a file."""
    return browser_reader("decompression.mjs")


@pytest.fixture
def packed(tmp_path: Path) -> Recording:
    """A recording of several additions that is not ended."""
    path = tmp_path / "out.har.gz"
    exporter = FileHarExporter(path)
    for number in range(5):
        exporter.export(batch(f"é{number}", body="x" * 100_000))
    copy = tmp_path / "copy.har.gz"
    copy.write_bytes(path.read_bytes())
    exporter.shutdown()
    return Recording(copy, json.loads(har_text(copy))["log"])


def test_browser_unpacks_it(unpack: Read, packed: Recording) -> None:
    """As it is at any moment."""
    assert {"text": har_text(packed.path).decode()} == unpack(packed)
    assert 5 == len(packed.entries)


def test_what_is_behind_it_is_noticed(unpack: Read, packed: Recording) -> None:
    """A second member is not taken, which is why there is one only."""
    path = packed.path.with_name("doubled.har.gz")
    path.write_bytes(packed.path.read_bytes() * 2)
    assert "error" in unpack(Recording(path, {}))
