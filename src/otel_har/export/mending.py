"""What is whole of a HAR file that was cut or changed."""

from __future__ import annotations

from pathlib import Path

from otel_har.export.document import Standing


def mended(descriptor: int, path: Path, recording: str) -> Standing | None:
    return None
