"""A function of the program's by its place, as in `package.module:function`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class ImportedFunction:
    """Calls a function that is imported with the first call: the program stands by then.

    Args:
        place: `package.module:function`; the function may be an attribute of something else in the module.

    Raises:
        ValueError: When that is no place.
    """

    def __init__(self, place: str) -> None:
        self._module, _, self._name = place.strip().partition(":")
        if not self._module or not self._name:
            raise ValueError("is not of the form package.module:function")
        self._function: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        """Call it.

        Raises:
            Exception: What importing it or the function itself raises.
        """
        if self._function is None:
            found: Any = importlib.import_module(self._module)
            for part in self._name.split("."):
                found = getattr(found, part)
            self._function = found
        function: Callable[..., Any] = self._function
        return function(*args)
