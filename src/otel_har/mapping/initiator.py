"""The frames that made a request to the entry's `_initiator`, in the form of Chrome's DevTools protocol."""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Any
from weakref import ref

from otel_har.exchange import CallFrame, CallPlace


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


def call_frame(frame: CallFrame | CallPlace) -> CallFrame:
    """Function, file and line of a frame as it was met."""
    if len(frame) > 2:  # noqa: PLR2004 - known already
        return frame
    code, offset = frame
    # With the classes and functions that it stands in, where Python knows them (3.11).
    name: str = getattr(code, "co_qualname", code.co_name)
    return name, code.co_filename, _line(code, offset)


def _line(code: CodeType, offset: int) -> int:
    """The line of an instruction (PEP 626); that of the whole function for what has none.

    To find it all lines before it are gone through, so that of a place that came before is remembered. By the code's
    identity: what equals it may have other lines.
    """
    known = _lines.get((id(code), offset))
    if known is not None and known[0]() is code:
        return known[1]
    lines = (line for start, end, line in code.co_lines() if start <= offset < end and line is not None)
    line = next(lines, code.co_firstlineno)
    if len(_lines) >= _MAX_LINES:
        _lines.clear()
    _lines[id(code), offset] = ref(code), line
    return line


_lines: dict[tuple[int, int], tuple[ref[CodeType], int]] = {}
_MAX_LINES = 1024
