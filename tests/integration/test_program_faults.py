"""A program that fails in every way of its own fails so recorded, too: it runs plain and recorded, and says the same.

The programs print results, types and texts of exceptions, their causes, and the last frames of their tracebacks.
"""

from __future__ import annotations

from collections import Counter
from textwrap import dedent
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from servers.transparency import both_runs

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
    import asyncio, io, os, sys, traceback, types
    import aiohttp, requests
    from harness import BASE, UNUSED, release, wait
    def told(error):
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if not any(part in frame.filename for part in ('otel_har', 'opentelemetry', 'contextlib'))][-2:]
        try:
            text = str(error)
        except BaseException as other:
            text = f'(str failed: {other!r})'
        return (type(error).__module__, type(error).__qualname__, text[:300].encode('ascii', 'backslashreplace'),
                [(os.path.basename(frame.filename), frame.name) for frame in frames],
                type(error.__cause__).__name__, type(error.__context__).__name__)
    def attempt(name, function):
        try:
            print(name, ascii(function()))
        except BaseException as error:
            print(name, *told(error))
    async def attempt_async(name, awaitable):
        try:
            print(name, ascii(await awaitable))
        except BaseException as error:
            print(name, *told(error))
    class Rude:
        def __repr__(self):
            raise LookupError('from repr')
        __str__ = __repr__
    class RudeError(Exception):
        def __str__(self):
            raise LookupError('from str')
        __repr__ = __str__
    class Base(BaseException):
        pass
    KINDS = [ValueError, KeyboardInterrupt, SystemExit, Base, OSError, asyncio.CancelledError, GeneratorExit,
             RecursionError, MemoryError, StopIteration, EOFError]
    session = requests.Session()
