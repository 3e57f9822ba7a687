"""A function of the program's by its place, as in `package.module:function`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from otel_har.errors import SettingError


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
            SettingError: When there is no such module or function.
            Exception: What importing it or the function itself raises.
        """
        if self._function is None:
            self._function = self._imported()
        return self._function(*args)

    def _imported(self) -> Callable[..., Any]:
        place = f"{self._module}:{self._name}"
        try:
            found: Any = importlib.import_module(self._module)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{self._module}.".startswith(f"{missing.name}."):
                raise  # what the module itself imports
            raise SettingError(f"{place}: there is no module {missing.name!r}") from missing
        for part in self._name.split("."):
            if not hasattr(found, part):
                raise SettingError(f"{place}: there is no {part!r}")
            found = getattr(found, part)
        if not callable(found):
            raise SettingError(f"{place}: it is no function, but {type(found).__qualname__}")
        function: Callable[..., Any] = found
        return function
