"""What is to be redacted, and how."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from otel_har.errors import SettingError
from otel_har.har.models import Entry
from otel_har.importing import ImportedFunction

Mode = Literal["default", "none", "strict"]
EntryRedactor = Callable[[Entry], Entry | None]
"""A program's own last word on an entry: what it gives is written, nothing is where it gives None."""

_SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class RedactionPolicy:
    """What is taken out of entries before they are written or sent.

    Attributes:
        mode: `default`: what stands under the name of a secret or has the form of one. `strict`: bodies, messages,
            cookies, all values of queries, and of header fields all but those that are known to be harmless. `none`.
        headers: Further names of header fields whose values are secret.
        queries: Further names of query parameters.
        fields: Further names of fields of bodies: JSON, forms, XML and whatever else has names.
        keep: Names, of any of the three, whose values are no secrets.
        header_patterns: Regular expressions; a header field is secret when one is found in its name, in any case
            (OpenTelemetry's OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS).
        hashes: Write a salted hash with each mark, by which equal secrets of one recording can be recognised.
        salt: The recording's own salt, never written; processes of one recording have the same.
        redactor: Sees each entry last.

    Raises:
        SettingError: An argument cannot be what was meant, one text for several names for example.
    """

    mode: Mode = "default"
    headers: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    header_patterns: tuple[re.Pattern[str], ...] = ()
    hashes: bool = False
    salt: bytes = field(default_factory=lambda: os.urandom(_SALT_BYTES), repr=False)
    redactor: EntryRedactor | None = None

    def __post_init__(self) -> None:
        """Refuse what would let out what was to be kept in."""
        if self.mode not in get_args(Mode):
            raise SettingError(f"mode is one of {', '.join(map(repr, get_args(Mode)))}, not {self.mode!r}")
        for argument in ("headers", "queries", "fields", "keep"):
            object.__setattr__(self, argument, _names(argument, getattr(self, argument)))
        patterns = _several("header_patterns", self.header_patterns)
        object.__setattr__(self, "header_patterns", tuple(map(_pattern, patterns)))
        salt: object = self.salt
        if not isinstance(salt, bytes) or not salt:
            raise SettingError(f"salt is bytes, at least one, not {type(salt).__name__}")
        if self.redactor is not None and not callable(self.redactor):
            raise SettingError(f"redactor is a function, not {type(self.redactor).__name__}")


def _several(argument: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | bytes):
        raise SettingError(f"{argument} are several names, not one text")  # which would be taken for its letters
    if not isinstance(given, Iterable):
        raise SettingError(f"{argument} are names, not {type(given).__name__}")
    return tuple(given)


def _names(argument: str, given: Any) -> tuple[str, ...]:
    names = _several(argument, given)
    for name in names:
        if not isinstance(name, str):
            raise SettingError(f"{argument}: each name is a text, not {type(name).__name__}")
    return names


def _pattern(given: Any) -> re.Pattern[str]:
    """A regular expression; one that is a text is found in any case, as those of the environment are."""
    try:
        pattern = re.compile(given, re.IGNORECASE) if isinstance(given, str) else given
    except re.error as fault:
        raise SettingError(f"header_patterns: no regular expression: {fault}") from fault
    if not isinstance(pattern, re.Pattern) or not isinstance(pattern.pattern, str):
        raise SettingError(f"header_patterns: each is a regular expression of text, not {type(given).__name__}")
    return pattern


class ImportedRedactor(ImportedFunction):
    """A program's redactor by its place."""


DEFAULT_POLICY = RedactionPolicy()
NO_REDACTION = RedactionPolicy("none")
