"""How much of what passes is noted, and kept."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from otel_har.budget import ByteBudget

DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024
DEFAULT_MAX_QUEUE_BYTES = 64 * 1024 * 1024
DEFAULT_MAX_INITIATOR_FRAMES = 10


class Interest(enum.IntEnum):
    """How much of an exchange can be of use to anyone, as far as its method and its URL tell."""

    NOTHING = 0
    FACTS = 1
    """Everything but what its bodies are."""
    ALL = 2


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """How much of what passes is kept.

    Attributes:
        max_body_bytes: The most bytes kept of one body; a longer body is cut there and says so.
        budget: The bytes that all exchanges in flight and in the queue may hold together.
        max_initiator_frames: The most frames of the program's call stack that are noted of a request; 0 for none.
        audit_events: Whether Python's audit events may be listened to, which is for the process and for good.
    """

    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(DEFAULT_MAX_QUEUE_BYTES))
    max_initiator_frames: int = DEFAULT_MAX_INITIATOR_FRAMES
    audit_events: bool = True
