"""What is answered to a message, whatever it came by.

The rule: OK is said when the entries were delivered. What may be sent again is answered in a way that OTLP calls
retryable, what never will do in one that it calls not.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """What became of a message."""

    OK = "ok"
    MALFORMED = "malformed"
    TOO_LARGE = "too large"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one message.

    Attributes:
        verdict: What became of it.
        text: What a person should know; empty for nothing.
        rejected: How many of its records were ours and could not be read.
        retry_after_s: When it may be sent again, seconds; for one that is to be.
    """

    verdict: Verdict
    text: str = ""
    rejected: int = 0
    retry_after_s: int = 1


OK = Answer(Verdict.OK)
QUEUE_FULL = Answer(Verdict.BUSY, "too much waits to be written")
ENDING = Answer(Verdict.BUSY, "the receiver ends")
