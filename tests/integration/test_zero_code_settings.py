"""The settings of a recording, from the command line and from the environment, good ones and bad ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers import assert_same_exchange
from servers.releases import OTEL_EXCLUDES_URLS_OF_AIOHTTP
from servers.routes import TEXT

if TYPE_CHECKING:
    from pathlib import Path

    from servers import CompletedRun, InstrumentedRunner, RecordingServer

ONE_REQUEST = """
    import requests
    from harness import BASE
    print(requests.get(BASE + '/json').json()['name'])
"""

BOTH_CLIENTS = """
    import asyncio, aiohttp, requests
    from harness import BASE
    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.post(BASE + '/echo/aiohttp', data='ä' * 100) as response:
                await response.read()
            async with session.get(BASE + '/gzip') as response:
                print(len(await response.text()))
    print(len(requests.post(BASE + '/echo/requests', data=('ä' * 100).encode(),
                            headers={'Content-Type': 'text/plain; charset=utf-8'}).json()['body']))
    print(len(requests.get(BASE + '/gzip').text))
    asyncio.run(main())
"""

EXIT_7 = ONE_REQUEST + "    raise SystemExit(7)\n"


def test_the_file_is_compact_by_default(run_instrumented: InstrumentedRunner) -> None:
    """Without an indent no line of the file begins with blanks."""
    run = run_instrumented(ONE_REQUEST)
    assert 1 == len(run.entries)
    assert [] == [line for line in run.har_path.read_text(encoding="utf-8").splitlines() if line.startswith(" ")]


@pytest.mark.parametrize("by_option", [True, False])
def test_the_file_is_indented_as_asked(run_instrumented: InstrumentedRunner, *, by_option: bool) -> None:
    """With an indent of 3 every member stands on its own line, three blanks for each level."""
    options, env = (("--har_indent", "3"), {}) if by_option else ((), {"OTEL_PYTHON_HAR_INDENT": "3"})
    run = run_instrumented(ONE_REQUEST, *options, env=env)
    lines = run.har_path.read_text(encoding="utf-8").splitlines()
    depths = {len(line) - len(line.lstrip(" ")) for line in lines}
    assert {0} == {depth % 3 for depth in depths}
    assert {0, 3, 6, 9, 12} <= depths
    assert any(re.match(r' +"method": "GET"', line) for line in lines)


def test_the_path_may_come_from_the_environment(
    run_instrumented: InstrumentedRunner, server: RecordingServer, tmp_path: Path
) -> None:
    """OTEL_PYTHON_HAR does what --har does."""
    har_path = tmp_path / "by-environment.har"
    run = run_instrumented(ONE_REQUEST, env={"OTEL_PYTHON_HAR": str(har_path)}, har_path=har_path)
    assert (0, "Jürgen\n", "") == (run.returncode, run.stdout, run.stderr)
    [entry] = run.entries
    assert_same_exchange(entry, server.exchanges[0], server)


def test_a_relative_path_belongs_to_the_directory_of_the_start(
    run_instrumented: InstrumentedRunner, tmp_path: Path
) -> None:
    """A program that changes its directory does not move its file."""
    run = run_instrumented(
        "    import os\n    os.chdir('/')\n" + ONE_REQUEST,
        env={"OTEL_PYTHON_HAR": "relative.har"},
        har_path=tmp_path / "program" / "relative.har",
    )
    assert 1 == len(run.entries)


def test_without_a_path_nothing_is_recorded(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """An empty path is no path: the program runs, nothing is said and no file appears."""
    run = run_instrumented(ONE_REQUEST, env={"OTEL_PYTHON_HAR": ""})
    assert (0, "Jürgen\n", "") == (run.returncode, run.stdout, run.stderr)
    assert [] == list(tmp_path.rglob("*.har"))


def test_an_old_file_is_replaced(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """A second run's file holds the second run alone."""
    (tmp_path / "out.har").write_text("not a HAR file " * 10_000, encoding="utf-8")
    run_instrumented(ONE_REQUEST)
    assert 1 == len(run_instrumented(ONE_REQUEST).entries)


def test_a_program_without_requests_leaves_a_valid_file(run_instrumented: InstrumentedRunner) -> None:
    """No request is no error: the file is there and empty of entries."""
    run = run_instrumented("    print('nothing to do')")
    assert (0, "nothing to do\n", "") == (run.returncode, run.stdout, run.stderr)
    assert run.har is not None
    assert [] == run.entries
    assert "1.2" == run.har["log"]["version"]


def _assert_only_cut(run: CompletedRun, server: RecordingServer, limit_bytes: int) -> None:
    assert (0, "") == (run.returncode, run.stderr)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        content = entry["response"]["content"]
        assert "truncated" == content["_bodyState"]
        assert 0 < len(content["text"].encode()) <= limit_bytes
        assert exchange.response.body.decode().startswith(content["text"])
        assert len(exchange.response.encoded) == entry["response"]["bodySize"]
        if exchange.request.body:
            text = entry["request"]["postData"]["text"]
            assert 0 < len(text.encode()) <= limit_bytes
            assert exchange.request.body.decode().startswith(text)
            assert len(exchange.request.body) == entry["request"]["bodySize"]


