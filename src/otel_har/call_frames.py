"""Frames of the program's call stack: as they are met, and as they are told.

The rule: on the request path a frame is the code and the place in it, and nothing is looked up; whoever tells it finds
the line.
"""

from __future__ import annotations

from types import CodeType
from weakref import ref

CallFrame = tuple[str, str, int]
"""A frame of the program's call stack: function name, file name, line number (from 1)."""
CallPlace = tuple[CodeType, int]
"""The same as it was met: the code, and the offset of the instruction that was under way in it."""

_MAX_KNOWN = 1_024


def call_frame(frame: CallFrame | CallPlace) -> CallFrame:
    """Function, file and line of a frame as it was met."""
    if len(frame) > 2:  # noqa: PLR2004 - known already
        return frame
    code, offset = frame
    # Most requests of a program are made at a few places. By the code's identity: what equals it may have other lines.
    known = _known.get((id(code), offset))
    if known is not None and known[0]() is code:
        return known[1]
    # With the classes and functions that it stands in, where Python knows them (3.11).
    name: str = getattr(code, "co_qualname", code.co_name)
    described = name, code.co_filename, _line(code, offset)
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known[id(code), offset] = ref(code), described
    return described


_known: dict[tuple[int, int], tuple[ref[CodeType], CallFrame]] = {}


def _line(code: CodeType, offset: int) -> int:
    """The line of an instruction (PEP 626); that of the whole function for what has none."""
    lines = (line for start, end, line in code.co_lines() if start <= offset < end and line is not None)
    return next(lines, code.co_firstlineno)
