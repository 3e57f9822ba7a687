"""The settings of `BatchHarProcessor`."""

from __future__ import annotations

from dataclasses import dataclass

from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """The settings of OpenTelemetry's batch span processor, for HAR records.

    Attributes:
        max_queue_size: The most records that wait or are being exported; further ones are dropped and counted.
        schedule_delay_millis: The longest time between two exports, milliseconds.
        max_export_batch_size: The most records of one export; as soon as so many wait, the worker starts.
        export_timeout_millis: How long a flush at shutdown may take, milliseconds.
        block_timeout_millis: How long the program may wait for room, in the queue or for bytes, milliseconds; 0: never.
    """

    max_queue_size: int = 10_000
    schedule_delay_millis: float = 1_000
    max_export_batch_size: int = 512
    export_timeout_millis: float = DEFAULT_TIMEOUT_MILLIS
    block_timeout_millis: float = 0

    @property
    def batch_size(self) -> int:
        """The most records of one export, no more than may wait: the worker would start too late for more."""
        return max(1, min(self.max_export_batch_size, self.max_queue_size))
