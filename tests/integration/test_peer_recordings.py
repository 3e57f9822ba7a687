"""Several recordings in one process, with the real clients: none loses, mixes or breaks what is another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
import requests
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_har.export.batch import BatchHarProcessor
from otel_har.export.file import FileHarExporter
from otel_har.instrumentor import HarInstrumentor
from otel_har.processor import HarSpanProcessor
from servers import RecordingServer
from servers.programs import read_checked
from servers.routes import CHUNKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = aiohttp.ClientTimeout(total=20)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Instrumentors are one for the process: whatever a test leaves instrumented is undone."""
    yield
    for instrumentor in (HarInstrumentor(), RequestsInstrumentor(), AioHttpClientInstrumentor()):
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def _recorder(path: Path) -> HarSpanProcessor:
    return HarSpanProcessor(BatchHarProcessor(FileHarExporter(path)), title=lambda: path.name)


def _paths(path: Path) -> list[str]:
    """What a checked file has recorded: the last segments of the URLs."""
    return [entry["request"]["url"].rpartition("/")[2] for entry in read_checked(path)["log"]["entries"]]


def _get(server: RecordingServer, name: str) -> str:
    return requests.get(server.url(f"/item/{name}"), timeout=20).text


def test_two_recorders_do_not_mix(server: RecordingServer, tmp_path: Path) -> None:
    """Each file has what was done while its recorder ran, on its own page, in whatever order recorders come and go."""
    first, second = _recorder(tmp_path / "first.har"), _recorder(tmp_path / "second.har")
    provider = TracerProvider(shutdown_on_exit=False)
    HarInstrumentor().instrument(tracer_provider=provider)
    provider.add_span_processor(first)
    _get(server, "1")
    provider.add_span_processor(second)
    _get(server, "2")
    first.shutdown()
    _get(server, "3")
    second.shutdown()
    _get(server, "4")
    assert (["1", "2"], ["2", "3"]) == (_paths(tmp_path / "first.har"), _paths(tmp_path / "second.har"))
    for name in ("first.har", "second.har"):
        assert [name] == [page["title"] for page in read_checked(tmp_path / name)["log"]["pages"]]


def test_a_recording_ends_while_a_body_is_read(server: RecordingServer, tmp_path: Path) -> None:
    """What was there when the recording ended is in the file; the program reads on to the end of its body."""
    recorder = _recorder(tmp_path / "out.har")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(recorder)
    HarInstrumentor().instrument(tracer_provider=provider)
    with requests.get(server.url("/stream?gate=a"), stream=True, timeout=20) as response:
        pieces = response.iter_content(None)
        assert CHUNKS[0] == next(pieces)
        recorder.shutdown()
        HarInstrumentor().uninstrument()
        for _ in CHUNKS[1:]:
            server.gates.release("a")
        assert b"".join(CHUNKS[1:]) == b"".join(pieces)
    [entry] = read_checked(tmp_path / "out.har")["log"]["entries"]
    content = entry["response"]["content"]
    assert ("partial", CHUNKS[0].decode()) == (content["_bodyState"], content["text"])


async def test_a_recording_ends_while_a_body_of_aiohttp_is_read(server: RecordingServer, tmp_path: Path) -> None:
    """The same with aiohttp."""
    recorder = _recorder(tmp_path / "out.har")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(recorder)
    HarInstrumentor().instrument(tracer_provider=provider)
    async with (
        aiohttp.ClientSession(timeout=PATIENCE) as session,
        session.get(server.url("/stream?gate=a")) as response,
    ):
        assert CHUNKS[0] == await response.content.readany()
        recorder.shutdown()
        HarInstrumentor().uninstrument()
        for _ in CHUNKS[1:]:
            server.gates.release("a")
        assert b"".join(CHUNKS[1:]) == await response.content.read()
    [entry] = read_checked(tmp_path / "out.har")["log"]["entries"]
    content = entry["response"]["content"]
    assert ("partial", CHUNKS[0].decode()) == (content["_bodyState"], content["text"])


async def test_a_session_outlives_recordings(server: RecordingServer, tmp_path: Path) -> None:
    """A session of the first recording works after it and in the second one, where each exchange is recorded once."""
    async with aiohttp.ClientSession(timeout=PATIENCE) as before:
        sessions = {"before": before}
        for number in ("first", "second"):
            recorder = _recorder(tmp_path / f"{number}.har")
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(recorder)
            HarInstrumentor().instrument(tracer_provider=provider)
            async with aiohttp.ClientSession(timeout=PATIENCE) as session:
                sessions[number] = session
                for name, used in sessions.items():
                    async with used.get(server.url(f"/item/{name}-in-{number}")) as response:
                        assert f"item /item/{name}-in-{number}" == await response.text()
                recorder.shutdown()
                HarInstrumentor().uninstrument()
                async with session.get(server.url(f"/item/{number}-after")) as response:
                    assert f"item /item/{number}-after" == await response.text()
            del sessions[number]
    assert ["first-in-first"] == _paths(tmp_path / "first.har")
    assert ["second-in-second"] == _paths(tmp_path / "second.har")


def test_a_session_of_requests_outlives_recordings(server: RecordingServer, tmp_path: Path) -> None:
    """A session of requests is recorded by whatever recording is there, once."""
    with requests.Session() as session:
        for number in ("first", "second"):
            recorder = _recorder(tmp_path / f"{number}.har")
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(recorder)
            HarInstrumentor().instrument(tracer_provider=provider)
            assert f"item /item/{number}" == session.get(server.url(f"/item/{number}")).text
            recorder.shutdown()
            HarInstrumentor().uninstrument()
            assert "item /item/after" == session.get(server.url("/item/after")).text
    assert ["first"] == _paths(tmp_path / "first.har")
    assert ["second"] == _paths(tmp_path / "second.har")
