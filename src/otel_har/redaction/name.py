"""A name in a text that may be that of a secret."""

from __future__ import annotations

from typing import NamedTuple

RULE = "field"


class Name(NamedTuple):
    """A name in a text, and what follows it.

    Attributes:
        text: All of the text.
        name: The name, or the last word of it.
        start: Where it begins.
        stop: Where it ends.
        quote: The quotation mark after it.
        separator: What stands between it and its value: `:`, `=`, `=>`, `,`; empty: a space, or the end of a tag.
        end: Where the separator ends.
    """

    text: str
    name: str
    start: int
    stop: int
    quote: str
    separator: str
    end: int
