"""What recording costs as the file grows: the last thousand exchanges against the first, and the memory between.

Run it as `python benchmarks/growth.py [EXCHANGES]`. One server process and one recorded client process on loopback;
JSON answers of 2 KB. Printed are ratios measured in this one run, and the growth of resident memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_BODY = json.dumps({"padding": "x" * 2000}).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n"
) + _BODY
_CONCURRENCY = 20
_WINDOW = 1000


class _Answering(asyncio.Protocol):
    """Answers every request head with the same response, and does nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


def _serve(port_writer: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
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
        yield f"http://127.0.0.1:{os.read(reader, 16).decode()}/"
    finally:
        process.terminate()
        process.join()


async def _client(url: str, count: int) -> None:
    """The recorded program: `count` exchanges, CPU time and memory noted at every thousandth."""
    import aiohttp  # noqa: PLC0415 - only the client process needs it

    marks: list[tuple[float, int]] = []
    done = 0

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while done < count:
            done += 1
            if done % _WINDOW == 1:
                marks.append((time.process_time(), _resident_kib()))
            async with session.get(url) as response:
                await response.read()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(_CONCURRENCY)))
    marks.append((time.process_time(), _resident_kib()))
    costs = [later[0] - earlier[0] for earlier, later in itertools.pairwise(marks)]
    print(
        json.dumps(
            {
                "first_s": sorted(costs[1:6])[2],
                "last_s": sorted(costs[-5:])[2],
                "grown_kib": marks[-1][1] - marks[1][1],
                "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main(count: int) -> None:
    """Run the recorded client and print what it noted."""
    with server() as url, tempfile.TemporaryDirectory() as directory:
        har = Path(directory) / "out.har"
        instrument = Path(sys.executable).with_name("opentelemetry-instrument")
        command = [str(instrument), "--har", str(har), sys.executable, __file__, "client", url, str(count)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
        figures = json.loads(result.stdout)
        entries = har.read_bytes().count(b'"startedDateTime"') - har.read_bytes().count(b'"pageTimings"')
        print(result.stderr, end="")
        print(f"exchanges                                {count}")
        print(f"entries in the file                      {entries}")
        print(f"CPU of a late thousand / an early one    {figures['last_s'] / figures['first_s']:.2f}")
        print(f"growth of resident memory                {figures['grown_kib'] / 1024:.1f} MiB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        asyncio.run(_client(sys.argv[2], int(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