@pytest.mark.parametrize("by_option", [True, False])
def test_bodies_are_cut_at_the_limit(
    run_instrumented: InstrumentedRunner, server: RecordingServer, *, by_option: bool
) -> None:
    """Bodies over the limit are cut between characters and say so; the program gets them whole, sizes stay true."""
    options, env = (("--har_max_body_bytes", "15"), {}) if by_option else ((), {"OTEL_PYTHON_HAR_MAX_BODY_BYTES": "15"})
    run = run_instrumented(BOTH_CLIENTS, *options, env=env)
    assert f"200\n{len(TEXT)}\n{len(TEXT)}\n" == run.stdout
    _assert_only_cut(run, server, 15)


def test_a_body_at_the_limit_is_whole(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """A limit equal to the size cuts nothing."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        requests.get(BASE + '/bytes/1000')
        requests.get(BASE + '/bytes/1001')
    """, "--har_max_body_bytes", "1000")  # fmt: skip
    whole, cut = run.entries
    assert_same_exchange(whole, server.exchanges[0], server)
    assert "truncated" == cut["response"]["content"]["_bodyState"]


@pytest.mark.parametrize(
    "settings",
    [
        {"OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY": "1"},
        {"OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY": "3600000"},
        {"OTEL_PYTHON_HAR_BSP_MAX_EXPORT_BATCH_SIZE": "1"},
        {"OTEL_PYTHON_HAR_BSP_MAX_QUEUE_SIZE": "64", "OTEL_PYTHON_HAR_BSP_MAX_EXPORT_BATCH_SIZE": "64"},
        {"OTEL_PYTHON_HAR_MAX_PAGES": "2"},
    ],
)
def test_no_pace_of_writing_loses_entries(
    run_instrumented: InstrumentedRunner, server: RecordingServer, settings: dict[str, str]
) -> None:
    """However often the file is written, every exchange is in it once."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from harness import BASE
        for number in range(10):
            with trace.get_tracer('program').start_as_current_span(f'page {number}'):
                requests.get(f'{BASE}/item/{number}')
    """, env=settings)  # fmt: skip
    assert (0, "") == (run.returncode, run.stderr)
    assert 10 == len(server.exchanges)
    for exchange in server.exchanges:
        [entry] = run.of(exchange.request.path)
        assert_same_exchange(entry, exchange, server)


@pytest.mark.parametrize(
    "kind", ["missing parent", "directory", "below a file", "unwritable"],
)  # fmt: skip
def test_a_bad_path_is_one_line_and_the_program_runs(
    run_instrumented: InstrumentedRunner, tmp_path: Path, kind: str
) -> None:
    """One line on stderr names the path; the program has its own output and exit code."""
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    har_path = {
        "missing parent": tmp_path / "missing" / "out.har",
        "directory": tmp_path,
        "below a file": tmp_path / "file" / "out.har",
        "unwritable": locked / "out.har",
    }[kind]
    if kind == "unwritable":
        try:
            (locked / "probe").touch()
        except PermissionError:
            pass
        else:
            pytest.skip("this user may write everywhere")
    run = run_instrumented(EXIT_7, har_path=har_path)
    assert (7, "Jürgen\n") == (run.returncode, run.stdout)
    [line] = run.stderr.splitlines()
    assert str(har_path) in line
    assert None is run.har


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_PYTHON_HAR_INDENT", "wide"),
        ("OTEL_PYTHON_HAR_INDENT", "-1"),
        ("OTEL_PYTHON_HAR_MAX_BODY_BYTES", "1MB"),
        ("OTEL_PYTHON_HAR_MAX_BODY_BYTES", "-2"),
        ("OTEL_PYTHON_HAR_MAX_PAGES", "few"),
        ("OTEL_PYTHON_HAR_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_PYTHON_HAR_BSP_MAX_QUEUE_SIZE", "1.5"),
        ("OTEL_PYTHON_HAR_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    ],
)
def test_a_bad_setting_is_one_line_and_the_program_runs(
    run_instrumented: InstrumentedRunner, variable: str, value: str
) -> None:
    """One line on stderr names the variable and its value; the program has its own output and exit code."""
    run = run_instrumented(EXIT_7, env={variable: value})
    assert (7, "Jürgen\n") == (run.returncode, run.stdout)
    [line] = run.stderr.splitlines()
    assert variable in line
    assert value in line


@pytest.mark.parametrize(
    "ending", ["sys.exit(3)", "raise ValueError('own')", "raise KeyboardInterrupt", "sys.exit('why')"]
)
def test_the_file_is_written_however_the_program_ends(
    run_instrumented: InstrumentedRunner, server: RecordingServer, ending: str
) -> None:
    """An exit code, an exception or an interrupt passes through, the file is there."""
    run = run_instrumented(f"    import sys{ONE_REQUEST}    {ending}\n")
    expected = {"sys.exit(3)": 3, "raise KeyboardInterrupt": -2}.get(ending, 1)
    assert expected == run.returncode
    assert "otel_har" not in run.stderr
    [entry] = run.entries
    assert_same_exchange(entry, server.exchanges[0], server)


