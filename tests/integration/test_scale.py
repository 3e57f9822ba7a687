"""Memory stays where it is: with many exchanges, and with bodies larger than memory should be."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from benchmarks.growth import grown

if TYPE_CHECKING:
    from servers import InstrumentedRunner

_STREAMING = """
import asyncio, pathlib, socket, threading
import aiohttp, requests

SIZE = 1 << 30

def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % SIZE)
        for _ in range(1024):
            connection.sendall(bytes(1 << 20))
        connection.close()

listener = socket.create_server(('127.0.0.1', 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
url = 'http://127.0.0.1:%d/' % listener.getsockname()[1]

def peak_mib():
    # `ru_maxrss` would begin with that of the process that started this one.
    status = pathlib.Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) / 1024

before = peak_mib()
with requests.get(url, stream=True) as response:
    assert SIZE == sum(len(chunk) for chunk in response.iter_content(1 << 20))

async def main():
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert SIZE == sum([len(chunk) async for chunk in response.content.iter_any()])

asyncio.run(main())
print(peak_mib() - before)
"""


def test_a_hundred_thousand_exchanges_do_not_grow_the_program() -> None:
    """100,000 recorded exchanges of 2 KB are all in the file, and resident memory grows by less than 40 MiB."""
    found = grown(100_000)
    assert ("", 100_000) == (found.stderr, found.entries)
    assert found.peak_mib - found.marks[0].resident_mib < 40


def test_a_streamed_gibibyte_is_held_up_to_the_body_limit(run_instrumented: InstrumentedRunner) -> None:
    """Two streamed bodies of 1 GiB cost memory for what is kept of them, and say how long they were."""
    limit = 1_000_000
    run = run_instrumented(_STREAMING, "--har_max_body_bytes", str(limit))
    assert (0, "") == (run.returncode, run.stderr)
    assert float(run.stdout) < 30
    contents = [entry["response"]["content"] for entry in run.entries]
    assert [(1 << 30, "truncated")] * 2 == [(content["size"], content["_bodyState"]) for content in contents]
    assert [bytes(limit)] * 2 == [base64.b64decode(content["text"]) for content in contents]
