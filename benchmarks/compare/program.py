"""The measured program: the same for every recorder. It runs in environments without this package, so it stands alone.

Its one argument is JSON, see `Task`. It starts the recorder, sends some requests to warm up, says so in a line and
waits for one: then it measures a loop of requests, ends the recording, and prints what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

_CONCURRENT = {"aiohttp-20": 20, "requests-threads": 8}


@dataclass(frozen=True)
class Task:
    """What to do.

    Attributes:
        client: `requests`, `requests-threads`, `aiohttp`, `aiohttp-20` or `httpx`.
        url: The answer's URL, without a query.
        size: The bytes of the answer's body.
        count: The exchanges that are measured.
        warm_up: The exchanges before them.
        recorder: What the program itself turns on: `otel`, `harlem`, `vcrpy`; everything else is turned on around it.
        output: The path for the recording.
        proxy: The URL of a proxy, or "".
        concurrency: Threads or tasks; 0: as the client's name says.
    """

    client: str
    url: str
    size: int
    count: int
    warm_up: int
    recorder: str
    output: str = ""
    proxy: str = ""
    concurrency: int = 0


@dataclass
class Loop:
    """What a loop of requests took.

    Attributes:
        latencies_s: Of each exchange, seconds.
        thread_cpu_s: CPU time of the threads that made the requests.
        wrong: Answers that were not what was asked for.
    """

    latencies_s: list[float] = field(default_factory=list)
    thread_cpu_s: float = 0.0
    wrong: int = 0


@dataclass
class Measures:
    """What is printed: all of the whole loop, in seconds and KiB.

    Attributes:
        loop_cpu_s: CPU of the whole process while the loop ran.
        loop_wall_s: Time of the loop.
        thread_cpu_s: See `Loop`.
        end_cpu_s: CPU of the whole process from the loop's end until everything is recorded.
        end_wall_s: Time of that.
        end_exchanges: The exchanges whose recording may have waited for that.
        p50_s: Median latency.
        p99_s: The latency that one in a hundred exceeds.
        resident_kib: Resident memory before the loop, after it, and after the end of the recording.
        peak_kib: Most resident memory of all.
        cpu_until_loop_s: CPU of the process from its start to the loop's.
        cpu_in_all_s: CPU of the process until now.
        wrong: See `Loop`.
    """

    loop_cpu_s: float
    loop_wall_s: float
    thread_cpu_s: float
    end_cpu_s: float
    end_wall_s: float
    end_exchanges: int
    p50_s: float
    p99_s: float
    resident_kib: tuple[int, int, int]
    peak_kib: int
    cpu_until_loop_s: float
    cpu_in_all_s: float
    wrong: int


def _requests(task: Task, numbers: range) -> Loop:
    import requests  # noqa: PLC0415 - one client is loaded, as in a program

    loop = Loop()
    with requests.Session() as session:
        if task.proxy:
            session.proxies["http"] = task.proxy
        started_cpu = time.thread_time()
        for number in numbers:
            started = time.perf_counter()
            response = session.get(f"{task.url}?n={number}", timeout=60)
            loop.wrong += response.status_code != 200 or len(response.content) != task.size  # noqa: PLR2004 - OK
            loop.latencies_s.append(time.perf_counter() - started)
        loop.thread_cpu_s = time.thread_time() - started_cpu
    return loop


def _requests_threads(task: Task, numbers: range) -> Loop:
    loops: list[Loop] = []
    count = task.concurrency or _CONCURRENT["requests-threads"]
    parts = [numbers[start::count] for start in range(count)]
    threads = [threading.Thread(target=lambda part=part: loops.append(_requests(task, part))) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Loop(
        [latency for loop in loops for latency in loop.latencies_s],
        sum(loop.thread_cpu_s for loop in loops),
        sum(loop.wrong for loop in loops),
    )


def _aiohttp(task: Task, numbers: range) -> Loop:
    import aiohttp  # noqa: PLC0415 - one client is loaded, as in a program

    loop = Loop()
    rest = iter(numbers)

    async def work(session: aiohttp.ClientSession) -> None:
        for number in rest:
            started = time.perf_counter()
            async with session.get(f"{task.url}?n={number}", proxy=task.proxy or None) as response:
                body = await response.read()
            loop.wrong += response.status != 200 or len(body) != task.size  # noqa: PLR2004 - OK
            loop.latencies_s.append(time.perf_counter() - started)

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            started_cpu = time.thread_time()
            concurrency = task.concurrency or _CONCURRENT.get(task.client, 1)
            await asyncio.gather(*(work(session) for _ in range(concurrency)))
            loop.thread_cpu_s = time.thread_time() - started_cpu

    asyncio.run(run())
    return loop


def _httpx(task: Task, numbers: range) -> Loop:
    import httpx  # noqa: PLC0415 - one client is loaded, as in a program

    loop = Loop()
    with httpx.Client(proxy=task.proxy or None, trust_env=False, timeout=60) as client:
        started_cpu = time.thread_time()
        for number in numbers:
            started = time.perf_counter()
            response = client.get(f"{task.url}?n={number}")
            loop.wrong += response.status_code != 200 or len(response.content) != task.size  # noqa: PLR2004 - OK
            loop.latencies_s.append(time.perf_counter() - started)
        loop.thread_cpu_s = time.thread_time() - started_cpu
    return loop


_CLIENTS: dict[str, Callable[[Task, range], Loop]] = {
    "requests": _requests,
    "requests-threads": _requests_threads,
    "aiohttp": _aiohttp,
    "aiohttp-20": _aiohttp,
    "httpx": _httpx,
}


def _flush_spans() -> None:
    """Everything that is recorded goes where it belongs."""
    from opentelemetry import trace  # noqa: PLC0415 - not in every environment

    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is None:
        raise RuntimeError("nothing records: the global tracer provider cannot be flushed")
    flush()


def _instrument_alone(task: Task) -> None:
    """OpenTelemetry with a processor that drops."""
    from opentelemetry import trace  # noqa: PLC0415 - not in every environment
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415 - the same

    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(provider)
    name = task.client.partition("-")[0]
    instrumentor: Any
    if name == "requests":
        from opentelemetry.instrumentation.requests import RequestsInstrumentor  # noqa: PLC0415 - the same

        instrumentor = RequestsInstrumentor()
    elif name == "aiohttp":
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor  # noqa: PLC0415 - the same

        instrumentor = AioHttpClientInstrumentor()
    else:
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 - the same

        instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument()


@contextlib.contextmanager
def _recording(task: Task) -> Iterator[Callable[[], None] | None]:
    """Turns the recorder on; what writes everything that was recorded, where the end of the recording does not."""
    if task.recorder == "harlem":
        import harlem  # noqa: PLC0415 - in an environment of its own

        with harlem.record_to_file(task.output):
            yield None
    elif task.recorder == "vcrpy":
        import vcr  # noqa: PLC0415 - only where it is measured

        with vcr.VCR(record_mode=vcr.mode.ALL).use_cassette(task.output):
            yield None
    elif task.recorder == "otel":
        _instrument_alone(task)
        yield _flush_spans
    elif task.recorder == "otel-har":  # `opentelemetry-instrument` has turned it on
        yield _flush_spans
    else:
        yield None


def _resident_kib() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - the fewest imports
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def measure(task: Task, gate: Callable[[], None]) -> Measures:
    """Warm up, wait at the gate, and measure."""
    run = _CLIENTS[task.client]
    with contextlib.ExitStack() as stack:
        flush = stack.enter_context(_recording(task))
        run(task, range(task.warm_up))
        if flush is not None:
            flush()
        gate()
        memory = [_resident_kib()]
        cpu_until_loop, started = time.process_time(), time.perf_counter()
        loop = run(task, range(task.warm_up, task.warm_up + task.count))
        cpu_of_loop, loop_ended = time.process_time(), time.perf_counter()
        memory.append(_resident_kib())
        before_end = time.process_time()
        if flush is not None:
            flush()
        stack.close()
    cpu_in_all, ended = time.process_time(), time.perf_counter()
    memory.append(_resident_kib())
    latencies = sorted(loop.latencies_s)
    return Measures(
        loop_cpu_s=cpu_of_loop - cpu_until_loop,
        loop_wall_s=loop_ended - started,
        thread_cpu_s=loop.thread_cpu_s,
        end_cpu_s=cpu_in_all - before_end,
        end_wall_s=ended - loop_ended,
        end_exchanges=task.count + (task.warm_up if flush is None else 0),
        p50_s=latencies[len(latencies) // 2],
        p99_s=latencies[len(latencies) * 99 // 100],
        resident_kib=(memory[0], memory[1], memory[2]),
        peak_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        cpu_until_loop_s=cpu_until_loop,
        cpu_in_all_s=cpu_in_all,
        wrong=loop.wrong,
    )


def _main() -> None:
    # What recorders print is none of the answer.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)

        def gate() -> None:
            print("ready", file=answers, flush=True)
            sys.stdin.readline()

        measures = measure(Task(**json.loads(sys.argv[1])), gate)
        print(json.dumps(asdict(measures)), file=answers)


if __name__ == "__main__":
    _main()
