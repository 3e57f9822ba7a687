"""Where in a HAR of any producer secrets stand, without telling them.

The rule: what a redaction would change is what looks secret, so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otel_har.har.faults import Fault, member
from otel_har.har.source import Source
from otel_har.redaction.document import Kind, Part, Parts
from otel_har.redaction.exact import ExactJson
from otel_har.redaction.redactor import TOLD, Redactor

_Path = tuple[str | int, ...]
_ELSEWHERE = "again"
# What tells how a value beside it is to be read.
_TELLING = frozenset({"name", "mimeType", "encoding", "opcode"})


class SecretSearch:
    """Iterates over the places of what looks secret, in the order of the document.

    Args:
        source: A path, or a stream of bytes, which is left open.
        redactor: Tells what is secret.

    Attributes:
        entries: How many entries were met so far.

    Raises:
        OSError: When it cannot be read.
        HarFormatError: While iterating: it is no HAR, or not to its end. What stands before is delivered first.
    """

    def __init__(self, source: Source, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts = Parts(source)
        self.entries = 0

    def __iter__(self) -> Iterator[Fault]:
        try:
            for part in self._parts:
                if part.kind in {Kind.ENTRY, Kind.MEMBER}:
                    yield from self._found(part)
        finally:
            self._parts.close()

    def _found(self, part: Part) -> Iterator[Fault]:
        value = ExactJson(part.raw.decode()).value
        if part.kind is Kind.ENTRY:
            value = self._parts.inlined(value)
        is_entry = part.kind is Kind.ENTRY and isinstance(value, dict)
        self.entries += part.kind is Kind.ENTRY
        redacted, rules = self._redacted(value, part.name, is_entry=is_entry)
        for path in _changes(value, redacted, ()):
            if path[:1] == (TOLD,) and is_entry:
                continue
            _, alone = self._redacted(_alone(value, path), part.name, is_entry=is_entry)
            # What has no rule of its own was found in another place of the entry.
            told = sorted(alone or (rules & {_ELSEWHERE}) or rules)
            yield Fault(_place(part.place, path), f"looks secret ({', '.join(told)})", "secret")

    def _redacted(self, value: Any, name: str, *, is_entry: bool) -> tuple[Any, frozenset[str]]:
        if is_entry:
            return self._redactor.entry_and_rules(value)
        return self._redactor.member_and_rules(name, value)


def _changes(old: Any, new: Any, path: _Path) -> Iterator[_Path]:
    """The paths of the values that are not what they were, those of containers only where they are none any more."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old:
            if name in new:
                yield from _changes(old[name], new[name], (*path, name))
            else:
                yield (*path, name)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(before, after, (*path, index))
    elif old != new:
        yield path


def _alone(value: Any, path: Sequence[str | int]) -> Any:
    """A value within another, with what it stands in and nothing else that may be secret."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    inner = _alone(value[first], rest)
    if not isinstance(value, Mapping):
        return [inner]
    telling = {name: one for name, one in value.items() if name in _TELLING and isinstance(one, str | int)}
    return {**telling, first: inner}


def _place(place: str, path: _Path) -> str:
    for step in path:
        place = f"{place}[{step}]" if isinstance(step, int) else member(place, step)
    return place
