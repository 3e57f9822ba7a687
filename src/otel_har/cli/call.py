"""`python -m otel_har.cli.call package.module:function`: calls a function as the program that is recorded.

The rule: the program is the function. What it raises is shown as if nothing of ours had called it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import runpy
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["main"]

_EXIT_USAGE = 2
_NOT_OF_THE_PROGRAM = frozenset({__file__, runpy.__file__, importlib.__file__})


def main() -> None:
    """Call the function that the first argument names, without arguments; the others are `sys.argv`'s.

    A coroutine is run. An int that is returned is the exit status.
    """
    sys.argv = sys.argv[1:]
    sys.excepthook = _show_from_the_program_on
    result = _named(sys.argv[0])()
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    if isinstance(result, int) and not isinstance(result, bool):
        sys.exit(result)


def _named(place: str) -> Callable[[], Any]:
    module_name, _, path = place.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module_name}.".startswith(f"{fault.name}."):
            raise  # what the module itself imports
        _refuse(f"there is no module {fault.name!r}")
    owner = f"module {module_name!r}"
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            _refuse(f"{owner} has no {name!r}")
        owner = repr(name)
    if not callable(found):
        _refuse(f"{place} is no function, but {type(found).__qualname__}")
    function: Callable[[], Any] = found
    return function


def _refuse(message: str) -> None:
    sys.stderr.write(f"otel-har: {message}\n")
    sys.exit(_EXIT_USAGE)


def _show_from_the_program_on(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """What Python's own hook does, without the frames before the program's."""
    while trace is not None and _is_before_the_program(trace):
        trace = trace.tb_next
    sys.__excepthook__(kind, fault.with_traceback(trace), trace)


def _is_before_the_program(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    return name in _NOT_OF_THE_PROGRAM or name.startswith("<frozen ")


if __name__ == "__main__":
    main()
