"""A program sees no difference: it runs plain and recorded, and must say the same in both.

The programs print results, types and texts of exceptions, and what happened before what.
"""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS_HEAD = """
    import io, pickle, shutil, requests
    from requests.adapters import HTTPAdapter
    from requests.auth import HTTPDigestAuth
    from harness import BASE, UNUSED, release, wait
    def attempt(name, function):
        try:
            print(name, repr(function()))
        except Exception as error:
            print(name, type(error).__module__, type(error).__qualname__, error, repr(error.__cause__),
                  type(error.__context__).__name__)
    session = requests.Session()
"""

REQUESTS_PROGRAMS = {
    "reading": """
    def read(path, function):
        with session.get(BASE + path, stream=True) as response:
            attempt(path, lambda: function(response))
            attempt('after', lambda: (response.raw.closed, response.raw.__class__.__name__))
            attempt('consumed', lambda: (response._content_consumed, response.raw.isclosed()))
    for path in ('/stream', '/gzip', '/br', '/latin1', '/bytes/300000'):
        read(path, lambda response: hash(b''.join(response.iter_content(1000))) and 'iterated')
        read(path, lambda response: [len(piece) for piece in response.iter_content(4096)])
        read(path, lambda response: [len(piece) for piece in response.iter_content(None)][:0])
        read(path, lambda response: [len(line) for line in response.iter_lines(chunk_size=10)])
        read(path, lambda response: [len(line) for line in response.iter_lines(decode_unicode=True)])
        read(path, lambda response: len(response.raw.read()))
        read(path, lambda response: [len(response.raw.read(100)), len(response.raw.read(1)), len(response.raw.read())])
        read(path, lambda response: len(response.raw.read(decode_content=True)))
        read(path, lambda response: len(b''.join(response.raw.stream(500, decode_content=False))))
        read(path, lambda response: len(b''.join(response.raw.stream(500, decode_content=True))))
        read(path, lambda response: len(b''.join(response.raw)))
        read(path, lambda response: len(response.raw.data))
        read(path, lambda response: (response.raw.readinto(bytearray(10)), response.raw.readable()))
        read(path, lambda response: response.raw.read1(10)[:0])
        read(path, lambda response: (len(response.content), len(response.text), len(response.content)))
        read(path, lambda response: (len(response.raw.read(3)), len(response.content)))
        read(path, lambda response: [next(response.iter_content(5)), list(response.iter_content(100))][:0])
        read(path, lambda response: io.TextIOWrapper(response.raw, 'latin-1').read(7))
        def copied(response):
            target = io.BytesIO()
            shutil.copyfileobj(response.raw, target)
            return len(target.getvalue())
        read(path, copied)
    """,
    "raw": """
    import http.client, urllib3
    response = session.get(BASE + '/json', stream=True)
    raw = response.raw
    base = getattr(urllib3, 'BaseHTTPResponse', io.IOBase)
    print(isinstance(raw, urllib3.HTTPResponse), isinstance(raw, base), raw.__class__)
    print(isinstance(raw, io.IOBase), raw.status, raw.reason, raw.version, dict(raw.headers), getattr(raw, 'url', None))
    print(raw.geturl(), raw.info() is raw.headers, raw.getheader('content-type'), raw.supports_chunked_reads())
    print(isinstance(raw._original_response, http.client.HTTPResponse), raw.connection is None, raw.retries)
    print(len(raw.read(2)), raw.tell(), raw.closed, bool(raw))
    raw.release_conn()
    response.close()
    print(raw.closed, type(response), type(session.get(BASE + '/json')))
    with session.get(BASE + '/json', stream=True) as response:
        with response.raw as inner:
            print(inner.read())
    with session.get(BASE + '/json', stream=True) as response:
        response.raw.decode_content = True
        print(response.raw.decode_content, response.raw.drain_conn(), response.raw.read())
    """,
    "streaming": """
    import threading
    with session.get(BASE + '/stream?gate=a', stream=True) as response:
        pieces = response.iter_content(None)
        print('first', next(pieces))
        release('a')
        print('second', next(pieces))
        release('a')
        print('rest', list(pieces))
    with session.get(BASE + '/sse?gate=b', stream=True) as response:
        lines = response.iter_lines(chunk_size=1)
        print(next(lines), next(lines))
        release('b')
        print(list(lines))
    with session.get(BASE + '/gzip-stream?gate=c', stream=True) as response:
        pieces = response.iter_content(4)
        print('first', next(pieces))
        release('c'); release('c')
        print('rest', b''.join(pieces))
    with session.get(BASE + '/stream?gate=never', stream=True) as response:
        print('closed half-way', next(response.iter_content(5)))
    response = session.get(BASE + '/stream?gate=never', stream=True)
    print('never read', response.status_code)
    response.close()
    attempt('read after close', lambda: response.content)
    response = session.get(BASE + '/truncated', stream=True)
    print('only the status', response.status_code, response.headers['content-length'])
    response.close()
    with session.get(BASE + '/hang', stream=True, timeout=20) as response:
        print('available', response.raw.read(10))
    """,
    "session hooks": """
    log = []
    def hook(response, *args, **kwargs):
        log.append((response.status_code, args, sorted(kwargs), response.request.method, response._content is False))
    def reading(response, *args, **kwargs):
        log.append(('read', response.text))
    def replacing(response, *args, **kwargs):
        replaced = requests.Response()
        replaced.status_code, replaced._content, replaced.history = 299, b'replaced', []
        replaced.request, replaced.url, replaced.raw = response.request, response.url, response.raw
        return replaced
    hooks = {'callable': {'response': hook}, 'list': {'response': [hook, hook]}, 'none': {'response': None},
             'empty': {'response': []}, 'reading': {'response': [reading, hook]}, 'replacing': {'response': replacing}}
    for name, value in hooks.items():
        session = requests.Session()
        session.hooks = value
        before = repr(value)
        for path in ('/json', '/redirect/1'):
            attempt(name, lambda: session.get(BASE + path).status_code)
            attempt(name, lambda: session.get(BASE + path, stream=True).status_code)
            print(len(log), log[-1:], repr(session.hooks) == before, session.hooks is value)
    session = requests.Session()
    for name, value in hooks.items():
        for _ in range(2):
            response = session.get(BASE + '/json', hooks=value)
            print(name, response.status_code, response.text, len(log), log[-1:], value == hooks[name])
    session.hooks['response'].append(hook)
    session.get(BASE + '/json', hooks={'response': reading})
    print(len(log), log[-2:], len(session.hooks['response']))
    print(session.get(BASE + '/json', hooks=None).ok, len(log))
    def failing(response, *args, **kwargs):
        raise ZeroDivisionError('from the hook')
    attempt('failing', lambda: requests.get(BASE + '/json', hooks={'response': failing}))
    """,
    "request object": """
    request = requests.Request('POST', BASE + '/echo', data=b'abc', headers={'X-A': 'b'})
    prepared = session.prepare_request(request)
    hooks, callbacks, body = prepared.hooks, prepared.hooks['response'], prepared.body
    for _ in range(3):
        response = session.send(prepared)
        print(response.request is prepared, prepared.hooks is hooks, prepared.hooks['response'] is callbacks,
              prepared.hooks, prepared.body is body, prepared.headers['X-A'], prepared.method)
    def hook(response, **kwargs):
        print('own hook', response.status_code)
    prepared.register_hook('response', hook)
    for _ in range(2):
        response = session.send(prepared)
        print(len(prepared.hooks['response']), prepared.hooks['response'][0] is hook)
    prepared.deregister_hook('response', hook)
    session.send(prepared)
    print(prepared.hooks, prepared.copy().hooks)
    pieces = (piece for piece in [b'one', b'two'])
    response = session.post(BASE + '/echo', data=pieces)
    print(response.request.body is pieces, response.json()['body'], list(pieces), response.request.hooks)
    file = open(__file__, 'rb')
    response = session.post(BASE + '/echo', data=file)
    print(response.request.body is file, file.tell() == len(response.json()['body']), file.closed)
    file.seek(20)
    response = session.post(BASE + '/echo', data=file, stream=True)
    print(response.request.body is file, len(response.json()['body']), response.request.headers['Content-Length'])
    class Chunks:
        def __iter__(self):
            yield b'from '
            yield b'an object'
    chunks = Chunks()
    response = session.post(BASE + '/echo', data=chunks)
    print(response.request.body is chunks, response.json()['body'], response.request.headers.get('Transfer-Encoding'))
    def broken():
        yield b'some'
        raise LookupError('own error')
    attempt('broken', lambda: session.post(BASE + '/echo', data=broken()))
    with io.BytesIO(b'again') as memory:
        print(session.post(BASE + '/redirect-307/2', data=memory).text, memory.tell())
    attempt('unrewindable', lambda: session.post(BASE + '/redirect-307/1', data=(x for x in [b'x'])).text)
    """,
    "results": """
    response = session.get(BASE + '/redirect/2', params={'a': 1})
    print(response.url, [hop.url for hop in response.history], [hop.text for hop in response.history])
    print([hop.request.hooks for hop in response.history], response.request.hooks, response.is_redirect)
    response = session.get(BASE + '/redirect/2', allow_redirects=False)
    print(response.status_code, response.next.url, response.next.hooks, response.history)
    print([hop.url for hop in session.resolve_redirects(response, response.request)])
    print(session.get(BASE + '/digest', auth=HTTPDigestAuth('u', 'p')).text, session.get(BASE + '/basic').status_code)
    print(session.get(BASE + '/basic', auth=('user', 'secret')).text)
    auth = HTTPDigestAuth('u', 'p')
    print([session.get(BASE + '/digest', auth=auth).status_code for _ in range(3)], auth._thread_local.num_401_calls)
    session.get(BASE + '/set-cookies')
    headers = dict(session.get(BASE + '/echo').json()['headers'])
    print(sorted(session.cookies.items()), headers['Cookie'], 'Expires' in headers)
    jar = requests.cookies.RequestsCookieJar()
    jar.set('twice', '1', path='/'); jar.set('twice', '2', path='/json')
    print(requests.get(BASE + '/json', cookies=jar).status_code)
    response = session.get(BASE + '/json')
    copy = pickle.loads(pickle.dumps(response))
    print(copy.json(), copy.status_code, copy.request.url, copy.request.hooks, copy.headers == response.headers)
    copy = pickle.loads(pickle.dumps(session.get(BASE + '/stream', stream=True)))
    print(copy.text, repr(copy), copy.raw)
    print(sorted(vars(response)), response.elapsed.total_seconds() > 0, response.connection)
    print(pickle.loads(pickle.dumps(response.request)).body, sorted(vars(response.request)))
    print(requests.head(BASE + '/json').headers, requests.options(BASE + '/echo').status_code)
    print(response.raw.closed, response.raw.read(), response.content is response.content)
    print(session.get(BASE + '/duplicate-headers').headers, session.get(BASE + '/no-reason').reason)
    print(session.get(BASE + '/http10').text, session.get(BASE + '/http10').raw.version)
    print(session.get(BASE + '/close').ok, session.get(BASE + '/json').ok)
    print(session.request('get', BASE + '/json', None, None, None, {'a': 'b'}).request.headers['Cookie'])
    """,
    "adapters": """
    class Own(requests.adapters.BaseAdapter):
        def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url
            response.raw, response._content, response.connection = io.BytesIO(b'own'), False, self
            return response
        def close(self):
            pass
    class Counting(HTTPAdapter):
        calls = 0
        def send(self, request, **kwargs):
            Counting.calls += 1
            return super().send(request, **kwargs)
    class Bare(Own):
        def send(self, request, **kwargs):
            response = requests.Response()
            response.status_code, response.url, response.raw = 204, request.url, None
            response._content = b''
            return response
    session.mount('own://', Own())
    session.mount('bare://', Bare())
    session.mount('http://', Counting())
    print(session.get('own://host/path').text, session.get('own://host/path', stream=True).raw.read())
    attempt('bare', lambda: session.get('bare://host/path').status_code)
    print(session.get(BASE + '/redirect/2').text, Counting.calls)
    retrying = HTTPAdapter(max_retries=requests.adapters.Retry(total=2, status_forcelist=[500], backoff_factor=0))
    session.mount('http://', retrying)
    attempt('retries', lambda: session.get(BASE + '/status/500'))
    attempt('scheme', lambda: session.get('unknown://host'))
    """,
    "exceptions": """
    attempt('refused', lambda: session.get(UNUSED + '/x'))
    for path in ('/reset', '/hang-up', '/garbage', '/truncated', '/truncated-chunks', '/bad-gzip', '/reset-mid-body'):
        attempt(path, lambda: session.get(BASE + path))
        def streamed():
            with session.get(BASE + path, stream=True) as response:
                for piece in response.iter_content(4):
                    print(piece)
        attempt(path + ' streamed', streamed)
    attempt('dns', lambda: session.get('http://nowhere.invalid/'))
    attempt('timeout', lambda: session.get(BASE + '/silence', timeout=0.2))
    attempt('body timeout', lambda: session.get(BASE + '/hang', timeout=0.2))
    attempt('status', lambda: session.get(BASE + '/status/404').raise_for_status())
    attempt('loop', lambda: requests.Session().get(BASE + '/redirect/40'))
    attempt('url', lambda: session.get('http://'))
    attempt('schema', lambda: session.get('nothing'))
    attempt('header', lambda: session.get(BASE + '/json', headers={'X': 'a\\nb'}))
    attempt('arguments', lambda: session.get(BASE + '/json', nonsense=1))
    attempt('json', lambda: session.get(BASE + '/binary').json())
    attempt('still', lambda: session.get(BASE + '/json').json())
    """,
}


