"""The frames that made a request to the entry's `_initiator`, in the form of Chrome's DevTools protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otel_har.call_frames import CallFrame, CallPlace, call_frame


def har_initiator(frames: Sequence[CallFrame | CallPlace]) -> dict[str, Any]:
    """The `_initiator` member, innermost frame first; nothing without frames.

    "lineNumber: JavaScript script line number (0-based)", so says the protocol: viewers show one more. Files are
    written by their path: DevTools leaves out what has the scheme `file:`.
    """
    if not frames:
        return {}
    call_frames = [
        {"functionName": name, "scriptId": "", "url": file_name, "lineNumber": line_number - 1, "columnNumber": 0}
        for name, file_name, line_number in map(call_frame, frames)
    ]
    return {"_initiator": {"type": "script", "stack": {"callFrames": call_frames}}}
