"""A program with aiohttp sees no difference: it runs plain and recorded, and must say the same in both.

The programs print results, types and texts of exceptions, and what happened before what.
"""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from servers.releases import AIOHTTP_LEAVES_FILES_OPEN
from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from pathlib import Path

AIOHTTP_HEAD = f"""
    import asyncio, io, types, aiohttp
    from harness import BASE, UNUSED, release, wait
    async def attempt(name, awaitable):
        try:
            print(name, repr(await awaitable))
        except (Exception, asyncio.CancelledError) as error:
            print(name, type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
    async def at(function, *arguments):
        await asyncio.to_thread(function, *arguments)
    def closed(data):
        return {AIOHTTP_LEAVES_FILES_OPEN} and getattr(data, 'closed', None)
"""

AIOHTTP_PROGRAMS = {
    "reading": """
    async def consume(pieces):
        return [piece async for piece in pieces]
    async def exactly(response):
        content = response.content
        return [await content.readexactly(5), await content.read(3), await content.readline()]
    async def too_much(response):
        await response.content.readexactly(10_000_000)
    async def until(response):
        return await response.content.readuntil(b'e')
    async def chunks(response):
        return b''.join([data for data, _ in await consume(response.content.iter_chunks())])
    async def mixed(response):
        return [await response.content.read(4), await response.read(), await response.text('latin-1')]
    async def nowait(response):
        await response.content.wait_eof()
        return [response.content.at_eof(), response.content.is_eof(), response.content.total_bytes,
                response.content.read_nowait(), response.content.at_eof(), response.content.exception()]
    async def unread(response):
        data = await response.content.readany()
        response.content.unread_data(data)
        return await response.content.read()
    ways = [
        lambda response: response.read(), lambda response: response.text(), lambda response: response.text('latin-1'),
        lambda response: response.content.read(), lambda response: response.content.read(10),
        lambda response: response.content.readline(), exactly, too_much, until, chunks, mixed,
        lambda response: consume(response.content.iter_chunked(70)), lambda response: consume(response.content),
    ]
    async def main():
        async with aiohttp.ClientSession() as session:
            for path in ('/stream', '/gzip', '/br', '/latin1', '/empty', '/bytes/0'):
                for way in ways:
                    async with session.get(BASE + path) as response:
                        await attempt(path, way(response))
                        print(response.content.at_eof(), response._body is None)
            async with session.get(BASE + '/json') as response:
                await attempt('nowait', nowait(response))
            async with session.get(BASE + '/json') as response:
                print(await response.json(), await response.json(), response.content_type, response.charset)
            async with session.get(BASE + '/bytes/300000') as response:
                print(len(b''.join(await consume(response.content.iter_any()))))
            async with session.get(BASE + '/binary') as response:
                await attempt('json', response.json())
                await attempt('text', response.text())
    """,
    "streaming": """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.get(BASE + '/stream?gate=a') as response:
                print('first', await response.content.readany())
                await at(release, 'a')
                print('second', await response.content.readany())
                await at(release, 'a')
                print('rest', await response.content.read())
            async with session.get(BASE + '/sse?gate=b') as response:
                print(await response.content.readline(), await response.content.readline())
                await at(release, 'b')
                print([line async for line in response.content])
            async with session.get(BASE + '/gzip-stream?gate=c') as response:
                print('first', await response.content.readany())
                await at(release, 'c'); await at(release, 'c')
                print('rest', await response.content.read())
            async with session.get(BASE + '/stream?gate=never') as response:
                print('closed half-way', await response.content.read(5))
            print(response.closed, response.connection)
            response = await session.get(BASE + '/stream?gate=never')
            response.close()
            await attempt('read after close', response.read())
            response = await session.get(BASE + '/json')
            print(response.release(), response.closed)
            await attempt('read after release', response.read())
            response = await session.get(BASE + '/truncated')
            print('only the status', response.status, response.content_length)
            response.close()
            async with session.get(BASE + '/hang') as response:
                print('available', await response.content.read(10))
    """,
    "objects": """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.post(BASE + '/redirect-307/0?a=b', data=b'abc', headers={'X-A': 'b'}) as response:
                print(type(response), isinstance(response.content, aiohttp.StreamReader))
                print(response.content.__class__, response.method, response.url, response.real_url, response.host)
                print(response.request_info.method, response.request_info.url, response.request_info.headers['X-A'])
                print(response.version, response.reason, response.raw_headers, response.cookies, response.links)
                print(response.connection is None, response.history, response.ok, response.charset)
                print(await response.text(), repr(response), response.connection)
            async with session.get(BASE + '/redirect/2') as response:
                print(response.url, [hop.url for hop in response.history], [hop.closed for hop in response.history])
                print(await response.text())
            async with session.get(BASE + '/redirect/2', allow_redirects=False) as response:
                print(response.status, response.headers['location'])
            async with session.post(BASE + '/redirect-307/2', data=b'again') as response:
                print(await response.text())
            async with session.get(BASE + '/set-cookies') as response:
                print(sorted(response.cookies), response.cookies['session'].value)
                print(sorted(cookie.key for cookie in session.cookie_jar))
            async def generator():
                yield b'one '
                yield b'two'
            for data in (generator(), io.BytesIO(b'memory'), open(__file__, 'rb'), {'a': 'b'}, 'text', bytearray(b'x')):
                async with session.post(BASE + '/echo', data=data) as response:
                    print(len((await response.json())['body']), closed(data))
            print(session.closed)
        class Own(aiohttp.ClientResponse):
            pass
        async with aiohttp.ClientSession(response_class=Own) as session:
            async with session.get(BASE + '/json') as response:
                print(type(response), await response.json())
        async with aiohttp.request('GET', BASE + '/json') as response:
            print(await response.text())
    """,
    "multipart": """
    from aiohttp import web
    async def handler(request):
        with aiohttp.MultipartWriter('mixed', boundary='edge') as writer:
            writer.append('first part')
            writer.append_json({'second': 2})
            response = web.Response(body=writer)
            return response
    async def main():
        application = web.Application()
        application.router.add_get('/', handler)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', 0)
        await site.start()
        url = f'http://127.0.0.1:{runner.addresses[0][1]}/'
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                reader = aiohttp.MultipartReader.from_response(response)
                first, second = await reader.next(), None
                print(type(reader).__name__, await first.text())
                second = await reader.next()
                print(await second.json(), await reader.next(), reader.at_eof())
            async with session.get(url) as response:
                reader = aiohttp.MultipartReader.from_response(response)
                print(await (await reader.next()).read_chunk(5))
                await reader.release()
            async with session.get(url) as response:
                print([await part.read() async for part in aiohttp.MultipartReader.from_response(response)])
        await runner.cleanup()
    """,
    "trace configs": """
    def config(name, log, factory=types.SimpleNamespace):
        tracing = aiohttp.TraceConfig(trace_config_ctx_factory=factory)
        for event in ('request_start', 'request_chunk_sent', 'response_chunk_received', 'request_end',
                      'request_exception', 'request_redirect', 'request_headers_sent', 'connection_create_start',
                      'connection_reuseconn'):
            async def note(session, context, params, event=event):
                request_context = getattr(context, 'trace_request_ctx', 'missing')
                log.append((name, event, type(context).__name__, repr(request_context), type(params).__name__))
                if event == 'request_end':
                    log.append((name, params.response.status, type(params.response).__name__))
            getattr(tracing, 'on_' + event).append(note)
        return tracing
    class Context(types.SimpleNamespace):
        pass
    async def main():
        log = []
        configs = [config('one', log), config('two', log, lambda trace_request_ctx=None: Context(
            trace_request_ctx=trace_request_ctx))]
        async with aiohttp.ClientSession(trace_configs=configs) as session:
            print(len(configs), session.trace_configs[0] is configs[0])
            for context in (None, {'a': 1}, 'text', 0, [], types.SimpleNamespace(x=1)):
                async with session.get(BASE + '/json', trace_request_ctx=context) as response:
                    await response.read()
            async with session.post(BASE + '/redirect-307/1', data=b'x') as response:
                await response.content.read()
            await attempt('failing', session.get(UNUSED + '/x'))
        async with aiohttp.ClientSession(trace_configs=configs) as session:
            async with session.get(BASE + '/json') as response:
                await response.read()
        for line in log:
            print(*line)
        async def failing(session, context, params):
            raise ZeroDivisionError('own')
        broken = aiohttp.TraceConfig()
        broken.on_request_start.append(failing)
        async with aiohttp.ClientSession(trace_configs=[broken]) as session:
            await attempt('own error', session.get(BASE + '/json'))
        async with aiohttp.ClientSession(trace_configs=None) as session:
            async with session.get(BASE + '/nowhere') as response:
                print(response.status)
    """,
    "exceptions": """
    async def fetch(session, url, **arguments):
        async with session.get(url, **arguments) as response:
            return await response.read()
    async def pieces(session, url, **arguments):
        async with session.get(url, **arguments) as response:
            async for piece in response.content.iter_any():
                print(piece)
    async def cancelled(awaitable, mark):
        task = asyncio.ensure_future(awaitable)
        await at(wait, mark)
        task.cancel('by the program')
        await task
    async def main():
        async with aiohttp.ClientSession() as session:
            await attempt('refused', fetch(session, UNUSED + '/x'))
            await attempt('dns', fetch(session, 'http://nowhere.invalid/'))
            for path in ('/hang-up', '/garbage', '/truncated', '/truncated-chunks', '/bad-gzip'):
                await attempt(path, fetch(session, BASE + path))
                await attempt(path, pieces(session, BASE + path))
            brief = aiohttp.ClientTimeout(total=0.2)
            await attempt('timeout', fetch(session, BASE + '/silence/timeout', timeout=brief))
            await attempt('body timeout', fetch(session, BASE + '/hang/timeout', timeout=brief))
            idle = aiohttp.ClientTimeout(sock_read=0.2)
            await attempt('idle', fetch(session, BASE + '/silence/idle', timeout=idle))
            await attempt('body idle', pieces(session, BASE + '/hang/idle', timeout=idle))
            await attempt('cancelled', cancelled(fetch(session, BASE + '/silence'), 'arrived /silence'))
            await attempt('waiting', asyncio.wait_for(fetch(session, BASE + '/silence/wait'), 0.2))
            await attempt('status', fetch(session, BASE + '/status/404', raise_for_status=True))
            await attempt('loop', fetch(session, BASE + '/redirect/40'))
            await attempt('url', fetch(session, 'nothing'))
            await attempt('arguments', fetch(session, BASE + '/json', max_redirects='x'))
            async def broken():
                yield b'some'
                raise LookupError('own error')
            await attempt('generator', session.post(BASE + '/echo', data=broken()).__aenter__())
            await attempt('still', fetch(session, BASE + '/json'))
        await attempt('closed session', fetch(session, BASE + '/json'))
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await attempt('session status', fetch(session, BASE + '/status/500'))
        async def judge(response):
            if response.status == 418:
                raise LookupError(await response.text())
        async with aiohttp.ClientSession(raise_for_status=judge) as session:
            await attempt('judged', fetch(session, BASE + '/status/418'))
    """,
}


@pytest.mark.parametrize("name", AIOHTTP_PROGRAMS)
def test_a_program_with_aiohttp_sees_no_difference(tmp_path: Path, name: str) -> None:
    """Results, exceptions, order of events, and stderr are those of the plain program."""
    assert_no_difference(tmp_path, dedent(AIOHTTP_HEAD) + dedent(AIOHTTP_PROGRAMS[name]) + "asyncio.run(main())\n")
