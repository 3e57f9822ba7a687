"""aiohttp: from a TraceConfig of ours and OpenTelemetry's request hook to exchanges.

The rule: the library's own signals tell everything but the body, which is noted as it is read through
`response.content`. OpenTelemetry's request hook makes the first exchange of a request; our signals find it by the
current span, and by the header mapping that both were given: a request that OpenTelemetry leaves out (an excluded URL)
would otherwise be taken for its enclosing span's.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns, time_ns
from typing import Any

import aiohttp
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.trace import Span, get_current_span

from otel_har import correlation
from otel_har.capture import audit_events
from otel_har.capture.aiohttp_messages import HTTP_1_1, as_sent, http_version, method_text, reason_octets
from otel_har.capture.aiohttp_proxies import note_proxy, note_proxy_of_failure
from otel_har.capture.connections import Connection, Connections
from otel_har.capture.content_tap import ContentTap, has_no_coding, received_bytes
from otel_har.capture.initiator import program_frames
from otel_har.capture.streams import ResponseNotes, error_text
from otel_har.capture.tls import tls_facts
from otel_har.capture.websocket_tap import tap_websocket
from otel_har.correlation import SpanCapture
from otel_har.exchange import USUAL_BYTES, Exchange
from otel_har.guard import caught, guarded

RequestHook = Callable[[Span, aiohttp.TraceRequestStartParams], None]

_SWITCHING_PROTOCOLS = 101
_BODILESS_STATUS = frozenset({_SWITCHING_PROTOCOLS, 204, 304})  # RFC 9110, 6.4.1 and 7.8
# Codings that aiohttp does not decode; from 3.13 on it decodes zstd, or refuses the answer.
_LEFT_ENCODED = frozenset({"x-gzip"} if hasattr(aiohttp.compression_utils, "HAS_ZSTD") else {"x-gzip", "zstd"})
_NOT_STARTED: Mapping[str, str] = {}
_SENT_AGAIN = "no response was seen: the client sent the request again"


def _learn_of_protocol(facts: Connection, protocol: Any) -> None:
    """A protocol has lost its transport when the server closed at once: then its peer is not known from it."""
    transport = getattr(protocol, "transport", None)
    if transport is not None:
        facts.note_peer(transport.get_extra_info("peername"))
        facts.tls = tls_facts(transport.get_extra_info("ssl_object"))


_connections = Connections(_learn_of_protocol)


def instrumentor() -> AioHttpClientInstrumentor:
    """The OpenTelemetry instrumentor of this client."""
    return AioHttpClientInstrumentor()


def hooks(
    request_hook: RequestHook | None = None,
    trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """The arguments of `AioHttpClientInstrumentor().instrument()` that record.

    Args:
        request_hook: The program's own request hook, called after ours.
        trace_configs: The program's own trace configs, called before ours.
        others: Every other argument of the instrumentor, passed on.
    """
    configs = [*(trace_configs or ()), trace_config()]
    if request_hook is None:
        return others | {"request_hook": on_span_started, "trace_configs": configs}

    def both(span: Span, params: aiohttp.TraceRequestStartParams) -> None:
        on_span_started(span, params)
        request_hook(span, params)

    return others | {"request_hook": both, "trace_configs": configs}


def on_span_started(span: Span, params: aiohttp.TraceRequestStartParams) -> None:
    """OpenTelemetry's request hook: the span has started, nothing is sent yet."""
    try:
        capture = correlation.find(span)
        if capture is not None:
            capture.owner = params.headers
            capture.enter()
            exchange = _add_exchange(capture, params.method, params.url, perf_counter_ns(), time_ns())
            exchange.initiator = program_frames(capture.limits.max_initiator_frames, 5)
    except Exception as fault:  # noqa: BLE001 - see `caught`
        caught("noting a request of aiohttp", fault)


def _on_audit_event(exchanges: list[Exchange], event: str, args: tuple[Any, ...], _at: int) -> None:
    """Where a connection goes, should it fail or be closed before a response tells; of several addresses the last.

    What else the program connects meanwhile is not of this exchange.
    """
    instants = exchanges[-1].instants
    is_connecting = instants.connect_started is not None and instants.connect_ended is None
    if event == audit_events.SOCKET_CONNECT and is_connecting:
        Connection.to(args[1]).describe(exchanges[-1])


