"""Frames to Chrome's `_initiator`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from otel_har.exchange import call_frame
from otel_har.mapping.initiator import har_initiator

if TYPE_CHECKING:
    from otel_har.exchange import CallFrame, CallPlace


def test_frames() -> None:
    """Innermost first, lines counted from 0."""
    initiator = har_initiator([("inner", "/app.py", 2), ("<module>", "/app.py", 9)])["_initiator"]
    frames = initiator["stack"]["callFrames"]
    assert "script" == initiator["type"]
    assert [("inner", "/app.py", 1), ("<module>", "/app.py", 8)] == [
        (frame["functionName"], frame["url"], frame["lineNumber"]) for frame in frames
    ]


def test_no_frames() -> None:
    """Without frames there is no member: `_initiator: null` makes Chrome refuse the file."""
    assert {} == har_initiator([])


def _here(*_: object) -> tuple[CallPlace, CallFrame]:
    """The caller's frame as it is met, and as Python itself describes it."""
    frame = sys._getframe(1)
    code = frame.f_code
    described = getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno
    return (code, frame.f_lasti), described


def test_places_are_lines() -> None:
    """Of a place in code the line is the one that Python gives, in a call over several lines too."""
    found = [
        _here(),
        _here(
            1,
            _here(),
        ),
        *(_here() for _ in range(1)),
    ]
    assert [described for _, described in found] == [call_frame(place) for place, _ in found]


def test_a_place_without_a_line() -> None:
    """Code that tells no line for an instruction is told by its first one."""
    code = compile("x = 1\n", "made.py", "exec")
    assert ("<module>", "made.py", code.co_firstlineno) == call_frame((code, 10_000))
