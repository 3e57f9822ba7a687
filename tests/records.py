"""Records as processors get them: what hooks and spans told of one exchange."""

from __future__ import annotations

from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.record import HarRecord, PageFacts, SpanFacts

PAGE = PageFacts("run", "run", 1)
SPAN = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)


def record_of(
    path: str = "x", *, body: bytes = b"", page: PageFacts = PAGE, limits: CaptureLimits | None = None
) -> HarRecord:
    """That of a GET of `http://h.test/PATH` with an answer."""
    limits = limits or CaptureLimits()
    exchange = Exchange("GET", f"http://h.test/{path}", started_unix_ns=1, started=1, limits=limits)
    exchange.status = 200
    exchange.response_body.note(body)
    return HarRecord(exchange, SPAN, page)
