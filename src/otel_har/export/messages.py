"""How a batch and what is to be done with it are written for another process."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from otel_har.export.interfaces import HarBatch, HarStatistics
from otel_har.har.models import Entry, Page

HEADER = struct.Struct("!Q")
"""What comes before each message: its length, bytes."""


def order_of(number: int, do: str, members: dict[str, Any], batch: HarBatch | None = None) -> bytes:
    """An order as it is sent."""
    head = json.dumps({"number": number, "do": do, **members}).encode()
    if batch is not None:
        lost = batch.statistics
        counts = [lost.dropped_entries, lost.dropped_bodies, lost.failed_entries, lost.failed_exports]
        parts = (
            b',"statistics":' + json.dumps(counts).encode(),
            b',"redaction":' + json.dumps(batch.redaction).encode(),
            b',"pages":[' + b",".join(page.to_json() for page in batch.pages) + b"]",
            b',"entries":[' + b",".join(entry.text for entry in batch.written()) + b"]}",
        )
        head = head[:-1] + b"".join(parts)
    return HEADER.pack(len(head)) + head


def batch_of(order: Mapping[str, Any]) -> HarBatch:
    """The batch of an order."""
    return HarBatch(
        tuple(Page.model_validate(page) for page in order["pages"]),
        tuple(Entry.model_validate(entry) for entry in order["entries"]),
        HarStatistics(*order["statistics"]),
        order["redaction"],
    )
