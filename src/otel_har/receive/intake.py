"""The queue between the servers and the one thread that delivers.

The rule: what is in it is counted in bytes from before it is read, and who comes when it is full is told so at once.
Whoever is let in gets an answer.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from otel_har.guard import attempted, report
from otel_har.receive.answers import ENDING, QUEUE_FULL, Answer, Verdict

_GROUP_BYTES = 8 * 1024 * 1024
_MAX_MESSAGES = 1000
_IDLE_S = 1.0


class Signal(enum.Enum):
    """What a message is about; the value names it in OTLP's paths."""

    LOGS = "logs"
    TRACES = "traces"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Message:
    """An export request as it came.

    Attributes:
        signal: What it is about.
        data: Its bytes.
        coding: How they are compressed, one of `inflating.CODINGS`.
        is_json: Whether they are OTLP's JSON, and not protobuf.
    """

    signal: Signal
    data: bytes
    coding: str = "identity"
    is_json: bool = False


Deliver = Callable[[Sequence[Message]], Sequence[Answer]]


class Intake:
    """Takes messages from any thread and has them delivered by one.

    Args:
        deliver: Delivers messages and says for each what became of it. With none it does what is due by then.
        max_bytes: The most bytes of messages that are being read or wait.
    """

    def __init__(self, deliver: Deliver, max_bytes: int) -> None:
        self._deliver = deliver
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: deque[tuple[Message, Future[Answer]]] = deque()
        self._changed = threading.Condition()
        self._is_ending = False
        self._worker = threading.Thread(target=self._work, name="otel-har intake", daemon=True)
        self._worker.start()

    def reserve(self, size_bytes: int, held_bytes: int = 0) -> bool:
        """Whether there is room for so many bytes, which are taken then. One message alone always has room.

        Args:
            size_bytes: How many.
            held_bytes: How many the same message has already.
        """
        with self._changed:
            if not self._is_free(size_bytes, held_bytes):
                return False
            self._bytes += size_bytes
            return True

    def has_room(self, size_bytes: int) -> bool:
        """Whether there is room for so many bytes; nothing is taken."""
        with self._changed:
            return self._is_free(size_bytes, 0)

    def _is_free(self, size_bytes: int, held_bytes: int) -> bool:
        has_room = self._bytes == held_bytes or self._bytes + size_bytes <= self._max_bytes
        return has_room and not self._is_ending and len(self._waiting) < _MAX_MESSAGES

    @property
    def refusal(self) -> Answer:
        """What is said to whom there is no room for."""
        return ENDING if self._is_ending else QUEUE_FULL

    def release(self, size_bytes: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._bytes -= size_bytes

    def submit(self, message: Message) -> Future[Answer]:
        """Have a message delivered; the room for it stays the caller's, until it has the answer."""
        future: Future[Answer] = Future()
        with self._changed:
            if not self._is_ending:
                self._waiting.append((message, future))
                self._changed.notify_all()
                return future
        future.set_result(ENDING)
        return future

    def close(self, timeout_s: float) -> bool:
        """Take no more and deliver what was taken; whether that was done within the time."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._worker.join(timeout_s)
        return not self._worker.is_alive()

    def _work(self) -> None:
        while True:
            group, is_last = self._group()
            answers = self._answers([message for message, _ in group])
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.cancelled():
                    future.set_result(answer)
            if is_last:
                return

    def _answers(self, messages: Sequence[Message]) -> Sequence[Answer]:
        """What is answered, whatever happens: whoever waits would wait for ever."""
        made = attempted(lambda: self._deliver(messages))
        if not isinstance(made, BaseException):
            return made
        report("delivering", made)
        return [Answer(Verdict.FAILED, "the receiver failed")] * len(messages)

    def _group(self) -> tuple[list[tuple[Message, Future[Answer]]], bool]:
        """What is delivered together: all that waits, up to a size; whether nothing will come after it."""
        with self._changed:
            if not self._waiting and not self._is_ending:
                self._changed.wait(_IDLE_S)
            group: list[tuple[Message, Future[Answer]]] = []
            size_bytes = 0
            while self._waiting and size_bytes < _GROUP_BYTES:
                message, future = self._waiting.popleft()
                future.set_running_or_notify_cancel()  # who went away has sent all the same
                group.append((message, future))
                size_bytes += len(message.data)
            return group, self._is_ending and not self._waiting