def test_a_program_with_its_own_provider_is_recorded(
    run_instrumented: InstrumentedRunner, server: RecordingServer
) -> None:
    """The program's own provider stays its own: its processors see the spans, the file has the same ids."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from harness import BASE
        exporter = InMemorySpanExporter()
        provider = TracerProvider(resource=Resource.create({'service.name': 'own'}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        assert trace.get_tracer_provider() == provider
        with trace.get_tracer('program').start_as_current_span('own root'):
            requests.get(BASE + '/json')
        for span in exporter.get_finished_spans():
            ids = f'{span.context.trace_id:032x} {span.context.span_id:016x}'
            print(span.name, ids, span.resource.attributes['service.name'])
    """)  # fmt: skip
    assert (0, "") == (run.returncode, run.stderr)
    [entry] = run.entries
    assert_same_exchange(entry, server.exchanges[0], server)
    own = entry["_otel"]
    client, root = run.stdout.splitlines()
    assert f"GET {own['traceId']} {own['spanId']} own" == client
    assert f"own root {own['traceId']} {own['parentSpanId']} own" == root
    assert ["own root"] == [page["title"] for page in run.pages]


def test_a_configured_sdk_is_recorded(
    run_instrumented: InstrumentedRunner, server: RecordingServer, tmp_path: Path
) -> None:
    """Where a distribution configures the SDK, as opentelemetry-distro does, its provider is used."""
    metadata = tmp_path / "site" / "stand_in_distro-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in-distro\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_configurator]\nconfigurator = opentelemetry.sdk._configuration:_OTelSDKConfigurator\n",
        encoding="utf-8",
    )
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from harness import BASE
        requests.get(BASE + '/json')
        print(trace.get_tracer_provider().resource.attributes['service.name'])
    """, env={"PYTHONPATH": str(tmp_path / "site"), "OTEL_SERVICE_NAME": "configured"})  # fmt: skip
    assert (0, "configured\n", "") == (run.returncode, run.stdout, run.stderr)
    [entry] = run.entries
    assert_same_exchange(entry, server.exchanges[0], server)


@pytest.mark.parametrize("conventions", ["http", "http/dup"])
def test_either_naming_of_span_attributes_is_recorded(
    run_instrumented: InstrumentedRunner, server: RecordingServer, conventions: str
) -> None:
    """What OTEL_SEMCONV_STABILITY_OPT_IN chooses for spans changes nothing in the file."""
    run = run_instrumented(BOTH_CLIENTS, env={"OTEL_SEMCONV_STABILITY_OPT_IN": conventions})
    assert (0, "") == (run.returncode, run.stderr)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, server)


def test_a_disabled_instrumentation_stays_disabled(run_instrumented: InstrumentedRunner) -> None:
    """The recorder respects OTEL_PYTHON_DISABLED_INSTRUMENTATIONS."""
    # requests is built on urllib3, whose own spans would be entries.
    run = run_instrumented(BOTH_CLIENTS, env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests,urllib3"})
    assert (0, "") == (run.returncode, run.stderr)
    assert ["/echo/aiohttp", "/gzip"] == [urlsplit(entry["request"]["url"]).path for entry in run.entries]


def test_an_excluded_url_is_not_recorded(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """The recorder respects OTEL_PYTHON_EXCLUDED_URLS."""
    run = run_instrumented(BOTH_CLIENTS, env={"OTEL_PYTHON_EXCLUDED_URLS": "gzip"})
    assert (0, "") == (run.returncode, run.stderr)
    of_aiohttp = [] if OTEL_EXCLUDES_URLS_OF_AIOHTTP else [server.url("/gzip")]
    assert [server.url("/echo/requests"), server.url("/echo/aiohttp"), *of_aiohttp] == [
        entry["request"]["url"] for entry in run.entries
    ]


def test_what_is_not_sampled_is_not_recorded(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """A provider that samples nothing leaves a valid file without entries, and says so; the requests are made."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
        from harness import BASE
        trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
        print(requests.get(BASE + '/json').status_code)
    """)
    told = "otel-har: nothing is recorded: the tracer provider's sampler drops every span (always_off)\n"
    assert (0, "200\n", told) == (run.returncode, run.stdout, run.stderr)
    assert 1 == len(server.exchanges)
    assert [] == run.entries


def test_child_processes_leave_the_file_of_their_parent_alone(
    run_instrumented: InstrumentedRunner, server: RecordingServer
) -> None:
    """A Python child and a fork, started while the program records, do not damage its file."""
    run = run_instrumented("""
        import os, subprocess, sys, requests
        from harness import BASE
        requests.get(BASE + '/item/before')
        subprocess.run([sys.executable, '-c', 'print("child")'], check=True)
        if (child := os.fork()) == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        requests.get(BASE + '/item/after')
    """)
    assert 0 == run.returncode
    assert [server.url("/item/before"), server.url("/item/after")] == [entry["request"]["url"] for entry in run.entries]
