"""`HarInstrumentor` in code, with the real clients against a real server."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_har.errors import SettingError
from otel_har.export.simple import SimpleHarProcessor
from otel_har.instrumentor import CAPTURES, HarInstrumentor, instrument_anew
from otel_har.processor import HarSpanProcessor
from otel_har.testing import InMemoryHarExporter
from servers import RecordingServer, unused_port
from servers.routes import CHUNKS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

PATIENCE_S = 20


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A plain-text server."""
    with RecordingServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Instrumentors are one for the process: whatever a test leaves instrumented is undone."""
    yield
    for instrumentor in (HarInstrumentor(), RequestsInstrumentor(), AioHttpClientInstrumentor()):
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


class _Recording:
    """A provider that records into memory."""

    def __init__(self) -> None:
        self.exporter = InMemoryHarExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(HarSpanProcessor(SimpleHarProcessor(self.exporter)))

    @property
    def hooked(self) -> list[bool]:
        """Of each entry, whether a hook captured it."""
        return [entry.comment is None for entry in self.exporter.entries]


@pytest.fixture
def recording() -> _Recording:
    """A recording that nothing is instrumented for yet."""
    return _Recording()


async def _aiohttp_get(url: str, **options: Any) -> str:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, **options) as session, session.get(url) as response:
        return await response.text()


def test_requests(recording: _Recording, server: RecordingServer) -> None:
    """A request of requests is an entry with header fields, body, peer and phases."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    assert TEXT == requests.get(server.url("/gzip?a=b"), timeout=PATIENCE_S).text
    [entry] = recording.exporter.entries
    sent = server.exchanges[0].response
    assert (server.url("/gzip?a=b"), 200, TEXT) == (
        entry.request.url,
        entry.response.status,
        entry.response.content.text,
    )
    assert (len(sent.head), len(sent.encoded)) == (entry.response.headers_size, entry.response.body_size)
    assert len(server.exchanges[0].request.head) == entry.request.headers_size
    assert (server.host, str(server.port)) == (entry.server_ip_address, entry.connection)
    assert "opentelemetry.instrumentation.requests" == entry.otel["scope"]


async def test_aiohttp(recording: _Recording, server: RecordingServer) -> None:
    """A request of aiohttp is an entry with header fields, body, peer and phases."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    assert TEXT == await _aiohttp_get(server.url("/gzip?a=b"))
    [entry] = recording.exporter.entries
    sent = server.exchanges[0].response
    assert (server.url("/gzip?a=b"), 200, TEXT) == (
        entry.request.url,
        entry.response.status,
        entry.response.content.text,
    )
    assert (len(sent.head), len(sent.encoded)) == (entry.response.headers_size, entry.response.body_size)
    assert len(server.exchanges[0].request.head) == entry.request.headers_size
    assert (server.host, str(server.port)) == (entry.server_ip_address, entry.connection)
    assert entry.timings.connect >= 0


async def test_empty_body_that_nobody_reads(recording: _Recording, server: RecordingServer) -> None:
    """An answer without a body is whole, whether or not the program asks for what is not there."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    async with aiohttp.ClientSession() as session, session.post(server.url("/bytes/0")) as response:
        assert 200 == response.status
    [entry] = recording.exporter.entries
    assert (0, 0, None) == (
        entry.response.body_size,
        entry.response.content.size,
        entry.response.content.body_state,
    )


def test_redirects_are_entries(recording: _Recording, server: RecordingServer) -> None:
    """Each hop is an entry of its own, with its absolute target."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    requests.get(server.url("/redirect/2"), timeout=PATIENCE_S)
    targets = [entry.response.redirect_url for entry in recording.exporter.entries]
    assert [server.url("/redirect/1"), server.url("/redirect/0"), ""] == targets


def test_streamed_body(recording: _Recording, server: RecordingServer) -> None:
    """A body that is read after its span has ended is in its entry."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    with requests.get(server.url("/stream"), stream=True, timeout=PATIENCE_S) as response:
        assert [] == recording.exporter.entries
        assert b"".join(CHUNKS) == b"".join(response.iter_content(5))
    assert [b"".join(CHUNKS).decode()] == [entry.response.content.text for entry in recording.exporter.entries]


