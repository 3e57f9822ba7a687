"""Entries that are made elsewhere: by the exporter, of records, where nobody of the program waits for the interpreter.

The rule: it is made of values alone. Where a function of the program sees the entries they are made where that is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from otel_har.export.interfaces import HarExporter, HarStatistics, QueueItem
from otel_har.export.remote import Answer
from otel_har.filters import HarFilter
from otel_har.mapping.options import MappingOptions
from otel_har.redaction.policy import RedactionPolicy

ITEMS_AT_ONCE = 64
"""The most that are given away at once. To pack that many takes the interpreter for one or two milliseconds."""


@dataclass(frozen=True, slots=True)
class EntryForm:
    """How records become entries.

    Attributes:
        options: The form of the entries.
        redaction: What is taken out of them.
        filter: Which of them there are, and what of their bodies.
    """

    options: MappingOptions
    redaction: RedactionPolicy
    filter: HarFilter

    @property
    def is_of_values(self) -> bool:
        """Whether nothing of the program's own is asked about an entry."""
        is_ours = type(self.redaction) is RedactionPolicy and type(self.filter) is HarFilter
        return is_ours and self.redaction.redactor is None and not self.filter.sees_entries


class RecordExporter(HarExporter):
    """An exporter that can make the entries itself."""

    @abstractmethod
    def export_records(self, items: Sequence[QueueItem], form: EntryForm, untold: HarStatistics) -> Answer | None:
        """Make the batch of records and pages, and deliver it.

        Args:
            items: In their order. Those that would make the batch too large are left: the answer tells how many.
            form: How they become entries; `is_of_values`.
            untold: What was lost before and no batch has told.

        Returns:
            What became of them; None when they cannot be given away: nothing was done.

        Raises:
            DestinationError: As `export`; nothing of them was delivered.
            ExportError: When they are lost.
        """
