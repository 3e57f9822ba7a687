"""The server that all measured programs talk to: a process of its own that answers prepared bytes.

The path is the size of the JSON answer in bytes: `/2000?n=1`. It does as little as can be, since it shares the machine
with what is measured. Answers are different lists of the same kind of objects, as a service gives them, so that none is
one that a recorder has seen just before; they come again after some megabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

_PREPARED_BYTES = 4_000_000
_MOST_PREPARED = 2_000
_HEAD = (
    "HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 10:00:00 GMT\r\nServer: benchmark\r\nContent-Type: application/json\r\n"
    'Cache-Control: no-cache\r\nETag: "5f2-60a1"\r\nX-Request-Id: 7f3d2c51\r\nContent-Length: {}\r\n\r\n'
)


@cache
def answers(size: int) -> Iterator[bytes]:
    """Whole responses, head and body, each with so many bytes of body, for ever."""
    count = min(_MOST_PREPARED, max(2, _PREPARED_BYTES // max(size, 1)))
    bodies = (json_body(size, first=number * 1_000) for number in range(count))
    return itertools.cycle([_HEAD.format(len(body)).encode() + body for body in bodies])


def json_body(size: int, first: int = 0) -> bytes:
    """JSON of exactly so many bytes, a list of small objects; digits where there is no room for one.

    Args:
        size: Bytes.
        first: The number of the first object.
    """
    items: list[str] = []
    room = size - len('{"items": [], "note": ""}')
    while True:
        item = _item(first + len(items))
        if room < len(item) + 2:
            break
        items.append(item)
        room -= len(item) + (2 if len(items) > 1 else 0)
    if room < 0:
        return b"1" * size
    return f'{{"items": [{", ".join(items)}], "note": "{"x" * room}"}}'.encode()


def _item(number: int) -> str:
    item = {
        "id": number,
        "name": f"Item {number}",
        "active": number % 2 == 0,
        "price": 19.5 + number % 100,
        "tags": ["new", "sale"],
        "updated_at": "2026-01-02T03:04:05Z",
        "url": f"https://api.example.org/v1/items/{number}",
    }
    return json.dumps(item)


class _Answering(asyncio.Protocol):
    """Answers each request, which comes in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            path = data[data.index(b"/") + 1 : data.index(b"?")]
            self._transport.write(next(answers(int(path))))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A server in a process of its own; its base URL, without a slash at its end."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - this
        assert process.stdout is not None  # noqa: S101 - for the type
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
