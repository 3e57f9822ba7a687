"""What a long recording holds on to: memory, objects, descriptors and threads, from tenth to tenth of its exchanges.

Run it as `python benchmarks/soak.py [EXCHANGES] [--only-aiohttp] [--har PATH]`. A server process on loopback, and one
recorded process. The mix has what programs do, good and bad: sessions and none, kept connections and closed ones,
redirects, repetitions, bodies read, left half-way and dropped, requests that fail or are cancelled, WebSockets closed
and forgotten, with traces of their own and without. `--only-aiohttp` is the cheapest exchange alone. Entries are
counted and dropped, or written to PATH.

Printed are the figures at each tenth, taken after a flush and a garbage collection, which types of objects have grown
most since the second tenth, and last the ratios of the last tenth to the second one.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import gc
import itertools
import json
import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import aiohttp
    import requests
    from opentelemetry.trace import Tracer

    from otel_har.processor import HarSpanProcessor

_JSON = json.dumps({"padding": "x" * 500}).encode()
_BIG = b"x" * 262_144
_CONCURRENCY = 20
_FINAL_CLOSE = 0x88  # the first byte of a close frame (RFC 6455, 5.2)
_EXCHANGES_OF_BOTH = 56  # entries of one round of the mix
_TENTHS = 10


def _answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    head = "".join(f"{field}\r\n" for field in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields))
    return f"{head}\r\n".encode() + body


class _Server(asyncio.Protocol):
    """Answers by the path; what is a WebSocket by then has each message answered with one."""

    _answers: ClassVar[dict[bytes, bytes]] = {
        b"/json": _answer(_JSON, "Content-Type: application/json"),
        b"/closing": _answer(_JSON, "Content-Type: application/json", "Connection: close"),
        b"/redirect": _answer(b"", "Location: /json", status="302 Found"),
        b"/big": _answer(_BIG),
        b"/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 20 + b"0\r\n\r\n",
        b"/reset": b"",
    }
    _repeated = itertools.count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._is_websocket = False
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        if self._is_websocket:
            is_close = data[0] == _FINAL_CLOSE
            self._transport.write(b"\x88\x00" if is_close else b"\x81\x02hi")
            return
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head, rest = self._waiting[:end], self._waiting[end + 4 :]
            if b"encoding: chunked" in head.lower():
                body_end = rest.find(b"0\r\n\r\n")
                if body_end < 0:
                    return
                rest = rest[body_end + 5 :]
            self._waiting = rest
            self._respond(head)

    def _respond(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/websocket":
            self._is_websocket = True
            self._transport.write(_handshake(head))
        elif path == b"/sometimes":
            is_refused = next(self._repeated) % 2 == 0
            self._transport.write(_answer(b"", status="503 Unavailable") if is_refused else self._answers[b"/json"])
        elif path != b"/never":
            self._transport.write(self._answers[path])
        if path in {b"/closing", b"/reset"}:
            self._transport.close()


def _handshake(head: bytes) -> bytes:
    from wsproto.utilities import generate_accept_token  # noqa: PLC0415 - only the server needs it

    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    accepted = generate_accept_token(key.partition(b":")[2].strip()).decode()
    fields = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accepted}\r\n\r\n"
    return f"HTTP/1.1 101 Switching Protocols\r\n{fields}".encode()


def _serve(port_writer: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
        os.write(port_writer, str(server.sockets[0].getsockname()[1]).encode())
        os.close(port_writer)
        await server.serve_forever()

    asyncio.run(run())


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A server in a process of its own; its base URL."""
    reader, writer = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(writer,), daemon=True)
    process.start()
    os.close(writer)
    try:
        yield f"http://127.0.0.1:{os.read(reader, 16).decode()}"
    finally:
        os.close(reader)
        process.terminate()
        process.join()


@dataclass(frozen=True)
class Places:
    """Where the requests go, and what makes the traces of their own."""

    base: str
    nobody: str
    tracer: Tracer


