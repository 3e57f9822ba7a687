"""What an entry says, in the terms of its readers."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


def pairs(items: list[Json]) -> list[list[str]]:
    """Names and values, as JSON has them."""
    return [[item["name"], item["value"]] for item in items]


def body(holder: Json | None) -> bytes:
    """The bytes of `content` or `postData`; of text, its UTF-8."""
    text = str((holder or {}).get("text", ""))
    return base64.b64decode(text, validate=True) if (holder or {}).get("encoding") == "base64" else text.encode()


def unix_s(moment: str) -> float:
    """A date-time of HAR in seconds since 1970."""
    return (datetime.fromisoformat(moment.replace("Z", "+00:00")) - _EPOCH).total_seconds()


def unix_ms(moment: str) -> int:
    """A date-time of HAR as JavaScript's `Date` takes it: whole milliseconds since 1970."""
    return (datetime.fromisoformat(moment.replace("Z", "+00:00")) - _EPOCH) // _MILLISECOND


def by_start(entries: list[Json]) -> list[Json]:
    """Entries as readers sort them: by the millisecond of their start, equal ones in the order of the file."""
    return sorted(entries, key=lambda entry: unix_ms(entry["startedDateTime"]))