class RequestTrace:
    """What is known of one request between its signals: aiohttp's `trace_config_ctx`.

    Args:
        trace_request_ctx: What the program passed to its own trace configs; not ours to look at.

    Attributes:
        program_headers, url: The request's, as it started: just before OpenTelemetry's own handler made the span.
    """

    __slots__ = ("_capture", "_exchange", "_redirected", "program_headers", "url")

    def __init__(self, trace_request_ctx: object = None) -> None:  # noqa: ARG002 - aiohttp passes it by name
        self.program_headers: Mapping[str, str] = _NOT_STARTED
        self.url: object = None
        self._capture: SpanCapture | None = None
        self._exchange: Exchange | None = None
        self._redirected: aiohttp.ClientResponse | None = None

    def exchange(self) -> Exchange | None:
        """The exchange under way; the next one, when the last signal was a redirect."""
        capture = self._found_capture()
        if capture is None:
            return None
        if self._redirected is not None:
            self._next_hop(capture, self._redirected)
        return self._exchange

    def sending(self) -> Exchange | None:
        """The exchange whose request is being sent: a body may be sent on while its answer redirects already."""
        exchange = self._exchange if self._found_capture() is not None else None
        return None if exchange is None or exchange.finished else exchange

    def connecting(self) -> None:
        """A connection is about to be made: until then nothing that the audit events tell is of this request."""
        exchange = self.exchange()
        if exchange is None or self._capture is None:
            return
        exchange.instants.connect_started = perf_counter_ns()
        if self._capture.limits.audit_events:
            audit_events.install()
            self._capture.on_audit_event = functools.partial(_on_audit_event, self._capture.exchanges)

    def headers_sent(self, session: aiohttp.ClientSession, params: aiohttp.TraceRequestHeadersSentParams) -> None:
        """The head of a request is about to be written."""
        capture = self._capture or self._found_capture()
        exchange = self._exchange if self._redirected is None else self.exchange()
        if exchange is None or capture is None:
            return
        now = perf_counter_ns()
        instants = exchange.instants
        if instants.request_started is not None:
            # A lost keep-alive connection, or a client middleware: no response came through the signals.
            exchange.error = _SENT_AGAIN
            exchange.finish(now)
            exchange = self._exchange = _add_exchange(capture, params.method, params.url, now, time_ns())
            instants = exchange.instants
        headers = params.headers
        if exchange is not capture.exchanges[0] or params.url != self.url:
            exchange.method = method_text(params.method)
            exchange.url = str(params.url)
            capture.weigh(exchange)
        exchange.request_headers, size_bytes = as_sent(headers)
        if size_bytes <= USUAL_BYTES:  # it is counted with the answer
            exchange.reserve()
        else:
            exchange.charge()
        instants.request_started = now
        if session.version != HTTP_1_1:
            exchange.request_http_version = http_version(session.version)
        # RFC 9112, 6: a request has a body when Content-Length or Transfer-Encoding say so.
        exchange.request_body.ended = headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers

    def redirected(self, params: aiohttp.TraceRequestRedirectParams) -> None:
        """A response that will be followed, or that turns out to be the last one."""
        exchange = self.exchange()
        if exchange is not None:
            _note_response(exchange, params.response)
            self._redirected = params.response

    def ended(self, session: aiohttp.ClientSession, params: aiohttp.TraceRequestEndParams) -> None:
        """The response that the program gets."""
        response = params.response
        capture = self._capture or self._found_capture()
        if capture is None:
            return
        capture.leave()
        if self._redirected is response:  # a redirect without a target is not followed
            self._redirected = None
            exchange = self._exchange
        else:
            exchange = self._exchange if self._redirected is None else self.exchange()
            if exchange is not None:
                _note_response(exchange, response)
        if exchange is not None and not (
            response.status == _SWITCHING_PROTOCOLS and tap_websocket(exchange, response, capture.limits)
        ):
            _note_body(exchange, response, decoded=session.auto_decompress)

    def failed(self, params: aiohttp.TraceRequestExceptionParams) -> None:
        """The program gets an exception instead of a response."""
        capture = self._found_capture()
        if capture is None or self._exchange is None:
            return
        capture.leave()
        exchange = self._exchange
        if exchange.instants.request_started is None:  # it never came to sending
            exchange.method, exchange.url = method_text(params.method), str(params.url)
            capture.weigh(exchange)
            exchange.request_headers, _ = as_sent(params.headers)
        exchange.error = error_text(params.exception)
        note_proxy_of_failure(exchange, params.exception)
        _note_refused_response(exchange, params.exception)
        exchange.charge()
        exchange.finish(perf_counter_ns())

    def _found_capture(self) -> SpanCapture | None:
        if self._capture is None:
            capture = correlation.current()
            if capture is None or capture.owner is not self.program_headers:  # after a request within this one
                capture = correlation.find(get_current_span())
            if capture is not None and capture.owner is self.program_headers:
                self._capture = capture
                self._exchange = capture.exchanges[-1]
        return self._capture

    def _next_hop(self, capture: SpanCapture, response: aiohttp.ClientResponse) -> None:
        """A redirect is followed: its body is let go by aiohttp, unread."""
        self._redirected = None
        now = perf_counter_ns()
        if self._exchange is not None:
            if self._exchange.response_body.ended is False:
                self._exchange.end_reason = "a redirect that was followed"
                is_plain = has_no_coding(self._exchange.response_headers)
                self._exchange.response_body.wire_size_bytes = received_bytes(response.content, is_plain)
            self._exchange.finish(now)
        self._exchange = _add_exchange(capture, response.method, response.url, now, time_ns())


