"""What a recording holds on to: nothing of an exchange that is over, and nothing of a recording that is over.

Counted are objects of our own types after a garbage collection, descriptors and threads. The mix of exchanges is that
of `benchmarks/soak.py`, which does the same with a million of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from servers.programs import read_checked
from servers.transparency import assert_no_difference

ROOT = Path(__file__).parents[2]

# Both programs begin with this.
_HEAD = """
import collections, faulthandler, gc, json, logging, os, socket, sys, threading
import soak
from otel_har import correlation, forking

faulthandler.dump_traceback_later(240, exit=True)  # should it hang, where
logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it tells of what was not closed

def is_ours(one):
    return str(type(one).__module__).startswith("otel_har")

def held():
    gc.collect()
    kinds = collections.Counter(type(one).__qualname__ for one in gc.get_objects() if is_ours(one))
    pages = kinds.pop("PageFacts", 0)
    return {
        "objects": kinds,
        "pages": max(pages, 100),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "spans": len(correlation.open_captures),
        "for children": len(forking._methods),
    }
"""

_EXCHANGES = """
def in_a_cycle(start, garbage):
    seen, waiting = set(), [start]
    while waiting:
        for one in gc.get_referents(waiting.pop()):
            if one is start:
                return True
            if id(one) in garbage and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)
    return False

ROUNDS = 20
with soak.server() as base, socket.socket() as nobody:
    nobody.bind(("127.0.0.1", 0))
    recording = soak.Recording(None)
    tracer = recording.provider.get_tracer("test")
    places = soak.Places(base, f"http://127.0.0.1:{nobody.getsockname()[1]}/", tracer)
    def use(rounds):
        soak.use_both(places, rounds)
        gc.collect()  # what others left in cycles is complete then
        recording.processor.force_flush()
    use(5)
    told = {"before": held()}
    use(ROUNDS)
    use(ROUNDS)
    told["after"] = held()
    told["entries"] = recording.entries
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    use(5)
    gc.collect()
    gc.set_debug(0)
    garbage = {id(one) for one in gc.garbage}
    ours = [one for one in gc.garbage if is_ours(one) or str(getattr(one, "__module__", "")).startswith("otel_har")]
    told["in cycles"] = sorted({str(type(one)) for one in ours if in_a_cycle(one, garbage)})
    told["looked at"] = len(gc.garbage)
    recording.close()
print(json.dumps(told))
"""

_RECORDINGS = """
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from otel_har.instrumentor import HarInstrumentor
from otel_har.pipeline import span_processor
from otel_har.settings import HarSettings

def record():
    provider = TracerProvider(shutdown_on_exit=False)
    for name in ("one", "other"):
        provider.add_span_processor(span_processor(HarSettings(path=os.path.join(sys.argv[1], f"{name}.har"))))
    HarInstrumentor().instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())
    attributes = {"http.request.method": "GET", "url.full": "http://127.0.0.1/"}
    provider.get_tracer("test").start_span("GET", kind=SpanKind.CLIENT, attributes=attributes).end()
    HarInstrumentor().uninstrument()
    provider.shutdown()

for _ in range(10):
    record()
told = {"before": held()}
for _ in range(300):
    record()
told["after"] = held()
print(json.dumps(told))
"""

_RECORDINGS_FROM_CODE = """
from otel_har import record_to_file, record_to_model

again = record_to_file(os.path.join(sys.argv[1], "again.har"))

def record():
    with record_to_file(os.path.join(sys.argv[1], "one.har"), live=True), record_to_model(context_only=True), again:
        pass

for _ in range(10):
    record()
told = {"before": held()}
for _ in range(200):
    record()
told["after"] = held()
print(json.dumps(told))
"""


def _told(program: str, *arguments: str) -> dict[str, Any]:
    """What the program said of itself, in a Python of its own that finds the benchmark."""
    source = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n{dedent(_HEAD)}{dedent(program)}"
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def exchanges() -> dict[str, Any]:
    """What a program told that did more than two thousand exchanges of every kind."""
    return _told(_EXCHANGES)


def test_exchanges_leave_nothing(exchanges: dict[str, Any]) -> None:
    """After thousands of exchanges there are the objects, descriptors and threads that there were before."""
    assert exchanges["before"] == exchanges["after"]
    assert exchanges["entries"] > 2_000
    assert {"HarSpanProcessor": 1} == {
        name: count for name, count in exchanges["after"]["objects"].items() if name == "HarSpanProcessor"
    }


def test_nothing_of_ours_is_in_a_cycle(exchanges: dict[str, Any]) -> None:
    """What is let go is freed at once: only others' cycles, of exceptions and transports, need the collector."""
    assert [] == exchanges["in cycles"]
    assert exchanges["looked at"] > 0


def test_recordings_leave_nothing(tmp_path: Path) -> None:
    """A program that makes one recording after the other does not grow; each file is whole."""
    told = _told(_RECORDINGS, str(tmp_path))
    assert told["before"] == told["after"]
    assert ["MainThread"] == told["after"]["threads"]
    assert [1, 1] == [len(read_checked(tmp_path / f"{name}.har")["log"]["entries"]) for name in ("one", "other")]


