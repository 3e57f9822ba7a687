"""Where the hooks of the clients and the span processors meet: open client spans by their identity.

The rule: a hook finds a capture only while a processor watches the span. So a span that is not sampled, or that
belongs to a provider without our processor, costs one look-up and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, SpanContext

from otel_har.exchange import Exchange
from otel_har.guard import guarded
from otel_har.limits import CaptureLimits, Interest

SpanKey = tuple[int, int]
InterestOf = Callable[[str, str], Interest]
"""How much of an exchange is of use to a processor, by its method and its URL."""


class SpanCapture:
    """What the hooks noted for one client span: its exchanges, redirect hops in order.

    Attributes:
        limits: How much may be kept.
        exchanges: In order of their start.
        owner: Whatever the capturing client recognises its own request by.
        on_audit_event: Takes the name, the arguments and the instant of Python's audit events about connections, while
            the span is the current one; None where the client does not ask for them.
    """

    __slots__ = ("_closers", "_interests", "_watchers", "exchanges", "limits", "on_audit_event", "owner")

    def __init__(self, limits: CaptureLimits, interest: InterestOf | None = None) -> None:
        self.limits = limits
        self._interests = [interest]
        self.exchanges: list[Exchange] = []
        self.owner: object = None
        self.on_audit_event: Callable[[str, tuple[Any, ...], int], None] | None = None
        self._watchers = 1
        self._closers: list[Callable[[], None]] = []

    def when_closed(self, closer: Callable[[], None]) -> None:
        """Call `closer` when the span has ended or nobody watches it any more, before anyone looks at the exchanges."""
        self._closers.append(closer)

    def take_in(self, exchange: Exchange) -> None:
        """One more exchange of the span; nothing of it is noted yet but its method and its URL."""
        self.weigh(exchange)
        self.exchanges.append(exchange)

    def weigh(self, exchange: Exchange) -> None:
        """Limit an exchange to what is of use to any of the processors; once more where its URL becomes another."""
        if any(self._interests):
            interest = _greatest(self._interests, exchange)
            exchange.limit_to(Interest.ALL if interest is None else interest)

    def watch(self, interest: InterestOf | None = None) -> None:
        """One more processor watches the span."""
        self._watchers += 1
        self._interests.append(interest)

    def release(self, *, ended: bool) -> bool:
        """A processor watches no longer, because the span ended or by itself; True when nobody does any more."""
        self._watchers -= 1
        while self._closers and (ended or self._watchers <= 0):
            self._closers.pop()()
        return self._watchers <= 0


@guarded("weighing an exchange")
def _greatest(interests: list[InterestOf | None], exchange: Exchange) -> Interest:
    of = (Interest.ALL if interest is None else interest(exchange.method, exchange.url) for interest in interests)
    return max(of, default=Interest.ALL)


_open: dict[SpanKey, SpanCapture] = {}


def key_of(context: SpanContext) -> SpanKey:
    """What a span is known by."""
    return context[:2]  # a span context is a tuple, of which the two come first: its properties cost a call each


def expect(key: SpanKey, limits: CaptureLimits, interest: InterestOf | None = None) -> None:
    """A processor watches the client span that has just started; all is of use to one that does not say."""
    capture = _open.get(key)
    if capture is None:
        _open[key] = SpanCapture(limits, interest)
    else:
        capture.watch(interest)


def find(span: Span) -> SpanCapture | None:
    """The capture to note into; None when nobody watches the span."""
    return _open.get(key_of(span.get_span_context()))


def settle(key: SpanKey, *, ended: bool = True) -> SpanCapture | None:
    """A processor saw the span end, or gives it up: what was captured of it."""
    capture = _open.get(key)
    if capture is not None and capture.release(ended=ended):
        _open.pop(key, None)
    return capture
