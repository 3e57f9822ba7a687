"""Whose TracerProvider it is: a program that sets its own, at any time, keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.releases import OTEL_IS_PASSED_ON

if TYPE_CHECKING:
    from pathlib import Path

    from servers import InstrumentedRunner, PlainRunner, RecordingServer

OWN = """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
"""
HEAD = """
    import requests
    from opentelemetry import trace
    from harness import BASE
"""
EARLY_TRACER = "    tracer = trace.get_tracer('early')\n"
EARLY_SPAN = "    with tracer.start_as_current_span('before'): requests.get(BASE + '/item?0')\n"
SPANS = """
    with tracer.start_as_current_span('after'): requests.get(BASE + '/item?1')
    with trace.get_tracer('late').start_as_current_span('late'): requests.get(BASE + '/item?2')
    print(*[span.name for span in exporter.get_finished_spans()])
"""


@pytest.mark.parametrize(
    ("program", "titles"),
    [
        (HEAD + EARLY_TRACER + OWN + SPANS, ["after", "late"]),
        (HEAD + EARLY_TRACER + EARLY_SPAN + OWN + SPANS, ["before", "after", "late"]),
    ],
    ids=["after a tracer", "after a request"],
)
def test_a_provider_that_the_program_sets_late_gets_its_spans(
    run_instrumented: InstrumentedRunner, program: str, titles: list[str]
) -> None:
    """The program's exporter has every span from then on, without a word on stderr, and the file has every page."""
    run = run_instrumented(program)
    assert (0, "") == (run.returncode, run.stderr)
    assert ["GET after GET late"] == run.stdout.splitlines()
    assert titles == [page["title"] for page in run.pages]
    assert len(titles) == len(run.entries)


@pytest.mark.parametrize(
    "logging_set_up",
    ["basicConfig(level=logging.ERROR)", "getLogger('opentelemetry').setLevel(logging.ERROR)"],
)
def test_a_program_that_logs_errors_only_keeps_its_provider(
    run_instrumented: InstrumentedRunner, logging_set_up: str
) -> None:
    """The program's logging levels do not matter, and keep holding back what they held back."""
    run = run_instrumented(
        f"    import logging; logging.{logging_set_up}\n"
        + HEAD
        + EARLY_TRACER
        + OWN
        + SPANS
        + "    trace.set_tracer_provider(TracerProvider())\n"
    )
    assert (0, "", "GET after GET late\n") == (run.returncode, run.stderr, run.stdout)


def test_a_provider_that_is_shut_down_does_not_end_the_recording(run_instrumented: InstrumentedRunner) -> None:
    """What the program does after its provider's end is recorded."""
    run = run_instrumented(
        HEAD + OWN + "    requests.get(BASE + '/item?1'); provider.shutdown(); requests.get(BASE + '/item?2')\n"
    )
    assert (0, 2) == (run.returncode, len(run.entries))


def test_a_second_provider_is_refused_as_ever(run_instrumented: InstrumentedRunner, run_plain: PlainRunner) -> None:
    """OpenTelemetry's own warning about a second provider still comes."""
    program = HEAD + OWN + "    trace.set_tracer_provider(TracerProvider())\n"
    warning = "Overriding of current TracerProvider is not allowed\n"
    assert (warning, warning) == (run_plain(program).stderr, run_instrumented(program).stderr)


def test_the_programs_provider_is_reached_through_the_global_one(run_instrumented: InstrumentedRunner) -> None:
    """Attributes and calls of the global provider are those of the program's."""
    run = run_instrumented(
        HEAD
        + OWN
        + """
    shared = trace.get_tracer_provider()
    print(shared == provider, isinstance(shared, TracerProvider), shared.resource is provider.resource)
    print(shared.force_flush())
    """
    )
    assert (0, "", ["True True True", "True"]) == (run.returncode, run.stderr, run.stdout.splitlines())


def test_requests_at_exit_are_recorded(run_instrumented: InstrumentedRunner) -> None:
    """A request in a handler that runs at exit is made, and is in the file, be it the program's first one or not."""
    run = run_instrumented("""
        import atexit, requests
        from harness import BASE
        atexit.register(lambda: print(requests.get(BASE + '/item?1').status_code))
    """)
    assert (0, "", "200\n") == (run.returncode, run.stderr, run.stdout)
    assert [200] == [entry["response"]["status"] for entry in run.entries]


def test_a_child_in_another_directory_leaves_other_files_alone(
    run_instrumented: InstrumentedRunner, tmp_path: Path
) -> None:
    """A path that was given relative to the program's directory is the same file to its children."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / "relative.har"
    precious.write_text("precious")
    run = run_instrumented(
        f"""
        import subprocess, sys
        subprocess.run([sys.executable, '-c', 'pass'], cwd={str(elsewhere)!r}, check=True)
        """,
        env={"OTEL_PYTHON_HAR": "relative.har"},
    )
    assert (0, "precious") == (run.returncode, precious.read_text())


@pytest.mark.parametrize("child", ["pass", "import requests, harness; requests.get(harness.BASE + '/item?2')"])
def test_a_child_that_outlives_the_program_goes_on_with_its_file(
    run_instrumented: InstrumentedRunner, server: RecordingServer, child: str
) -> None:
    """A child that starts when the program has ended adds to the program's file, and does not start it anew."""
    run = run_instrumented(f"""
        import os, requests, subprocess, sys
        from harness import BASE
        requests.get(BASE + '/item?1')
        reader, writer = os.pipe()
        waiting = 'import os; os.read({{0}}, 1); os.execv({{1!r}}, [{{1!r}}, "-c", {{2!r}}])'
        code = waiting.format(reader, sys.executable, {child!r})
        subprocess.Popen([sys.executable, '-S', '-E', '-c', code], pass_fds=[reader], stdin=subprocess.DEVNULL)
    """)
    assert (0, "") == (run.returncode, run.stderr)
    items = ["/item?1", "/item?2"] if "item" in child and OTEL_IS_PASSED_ON else ["/item?1"]
    assert [server.url(item) for item in items] == [entry["request"]["url"] for entry in run.entries]