_LET_GO_HEAD = """
import asyncio, gc, weakref
import aiohttp, requests
from harness import BASE

gc.disable()

def tell(name, held):
    print(name, {key: reference() is None for key, reference in held.items()})
"""

_REQUESTS = """
class Pieces:
    def __iter__(self):
        yield b"one"
        yield b"two"

def references(response):
    raw = getattr(response.raw, "__wrapped__", response.raw)
    original, connection = raw._original_response, raw._connection
    named = {"response": response, "request": response.request, "raw": raw, "original": original}
    named |= {} if connection is None else {"connection": connection, "socket": connection.sock}
    return {name: weakref.ref(one) for name, one in named.items() if one is not None}

with requests.Session() as session:
    for path in ("/json", "/stream", "/bytes/1000000"):
        tell("dropped " + path, references(session.get(BASE + path, stream=True)))
        response = session.get(BASE + path, stream=True)
        held, iteration = references(response), response.iter_content(3)
        next(iteration)
        del response
        tell("iterated", held)
        del iteration
        tell("let go", held)
        for use in ("content", "close"):
            response = session.get(BASE + path, stream=True)
            held = references(response)
            response.content if use == "content" else response.close()
            tell(use, held)
            del response
            tell("let go", held)
    body = Pieces()
    held = {"body": weakref.ref(body)} | references(session.post(BASE + "/echo", data=body))
    tell("posted", held)
    del body
    tell("let go", held)
    response = session.get(BASE + "/redirect/2")
    held = references(response)
    held |= {f"hop {number}": weakref.ref(hop) for number, hop in enumerate(response.history)}
    held |= {f"request of hop {number}": weakref.ref(hop.request) for number, hop in enumerate(response.history)}
    tell("redirected", held)
    print([hop.next and hop.next.hooks for hop in response.history])
    del response
    tell("let go", held)
    with requests.Session() as another:
        held = references(another.get(BASE + "/json", hooks={"response": lambda *_, **__: None}))
        tell("hooked", held)
session = requests.Session()
held = {"session": weakref.ref(session), "adapter": weakref.ref(session.get_adapter(BASE))}
response = session.get(BASE + "/stream", stream=True)
del session
tell("never closed", held)
held |= references(response)
del response
tell("let go", held)
"""

_AIOHTTP = """
class Token:
    pass

def references(response):
    named = {"response": response}
    if response.connection is not None:
        named |= {"connection": response.connection, "protocol": response.connection.protocol}
        named |= {"transport": response.connection.transport}
    return {name: weakref.ref(one) for name, one in named.items()}

async def pieces():
    yield b"one"
    yield b"two"

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with aiohttp.ClientSession() as session:
        for path in ("/json", "/bytes/10000000", "/hang"):
            for use in ("read", "release", "close", "iterate", "drop"):
                response = await session.get(BASE + path)
                held = references(response)
                if use == "read" and path != "/hang":
                    await response.read()
                if use == "iterate":
                    iteration = response.content.iter_chunked(3)
                    await iteration.__anext__()
                if use == "release":
                    response.release()
                if use == "close":
                    response.close()
                tell(f"{use} {path}", {"response": held["response"]})
                del response
                tell("let go", {"response": held["response"]})
                iteration = None
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # a transport that is closed is let go by the loop
                tell("later", held)
        body = pieces()
        held = {"body": weakref.ref(body)}
        response = await session.post(BASE + "/echo", data=body)
        await response.read()
        held |= references(response)
        del body
        tell("posted", held)
        del response
        tell("let go", held)
        response = await session.get(BASE + "/redirect/2")
        await response.read()
        held = references(response)
        held |= {f"hop {number}": weakref.ref(hop) for number, hop in enumerate(response.history)}
        del response
        tell("redirected", held)
        token = Token()
        held = {"token": weakref.ref(token)}
        async def pending(token):
            async with session.get(BASE + "/silence"):
                pass
        task = asyncio.create_task(pending(token))
        while not session.connector._acquired:
            await asyncio.sleep(0)
        held["task"] = weakref.ref(task)
        task.cancel()
        await asyncio.wait([task])
        del token, task
        await asyncio.sleep(0)
        tell("cancelled", held)
    session = aiohttp.ClientSession()
    held = {"session": weakref.ref(session)}
    response = await session.get(BASE + "/json")
    await response.read()
    del response, session
    tell("never closed", held)

asyncio.run(main())
"""


@pytest.mark.parametrize("program", [_REQUESTS, _AIOHTTP], ids=["requests", "aiohttp"])
def test_what_is_dropped_goes_when_it_would_without_recording(tmp_path: Path, program: str) -> None:
    """By reference counting alone: responses, requests, connections, sockets, bodies, sessions, tasks."""
    assert_no_difference(tmp_path, _LET_GO_HEAD + program)


def test_recordings_from_code_leave_nothing(tmp_path: Path) -> None:
    """Nor do recordings that are begun and ended by `with`, hundreds of times."""
    told = _told(_RECORDINGS_FROM_CODE, str(tmp_path))
    assert told["before"] == told["after"]