def trace_config() -> aiohttp.TraceConfig:
    """Our trace config: each signal of aiohttp to the request's `RequestTrace`."""
    config: Any = aiohttp.TraceConfig(trace_config_ctx_factory=RequestTrace)  # type: ignore[arg-type] # any factory will do
    config.on_request_start.append(_on_request_start)
    config.on_connection_queued_start.append(_instant("queue_started"))
    config.on_connection_queued_end.append(_instant("queue_ended"))
    config.on_connection_create_start.append(_signal(lambda trace, _session, _params: trace.connecting()))
    config.on_connection_create_end.append(_instant("connect_ended"))
    config.on_dns_resolvehost_start.append(_instant("dns_started"))
    config.on_dns_resolvehost_end.append(_instant("dns_ended"))
    config.on_request_headers_sent.append(_signal(RequestTrace.headers_sent))
    config.on_request_chunk_sent.append(_signal(lambda trace, _, params: _note_chunk_sent(trace, params.chunk)))
    config.on_request_redirect.append(_signal(lambda trace, _, params: trace.redirected(params)))
    config.on_request_end.append(_signal(RequestTrace.ended))
    config.on_request_exception.append(_signal(lambda trace, _, params: trace.failed(params)))
    traced: aiohttp.TraceConfig = config
    return traced


async def _on_request_start(
    _: aiohttp.ClientSession, trace: RequestTrace, params: aiohttp.TraceRequestStartParams
) -> None:
    trace.program_headers = params.headers  # which cannot fail
    trace.url = params.url


def _signal(note: Callable[[RequestTrace, aiohttp.ClientSession, Any], None]) -> Any:
    """A guarded handler of an aiohttp signal."""

    async def handler(session: aiohttp.ClientSession, trace: RequestTrace, params: Any) -> None:
        try:
            note(trace, session, params)
        except Exception as fault:  # noqa: BLE001 - see `caught`
            caught("noting a signal of aiohttp", fault)

    return handler


def _instant(name: str) -> Any:
    """A handler that notes when its signal came."""

    def note(trace: RequestTrace, _session: aiohttp.ClientSession, _params: object) -> None:
        exchange = trace.exchange()
        if exchange is not None:
            setattr(exchange.instants, name, perf_counter_ns())

    return _signal(note)


