"""ISO 8601 instants as HAR files write them."""

import re
from datetime import datetime, timedelta, timezone

from otel_har.errors import HarFormatError
from otel_har.har.faults import describe

__all__ = ["has_offset", "parse_instant"]

# HAR 1.2: "ISO 8601 - YYYY-MM-DDThh:mm:ss.sTZD, e.g. 2009-07-24T19:20:30.45+01:00". Wider than that in what real files
# have: seconds or offset missing, an offset without colon, a space for the T. `datetime.fromisoformat` is not enough
# before Python 3.11: it knows neither Z nor other than three or six decimals.
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s?([Zz]|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)


def parse_instant(text: str) -> datetime:
    """Return the instant an ISO 8601 date-time denotes, always with a time zone.

    Decimals beyond microseconds are cut off. An instant without offset is taken as UTC: half the readers of HAR do so,
    and results that are sometimes naive could not be compared with each other.

    Raises:
        HarFormatError: The text is no ISO 8601 date-time, or denotes one that does not exist.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise HarFormatError(f"not an ISO 8601 date and time: {describe(text)}")
    year, month, day, hour, minute, second, decimals, _, sign, offset_hours, offset_minutes = match.groups()
    microsecond = int((decimals or "0")[:6].ljust(6, "0"))
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), microsecond, tzinfo=zone
        )
    except ValueError as error:
        raise HarFormatError(f"not a date and time that exists: {describe(text)} ({error})") from None


def has_offset(text: str) -> bool:
    """Tell whether a text is an ISO 8601 date-time that says its offset from UTC (HAR 1.2 asks for `TZD`)."""
    match = _INSTANT.fullmatch(text)
    return match is not None and match[8] is not None