def _requests_round(session: requests.Session, places: Places) -> None:
    """What a program does with requests."""
    import requests  # noqa: PLC0415 - the server process must stay small

    with places.tracer.start_as_current_span("a page"):
        for _ in range(10):
            session.get(f"{places.base}/json").json()
    requests.get(f"{places.base}/json", timeout=10).json()
    requests.get(f"{places.base}/closing", timeout=10).json()
    session.get(f"{places.base}/redirect").json()
    session.get(f"{places.base}/sometimes").json()
    session.post(f"{places.base}/chunked", data=iter([b"one", b"two"])).json  # noqa: B018 - read by then
    with session.get(f"{places.base}/big", stream=True) as left:
        next(left.iter_content(1000))
    session.get(f"{places.base}/big", stream=True)  # dropped unread
    next(session.get(f"{places.base}/big", stream=True).iter_content(1000))  # and with its generator
    for url in (places.nobody, f"{places.base}/reset"):
        with contextlib.suppress(requests.ConnectionError):
            session.get(url)


async def _pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def _aiohttp_round(session: aiohttp.ClientSession, places: Places) -> None:
    """What a program does with aiohttp."""
    import aiohttp  # noqa: PLC0415 - the server process must stay small

    with places.tracer.start_as_current_span("a page"):
        await asyncio.gather(*(_read(session, f"{places.base}/json") for _ in range(_CONCURRENCY)))
    await asyncio.gather(*(_read(session, f"{places.base}/{path}") for path in ("closing", "redirect", "chunked")))
    async with session.post(f"{places.base}/chunked", data=_pieces()) as response:
        await response.read()
    async with session.get(f"{places.base}/big") as response:
        await response.content.readany()
    await session.get(f"{places.base}/big")  # neither read nor released
    for url in (places.nobody, f"{places.base}/reset"):
        with contextlib.suppress(aiohttp.ClientError):
            await _read(session, url)
    never = asyncio.create_task(_read(session, f"{places.base}/never"))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(never, 0.01)
    async with session.ws_connect(f"{places.base}/websocket") as websocket:
        await websocket.send_str("hello")
        await websocket.receive_str()
    async with aiohttp.ClientSession() as another:
        await _read(another, f"{places.base}/json")
        await another.ws_connect(f"{places.base}/websocket")  # forgotten
    aiohttp.ClientSession()  # neither used nor closed


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        await response.read()


def _use_requests(places: Places, rounds: Iterator[int]) -> None:
    import requests  # noqa: PLC0415 - the server process must stay small
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above
    from urllib3.util import Retry  # noqa: PLC0415 - as above

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(1, status=3, connect=0, read=0, status_forcelist=[503])))
        for _ in rounds:
            _requests_round(session, places)


async def _use_aiohttp(places: Places, rounds: Iterator[int]) -> None:
    import aiohttp  # noqa: PLC0415 - the server process must stay small

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # aiohttp tells of what was not closed
    async with aiohttp.ClientSession() as session:
        for _ in rounds:
            await _aiohttp_round(session, places)


async def _use_aiohttp_only(places: Places, count: int) -> None:
    import aiohttp  # noqa: PLC0415 - the server process must stay small

    left = iter(range(count))

    async def worker(session: aiohttp.ClientSession) -> None:
        for _ in left:
            await _read(session, f"{places.base}/json")

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(_CONCURRENCY)))


def use_both(places: Places, rounds: int) -> None:
    """Requests in a thread beside aiohttp in a loop; each round is some 56 exchanges."""
    thread = threading.Thread(target=_use_requests, args=(places, iter(range(rounds))))
    thread.start()
    asyncio.run(_use_aiohttp(places, iter(range(rounds))))
    thread.join()


@dataclass(frozen=True)
class _Figures:
    """What the process holds at one time."""

    entries: int
    resident_kib: int
    objects: int
    descriptors: int
    threads: int
    kinds: collections.Counter[str]

    def ratios_to(self, other: _Figures) -> str:
        """This over another, in words."""
        names = ("resident_kib", "objects", "descriptors", "threads")
        return ", ".join(f"{name} {getattr(self, name) / getattr(other, name):.3f}" for name in names)