def _note_chunk_sent(trace: RequestTrace, chunk: bytes) -> None:
    exchange = trace.sending()
    if exchange is not None and isinstance(chunk, bytes | bytearray | memoryview):  # else aiohttp is about to refuse it
        # What the program did not set itself is aiohttp's own compression, which the chunks have before them.
        exchange.request_body.encoded = "Content-Encoding" in trace.program_headers
        exchange.request_body.note(chunk)
        exchange.instants.request_sent = perf_counter_ns()


def _add_exchange(capture: SpanCapture, method: str, url: Any, started: int, started_unix_ns: int) -> Exchange:
    method = method if type(method) is str else method_text(method)
    exchange = Exchange(method, str(url), started_unix_ns, started, capture.limits)
    if capture.exchanges:
        exchange.initiator = capture.exchanges[0].initiator
    capture.take_in(exchange)
    return exchange


def _note_response(exchange: Exchange, response: aiohttp.ClientResponse) -> None:
    exchange.instants.response_started = perf_counter_ns()
    status = exchange.status = response.status
    exchange.reason = reason_octets(response.reason)
    if response.version is not None:
        exchange.http_version = http_version(response.version)
    exchange.response_headers = response.raw_headers
    exchange.charge()
    exchange.response_body.ended = (
        response.method == "HEAD" or status in _BODILESS_STATUS or response.headers.get("Content-Length") == "0"
    )
    # A small body has come with its head: then the connection is back in the pool, and only the protocol, which is
    # one connection's own, still knows the transport. Without it the peer is unknown, nothing else.
    connection = response.connection
    protocol = connection.protocol if connection is not None else getattr(response, "_protocol", None)
    if protocol is not None:
        _connections.of(protocol, protocol).describe(exchange)
    note_proxy(exchange, response, connection)
    writer = getattr(response, "_writer", None)
    if writer is None:  # the whole request was written before anything of the answer came
        exchange.request_body.ended = True
    else:
        _note_end_of_request(exchange, writer, protocol)


def _note_end_of_request(exchange: Exchange, writer: asyncio.Task[None], protocol: Any) -> None:
    """An answer may come before the request's body has gone out: then a task of aiohttp's still writes it.

    The task's own exception is left for aiohttp to retrieve; what the body raised is the protocol's exception.
    """

    @guarded("noting the end of a request body")
    def note(task: asyncio.Task[None]) -> None:
        is_cut = task.cancelled() or (protocol is not None and protocol.exception() is not None)
        if not is_cut and not exchange.finished:
            exchange.request_body.ended = True

    if writer.done():
        note(writer)
    else:
        writer.add_done_callback(note)


def _note_body(exchange: Exchange, response: aiohttp.ClientResponse, *, decoded: bool) -> None:
    notes = ResponseNotes(exchange)
    if exchange.response_body.ended or response.content is None:
        notes.ended(0)
        return
    coding = response.headers.get("Content-Encoding")
    is_encoded = exchange.response_body.encoded = not (decoded and (coding is None or _is_decoded(coding)))
    tap: Any = ContentTap(response.content, notes, is_plain=is_encoded or coding is None)
    response.content = tap


def _is_decoded(coding: str) -> bool:
    """Whether aiohttp decodes such a body: it leaves old names and several codings as they came.

    It does so with codings that nobody knows, too, but then there is nothing that anybody could decode.
    """
    return "," not in coding and coding.strip().lower() not in _LEFT_ENCODED


def _note_refused_response(exchange: Exchange, error: BaseException) -> None:
    """`raise_for_status` refuses a response before the signals show it: its exception has status and header fields.

    An exception with a cause is aiohttp's own word on an answer that it could not read: its status is made up. What a
    proxy answers to CONNECT is no response to the request.
    """
    if not isinstance(error, aiohttp.ClientResponseError) or isinstance(error, aiohttp.ClientHttpProxyError):
        return
    if exchange.status is None and error.__cause__ is None:
        exchange.status = error.status or None
        exchange.reason = reason_octets(error.message)
        exchange.response_headers = list((error.headers or {}).items())
        exchange.instants.response_started = perf_counter_ns()
        exchange.end_reason = "raise_for_status refused the response"