"""

REQUESTS = {
    "hooks": """
    for kind in KINDS:
        def hook(response, *args, **kwargs):
            raise kind('own')
        attempt('hook', lambda: requests.get(BASE + '/json', hooks={'response': hook}))
        attempt('hook of a stream', lambda: requests.get(BASE + '/stream', hooks={'response': hook}, stream=True))
        attempt('hook of a hop', lambda: requests.get(BASE + '/redirect/1', hooks={'response': hook}))
        class Auth(requests.auth.AuthBase):
            def __call__(self, request):
                request.register_hook('response', hook)
                return request
            def __repr__(self):
                raise kind('own')
        attempt('auth', lambda: session.get(BASE + '/json', auth=Auth()))
        class Raising(requests.auth.AuthBase):
            def __call__(self, request):
                raise kind('own')
        attempt('raising auth', lambda: session.get(BASE + '/json', auth=Raising()))
        class Adapter(requests.adapters.HTTPAdapter):
            def send(self, *args, **kwargs):
                raise kind('own')
        with requests.Session() as other:
            other.mount('http://', Adapter())
            attempt('adapter', lambda: other.get(BASE + '/json'))
    attempt('still', lambda: session.get(BASE + '/json').json())
    """,
    "bodies": """
    class File(io.BytesIO):
        def read(self, *args):
            if self.tell() >= 4:
                raise kind('own')
            return super().read(4)
    class Silent(File):
        def read(self, *args):
            raise kind('own')
        def __repr__(self):
            raise kind('own')
    class Length:
        def __len__(self):
            raise kind('own')
        def __iter__(self):
            yield b'x'
    class Iterator:
        def __iter__(self):
            raise kind('own')
    class Next:
        def __init__(self):
            self.left = 2
        def __iter__(self):
            return self
        def __next__(self):
            self.left -= 1
            if self.left < 0:
                raise kind('own')
            return b'next'
    kind = ValueError
    def half():
        yield b'some'
        raise kind('own')
    def lets_go():
        try:
            yield b'some'
            yield Rude()
        finally:
            print('let go')
    for kind in KINDS:
        for make in (lambda: File(b'12345678'), lambda: Silent(b'12345678'), Length, Iterator, Next, half):
            attempt('body', lambda: requests.post(BASE + '/echo', data=make()).json()['body'])
    for data in (lets_go(), Rude(), [Rude()], {'a': Rude()}, {Rude(): 'a'}, 5, 1.5, object, b'x', bytearray(b'ab'),
                 memoryview(b'abc'), iter([b'a', 'b', None]), iter(['text']), iter([5]), io.StringIO('text\\xe4'),
                 io.StringIO('\\ud800'), '\\ud800', {'a': '\\ud800'}, [('a', b'\\xff')], 'text\\u1234', iter([b''])):
        attempt('data', lambda: requests.post(BASE + '/echo', data=data).json()['body'])
    for json in (Rude(), {'a': Rude()}, '\\ud800', float('nan'), {1, 2}, b'x'):
        attempt('json', lambda: requests.post(BASE + '/echo', json=json).json()['body'])
    for files in ({'a': Rude()}, {'a': ('\\ud800', b'x')}, {'\\ud800': b'x'}, {'a': File(b'12345678')}):
        attempt('files', lambda: len(requests.post(BASE + '/echo', files=files).json()['body']) > 9)
    attempt('still', lambda: session.get(BASE + '/json').json())
    """,
    "words": """
    odd = [5, None, b'bytes', 1.5, ['a'], 'a\\nb', 'a\\rb', '\\ud800', '\\u1234', '\\xe4', '', ' a', 'a' * 100_000,
           Rude(), b'\\xff', 'tab\\tbed', '\\x00', True]
    class Text(str):
        def __repr__(self):
            raise LookupError('from repr')
        __str__ = encode = lower = __repr__
    for value in [*odd, Text('x')]:
        attempt('header value', lambda: requests.get(BASE + '/item/value', headers={'X-A': value}).status_code)
        attempt('header name', lambda: requests.get(BASE + '/item/name', headers={value: 'x'}).status_code)
        attempt('param', lambda: requests.get(BASE + '/item/param', params={'a': value}).status_code)
        attempt('params', lambda: requests.get(BASE + '/item/params', params=value).status_code)
        attempt('cookie', lambda: requests.get(BASE + '/item/cookie', cookies={'a': value}).status_code)
        attempt('user', lambda: requests.get(BASE + '/item/user', auth=(value, value)).status_code)
        attempt('method', lambda: requests.request(value, BASE + '/item/method').status_code)
        attempt('url', lambda: requests.get(value).status_code)
        attempt('path', lambda: requests.get(BASE + '/item/path' + value).status_code)
        attempt('proxy', lambda: requests.get(BASE + '/item/proxy', proxies={'http': value}).status_code)
        attempt('timeout', lambda: requests.get(BASE + '/item/timeout', timeout=value).status_code)
        attempt('stream', lambda: requests.get(BASE + '/item/stream', stream=value).text)
        attempt('hooks', lambda: requests.get(BASE + '/item/hooks', hooks={'response': value}).text)
    big = 'x' * 10_000_000
    attempt('big header', lambda: len(dict(requests.get(BASE + '/big/9000000', headers={'X-A': big}).headers)))
    attempt('many', lambda: requests.get(BASE + '/echo', headers={f'X-{n}': 'a' for n in range(5000)}).status_code)
    attempt('still', lambda: session.get(BASE + '/json').json())
    """,
    "reading": """
    import signal
    class Stop(BaseException):
        pass
    def stop(number, frame):
        raise Stop('from a handler')
    signal.signal(signal.SIGALRM, stop)
    def interrupted(path, read):
        with session.get(BASE + path, stream=True) as response:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                return read(response)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    for path in ('/hang', '/hang-chunks', '/stream?gate=never'):
        attempt(path, lambda: interrupted(path, lambda response: response.content))
        attempt(path, lambda: interrupted(path, lambda response: list(response.iter_content(5))))
        attempt(path, lambda: interrupted(path, lambda response: response.raw.read(100)))
    def thrown(path):
        with session.get(BASE + path, stream=True) as response:
            pieces = response.iter_content(4)
            next(pieces)
            pieces.throw(kind('own'))
    def sunk(path):
        with session.get(BASE + path, stream=True) as response:
            for piece in response.iter_content(4):
                raise kind('own')
    for kind in KINDS:
        attempt('thrown', lambda: thrown('/stream'))
        attempt('thrown', lambda: thrown('/bytes/100'))
        attempt('sunk', lambda: sunk('/stream'))
    attempt('silence', lambda: interrupted('/json', lambda response: requests.get(BASE + '/silence')))
    attempt('still', lambda: session.get(BASE + '/json').json())
    """,
}

AIOHTTP = {
    "callbacks": """
    SIGNALS = ['on_request_start', 'on_request_headers_sent', 'on_request_chunk_sent', 'on_response_chunk_received',
               'on_request_end', 'on_request_redirect', 'on_connection_queued_start', 'on_connection_create_start',
               'on_connection_create_end', 'on_request_exception', 'on_dns_resolvehost_start', 'on_dns_cache_miss']
    class Auth(aiohttp.BasicAuth):
        def encode(self):
            raise LookupError('from encode')
        __repr__ = __str__ = encode
    async def get(name, kind):
        async def signal(session, context, params):
            raise kind('own')
        config = aiohttp.TraceConfig()
        getattr(config, name).append(signal)
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            async with session.post(BASE + '/redirect/1', data=b'abc') as response:
                await response.read()
            async with session.get(BASE + '/reset'):
                pass
    async def main():
        for name in SIGNALS:
            for kind in (ValueError, asyncio.CancelledError, OSError, aiohttp.ClientError, RecursionError):
                await attempt_async(name, get(name, kind))
        async with aiohttp.ClientSession() as session:
            await attempt_async('auth', session.get(BASE + '/json', auth=Auth('a', 'b')))
        async def failing(request, handler):
            response = await handler(request)
            raise ValueError('of a middleware')
        if hasattr(aiohttp, 'ClientMiddlewareType'):
            async with aiohttp.ClientSession(middlewares=[failing]) as session:
                await attempt_async('middleware', session.get(BASE + '/json'))
    asyncio.run(main())
    """,
    "bodies": """
    class File(io.BytesIO):
        def read(self, *args):
            if self.tell() >= 4:
                raise kind('own')
            return super().read(4)
    async def half():
        yield b'some'
        raise kind('own')
    class Payload(aiohttp.payload.Payload):
        size = None
        async def write(self, writer):
            await writer.write(b'some')
            raise kind('own')
        def decode(self, *args):
            return ''
        def __repr__(self):
            raise kind('own')
    async def post(session, **body):
        async with session.post(BASE + '/echo', **body) as response:
            return (await response.json())['body']
    async def odd():
        yield Rude()
    async def text():
        yield 'text'
    async def main():
        global kind
        async with aiohttp.ClientSession() as session:
            for kind in (ValueError, OSError, asyncio.CancelledError, RecursionError, EOFError):
                for make in (lambda: File(b'12345678'), half, lambda: Payload(b'x')):
                    await attempt_async('body', post(session, data=make()))
            for data in (Rude(), odd(), text(), 5, object, [Rude()], {'a': Rude()}, {'a': 5}, '\\ud800',
                         memoryview(b'a'), bytearray(b'ab'), io.StringIO('text'), io.StringIO('\\ud800')):
                await attempt_async('data', post(session, data=data))
            for json in (Rude(), '\\ud800', float('nan'), {1}, b'x'):
                await attempt_async('json', post(session, json=json))
            await attempt_async('still', post(session, data=b'x'))
    asyncio.run(main())
    """,
    "words": """
    odd = [5, None, b'bytes', 1.5, ['a'], 'a\\nb', '\\ud800', '\\u1234', '\\xe4', '', ' a', 'a' * 100_000, Rude(),
           b'\\xff', '\\x00', True]
    class Text(str):
        def __repr__(self):
            raise LookupError('from repr')
        __str__ = encode = lower = __repr__
    async def get(session, url, method='GET', **options):
        async with session.request(method, url, **options) as response:
            return response.status, await response.read()
    async def main():
        async with aiohttp.ClientSession() as session:
            for value in [*odd, Text('x')]:
                await attempt_async('value', get(session, BASE + '/item/value', headers={'X-A': value}))
                await attempt_async('name', get(session, BASE + '/item/name', headers={value: 'x'})
                                    if value.__hash__ else asyncio.sleep(0))
                await attempt_async('param', get(session, BASE + '/item/param', params={'a': value}))
                await attempt_async('cookie', get(session, BASE + '/item/cookie', cookies={'a': value}))
                await attempt_async('method', get(session, BASE + '/item/method', method=value))
                await attempt_async('url', get(session, value))
                await attempt_async('proxy', get(session, BASE + '/item/proxy', proxy=value)
                                    if value not in ('', 'a' * 100_000) else asyncio.sleep(0))
            big = 'x' * 10_000_000
            await attempt_async('big', get(session, BASE + '/item/big', headers={'X-A': big}))
            await attempt_async('still', get(session, BASE + '/item/still'))
        async with aiohttp.ClientSession(max_field_size=100_000) as session:
            await attempt_async('big answer', get(session, BASE + '/big/5000000'))
    asyncio.run(main())
    """,
    "reading": """
    async def sunk(session, path, kind):
        async with session.get(BASE + path) as response:
            async for piece in response.content.iter_any():
                raise kind('own')
    async def cancelled(session, path, read):
        async with session.get(BASE + path) as response:
            task = asyncio.ensure_future(read(response))
            await asyncio.sleep(0)
            task.cancel('own')
            await task
    async def timed(session, path, read):
        async with session.get(BASE + path) as response:
            await asyncio.wait_for(read(response), 0.05)
    async def whole(session):
        async with session.get(BASE + '/json') as response:
            return await response.json()
    async def main():
        async with aiohttp.ClientSession() as session:
            for kind in KINDS:
                if kind not in (KeyboardInterrupt, SystemExit, StopIteration):
                    await attempt_async('sunk', sunk(session, '/stream', kind))
            for path in ('/hang', '/hang-chunks', '/stream?gate=never'):
                for read in (lambda response: response.read(), lambda response: response.content.readexactly(50),
                             lambda response: response.content.readuntil(b'~')):
                    await attempt_async(path, cancelled(session, path, read))
                    await attempt_async(path, timed(session, path, read))
            await attempt_async('still', whole(session))
    for kind in (KeyboardInterrupt, SystemExit):
        async def ending():
            async with aiohttp.ClientSession() as session:
                await sunk(session, '/stream', kind)
        attempt('ending', lambda: asyncio.run(ending()))
    for _ in range(3):
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("name", REQUESTS)
def test_faults_with_requests(tmp_path: Path, name: str) -> None:
    """The same results, exceptions and output, and an entry for each request that came to the server."""
    with both_runs(tmp_path, dedent(HEAD) + dedent(REQUESTS[name])) as runs:
        runs.assert_no_difference()
        recorded = Counter(urlsplit(entry["request"]["url"]).path for entry in runs.run.entries)
        seen = Counter(urlsplit(exchange.request.target).path for exchange in runs.server.exchanges)
        assert {} == seen - recorded


@pytest.mark.parametrize("name", AIOHTTP)
def test_faults_with_aiohttp(tmp_path: Path, name: str) -> None:
    """The same results, exceptions and output, and an entry for each request that came to the server."""
    with both_runs(tmp_path, dedent(HEAD) + dedent(AIOHTTP[name])) as runs:
        runs.assert_no_difference()
        recorded = Counter(urlsplit(entry["request"]["url"]).path for entry in runs.run.entries)
        seen = Counter(urlsplit(exchange.request.target).path for exchange in runs.server.exchanges)
        assert {} == seen - recorded
