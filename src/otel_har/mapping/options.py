"""What is to be chosen about the form of entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Params = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """How records become entries.

    Attributes:
        params: When the fields of a form are written as `postData.params` beside `postData.text`. HAR 1.2 calls the
            two exclusive, so `text` is always there and whole. `auto`: for multipart forms whose text is base64, of
            which readers that do not know `postData.encoding` would make nothing; `always`: for every form; `never`.
    """

    params: Params = "auto"


DEFAULT_OPTIONS = MappingOptions()
