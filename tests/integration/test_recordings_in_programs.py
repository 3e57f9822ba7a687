"""Recordings in programs: with any tracer provider or none, under `opentelemetry-instrument`, to any end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers.programs import read_checked

if TYPE_CHECKING:
    from pathlib import Path

    from servers import InstrumentedRunner, PlainRunner

NO_HAR = {"OTEL_PYTHON_HAR": ""}

REQUESTS = """
import os, sys
import requests
from harness import BASE
from otel_har import record_to_file, record_to_model

def get(path):
    return requests.get(BASE + path, timeout=20)
"""

SPANS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
"""


def _paths(path: Path) -> list[str]:
    return [urlsplit(entry["request"]["url"]).path for entry in read_checked(path)["log"]["entries"]]


def test_without_a_provider(run_plain: PlainRunner, tmp_path: Path) -> None:
    """A program that knows nothing of OpenTelemetry is recorded, warning-free and with nothing on stdout."""
    done = run_plain(
        REQUESTS + "with record_to_file(sys.argv[1]): get('/item/1')\nget('/item/2')",
        args=[str(tmp_path / "out.har")],
        python_options=["-W", "error"],
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert ["/item/1"] == _paths(tmp_path / "out.har")


def test_with_the_programs_provider(run_plain: PlainRunner, tmp_path: Path) -> None:
    """A program's own provider is used; its exporters get each span once, its root spans name the pages."""
    done = run_plain(
        REQUESTS
        + SPANS
        + """
trace.set_tracer_provider(provider)
with record_to_file(sys.argv[1]):
    with trace.get_tracer("test").start_as_current_span("the task"):
        get("/item/1")
print([span.name for span in spans.get_finished_spans()])
""",
        args=[str(tmp_path / "out.har")],
    )
    assert "['GET', 'the task']\n" == done.stdout, done.stderr
    assert ["the task"] == [page["title"] for page in read_checked(tmp_path / "out.har")["log"]["pages"]]


def test_with_a_provider_that_comes_later(run_plain: PlainRunner, tmp_path: Path) -> None:
    """A provider that the program sets in the midst of a recording is its provider, and the recording goes on."""
    done = run_plain(
        REQUESTS
        + SPANS
        + """
with record_to_file(sys.argv[1]):
    get("/item/1")
    trace.set_tracer_provider(provider)
    get("/item/2")
with record_to_file(sys.argv[2]):
    get("/item/3")
print([span.name for span in spans.get_finished_spans()])
""",
        args=[str(tmp_path / "out.har"), str(tmp_path / "next.har")],
    )
    assert ("['GET', 'GET']\n", "") == (done.stdout, done.stderr)
    assert ["/item/1", "/item/2"] == _paths(tmp_path / "out.har")
    assert ["/item/3"] == _paths(tmp_path / "next.har")


def test_under_opentelemetry_instrument(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """Where the clients are instrumented for other ends, a recording has headers and bodies all the same."""
    done = run_instrumented(
        REQUESTS + "with record_to_file(sys.argv[1]): get('/item/1')\nget('/item/2')",
        args=[str(tmp_path / "own.har")],
        env=NO_HAR,
    )
    assert (0, None) == (done.returncode, done.har)
    [entry] = read_checked(tmp_path / "own.har")["log"]["entries"]
    assert "item /item/1" == entry["response"]["content"]["text"]


def test_beside_a_recording_of_the_whole_program(run_instrumented: InstrumentedRunner, tmp_path: Path) -> None:
    """`--har` has everything; the recording in it has its part."""
    done = run_instrumented(
        REQUESTS + "get('/item/1')\nwith record_to_file(sys.argv[1]): get('/item/2')\nget('/item/3')",
        args=[str(tmp_path / "own.har")],
    )
    assert 0 == done.returncode, done.stderr
    assert 3 == len(done.entries)
    assert ["/item/2"] == _paths(tmp_path / "own.har")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise KeyError(1)", 1),
        ("os.kill(os.getpid(), 15)", -signal.SIGTERM),
        ("os.kill(os.getpid(), 1)", -signal.SIGHUP),
    ],
)
def test_never_stopped(run_plain: PlainRunner, tmp_path: Path, end: str, status: int) -> None:
    """A recording that nobody stops is written at the program's end, whatever that is."""
    done = run_plain(
        REQUESTS + f"record_to_file(sys.argv[1], interval_seconds=3600).start()\nget('/item/1')\n{end}",
        args=[str(tmp_path / "out.har")],
    )
    assert status == done.returncode, done.stderr
    assert ["/item/1"] == _paths(tmp_path / "out.har")


