"""Frames to Chrome's `_initiator`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from weakref import ref

from otel_har.mapping.initiator import _lines, call_frame, har_initiator

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


def test_code_that_is_made_and_dropped() -> None:
    """Code in whose place in memory other code was has its own lines, and none is kept for them."""
    made = []
    for number in range(5_000):
        code = compile("\n" * (number % 50) + "x = 1\n", "made.py", "exec")
        offset = next(start for start, _, line in code.co_lines() if line == number % 50 + 1)
        assert ("<module>", "made.py", number % 50 + 1) == call_frame((code, offset)) == call_frame((code, offset))
        made.append(ref(code))
    assert len({one() for one in made} - {None}) <= 1
    assert len(_lines) <= 1024
