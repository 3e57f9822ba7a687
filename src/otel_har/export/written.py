"""Entries that are JSON already, and models only for who asks for them.

The rule: most destinations want an entry's text. To make a model of each, with all that is checked then, takes several
times as long as to write it; so the model is made when it is looked at, of the text, and is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from pydantic_core import PydanticSerializationError, to_json

from otel_har.har.models import Entry


class WrittenEntry(NamedTuple):
    """An entry as it is written.

    Attributes:
        pageref: The id of its page.
        text: UTF-8 JSON on one line.
        has_failed: Whether there was no answer, or one that broke off.
    """

    pageref: str | None
    text: bytes
    has_failed: bool = False


def written(entry: Mapping[str, Any]) -> WrittenEntry | None:
    """An entry as JSON has it, written; None where that takes more than to write it: lone surrogates, say.

    Args:
        entry: What has the form of an `Entry`: members that are not there are missing, none is None.
    """
    response = entry.get("response", {})
    has_failed = not response.get("status") or bool(response.get("_error"))
    try:
        return WrittenEntry(entry.get("pageref"), to_json(entry, inf_nan_mode="strings"), has_failed)
    except PydanticSerializationError:
        return None


def written_of(entry: Entry, indent: int | None = None) -> WrittenEntry:
    """A model, written.

    Args:
        entry: The entry.
        indent: Spaces for each level; None for one line.
    """
    has_failed = not entry.response.status or bool(entry.response.error)
    return WrittenEntry(entry.pageref, entry.to_json(indent), has_failed)


class WrittenEntries(Sequence[Entry]):
    """A sequence of models, each made when it is first asked for.

    Args:
        entries: What they are made of: entries that were written, or models.
    """

    def __init__(self, entries: Iterable[WrittenEntry | Entry]) -> None:
        self._entries = list(entries)
        self._models: list[Entry | None] = [one if isinstance(one, Entry) else None for one in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return tuple(self[one] for one in range(*index.indices(len(self))))
        model = self._models[index]
        if model is None:
            entry = self._entries[index]
            model = entry if isinstance(entry, Entry) else Entry.model_validate_json(entry.text)
            self._models[index] = model
        return model

    def __eq__(self, other: object) -> bool:
        """Whether the models are those of another sequence."""
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def written(self, indent: int | None = None) -> Iterator[WrittenEntry]:
        """The entries, written.

        Args:
            indent: Spaces for each level; None for one line.
        """
        for index, entry in enumerate(self._entries):
            if isinstance(entry, Entry):
                yield written_of(entry, indent)
            else:
                yield entry if indent is None else written_of(self[index], indent)