def test_forked_children_are_part_of_it(run_plain: PlainRunner, tmp_path: Path) -> None:
    """What a forked child requests within the block is in the file; also where the child leaves the block first."""
    done = run_plain(
        REQUESTS
        + """
with record_to_file(sys.argv[1]):
    get("/item/1")
    child = os.fork()
    get("/item/child" if not child else "/item/2")
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
        args=[str(tmp_path / "out.har")],
        python_options=["-W", "ignore::DeprecationWarning"],
    )
    assert 0 == done.returncode, done.stderr
    assert ["/item/1", "/item/2", "/item/child"] == sorted(_paths(tmp_path / "out.har"))


def test_an_sdk_that_is_disabled_is_told(run_plain: PlainRunner, tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED leaves nothing to record, and says so once."""
    done = run_plain(
        REQUESTS + "with record_to_file(sys.argv[1]): get('/item/1')",
        args=[str(tmp_path / "out.har")],
        env={"OTEL_SDK_DISABLED": "true"},
    )
    assert (0, 1) == (done.returncode, done.stderr.count("nothing is recorded: OTEL_SDK_DISABLED is set"))
    assert [] == _paths(tmp_path / "out.har")


def test_live_in_a_process_of_its_own(run_plain: PlainRunner, tmp_path: Path) -> None:
    """The other process writes, and nothing of it is left when the program has ended."""
    done = run_plain(
        REQUESTS
        + """
with record_to_file(sys.argv[1], live=True, in_background="process"):
    for number in range(20):
        get(f"/item/{number}")
""",
        args=[str(tmp_path / "out.har")],
        python_options=["-W", "error"],
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert [f"/item/{number}" for number in range(20)] == _paths(tmp_path / "out.har")


def test_a_list_of_no_exporters(run_instrumented: InstrumentedRunner) -> None:
    """`--har_exporter ,` names nothing: that is told, and the file is written."""
    done = run_instrumented(REQUESTS + "get('/item/1')", "--har_exporter", ",")
    assert 1 == len(done.entries)
    assert 1 == done.stderr.count("OTEL_PYTHON_HAR_EXPORTER=',' is ignored: names no exporter")


def test_a_path_that_no_exporter_writes(run_instrumented: InstrumentedRunner) -> None:
    """`--har` with exporters of which none is `file` is told in one line."""
    done = run_instrumented(REQUESTS + "get('/item/1')", "--har_exporter", "console")
    assert not done.har_path.exists()
    assert 1 == done.stderr.count(
        f"{done.har_path} is not written: OTEL_PYTHON_HAR_EXPORTER=console does not name file"
    )


def test_exporters_of_the_command(run_instrumented: InstrumentedRunner) -> None:
    """`--har_exporter` chooses where entries go, to each of them; one that nobody knows is told and costs nothing."""
    done = run_instrumented(
        REQUESTS + "import logging\nlogging.basicConfig(level=10)\nget('/item/1')",
        "--har_exporter",
        "file,logging,nowhere",
        "--har_live",
        "true",
    )
    assert 1 == len(done.entries)
    assert 1 == done.stderr.count("nothing is recorded to nowhere: ")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("OTEL_TRACES_SAMPLER", "always_off", "the tracer provider's sampler drops every span (always_off)"),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            "requests,urllib3,aiohttp-client",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=requests,urllib3,aiohttp-client",
        ),
    ],
)
def test_why_nothing_will_be_recorded_is_told_once(
    run_instrumented: InstrumentedRunner, variable: str, value: str, reason: str
) -> None:
    """Where a setting of OpenTelemetry's keeps every request from a recording, one line says which."""
    run = run_instrumented(
        REQUESTS
        + """
for path in ("/item/1", "/item/2"):
    with record_to_model() as recording:
        get(path)
    print(len(recording.har.log.entries))
""",
        env={**NO_HAR, variable: value},
    )
    assert (0, "0\n0\n") == (run.returncode, run.stdout)
    [line] = run.stderr.splitlines()
    assert line.startswith("otel-har: nothing ")
    assert line.endswith(f" recorded: {reason}")


def test_to_a_logger_beside_a_handler_that_sends_requests(run_plain: PlainRunner) -> None:
    """Threads that make requests within a logging handler, and others that log the recording to it, all end."""
    done = run_plain(
        REQUESTS
        + """
import logging, threading
from otel_har import record_to_logger

class Sends(logging.Handler):
    def emit(self, record):
        if hasattr(record, "har_entry"):
            paths.append(record.har_entry["request"]["url"].rpartition("/")[2])
        else:
            get("/item/0")

def work():
    for _ in range(15):
        logging.warning("a line")
        get("/item/1")

paths = []
logging.basicConfig(level=logging.WARNING, handlers=[Sends()])
with record_to_logger("recorded", logging.WARNING, new_page_message="a page"):
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(paths.count("1"))
"""
    )
    assert (0, "45\n") == (done.returncode, done.stdout), done.stderr
