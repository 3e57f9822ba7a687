"""Parts of a HAR as they were given: without the neutral values that models write for what a file lacks."""

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from otel_har.har.bodies import without_surrogates
from otel_har.har.models import HarModel

__all__ = ["given_json", "given_value"]


def given_value(model: HarModel) -> dict[str, Any]:
    """The members that a part was made with, as JSON has them."""
    return model.model_dump(exclude_unset=True, warnings=False)


def given_json(value: Any) -> bytes:
    """A part, or any value as JSON has it, on one line of UTF-8 that every reader takes: see `HarModel.to_json`.

    Raises:
        ValueError, RecursionError: A custom field has no form in JSON.
    """
    if isinstance(value, HarModel):
        try:
            return value.model_dump_json(exclude_unset=True, warnings=False).encode()
        except PydanticSerializationError:
            value = given_value(value)
    text = json.dumps(
        value, default=to_jsonable_python, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )  # fmt: skip
    return without_surrogates(text).encode()
