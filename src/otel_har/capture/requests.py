"""requests: from OpenTelemetry's request hook and the library's own per-request response callbacks to exchanges.

The rule: the request hook sees one request and its whole redirect chain as one span. `PreparedRequest.hooks` is how
requests itself tells of each answer, at header arrival, before its body is read; it is copied to every redirect hop.
Ours is put in front of the program's hooks and again behind them, because a program's hook may send again and answer
with another response (that is how digest authentication works). When the span ends everything put there is taken
away again. What happens before an answer requests does not tell: Python's audit events do (`audit_events`, `attempts`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.trace import Span
from requests.sessions import SessionRedirectMixin
from requests.utils import select_proxy

from otel_har import correlation
from otel_har.capture import audit_events
from otel_har.capture.attempts import Attempt, Attempts
from otel_har.capture.http_client import HeadersAsSent, is_read_piecemeal, note_body_at_hand
from otel_har.capture.initiator import program_frames
from otel_har.capture.response_tap import ResponseTap
from otel_har.capture.streams import RequestBodyNotes, RequestBodyTap, ResponseNotes, error_text
from otel_har.capture.urllib3_response import http_version, is_empty, note_connection, response_headers, retries
from otel_har.capture.wire_tap import tap_wire
from otel_har.correlation import SpanCapture
from otel_har.exchange import Exchange
from otel_har.guard import caught
from otel_har.message import Body, SomeHeaders

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

RequestHook = Callable[[Span, "PreparedRequest"], None]

_SENT_AGAIN = "what came of it is not known: the client sent the request again"
_TRIED_AGAIN = "no connection: the client tried again"


def instrumentor() -> RequestsInstrumentor:
    """The OpenTelemetry instrumentor of this client."""
    return RequestsInstrumentor()


def hooks(request_hook: RequestHook | None = None, **others: Any) -> dict[str, Any]:
    """The arguments of `RequestsInstrumentor().instrument()` that record.

    Args:
        request_hook: The program's own request hook, called after ours.
        others: Every other argument of the instrumentor, passed on.
    """
    if request_hook is None:
        return others | {"request_hook": on_request}

    def both(span: Span, request: PreparedRequest) -> None:
        on_request(span, request)
        request_hook(span, request)

    return others | {"request_hook": both}


def on_request(span: Span, request: PreparedRequest) -> None:
    """OpenTelemetry's request hook: the span has started, the request is about to be sent."""
    try:
        capture = correlation.find(span)
        if capture is not None:
            _Sending(capture, request).begin()
    except Exception as fault:  # noqa: BLE001 - see `caught`
        caught("noting a request of requests", fault)