def test_refused_connection(recording: _Recording) -> None:
    """A request without a response keeps its header fields and says why."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{unused_port()}/", timeout=PATIENCE_S)
    [entry] = recording.exporter.entries
    assert 0 == entry.response.status
    assert "ConnectionError" in str(entry.response.error)
    assert "User-Agent" in {header.name for header in entry.request.headers}


def test_hooks_of_the_program(recording: _Recording, server: RecordingServer) -> None:
    """The program's hooks are called as they would be without us, with what they would be called with."""
    called: list[tuple[str, object]] = []

    def request_hook(span: Span, request: requests.PreparedRequest) -> None:
        called.append(("request", request.url))
        span.set_attribute("mine", "request")

    def response_hook(_span: Span, _request: requests.PreparedRequest, response: requests.Response) -> None:
        called.append(("response", response.status_code))

    HarInstrumentor().instrument(
        tracer_provider=recording.provider, requests={"request_hook": request_hook, "response_hook": response_hook}
    )
    requests.get(server.url("/json"), timeout=PATIENCE_S)
    assert [("request", server.url("/json")), ("response", 200)] == called
    assert [True] == recording.hooked
    assert "request" == recording.exporter.entries[0].otel["attributes"]["mine"]


def test_hook_of_a_request(recording: _Recording, server: RecordingServer) -> None:
    """A response hook that a program sets on one request sees its response, and the request is as it was afterwards."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    seen: list[int] = []

    def hook(response: requests.Response, **_: object) -> None:
        seen.append(response.status_code)

    response = requests.get(server.url("/json"), hooks={"response": hook}, timeout=PATIENCE_S)
    assert [200] == seen
    assert [hook] == list(response.request.hooks["response"])


async def test_trace_configs_of_the_program(recording: _Recording, server: RecordingServer) -> None:
    """Trace configs and hooks of the program's own, given here or to its session, are called together with ours."""
    called: list[str] = []

    def config(name: str) -> aiohttp.TraceConfig:
        made = aiohttp.TraceConfig()

        async def ended(*_: object) -> None:
            called.append(name)

        made.on_request_end.append(ended)
        return made

    HarInstrumentor().instrument(
        tracer_provider=recording.provider,
        aiohttp_client={
            "trace_configs": [config("instrumentor's")],
            "request_hook": lambda *_: called.append("request hook"),
            "response_hook": lambda *_: called.append("response hook"),
        },
    )
    await _aiohttp_get(server.url("/json"), trace_configs=[config("session's")])
    assert {"instrumentor's", "session's", "request hook", "response hook"} == set(called)
    assert [True] == recording.hooked


def test_hook_that_raises(recording: _Recording, server: RecordingServer) -> None:
    """What the program's own hook raises reaches the program as it would without us."""

    def hook(*_: object) -> None:
        raise RuntimeError("mine")

    HarInstrumentor().instrument(tracer_provider=recording.provider, requests={"request_hook": hook})
    with pytest.raises(RuntimeError, match="mine"):
        requests.get(server.url("/json"), timeout=PATIENCE_S)


@pytest.mark.parametrize(("name", "other"), [("requests", "aiohttp-client"), ("aiohttp-client", "requests")])
def test_chosen_clients(recording: _Recording, name: str, other: str) -> None:
    """Only the clients that are named are instrumented."""
    instrumentors: dict[str, Any] = {"requests": RequestsInstrumentor(), "aiohttp-client": AioHttpClientInstrumentor()}
    HarInstrumentor().instrument(tracer_provider=recording.provider, clients=(name,))
    assert (True, False) == (
        instrumentors[name].is_instrumented_by_opentelemetry,
        instrumentors[other].is_instrumented_by_opentelemetry,
    )


