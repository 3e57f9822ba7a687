"""The frames of the program that make a request: what browsers call its initiator.

The rule: it is a walk over frames that are there anyway, with one look-up for each; no source is read and no frame is
kept, but the code and the place in it, of which names and lines are worked out later. Asking a frame for its code is an
audit event, for which every audit hook of the process is called: so the client's own frames are told by the files of
their modules, without their code. A frame is the program's own unless its file belongs to Python, to this package or to
an installed distribution. A program that is itself installed, or given with `-c`, has no frames of its own by that
measure: then those count that belong neither to Python nor to what carries a request. Below an asyncio task stands the
loop, which did not ask.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from otel_har.call_frames import CallPlace
from otel_har.guard import caught

_MAX_WALK = 500
_LOOP, _PROGRAM, _INSTALLED, _PLUMBING = 3, 2, 1, 0
# Between the program and the wire: the clients, what they stand on, and the instrumentation.
_CARRIERS = frozenset(
    {
        "aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "gevent", "greenlet", "opentelemetry", "otel_har",
        "requests", "requests_toolbelt", "urllib3", "uvloop", "wrapt",
    }
)  # fmt: skip
# What runs a task: whoever made it does not stand below it on the stack.
_LOOP_FILES = frozenset({"base_events.py", "events.py", "runners.py"})
_TYPED_IN = ("<stdin>", "<console>", "<ipython-input", "<doctest")
_INSTALL_DIRECTORIES = frozenset({"site-packages", "dist-packages"})

_MAX_KINDS = 10_000  # a program that makes code as it goes makes file names too
_STEPS = range(_MAX_WALK)


class _Kinds(dict[Any, int]):
    """The kinds of frames by the names of their files; what is asked for the first time is worked out."""

    def __missing__(self, file_name: object) -> int:
        if len(self) >= _MAX_KINDS:
            self.clear()
        # A module may say anything of itself.
        kind = self[file_name] = _classified(file_name) if isinstance(file_name, str) else _INSTALLED
        return kind


_kinds = _Kinds()


def program_frames(limit: int, depth: int = 1) -> Sequence[CallPlace]:  # noqa: C901 - a call for each frame costs more than the walk
    """The innermost frames of the program on the calling thread's stack, innermost first.

    Args:
        limit: The most frames; 0 for none.
        depth: How many frames lie between the program's and this function, at the least.
    """
    if limit <= 0:
        return ()
    program: list[CallPlace] = []
    installed: list[CallPlace] = []
    kinds = _kinds
    try:
        frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001 - the documented way to one's own stack
        for _ in _STEPS:  # through what the client itself stands on
            if frame is None or kinds[frame.f_globals.get("__file__")]:
                break
            frame = frame.f_back
        for _ in _STEPS:
            if frame is None:
                break
            code = frame.f_code
            kind = kinds[code.co_filename]
            if kind:
                if kind == _PROGRAM:
                    program.append((code, frame.f_lasti))
                    if len(program) == limit:
                        break
                elif kind == _LOOP:
                    if program or installed:
                        break
                elif len(installed) < limit and not program:
                    installed.append((code, frame.f_lasti))
            frame = frame.f_back
    except Exception as fault:  # noqa: BLE001 - see `caught`
        caught("looking for the initiator of a request", fault)
    return program or installed


def _classified(file_name: str) -> int:
    if file_name.startswith("<frozen "):
        return _PLUMBING
    if file_name.startswith("<"):  # a prompt; the others are of `python -c`, or of packages that make code as they go
        return _PROGRAM if file_name.startswith(_TYPED_IN) else _INSTALLED
    path = Path(file_name)
    if _OWN_DIRECTORY in path.parents:
        return _PLUMBING
    places = [index for index, part in enumerate(path.parts) if part in _INSTALL_DIRECTORIES]
    if places:
        package = path.parts[places[-1] + 1] if len(path.parts) > places[-1] + 1 else ""
        return _PLUMBING if package.partition(".")[0] in _CARRIERS else _INSTALLED
    if any(directory in path.parents for directory in _PYTHON_DIRECTORIES):
        return _LOOP if path.parent.name == "asyncio" and path.name in _LOOP_FILES else _PLUMBING
    return _INSTALLED if path.parent == _SCRIPTS_DIRECTORY else _PROGRAM


_OWN_DIRECTORY = Path(__file__).resolve().parents[1]
_PYTHON_DIRECTORIES = tuple(dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")))
_SCRIPTS_DIRECTORY = Path(sysconfig.get_path("scripts"))
