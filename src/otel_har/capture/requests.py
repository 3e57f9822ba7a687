"""requests: from OpenTelemetry's request hook and the library's own per-request response callbacks to exchanges.

The rule: the request hook sees one request and its whole redirect chain as one span. `PreparedRequest.hooks` is how
requests itself tells of each answer, at header arrival, before its body is read; it is copied to every redirect hop.
Ours is put in front of the program's hooks and again behind them, because a program's hook may send again and answer
with another response (that is how digest authentication works). When the span ends everything put there is taken
away again.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.trace import Span

from otel_har import correlation
from otel_har.capture.connections import ConnectionIds
from otel_har.capture.response_tap import ResponseTap
from otel_har.capture.streams import RequestBodyNotes, RequestBodyTap, ResponseNotes
from otel_har.correlation import SpanCapture
from otel_har.exchange import Body, Exchange, HeaderText, RawHeaders
from otel_har.guard import guarded

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

RequestHook = Callable[[Span, "PreparedRequest"], None]

_BODILESS_STATUS = frozenset({204, 304})  # RFC 9110, 6.4.1
_SKIPPED = "@@@SKIP_HEADER@@@"  # urllib3.util.SKIP_HEADER: a header field that is not to be sent
_HTTP_VERSIONS = {9: "HTTP/0.9", 10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2"}
_connections = ConnectionIds()


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


@guarded("noting a request of requests")
def on_request(span: Span, request: PreparedRequest) -> None:
    """OpenTelemetry's request hook: the span has started, the request is about to be sent."""
    capture = correlation.find(span)
    if capture is not None:
        _Sending(capture, request).begin()


class _Sending:
    """One call of `Session.send`: the exchanges of one request and of what follows from it."""

    __slots__ = (
        "_body",
        "_body_notes",
        "_capture",
        "_exchange",
        "_hooked",
        "_hooks",
        "_last_response",
        "_request",
        "_thread_id",
    )

    def __init__(self, capture: SpanCapture, request: PreparedRequest) -> None:
        self._capture = capture
        self._request = request
        self._hooks = _program_hooks(request.hooks)
        self._body = request.body
        self._body_notes: RequestBodyNotes | None = None
        self._exchange: Exchange | None = None
        self._last_response: weakref.ref[Response] | None = None
        self._hooked: list[PreparedRequest] = [request]
        self._thread_id = threading.get_ident()

    def begin(self) -> None:
        """Note the request and put the callbacks in their places."""
        exchange = self._new_exchange(self._request, time.perf_counter_ns(), time.time_ns())
        self._exchange = exchange
        body: Any = self._body
        if body is not None and _is_read_piecemeal(body):
            self._body_notes = RequestBodyNotes(exchange.request_body)
            tap: Any = RequestBodyTap(body, self._body_notes)
            self._request.body = tap
        self._request.hooks = {**(self._hooks or {}), "response": self._callbacks()}
        self._capture.when_closed(self.end)

    def _callbacks(self) -> list[Callable[..., Response | None]]:
        """Ours around the program's, which may be one callable, any iterable of them, or nothing."""
        program = (self._hooks or {}).get("response") or ()
        return [self.on_response, *((program,) if callable(program) else program), self.on_response]

    @property
    def program_hooks(self) -> Any:
        """The hooks as the program set them."""
        return self._hooks

    @guarded("noting a response of requests")
    def on_response(self, response: Response, **_: object) -> None:
        """Header arrival, for each hop; and once more behind the program's hooks, with what they made of it.

        One prepared request may be sent by several threads at a time; each notes what its own thread receives.
        """
        is_known = self._last_response is not None and self._last_response() is response
        if is_known or threading.get_ident() != self._thread_id:
            return
        now = time.perf_counter_ns()
        known: PreparedRequest | None = response.request
        request = self._request if known is None else known  # an adapter of the program's own may leave it out
        exchange = self._exchange if self._exchange is not None else self._following_exchange(request, now)
        self._exchange = None
        self._last_response = weakref.ref(response)
        if not any(request is known for known in self._hooked):
            self._hooked.append(request)
        # The time that requests measures begins as it hands the request to its connection pool.
        elapsed_ns = int(response.elapsed.total_seconds() * 1e9)
        exchange.instants.request_started = max(exchange.instants.started, now - elapsed_ns if elapsed_ns else 0)
        self._note_request(exchange, request)
        _note_response(exchange, response, now)

    def _following_exchange(self, request: PreparedRequest, now: int) -> Exchange:
        """A redirect hop, or a request that a program's hook sent: it began when the one before it was done with."""
        previous = self._capture.exchanges[-1].instants
        started = previous.finished or previous.response_started or now
        return self._new_exchange(request, started, time.time_ns() - (now - started))

    def _new_exchange(self, request: PreparedRequest, started: int, started_unix_ns: int) -> Exchange:
        exchange = Exchange(
            request.method or "",
            request.url or "",
            started_unix_ns=started_unix_ns,
            started=started,
            limits=self._capture.limits,
        )
        self._capture.exchanges.append(exchange)
        return exchange

    def _note_request(self, exchange: Exchange, request: PreparedRequest) -> None:
        """The request as it went out: the header fields with what was injected into them, and the body."""
        exchange.request_headers = _HeadersAsSent(request)
        body: Any = request.body
        if isinstance(body, RequestBodyTap) and self._body_notes is not None:
            # What was read since the last hop is this hop's; the next hop reads the same object again.
            exchange.request_body = self._body_notes.body
            exchange.request_body.encoded = True
            self._body_notes.body = Body(self._capture.limits)
        elif body is not None:
            exchange.request_body.encoded = True
            with memoryview(body.encode("utf-8") if isinstance(body, str) else body) as octets:
                exchange.request_body.note(octets)
            exchange.request_body.ended = True
        else:
            exchange.request_body.ended = True

    @guarded("ending a request of requests")
    def end(self) -> None:
        """The span has ended: give the requests back as they were."""
        if self._exchange is not None:  # there was no response
            self._note_request(self._exchange, self._request)
            self._exchange.finish(time.perf_counter_ns())
        last = self._last_response() if self._last_response is not None else None
        if last is not None and last.next is not None:  # a redirect that the program follows itself
            self._hooked.append(last.next)
        for request in self._hooked:
            request.hooks = self._hooks
            tap: Any = request.body
            if isinstance(tap, RequestBodyTap):
                request.body = self._body


