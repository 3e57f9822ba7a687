"""A Content-Type header's value to its parts.

The rule: any value has parts, in time linear in its length; one that names a thing wrongly does not name it.
"""

from __future__ import annotations

from email.message import Message

MAX_PARAMETERS = 32
"""The most parameters that are read: the email package takes quadratic time for them."""

PARAMETER_ERRORS = (TypeError, ValueError)
"""What the email package raises for parameters of RFC 2231: for a charset that is none, and for a name that stands
there whole and in numbered pieces too, which it cannot sort."""


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case (RFC 9110, 8.3.1); `""` without one."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str | None:
    """The charset parameter in lower case; None without one."""
    try:
        return _parsed(content_type).get_content_charset() or None
    except PARAMETER_ERRORS:
        return None


def boundary_of(content_type: str) -> bytes:
    """The boundary parameter (RFC 2046, 5.1.1); empty without one."""
    try:
        return (_parsed(content_type).get_boundary() or "").encode("utf-8", "surrogatepass")
    except PARAMETER_ERRORS:
        return b""


def _parsed(content_type: str) -> Message:
    """As the email package reads it; line breaks would end the field, so they are blanks."""
    message = Message()
    known = media_type(content_type) if content_type.count(";") > MAX_PARAMETERS else content_type
    message["Content-Type"] = known.replace("\r", " ").replace("\n", " ")
    return message
