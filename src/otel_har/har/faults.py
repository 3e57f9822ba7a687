"""How faults in a document are named: the place of a value, the value itself, what is wrong with it."""

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["DOCUMENT", "MAXIMUM_DEPTH", "Fault", "describe", "member"]

DOCUMENT = "document"
"""The place of faults that concern the file as a whole."""

MAXIMUM_DEPTH = 400
"""How many levels of containers there may be inside one entry, or any other member of the log.

As deep as Python's own JSON writer safely goes. Real files stay below 70 (stacks of asynchronous calls in Chrome's
`_initiator`), and a hostile one must not exhaust the interpreter's stack in whoever walks the value.
"""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document.

    Attributes:
        place: Where, as in `log.entries[3].timings.ssl`.
        message: What is wrong, with the offending value; a single line of ASCII.
        code: The rule that is broken, a stable lowercase word for programs, as in `time-sum`.
    """

    place: str
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def member(place: str, name: str) -> str:
    """Return the place of the member `name` of the object at `place`.

    Names that could be mistaken for something else (a foreign `"a.b"`, one with a line break) stand quoted in brackets.
    """
    if not _PLAIN_NAME.fullmatch(name):
        return f"{place}[{json.dumps(name)}]"
    return f"{place}.{name}" if place else name


def describe(value: Any) -> str:
    """Return a JSON value as one short line of ASCII, fit for a message and for any terminal.

    Containers are named, not shown: they may be large, and their parts have places of their own.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, str):
        cut = value[:_SHOWN_CHARACTERS]
        return json.dumps(cut) + ("..." if len(cut) < len(value) else "")
    return json.dumps(value, default=str)