def _is_read_piecemeal(body: Any) -> bool:
    """Whether the body is a file object or an iterable: http.client sends what is a buffer as it is."""
    if hasattr(body, "read"):
        return True
    try:
        memoryview(body.encode() if isinstance(body, str) else body).release()
    except TypeError:
        return True
    return False


def _program_hooks(hooks: Any) -> Any:
    """A prepared request's hooks without ours, should another thread be sending it."""
    callbacks = (hooks or {}).get("response") or ()
    first = callbacks[0] if isinstance(callbacks, list) and callbacks else None
    sending = getattr(first, "__self__", None)
    return sending.program_hooks if isinstance(sending, _Sending) else hooks


class _HeadersAsSent:
    """The header fields in the order in which http.client writes them, worked out by whoever iterates over them.

    Host comes first, then `Accept-Encoding: identity` and urllib3's own User-Agent where the request says nothing of
    them.
    """

    __slots__ = ("_fields", "_url")

    def __init__(self, request: PreparedRequest) -> None:
        self._fields: list[tuple[HeaderText, HeaderText]] = list((request.headers or {}).items())
        self._url = request.url or ""

    def __iter__(self) -> Iterator[tuple[HeaderText, HeaderText]]:
        names = {_lower(name) for name, _ in self._fields}
        if "host" not in names:
            yield "Host", _host(self._url)
        if "accept-encoding" not in names:
            yield "Accept-Encoding", "identity"
        if "user-agent" not in names:
            yield "User-Agent", f"python-urllib3/{version('urllib3')}"
        yield from ((name, value) for name, value in self._fields if value != _SKIPPED)


def _lower(name: HeaderText) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()


def _host(url: str) -> str:
    """The Host field (RFC 9110, 7.2): without user information and without the scheme's own port."""
    parts = urlsplit(url)
    authority = parts.netloc.rpartition("@")[2]
    return authority.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))


def _note_response(exchange: Exchange, response: Response, now: int) -> None:
    """Status line, header fields and peer; the body is noted as the program reads it."""
    raw: Any = response.raw
    exchange.instants.response_started = now
    exchange.status = response.status_code
    exchange.reason = response.reason or ""
    exchange.http_version = _HTTP_VERSIONS.get(getattr(raw, "version", 11), "HTTP/1.1")
    exchange.response_headers = _response_headers(response)
    _note_connection(exchange, raw)
    notes = ResponseNotes(exchange)
    if raw is None or exchange.method == "HEAD" or _is_empty(raw, exchange.status):
        notes.ended(0)
    else:
        response.raw = ResponseTap(raw, notes)


def _is_empty(raw: Any, status: int) -> bool:
    """Whether there is nothing to read: urllib3 knows of 1xx and of `Content-Length: 0`, too.

    Against the rules a 204 may say that it is chunked; urllib3 then looks for chunks.
    """
    has_no_length = status in _BODILESS_STATUS or getattr(raw, "length_remaining", None) == 0
    return has_no_length and not getattr(raw, "chunked", False)


def _response_headers(response: Response) -> RawHeaders:
    """In the order of the wire, with duplicates: only http.client's own message has them so.

    requests itself relies on `_original_response` to find cookies. Without it (another adapter) urllib3's fields are
    taken, which group duplicates, or else the response's mapping.
    """
    original = getattr(response.raw, "_original_response", None)
    message = getattr(original, "msg", None)
    if message is not None:
        return list(message.items())
    fields = getattr(response.raw, "headers", None) or response.headers
    return list(fields.items())


def _note_connection(exchange: Exchange, raw: Any) -> None:
    """urllib3's connection object is reused for one socket after the other: the socket is the connection."""
    connection = getattr(raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        exchange.connection_id = _connections.of(connection, sock)
        exchange.peer_address, exchange.peer_port = _peer(sock)
    elif connection is not None:
        # The server closes after this answer: http.client has let go of the socket, the body's file still has it.
        exchange.connection_id = _connections.last_of(connection)
        try:
            with socket.socket(fileno=os.dup(raw.fileno())) as duplicate:
                exchange.peer_address, exchange.peer_port = _peer(duplicate)
        except (OSError, ValueError):  # closed already
            return


def _peer(sock: socket.socket) -> tuple[str | None, int | None]:
    """Address and port of the other end; a Unix socket has neither."""
    try:
        name = sock.getpeername()
    except OSError:  # the other end is gone already
        return None, None
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else (None, None)