def test_unknown_client(recording: _Recording) -> None:
    """A client that nobody knows is told at once, by its name."""
    with pytest.raises(SettingError, match="reqests"):
        HarInstrumentor().instrument(tracer_provider=recording.provider, clients=("reqests",))


def test_instrumented_before(recording: _Recording, server: RecordingServer, caplog: pytest.LogCaptureFixture) -> None:
    """A client that was instrumented without us is left as it is, said so, and still makes entries of its spans."""
    RequestsInstrumentor().instrument(tracer_provider=recording.provider)
    with caplog.at_level(logging.WARNING):
        HarInstrumentor().instrument(tracer_provider=recording.provider)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith("otel-har: requests was instrumented before, without otel-har's hooks")
    requests.get(server.url("/json"), timeout=PATIENCE_S)
    assert [False] == recording.hooked
    HarInstrumentor().uninstrument()
    assert RequestsInstrumentor().is_instrumented_by_opentelemetry


def test_instrument_twice(recording: _Recording, server: RecordingServer, caplog: pytest.LogCaptureFixture) -> None:
    """A second call changes nothing but is warned of by OpenTelemetry."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    assert ["Attempting to instrument while already instrumented"] == [record.getMessage() for record in caplog.records]
    requests.get(server.url("/json"), timeout=PATIENCE_S)
    assert [True] == recording.hooked


async def test_uninstrument(recording: _Recording, server: RecordingServer) -> None:
    """After `uninstrument` both clients are what they were before."""
    before = (requests.Session.send, aiohttp.ClientSession.__init__)
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    HarInstrumentor().uninstrument()
    assert before == (requests.Session.send, aiohttp.ClientSession.__init__)
    await asyncio.to_thread(requests.get, server.url("/json"), timeout=PATIENCE_S)
    await _aiohttp_get(server.url("/json"))
    assert [] == recording.exporter.entries


def test_instrument_again(recording: _Recording, server: RecordingServer) -> None:
    """Instrumenting and undoing it may alternate; each exchange is recorded once."""
    for _ in range(3):
        HarInstrumentor().instrument(tracer_provider=recording.provider)
        requests.get(server.url("/json"), timeout=PATIENCE_S)
        HarInstrumentor().uninstrument()
    assert [True, True, True] == recording.hooked


def test_client_uninstrumented_by_others(recording: _Recording, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever undoes a client's instrumentation before us does no harm."""
    HarInstrumentor().instrument(tracer_provider=recording.provider)
    RequestsInstrumentor().uninstrument()
    HarInstrumentor().uninstrument()
    assert [] == caplog.records


def test_instrument_anew(recording: _Recording, server: RecordingServer, caplog: pytest.LogCaptureFixture) -> None:
    """What is instrumented now gets our hooks and provider; what is not stays so."""
    other = _Recording()
    RequestsInstrumentor().instrument(tracer_provider=other.provider)
    instrument_anew(recording.provider)
    requests.get(server.url("/json"), timeout=PATIENCE_S)
    assert ([True], []) == (recording.hooked, other.hooked)
    assert not AioHttpClientInstrumentor().is_instrumented_by_opentelemetry
    assert [] == caplog.records


def test_tracer_without_our_processor(server: RecordingServer) -> None:
    """With a provider that nobody records, requests pass and leave nothing."""
    HarInstrumentor().instrument(tracer_provider=TracerProvider(shutdown_on_exit=False))
    response = requests.get(server.url("/json"), timeout=PATIENCE_S)
    assert {"name": "Jürgen", "ok": True} == response.json()


def test_captures_and_dependencies() -> None:
    """Clients that are not installed are left out, so nothing is depended upon."""
    assert () == HarInstrumentor().instrumentation_dependencies()
    assert {"requests", "aiohttp-client"} == set(CAPTURES)
