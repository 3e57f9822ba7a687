"""Rows of a store of logs, as JSON: what a query for our events gives, whatever else is in a row.

The rule: an event is known by its attributes, in an object of the row or in the row itself. Stores make texts of all
values, and `_` of the `.` in names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_har.otlp.event import (
    DOCUMENT_EVENT,
    DOCUMENT_ID,
    DOCUMENT_JSON,
    ENTRY_EVENT,
    ENTRY_ID,
    ENTRY_JSON,
    PAGE_EVENT,
    PAGE_ID,
    PAGE_JSON,
    PART_COUNT,
    PART_DATA,
    PART_EVENT,
    PART_INDEX,
    REDACTION,
    Event,
)

_NAMES = (
    ENTRY_JSON,
    ENTRY_ID,
    PAGE_ID,
    PAGE_JSON,
    PART_INDEX,
    PART_COUNT,
    PART_DATA,
    REDACTION,
    DOCUMENT_ID,
    DOCUMENT_JSON,
)
_BY_WRITTEN_NAME = {name: name for name in _NAMES} | {name.replace(".", "_"): name for name in _NAMES}
_MARKS = {ENTRY_JSON: ENTRY_EVENT, PART_DATA: PART_EVENT, PAGE_JSON: PAGE_EVENT, DOCUMENT_JSON: DOCUMENT_EVENT}
_NUMBERS = frozenset({PART_INDEX, PART_COUNT})
_DEPTH = 3

MARK = re.compile(rb"otel_har[._](?:entry|part|page|document)[._]")
"""What the beginning of such rows has."""


def event_of_row(row: Any) -> Event | None:
    """The event of a row; None where it has none. Its trace and span are those that its entry tells."""
    attributes = _attributes(row, _DEPTH)
    name = next((event for mark, event in _MARKS.items() if mark in attributes), None)
    return None if name is None else Event(name, attributes)


def _attributes(value: Any, depth: int) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not depth:
        return {}
    found = {_BY_WRITTEN_NAME[name]: one for name, one in value.items() if name in _BY_WRITTEN_NAME}
    if found:
        return {name: _number(one) if name in _NUMBERS else one for name, one in found.items()}
    return next((inner for one in value.values() if (inner := _attributes(one, depth - 1))), {})


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
