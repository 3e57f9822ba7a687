"""A program with WebSockets sees no difference: it runs plain and recorded, and must say the same in both."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
    import asyncio, gc, ssl, types, aiohttp
    from harness import BASE, CA, UNUSED, release, wait
    TLS = ssl.create_default_context(cafile=CA) if BASE.startswith('https') else True
    async def attempt(name, awaitable):
        try:
            print(name, repr(await awaitable))
        except (Exception, asyncio.CancelledError) as error:
            print(name, type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
    async def at(function, *arguments):
        await asyncio.to_thread(function, *arguments)
    def connect(session, name, **arguments):
        return session.ws_connect(f'{BASE}/websocket/{name}', ssl=TLS, **arguments)
"""

PROGRAMS = {
    "talking": """
    async def main():
        async with aiohttp.ClientSession() as session:
            for compress in (0, 9, 15):
                async with connect(session, f'talk?early=1', compress=compress, max_msg_size=0) as socket:
                    print(socket.compress, socket.client_notakeover, await socket.receive())
                    for text in ('', 'ä' * 200, 'x' * 70000):
                        await socket.send_str(text)
                        await attempt('text', socket.receive_str())
                    await socket.send_bytes(bytearray(b'array'))
                    await attempt('bytes', socket.receive_bytes())
                    await socket.send_bytes(memoryview(b'view'))
                    await attempt('not text', socket.receive_str())
                    await socket.send_str('!fragment')
                    await attempt('fragments', socket.receive())
                    await socket.send_str('!huge 3000000')
                    print(len((await socket.receive()).data))
                    await socket.send_str('!many 3000')
                    print(sum([len(await socket.receive_str()) for _ in range(3000)]))
                    if compress:
                        await socket.send_str('own level' * 10, compress=12)
                    await attempt('closing', socket.close())
                    await attempt('again', socket.close())
                    await attempt('receiving', socket.receive())
                    await attempt('sending', socket.send_str('too late'))
    """,
    "objects": """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with connect(session, 'objects', protocols=('a', 'b'), headers={'X-A': 'b'}) as socket:
                response = socket._response
                connection = response.connection
                transport, protocol = connection.transport, connection.protocol
                print(type(socket), socket.protocol, socket.closed, socket.close_code, socket.exception())
                print(type(connection), type(protocol), transport.__class__, isinstance(transport, asyncio.Transport))
                print(transport.get_protocol() is protocol, protocol.transport is transport, protocol.connected)
                print(transport.is_closing(), transport.is_reading(), protocol.is_connected())
                print(socket.get_extra_info('peername')[0], socket.get_extra_info('nothing', 'default'))
                print(socket.get_extra_info('socket') is transport.get_extra_info('socket'))
                print(transport.get_write_buffer_limits(), transport.get_write_buffer_size(), connection.closed)
                transport.pause_reading()
                print(transport.is_reading())
                transport.resume_reading()
                print(response.status, response.headers['Upgrade'], response.closed, await response.read())
                await socket.send_str('still')
                print(await socket.receive_str())
            print(transport.is_closing(), protocol.connected, connection.closed, response.closed, response.connection)
            print(session.connector.closed, len(session.connector._acquired))
        class Own(aiohttp.ClientWebSocketResponse):
            pass
        async with aiohttp.ClientSession(ws_response_class=Own) as session:
            async with connect(session, 'own') as socket:
                print(type(socket))
                await socket.send_str('own')
                print([await socket.receive()])
    """,
    "endings": """
    async def main():
        async with aiohttp.ClientSession() as session:
            for order in ('!hang-up', '!reset', '!half', '!garbage', '!not-utf8', '!close 1001 ä', '!close 4999'):
                async with connect(session, 'ends') as socket:
                    await socket.send_str(order)
                    await attempt(order, socket.receive())
                    print(socket.closed, socket.close_code, repr(socket.exception()))
                    await attempt('behind', socket.send_str('behind'))
            for order in ('!many 3', '!close 1000'):
                async with connect(session, 'iterate') as socket:
                    await socket.send_str(order)
                    await socket.send_str('!close 1000')
                    print([message async for message in socket])
            async with connect(session, 'small', max_msg_size=100) as socket:
                await socket.send_str('!huge 1024')
                await attempt('too large', socket.receive())
            async with connect(session, 'manual', autoping=False, autoclose=False) as socket:
                await socket.send_str('!ping x')
                await attempt('ping', socket.receive())
                await socket.send_str('!close 1000')
                await attempt('close', socket.receive())
                print(socket.closed)
            async with connect(session, 'slow') as socket:
                await attempt('slow', socket.receive(timeout=0.2))
            socket = await connect(session, 'cancelled')
            task = asyncio.ensure_future(socket.receive())
            await at(wait, 'upgraded /websocket/cancelled')
            await asyncio.sleep(0)
            task.cancel()
            await attempt('cancelled', task)
            await attempt('after it', socket.close())
            socket = await connect(session, 'closed elsewhere')
            task = asyncio.ensure_future(socket.receive())
            await asyncio.sleep(0)
            await socket.close()
            await attempt('closed elsewhere', task)
            socket = await connect(session, 'under way')
        await attempt('session closed', socket.receive())
    """,
    "handshakes": """
    async def main():
        log = []
        tracing = aiohttp.TraceConfig()
        async def ended(_session, _context, params):
            log.append((params.response.status, params.response.connection is None))
        tracing.on_request_end.append(ended)
        async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
            for path in ('/json', '/status/403', '/websocket/wrong?accept=x', '/hang-up', '/empty'):
                await attempt(path, session.ws_connect(BASE + path, ssl=TLS))
            await attempt('nobody', session.ws_connect(UNUSED))
            async with session.ws_connect(BASE + '/websocket/ok', ssl=TLS) as socket:
                await socket.send_str('ok')
                print(await socket.receive())
            async with session.get(BASE + '/json', ssl=TLS) as response:
                print(await response.text())
        print(log)
    """,
    "heartbeat": """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with connect(session, 'beats', heartbeat=0.4) as socket:
                await socket.send_str('!beats 2')
                print(await socket.receive())
            socket = await connect(session, 'silent', heartbeat=0.1)
            await socket.send_str('!gate never')
            await attempt('no answer', socket.receive())
            print(socket.closed, socket.close_code, type(socket.exception()))
    """,
    "dropped": """
    async def dropping(session):
        socket = await connect(session, 'dropped')
        await socket.send_str('x')
        print(await socket.receive())
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: print('handler', context['message']))
        async with aiohttp.ClientSession() as session:
            await dropping(session)
            gc.collect()
            print('collected')
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_with_websockets_sees_no_difference(tmp_path: Path, name: str) -> None:
    """Results, exceptions and stderr are those of the plain program."""
    assert_no_difference(tmp_path, dedent(HEAD) + dedent(PROGRAMS[name]) + "asyncio.run(main())\n")


@pytest.mark.parametrize("name", ["talking", "objects", "endings"])
def test_a_program_with_websockets_over_tls_sees_no_difference(tmp_path: Path, name: str) -> None:
    """The same behind TLS, whose transport is another one."""
    assert_no_difference(tmp_path, dedent(HEAD) + dedent(PROGRAMS[name]) + "asyncio.run(main())\n", tls=True)


def test_a_program_in_debug_mode_sees_no_difference(tmp_path: Path) -> None:
    """The checks of asyncio itself, and warnings as errors, find nothing."""
    run = """
    async def patiently():
        asyncio.get_running_loop().slow_callback_duration = 60
        await main()
    asyncio.run(patiently(), debug=True)
    """
    source = dedent(HEAD) + dedent(PROGRAMS["talking"]) + dedent(run)
    assert_no_difference(tmp_path, source, python_options=["-W", "error::ResourceWarning"])
