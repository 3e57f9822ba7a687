"""The recorders: how each is turned on around the measured program, and where its recording is found afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from benchmarks.compare.beside import Beside
from benchmarks.compare.recorded import Recorded, of_cassette, of_har, of_otlp

OWN, HARLEM, MITMPROXY = "own", "harlem", "mitmproxy"
"""Environments: the one of this process, and two that are made."""

_RECEIVER = Path(__file__).with_name("receiver.py")
_INSTRUMENTED = {"requests", "aiohttp-client", "httpx"}


@dataclass(frozen=True)
class Setting:
    """What is around one run of the program.

    Attributes:
        command: The program's interpreter, and what stands before it.
        in_program: What the program itself is to turn on, see `Task`.
        variables: Environment variables.
        output: Where the program itself is to record to.
        proxy: The proxy that the program is to use, or "".
        beside: A process that works for it.
        read: Reads what was recorded; None where nothing is.
    """

    command: list[str]
    in_program: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    output: str = ""
    proxy: str = ""
    beside: Beside = field(default_factory=Beside)
    read: Callable[[], Iterable[Recorded]] | None = None


@dataclass(frozen=True)
class Recorder:
    """A recorder.

    Attributes:
        name: As it is asked for.
        title: As it is shown.
        around: Turns it on around a run, in an empty directory; its second argument is the interpreter of its
            environment.
        environment: Where the measured program runs.
        needs: The environment that must be there.
        clients: The clients whose exchanges it records, by the beginning of the case's name.
        baseline: The recorder beside which its cost is shown.
        modules: What must be installed, beside the client.
        most: The most exchanges of a run, for one whose cost of each grows with what it has recorded.
    """

    name: str
    title: str
    around: Callable[[Path, str], AbstractContextManager[Setting]]
    environment: str = OWN
    needs: str = OWN
    clients: tuple[str, ...] = ("requests", "aiohttp", "httpx")
    baseline: str = "nothing"
    modules: tuple[str, ...] = ()
    most: int | None = None

    def refusal(self, client: str) -> str | None:
        """Why it is not measured with a client; None where it is."""
        name = client.partition("-")[0]
        modules = [module for module in (name, *self.modules) if self.environment == OWN and find_spec(module) is None]
        if self.name == "otel" and not _is_instrumented(name):
            modules.append(f"opentelemetry-instrumentation-{name}")
        if modules:
            return f"{modules[0]} is not installed"
        return None if name in self.clients else "not recorded"


def _is_instrumented(client: str) -> bool:
    return any(point.name.startswith(client) for point in entry_points(group="opentelemetry_instrumentor"))


@contextlib.contextmanager
def _plain(_: Path, python: str, *, in_program: str = "") -> Iterator[Setting]:
    yield Setting([python], in_program)


@contextlib.contextmanager
def _in_program(
    directory: Path, python: str, *, in_program: str, name: str, read: Callable[[Path], Iterable[Recorded]]
) -> Iterator[Setting]:
    output = directory / name
    yield Setting([python], in_program, output=str(output), read=partial(read, output))


def instrumented(*options: str) -> list[str]:
    """The beginning of a command: this interpreter, under `opentelemetry-instrument`."""
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    return [str(instrument), *options, sys.executable]


def variables() -> dict[str, str]:
    """Of all instrumentations only those of the measured clients; nothing of OpenTelemetry's own is exported."""
    others = {point.name for point in entry_points(group="opentelemetry_instrumentor")} - _INSTRUMENTED
    exporters = {f"OTEL_{signal_name}_EXPORTER": "none" for signal_name in ("TRACES", "METRICS", "LOGS")}
    return {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(sorted(others)), **exporters}


def environment(others: Mapping[str, str]) -> dict[str, str]:
    """That of this process with others, and without what of it would change a measurement."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTEL_") and not name.lower().endswith("_proxy")
    }
    return {**kept, **others}


@contextlib.contextmanager
def otel_har_file(directory: Path, _: str, *, options: Sequence[str] = (), keeps_all: bool = True) -> Iterator[Setting]:
    """Turns otel-har on, as its users do, with further options."""
    path = directory / "out.har"
    yield Setting(
        instrumented("--har", str(path), *options),
        "flush",
        variables(),
        read=partial(of_har, path) if keeps_all else None,
    )


@contextlib.contextmanager
def _otel_har_otlp(directory: Path, python: str) -> Iterator[Setting]:
    command = [python, str(_RECEIVER), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:  # noqa: S603 - ours
        assert receiver.stdout is not None  # noqa: S101 - for the type
        endpoint = f"http://127.0.0.1:{int(receiver.stdout.readline())}"
        sending = {**variables(), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        try:
            yield Setting(instrumented("--har_exporter", "otlp"), "flush", sending, read=partial(of_otlp, directory))
        finally:
            receiver.terminate()


@contextlib.contextmanager
def _mitmproxy(directory: Path, python: str) -> Iterator[Setting]:
    path = directory / "out.har"
    dump = Path(python).with_name("mitmdump")
    options = ["--listen-host", "127.0.0.1", "--listen-port", "0", "--set", f"hardump={path}"]
    options += ["--set", f"confdir={directory}", "--set", "flow_detail=0"]
    told_at_once = environment({"PYTHONUNBUFFERED": "1"})
    command = [str(dump), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told_at_once) as proxy:  # noqa: S603 - ours
        assert proxy.stdout is not None  # noqa: S101 - for the type
        beside = Beside(proxy)
        try:
            listening = next(found for line in proxy.stdout if (found := re.search(r"listening at \S*:(\d+)", line)))
            address = f"http://127.0.0.1:{listening[1]}"
            yield Setting([sys.executable], proxy=address, beside=beside, read=partial(of_har, path))
        finally:
            beside.end()


RECORDERS = (
    Recorder("nothing", "nothing", _plain),
    Recorder("otel", "OpenTelemetry alone", partial(_plain, in_program="otel")),
    Recorder("otel-har", "otel-har, file", otel_har_file, clients=("requests", "aiohttp"), baseline="otel"),
    Recorder(
        "otel-har-process",
        "otel-har, background process",
        partial(otel_har_file, options=("--har_in_background", "process")),
        clients=("requests", "aiohttp"),
        baseline="otel",
    ),
    Recorder("otel-har-otlp", "otel-har, OTLP", _otel_har_otlp, clients=("requests", "aiohttp"), baseline="otel"),
    Recorder(
        "nothing-harlem",
        "nothing (harlem's environment)",
        _plain,
        HARLEM,
        HARLEM,
        ("requests", "aiohttp"),
        "nothing-harlem",
    ),
    Recorder(
        "harlem",
        "harlem 0.2.0a2",
        partial(_in_program, in_program="harlem", name="out.har", read=of_har),
        HARLEM,
        HARLEM,
        ("requests", "aiohttp"),
        "nothing-harlem",
    ),
    Recorder(
        "vcrpy",
        "vcrpy",
        partial(_in_program, in_program="vcrpy", name="out.yaml", read=of_cassette),
        modules=("vcr",),
        most=500,
    ),
    Recorder("mitmproxy", "mitmproxy, hardump", _mitmproxy, needs=MITMPROXY),
)
"""In the order of the table."""
