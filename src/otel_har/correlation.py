"""Where the hooks of the clients and the span processors meet: open client spans by their identity.

The rule: a hook finds a capture only while a processor watches the span. So a span that is not sampled, or that
belongs to a provider without our processor, costs one look-up and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
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
            the capture is the current one; None where the client does not ask for them.
        key: What the span is known by.
    """

    # Defaults of the class instead of slots: one is made for each client span.
    owner: object = None
    on_audit_event: Callable[[str, tuple[Any, ...], int], None] | None = None
    _token: Token[SpanKey | None] | None = None
    _watchers = 1

    def __init__(self, key: SpanKey, limits: CaptureLimits, interest: InterestOf | None = None) -> None:
        self.key = key
        self.limits = limits
        self._interests: tuple[InterestOf | None, ...] = (interest,)
        self._is_selective = interest is not None
        self.exchanges: list[Exchange] = []
        self._closers: list[Callable[[], None]] = []

    def enter(self) -> None:
        """Be the current capture of this context: of this thread, task or greenlet, and of what it starts."""
        self._token = current_key.set(self.key)

    def leave(self) -> None:
        """The request is over: the current capture is again the one that was before."""
        token, self._token = self._token, None
        try:
            if token is not None:
                current_key.reset(token)
        except ValueError:  # it is over in another context: in its own one nobody will find it any more
            return

    def when_closed(self, closer: Callable[[], None]) -> None:
        """Call `closer` when the span has ended or nobody watches it any more, before anyone looks at the exchanges."""
        self._closers.append(closer)

    def take_in(self, exchange: Exchange) -> None:
        """One more exchange of the span; nothing of it is noted yet but its method and its URL."""
        if self._is_selective:
            self.weigh(exchange)
        self.exchanges.append(exchange)

    def weigh(self, exchange: Exchange) -> None:
        """Limit an exchange to what is of use to any of the processors; once more where its URL becomes another."""
        if self._is_selective:
            interest = _greatest(self._interests, exchange)
            exchange.limit_to(Interest.ALL if interest is None else interest)

    def watch(self, interest: InterestOf | None = None) -> None:
        """One more processor watches the span."""
        self._watchers += 1
        self._interests = (*self._interests, interest)
        self._is_selective = self._is_selective or interest is not None

    def release(self, *, ended: bool) -> bool:
        """A processor watches no longer, because the span ended or by itself; True when nobody does any more."""
        self._watchers -= 1
        is_last = self._watchers <= 0
        if ended or is_last:
            while self._closers:
                self._closers.pop()()
        return is_last


@guarded("weighing an exchange")
def _greatest(interests: Sequence[InterestOf | None], exchange: Exchange) -> Interest:
    of = (Interest.ALL if interest is None else interest(exchange.method, exchange.url) for interest in interests)
    return max(of, default=Interest.ALL)


current_key: ContextVar[SpanKey | None] = ContextVar("otel_har_current", default=None)
"""The span of the current capture. No more than its key: contexts are copied and kept."""
open_captures: dict[SpanKey, SpanCapture] = {}
"""Those of the spans that are watched now."""


def key_of(context: SpanContext) -> SpanKey:
    """What a span is known by."""
    return context[:2]  # a span context is a tuple, of which the two come first: its properties cost a call each


def expect(key: SpanKey, limits: CaptureLimits, interest: InterestOf | None = None) -> None:
    """A processor watches the client span that has just started; all is of use to one that does not say."""
    capture = open_captures.get(key)
    if capture is None:
        open_captures[key] = SpanCapture(key, limits, interest)
    else:
        capture.watch(interest)


def find(span: Span) -> SpanCapture | None:
    """The capture to note into; None when nobody watches the span."""
    return open_captures.get(span.get_span_context()[:2])  # see `key_of`


def current() -> SpanCapture | None:
    """The current capture of this context, as long as its span is watched."""
    key = current_key.get()
    return open_captures.get(key) if key is not None else None


def settle(key: SpanKey, *, ended: bool = True) -> SpanCapture | None:
    """A processor saw the span end, or gives it up: what was captured of it."""
    capture = open_captures.get(key)
    if capture is not None and capture.release(ended=ended):
        open_captures.pop(key, None)
    return capture