class _Sending:
    """One call of `Session.send`: the exchanges of one request and of what follows from it."""

    # Defaults of the class instead of slots: one is made for each request.
    _body_notes: RequestBodyNotes | None = None
    _exchange: Exchange | None = None
    _body: Any = None

    def __init__(self, capture: SpanCapture, request: PreparedRequest) -> None:
        self._capture = capture
        self._request = request
        self._hooks: Any = request.hooks
        self._attempts = Attempts()
        self._responses: list[weakref.ref[Response]] = []
        self._hooked: list[PreparedRequest] = [request]
        self._thread_id = get_ident()

    def begin(self) -> None:
        """Note the request and put the callbacks in their places.

        Its room is taken with the answer, or at its end: until then all of it is the program's own.
        """
        capture, request = self._capture, self._request
        limits = capture.limits
        exchange = self._exchange = self._new_exchange(request, perf_counter_ns(), time_ns())
        exchange.initiator = program_frames(limits.max_initiator_frames, 4)
        body: Any = request.body
        if body is not None:
            self._body = body
            if is_read_piecemeal(body):
                self._body_notes = RequestBodyNotes(exchange.request_body)
                tap: Any = RequestBodyTap(body, self._body_notes)
                request.body = tap
        hooks: Any = self._hooks or {}
        request.hooks = {**hooks, "response": self._callbacks() if hooks.get("response") else [self.on_response]}
        capture.when_closed(self.end)
        if limits.audit_events:
            audit_events.install()
            capture.on_audit_event = self._attempts.on_audit_event
            capture.enter()

    def _callbacks(self) -> list[Callable[..., Response | None]]:
        """Ours around the program's, which may be one callable, or any iterable of them."""
        self._hooks = _program_hooks(self._hooks)
        program = (self._hooks or {}).get("response") or ()
        return [self.on_response, *((program,) if callable(program) else program), self.on_response]

    @property
    def program_hooks(self) -> Any:
        """The hooks as the program set them."""
        return self._hooks

    def on_response(self, response: Response, **sent_with: Any) -> None:
        """Header arrival, for each hop; and once more behind the program's hooks, with what they made of it.

        One prepared request may be sent by several threads at a time; each notes what its own thread receives.
        """
        try:
            is_new = not self._responses or self._responses[-1]() is not response
            if is_new and get_ident() == self._thread_id:
                self._note_response(response, sent_with.get("proxies"), perf_counter_ns())
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting a response of requests", fault)

    def _note_response(self, response: Response, proxies: Any, now: int) -> None:
        raw: Any = response.raw
        known: PreparedRequest | None = response.request
        request = self._request if known is None else known  # an adapter of the program's own may leave it out
        self._responses.append(weakref.ref(response))
        if request is not self._request and not any(request is known for known in self._hooked):
            self._hooked.append(request)
        repeated, attempt = self._attempts.take(getattr(raw, "connection", None))
        if attempt is not None and (repeated or attempt.lost_before):
            self._note_repeated(repeated, attempt, request, retries(raw))
        exchange = self._exchange or self._next_exchange(request, attempt, now)
        self._exchange = None
        self._note_request(exchange, request, attempt)
        if attempt is None:
            # The time that requests measures begins as it hands the request to its connection pool.
            elapsed_ns = int(response.elapsed.total_seconds() * 1e9)
            exchange.instants.request_started = max(exchange.instants.started, now - elapsed_ns if elapsed_ns else 0)
            note_connection(exchange, raw)
        if proxies:
            exchange.proxy = _proxy(request.url, proxies)
        _note_response(exchange, response, now)

    def _note_repeated(
        self, repeated: list[Attempt], last: Attempt, request: PreparedRequest, retries: list[Any]
    ) -> None:
        """What the client sent again: each attempt is an exchange, with what urllib3 remembers of its end.

        When it ended nobody tells: it is taken to last until the next one begins.
        """
        self._capture.exchanges[0].lost_attempts += last.lost_before
        known_ends = retries if len(retries) == len(repeated) else [None] * len(repeated)
        for attempt, following, retry in zip(repeated, [*repeated, last][1:], known_ends, strict=True):
            exchange = self._next_exchange(request, attempt, attempt.instants.started)
            if attempt.head is None:
                exchange.request_headers = _headers_as_sent(request)
            attempt.describe(exchange)
            exchange.request_body = self._repeated_body(request)
            if retry is not None and retry.status is not None:
                exchange.status = retry.status
                exchange.instants.response_started = following.instants.started
                exchange.end_reason = "the client sent the request again"
            else:
                error = getattr(retry, "error", None)
                what_came = _SENT_AGAIN if attempt.head is not None else _TRIED_AGAIN
                exchange.error = what_came if error is None else f"{error_text(error)}; {what_came}"
            exchange.charge()
            exchange.finish(following.instants.started)

    def _next_exchange(self, request: PreparedRequest, attempt: Attempt | None, now: int) -> Exchange:
        """The exchange under way, or the one that follows: a redirect hop, a repetition, one that a hook sent."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            return exchange
        previous = self._capture.exchanges[-1].instants
        started = previous.finished or previous.response_started or now
        if attempt is not None and self._capture.exchanges[-1].status is None:  # the client waits before it repeats
            started = attempt.instants.started
        following = self._new_exchange(request, started, time_ns() - (perf_counter_ns() - started))
        following.initiator = self._capture.exchanges[0].initiator
        return following

    def _new_exchange(self, request: PreparedRequest, started: int, started_unix_ns: int) -> Exchange:
        capture = self._capture
        exchange = Exchange(request.method or "", request.url or "", started_unix_ns, started, capture.limits)
        capture.take_in(exchange)
        return exchange

    def _note_request(self, exchange: Exchange, request: PreparedRequest, attempt: Attempt | None) -> None:
        """The request as it went out: the header fields with what was injected into them, and the body."""
        if attempt is not None:
            attempt.describe(exchange)
        if exchange.request_head is None:
            exchange.request_headers = _headers_as_sent(request)
        body: Any = request.body
        if body is None:
            exchange.request_body.ended = True
        elif isinstance(body, RequestBodyTap) and self._body_notes is not None:
            # What was read since the last hop is this hop's; the next hop reads the same object again.
            exchange.request_body = self._body_notes.body
            exchange.request_body.encoded = True
            self._body_notes.body = Body(self._capture.limits)
        else:
            note_body_at_hand(exchange.request_body, body)

    def _repeated_body(self, request: PreparedRequest) -> Body:
        """The body of an attempt that was repeated: the same again, or what was read before the client rewound it."""
        body: Any = request.body
        if isinstance(body, RequestBodyTap) and self._body_notes is not None:
            return self._body_notes.take_repeated() or Body(self._capture.limits)
        noted = Body(self._capture.limits)
        note_body_at_hand(noted, body)
        return noted

    def _last_response(self) -> Response | None:
        """The last one, while the program or requests has it."""
        return self._responses[-1]() if self._responses else None

    def end(self) -> None:
        """The span has ended: give the requests back as they were."""
        try:
            self._capture.leave()
            if self._exchange is not None or self._attempts:
                self._note_unanswered()
            hooked = self._hooked
            for reference in self._responses:
                # What follows a redirect: the program may send it itself, and requests makes it ready in any case.
                following = getattr(reference(), "next", None)
                if following is not None:
                    hooked.append(following)
            for request in hooked:
                request.hooks = self._hooks
                tap: Any = request.body
                if self._body_notes is not None and isinstance(tap, RequestBodyTap):
                    request.body = self._body
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("ending a request of requests", fault)

    def _note_unanswered(self) -> None:
        """The request that got no answer, or what was sent after the last answer."""
        last = self._last_response()
        url = _redirect_target(last) if self._exchange is None else self._request.url
        repeated, attempt = self._attempts.take_unanswered(urlsplit(url or ""))
        unanswered = self._request if self._exchange is not None else _failed_hop(last, url, attempt)
        if unanswered is None:
            return
        if attempt is not None:
            self._note_repeated(repeated, attempt, unanswered, [])
        exchange = self._exchange or self._next_exchange(unanswered, attempt, perf_counter_ns())
        self._exchange = None
        self._note_request(exchange, unanswered, attempt)
        if unanswered is not self._request:
            exchange.request_headers = SomeHeaders()  # of a redirect that was never sent nobody knows them
        exchange.charge()
        exchange.finish(perf_counter_ns())


def _redirect_target(last: Response | None) -> str | None:
    """Where the last response redirects to, if requests itself follows it."""
    if last is None or last.next is not None or not last.is_redirect:
        return None
    return urljoin(last.url, last.headers["location"])


def _failed_hop(last: Response | None, target: str | None, attempt: Attempt | None) -> PreparedRequest | None:
    """The request that followed a redirect and got no answer; None where the last attempt is not that.

    requests makes it and shows it to nobody before it is answered: it is what the redirect asks for.
    """
    if last is None or target is None or attempt is None or not attempt.is_at(urlsplit(target)):
        return None
    request = last.request.copy()
    request.url = target
    SessionRedirectMixin().rebuild_method(request, last)
    if request.method != last.request.method:
        request.body = None
    return request


def _proxy(url: str | None, proxies: Any) -> str | None:
    """The proxy that requests chooses for a URL, without user information."""
    proxy = select_proxy(url or "", proxies or {})
    if not proxy:
        return None
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))


def _program_hooks(hooks: Any) -> Any:
    """A prepared request's hooks without ours, should another thread be sending it."""
    callbacks = (hooks or {}).get("response") or ()
    first = callbacks[0] if isinstance(callbacks, list) and callbacks else None
    sending = getattr(first, "__self__", None)
    return sending.program_hooks if isinstance(sending, _Sending) else hooks


def _headers_as_sent(request: PreparedRequest) -> HeadersAsSent:
    return HeadersAsSent((request.headers or {}).items(), request.url or "")


def _note_response(exchange: Exchange, response: Response, now: int) -> None:
    """Status line, header fields and peer; the body is noted as the program reads it."""
    raw: Any = response.raw
    exchange.instants.response_started = now
    exchange.status = response.status_code
    if response.reason:
        exchange.reason = response.reason
    exchange.http_version = http_version(raw)
    exchange.response_headers = response_headers(raw, response.headers)
    exchange.charge()
    notes = ResponseNotes(exchange)
    if raw is None or exchange.method == "HEAD" or is_empty(raw, exchange.status):
        notes.ended(0)
    else:
        tap_wire(raw, exchange.response_body)
        response.raw = ResponseTap(raw, notes)
