"""A program that streams sees no difference: it runs plain and recorded, and must say the same in both.

The programs print the very pieces that they get, and wait at the server's gates for each.
"""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS_HEAD = """
    import gc, io, select, requests
    from harness import BASE, release, wait
    def attempt(name, function):
        try:
            print(name, repr(function()))
        except Exception as error:
            print(name, type(error).__module__, type(error).__qualname__, error, repr(error.__cause__),
                  type(error.__context__).__name__)
    session = requests.Session()
    CHUNKED = ('/stream', '/gzip-chunks', '/trailers', '/many/9', '/gzip-stream', '/events/crlf')
"""

REQUESTS_PROGRAMS = {
    "pieces": """
    def opened(path):
        return session.get(BASE + path, stream=True)
    for path in (*CHUNKED, '/dribble'):
        for size in (1, 7, None):
            with opened(path) as response:
                print(path, size, list(response.iter_content(size)))
            with opened(path) as response:
                print(path, size, list(response.raw.stream(size)))
            with opened(path) as response:
                print(path, size, [response.raw.read(size) for _ in range(4)])
            if path != '/dribble':  # there it is the network's what has come
                with opened(path) as response:
                    attempt(path, lambda: [response.raw.read1(size) for _ in range(4)])
        with opened(path) as response:
            print(list(response.iter_lines()), response.raw.closed, response.raw._fp.isclosed())
        with opened(path) as response:
            print(response.content, response.raw.tell(), response.raw.chunk_left, response.raw.length_remaining)
        with opened(path) as response:
            attempt(path, lambda: [response.raw.readline(), response.raw.readlines()])
        with opened(path) as response:
            buffer = bytearray(9)
            print(response.raw.readinto(buffer), buffer, response.raw.readinto(buffer), buffer)
    print(len({id(connection) for pool in session.adapters['http://'].poolmanager.pools._container.values()
               for connection in pool.pool.queue if connection}))
    """,
    "gates": """
    for path in ('/stream', '/trailers', '/gzip-stream', '/dribble', '/events/plain'):
        with session.get(BASE + path + '?gate=g', stream=True) as response:
            pieces = response.iter_content(None if path != '/dribble' else 11)
            first = next(pieces)
            print('before the server sends more', first)
            if path != '/trailers':
                release('g'); release('g')
            print([first, *pieces])
    with session.get(BASE + '/stream?gate=never', stream=True) as response:
        print(response.raw._fp.fp.peek(5)[:5], response.raw.read(5), response.raw._fp.fp.read(6))
    """,
    "inside": """
    import socket
    for path in CHUNKED:
        with session.get(BASE + path, stream=True) as response:
            raw = response.raw
            file = raw._fp.fp
            print(raw._fp is raw._original_response, isinstance(file, io.BufferedReader), file.closed, file.readable())
            print(isinstance(file.raw._sock, socket.socket), file.raw._sock.fileno() == raw.fileno() == file.fileno())
            file.raw._sock.settimeout(20)
            print(len(select.select([raw], [], [], 0)), len(file.peek(1)) > 0, file.mode, file.raw.mode)
            original = raw._original_response
            print(original.peek(3)[:3], original.read1(3), original.chunk_left, original.readline())
            print(original.read(5), original.readinto(bytearray(4)), original.read())
            print(raw._fp.fp, raw._fp.isclosed(), file.closed)
        with session.get(BASE + path, stream=True) as response:
            file = response.raw._fp.fp
            print(file.readline(), file.read(4), bytes(file.read1(2)), file.readinto(bytearray(3)))
            attempt('the rest', lambda: response.raw.read())
        with session.get(BASE + path, stream=True) as response:
            lines = io.BufferedReader(response.raw)
            attempt('buffered', lambda: [lines.readline(), lines.read(3), lines.read()])
    attempt('shutdown', lambda: session.get(BASE + '/stream?gate=never', stream=True).raw.shutdown())
    """,
    "refusals": """
    import collections.abc, functools, operator, shutil
    from requests.utils import super_len
    def opened(path):
        return session.get(BASE + path, stream=True).raw
    def thrown(raw, error):
        pieces = raw.stream(5)
        print(next(pieces))
        attempt('throw', lambda: pieces.throw(error))
        attempt('next', lambda: next(pieces))
    for path in (*CHUNKED, '/bytes/50'):
        raw = opened(path)
        print([hasattr(raw, name) for name in ('__len__', '__getitem__', '__contains__', '__add__', '__call__')])
        print([isinstance(raw, kind) for kind in (collections.abc.Sized, collections.abc.Iterator, io.IOBase)])
        for function in (len, super_len, reversed, bool, operator.length_hint, lambda raw: raw[0], lambda raw: raw < 1,
                         lambda raw: raw(), lambda raw: raw == raw, lambda raw: hash(raw) == hash(raw)):
            attempt('operation', lambda: function(raw))
        attempt('x', lambda: raw.read('x'))
        attempt('line', lambda: raw.readline('x'))
        if not raw.chunked:
            attempt('not chunked', lambda: list(raw.read_chunked()))
        attempt('the rest', lambda: raw.read())
        for error in (ValueError('mine'), OSError('mine'), KeyError('mine')):
            raw = opened(path)
            thrown(raw, error)
            attempt('the rest', lambda: raw.read())
        raw = opened(path)
        raw.read = functools.partial(raw.read, decode_content=True)
        target = io.BytesIO()
        shutil.copyfileobj(raw, target, 5)
        print(target.getvalue(), raw.read(), list(raw.stream(5, decode_content=True)))
    """,
    "failures": """
    for path in ('/bad-chunks', '/truncated-chunks', '/bad-gzip', '/truncated'):
        attempt(path, lambda: session.get(BASE + path))
        attempt(path, lambda: session.get(BASE + path, stream=True).raw.read())
        attempt(path, lambda: session.get(BASE + path, stream=True).raw.read(100))
        attempt(path, lambda: list(session.get(BASE + path, stream=True).raw.stream(3)))
        attempt(path, lambda: list(session.get(BASE + path, stream=True).iter_lines()))
    response = session.get(BASE + '/hang-chunks', stream=True)
    print(next(response.iter_content(4)))
    del response
    gc.collect()
    wait('closed /hang-chunks')
    print('the connection of a dropped response is closed')
    attempt('still', lambda: session.get(BASE + '/trailers').text)
    """,
}

