"""Frames to Chrome's `_initiator`."""

from __future__ import annotations

from otel_har.mapping.initiator import har_initiator


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
