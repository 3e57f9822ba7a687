"""`uninstrument` puts everything back, and what was made meanwhile goes on working."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from servers.programs import read_checked
from servers.routes import CHUNKS

if TYPE_CHECKING:
    from pathlib import Path

    from servers import RecordingServer

_HEAD = """
import asyncio, atexit, faulthandler, gc, http.client, importlib, json, logging, multiprocessing.util, os, signal
import socket, ssl, sys, threading, types, urllib.request, warnings
import aiohttp, requests, urllib3
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from otel_har.instrumentor import CAPTURES, HarInstrumentor
from otel_har.pipeline import span_processor
from otel_har.settings import HarSettings

faulthandler.dump_traceback_later(240, exit=True)  # should it hang, where
for module in (*CAPTURES.values(), "otel_har.zero_code"):
    importlib.import_module(module)
BASE, DIRECTORY = sys.argv[1:]
WATCHED = set("aiohttp asyncio http logging requests socket ssl sys threading urllib urllib3".split())
NOT_OURS = {"last_exc", "last_type", "last_value", "last_traceback"}

def attributes():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in WATCHED:
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                found |= {(name, key, inner): member for inner, member in vars(value).items()}
    # Submodules that were imported since are not changes, nor are caches and counters that hold plain values.
    kinds = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type, property, staticmethod, classmethod)
    return {key: value for key, value in found.items() if isinstance(value, kinds) and key[-1] not in NOT_OURS}

def state():
    gc.collect()
    loggers = [logging.getLogger(), *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
    return {
        "environment": dict(os.environ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "exit handlers": atexit._ncallbacks(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook],
        "other hooks": [repr(one) for one in (threading.excepthook, sys.gettrace(), sys.getprofile(), gc.callbacks)],
        "import hooks": [repr(one) for one in (*sys.meta_path, *sys.path_hooks)],
        "loggers": {one.name: [one.level, one.disabled, repr(one.filters), repr(one.handlers)] for one in loggers},
        "warnings": list(warnings.filters),
        "for children": len(multiprocessing.util._afterfork_registry),
        "tracers": repr(type(trace.get_tracer_provider())),
    }

def changed(before, after):
    new = object()
    return sorted(".".join(key) for key in before if after.get(key, new) is not before[key])

def record(*names):
    provider = TracerProvider(shutdown_on_exit=False)
    for name in names:
        provider.add_span_processor(span_processor(HarSettings(path=os.path.join(DIRECTORY, f"{name}.har"))))
    HarInstrumentor().instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())
    return provider

def stop(provider):
    HarInstrumentor().uninstrument()
    provider.shutdown()

async def ask(session, number):
    async with session.get(f"{BASE}/item/{number}") as response:
        return await response.text()

async def first_uses():
    async with aiohttp.ClientSession() as session:
        await ask(session, 0)

# What the libraries themselves set up when they are first used.
with requests.Session() as session:
    session.get(f"{BASE}/item/0")
    session.get(f"{BASE}/item/0")
asyncio.run(first_uses())
TracerProvider(shutdown_on_exit=False).get_tracer("test")
"""

_ONCE = """
told = {}

async def main():
    with requests.Session() as early, requests.Session() as late:
        provider = record("one", "other")
        told["while"] = changed(were, attributes())
        async with aiohttp.ClientSession() as session:
            answers = [early.get(f"{BASE}/item/1").text, late.get(f"{BASE}/item/2").text, await ask(session, 3)]
            unread = late.get(f"{BASE}/stream", stream=True)
            stop(provider)
            answers += [early.get(f"{BASE}/item/4").text, late.get(f"{BASE}/item/5").text, await ask(session, 6)]
        told["answers"] = [*answers, unread.text]

before, were = state(), attributes()
asyncio.run(main())
after = state()
told["changed"] = changed(were, attributes())
told["state"] = [(key, str(before[key]), str(after[key])) for key in before if before[key] != after[key]]
print(json.dumps(told))
"""

_IN_A_LOOP = """
ended, wrong = threading.Event(), []

def with_requests(name):
    number = 0
    with requests.Session() as session:
        while number < 20 or not ended.is_set():
            number += 1
            if session.get(f"{BASE}/item/{name}-{number}").text != f"item /item/{name}-{number}":
                wrong.append(name)

async def with_aiohttp(name):
    number = 0
    async with aiohttp.ClientSession() as session:
        while number < 20 or not ended.is_set():
            number += 1
            if await ask(session, f"{name}-{number}") != f"item /item/{name}-{number}":
                wrong.append(name)

before, were = state(), attributes()
threads = [threading.Thread(target=with_requests, args=(name,)) for name in ("a", "b")]
threads.append(threading.Thread(target=lambda: asyncio.run(with_aiohttp("c"))))
for thread in threads:
    thread.start()
for _ in range(100):
    stop(record("one", "other", "third"))
ended.set()
for thread in threads:
    thread.join()
after = state()
told = {"wrong": wrong, "changed": changed(were, attributes())}
told["state"] = [(key, str(before[key]), str(after[key])) for key in before if before[key] != after[key]]
print(json.dumps(told))
"""


def _told(server: RecordingServer, directory: Path, program: str) -> dict[str, Any]:
    """What the program told of itself, in a Python of its own."""
    command = [sys.executable, "-c", dedent(_HEAD) + dedent(program), server.url(""), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_all_is_as_before(server: RecordingServer, tmp_path: Path) -> None:
    """Modules, classes, hooks, loggers, environment, signals, threads, descriptors; sessions go on as they were."""
    told = _told(server, tmp_path, _ONCE)
    assert ["aiohttp.client.ClientSession.__init__", "requests.sessions.Session.send"] == [
        name for name in told["while"] if name.startswith(("aiohttp.client.", "requests.sessions."))
    ]
    assert ([], []) == (told["changed"], told["state"])
    assert [*(f"item /item/{number}" for number in range(1, 7)), b"".join(CHUNKS).decode()] == told["answers"]
    for name in ("one", "other"):
        entries = read_checked(tmp_path / f"{name}.har")["log"]["entries"]
        paths = [entry["request"]["url"].removeprefix(server.url("")) for entry in entries]
        assert ["/item/1", "/item/2", "/item/3", "/stream"] == paths


def test_a_hundred_times_while_requests_are_in_flight(server: RecordingServer, tmp_path: Path) -> None:
    """Instrumented and undone, with several processors, under the feet of threads and tasks, which notice nothing."""
    told = _told(server, tmp_path, _IN_A_LOOP)
    assert ([], [], []) == (told["wrong"], told["changed"], told["state"])
    for name in ("one", "other", "third"):
        read_checked(tmp_path / f"{name}.har")
