"""What is to be redacted, and how."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

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


class ImportedRedactor(ImportedFunction):
    """A program's redactor by its place."""


DEFAULT_POLICY = RedactionPolicy()
NO_REDACTION = RedactionPolicy("none")
