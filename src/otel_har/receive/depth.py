"""Entries that no writer of JSON takes: their members are too many levels deep.

The rule: reading JSON goes deeper than writing it, so what was read may be impossible to write. That is found out
here, for the price of counting brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_har.har.models import HarModel

MOST_LEVELS = 256
"""Of objects and lists in each other. Writers fail at about 480 levels, many readers of others at 64 to 512."""


def is_too_deep(model: HarModel, text: str) -> bool:
    """Whether a model has too many levels.

    Args:
        model: The model.
        text: The JSON that it was read from; of one with few brackets nothing else is looked at.
    """
    if text.count("[") + text.count("{") <= MOST_LEVELS:
        return False
    level: list[Any] = [model]
    for _ in range(MOST_LEVELS):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list | HarModel)]
        if not level:
            return False
    return True


def _children(parent: Any) -> Iterable[Any]:
    if isinstance(parent, HarModel):
        return [*vars(parent).values(), *(parent.__pydantic_extra__ or {}).values()]
    return parent.values() if isinstance(parent, dict) else parent
