"""`record()` and its kin in one process: what each recording has, and what the program is afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_har import (
    ExportError,
    FileHarExporter,
    HarExporter,
    HarExportResult,
    HarInstrumentor,
    InMemoryHarExporter,
    Recording,
    RedactionPolicy,
    SettingError,
    record,
    record_to_file,
    record_to_logger,
    record_to_model,
    to_har_model,
)
from servers.programs import read_checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from otel_har import HarBatch
    from otel_har.har.models import Entry
    from servers import RecordingServer

PATIENCE_S = 20


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Every test leaves the clients as it found them."""
    assert HarInstrumentor().is_instrumented_by_opentelemetry is False
    send = requests.Session.send
    yield
    assert HarInstrumentor().is_instrumented_by_opentelemetry is False
    assert requests.Session.send is send


@pytest.fixture
def get(server: RecordingServer) -> Callable[[str], requests.Response]:
    """Makes a request to the server."""
    return lambda path: requests.get(server.url(path), timeout=PATIENCE_S)


def _paths(entries: Iterable[Entry]) -> list[str]:
    return [urlsplit(entry.request.url).path for entry in entries]


def _of_file(path: Path) -> list[str]:
    har: dict[str, Any] = read_checked(path)
    return [urlsplit(entry["request"]["url"]).path for entry in har["log"]["entries"]]


def test_each_call_is_an_entry(get: Callable[[str], Any], tmp_path: Path) -> None:
    """What is requested within the block is in the file afterwards, and nothing else."""
    get("/item?before")
    with record_to_file(tmp_path / "out.har") as recording:
        states = [recording.is_recording]
        for _ in range(3):
            get("/item")
    get("/item?after")
    assert [True, False] == [*states, recording.is_recording]
    assert ["/item"] * 3 == _of_file(tmp_path / "out.har")
    assert tmp_path / "out.har" == recording.path


def test_headers_and_bodies_are_recorded(get: Callable[[str], Any]) -> None:
    """The clients' hooks are in place for the time of the recording."""
    with record_to_model() as recording:
        body = get("/item").text
    [entry] = recording.har.log.entries
    assert body == entry.response.content.text
    assert entry.request.headers


def test_started_again_it_goes_on(get: Callable[[str], Any], tmp_path: Path) -> None:
    """Start, stop and start accumulate, in a file and in memory."""
    in_file, in_memory = record_to_file(tmp_path / "out.har"), record_to_model()
    for path in ("/item", "/json", "/item"):
        in_file.start()
        in_memory.start()
        get(path)
        in_memory.stop()
        in_file.stop()
    assert ["/item", "/json", "/item"] == _of_file(tmp_path / "out.har")
    assert ["/item", "/json", "/item"] == _paths(in_memory.har.log.entries)


def test_a_new_recording_starts_the_file_anew_unless_told_to_append(get: Callable[[str], Any], tmp_path: Path) -> None:
    """Two recordings of one path: the second one replaces, or goes on with `append`."""
    path = tmp_path / "out.har"
    for expected, append in ((1, False), (1, False), (2, True)):
        with record_to_file(path, append=append):
            get("/item")
        assert expected == len(_of_file(path))


def test_decorated_twice_called(get: Callable[[str], Any], tmp_path: Path) -> None:
    """Each call of a decorated function is recorded; its result, name and exceptions are its own."""

    @record_to_file(tmp_path / "out.har")
    def fetch(path: str) -> int:
        """Fetch."""
        if path == "/json":
            get(path)
            raise KeyError(path)
        return int(get(path).status_code)

    assert "fetch" == fetch.__name__
    assert 200 == fetch("/item")
    with pytest.raises(KeyError):
        fetch("/json")
    assert 200 == fetch("/item")
    get("/item")
    assert ["/item", "/json", "/item"] == _of_file(tmp_path / "out.har")


