"""How much a receiver takes."""

from __future__ import annotations

from dataclasses import dataclass

from otel_har.receive.answers import Answer, Verdict

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a receiver takes.

    Attributes:
        message_bytes: The most bytes of a message, as it comes and decompressed. A collector puts together what it
            gets, by number of records and not by size: this is larger than what an SDK sends at a time.
        queue_bytes: The most bytes of messages that are being read or wait.
        requests: The most gRPC requests at a time, each of which may be in memory before it can be refused.
        reading_s: So long a message may take to come, seconds.
        ending_s: So long the end may take, seconds.
    """

    message_bytes: int = 64 * MEBIBYTE
    queue_bytes: int = 256 * MEBIBYTE
    requests: int = 64
    reading_s: float = 60.0
    ending_s: float = 30.0

    @property
    def parts_bytes(self) -> int:
        """The most bytes in memory of parts that wait for others of their entry."""
        return self.queue_bytes // 2

    def refusal(self) -> Answer:
        """What is said of a message that is too large."""
        return Answer(Verdict.TOO_LARGE, f"a message may have {self.message_bytes} bytes")