AIOHTTP_HEAD = """
    import asyncio, aiohttp
    from harness import BASE, release
    async def attempt(name, awaitable):
        try:
            print(name, repr(await awaitable))
        except Exception as error:
            print(name, type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
    async def at(function, *arguments):
        await asyncio.to_thread(function, *arguments)
    PATHS = ('/stream', '/gzip-chunks', '/trailers', '/gzip-stream', '/events/crlf', '/dribble')
"""

AIOHTTP_PROGRAMS = {
    # How much has come by when is the network's: the pieces are those of gates, or of a body that has come whole.
    "pieces": """
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in PATHS:
                for size in (1, 7, -1):
                    async with session.get(BASE + path) as response:
                        await response.content.wait_eof()
                        print(path, size, [await response.content.read(size) for _ in range(4)])
                async with session.get(BASE + path) as response:
                    await response.content.wait_eof()
                    print([piece async for piece in response.content.iter_chunks()], response.content.total_bytes)
                async with session.get(BASE + path) as response:
                    await response.content.wait_eof()
                    print([line async for line in response.content])
                    print(getattr(response.content, 'total_compressed_bytes', None))
                async with session.get(BASE + path) as response:
                    print(await response.content.readuntil(b'i'), await response.content.read(2))
                    print(await response.read(), response.content.at_eof())
    """,
    "gates": """
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in ('/stream', '/gzip-stream', '/dribble', '/events/plain'):
                for read in ('readany', 'readchunk', 'iter_any', 'iter_chunks'):
                    async with session.get(BASE + path + '?gate=' + path + read) as response:
                        reading = getattr(response.content, read)
                        pieces = reading() if 'iter' in read else None
                        for _ in range(3):
                            print(path, read, await (anext(pieces) if pieces else reading()))
                            await at(release, path + read)
                        print(await response.content.read())
            async with session.get(BASE + '/stream?gate=never') as response:
                print(await response.content.readline())
            response = await session.get(BASE + '/events/plain?gate=never')
            print(await response.content.readuntil(b'\\n\\n'))
            response.close()
    """,
    "special": """
    import collections.abc
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in PATHS:
                async with session.get(BASE + path) as response:
                    content = response.content
                    print([hasattr(content, name) for name in ('__len__', '__iter__', '__getitem__', '__aenter__')])
                    print([isinstance(content, kind) for kind in (collections.abc.Sized, collections.abc.Iterable,
                           collections.abc.AsyncIterable, aiohttp.StreamReader)])
                    start = await content.readexactly(4)
                    content.unread_data(start[1:])
                    print(start, await content.readexactly(3), await content.read())
    """,
    "failures": """
    async def lines(session, path):
        async with session.get(BASE + path) as response:
            return [line async for line in response.content]
    async def whole(session, path):
        async with session.get(BASE + path) as response:
            return await response.read()
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in ('/truncated-chunks', '/bad-gzip', '/truncated'):  # /bad-chunks: aiohttp may wait for ever
                await attempt(path, lines(session, path))
                await attempt(path, whole(session, path))
            await attempt('still', whole(session, '/trailers'))
    """,
}


@pytest.mark.parametrize("name", REQUESTS_PROGRAMS)
def test_a_program_that_streams_with_requests_sees_no_difference(tmp_path: Path, name: str) -> None:
    """Pieces, what is inside of the response, exceptions and stderr are those of the plain program."""
    assert_no_difference(tmp_path, dedent(REQUESTS_HEAD) + dedent(REQUESTS_PROGRAMS[name]))


@pytest.mark.parametrize("name", AIOHTTP_PROGRAMS)
def test_a_program_that_streams_with_aiohttp_sees_no_difference(tmp_path: Path, name: str) -> None:
    """Pieces, counts, exceptions and stderr are those of the plain program."""
    assert_no_difference(tmp_path, dedent(AIOHTTP_HEAD) + dedent(AIOHTTP_PROGRAMS[name]) + "asyncio.run(main())\n")