@pytest.mark.parametrize("name", REQUESTS_PROGRAMS)
def test_a_program_with_requests_sees_no_difference(tmp_path: Path, name: str) -> None:
    """Results, exceptions, order of events, and stderr are those of the plain program."""
    assert_no_difference(tmp_path, dedent(REQUESTS_HEAD) + dedent(REQUESTS_PROGRAMS[name]))


def test_a_program_that_takes_warnings_for_errors_sees_no_difference(tmp_path: Path) -> None:
    """Nothing of the recorder warns, not at import, not on a request, not at the end."""
    source = """
        import asyncio, aiohttp, requests
        from harness import BASE
        async def main():
            async with aiohttp.ClientSession() as session:
                for path in ('/json', '/gzip', '/redirect/2', '/status/500', '/empty'):
                    async with session.post(BASE + path, data=b'x') as response:
                        print(await response.read())
                response = await session.get(BASE + '/stream')
                response.close()
        with requests.Session() as session:
            for path in ('/json', '/gzip', '/redirect/2', '/status/500', '/empty'):
                print(session.post(BASE + path, data=b'x').content)
            session.get(BASE + '/stream', stream=True).close()
        asyncio.run(main())
    """
    assert_no_difference(tmp_path, source, python_options=["-W", "error", "-X", "dev"])


