"""The measured program: the same for every recorder. It runs in environments without this package, so it stands alone.

Its one argument is JSON, see `Task`. It starts the recorder, sends some requests to warm up, says so in a line and
waits for one: then it measures a loop of requests, ends the recording, and prints what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
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
        recorder: What the program itself turns on: `otel`, `harlem` or `vcrpy`; `flush` where a recorder is turned on
            around it and has to write everything at the end; or nothing.
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


@dataclass(frozen=True)
class Instant:
    """What the process has taken by now, and its children that are there.

    Attributes:
        wall_s: The clock.
        cpu_s: CPU time of all threads.
        resident_kib: Resident memory.
    """

    wall_s: float
    cpu_s: float
    resident_kib: int

    @classmethod
    def now(cls) -> Instant:
        """Read it."""
        children = _children()
        pages = _resident_pages(os.getpid())
        for process in children:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                pages += _resident_pages(process)
        # proc(5): utime and stime, fields 14 and 15, the third and those behind it are here
        ticks = sum(int(fields[11]) + int(fields[12]) for fields in children.values())
        cpu_s = time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
        return cls(time.perf_counter(), cpu_s, pages * os.sysconf("SC_PAGE_SIZE") // 1024)


def _children() -> dict[int, list[str]]:
    """What `/proc/PID/stat` has of this process's children, behind their names."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found[int(directory.name)] = fields
    return found


def _resident_pages(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1])


class Loop:
    """The loop of requests that is measured, and what it took.

    Args:
        on_begin: Called when the program is warm, before anything is measured.

    Attributes:
        latencies_s: Of each exchange, seconds.
        thread_cpu_s: CPU time of the threads that made the requests.
        wrong: Answers that were not what was asked for.
        began: When the loop began.
        ended: When it ended.
    """

    def __init__(self, on_begin: Callable[[], None]) -> None:
        self._on_begin = on_begin
        self.latencies_s: list[float] = []
        self.thread_cpu_s = 0.0
        self.wrong = 0
        self.began = self.ended = Instant.now()

    def begin(self) -> None:
        """Everything before this was to warm up."""
        self._on_begin()
        self.latencies_s.clear()
        self.began = Instant.now()

    def end(self) -> None:
        """Everything was answered; connections are still open."""
        self.ended = Instant.now()

    def note(self, started_s: float, status: int, size: int, task: Task) -> None:
        """One exchange is over."""
        self.latencies_s.append(time.perf_counter() - started_s)
        self.wrong += status != 200 or size != task.size  # noqa: PLR2004 - OK


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
        wrong: Answers that were not what was asked for.
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


def _numbers(task: Task, part: int, parts: int) -> tuple[range, range]:
    """The numbers to warm up with, and those of the loop; of each a part."""
    return range(part, task.warm_up, parts), range(task.warm_up + part, task.warm_up + task.count, parts)


def _requests(task: Task, loop: Loop) -> None:
    loop.thread_cpu_s = _requests_part(task, loop, *_numbers(task, 0, 1), loop.begin)
    loop.end()


def _requests_part(task: Task, loop: Loop, warm_up: range, numbers: range, begin: Callable[[], object]) -> float:
    """CPU time of this thread."""
    import requests  # noqa: PLC0415 - one client is loaded, as in a program

    with requests.Session() as session:
        if task.proxy:
            session.proxies["http"] = task.proxy

        def send(numbers: range) -> None:
            for number in numbers:
                started = time.perf_counter()
                response = session.get(f"{task.url}?n={number}", timeout=60)
                loop.note(started, response.status_code, len(response.content), task)

        send(warm_up)
        begin()
        started_cpu = time.thread_time()
        send(numbers)
        return time.thread_time() - started_cpu


def _requests_threads(task: Task, loop: Loop) -> None:
    count = task.concurrency or _CONCURRENT["requests-threads"]
    warm = threading.Barrier(count, action=loop.begin, timeout=60)
    taken: list[float] = []

    def work(part: int) -> None:
        taken.append(_requests_part(task, loop, *_numbers(task, part, count), warm.wait))

    threads = [threading.Thread(target=work, args=(part,)) for part in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.end()
    loop.thread_cpu_s = sum(taken)


def _aiohttp(task: Task, loop: Loop) -> None:
    import aiohttp  # noqa: PLC0415 - one client is loaded, as in a program

    count = task.concurrency or _CONCURRENT.get(task.client, 1)

    async def work(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            started = time.perf_counter()
            async with session.get(f"{task.url}?n={number}", proxy=task.proxy or None) as response:
                body = await response.read()
            loop.note(started, response.status, len(body), task)

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            warm_up, numbers = (iter(numbers) for numbers in _numbers(task, 0, 1))
            await asyncio.gather(*(work(session, warm_up) for _ in range(count)))
            loop.begin()
            started_cpu = time.thread_time()
            await asyncio.gather(*(work(session, numbers) for _ in range(count)))
            loop.thread_cpu_s = time.thread_time() - started_cpu
            loop.end()

    asyncio.run(run())


def _httpx(task: Task, loop: Loop) -> None:
    import httpx  # noqa: PLC0415 - one client is loaded, as in a program

    with httpx.Client(proxy=task.proxy or None, timeout=60) as client:

        def send(numbers: range) -> None:
            for number in numbers:
                started = time.perf_counter()
                response = client.get(f"{task.url}?n={number}")
                loop.note(started, response.status_code, len(response.content), task)

        warm_up, numbers = _numbers(task, 0, 1)
        send(warm_up)
        loop.begin()
        started_cpu = time.thread_time()
        send(numbers)
        loop.thread_cpu_s = time.thread_time() - started_cpu
        loop.end()


_CLIENTS: dict[str, Callable[[Task, Loop], None]] = {
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
    elif task.recorder == "flush":  # `opentelemetry-instrument` has turned it on
        yield _flush_spans
    else:
        yield None


def measure(task: Task, gate: Callable[[], None]) -> Measures:
    """Warm up, wait at the gate, and measure."""
    with contextlib.ExitStack() as recording:
        flush = recording.enter_context(_recording(task))

        def begin() -> None:
            if flush is not None:
                flush()
            gate()

        loop = Loop(begin)
        _CLIENTS[task.client](task, loop)
        before_end = Instant.now()
        if flush is not None:
            flush()
        recording.close()
    ended = Instant.now()
    latencies = sorted(loop.latencies_s)
    return Measures(
        loop_cpu_s=loop.ended.cpu_s - loop.began.cpu_s,
        loop_wall_s=loop.ended.wall_s - loop.began.wall_s,
        thread_cpu_s=loop.thread_cpu_s,
        end_cpu_s=ended.cpu_s - before_end.cpu_s,
        end_wall_s=ended.wall_s - before_end.wall_s,
        end_exchanges=task.count + (task.warm_up if flush is None else 0),
        p50_s=latencies[len(latencies) // 2],
        p99_s=latencies[len(latencies) * 99 // 100],
        resident_kib=(loop.began.resident_kib, loop.ended.resident_kib, ended.resident_kib),
        peak_kib=peak_kib(),
        cpu_until_loop_s=loop.began.cpu_s,
        cpu_in_all_s=ended.cpu_s,
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


def peak_kib() -> int:
    """The most resident memory so far: `ru_maxrss` would begin with that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    _main()
