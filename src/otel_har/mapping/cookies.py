"""Cookie and Set-Cookie header fields to HAR cookies.

The rule: RFC 6265, section 5.2 is how user agents read Set-Cookie, and each header field is a cookie of its own. The
standard library's `SimpleCookie` is stricter than servers are, and drops what it does not like.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}
_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


def request_cookies(values: list[str]) -> list[dict[str, Any]]:
    """The cookies of the Cookie header fields, as they were sent: duplicates and order kept."""
    cookies = []
    for value in values:
        for pair in value.split(";"):
            name, equals, content = pair.strip().partition("=")
            if name or equals:
                cookies.append({"name": name.strip(), "value": content.strip()})
    return cookies


def response_cookies(values: list[str], received_unix_s: float) -> list[dict[str, Any]]:
    """One cookie for each Set-Cookie header field.

    Args:
        values: The values of the Set-Cookie header fields.
        received_unix_s: When they came, seconds since the epoch: Max-Age counts from there.
    """
    return [cookie for value in values if (cookie := _response_cookie(value, received_unix_s))]


def _response_cookie(value: str, received_unix_s: float) -> dict[str, Any] | None:
    pair, _, attributes = value.partition(";")
    name, equals, content = pair.partition("=")
    if not equals or not name.strip():  # RFC 6265, 5.2, steps 2 and 5: ignore it
        return None
    given = dict(_attribute(attribute) for attribute in attributes.split(";"))  # 5.3: the last of a name counts
    cookie: dict[str, Any] = {"name": name.strip(), "value": content.strip()}
    cookie |= {name: given[name] for name in ("path", "domain") if given.get(name)}
    # RFC 6265, 5.3, step 3: Max-Age has precedence over Expires.
    end = _after(given.get("max-age", ""), received_unix_s) or _date(given.get("expires", ""))
    if end is not None:
        cookie["expires"] = end.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    same_site = _SAME_SITE.get(given.get("samesite", "").lower())
    if same_site is not None:
        cookie["sameSite"] = same_site
    return cookie | {"httpOnly": "httponly" in given, "secure": "secure" in given}


def _attribute(text: str) -> tuple[str, str]:
    """An attribute's name in lower case, and its value, `""` without one."""
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _after(seconds: str, received_unix_s: float) -> datetime | None:
    """RFC 6265, 5.2.2: an optional minus and digits, else the attribute is ignored."""
    digits = seconds.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    is_past = seconds.startswith("-")
    try:
        return datetime.fromtimestamp(received_unix_s + int(seconds), tz=timezone.utc)
    except (OverflowError, OSError, ValueError):  # beyond the calendar
        return _EARLIEST if is_past else _LATEST


def _date(text: str) -> datetime | None:
    """RFC 6265, 5.1.1: the forms of RFC 9110, 5.6.7, all read as UTC; what is no date is ignored."""
    try:
        date = parsedate_to_datetime(text)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None
    return date.replace(tzinfo=timezone.utc)
