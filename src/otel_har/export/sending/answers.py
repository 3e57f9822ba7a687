"""What becomes of one request of OTLP, whatever carries it.

The rule: a transport tells what the receiver said, and decides nothing: it does not wait and does not send twice. The
official exporters do both, and tell no more than success or failure, so that neither a request that is too large nor
one that may be sent later can be told from one that is refused for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has it.

    Attributes:
        rejected: Records that it did not take, for good (OTLP specification, "Partial Success").
        message: What it said.
    """

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """In smaller requests the receiver may take it."""

    message: str


@dataclass(frozen=True, slots=True)
class Later:
    """The receiver takes nothing for now, cannot be reached, or has not answered.

    Attributes:
        message: Why.
        delay_s: When to try again, if it said that: seconds.
    """

    message: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take it."""

    message: str


Answer: TypeAlias = Taken | TooLarge | Later | Refused


def without_secrets(answer: Answer, masked: Callable[[object], str]) -> Answer:
    """An answer whose words may repeat what was sent: it is logged."""
    return replace(answer, message=masked(answer.message)) if answer.message else answer


class Transport(Protocol):
    """Brings requests to a receiver, one at a time."""

    def send(self, data: bytes, timeout_s: float) -> Answer:
        """Send one request.

        Args:
            data: A serialized `ExportLogsServiceRequest`.
            timeout_s: How long it may take, seconds.
        """

    def close(self) -> None:
        """Close what was opened. Idempotent."""

    def forget(self) -> None:
        """Leave what was opened to the parent process, in a child."""


def taken(response: ExportLogsServiceResponse) -> Taken:
    """What the answer of a receiver that took the request says of its records."""
    partial = response.partial_success
    return Taken(max(0, partial.rejected_log_records), partial.error_message)
