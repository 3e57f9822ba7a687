"""JSON texts from which the same models are read."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from otel_har.har.models import HarModel


def exact_json(model: HarModel, *, as_given: bool = False) -> str:
    """JSON text from which the same model is read, on one line.

    Other than `to_json` it keeps lone surrogates, as the escapes that JSON has for them (RFC 8259, 8.2).

    Args:
        model: The model.
        as_given: Whether neutral values are left out that stand for what a file lacked.

    Raises:
        ValueError, RecursionError: A custom field has no form in JSON.
    """
    try:
        return model.model_dump_json(exclude_unset=as_given)
    except PydanticSerializationError:
        value = _finite(model.model_dump(exclude_unset=as_given))
        return json.dumps(value, default=to_jsonable_python, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """A copy in which numbers that JSON does not have are texts, as `to_json` writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