def _figures(entries: int) -> _Figures:
    """Look at this process, after a collection."""
    gc.collect()
    objects = gc.get_objects()
    kinds = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in objects)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    resident_kib = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return _Figures(entries, resident_kib, len(objects), descriptors, threading.active_count(), kinds)


class Recording:
    """A recording of this process, whose entries are counted, and dropped or written.

    Args:
        har: The file; None to drop the entries.
    """

    def __init__(self, har: Path | None) -> None:
        from opentelemetry.metrics import NoOpMeterProvider  # noqa: PLC0415 - the server process must stay small
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

        from otel_har.instrumentor import HarInstrumentor  # noqa: PLC0415 - as above

        self.entries = 0
        self.processor = self._processor(har)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        # OpenTelemetry's stand-in for a meter provider that is not set yet keeps a meter of each session of aiohttp.
        HarInstrumentor().instrument(tracer_provider=self.provider, meter_provider=NoOpMeterProvider())

    def _processor(self, har: Path | None) -> HarSpanProcessor:
        from otel_har.export.batch import BatchHarProcessor  # noqa: PLC0415 - as above
        from otel_har.export.file import FileHarExporter  # noqa: PLC0415 - as above
        from otel_har.export.interfaces import HarBatch, HarExporter, HarExportResult  # noqa: PLC0415 - as above
        from otel_har.processor import HarSpanProcessor  # noqa: PLC0415 - as above

        recording = self
        file = None if har is None else FileHarExporter(har)

        class Counting(HarExporter):
            def export(self, batch: HarBatch) -> HarExportResult:
                recording.entries += len(batch.entries)
                return HarExportResult.SUCCESS if file is None else file.export(batch)

            def shutdown(self, timeout_millis: int = 0) -> None:
                if file is not None:
                    file.shutdown(timeout_millis)

        return HarSpanProcessor(BatchHarProcessor(Counting()))

    def figures(self) -> _Figures:
        """What is held once everything that is complete was exported; some is only when the collector has been."""
        gc.collect()
        self.processor.force_flush()
        return _figures(self.entries)

    def close(self) -> None:
        """End the recording."""
        from otel_har.instrumentor import HarInstrumentor  # noqa: PLC0415 - the server process must stay small

        HarInstrumentor().uninstrument()
        self.provider.shutdown()


def main(count: int, *, only_aiohttp: bool, har: Path | None) -> None:
    """Record, and print what is held on to."""
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    with server() as base, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and never listens: connecting is refused
        recording = Recording(har)
        places = Places(base, f"http://127.0.0.1:{nobody.getsockname()[1]}/", recording.provider.get_tracer("soak"))
        tenths: list[_Figures] = []
        print("seconds  entries  resident KiB  objects  descriptors  threads")
        for _ in range(_TENTHS):
            started = time.monotonic()
            if only_aiohttp:
                asyncio.run(_use_aiohttp_only(places, count // _TENTHS))
            else:
                use_both(places, max(1, count // _TENTHS // _EXCHANGES_OF_BOTH))
            now = recording.figures()
            tenths.append(now)
            seconds = time.monotonic() - started
            print(
                f"{seconds:7.1f} {now.entries:8} {now.resident_kib:13} {now.objects:8} {now.descriptors:12} "
                f"{now.threads:8}",
                flush=True,
            )
        recording.close()
    grown = (tenths[-1].kinds - tenths[1].kinds).most_common(8)
    print("grown since the second tenth:", ", ".join(f"{name} {by:+}" for name, by in grown) or "nothing")
    print("the last tenth over the second:", tenths[-1].ratios_to(tenths[1]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exchanges", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--only-aiohttp", action="store_true")
    parser.add_argument("--har", type=Path)
    options = parser.parse_args()
    main(options.exchanges, only_aiohttp=options.only_aiohttp, har=options.har)
