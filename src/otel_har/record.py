"""What the span processor hands on: an exchange, the facts of its span, and the page it belongs to.

The rule: values only. A record may wait in a queue, cross to another thread and be mapped there without touching
a client library again. What a span tells is worked out there, too: by then the span has ended, and is a value itself.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otel_har.budget import Charge
from otel_har.exchange import Exchange


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """The facts of one client span.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits.
        span_id: 16 lower-case hexadecimal digits.
        parent_span_id: The same of the parent span; None without one.
        scope: The name of the instrumentation scope that made the span.
        start_unix_ns: Nanoseconds since the Unix epoch.
        end_unix_ns: The same; None while the span has not ended.
        status_code: `UNSET`, `OK` or `ERROR`.
        status_description: The status's description; None without one.
        attributes: The span's attributes as they stand.
        exception: Type and message of the exception that the span recorded; None without one.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    scope: str
    start_unix_ns: int
    end_unix_ns: int | None
    status_code: str
    status_description: str | None
    attributes: Mapping[str, object]
    exception: str | None

    def __reduce__(self) -> tuple[type[SpanFacts], tuple[object, ...]]:
        """What another process can know of it: all. Asked for each field by itself it takes three times as long."""
        return SpanFacts, (
            self.trace_id,
            self.span_id,
            self.parent_span_id,
            self.scope,
            self.start_unix_ns,
            self.end_unix_ns,
            self.status_code,
            self.status_description,
            self.attributes,
            self.exception,
        )


class PageFacts:
    """One page: a trace with a local root span, or the program's run.

    The one mutable value in a record: the worker reads it when it exports, so that a page never loses its duration
    to an older copy of itself.

    Attributes:
        id: Unique within the recording.
        title: The root span's name, or the command.
        started_unix_ns: Nanoseconds since the Unix epoch.
        on_load_ms: The root span's duration in milliseconds; -1 while it is not known (HAR 1.2).
    """

    __slots__ = ("id", "on_load_ms", "started_unix_ns", "title")

    def __init__(self, id: str, title: str, started_unix_ns: int, on_load_ms: float = -1) -> None:  # noqa: A002 - HAR's own name
        self.id = id
        self.title = title
        self.started_unix_ns = started_unix_ns
        self.on_load_ms = on_load_ms


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One of the processes that write a recording.

    Attributes:
        pid: Its number.
        parent_pid: That of the process that started it.
        name: multiprocessing's name of it; `MainProcess` outside of multiprocessing.
    """

    pid: int
    parent_pid: int
    name: str


_process: ProcessFacts | None = None


def this_process() -> ProcessFacts:
    """The process that this is called in."""
    global _process  # noqa: PLW0603 - asked for with each record, made once for each process
    pid = os.getpid()
    if _process is None or _process.pid != pid:
        _process = ProcessFacts(pid, os.getppid(), multiprocessing.current_process().name)
    return _process


class HarRecord:
    """One entry to be. It is not changed any more.

    Args:
        exchange: As the attribute.
        span: The client span, or what gives its facts to whoever asks for them.
        page: As the attribute.
        process: The process that the exchange was in; this one by default.
        is_over_budget: As the attribute.
        charge: What holds the room for the span's facts, where no exchange does.

    Attributes:
        exchange: What the hooks captured; None for a span of a client that nobody hooks.
        page: The page that the entry belongs to.
        is_over_budget: True when there was no room for what the span tells: it is not kept, and no entry is made.
    """

    __slots__ = ("_charge", "_process", "_span", "exchange", "is_over_budget", "page")

    def __init__(  # noqa: PLR0913, PLR0917 - by name it takes longer, and one is made for each exchange
        self,
        exchange: Exchange | None,
        span: SpanFacts | Callable[[], SpanFacts],
        page: PageFacts,
        process: ProcessFacts | None = None,
        is_over_budget: bool = False,  # noqa: FBT002 - as above
        charge: Charge | None = None,
    ) -> None:
        self.exchange = exchange
        self._span = span
        self.page = page
        self._process = process
        self.is_over_budget = is_over_budget
        self._charge = charge

    def __reduce__(self) -> tuple[type[HarRecord], tuple[object, ...]]:
        """What another process can know of it: all, but for who holds the room here."""
        return HarRecord, (self.exchange, self.span, self.page, self.process, self.is_over_budget)

    @property
    def span(self) -> SpanFacts:
        """The client span."""
        span = self._span
        if not isinstance(span, SpanFacts):
            span = self._span = span()
        return span

    @property
    def process(self) -> ProcessFacts:
        """The process that the exchange was in."""
        return self._process or this_process()

    @property
    def is_unaffordable(self) -> bool:
        """Whether there was no room for what the entry needs to be one."""
        return self.is_over_budget or (self.exchange is not None and self.exchange.is_over_budget)

    @property
    def lost_attempts(self) -> int:
        """How often the request was sent before, beyond what is noted of one."""
        return self.exchange.lost_attempts if self.exchange is not None else 0

    def of(self, exchange: Exchange | None) -> HarRecord:
        """The same of another exchange, or of none."""
        return HarRecord(exchange, self._span, self.page, self._process, self.is_over_budget, self._charge)