async def test_coroutine_functions(server: RecordingServer) -> None:
    """A decorated coroutine function is recorded while it runs; `async with` is a recording too."""
    recording = record_to_model()

    @recording
    async def fetch(path: str) -> bytes:
        assert recording.is_recording
        async with aiohttp.ClientSession() as session, session.get(server.url(path)) as response:
            return await response.read()

    assert await fetch("/item")
    assert not recording.is_recording
    async with recording:
        await asyncio.gather(fetch("/json"), fetch("/item"))
    assert ["/item", "/item", "/json"] == sorted(_paths(recording.har.log.entries))


def test_generator_functions_are_refused() -> None:
    """A generator function cannot be decorated, and says what to do."""

    def pages() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"pages is a generator function: record within it"):
        record_to_model()(pages)


@pytest.mark.parametrize("fault", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_written_whatever_leaves_the_block(
    get: Callable[[str], Any], tmp_path: Path, fault: type[BaseException]
) -> None:
    """The file is written and the exception raised."""

    @record_to_file(tmp_path / "out.har")
    def leave() -> None:
        with record_to_file(tmp_path / "nested.har"):
            get("/item")
            raise fault

    with pytest.raises(fault):
        leave()
    assert ["/item"] == _of_file(tmp_path / "nested.har")
    assert ["/item"] == _of_file(tmp_path / "out.har")


def test_nested_recordings_neither_mix_nor_double(get: Callable[[str], Any]) -> None:
    """Each recording has what was requested in its own time, once."""
    outer, inner = record_to_model(), record_to_model()
    with outer:
        get("/item")
        with inner:
            get("/json")
        get("/item")
    assert ["/item", "/json", "/item"] == _paths(outer.har.log.entries)
    assert ["/json"] == _paths(inner.har.log.entries)


def test_one_recording_started_twice_is_one(get: Callable[[str], Any]) -> None:
    """Starting what runs already does not double, and it ends with the last stop."""
    recording = record_to_model()
    with recording, recording:
        get("/item")
    recording.start()
    recording.start()
    get("/json")
    recording.stop()
    get("/json")
    recording.stop()
    get("/item")
    recording.stop()
    assert ["/item", "/json", "/json"] == _paths(recording.har.log.entries)


def test_stopped_out_of_order(get: Callable[[str], Any]) -> None:
    """Recordings end in any order."""
    first, second = record_to_model(), record_to_model()
    first.start()
    second.start()
    get("/item")
    first.stop()
    get("/json")
    second.stop()
    assert ["/item"] == _paths(first.har.log.entries)
    assert ["/item", "/json"] == _paths(second.har.log.entries)


def test_context_only_of_threads(get: Callable[[str], Any]) -> None:
    """Of threads that record at one time each has its own requests only."""
    together = threading.Barrier(4)

    def work(number: int) -> list[str]:
        together.wait(PATIENCE_S)
        with record_to_model(context_only=True) as recording:
            together.wait(PATIENCE_S)
            for _ in range(5):
                get(f"/echo/{number}")
            together.wait(PATIENCE_S)
        return _paths(recording.har.log.entries)

    with ThreadPoolExecutor(4) as pool:
        assert [[f"/echo/{number}"] * 5 for number in range(4)] == list(pool.map(work, range(4)))


async def test_context_only_of_tasks(server: RecordingServer) -> None:
    """Of tasks that record at one time each has its own requests, and those of the tasks that it makes."""

    async def fetch(session: aiohttp.ClientSession, path: str) -> None:
        async with session.get(server.url(path)) as response:
            await response.read()

    async def work(number: int) -> list[str]:
        async with record_to_model(context_only=True) as recording, aiohttp.ClientSession() as session:
            await asyncio.gather(*(fetch(session, f"/echo/{number}") for _ in range(3)))
        return _paths(recording.har.log.entries)

    assert [[f"/echo/{number}"] * 3 for number in range(4)] == await asyncio.gather(*map(work, range(4)))


def test_context_only_ends_with_the_last_stop_in_its_context(get: Callable[[str], Any]) -> None:
    """A context that has left is not recorded while another one goes on, nor by the next run."""
    recording = record_to_model(context_only=True)
    entered, may_leave = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with recording:
            get("/echo/elsewhere")
            entered.set()
            may_leave.wait(PATIENCE_S)
            get("/echo/elsewhere")

    recording.start()
    get("/echo/here")
    thread = threading.Thread(target=elsewhere)
    thread.start()
    entered.wait(PATIENCE_S)
    recording.stop()
    get("/echo/left")
    may_leave.set()
    thread.join(PATIENCE_S)
    assert ["/echo/here", "/echo/elsewhere", "/echo/elsewhere"] == _paths(recording.har.log.entries)


def test_several_exporters_get_the_same_entries(get: Callable[[str], Any]) -> None:
    """Each exporter gets each entry once."""
    exporters = [InMemoryHarExporter(), InMemoryHarExporter()]
    with record(*exporters):
        get("/item")
        get("/json")
    assert [["/item", "/json"]] * 2 == [_paths(exporter.entries) for exporter in exporters]


def test_an_exporter_serves_one_run(get: Callable[[str], Any]) -> None:
    """A recording of an exporter is started once; one of what makes exporters any number of times."""
    recording = record(InMemoryHarExporter())
    with recording:
        get("/item")
    with pytest.raises(SettingError, match="a recording of a InMemoryHarExporter can be started once"):
        recording.start()
    assert not recording.is_recording
    made = record(InMemoryHarExporter)
    for path in ("/item", "/json"):
        with made:
            get(path)
        assert isinstance(made.exporter, InMemoryHarExporter)
        assert [path] == _paths(made.exporter.entries)


def test_record_needs_an_exporter() -> None:
    """Nowhere is no destination."""
    with pytest.raises(SettingError, match=r"record\(\) needs an exporter"):
        record()


def test_an_unusable_path_is_told_where_recording_starts(tmp_path: Path) -> None:
    """The error comes at the block's beginning, and nothing stays behind."""
    recording = record_to_file(tmp_path / "none" / "out.har")
    with pytest.raises(ExportError, match="none"):
        recording.start()
    assert not recording.is_recording


@pytest.mark.parametrize("path", ["/", "/dev", "/dev/null"])
def test_a_path_that_is_no_file_is_told_where_recording_starts(path: str) -> None:
    """A directory, the root of all included, and a device are errors that name them."""
    recording = record_to_file(path)
    with pytest.raises(ExportError, match=f"cannot write the HAR file {path}: "):
        recording.start()
    assert not recording.is_recording


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_background": "fibre"}, "in_background must be one of thread, process, not 'fibre'"),
        ({"interval_seconds": -1}, "interval_seconds must be between 0 and 86400, not -1"),
        ({"interval_seconds": float("nan")}, "interval_seconds must be between 0 and 86400, not nan"),
        ({"interval_seconds": float("inf")}, "interval_seconds must be between 0 and 86400, not inf"),
        ({"interval_seconds": "5"}, "interval_seconds must be between 0 and 86400, not '5'"),
        ({"filter": "*.png"}, "filter must be a HarFilter, not '\\*.png'"),
        ({"redaction": "strict"}, "redaction must be a RedactionPolicy, not 'strict'"),
        ({"batch": 5}, "batch must be a BatchSettings, not 5"),
    ],
)
def test_bad_arguments(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """They are told at once, with the value, as a ValueError."""
    with pytest.raises(ValueError, match=message):
        record_to_file(tmp_path / "out.har", **options)


def test_options_that_there_are_not(tmp_path: Path) -> None:
    """A name that is mistyped is told, as Python does."""
    options: Any = {"retension_seconds": 5}
    with pytest.raises(TypeError, match="there is no option 'retension_seconds'; there are batch, context_only"):
        record_to_file(tmp_path / "out.har", **options)
    with pytest.raises(TypeError, match="retension_seconds"):
        record_to_model(**options)


@pytest.mark.parametrize("options", [{"live": True}, {"retention_seconds": 3_600}])
def test_live(get: Callable[[str], Any], tmp_path: Path, options: dict[str, Any]) -> None:
    """After each call its exchange is in the file."""
    with record_to_file(tmp_path / "out.har", **options):
        for count in range(1, 5):
            get("/item")
            assert count == len(_of_file(tmp_path / "out.har"))


def test_stopping_takes_no_interval(get: Callable[[str], Any], tmp_path: Path) -> None:
    """With an interval of an hour everything is written at the end, and on a flush."""
    with record_to_file(tmp_path / "out.har", interval_seconds=3_600) as recording:
        get("/item")
        assert recording.force_flush(PATIENCE_S * 1_000)
        assert ["/item"] == _of_file(tmp_path / "out.har")
        get("/json")
    assert ["/item", "/json"] == _of_file(tmp_path / "out.har")


@pytest.mark.parametrize("in_background", [None, "thread", "process"])
@pytest.mark.parametrize("live", [False, True])
def test_in_background_gives_the_same_file(
    get: Callable[[str], Any], tmp_path: Path, in_background: Any, *, live: bool
) -> None:
    """Whoever writes, the file has the same entries."""
    with record_to_file(tmp_path / "out.har", indent=2, live=live, in_background=in_background):
        for path in ("/item", "/json", "/item"):
            get(path)
    assert ["/item", "/json", "/item"] == _of_file(tmp_path / "out.har")
    assert '\n  "log"' in (tmp_path / "out.har").read_text(encoding="utf-8")


def test_to_a_logger(get: Callable[[str], Any], caplog: pytest.LogCaptureFixture) -> None:
    """A page and an entry are a record each, as soon as the call returns; `to_har_model` has them all."""
    logger = logging.getLogger("traffic")
    caplog.set_level(logging.INFO, "traffic")
    with record_to_logger(logger, logging.INFO, new_page_message="a page", new_entry_message="an entry"):
        for count in (1, 2):
            get("/item")
            assert count == sum(record.message == "an entry" for record in caplog.records)
    pages = [vars(record)["har_page"] for record in caplog.records if record.message == "a page"]
    entries = [vars(record)["har_entry"] for record in caplog.records if record.message == "an entry"]
    har = to_har_model(json.loads(json.dumps(pages)), json.loads(json.dumps(entries)))
    assert ["/item", "/item"] == _paths(har.log.entries)
    assert 1 == len(har.log.pages)
    assert all(entry.initiator for entry in har.log.entries)


def test_loggers_are_of_this_process() -> None:
    """Another process has other handlers: that is no place to log from."""
    in_background: Any = "process"
    with pytest.raises(SettingError, match="in_background must be thread, or None, for a logger, not 'process'"):
        record_to_logger(in_background=in_background)


def test_environment_settings_hold(get: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not given in code is as the environment says; what is given there is not."""
    monkeypatch.setenv("OTEL_PYTHON_HAR_REDACT", "strict")
    with record_to_model() as by_environment, record_to_model(redaction=RedactionPolicy()) as by_code:
        get("/item")
    [strict], [plain] = by_environment.har.log.entries, by_code.har.log.entries
    assert ("", True) == (strict.response.content.text, bool(plain.response.content.text))


def test_a_providers_own_spans_name_the_pages(get: Callable[[str], Any]) -> None:
    """A provider of the program's that is no global one is recorded when it is named."""
    provider = TracerProvider(shutdown_on_exit=False)
    with (
        record_to_model(tracer_provider=provider) as recording,
        provider.get_tracer("test").start_as_current_span("the task"),
    ):
        get("/item")
    [entry], [page] = recording.har.log.entries, recording.har.log.pages
    assert ("the task", page.id) == (page.title, entry.pageref)


def test_in_flight_when_the_recording_stops(server: RecordingServer) -> None:
    """A response that is being read when the recording ends is recorded as far as it came, and read to its end."""
    with record_to_model() as recording:
        response = requests.get(server.url("/stream"), stream=True, timeout=PATIENCE_S)
        pieces = response.iter_content(1)
        first = next(pieces)
    assert ["/stream"] == _paths(recording.har.log.entries)
    assert len(first + b"".join(pieces)) > 1


def test_an_aiohttp_session_lives_through_recordings(server: RecordingServer) -> None:
    """A session made in one recording is recorded by the next one, and works between them."""

    async def main() -> list[int]:
        counts = []
        async with aiohttp.ClientSession() as session:
            for expected in (1, 0, 1):
                recording = record_to_model()
                if expected:
                    recording.start()
                async with session.get(server.url("/item")) as response:
                    await response.read()
                recording.stop()
                counts.append(len(recording.har.log.entries))
        return counts

    with record_to_model():
        assert [1, 0, 1] == asyncio.run(main())


def test_the_programs_own_instrumentation_stays(get: Callable[[str], Any]) -> None:
    """Clients that were instrumented before the recording are so after it."""
    HarInstrumentor().instrument(skip_dep_check=True)
    try:
        with record_to_model() as recording:
            get("/item")
        assert HarInstrumentor().is_instrumented_by_opentelemetry
    finally:
        HarInstrumentor().uninstrument()
    assert ["/item"] == _paths(recording.har.log.entries)


def test_an_exporter_that_raises_hurts_nobody(get: Callable[[str], Any]) -> None:
    """The program gets its answers; other recordings get their entries."""

    class Broken(HarExporter):
        def export(self, batch: HarBatch) -> HarExportResult:
            raise RuntimeError(batch)

        def shutdown(self, timeout_millis: int = 30_000) -> None:
            raise RuntimeError(timeout_millis)

    with record(Broken), record_to_model() as recording:
        assert 200 == get("/item").status_code
    assert ["/item"] == _paths(recording.har.log.entries)


def test_many_threads_start_and_stop(get: Callable[[str], Any]) -> None:
    """Recordings that begin and end at one time in many threads lose nothing and leave nothing behind."""

    def work(number: int) -> list[str]:
        with record_to_model(context_only=True) as recording:
            get(f"/echo/{number}")
        return _paths(recording.har.log.entries)

    with ThreadPoolExecutor(16) as pool:
        assert [[f"/echo/{number}"] for number in range(100)] == list(pool.map(work, range(100)))


def test_recording_is_a_name_of_the_package(tmp_path: Path) -> None:
    """What the functions give is a `Recording`."""
    made = [record(InMemoryHarExporter), record_to_file(tmp_path / "out.har"), record_to_logger(), record_to_model()]
    assert all(isinstance(recording, Recording) for recording in made)


def test_what_makes_no_exporter_is_told() -> None:
    """Neither a path nor what gives something else is taken for an exporter."""
    anything: Any = "out.har"
    with pytest.raises(SettingError, match=r"not 'out.har'; record_to_file\(\) takes paths"):
        record(anything)
    anything = dict
    with pytest.raises(SettingError, match=r"gave \{\}, which is no HarExporter"):
        record(anything).start()


def test_what_was_made_before_a_start_failed_is_shut_down(tmp_path: Path) -> None:
    """A start that fails leaves no exporter open: the next one gets the file."""

    def unwritable() -> HarExporter:
        return FileHarExporter(tmp_path / "none" / "out.har")

    path = tmp_path / "out.har"
    for _ in range(2):
        with pytest.raises(ExportError):
            record(lambda: FileHarExporter(path), unwritable).start()
    with record_to_file(path) as recording:
        assert path == recording.path
    assert ["out.har"] == sorted(one.name for one in tmp_path.iterdir())


@pytest.mark.parametrize("in_background", [None, "process"])
def test_the_path_is_that_of_the_file(get: Callable[[str], Any], tmp_path: Path, in_background: Any) -> None:
    """Where another recording writes the file, `path` is the one beside it; it is absolute."""
    first, second = (record_to_file(tmp_path / "out.har", in_background=in_background) for _ in range(2))
    with first, second:
        get("/item")
        assert first.force_flush()
        assert second.force_flush()
        assert tmp_path / "out.har" == first.path
        assert second.path != first.path
        assert ["/item"] == _of_file(second.path)


def test_a_relative_path_is_one_of_the_directory_where_it_was_given(
    get: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that goes elsewhere goes on with its file."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    recording = record_to_file("out.har")
    for place in (tmp_path, tmp_path / "elsewhere"):
        monkeypatch.chdir(place)
        with recording:
            get("/item")
    assert ["/item"] * 2 == _of_file(tmp_path / "out.har")


def test_the_files_settings_hold_too(
    get: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file, too, what is not given in code is as the environment says."""
    monkeypatch.setenv("OTEL_PYTHON_HAR_INDENT", "3")
    monkeypatch.setenv("OTEL_PYTHON_HAR_RETENTION_ENTRIES", "2")
    with record_to_file(tmp_path / "out.har"):
        for number in range(4):
            get(f"/item/{number}")
    assert ["/item/2", "/item/3"] == _of_file(tmp_path / "out.har")
    assert '\n   "log"' in (tmp_path / "out.har").read_text(encoding="utf-8")


async def test_leaving_waits_for_no_executor(server: RecordingServer, tmp_path: Path) -> None:
    """`async with` ends also where every thread of the event loop's executor waits for what comes after it."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    left = threading.Event()
    waiting = asyncio.create_task(asyncio.to_thread(left.wait, PATIENCE_S))
    await asyncio.sleep(0)
    async with (
        record_to_file(tmp_path / "out.har"),
        aiohttp.ClientSession() as session,
        session.get(server.url("/item")) as response,
    ):
        await response.read()
    left.set()
    assert await waiting
    assert ["/item"] == _of_file(tmp_path / "out.har")


async def test_what_gives_a_coroutine_is_recorded_while_that_runs(server: RecordingServer) -> None:
    """Also a coroutine function that another decorator hides."""
    recording = record_to_model()

    async def fetch() -> int:
        async with aiohttp.ClientSession() as session, session.get(server.url("/item")) as response:
            return response.status

    @recording
    def hidden() -> Any:
        return fetch()

    assert 200 == await hidden()
    assert not recording.is_recording
    assert ["/item"] == _paths(recording.har.log.entries)


def test_what_is_no_function_is_not_decorated() -> None:
    """Classes, and what turns out to give a generator, are refused instead of recording nothing."""
    recording: Any = record_to_model()
    with pytest.raises(TypeError, match="cannot be decorated: decorate its functions"):
        recording(type("Service", (), {}))
    with pytest.raises(TypeError, match="is a generator function: record within it"):
        recording(lambda: (number for number in range(3)))()
    with pytest.raises(TypeError, match="is a generator function: record within it"):
        recording(contextlib.contextmanager(lambda: iter([1])))()
    assert not recording.is_recording


def test_what_the_program_instruments_meanwhile_stays(get: Callable[[str], Any]) -> None:
    """A program that sets up its tracing within a recording gets what it asks for, then and afterwards."""
    hooked: list[str] = []
    with record_to_model() as recording:
        RequestsInstrumentor().instrument(request_hook=lambda _, request: hooked.append(str(request.url)))
        get("/item/1")
    try:
        get("/item/2")
        assert ["/item/1", "/item/2"] == [urlsplit(url).path for url in hooked]
        assert ["/item/1"] == _paths(recording.har.log.entries)
        assert recording.har.log.entries[0].response.content.text
    finally:
        RequestsInstrumentor().uninstrument()


def test_what_the_program_instruments_with_our_hooks_meanwhile_stays(get: Callable[[str], Any]) -> None:
    """So it is with `HarInstrumentor`."""
    with record_to_model() as recording:
        HarInstrumentor().instrument(skip_dep_check=True)
        get("/item")
    try:
        assert HarInstrumentor().is_instrumented_by_opentelemetry
    finally:
        HarInstrumentor().uninstrument()
    assert ["/item"] == _paths(recording.har.log.entries)