def test_a_program_that_logs_everything_sees_no_difference(tmp_path: Path) -> None:
    """The recorder logs nothing at the levels of everyday, whatever the program has its root logger show."""
    source = """
        import logging, sys, requests
        from harness import BASE
        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
        print(requests.get(BASE + '/json').text)
        print(logging.getLogger().handlers, logging.getLogger().level)
    """
    assert_no_difference(tmp_path, source)


def test_a_program_without_requests_sees_no_difference(tmp_path: Path) -> None:
    """Threads, signal handlers and exit handlers of the program are its own."""
    source = """
        import atexit, signal, sys, threading
        print([thread.name for thread in threading.enumerate() if not thread.daemon])
        print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), sys.excepthook is sys.__excepthook__)
        atexit.register(print, 'at exit')
        print(sys.argv[1:], __name__)
    """
    assert_no_difference(tmp_path, source)


def test_responses_are_not_kept_alive(tmp_path: Path) -> None:
    """What the program lets go is let go: the recorder holds no response, session or body of its own."""
    source = """
        import asyncio, gc, weakref, aiohttp, requests
        from harness import BASE
        gone = []
        def sync():
            with requests.Session() as session:
                for path in ('/json', '/stream'):
                    response = session.get(BASE + path, stream=True)
                    gone.extend([weakref.ref(response), weakref.ref(response.request)])
                    response.content
                unread = session.get(BASE + '/stream', stream=True)
                gone.append(weakref.ref(unread))
        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(BASE + '/json') as response:
                    gone.append(weakref.ref(response))
                    await response.read()
        sync()
        asyncio.run(main())
        gc.collect()
        print([reference() is None for reference in gone])
    """
    assert_no_difference(tmp_path, source)


def test_https_sees_no_difference(tmp_path: Path) -> None:
    """Trusted, distrusted and undecided certificates end as they do without the recorder."""
    source = """
        import asyncio, ssl, aiohttp, requests
        from harness import BASE, CA
        print(requests.get(BASE + '/json', verify=CA).text)
        try:
            requests.get(BASE + '/json')
        except requests.exceptions.SSLError as error:
            print(type(error), error)
        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(BASE + '/json', ssl=ssl.create_default_context(cafile=CA)) as response:
                    print(await response.text(), response.connection)
                try:
                    await session.get(BASE + '/json')
                except aiohttp.ClientConnectorCertificateError as error:
                    print(type(error), error)
        asyncio.run(main())
    """
    assert_no_difference(tmp_path, source, tls=True)
